//! What a running engine is doing: `tollgate top` and `tollgate calls`, asked over NG.

pub(crate) mod calls;
mod ng;
mod snapshot;
pub(crate) mod top;

use std::net::SocketAddr;

use clap::Args;

/// Which engine.
#[derive(Args)]
pub(crate) struct Engine {
    /// Where the engine answers NG over UDP
    #[arg(long, env = "TOLLGATE_NG", value_name = "ADDRESS", default_value = "127.0.0.1:2223")]
    ng: SocketAddr,
}
