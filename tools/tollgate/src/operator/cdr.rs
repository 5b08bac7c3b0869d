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
        cdr.setup_at,
        shown(&cdr.caller),
        shown(&cdr.callee),
        cdr.sip_status,
        shown(&cdr.cause),
        cdr.billed_seconds
    )
}

/// Peers chose these texts: one must neither steer the terminal nor fill it.
fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(CHARACTERS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Of one text in a line; `--json` has all of it.
const CHARACTERS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_text_from_a_peer_neither_steers_the_terminal_nor_fills_it() {
        assert_eq!(shown("+4930\u{1b}[2J\r\nbob"), "+4930\u{fffd}[2J\u{fffd}\u{fffd}bob");
        assert_eq!(shown(&"9".repeat(16_000)).chars().count(), 81);
    }
}
