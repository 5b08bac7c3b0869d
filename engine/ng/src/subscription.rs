//! Commands that connect parties besides an offer and its answer.

use crate::{party::Selector, signal::Signal};

/// `subscribe request`: a description of what a party sends, for somebody who wants to hear it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscribeRequest {
    /// Whom to hear; [`SubscribeRequest::from_tags`] and `all` name several.
    pub selector: Selector,
    /// The parties to hear (`from-tags`), where the selector names nobody. At most [`SubscribeRequest::FROM_TAGS_MAX`].
    pub from_tags: Vec<String>,
    /// The call, the hearer's tag if the client chose one, and the options of the description.
    /// `from_tag` is empty if the request names none.
    pub signal: Box<Signal>,
}

impl SubscribeRequest {
    /// A request names no more parties than this; the rest is not read.
    pub const FROM_TAGS_MAX: usize = 64;
}

/// `subscribe answer`: the hearer's description. Its tag is the signal's `to_tag`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscribeAnswer {
    /// The call, the tag that the request was answered with, the description and its options.
    pub signal: Box<Signal>,
    /// Codecs that the request offered may be missing (flag `allow-transcoding`).
    pub allow_transcoding: bool,
}

/// `unsubscribe`: the party hears nobody any more.
///
/// Proxies send a `from-tag` too; as in rtpengine 10.5 it selects nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unsubscribe {
    /// The call.
    pub call_id: String,
    /// The tag that the request was answered with.
    pub to_tag: String,
}

/// `publish`: a party that only sends, for others to subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Publish {
    /// The call, the party's tag, its description and the options.
    pub signal: Box<Signal>,
    /// Codecs in order of preference, as `PCMA` or `PCMA/8000`; `any` is the first that is offered (`codec accept`).
    /// At most [`Publish::ACCEPT_MAX`].
    pub accept: Vec<String>,
}

impl Publish {
    /// A request names no more codecs than this; the rest is not read.
    pub const ACCEPT_MAX: usize = 64;
}

/// `connect`: two parties hear each other, of one call or of two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connect {
    /// Who is connected. `from_tag` is empty if only [`Connect::from_tags`] or `all` names them.
    pub selector: Selector,
    /// More parties to connect (`from-tags`). At most [`SubscribeRequest::FROM_TAGS_MAX`].
    pub from_tags: Vec<String>,
    /// The call of `to_tag`, if it is another (`to-call-id`).
    pub to_call_id: Option<String>,
    /// Both hear each other (flag `bidirectional`; the default unless `directional`).
    pub bidirectional: bool,
    /// The call, the tags, and the options. Without a description.
    pub signal: Box<Signal>,
}

impl Connect {
    /// The call of `to_tag`.
    pub fn other_call_id(&self) -> &str {
        self.to_call_id.as_deref().unwrap_or(&self.signal.call_id)
    }
}
