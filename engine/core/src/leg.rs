//! One party of a call: a tag and its media.

use rtp::{sdp::Origin, units::Instant};

use crate::{media::Media, path::Gate};

/// One party of a call.
#[derive(Debug, Default)]
pub(crate) struct Leg {
    /// `None` until an answer names it.
    pub(crate) tag: Option<String>,
    pub(crate) via_branch: Option<String>,
    /// Its name for `query`.
    pub(crate) label: Option<String>,
    pub(crate) created_s: u64,
    /// The logical interface it was given by its first offer.
    pub(crate) interface: Option<String>,
    /// By section.
    pub(crate) medias: Vec<Media>,
    /// Whom it talks to: the other side of its last offer or answer.
    pub(crate) peer: Option<usize>,
    /// Everybody it was ever in an offer and answer with.
    pub(crate) partners: Vec<usize>,
    /// What a client forbids it alone.
    pub(crate) gate: Gate,
    /// It sent a description itself.
    pub(crate) described: bool,
    /// It was deleted and goes at this time unless a new offer revives it.
    pub(crate) gone_at: Option<Instant>,
    /// What its descriptions said of themselves.
    pub(crate) identity: Identity,
}

/// What `replace` remembers of a party's descriptions.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// The first `o=`.
    pub(crate) origin: Option<Origin>,
    /// The first `s=`, as bytes of the whole line.
    pub(crate) session_name: Option<Vec<u8>>,
    /// The last version sent on, and the description it stood in, version left out.
    pub(crate) sent: Option<(String, Vec<u8>)>,
}

impl Leg {
    pub(crate) fn new(created_s: u64) -> Self {
        Self { created_s, ..Self::default() }
    }
}
