//! `tollgate cdr`.

use std::process::ExitCode;

use clap::Subcommand;
use control::store::CdrRow;
use serde_json::{Value, json};

use super::Options;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The latest call records, newest first
    List {
        /// Only this account's
        #[arg(long)]
        account: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20)]
        count: u32,
    },
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let admin = options.place.open()?;
    let Command::List { account, count } = options.command;
    let rows = admin.cdrs(account.as_deref(), count)?;
    let values: Vec<Value> = rows.iter().map(value).collect::<anyhow::Result<_>>()?;
    options.place.answer(&json!({ "cdrs": values }), rows.iter().map(line));
    Ok(ExitCode::SUCCESS)
}

fn value(row: &CdrRow) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(&row.cdr)?;
    value["sequence"] = json!(row.sequence);
    Ok(value)
}

/// One line a call: when, who, to whom, how it ended, what it cost.
fn line(row: &CdrRow) -> String {
    let cdr = &row.cdr;
    let cost = match &cdr.currency {
        Some(currency) => currency.format(cdr.charge),
        None => "free".to_owned(),
    };
    format!(
        "{}  {} → {}  {} {}, {} s billed, {cost}",
        cdr.setup_at, cdr.caller, cdr.callee, cdr.sip_status, cdr.cause, cdr.billed_seconds
    )
}
