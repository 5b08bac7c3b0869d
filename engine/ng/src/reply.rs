//! What is answered.

use crate::{
    envelope::{Encoding, RequestError},
    event::EventBatch,
    report::CallReport,
    report_value,
    value::{Fields, Value},
};

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

    /// The datagram that answers a question with this cookie.
    pub fn datagram(&self, cookie: &[u8], encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(cookie);
        out.push(b' ');
        self.encode(encoding, &mut out);
        out
    }

    /// Appends the document. Keys stand in rtpengine's order.
    pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
        encoding.write(&self.value(), out);
    }

    /// Refuses options by name.
    pub fn not_supported(names: &[String]) -> Self {
        Self::Error(format!("Not supported: {}", names.join(", ")))
    }

    fn value(&self) -> Value<'_> {
        let mut fields = Fields::default();
        match self {
            Self::Pong { instance } => {
                fields.put_text("result", "pong").put_some("instance", instance.as_deref());
                return fields.done();
            }
            Self::Error(reason) => {
                fields.put_text("result", "error").put_text("error-reason", reason);
                return fields.done();
            }
            Self::LoadLimit(message) => {
                fields.put_text("result", "load limit").put_text("message", message);
                return fields.done();
            }
            Self::Signal(signal) => {
                fields.put("sdp", Value::text(&signal.sdp)).put_some("warning", signal.warning.as_deref());
            }
            Self::Ok { warning } => {
                fields.put_some("warning", warning.as_deref());
            }
            Self::Report(report) => report_value::put_report(report, &mut fields),
            Self::List(list) => {
                fields.put("calls", names(&list.calls));
                if !list.ended.is_empty() {
                    fields.put("ended", names(&list.ended));
                }
            }
            Self::Events(batch) => report_value::put_events(batch, &mut fields),
        }
        fields.put_text("result", "ok");
        fields.done()
    }
}

impl From<RequestError> for Reply {
    fn from(error: RequestError) -> Self {
        Self::Error(error.to_string())
    }
}

fn names(names: &[String]) -> Value<'_> {
    Value::List(names.iter().map(Value::text).collect())
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
