//! What a client asks: one variant per command, every key typed.

use std::net::IpAddr;

use crate::{
    party::{All, Recording},
    signal::Signal,
    subscription::{Connect, Publish, SubscribeAnswer, SubscribeRequest, Unsubscribe},
};

/// A request that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Keys, flags and values that were ignored, as text for a log line. At most
    /// [`Request::WARNINGS_MAX`].
    pub warnings: Vec<String>,
}

impl Request {
    /// No request makes more warnings than this; the rest is left out.
    pub const WARNINGS_MAX: usize = 32;
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Is anybody there?
    Ping(Ping),
    /// A party's description, to be rewritten for the other side.
    Offer(Box<Signal>),
    /// The other side's description, to be rewritten for the first.
    Answer(Box<Signal>),
    /// End a call or a branch.
    Delete(Box<Delete>),
    /// The state and counters of a call.
    Query(Query),
    /// The names of calls.
    List(List),
    /// Stop hearing somebody, or hear silence instead; or the end of that.
    Gate(Box<Gate>),
    /// Renew the lease of a call.
    Lease(Lease),
    /// The kept report of an ended call was read and can go.
    ReportAck(ReportAck),
    /// Events since a sequence number, waiting for one if there is none.
    Events(Events),
    /// A recording starts, or goes on.
    StartRecording(Box<Recording>),
    /// It ends.
    StopRecording(Box<Recording>),
    /// It pauses.
    PauseRecording(Box<Recording>),
    /// What a party sends is described for somebody who wants to hear it.
    SubscribeRequest(Box<SubscribeRequest>),
    /// The hearer's description.
    SubscribeAnswer(SubscribeAnswer),
    /// The hearer hears no more.
    Unsubscribe(Unsubscribe),
    /// A party that only sends.
    Publish(Publish),
    /// Two parties are connected without descriptions.
    Connect(Box<Connect>),
    /// The engine's counters.
    Statistics,
    /// A line for the command line of the engine.
    Cli(Cli),
    /// A command of the protocol that this engine has not built.
    Unsupported {
        /// Its name, spelt with blanks as in the protocol's documentation.
        name: String,
        /// The call it was meant for, if it named one.
        call_id: Option<String>,
    },
}

/// `ping`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ping {
    /// With an owner, the reply carries the engine's instance.
    pub owner: Option<String>,
}

/// `delete`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delete {
    /// The call.
    pub call_id: String,
    /// Without a tag the whole call goes.
    pub from_tag: Option<String>,
    /// Selects a party.
    pub to_tag: Option<String>,
    /// Selects a branch.
    pub via_branch: Option<String>,
    /// An unknown call is an error instead of `ok` with a warning (flag `fatal`).
    pub fatal: bool,
    /// Answer without statistics (flag `fast`).
    pub fast: bool,
    /// `to_tag` is to be honoured (flag `to-tag`).
    pub honour_to_tag: bool,
    /// How long the call stays revivable.
    pub delay: DeleteDelay,
    /// Names whoever drives this call.
    pub owner: Option<String>,
    /// Incarnation of the owner; a smaller one than seen before is refused.
    pub epoch: Option<u64>,
    /// Keep the final report until it is acknowledged, even if no offer asked for it.
    pub keep_report: bool,
}

/// How long a deleted call stays revivable (`delete delay`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeleteDelay {
    /// As configured.
    #[default]
    Default,
    /// That many seconds; 0 is at once.
    Seconds(u32),
}

/// `query`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The call.
    pub call_id: String,
    /// Only this party.
    pub from_tag: Option<String>,
    /// Only this party.
    pub to_tag: Option<String>,
}

/// `list`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// No more names than this.
    pub limit: usize,
    /// Only calls of this owner, ended ones with kept reports included.
    pub owner: Option<String>,
}

impl List {
    /// The limit where a request names none.
    pub const LIMIT_DEFAULT: usize = 32;
}

impl Default for List {
    fn default() -> Self {
        Self { limit: Self::LIMIT_DEFAULT, owner: None }
    }
}

/// `block media`, `unblock media`, `silence media`, `unsilence media`, `block DTMF`, `unblock DTMF`
///
/// Whom it is about: everybody with `all`; else the party found by label, else by address, else by tag; without any of
/// them the call as a whole. What is forbidden the call and what is forbidden a party are lifted each alone, except that
/// `all` lifts both. With a label of the hearer, or a kind of ways, the party is not heard on these ways alone; a `to-tag`
/// selects nobody, as in rtpengine 10.5, because proxies send it wherever they know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The call.
    pub call_id: String,
    /// What happens.
    pub action: GateAction,
    /// The party with this tag.
    pub from_tag: Option<String>,
    /// The party with this label.
    pub label: Option<String>,
    /// The party whose description names this address.
    pub address: Option<IpAddr>,
    /// The whole call and every party of it.
    pub all: bool,
    /// Only the way to the party with this label (`to-label`).
    pub to_label: Option<String>,
    /// Only ways of this kind (`all` with `offer-answer`, `except-offer-answer` or `flows`).
    pub ways: All,
    /// The party gets this label (`set-label`).
    pub set_label: Option<String>,
}

/// What a [`Gate`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateAction {
    /// Media of this party is dropped.
    Block,
    /// The end of that.
    Unblock,
    /// The audio of this party is replaced by silence, where its codec is G.711 or G.722.
    Silence,
    /// The end of that.
    Unsilence,
    /// Digits of this party as events (RFC 4733) are dropped.
    BlockDtmf,
    /// The end of that.
    UnblockDtmf,
}

impl GateAction {
    /// Every action, for tables and tests.
    pub const ALL: [Self; 6] =
        [Self::Block, Self::Unblock, Self::Silence, Self::Unsilence, Self::BlockDtmf, Self::UnblockDtmf];

    /// Whether it ends what another action began.
    pub fn is_lift(self) -> bool {
        matches!(self, Self::Unblock | Self::Unsilence | Self::UnblockDtmf)
    }

    /// The command's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block media",
            Self::Unblock => "unblock media",
            Self::Silence => "silence media",
            Self::Unsilence => "unsilence media",
            Self::BlockDtmf => "block DTMF",
            Self::UnblockDtmf => "unblock DTMF",
        }
    }
}

/// `cli`: a line for the command line of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cli {
    /// The line. At most [`Cli::LINE_BYTES_MAX`].
    pub line: String,
}

impl Cli {
    /// A longer line is refused.
    pub const LINE_BYTES_MAX: usize = 1024;
}

/// `lease`: renews the lease of a live call without a new offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lease {
    /// The call.
    pub call_id: String,
    /// Who drives it.
    pub owner: String,
    /// Incarnation of the owner; a smaller one than seen before is refused.
    pub epoch: u64,
    /// Milliseconds from acceptance of this command.
    pub lease_ms: u64,
}

/// `report ack`: the kept report of an ended call was read and can go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportAck {
    /// The call.
    pub call_id: String,
    /// Who drove it.
    pub owner: Option<String>,
    /// Incarnation of the owner; a smaller one than seen before is refused.
    pub epoch: Option<u64>,
}

/// `events`: a long poll.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Events {
    /// The first sequence number that is wanted: `next` of the batch before, or 0.
    pub since: u64,
    /// How long the engine may wait for one, in milliseconds. At most
    /// [`Events::WAIT_MS_MAX`].
    pub wait_ms: u64,
    /// Only events of calls of this owner.
    pub owner: Option<String>,
}

impl Events {
    /// Longer waits are cut to this.
    pub const WAIT_MS_MAX: u64 = 30_000;
}
