//! `tollgate credit`.

use std::process::ExitCode;

use clap::Subcommand;
use ledger::Amount;
use serde_json::json;

use super::{Options, decimal};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Add bought credit to an account
    Add {
        /// The account
        name: String,
        /// How much, in the main unit of the account's currency
        amount: Amount,
        /// Where it came from, kept with the posting
        #[arg(long)]
        note: Option<String>,
    },
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let mut admin = options.place.open()?;
    let Command::Add { name, amount, note } = options.command;
    let balance = admin.top_up(&name, amount, note.as_deref())?;
    let currency = admin.account(&name)?.account.currency;
    let value = json!({"account": name, "balance": decimal(currency, balance), "currency": currency.code()});
    options.place.answer(&value, [format!("{name}  balance {}", currency.format(balance))]);
    Ok(ExitCode::SUCCESS)
}
