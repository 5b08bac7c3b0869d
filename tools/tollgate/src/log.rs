//! Log lines to standard error.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Changes the filter.
type Change = Box<dyn Fn(&str) -> anyhow::Result<()> + Send + Sync>;

/// How the filter is changed, once lines are written.
static CHANGE: OnceLock<Change> = OnceLock::new();

/// Starts logging: `--log` or `TOLLGATE_LOG` chooses (`info`, `debug`, `engine=debug,info` …), `info` without either. What is
/// returned changes the filter.
pub(crate) fn start(filter: Option<&str>) -> anyhow::Result<impl Fn(&str) -> anyhow::Result<()> + use<>> {
    let filter = EnvFilter::try_new(filter.unwrap_or("info"))?;
    let ansi = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(ansi)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    subscriber.init();
    let change = move |text: &str| Ok(handle.reload(EnvFilter::try_new(text)?)?);
    CHANGE.get_or_init(|| Box::new(change.clone()));
    Ok(change)
}

/// Whether a text is a filter of log lines.
pub(crate) fn check(filter: &str) -> anyhow::Result<()> {
    EnvFilter::try_new(filter).with_context(|| format!("log: `{filter}`"))?;
    Ok(())
}

/// Changes the filter while lines are written.
pub(crate) fn change(filter: &str) -> Result<(), String> {
    let change = CHANGE.get().ok_or("no lines are written")?;
    change(filter).map_err(|error| format!("{error:#}"))
}
