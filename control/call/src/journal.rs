//! What a call needs to be known by after a restart: one row per call, replaced at every step
//! (`adr/0003-journal-act-commit-acknowledge.md`).

use std::net::SocketAddr;

use ledger::{Amount, Currency, Quote};
use serde::{Deserialize, Serialize};

use crate::{AccountId, Attempt, CallId, CallMedia, CdrRoute, EngineId, TrunkId, WallTime};

/// A call as the store keeps it between two steps, opaque to the store but for [`JournalEntry::call`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The key.
    pub call: CallId,
    /// How far the call had come.
    pub step: Step,
    /// Who pays.
    pub account: Option<AccountId>,
    /// The number or user that called.
    pub caller: String,
    /// The number or user that was called.
    pub callee: String,
    /// Where the call goes.
    pub route: CdrRoute,
    /// The trunk of `callee_leg`.
    pub trunk: Option<TrunkId>,
    /// What it may cost, and once it was answered what it costs.
    #[serde(alias = "rate")]
    pub quote: Option<Quote>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// What is held; zero in the row written together with the hold itself.
    pub held: Amount,
    /// How long the call may last on it.
    pub held_seconds: u32,
    /// Media may go on this long beyond it.
    pub grace_seconds: u32,
    /// Where the media is.
    pub media: Option<MediaRecord>,
    /// The name of the call at its engine.
    pub media_name: String,
    /// Counters as they were last reported.
    pub counters: CallMedia,
    /// The phone's INVITE arrived.
    pub setup_at: WallTime,
    /// The first 18x arrived.
    pub ring_at: Option<WallTime>,
    /// The 200 arrived: charge runs from here.
    pub answer_at: Option<WallTime>,
    /// From the INVITE to the first 18x.
    pub post_dial_ms: Option<u64>,
    /// From the INVITE to the 200.
    pub wait_ms: Option<u64>,
    /// Tries before this one.
    pub attempts: Vec<Attempt>,
    /// The leg that called.
    pub caller_leg: Option<LegRecord>,
    /// The leg that was called.
    pub callee_leg: Option<LegRecord>,
}

/// How far a call had come when its row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Funds are held; nobody was dialled.
    Authorized,
    /// An INVITE of `callee_leg` may be out.
    Dialling,
    /// The called side's 200 arrived.
    Answered,
}

/// Where the media of a call is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// The engine's place in the list.
    pub engine: EngineId,
    /// The engine's process: another one does not know the call.
    pub instance: Option<String>,
}

/// One side of a call, enough to speak for it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegRecord {
    /// Where its messages go.
    pub hop: HopRecord,
    /// The INVITE as it was received or sent, so that its answer or its CANCEL can be made again.
    pub invite: String,
    /// Its dialog as JSON, once there is one.
    pub dialog: Option<serde_json::Value>,
    /// Our tag.
    pub local_tag: String,
    /// Our 2xx that has no ACK yet.
    pub unacked: Option<String>,
    /// Its user at the registrar, where its next connection is found.
    pub user: Option<String>,
    /// What its carrier takes for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buy: Option<Quote>,
}

/// A hop in plain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopRecord {
    /// `UDP`, `TCP` or `TLS`.
    pub transport: String,
    /// The peer.
    pub remote: SocketAddr,
    /// The name its certificate must carry.
    pub server_name: Option<String>,
}
