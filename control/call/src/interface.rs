//! What goes into the exchange and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;
use ledger::Amount;
use sip::{FlowId, Hop, Message};

use crate::{
    AccountId, CallId, Cdr, Directory, EngineId, JournalEntry, Side, StoreReply, StoreRequest, TrunkId,
};

/// Something that happened outside.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "SIP is the common input, and it is moved once")]
pub enum Input {
    /// A SIP message arrived.
    Sip {
        /// Where from; its flow is set.
        hop: Hop,
        /// The message.
        message: Message,
    },
    /// A connection is gone.
    FlowClosed(FlowId),
    /// A message could not be sent over this hop.
    SendFailed(Hop),
    /// The store answered `Output::Store` of the same `id`.
    Store {
        /// The id of the request.
        id: u64,
        /// The answer.
        reply: StoreReply,
    },
    /// An engine answered `Output::Media` of the same `id`, or did not.
    Media {
        /// The id of the command.
        id: u64,
        /// The answer.
        reply: Result<ng::Reply, MediaError>,
    },
    /// An engine told of one of our calls.
    EngineEvent {
        /// Which engine.
        engine: EngineId,
        /// What it told.
        event: ng::Event,
    },
    /// An engine answers. Repeated whenever that is noticed anew; another instance is another process.
    EngineUp {
        /// Which engine.
        engine: EngineId,
        /// Its process.
        instance: String,
    },
    /// An engine does not answer any more.
    EngineDown {
        /// Which engine.
        engine: EngineId,
    },
    /// The directory changed.
    Directory(Arc<Directory>),
    /// The journal as the last process left it, empty if there was none. Given once, before the first SIP
    /// message; until then engines may come up, but no call of theirs is taken for a stray one.
    Restore(Vec<JournalEntry>),
    /// The instant of `next_deadline` came.
    Tick,
    /// No new calls from now on; those that are there go on.
    Drain,
}

/// Something to be done outside.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where to.
        hop: Hop,
        /// One SIP message.
        bytes: Bytes,
    },
    /// Do this durably; answered by `Input::Store`. Requests of one call are to be executed in order.
    Store {
        /// Ties the answer to the question.
        id: u64,
        /// What to do.
        request: StoreRequest,
    },
    /// Ask an engine; answered by `Input::Media`.
    Media {
        /// Ties the answer to the question.
        id: u64,
        /// Which engine.
        engine: EngineId,
        /// What to ask.
        command: ng::Command,
    },
    /// Something an operator may want to read.
    Progress(Progress),
}

/// Why an engine gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// Nothing came in time, retries included.
    #[error("the engine did not answer")]
    Timeout,
    /// The answer was not understood.
    #[error("the engine's answer is not understood")]
    Malformed,
}

/// How a call comes along, for the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A phone registered, or left when `contacts` is 0.
    Registered {
        /// Its account.
        account: AccountId,
        /// How many contacts it has now.
        contacts: usize,
    },
    /// An authenticated phone calls.
    Setup {
        /// The call.
        call: CallId,
        /// Who pays.
        account: AccountId,
        /// The number called.
        callee: String,
    },
    /// Funds are held.
    Held {
        /// The call.
        call: CallId,
        /// How much.
        held: Amount,
        /// For how long.
        seconds: u32,
    },
    /// Somebody is dialled.
    Dialling {
        /// The call.
        call: CallId,
        /// Over which trunk; none for a registered phone.
        trunk: Option<TrunkId>,
    },
    /// The called side rings.
    Ringing {
        /// The call.
        call: CallId,
    },
    /// Its engine says that something is wrong with its media, or is so no longer.
    MediaTrouble {
        /// The call.
        call: CallId,
        /// What, and whose.
        trouble: ng::MediaTrouble,
    },
    /// The called side answered and both know it.
    Answered {
        /// The call.
        call: CallId,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallId,
        /// Final SIP status of its INVITE.
        sip_status: u16,
        /// Why, in words.
        cause: String,
        /// Who ended it.
        by: Side,
    },
    /// The charge is posted and the record is written.
    Settled(Box<Cdr>),
    /// A call of an earlier process was taken up again.
    Recovered {
        /// The call.
        call: CallId,
        /// It had been answered.
        answered: bool,
    },
    /// The store refused or failed a step.
    StoreFailed {
        /// The call.
        call: CallId,
        /// What the store said.
        reason: String,
    },
    /// An engine refused or failed a command.
    MediaFailed {
        /// The call.
        call: CallId,
        /// Which engine.
        engine: EngineId,
        /// What it said.
        reason: String,
    },
    /// An engine came back as another process, or went away.
    EngineLost {
        /// Which engine.
        engine: EngineId,
        /// How many calls it takes along.
        calls: usize,
    },
}
