//! `tollgate ledger`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::Options;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check every balance, posting, hold and record against each other; exit 0 if all agree
    Verify,
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let Command::Verify = options.command;
    let found = options.place.open()?.verify()?;
    let value = json!({
        "ok": found.is_sound(), "accounts": found.accounts, "transfers": found.transfers, "cdrs": found.cdrs,
        "problems": found.problems,
    });
    let looked_at =
        format!("{} accounts, {} transfers, {} call records", found.accounts, found.transfers, found.cdrs);
    let verdict =
        if found.is_sound() { format!("{looked_at}: all agree") } else { format!("{looked_at}: wrong") };
    options.place.answer(&value, std::iter::once(verdict).chain(found.problems.iter().cloned()));
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
