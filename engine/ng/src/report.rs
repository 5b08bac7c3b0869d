//! The state and counters of a call, as `query` and `delete` answer them.

use std::{borrow::Cow, net::SocketAddr};

use crate::{event::Ended, quality::MediaQuality};

/// The state and counters of a call.
///
/// The shape is rtpengine's, plus `ended` and `owner` for calls that have an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallReport {
    /// Wall clock at creation, microseconds since the Unix epoch.
    pub created_us: u64,
    /// Wall clock of the last offer or answer, seconds since the Unix epoch.
    pub last_signal_s: u64,
    /// The parties, in order of appearance.
    pub tags: Vec<TagStatus>,
    /// What is known of each synchronisation source, as Kamailio and OpenSIPS read quality.
    pub ssrcs: Vec<SsrcReport>,
    /// Everything received, summed.
    pub totals: Totals,
    /// The call is being recorded.
    pub recording: bool,
    /// Who sent to the call without leave.
    pub offenders: Vec<Offender>,
    /// Who drives the call.
    pub owner: Option<String>,
    /// Why and when the call ended; `None` while it lives.
    pub ended: Option<Ended>,
}

/// One party of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagStatus {
    /// Its tag; empty while it has none.
    pub tag: String,
    /// The branch it was offered on.
    pub via_branch: Option<String>,
    /// Further tags by which it is known.
    pub aliases: Vec<String>,
    /// Its label.
    pub label: Option<String>,
    /// Wall clock at creation, seconds since the Unix epoch.
    pub created_s: u64,
    /// Text noted with the party.
    pub metadata: Option<String>,
    /// Words such as `blocked`, `silenced`, `recording`.
    pub flags: Vec<Cow<'static, str>>,
    /// The parties it hears.
    pub subscriptions: Vec<Subscription>,
    /// The parties that hear it.
    pub subscribers: Vec<Subscription>,
    /// Its media sections.
    pub medias: Vec<MediaStatus>,
}

/// Who hears whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// The other party.
    pub tag: String,
    /// How it came about.
    pub kind: SubscriptionKind,
}

/// How a subscription came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SubscriptionKind {
    /// By an offer and its answer.
    #[default]
    OfferAnswer,
    /// By `subscribe request`.
    PubSub,
}

/// One media section of a party.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaStatus {
    /// Position in the description, from 1.
    pub index: u32,
    /// `audio`, `video`, `image` …
    pub kind: String,
    /// Profile, such as `RTP/AVP`.
    pub protocol: String,
    /// Codec last seen, such as `PCMU/8000`; `None` before the first packet.
    pub codec: Option<String>,
    /// RTP first, then RTCP.
    pub streams: Vec<StreamStatus>,
    /// Words such as `initialized`, `send`, `recv`.
    pub flags: Vec<Cow<'static, str>>,
    /// Synchronisation sources that came from the party.
    pub ingress_ssrcs: Vec<u32>,
    /// Synchronisation sources that went to it.
    pub egress_ssrcs: Vec<u32>,
    /// How well this party is heard; `None` before its first packet.
    pub quality: Option<MediaQuality>,
}

/// One socket of a media section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamStatus {
    /// Where we listen; `None` for a rejected section.
    pub local: Option<SocketAddr>,
    /// Where the peer is, as learned; `None` before anything is known.
    pub endpoint: Option<SocketAddr>,
    /// Where the peer said it is.
    pub advertised_endpoint: Option<SocketAddr>,
    /// The SRTP suite that the peer and we use; `None` where packets are plain.
    pub crypto_suite: Option<String>,
    /// Wall clock of the last packet (or of creation before the first), seconds since the epoch.
    pub last_packet_s: u64,
    /// Words such as `RTP`, `RTCP`, `filled`, `confirmed`.
    pub flags: Vec<Cow<'static, str>>,
    /// What was received.
    pub stats: StreamCounters,
    /// What was sent; `None` leaves it out.
    pub stats_out: Option<StreamCounters>,
    /// The stream's synchronisation source, once a packet named it.
    pub ssrc: Option<u32>,
}

/// What is known of one synchronisation source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SsrcReport {
    /// The source.
    pub ssrc: u32,
    /// Packets received; `None` leaves packets and bytes out.
    pub received: Option<(u64, u64)>,
    /// Packets lost.
    pub lost: u64,
    /// Its quality, once there is a sample.
    pub quality: Option<Box<SsrcQuality>>,
}

/// The quality of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SsrcQuality {
    /// Over all samples.
    pub average: MosAverage,
    /// The worst.
    pub lowest: MosSample,
    /// The best.
    pub highest: MosSample,
    /// Seconds between the entries of [`SsrcQuality::progression`].
    pub interval_s: u32,
    /// Samples in order of time, thinned out.
    pub progression: Vec<MosSample>,
}

/// The average quality of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MosAverage {
    /// The average; its time is not written.
    pub sample: MosSample,
    /// Over how many samples.
    pub samples: u64,
}

/// The quality of one source at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MosSample {
    /// Mean opinion score times ten, from 10 to 50; 0 where it is not known.
    pub mos_x10: u8,
    /// Round trip from end to end, microseconds.
    pub round_trip_us: u32,
    /// The part of it that lies between us and the sender, microseconds.
    pub round_trip_leg_us: u32,
    /// Jitter, milliseconds.
    pub jitter_ms: u32,
    /// Packets lost, per cent.
    pub loss_percent: u8,
    /// Wall clock, seconds since the Unix epoch.
    pub reported_at_s: u64,
}

/// Somebody who sent to a call without leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offender {
    /// From where.
    pub address: SocketAddr,
    /// How often.
    pub packets: u64,
    /// Wall clock of the first, milliseconds since the Unix epoch.
    pub first_ms: u64,
    /// Wall clock of the last, milliseconds since the Unix epoch.
    pub last_ms: u64,
}

/// Packets, bytes and errors of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StreamCounters {
    /// Packets received.
    pub packets: u64,
    /// Bytes received, headers of RTP included, of UDP not.
    pub bytes: u64,
    /// Packets dropped.
    pub errors: u64,
}

/// Everything received, summed over the parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Totals {
    /// RTP.
    pub rtp: StreamCounters,
    /// RTCP.
    pub rtcp: StreamCounters,
}

impl SubscriptionKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OfferAnswer => "offer/answer",
            Self::PubSub => "pub/sub",
        }
    }
}

impl TagStatus {
    /// RTP received from this party, all media together.
    pub fn received(&self) -> StreamCounters {
        let rtp = self.medias.iter().filter_map(|media| media.streams.first());
        rtp.fold(StreamCounters::default(), |sum, stream| StreamCounters {
            packets: sum.packets.saturating_add(stream.stats.packets),
            bytes: sum.bytes.saturating_add(stream.stats.bytes),
            errors: sum.errors.saturating_add(stream.stats.errors),
        })
    }
}
