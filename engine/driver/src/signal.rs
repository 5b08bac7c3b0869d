//! SIGTERM, SIGINT and SIGHUP as something to wait for.

use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// A signal that the engine acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    HangUp,
}

impl Signal {
    const ALL: [(libc::c_int, Self); 3] =
        [(libc::SIGTERM, Self::Terminate), (libc::SIGINT, Self::Interrupt), (libc::SIGHUP, Self::HangUp)];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::HangUp => "SIGHUP",
        }
    }
}

/// The signals of [`Signal`], taken out of the ordinary way of signals.
///
/// Made before any other thread starts, since a thread inherits the set of
/// blocked signals of the one that started it.
#[derive(Debug)]
pub struct Signals {
    descriptor: File,
}

impl Signals {
    /// Blocks them for this thread and those it starts from now on.
    ///
    /// # Errors
    /// The kernel's, when there is no descriptor left.
    pub fn block() -> io::Result<Self> {
        // SAFETY: a sigset_t is plain bits; sigemptyset initialises it below before anything reads it.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: the set is a live local.
        unsafe { libc::sigemptyset(&mut set) };
        for (number, _) in Signal::ALL {
            // SAFETY: the set is a live local, initialised above; the number is one of a signal.
            unsafe { libc::sigaddset(&mut set, number) };
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
        Ok(Self { descriptor: File::from(owned) })
    }

    /// Waits for one of them.
    ///
    /// # Errors
    /// The kernel's; not expected.
    pub fn wait(&self) -> io::Result<Signal> {
        let mut report = [0; mem::size_of::<libc::signalfd_siginfo>()];
        (&self.descriptor).read_exact(&mut report)?;
        let number = i32::from_ne_bytes([report[0], report[1], report[2], report[3]]);
        let known = Signal::ALL.into_iter().find(|(known, _)| *known == number);
        known.map(|(_, signal)| signal).ok_or_else(|| io::Error::other("a signal that was not asked for"))
    }
}
