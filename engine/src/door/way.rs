//! The way back to whoever asked over a stream, and what may wait on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The way back to one connection, for one answer.
#[derive(Debug)]
pub(crate) struct WayBack {
    sender: mpsc::Sender<Answer>,
    /// A connection asks no more than it may have unanswered.
    permit: OwnedSemaphorePermit,
    waiting: Arc<AtomicUsize>,
}

/// An answer that a connection has to write.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What to write.
    pub(crate) bytes: Arc<[u8]>,
    waiting: Arc<AtomicUsize>,
    /// Given back when the answer was written.
    _permit: OwnedSemaphorePermit,
}

/// One connection's side: it opens ways back and reads what comes on them.
#[derive(Debug)]
pub(crate) struct Ways {
    sender: mpsc::Sender<Answer>,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Ways {
    /// Ways for a connection that may have `unanswered_max` questions open. `waiting` weighs the answers of all
    /// connections that were not written yet.
    pub(crate) fn new(unanswered_max: usize, waiting: Arc<AtomicUsize>) -> (Self, mpsc::Receiver<Answer>) {
        let (sender, receiver) = mpsc::channel(unanswered_max);
        (Self { sender, permits: Arc::new(Semaphore::new(unanswered_max)), waiting }, receiver)
    }

    /// A way back, once the connection may ask again.
    pub(crate) async fn open(&self) -> WayBack {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("nobody closes the semaphore");
        WayBack { sender: self.sender.clone(), permit, waiting: Arc::clone(&self.waiting) }
    }

    /// Whether every question was answered and every answer written.
    #[cfg(test)]
    fn idle(&self) -> bool {
        self.permits.available_permits() == self.sender.max_capacity()
    }
}

impl WayBack {
    /// Answers; false, and the answer is lost, if the connection is gone or too much waits for slow readers.
    pub(crate) fn answer(self, bytes: Arc<[u8]>) -> bool {
        let Self { sender, permit, waiting } = self;
        let before = waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        // From here on the answer gives its weight back itself, wherever it ends.
        let room = before + bytes.len() <= ANSWERS_BYTES_MAX;
        let answer = Answer { bytes, waiting, _permit: permit };
        // There is a place in the channel for each permit.
        room && !matches!(sender.try_send(answer), Err(TrySendError::Closed(_) | TrySendError::Full(_)))
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// Bytes of answers that wait for slow readers at most, over all connections; more are lost and counted.
const ANSWERS_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_frees_its_place_when_it_was_written() {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (ways, mut answers) = Ways::new(1, Arc::clone(&waiting));
        let way = ways.open().await;
        assert!(!ways.idle());
        assert!(way.answer(Arc::from(&b"pong"[..])));
        assert_eq!(waiting.load(Ordering::Relaxed), 4);
        let answer = answers.recv().await.expect("an answer");
        assert_eq!(&*answer.bytes, b"pong");
        assert!(!ways.idle());
        drop(answer);
        assert!(ways.idle());
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_question_that_nobody_answers_frees_its_place_too() {
        let (ways, _answers) = Ways::new(1, Arc::default());
        drop(ways.open().await);
        assert!(ways.idle());
    }

    #[tokio::test]
    async fn what_slow_readers_leave_unread_is_bounded() {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (ways, answers) = Ways::new(40, Arc::clone(&waiting));
        let big: Arc<[u8]> = vec![0; 1 << 20].into();
        for sent in 0..40 {
            assert_eq!(ways.open().await.answer(Arc::clone(&big)), sent < 32);
        }
        assert_eq!(waiting.load(Ordering::Relaxed), ANSWERS_BYTES_MAX);
        drop(answers);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
        assert!(!ways.open().await.answer(big), "the connection is gone");
    }
}
