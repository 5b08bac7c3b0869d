//! What the engine is told at its start: raw as written, then checked.

mod cores;
mod edge;
mod import;
mod network;
mod raw;
mod turn;

use std::net::SocketAddr;
use std::time::Duration;

use driver::Choice;
use engine_core::{Interfaces, MediaNetworks};
use thiserror::Error;

use crate::load::LoadLimits;
use crate::recorder::RecordingConfig;

pub use edge::Service;
pub(crate) use edge::{EdgeConfig, Identity, Pin};
pub use import::Import;
pub(crate) use import::log_level;
pub(crate) use network::Peers;
pub use raw::RawConfig;
pub(crate) use turn::TurnSettings;

/// Settings that hold together, made by [`RawConfig::check`] and never changed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Named addresses of media sockets, at least one.
    pub interfaces: Interfaces,
    /// Where NG is answered, at least one. Port 0 lets the kernel choose.
    pub listen_ng: Vec<SocketAddr>,
    /// Where media may come from besides what descriptions name.
    pub media_networks: MediaNetworks,
    /// A party of whom only a private address is known is not looked for elsewhere.
    pub learn_strict: bool,
    /// Lowest media port.
    pub port_min: u16,
    /// Highest media port; the range holds at least one pair for each worker.
    pub port_max: u16,
    /// Worker threads, from 1 to 256. More than cores costs switches and gains nothing.
    pub workers: u16,
    /// The core of each worker, if they are pinned; as many as workers.
    pub cpus: Option<Vec<usize>>,
    /// Which interface of the kernel is used.
    pub driver: Choice,
    /// A call in which no packet arrives for so long ends.
    pub timeout: Duration,
    /// The same while every party is on hold.
    pub silent_timeout: Duration,
    /// The same while nobody has answered.
    pub offer_timeout: Duration,
    /// A call ends after so long, whatever it does. Default: however long it takes.
    pub final_timeout: Option<Duration>,
    /// How long SIGTERM waits for live calls.
    pub drain_timeout: Duration,
    /// How long a deleted call can be revived by a new offer.
    pub delete_delay: Duration,
    /// TOS or traffic-class byte of media.
    pub tos: u8,
    /// Live calls at most, over all workers.
    pub sessions_max: usize,
    /// Under which load no new call is taken.
    pub load: LoadLimits,
    /// Filter of log lines, as `tracing` filters are written.
    pub log: String,
    /// Presets of options that a message may name.
    pub templates: ng::Templates,
    /// Where calls are recorded; `None` refuses to record.
    pub recording: Option<RecordingConfig>,
    /// Changes the filter of log lines while the engine runs. The program that writes the lines sets it.
    pub set_log: Option<SetLog>,
    /// Who besides this machine is answered over NG.
    pub(crate) peers: Peers,
    /// Streams.
    pub(crate) edge: EdgeConfig,
    /// The TURN server, if there is one.
    pub(crate) turn: Option<TurnSettings>,
}

/// Changes the filter of log lines, or says why not.
pub type SetLog = fn(&str) -> Result<(), String>;

/// Why settings do not hold together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file is not TOML, or has a key that does not exist. The text names the line.
    #[error("{0}")]
    File(String),
    /// A setting's value makes no sense.
    #[error("{key}: {reason}")]
    Value {
        /// The setting, as it is written.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    /// A value that makes no sense.
    fn value(key: &'static str, reason: impl ToString) -> Self {
        Self::Value { key, reason: reason.to_string() }
    }
}
