//! The kernel's side of the engine: sockets, packet slots, waiting and waking.
//!
//! One [`Driver`] belongs to one worker thread. It receives datagrams into
//! slots of its own memory, hands them out by [`Driver::wait`], and sends a
//! packet from the slot it arrived in, so that a relayed packet is never
//! copied. Two kernels' interfaces stand behind the same seam: io_uring where
//! it may be used, epoll with `recvmmsg`/`sendmmsg` where it may not.
//!
//! What is supported: UDP over IPv4 and IPv6, connected or not. What is not:
//! streams, zero-copy sends (they cost more than they save at the size of a
//! voice packet), bundles (they glue datagrams together), control messages.
//!
//! This is the only crate of the engine with `unsafe` code. Memory the kernel
//! may write or read is a `Lent` slot: a value nobody can look into
//! until the completion that ends the kernel's use gives the slot back.

mod address;
mod arena;
mod clock;
mod cores;
mod counters;
mod epoll;
mod interfaces;
mod limits;
mod mailbox;
mod seam;
mod signal;
mod socket;
mod uring;

pub use arena::{PAYLOAD_MAX, Slot};
pub use clock::{Clock, Now};
pub use cores::{available_cores, pin_to};
pub use counters::Counters;
pub use epoll::Epoll;
pub use interfaces::local_addresses;
pub use limits::{DescriptorLimit, raise_descriptor_limit};
pub use mailbox::{MailReceiver, MailSender, Undelivered, Waker, mailbox};
pub use seam::{Arrival, Choice, Driver, Kind, Options, StartError};
pub use signal::{Signal, Signals};
pub use socket::{OpenFailure, Opening, listening};
pub use uring::Uring;
