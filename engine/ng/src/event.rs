//! What the engine tells unasked: a sequenced, bounded log that clients poll with `events`.

use crate::{
    quality::{MediaQuality, MediaTrouble},
    refusal::Refusal,
    report::StreamCounters,
};

/// Something that happened to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position in the engine's log; rises by one. 0 until the log gives it one.
    pub sequence: u64,
    /// The call.
    pub call_id: String,
    /// Who drives it.
    pub owner: Option<String>,
    /// Wall clock, milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// The counters of a live call, once a second.
    CallReport {
        /// One per party, in order of appearance.
        legs: Vec<LegReport>,
    },
    /// Something is wrong with its media, or is so no longer.
    MediaTrouble(MediaTrouble),
    /// The call is over; its ports are free.
    Ended {
        /// Why and when.
        ended: Ended,
        /// The last counters.
        legs: Vec<LegReport>,
    },
    /// What was recorded could not be kept: the recording is over, the call goes on.
    RecordingFailed,
    /// New calls were refused, this one last. Told at the first, and then once a second at most.
    Refused {
        /// Why.
        reason: Refusal,
        /// How many for any reason since this was told last.
        calls: u64,
    },
}

/// Why and when a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// Wall clock, milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// Milliseconds from the first offer, by the monotonic clock.
    pub lifetime_ms: u64,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// By `delete`.
    Deleted,
    /// No stream had a packet for longer than its timeout.
    MediaTimeout,
    /// Nobody answered for longer than the offer timeout.
    OfferTimeout,
    /// It was as long as a call may be.
    FinalTimeout,
    /// The lease ran out.
    LeaseEnded,
    /// The engine shut down in order.
    Shutdown,
    /// The engine failed on this call.
    Fault,
}

impl EndReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::Deleted,
        Self::MediaTimeout,
        Self::OfferTimeout,
        Self::FinalTimeout,
        Self::LeaseEnded,
        Self::Shutdown,
        Self::Fault,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::MediaTimeout => "media-timeout",
            Self::OfferTimeout => "offer-timeout",
            Self::FinalTimeout => "final-timeout",
            Self::LeaseEnded => "lease-ended",
            Self::Shutdown => "shutdown",
            Self::Fault => "fault",
        }
    }
}

/// The counters of one party.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegReport {
    /// Its tag; empty while it has none.
    pub tag: String,
    /// One per media section.
    pub medias: Vec<MediaReport>,
}

/// The counters of one media section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaReport {
    /// Received from this party: RTP.
    pub received: StreamCounters,
    /// Sent to this party: RTP.
    pub sent: StreamCounters,
    /// Milliseconds since the last packet from this party; `None` before the first.
    pub last_packet_ms: Option<u64>,
    /// How well this party is heard; `None` before its first packet.
    pub quality: Option<MediaQuality>,
}

/// The answer to `events`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventBatch {
    /// Random per engine process: another value means that sequence numbers start anew.
    pub instance: String,
    /// `since` of the next request.
    pub next: u64,
    /// Events between `since` and the first one here are lost: the log is bounded.
    pub gap: bool,
    /// In order of sequence.
    pub events: Vec<Event>,
}

impl EventBatch {
    /// A batch carries no more events than this, so that it fits a datagram.
    pub const EVENTS_MAX: usize = 64;
}
