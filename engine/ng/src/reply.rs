//! What is answered.

use crate::{event::EventBatch, report::CallReport};

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `ping`: somebody is here.
    Pong {
        /// Random per engine process; only for a client that named itself.
        instance: Option<String>,
    },
    /// `offer` and `answer`: the rewritten description.
    Signal(SignalReply),
    /// Done, nothing more to say (`lease`, `report ack`, `delete` with `fast`).
    Ok {
        /// Something the client may want to log.
        warning: Option<String>,
    },
    /// `query`, and `delete` with statistics.
    Report(Box<CallReport>),
    /// `list`
    List(CallList),
    /// `events`
    Events(EventBatch),
    /// Refused; the text is what clients compare.
    Error(String),
    /// Refused because the engine is full; only for a client that said it knows this result.
    LoadLimit(String),
}

impl Reply {
    /// Text for a limit of sessions; proxies fail over on it.
    pub const PARALLEL_SESSION_LIMIT: &str = "Parallel session limit reached";
    /// Text for used-up ports; proxies fail over on it.
    pub const OUT_OF_PORTS: &str = "Ran out of ports";
    /// Text of `query` and `answer` for a call that is not there.
    pub const UNKNOWN_CALL: &str = "Unknown call-id";
    /// Text of `delete` for a call that is not there.
    pub const DELETE_NOT_FOUND: &str = "Call-ID not found or tags didn't match";
    /// Text for an epoch below the last one seen of that owner.
    pub const STALE_EPOCH: &str = "Stale epoch";
}

/// The rewritten description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignalReply {
    /// The SDP for the other side.
    pub sdp: Vec<u8>,
    /// Something the client may want to log.
    pub warning: Option<String>,
}

/// The answer to `list`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallList {
    /// Live calls, by name.
    pub calls: Vec<String>,
    /// Ended calls with kept reports; only where the request named an owner.
    pub ended: Vec<String>,
}
