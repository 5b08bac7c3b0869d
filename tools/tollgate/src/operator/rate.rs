//! `tollgate rate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use ledger::{Amount, Currency, Prefix, Rate, RateTerms};
use serde_json::{Value, json};

use super::{Options, TARIFF, ensure_tariff};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Set what calls to numbers that begin with a prefix cost; the longest prefix wins
    Add(Add),
    /// Replace all rates of a tariff by those of a file, or none of them
    ///
    /// One rate a line, fields separated by comma or tab: prefix, price, per_seconds (60), initial_seconds (1),
    /// next_seconds (1), connection_fee (0), rounding (up), decimals (4).
    Import {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        tariff: Tariff,
    },
    /// Every rate of a tariff
    List {
        /// The price list
        #[arg(long, default_value = TARIFF)]
        tariff: String,
    },
}

#[derive(Args)]
pub(crate) struct Tariff {
    /// The price list; made if it is not there
    #[arg(long, default_value = TARIFF)]
    tariff: String,
    /// Its currency, if it has to be made
    #[arg(long, default_value = "EUR")]
    currency: Currency,
}

#[derive(Args)]
pub(crate) struct Add {
    /// Digits that the called number begins with, country code first (49 is Germany)
    prefix: Prefix,
    /// Price of `--per` seconds, in the currency's main unit
    #[arg(long)]
    price: Amount,
    /// Seconds that the price is for
    #[arg(long, default_value_t = 60)]
    per: u32,
    /// Seconds charged at once when the call is answered
    #[arg(long, default_value_t = 1)]
    initial: u32,
    /// Seconds charged each time after that
    #[arg(long, default_value_t = 1)]
    next: u32,
    /// Price of being answered at all
    #[arg(long, default_value = "0")]
    connection_fee: Amount,
    #[command(flatten)]
    tariff: Tariff,
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let place = &options.place;
    let adds = matches!(options.command, Command::Add(_) | Command::Import { .. });
    let mut admin = if adds { place.open_or_make()? } else { place.open()? };
    match options.command {
        Command::Add(add) => {
            ensure_tariff(&mut admin, &add.tariff.tariff, add.tariff.currency)?;
            let rate = Rate::new(RateTerms {
                per_seconds: add.per,
                initial_seconds: add.initial,
                next_seconds: add.next,
                connection_fee: add.connection_fee,
                ..RateTerms::per_minute(add.prefix, add.price)
            })?;
            admin.put_rate(&add.tariff.tariff, &rate)?;
            place.answer(&value(&rate), [line(&rate)]);
        }
        Command::Import { file, tariff } => {
            let sheet =
                std::fs::read_to_string(&file).with_context(|| format!("the file {}", file.display()))?;
            ensure_tariff(&mut admin, &tariff.tariff, tariff.currency)?;
            let count =
                admin.import_rates(&tariff.tariff, &sheet).with_context(|| file.display().to_string())?;
            let name = &tariff.tariff;
            place.answer(&json!({"tariff": name, "rates": count}), [format!("{name}  {count} rates")]);
        }
        Command::List { tariff } => {
            let rates = admin.rates(&tariff)?;
            let values: Vec<Value> = rates.iter().map(value).collect();
            place.answer(&json!({"tariff": tariff, "rates": values}), rates.iter().map(line));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn value(rate: &Rate) -> Value {
    let terms = rate.terms();
    json!({
        "prefix": terms.prefix.to_string(), "price": terms.price.to_string(), "per_seconds": terms.per_seconds,
        "initial_seconds": terms.initial_seconds, "next_seconds": terms.next_seconds,
        "connection_fee": terms.connection_fee.to_string(),
    })
}

fn line(rate: &Rate) -> String {
    let terms = rate.terms();
    format!(
        "{}  {} per {} s, increments {}/{} s, connection fee {}",
        terms.prefix,
        terms.price,
        terms.per_seconds,
        terms.initial_seconds,
        terms.next_seconds,
        terms.connection_fee
    )
}
