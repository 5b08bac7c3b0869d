//! The NG control protocol: text in, typed requests out; typed replies in, text out; both for
//! the side that serves and the side that asks.
//!
//! A datagram is a cookie, one space and a document in bencode or JSON. [`Envelope::parse`]
//! turns it into a typed [`Request`] (or the exact error text that a client expects), and
//! [`Reply::encode`] answers in the encoding of the question. The client half is
//! [`Command::encode`] and [`Reply::parse`]. No flag string leaves this crate.
//!
//! Supported: `ping`, `offer`, `answer`, `delete`, `query`, `list`, and our own `lease`,
//! `events` and `report ack`. Other commands of the protocol are recognised and carried by name
//! as [`Command::Unsupported`], other options as [`Signal::unsupported`], so that the engine
//! refuses them instead of passing them through in silence.
#![forbid(unsafe_code)]

mod client;
mod envelope;
mod event;
mod reply;
mod report;
mod request;
mod signal;
mod value;

pub use client::{ReplyError, split_cookie};
pub use envelope::{Encoding, Envelope, FrameError, RequestError};
pub use event::{EndReason, Ended, Event, EventBatch, EventKind, LegReport, MediaReport};
pub use reply::{CallList, Reply, SignalReply};
pub use report::{
    CallReport, Endpoint, MediaStatus, StreamCounters, StreamStatus, Subscription, SubscriptionKind,
    TagStatus, Totals,
};
pub use request::{Command, Delete, DeleteDelay, Events, Lease, List, Ping, Query, ReportAck, Request};
pub use signal::{Family, Ice, Learning, MessageKind, Replace, RtcpMux, Signal, TransportProtocol, Trust};
pub use value::Value;
