//! `tollgate account`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use call::{DigestAlgorithm, PhoneMedia};
use clap::{Args, Subcommand, ValueEnum};
use control::store::{AccountSummary, NewAccount};
use ledger::{Amount, Currency};
use serde_json::{Value, json};

use super::{Options, Place, TARIFF, decimal, ensure_tariff, read_secret};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an account
    Add(Add),
    /// Every account with its money
    List,
    /// One account with its money
    Show {
        /// The account
        name: String,
    },
    /// Give an account a new password
    Password {
        /// The account
        name: String,
        #[command(flatten)]
        secret: Secret,
    },
    /// Take calls from an address as the account's, without a password
    Trust {
        /// The account
        name: String,
        /// The address
        address: IpAddr,
    },
    /// What an account's phone is offered when it is called
    Media {
        /// The account
        name: String,
        /// As in `account add --media`
        #[arg(value_parser = media)]
        media: PhoneMedia,
    },
    /// Set an account's price list, and the one with prices of its own (`rate add --account` makes that by itself)
    Tariff {
        /// The account
        name: String,
        /// The price list
        tariff: String,
        /// Prices of its own, which win where their prefix is not shorter
        #[arg(long)]
        overrides: Option<String>,
    },
    /// Give an account an allowance to try the service with, once; until it buys credit it may only call numbers whose rate is
    /// marked `--trial`, or costs nothing
    Trial {
        /// The account
        name: String,
        /// How much, in the main unit of the account's currency
        amount: Amount,
    },
    /// Let an account call again
    Enable {
        /// The account
        name: String,
    },
    /// Let an account neither call nor register
    Disable {
        /// The account
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct Add {
    /// Its name: the user part of its SIP address, and what its phone gives as user name
    name: String,
    /// Currency of its balance, as ISO 4217 has it
    #[arg(long)]
    currency: Currency,
    /// Credit to begin with, in the currency's main unit
    #[arg(long)]
    credit: Option<Amount>,
    /// Its price list; made if it is not there
    #[arg(long, default_value = TARIFF)]
    tariff: String,
    /// The number that carriers are shown; without it, its name
    #[arg(long)]
    number: Option<String>,
    /// Longest call, in seconds
    #[arg(long, default_value_t = 14_400)]
    max_call_seconds: u32,
    /// Calls at once
    #[arg(long, default_value_t = 10)]
    max_calls: u32,
    /// How long audio may outlive the paid time when nobody is there to end it, in seconds
    #[arg(long, default_value_t = 30)]
    grace_seconds: u32,
    /// What its phone is offered when it is called: as a browser over WebSocket and else what the caller speaks (auto), RTP
    /// (plain), SDES (srtp), DTLS-SRTP (dtls), or what browsers demand (webrtc)
    #[arg(long, default_value = "auto", value_parser = media)]
    media: PhoneMedia,
    /// Let its phone use MD5 outside TLS
    #[arg(long)]
    md5_in_clear: bool,
    /// File whose first line is its password; `-` reads standard input
    #[arg(long, requires = "domain")]
    password_file: Option<PathBuf>,
    /// Domain of `tollgate control` (`node.domain`), which is part of what a phone proves
    #[arg(long)]
    domain: Option<String>,
    /// Digest algorithms to offer its phone, in this order
    #[arg(long, value_delimiter = ',', default_value = "SHA-256,MD5")]
    algorithms: Vec<Algorithm>,
}

#[derive(Args)]
pub(crate) struct Secret {
    /// File whose first line is the password; `-` reads standard input
    #[arg(long)]
    password_file: PathBuf,
    /// Domain of `tollgate control` (`node.domain`), which is part of what a phone proves
    #[arg(long)]
    domain: String,
    /// Digest algorithms to offer its phone, in this order
    #[arg(long, value_delimiter = ',', default_value = "SHA-256,MD5")]
    algorithms: Vec<Algorithm>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    #[value(name = "SHA-256")]
    Sha256,
    #[value(name = "MD5")]
    Md5,
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let place = &options.place;
    let adds = matches!(options.command, Command::Add(_));
    let mut admin = if adds { place.open_or_make()? } else { place.open()? };
    match options.command {
        Command::Add(add) => {
            // Whatever may fail comes before the account is there: it cannot be added again.
            ensure!(add.credit.is_none_or(|credit| credit >= Amount::ZERO), "--credit is zero or above");
            let password = add.password_file.as_deref().map(read_secret).transpose()?;
            ensure_tariff(&mut admin, &add.tariff, add.currency)?;
            admin.add_account(&NewAccount {
                tariff: Some(add.tariff),
                caller_number: add.number,
                max_call_seconds: add.max_call_seconds,
                max_calls: add.max_calls,
                grace_seconds: add.grace_seconds,
                md5_in_clear: add.md5_in_clear,
                media: add.media,
                ..NewAccount::new(add.name.as_str(), add.currency)
            })?;
            if let (Some(password), Some(domain)) = (password, add.domain) {
                admin.set_password(&add.name, &domain, &password, &algorithms(&add.algorithms))?;
            }
            if let Some(credit) = add.credit.filter(|credit| *credit > Amount::ZERO) {
                admin.top_up(&add.name, credit, Some("opening credit"))?;
            }
            show(place, &admin.account(&add.name)?);
        }
        Command::List => {
            let accounts = admin.accounts()?;
            let values: Vec<Value> = accounts.iter().map(value).collect();
            place.answer(&json!({ "accounts": values }), accounts.iter().map(line));
        }
        Command::Show { name } => show(place, &admin.account(&name)?),
        Command::Password { name, secret } => {
            let password = read_secret(&secret.password_file)?;
            admin.set_password(&name, &secret.domain, &password, &algorithms(&secret.algorithms))?;
            show(place, &admin.account(&name)?);
        }
        Command::Trust { name, address } => {
            admin.trust_address(&name, address)?;
            show(place, &admin.account(&name)?);
        }
        Command::Media { name, media } => {
            admin.set_phone_media(&name, media)?;
            show(place, &admin.account(&name)?);
        }
        Command::Tariff { name, tariff, overrides } => {
            admin.set_tariffs(&name, Some(&tariff), overrides.as_deref())?;
            show(place, &admin.account(&name)?);
        }
        Command::Trial { name, amount } => {
            admin.grant_trial(&name, amount)?;
            show(place, &admin.account(&name)?);
        }
        Command::Enable { name } => {
            admin.set_account_enabled(&name, true)?;
            show(place, &admin.account(&name)?);
        }
        Command::Disable { name } => {
            admin.set_account_enabled(&name, false)?;
            show(place, &admin.account(&name)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn media(name: &str) -> Result<PhoneMedia, String> {
    let names = || PhoneMedia::ALL.map(PhoneMedia::name).join(", ");
    PhoneMedia::ALL
        .into_iter()
        .find(|media| media.name() == name)
        .ok_or_else(|| format!("not one of {}", names()))
}

fn algorithms(chosen: &[Algorithm]) -> Vec<DigestAlgorithm> {
    let algorithm = |algorithm: &Algorithm| match algorithm {
        Algorithm::Sha256 => DigestAlgorithm::Sha256,
        Algorithm::Md5 => DigestAlgorithm::Md5,
    };
    chosen.iter().map(algorithm).collect()
}

fn show(place: &Place, summary: &AccountSummary) {
    place.answer(&value(summary), [line(summary)]);
}

fn value(summary: &AccountSummary) -> Value {
    let account = &summary.account;
    let money = |amount| decimal(account.currency, amount);
    json!({
        "account": account.id.0, "enabled": account.enabled, "currency": account.currency.code(),
        "media": account.media.name(), "tariff": account.tariff.as_ref().map(|tariff| &tariff.0),
        "overrides": account.overrides.as_ref().map(|tariff| &tariff.0), "on_trial": account.on_trial, "balance": money(summary.posted),
        "held": money(summary.held), "available": money(summary.available),
    })
}

fn line(summary: &AccountSummary) -> String {
    let account = &summary.account;
    let money = |amount| account.currency.format(amount);
    format!(
        "{}  balance {}, held {}, available {}{}",
        account.id.0,
        money(summary.posted),
        money(summary.held),
        money(summary.available),
        if account.enabled { "" } else { "  (disabled)" },
    )
}
