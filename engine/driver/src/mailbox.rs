//! Mail for a worker from other threads: a bounded queue and a bell.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::channel::{self, Receiver, Sender, TrySendError};

/// The bell of one driver: ringing it ends the driver's wait.
///
/// Cheap to clone; ringing twice before the worker looks costs one system call.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Bell>);

/// An eventfd, and whether it was rung since it was last looked at.
#[derive(Debug)]
struct Bell {
    event: File,
    rung: AtomicBool,
}

impl Waker {
    /// A bell for a driver still to be made.
    ///
    /// # Errors
    /// The kernel's, when there is no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointer; its result is checked before use.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, is open, and has no other owner.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self(Arc::new(Bell { event: File::from(owned), rung: AtomicBool::new(false) })))
    }

    /// Ends the driver's wait, now or the next one.
    pub fn wake(&self) {
        if !self.0.rung.swap(true, Ordering::AcqRel) {
            // Only a counter at its maximum refuses, and then the bell is ringing anyway.
            let _refused = (&self.0.event).write(&1_u64.to_ne_bytes());
        }
    }

    /// Stops the ringing. What was sent before the bell rang is in the mailbox afterwards.
    pub(crate) fn silence(&self) {
        let mut count = [0; 8];
        let _nothing_to_read = (&self.0.event).read(&mut count);
        self.0.rung.swap(false, Ordering::AcqRel);
    }

    /// The descriptor to wait on.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}

/// A mailbox of at most `messages_max` messages for the worker that `waker` wakes.
pub fn mailbox<T>(waker: Waker, messages_max: usize) -> (MailSender<T>, MailReceiver<T>) {
    let (sender, receiver) = channel::bounded(messages_max);
    (MailSender { sender, waker }, MailReceiver { receiver })
}

/// Where other threads put messages.
#[derive(Debug)]
pub struct MailSender<T> {
    sender: Sender<T>,
    waker: Waker,
}

impl<T> Clone for MailSender<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), waker: self.waker.clone() }
    }
}

impl<T> MailSender<T> {
    /// Puts a message and wakes the worker. Never blocks.
    ///
    /// # Errors
    /// [`Undelivered`], with the message, when the mailbox is full or its worker is gone.
    pub fn send(&self, message: T) -> Result<(), Undelivered<T>> {
        match self.sender.try_send(message) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(message)) => Err(Undelivered::Full(message)),
            Err(TrySendError::Disconnected(message)) => Err(Undelivered::Gone(message)),
        }
    }
}

/// Where the worker takes messages.
#[derive(Debug)]
pub struct MailReceiver<T> {
    receiver: Receiver<T>,
}

impl<T> MailReceiver<T> {
    /// The next message, if one is there. Never blocks.
    pub fn take(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

/// A message that was not delivered, and why.
#[derive(Debug, PartialEq, Eq)]
pub enum Undelivered<T> {
    /// The mailbox is full: the worker does not keep up.
    Full(T),
    /// The worker is gone.
    Gone(T),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_order_and_the_bound_holds() {
        let (sender, receiver) = mailbox(Waker::new().expect("a descriptor"), 2);
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(sender.send(2), Ok(()));
        assert_eq!(sender.send(3), Err(Undelivered::Full(3)));
        assert_eq!((receiver.take(), receiver.take(), receiver.take()), (Some(1), Some(2), None));
        drop(receiver);
        assert_eq!(sender.send(4), Err(Undelivered::Gone(4)));
    }

    #[test]
    fn a_silenced_bell_rings_again() {
        let waker = Waker::new().expect("a descriptor");
        let rings = |waker: &Waker| {
            let mut count = [0; 8];
            (&waker.0.event).read(&mut count).is_ok()
        };
        waker.wake();
        waker.wake();
        waker.silence();
        assert!(!rings(&waker), "silence took the ring");
        waker.wake();
        assert!(rings(&waker));
    }
}
