//! SIP without sockets, threads or clock: messages, transactions, dialogs, digest, registrar.
//!
//! Bytes and time go in; bytes, events and deadlines come out. See the README of
//! this room for what is supported and what is deliberately absent.

#![forbid(unsafe_code)]

mod hop;
pub mod message;

pub use hop::{FlowId, Hop, Transport};
pub use message::{HeaderName, Headers, Message, Method, Request, Response, StatusCode, Uri};
