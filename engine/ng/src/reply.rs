//! What is answered.

use crate::{
    envelope::{Encoding, RequestError},
    event::EventBatch,
    report::CallReport,
    report_value,
    statistics::{StatisticsReply, put_sections},
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
    /// `statistics`
    Statistics(StatisticsReply),
    /// `cli`: what the line printed.
    Cli(String),
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
    /// Text for a load average at its limit.
    pub const LOAD_LIMIT: &str = "Load limit exceeded";
    /// Text for processors that are too busy.
    pub const CPU_LIMIT: &str = "CPU usage limit exceeded";
    /// Text for too many bytes a second.
    pub const BANDWIDTH_LIMIT: &str = "Bandwidth limit exceeded";
    /// Text of an engine that takes no new call before it ends.
    pub const DRAINING: &str = "Draining";
    /// Text of `query` and `answer` for a call that is not there.
    pub const UNKNOWN_CALL: &str = "Unknown call-id";
    /// Text of `delete` for a call that is not there.
    pub const DELETE_NOT_FOUND: &str = "Call-ID not found or tags didn't match";
    /// Text for an epoch below the last one seen of that owner.
    pub const STALE_EPOCH: &str = "Stale epoch";

    /// The largest payload of one UDP datagram over IPv4.
    pub const DATAGRAM_BYTES_MAX: usize = 65_507;
    /// No reply on a stream is longer.
    pub const STREAM_BYTES_MAX: usize = 1 << 20;

    /// The datagram that answers a question with this cookie.
    ///
    /// Of events and names that do not fit one datagram the first are sent, and `next` leads to the rest; any other
    /// reply that does not fit becomes an error, since a client that hears nothing would ask for ever.
    pub fn datagram(&self, cookie: &[u8], encoding: Encoding) -> Vec<u8> {
        self.message(Some(cookie), encoding, Self::DATAGRAM_BYTES_MAX)
    }

    /// The same for any transport: with the cookie of the question if it had one, in at most `bytes_max` bytes.
    pub fn message(&self, cookie: Option<&[u8]>, encoding: Encoding, bytes_max: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        if let Some(cookie) = cookie {
            out.extend_from_slice(cookie);
            out.push(b' ');
        }
        self.encode(encoding, &mut out);
        if out.len() <= bytes_max {
            return out;
        }
        let less = match self {
            Self::Events(batch) if batch.events.len() > 1 => {
                let mut half = batch.clone();
                half.next = half.events.split_off(batch.events.len() / 2)[0].sequence;
                Self::Events(half)
            }
            Self::List(list) if list.calls.len() + list.ended.len() > 1 => {
                let mut half = list.clone();
                half.calls.truncate(list.calls.len().div_ceil(2));
                half.ended.truncate(list.ended.len() / 2);
                Self::List(half)
            }
            Self::Signal(signal) if !signal.explain.is_empty() => {
                let mut short = signal.clone();
                short.explain.clear();
                short.warning = Some("The reasons do not fit a datagram".to_owned());
                Self::Signal(short)
            }
            Self::Error(_) | Self::LoadLimit(_) => Self::Error(String::new()),
            _ => Self::Error("Reply exceeds a datagram".to_owned()),
        };
        less.message(cookie, encoding, bytes_max)
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
                fields.put("sdp", Value::text(&signal.sdp));
                if let [from_tag] = signal.from_tags.as_slice() {
                    fields.put_text("from-tag", from_tag);
                }
                if !signal.from_tags.is_empty() {
                    fields.put("from-tags", names(&signal.from_tags));
                }
                fields.put_some("to-tag", signal.to_tag.as_deref());
                if !signal.explain.is_empty() {
                    fields.put("explain", Value::List(signal.explain.iter().map(Explained::value).collect()));
                }
                fields.put_some("warning", signal.warning.as_deref());
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
            Self::Statistics(statistics) => {
                fields.put("statistics", put_sections(&statistics.sections));
            }
            Self::Cli(text) => {
                fields.put_text("response", text);
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
    /// Whom a `subscribe request` lets one hear.
    pub from_tags: Vec<String>,
    /// The tag of the party that a `subscribe request` made.
    pub to_tag: Option<String>,
    /// Why each line was changed; only where it was asked.
    pub explain: Vec<Explained>,
}

/// Why one line of a description was changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explained {
    /// Number of the line, from 1: in the description that came, or for an added line in the one that goes.
    pub line: u32,
    /// The line that came; `None` if it was added.
    pub was: Option<String>,
    /// The line that goes; `None` if it was removed.
    pub now: Option<String>,
    /// Why.
    pub why: String,
}

impl Explained {
    fn value(&self) -> Value<'_> {
        let mut fields = Fields::default();
        fields
            .put_number("line", self.line)
            .put_some("was", self.was.as_deref())
            .put_some("now", self.now.as_deref())
            .put_text("why", &self.why);
        fields.done()
    }

    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let text = |key| value.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            line: value.get("line")?.as_unsigned()?.try_into().ok()?,
            was: text("was"),
            now: text("now"),
            why: text("why").unwrap_or_default(),
        })
    }
}

/// The answer to `list`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallList {
    /// Live calls, by name.
    pub calls: Vec<String>,
    /// Ended calls with kept reports; only where the request named an owner.
    pub ended: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::split_cookie,
        event::{Event, EventKind, LegReport, MediaReport},
    };

    fn sent(reply: &Reply) -> Reply {
        let datagram = reply.datagram(b"1", Encoding::Bencode);
        assert!(datagram.len() <= Reply::DATAGRAM_BYTES_MAX);
        Reply::parse(split_cookie(&datagram).expect("a cookie").1).expect("a reply")
    }

    #[test]
    fn events_that_do_not_fit_are_left_for_the_next_question() {
        let leg = LegReport { tag: "t".repeat(100), medias: vec![MediaReport::default(); 20] };
        let event = |sequence| Event {
            sequence,
            call_id: "c".to_owned(),
            owner: None,
            wall_ms: 0,
            kind: EventKind::CallReport { legs: vec![leg.clone(), leg.clone()] },
        };
        let all: Vec<Event> = (100..100 + 64).map(event).collect();
        let mut seen = Vec::new();
        let mut since = 100;
        while since < 164 {
            let events = all.iter().filter(|event| event.sequence >= since).cloned().collect();
            let batch = EventBatch { instance: "i".to_owned(), next: 164, gap: false, events };
            let Reply::Events(part) = sent(&Reply::Events(batch)) else { panic!("events") };
            assert!(part.next > since);
            since = part.next;
            seen.extend(part.events);
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn names_that_do_not_fit_are_left_out() {
        let calls: Vec<String> = (0..5000).map(|n| format!("{n:040}")).collect();
        let Reply::List(list) = sent(&Reply::List(CallList { calls: calls.clone(), ended: Vec::new() }))
        else {
            panic!("a list")
        };
        assert!(list.calls.len() > 500);
        assert_eq!(list.calls, calls[..list.calls.len()]);
    }

    #[test]
    fn a_reply_beyond_a_datagram_is_an_error_instead_of_silence() {
        let signal = SignalReply { sdp: vec![b'x'; Reply::DATAGRAM_BYTES_MAX], ..SignalReply::default() };
        assert_eq!(sent(&Reply::Signal(signal)), Reply::Error("Reply exceeds a datagram".to_owned()));
        assert_eq!(sent(&Reply::Error("x".repeat(70_000))), Reply::Error(String::new()));
    }
}
