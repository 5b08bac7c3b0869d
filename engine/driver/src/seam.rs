//! The seam: one driver per worker, whichever interface of the kernel it uses.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::arena::Slot;
use crate::clock::{Clock, Now};
use crate::counters::Counters;
use crate::epoll::Epoll;
use crate::mailbox::Waker;
use crate::socket::Opening;
use crate::uring::Uring;

/// Which interface of the kernel an operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// io_uring, or epoll where io_uring is refused.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            other => Err(format!("`{other}` is none of auto, uring, epoll")),
        }
    }
}

/// Which interface of the kernel a driver uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// io_uring.
    Uring,
    /// epoll, `recvmmsg`, `sendmmsg`.
    Epoll,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        })
    }
}

/// The sizes of one driver. Its memory is 2 KiB for each slot.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Slots to receive into, a power of two from 2 to 16384. Too few and receives stop until
    /// slots come back; the sockets' own buffers bridge that.
    pub slots: u16,
    /// Slots for copies, from 1 to 16384. Too few and copies are dropped.
    pub copy_slots: u16,
    /// Sockets at most; keys are below it. Not more than the descriptor limit.
    pub sockets_max: u32,
    /// Arrivals at most in one batch, at least 1.
    pub batch_max: usize,
    /// Bytes each socket may hold back while the worker is busy; the kernel cuts it to its own limit.
    pub receive_buffer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: 2048,
            copy_slots: 256,
            sockets_max: 8192,
            batch_max: 256,
            receive_buffer_bytes: 128 * 1024,
        }
    }
}

/// Why no driver could be made.
#[derive(Debug, Error)]
pub enum StartError {
    /// io_uring was asked for and refused.
    #[error("io_uring cannot be used: {0}")]
    Uring(String),
    /// epoll was refused.
    #[error("epoll cannot be used")]
    Epoll(#[source] io::Error),
}

/// Something that happened.
#[derive(Debug)]
pub enum Arrival {
    /// A datagram came in.
    Datagram {
        /// The socket it came to.
        key: u32,
        /// Who sent it.
        remote: SocketAddr,
        /// Where it lies.
        slot: Slot,
    },
    /// The kernel reported an error on a socket. The socket goes on.
    Failed {
        /// The socket.
        key: u32,
        /// The error, such as a refused connection.
        error: io::Error,
    },
    /// No further datagram will arrive on this socket, which [`Driver::quiet`] was asked for.
    Quiet {
        /// The socket.
        key: u32,
    },
    /// There may be mail.
    Woken,
}

/// The sockets, slots and wait of one worker. It stays on the thread that made it.
pub enum Driver {
    /// On io_uring.
    Uring(Box<Uring>),
    /// On epoll.
    Epoll(Box<Epoll>),
}

impl Driver {
    /// A driver of the chosen kind, woken by `waker`, and, when `Auto` had to do with epoll, why.
    ///
    /// # Errors
    /// [`StartError`], when the kernel refuses what was asked for.
    pub fn new(
        choice: Choice,
        options: &Options,
        waker: Waker,
    ) -> Result<(Self, Option<String>), StartError> {
        let epoll = |waker| Epoll::new(options, waker).map(|made| Self::Epoll(Box::new(made)));
        match choice {
            Choice::Epoll => Ok((epoll(waker).map_err(StartError::Epoll)?, None)),
            Choice::Uring => {
                let made = Uring::new(options, waker).map_err(StartError::Uring)?;
                Ok((Self::Uring(Box::new(made)), None))
            }
            Choice::Auto => match Uring::new(options, waker.clone()) {
                Ok(made) => Ok((Self::Uring(Box::new(made)), None)),
                Err(reason) => Ok((epoll(waker).map_err(StartError::Epoll)?, Some(reason))),
            },
        }
    }

