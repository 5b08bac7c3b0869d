//! `tollgate control`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use control::config::{Config, ConfigSource};

#[derive(Args)]
pub(crate) struct Options {
    /// Configuration file (TOML); deploy/control.toml is an example
    #[arg(long)]
    config: Option<PathBuf>,
    /// One setting, over file and environment: --set node.domain=provider.example
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Check the configuration and every file that it names, and end
    #[arg(long)]
    check: bool,
    /// Print every setting with unit, default and range, and end
    #[arg(long)]
    settings: bool,
    /// What to log: info, debug, or a filter such as control=debug,info
    #[arg(long, env = "TOLLGATE_LOG")]
    log: Option<String>,
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.settings {
        print!("{}", control::config::reference());
        return Ok(ExitCode::SUCCESS);
    }
    let config = config(&options)?;
    if options.check {
        config.check()?;
        println!("the configuration is sound");
        return Ok(ExitCode::SUCCESS);
    }
    let _filter = crate::log::start(options.log.as_deref())?;
    control::run(config)?;
    Ok(ExitCode::SUCCESS)
}

/// The file, the environment over it, the flags over both.
fn config(options: &Options) -> anyhow::Result<Config> {
    let mut source = ConfigSource::new();
    if let Some(path) = &options.config {
        source = source.file(path)?;
    }
    // What is no text is none of ours, and no reason not to start.
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    source = source.environment(std::env::vars_os().filter_map(text))?;
    for setting in &options.set {
        let (key, value) =
            setting.split_once('=').with_context(|| format!("--set {setting}: write KEY=VALUE"))?;
        source = source.set(key, value, "--set");
    }
    Ok(Config::load(&source)?)
}
