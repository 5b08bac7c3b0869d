//! Log lines to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging: `--log` or `TOLLGATE_LOG` chooses (`info`, `debug`, `engine=debug,info` …), `info` without either.
pub(crate) fn start(filter: Option<&str>) -> anyhow::Result<()> {
    let filter = match filter {
        Some(text) => EnvFilter::try_new(text)?,
        None => EnvFilter::new("info"),
    };
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    Ok(())
}