    /// Which interface of the kernel is used.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Uring(_) => Kind::Uring,
            Self::Epoll(_) => Kind::Epoll,
        }
    }

    /// Opens a socket under `key`, a number below [`Options::sockets_max`] that is not in use.
    ///
    /// # Errors
    /// The kernel's: the port is in use, the address is not ours, no descriptor is left. Also a
    /// key in use, or beyond the table.
    pub fn open(&mut self, key: u32, opening: &Opening) -> io::Result<()> {
        match self {
            Self::Uring(driver) => driver.open(key, opening),
            Self::Epoll(driver) => driver.open(key, opening),
        }
    }

    /// Lets what a socket sends from now on bear another TOS or traffic-class byte.
    ///
    /// # Errors
    /// The kernel's. Also no socket under this key.
    pub fn set_tos(&mut self, key: u32, tos: u8) -> io::Result<()> {
        match self {
            Self::Uring(driver) => driver.set_tos(key, tos),
            Self::Epoll(driver) => driver.set_tos(key, tos),
        }
    }

    /// Closes a socket. What was queued on it is sent first; what arrives on it is dropped and
    /// counted. `key` and the port may be used again at once.
    pub fn close(&mut self, key: u32) {
        match self {
            Self::Uring(driver) => driver.close(key),
            Self::Epoll(driver) => driver.close(key),
        }
    }

    /// Receives no more on a socket: what the kernel has handed over already still arrives, then [`Arrival::Quiet`],
    /// and what comes later waits in the socket. It goes on sending, and can be closed.
    pub fn quiet(&mut self, key: u32) {
        match self {
            Self::Uring(driver) => driver.quiet(key),
            Self::Epoll(driver) => driver.quiet(key),
        }
    }

    /// Gives a socket away, open and bound, with whatever waits in it. What was queued on it is sent first. `key` may be
    /// used again at once. Nothing is lost if [`Arrival::Quiet`] has come; else what the kernel had handed over is
    /// dropped and counted.
    pub fn detach(&mut self, key: u32) -> Option<OwnedFd> {
        match self {
            Self::Uring(driver) => driver.detach(key),
            Self::Epoll(driver) => driver.detach(key),
        }
    }

    /// Whether `key` is below [`Options::sockets_max`] and not in use.
    pub fn has_place(&self, key: u32) -> bool {
        match self {
            Self::Uring(driver) => driver.has_place(key),
            Self::Epoll(driver) => driver.has_place(key),
        }
    }

    /// Takes a socket over that another driver has given away, under a `key` as for [`open`](Self::open).
    ///
    /// # Errors
    /// The kernel's, or a key in use or beyond the table; the socket is closed then.
    pub fn adopt(&mut self, key: u32, socket: OwnedFd) -> io::Result<()> {
        match self {
            Self::Uring(driver) => driver.adopt(key, socket.into()),
            Self::Epoll(driver) => driver.adopt(key, socket.into()),
        }
    }

    /// Sends what is queued, waits until something happens or the monotonic clock reaches
    /// `deadline_ns`, appends what happened to `batch`, and reads the clock once.
    ///
    /// All slots of the batch before must have been sent or released. Returns early, with an
    /// empty batch, whenever the kernel sees fit.
    ///
    /// # Errors
    /// The kernel's, when waiting itself fails; nothing a peer does causes it.
    pub fn wait(&mut self, deadline_ns: Option<u64>, batch: &mut Vec<Arrival>) -> io::Result<Now> {
        let timeout = deadline_ns.map_or(WAIT_MAX, |deadline| {
            Duration::from_nanos(deadline.saturating_sub(Clock::monotonic_ns())).min(WAIT_MAX)
        });
        match self {
            Self::Uring(driver) => driver.wait(timeout, batch)?,
            Self::Epoll(driver) => driver.wait(timeout, batch)?,
        }
        Ok(Clock::now())
    }

    /// The packet in a slot of this driver.
    pub fn packet_mut<'a>(&'a mut self, slot: &'a mut Slot) -> &'a mut [u8] {
        match self {
            Self::Uring(driver) => driver.packet_mut(slot),
            Self::Epoll(driver) => driver.packet_mut(slot),
        }
    }

    /// The same and all the room behind it, [`PAYLOAD_MAX`](crate::PAYLOAD_MAX) bytes, for a packet that grows. What is
    /// behind the packet is whatever lay in the slot before.
    pub fn room_mut<'a>(&'a mut self, slot: &'a mut Slot) -> &'a mut [u8] {
        match self {
            Self::Uring(driver) => driver.room_mut(slot),
            Self::Epoll(driver) => driver.room_mut(slot),
        }
    }

    /// Queues `range` of the room of `slot` for sending, most often the packet in it; the slot is received into again once
    /// the kernel is done with it. A packet that cannot be sent is dropped and counted.
    pub fn send(&mut self, key: u32, remote: SocketAddr, slot: Slot, range: Range<usize>) {
        match self {
            Self::Uring(driver) => driver.send(key, remote, slot, range),
            Self::Epoll(driver) => driver.send(key, remote, slot, range),
        }
    }

    /// Queues a copy of `packet` for sending; false, and counted, if no slot for it is free.
    pub fn send_copy(&mut self, key: u32, remote: SocketAddr, packet: &[u8]) -> bool {
        match self {
            Self::Uring(driver) => driver.send_copy(key, remote, packet),
            Self::Epoll(driver) => driver.send_copy(key, remote, packet),
        }
    }

    /// Takes a slot back whose packet goes nowhere.
    pub fn release(&mut self, slot: Slot) {
        match self {
            Self::Uring(driver) => driver.release(slot),
            Self::Epoll(driver) => driver.release(slot),
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        match self {
            Self::Uring(driver) => driver.counters(),
            Self::Epoll(driver) => driver.counters(),
        }
    }
}

/// The longest wait without a deadline.
const WAIT_MAX: Duration = Duration::from_secs(1);
