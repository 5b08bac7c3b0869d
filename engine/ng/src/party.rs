//! Which parties of a call a command is about.

use std::net::IpAddr;

/// Which party, or parties, of a call a command is about, and towards whom.
///
/// Without tag, label and address it is the whole call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// The party with this tag.
    pub from_tag: Option<String>,
    /// The party that hears, as the sink of a gate.
    pub to_tag: Option<String>,
    /// The party with this label (`label`, `from-label`).
    pub label: Option<String>,
    /// The party that hears, by its label.
    pub to_label: Option<String>,
    /// The party with this address in its description.
    pub address: Option<IpAddr>,
    /// The branch of the party.
    pub via_branch: Option<String>,
    /// One party is meant (flag `directional`); rtpengine 10.5 takes a tag for that with and without it.
    pub directional: bool,
    /// Everyone, or every connection of a kind (key and flag `all`).
    pub all: All,
}

/// Which connections of the chosen party a command is about (`all`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum All {
    /// As the other keys say.
    #[default]
    Unsaid,
    /// Everyone (`all`): lifting a block of the whole call lifts those of its parties too.
    Everyone,
    /// What an offer and its answer connected (`offer-answer`).
    OfferAnswer,
    /// What anything else connected (`except-offer-answer`).
    ExceptOfferAnswer,
    /// Every connection, one by one (`flows`).
    Flows,
}

impl All {
    /// Every value, for tables and tests.
    pub const ALL: [Self; 5] =
        [Self::Unsaid, Self::Everyone, Self::OfferAnswer, Self::ExceptOfferAnswer, Self::Flows];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "none",
            Self::Everyone => "all",
            Self::OfferAnswer => "offer-answer",
            Self::ExceptOfferAnswer => "except-offer-answer",
            Self::Flows => "flows",
        }
    }
}

/// `start recording`, `stop recording`, `pause recording`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    /// The call.
    pub call_id: String,
    /// Whose media.
    pub selector: Selector,
    /// Where to, and what to note.
    pub options: RecordingOptions,
}

/// Where a recording goes and what is noted with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingOptions {
    /// Text noted with the recording, and shown by `query` (`metadata`).
    pub metadata: Option<String>,
    /// `output-destination`
    pub destination: Option<String>,
    /// Name of the file (`recording-file`).
    pub file: Option<String>,
    /// Its directory (`recording-dir`).
    pub directory: Option<String>,
    /// How its name is put together (`recording-pattern`).
    pub pattern: Option<String>,
    /// This party is left out (flag `exclude-recording`).
    pub exclude: bool,
    /// What was recorded is thrown away (flag `discard-recording`).
    pub discard: bool,
    /// No entry in a database is made (flag `skip-recording-db`).
    pub skip_db: bool,
}

impl RecordingOptions {
    /// A longer text of one of the options is cut.
    pub const TEXT_BYTES_MAX: usize = 4096;
}
