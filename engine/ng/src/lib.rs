//! The NG control protocol: text in, typed requests out; typed replies in, text out; both for
//! the side that serves and the side that asks.
//!
//! A datagram is a cookie, one space and a document in bencode or JSON. [`Envelope::parse`]
//! turns it into a typed [`Request`] (or the exact error text that a client expects), and
//! [`Reply::datagram`] answers in the encoding of the question. The client half is
//! [`Command::datagram`] and [`Reply::parse`]. No flag string leaves this crate
//! (`engine/adr/0005-ng-lives-in-three-rooms.md`).
//!
//! Supported: `ping`, `offer`, `answer`, `delete`, `query`, `list`, `block media`, `silence media` and their ends, subscriptions, `publish`, `connect`, and our own `lease`,
//! `events` and `report ack`. Other commands of the protocol are recognised and carried by name
//! as [`Command::Unsupported`], other options as [`Signal::unsupported`], so that the engine
//! refuses them instead of passing them through in silence.
#![forbid(unsafe_code)]

pub mod bencode;
mod cache;
mod client;
mod dtls;
mod envelope;
mod event;
mod framer;
pub mod json;
mod lint;
mod options;
mod party;
mod party_read;
mod party_write;
mod quality;
mod quality_value;
mod refusal;
mod reply;
mod report;
mod report_value;
mod request;
mod request_read;
mod rtpp_flags;
mod sdes;
mod signal;
mod signal_read;
mod spelling;
mod statistics;
mod subscription;
mod templates;
mod value;
mod webrtc;

pub use cache::{Known, ReplyCache, RequestKey};
pub use client::ReplyError;
pub use dtls::Dtls;
pub use envelope::{
    Encoding, Envelope, FrameError, RequestError, read_document, read_document_with, split_cookie,
};
pub use event::{
    EndReason, Ended, Event, EventBatch, EventKind, HandshakeOutcome, LearningOutcome, LegReport,
    MediaReport, RelayEnded,
};
pub use framer::{Framer, Message, StreamError};
pub use lint::lint;
pub use party::{All, Recording, RecordingOptions, Selector};
pub use quality::{DelayFrom, MediaQuality, MediaTrouble, Trouble};
pub use refusal::Refusal;
pub use reply::{CallList, Explained, Reply, SignalReply};
pub use report::{
    CallReport, MediaStatus, MosAverage, MosSample, Offender, SsrcQuality, SsrcReport, StreamCounters,
    StreamStatus, Subscription, SubscriptionKind, TagStatus, Totals,
};
pub use request::{
    Cli, Command, Delete, DeleteDelay, Events, Gate, GateAction, Lease, List, Ping, Query, ReportAck, Request,
};
pub use sdes::{Osrtp, Sdes};
pub use signal::{
    AliasKey, Family, Ice, Learning, MessageKind, Network, NetworkError, Replace, RtcpMux, Signal, Tos,
    TransportProtocol, Trust,
};
pub use statistics::{Stat, StatisticsReply};
pub use subscription::{Connect, Publish, SubscribeAnswer, SubscribeRequest, Unsubscribe};
pub use templates::Templates;
pub use value::{Entry, Value};
pub use webrtc::{Bundle, IceLite};
