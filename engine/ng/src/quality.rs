//! How well a party is heard, and what is wrong with its media.

use std::borrow::Cow;

/// The quality of what arrived from one party, over the whole of one media section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaQuality {
    /// The last synchronisation source.
    pub ssrc: u32,
    /// Encoding and clock of the last speech, such as `PCMA/8000`; empty if it is not known.
    pub codec: Cow<'static, str>,
    /// Packets that should have been there.
    pub expected: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Packets that came too late for the assumed jitter buffer.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after later ones.
    pub reordered: u64,
    /// How much longer the runs of missing packets are than chance makes them, in hundredths: 100
    /// is chance.
    pub burst_ratio_x100: u32,
    /// Interarrival jitter of the last source, in microseconds.
    pub jitter_us: u64,
    /// The largest it has been.
    pub jitter_max_us: u64,
    /// Mean opinion score over the whole time, in hundredths; `None` for what is not speech, or
    /// of an unknown encoding.
    pub mos_x100: Option<u32>,
    /// That of the worst interval.
    pub mos_lowest_x100: Option<u32>,
    /// Round trip from end to end by RTCP, in microseconds; `None` if the ends do not both report.
    pub round_trip_us: Option<u64>,
    /// The delay from mouth to ear that the scores assume, in milliseconds.
    pub delay_ms: u32,
    /// Where that comes from.
    pub delay_from: DelayFrom,
    /// The jitter buffer that the scores assume at the listener, in milliseconds.
    pub buffer_ms: u32,
}

/// Where a delay comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DelayFrom {
    /// A constant.
    #[default]
    Assumed,
    /// The round trip that RTCP shows.
    Rtcp,
}

impl DelayFrom {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Rtcp => "rtcp",
        }
    }
}

/// What can be wrong with the media of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// One party, that ought to, sends nothing; another does.
    NoMediaOneWay,
    /// Nobody sends anything, though somebody ought to.
    NoMedia,
    /// What is sent to a party comes back from it.
    Looped,
    /// Two sources have one synchronisation source identifier.
    SsrcCollision,
    /// A party's first packet came long after it was due. Begins and has no end.
    LateMedia,
}

impl Trouble {
    /// Every kind, in order.
    pub const ALL: [Self; 5] =
        [Self::NoMediaOneWay, Self::NoMedia, Self::Looped, Self::SsrcCollision, Self::LateMedia];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoMediaOneWay => "no-media-one-way",
            Self::NoMedia => "no-media",
            Self::Looped => "looped-media",
            Self::SsrcCollision => "ssrc-collision",
            Self::LateMedia => "late-media",
        }
    }
}

/// Something is wrong with the media of a call, or is so no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaTrouble {
    /// What.
    pub trouble: Trouble,
    /// It is over.
    pub recovered: bool,
    /// The party that sends nothing, late, or what it was sent itself; empty where it is all of them.
    pub tag: String,
    /// The media section, from 1.
    pub media: u32,
    /// The synchronisation source, where it is about one.
    pub ssrc: Option<u32>,
    /// How long the silence had been, or how late the first packet was, in milliseconds; 0 where it is over.
    pub since_ms: u64,
}
