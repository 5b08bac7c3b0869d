//! SIGTERM and SIGINT as something to wait for.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// The two signals that end the engine, taken out of the ordinary way of signals.
///
/// Made before any other thread starts, since a thread inherits the set of
/// blocked signals of the one that started it.
#[derive(Debug)]
pub struct Termination {
    signals: File,
}

impl Termination {
    /// Blocks SIGTERM and SIGINT for this thread and those it starts from now on.
    ///
    /// # Errors
    /// The kernel's, when there is no descriptor left.
    pub fn block() -> io::Result<Self> {
        // SAFETY: a sigset_t is plain bits; sigemptyset initialises it below before anything reads it.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: the set is a live local; both signal numbers are valid.
        unsafe {
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
        }
        // SAFETY: the set lives across the call; no old set is asked for.
        let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        // SAFETY: the set lives across the call; -1 asks for a new descriptor.
        let descriptor = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, is open, and has no other owner.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { signals: File::from(owned) })
    }

    /// Waits for one of the two and returns its name.
    ///
    /// # Errors
    /// The kernel's; not expected.
    pub fn wait(&self) -> io::Result<&'static str> {
        let mut report = [0; mem::size_of::<libc::signalfd_siginfo>()];
        (&self.signals).read_exact(&mut report)?;
        let number = i32::from_ne_bytes([report[0], report[1], report[2], report[3]]);
        Ok(if number == libc::SIGINT { "SIGINT" } else { "SIGTERM" })
    }
}
