//! SIP without sockets, threads or clock: messages, transactions, dialogs, digest, registrar.
//!
//! Bytes and time go in; bytes, events and deadlines come out. See the README of
//! this room for what is supported and what is deliberately absent, and
//! `adr/0001-own-sip-core.md` for why it is our own.

#![forbid(unsafe_code)]

pub mod auth;
mod counters;
pub mod dialog;
mod hop;
pub mod message;
pub mod registrar;
#[cfg(test)]
mod test_clock;
pub mod transaction;

pub use counters::{Counters, DropReason};
pub use dialog::{Dialog, DialogId};
pub use hop::{FlowId, Hop, Transport};
pub use message::{HeaderName, Headers, Message, Method, Request, Response, StatusCode, Uri};
pub use transaction::{ClientKey, Event, LayerConfig, ServerKey, Timers, TransactionLayer};
