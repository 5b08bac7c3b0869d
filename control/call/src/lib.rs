//! What a paid call is: signalling, media, money and time as inputs and outputs.
#![forbid(unsafe_code)]

mod answer;
mod auth;
mod call;
mod cdr;
mod charge;
mod config;
mod core;
mod counters;
mod deadlines;
mod directory;
mod engines;
mod entrance;
mod exchange;
mod fleet;
mod flood;
mod ids;
mod interface;
mod journal;
mod leg;
mod media;
mod modify;
mod reader;
mod recover;
mod release;
mod route;
mod setup;
mod state;
mod store;
mod wall;

pub use cdr::{Attempt, CallMedia, Cdr, CdrRoute, DelaySource, LegMedia, LegQuality, Money, Side};
pub use config::{ExchangeConfig, Limits, Local, Times};
pub use counters::Counters;
pub use directory::{
    Account, DigestAlgorithm, DigestSecret, Directory, PhoneMedia, Trunk, TrunkCredentials, TrunkMedia,
    TrunkTransport,
};
pub use exchange::Exchange;
pub use ids::{AccountId, CallId, EngineId, TariffId, TrunkId};
pub use interface::{Input, MediaError, Output, Progress};
pub use journal::{HopRecord, JournalEntry, LegRecord, MediaRecord, Step};
pub use store::{StoreReply, StoreRequest};
pub use wall::{WallTime, WallTimeError};
