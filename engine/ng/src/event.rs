//! What the engine tells unasked: a sequenced, bounded log that clients poll with `events`.

use std::net::SocketAddr;

use crate::{
    quality::{MediaQuality, MediaTrouble},
    refusal::Refusal,
    report::{Offender, StreamCounters},
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
    /// A client of the TURN server has given back, or lost, the address that it was lent. It is nobody's call.
    RelayEnded(Box<RelayEnded>),
    /// New calls were refused, this one last. Told at the first, and then once a second at most.
    Refused {
        /// Why.
        reason: Refusal,
        /// How many for any reason since this was told last.
        calls: u64,
    },
    /// Somebody sends to the call without leave: told at the first packet, and once more when the call ends.
    Strangers {
        /// Packets so far.
        packets: u64,
        /// The most frequent ones.
        offenders: Vec<Offender>,
        /// The call is over: these are all.
        last: bool,
    },
    /// Packets told where a party is, or were to tell and did not. What the first packet from a signalled
    /// address tells is not worth an event.
    Learning {
        /// Tag of the party; empty while it has none.
        tag: String,
        /// Position of the section, from 1.
        media: u32,
        /// It is about the section's RTCP, on a port of its own.
        rtcp: bool,
        /// What came of it.
        outcome: LearningOutcome,
        /// Where the party is now; `None` if nobody was found.
        address: Option<SocketAddr>,
    },
    /// A handshake for keys of SRTP (DTLS) came to something. The call goes on, whatever it was.
    Handshake {
        /// Tag of the party; empty while it has none.
        tag: String,
        /// Position of the section, from 1.
        media: u32,
        /// It is about the section's RTCP, on a port of its own.
        rtcp: bool,
        /// What came of it.
        outcome: HandshakeOutcome,
        /// The suite that was agreed, or why there are no keys.
        detail: String,
    },
}

/// What came of a handshake for keys of SRTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandshakeOutcome {
    /// There are keys, and the party is the one that its description names.
    Connected,
    /// There are none. Where the party begins, it may do so again.
    Failed,
    /// The party ended what was agreed (`close_notify`); the keys stay, for signalling says when they end.
    Closed,
}

impl HandshakeOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Connected, Self::Failed, Self::Closed];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

/// What a user of the TURN server is to be charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayEnded {
    /// The user, as the credentials name it; what is not UTF-8 is replaced.
    pub user: String,
    /// Where the client was.
    pub client: SocketAddr,
    /// The address that it was lent.
    pub relayed: SocketAddr,
    /// For how long, in milliseconds.
    pub lifetime_ms: u64,
    /// From the client to its peers. Errors are none.
    pub to_peers: StreamCounters,
    /// From its peers to the client.
    pub to_client: StreamCounters,
    /// Why: `deleted`, `expired`, `flow-ended`, `shutdown`, `fault`.
    pub reason: String,
}

/// What came of learning where a party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LearningOutcome {
    /// It is heard from another of its known addresses than before.
    Moved,
    /// A lone, consistent stream from an unknown address was taken for it.
    Stream,
    /// No such stream was found in time.
    Nobody,
    /// ICE chose it: packets go there.
    Nominated,
    /// Where packets went nobody answers any more (RFC 7675): none are sent until ICE chooses again.
    ConsentLost,
    /// ICE tried every pair of addresses in vain.
    NoPair,
}

impl LearningOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Moved, Self::Stream, Self::Nobody, Self::Nominated, Self::ConsentLost, Self::NoPair];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Stream => "stream",
            Self::Nobody => "nobody",
            Self::Nominated => "nominated",
            Self::ConsentLost => "consent-lost",
            Self::NoPair => "no-pair",
        }
    }
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
    /// The SRTP suite that this party and the engine use; `None` where packets are plain.
    pub crypto_suite: Option<String>,
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
