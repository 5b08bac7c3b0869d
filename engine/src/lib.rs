//! The media process: configuration, one loop per core, the NG door, and their wiring.
//!
//! [`RawConfig`] is what flags, environment and file say; [`RawConfig::check`] makes it the
//! [`Config`] that [`run`] and [`Engine::start`] take. Each worker thread owns one driver and one
//! shard; the door's thread answers NG over UDP and hands commands to the shard that has the call.
#![forbid(unsafe_code)]

mod beat;
mod certificate;
mod config;
mod door;
mod drain;
mod edge;
mod histogram;
mod limits;
mod load;
mod meter;
mod page;
mod recorder;
mod reload;
mod run;
mod statistics;
mod throttle;
mod turn;
mod worker;

pub use certificate::CertificateError;
pub use config::{Config, ConfigError, Import, RawConfig, Service, SetLog};
pub use drain::Readiness;
pub use edge::TlsError;
pub use load::LoadLimits;
pub use run::{Engine, RunError, run};
