//! One party of a call: a tag and its media.

use rtp::{
    sdp::{self, Origin},
    units::Instant,
};

use crate::{
    media::{Media, Transport},
    path::{Gate, Paths},
    recording::Wish,
};

/// How a party came to its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Role {
    /// By an offer or an answer.
    #[default]
    Talker,
    /// By a subscription: it hears others, and nobody hears it.
    Subscriber,
    /// By a publication: others hear it, and it hears nobody.
    Publisher,
}

/// One party of a call.
#[derive(Debug, Default)]
pub(crate) struct Leg {
    pub(crate) role: Role,
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
    /// The other side of the last offer or answer that it was part of at all.
    pub(crate) last: Option<usize>,
    /// Everybody it was ever in an offer and answer with.
    pub(crate) partners: Vec<usize>,
    /// Whom it hears by subscription, or by a connection one way.
    pub(crate) hears: Vec<usize>,
    /// Its last description; of a subscriber the one that it was offered.
    pub(crate) description: Option<Box<[u8]>>,
    /// What a client forbids it alone.
    pub(crate) gate: Gate,
    /// What a client forbids on the way from it to single parties.
    pub(crate) ways: Vec<(usize, Gate)>,
    /// Further tags by which it is known (`alias-key`).
    pub(crate) aliases: Vec<String>,
    /// Whether it is recorded when the call is.
    pub(crate) recorded: Wish,
    /// Text noted with it.
    pub(crate) metadata: Option<Box<str>>,
    /// Sections that its last offer would have on one port.
    pub(crate) bundle: Vec<String>,
    /// It sent a description itself.
    pub(crate) described: bool,
    /// It was deleted and goes at this time unless a new offer revives it.
    pub(crate) gone_at: Option<Instant>,
    /// What the descriptions that it was sent said of themselves.
    pub(crate) identity: Identity,
}

/// What `replace` remembers of the descriptions that a party was sent.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// The first `o=`.
    pub(crate) origin: Option<Origin>,
    /// The first `s=`, as bytes of the whole line.
    pub(crate) session_name: Option<Vec<u8>>,
    /// The last version sent on, and the description it stood in, version left out.
    pub(crate) sent: Option<(String, Vec<u8>)>,
    /// Where we describe the session to it ourselves: what `o=` says.
    pub(crate) own: Option<OwnSession>,
}

/// Number and version of a session that we describe ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnSession {
    pub(crate) id: u64,
    pub(crate) version: u64,
}

impl Leg {
    pub(crate) fn new(created_s: u64) -> Self {
        Self { created_s, ..Self::default() }
    }

    /// Makes the section of this number, unless the party has it: one of a description is made after another.
    pub(crate) fn begin_media(
        &mut self,
        index: usize,
        fields: &sdp::Media,
        transport: Transport,
        paths: &mut Paths,
    ) {
        if self.medias.len() <= index {
            self.medias.push(Media::new(&fields.kind, &fields.proto, transport, paths));
        }
    }

    /// Whether it is known by this tag.
    pub(crate) fn is_tagged(&self, tag: &str) -> bool {
        self.tag.as_deref() == Some(tag) || self.aliases.iter().any(|alias| alias == tag)
    }

    /// Whether it hears this party by subscription.
    pub(crate) fn subscribes_to(&self, index: usize) -> bool {
        self.hears.contains(&index)
    }
}
