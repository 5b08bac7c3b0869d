//! What a paid call is: signalling, media, money and time as inputs and outputs.
#![forbid(unsafe_code)]

mod cdr;
mod directory;
mod ids;
mod journal;
mod store;
mod wall;

pub use cdr::{Attempt, CallMedia, Cdr, CdrRoute, LegMedia, Side};
pub use directory::{
    Account, DigestAlgorithm, DigestSecret, Directory, Trunk, TrunkCredentials, TrunkMedia, TrunkTransport,
};
pub use ids::{AccountId, CallId, EngineId, TariffId, TrunkId};
pub use journal::{HopRecord, JournalEntry, LegRecord, MediaRecord, Step};
pub use store::{StoreReply, StoreRequest};
pub use wall::{WallTime, WallTimeError};
