//! What an operator types: straight to the database, durable when the command returns.

pub(crate) mod account;
pub(crate) mod cdr;
pub(crate) mod credit;
pub(crate) mod ledger;
pub(crate) mod rate;
pub(crate) mod trunk;

use std::path::PathBuf;

use ::ledger::{Amount, Currency};
use anyhow::Context;
use clap::{Args, Subcommand};
use control::store::Admin;
use serde_json::Value;

/// An operator's command and where it works.
#[derive(Args)]
pub(crate) struct Options<C: Subcommand> {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: C,
}

/// Where an operator's command works, and how it answers.
#[derive(Args)]
pub(crate) struct Place {
    /// The database file of `tollgate control`; the commands that add something make it if it is not there
    #[arg(long, global = true, env = "TOLLGATE_DATABASE", default_value = "tollgate.db")]
    database: PathBuf,
    /// Answer with one JSON object on one line
    #[arg(long, global = true)]
    json: bool,
}

impl Place {
    /// For what looks at a database or changes what is in it: an empty one in place of a mistyped name would
    /// have no accounts and balanced books.
    fn open(&self) -> anyhow::Result<Admin> {
        anyhow::ensure!(self.database.exists(), "there is no database {}", self.database.display());
        self.open_or_make()
    }

    /// For what adds to a database, and so may be the first to need it.
    fn open_or_make(&self) -> anyhow::Result<Admin> {
        Admin::open(&self.database).with_context(|| format!("the database {}", self.database.display()))
    }

    /// Prints `value` with `--json`, else `lines`.
    fn answer(&self, value: &Value, lines: impl IntoIterator<Item = String>) {
        if self.json {
            println!("{value}");
        } else {
            for line in lines {
                println!("{line}");
            }
        }
    }
}

/// The price list that is meant when none is named.
const TARIFF: &str = "default";

/// Makes the tariff `name` unless it is there.
fn ensure_tariff(admin: &mut Admin, name: &str, currency: Currency) -> anyhow::Result<()> {
    if !admin.tariffs()?.iter().any(|(existing, ..)| existing == name) {
        admin.add_tariff(name, currency)?;
    }
    Ok(())
}

/// An amount without its currency, for programs to read: at least the digits that the currency has.
pub(crate) fn decimal(currency: Currency, amount: Amount) -> String {
    amount.to_text(currency.minor_digits())
}

/// A secret out of a file, so that it is in no process list and no shell history. `-` is standard input.
fn read_secret(path: &std::path::Path) -> anyhow::Result<String> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("the password file {}", path.display()))?
    };
    let secret = text.lines().next().unwrap_or_default();
    anyhow::ensure!(!secret.is_empty(), "the first line of {} is empty; it is the password", path.display());
    Ok(secret.to_owned())
}
