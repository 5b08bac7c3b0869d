//! `tollgate rate`: price lists, their versions, and rates of exchange.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use call::WallTime;
use clap::{Args, Subcommand, ValueEnum};
use control::store::{Admin, NewVersion, Sheet, SheetFaults, VersionRow};
use jiff::Timestamp;
use ledger::{
    Amount, Band, Currency, Prefix, Rate, RateTerms, Rounding, RoundingMode, Tax, Taxes, Terms, Zone,
};
use serde_json::{Value, json};

use super::{Options, Place, TARIFF, ensure_tariff};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Set what calls to numbers that begin with a prefix cost from now on; the longest prefix wins
    Add(Box<Add>),
    /// Make a file the whole tariff, now or from an instant on, or nothing of it
    ///
    /// One rate a line, fields separated by comma, semicolon or tab. A first line with the word `prefix` names the columns;
    /// without one they are prefix, price, per_seconds (60), initial_seconds (1), next_seconds (1), connection_fee (0),
    /// rounding (up), decimals (4), minimum_charge (0), attempt_fee (0), free_seconds (0), grace_seconds (0), trial (no),
    /// band (all hours), description (passed over). Everything that is wrong is told by its line.
    Import(Box<Import>),
    /// Write a tariff as a file that `import` takes
    Export {
        /// The file; standard output if none is given
        file: Option<PathBuf>,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Every rate of a tariff that is in force
    List {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Every version of a tariff: when it begins, and what all of its rates have in common
    Versions {
        /// The price list
        #[arg(long, default_value = TARIFF)]
        tariff: String,
    },
    /// Take back a version that has not begun
    Withdraw {
        /// The price list
        #[arg(long, default_value = TARIFF)]
        tariff: String,
        /// When it would begin
        #[arg(long, value_parser = instant)]
        from: WallTime,
    },
    /// Set the time zone, the bands of hours and the taxes of a tariff from now on; what is not given stays
    Terms {
        /// The price list
        #[arg(long, default_value = TARIFF)]
        tariff: String,
        #[command(flatten)]
        terms: TermsGiven,
    },
    /// Set what one unit of a currency is worth in another
    Exchange {
        /// The currency of prices
        from: Currency,
        /// The currency of balances
        to: Currency,
        /// How many units of that
        rate: Amount,
        /// From when on; now if not given
        #[arg(long, value_parser = instant)]
        since: Option<WallTime>,
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
pub(crate) struct Chosen {
    /// The price list
    #[arg(long, default_value = TARIFF)]
    tariff: String,
    /// As it is in force at this instant; now if not given
    #[arg(long, value_parser = instant)]
    at: Option<WallTime>,
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
    /// The least that an answered call costs
    #[arg(long, default_value = "0")]
    minimum_charge: Amount,
    /// Price of a call that nobody answers
    #[arg(long, default_value = "0")]
    attempt_fee: Amount,
    /// Seconds of every call that no increment is charged for
    #[arg(long, default_value_t = 0)]
    free_seconds: u32,
    /// Shorter calls cost nothing at all
    #[arg(long, default_value_t = 0)]
    grace_seconds: u32,
    /// How the charge is rounded
    #[arg(long, default_value = "up")]
    rounding: Mode,
    /// Digits after the point that the charge keeps
    #[arg(long, default_value_t = 4)]
    decimals: u8,
    /// May be called on a trial allowance
    #[arg(long)]
    trial: bool,
    /// Only in this band of hours; the prefix needs a rate for the other hours too
    #[arg(long)]
    band: Option<String>,
    /// Only for this account: a price of its own, in a tariff of its own that is made if need be
    #[arg(long, conflicts_with = "tariff")]
    account: Option<String>,
    #[command(flatten)]
    tariff: Tariff,
}

#[derive(Args)]
pub(crate) struct Import {
    /// The file
    file: PathBuf,
    #[command(flatten)]
    tariff: Tariff,
    /// From when on; as soon as it is in if not given
    #[arg(long, value_parser = instant)]
    from: Option<WallTime>,
    /// Until when, unless a later version begins before
    #[arg(long, value_parser = instant)]
    until: Option<WallTime>,
    /// Read and check it, and change nothing
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    terms: TermsGiven,
}

#[derive(Args)]
pub(crate) struct TermsGiven {
    /// Time zone of the bands, as the IANA database has it
    #[arg(long)]
    time_zone: Option<Zone>,
    /// Hours with prices of their own, such as `peak=mon-fri/08:00-20:00`; repeat it for more
    #[arg(long)]
    band: Vec<Band>,
    /// A tax in per cent, such as `VAT=19`; repeat it for more
    #[arg(long)]
    tax: Vec<Tax>,
    /// Prices have the taxes in: `true` or `false`
    #[arg(long)]
    tax_included: Option<bool>,
    /// No bands of hours any more
    #[arg(long, conflicts_with = "band")]
    no_bands: bool,
    /// No taxes any more
    #[arg(long, conflicts_with = "tax")]
    no_taxes: bool,
}

impl TermsGiven {
    /// What is given, in place of what there was.
    fn over(self, before: Terms) -> anyhow::Result<Terms> {
        let included = self.tax_included.unwrap_or_else(|| before.taxes.are_included());
        let taxes = match (self.no_taxes, self.tax.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => before.taxes.list().to_vec(),
            (false, false) => self.tax,
        };
        Ok(Terms {
            zone: self.time_zone.unwrap_or(before.zone),
            bands: match (self.no_bands, self.band.is_empty()) {
                (true, _) => Vec::new(),
                (false, true) => before.bands,
                (false, false) => self.band,
            },
            taxes: Taxes::new(included, taxes)?,
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Up,
    HalfEven,
    Down,
}

pub(crate) fn run(options: Options<Command>) -> anyhow::Result<ExitCode> {
    let place = &options.place;
    let adds = matches!(options.command, Command::Add(_) | Command::Import(_) | Command::Exchange { .. });
    let mut admin = if adds { place.open_or_make()? } else { place.open()? };
    match options.command {
        Command::Add(add) => run_add(place, &mut admin, *add)?,
        Command::Import(import) => return run_import(place, &mut admin, *import),
        Command::Export { file, chosen } => {
            let sheet = admin.rates(&chosen.tariff, chosen.at)?;
            match file {
                None => sheet.write(io::stdout().lock()).context("standard output")?,
                Some(file) => {
                    let to =
                        fs::File::create(&file).with_context(|| format!("the file {}", file.display()))?;
                    sheet.write(to).with_context(|| format!("the file {}", file.display()))?;
                    let (name, count) = (&chosen.tariff, sheet.rates.len());
                    place
                        .answer(&json!({"tariff": name, "rates": count}), [format!("{name}  {count} rates")]);
                }
            }
        }
        Command::List { chosen } => {
            let rates = admin.rates(&chosen.tariff, chosen.at)?.rates;
            let values: Vec<Value> = rates.iter().map(|(rate, band)| value(rate, band.as_deref())).collect();
            let lines = rates.iter().map(|(rate, band)| line(rate, band.as_deref()));
            place.answer(&json!({"tariff": chosen.tariff, "rates": values}), lines);
        }
        Command::Versions { tariff } => {
            let versions = admin.versions(&tariff)?;
            let values: Vec<Value> = versions.iter().map(version_value).collect();
            place.answer(&json!({"tariff": tariff, "versions": values}), versions.iter().map(version_line));
        }
        Command::Withdraw { tariff, from } => {
            admin.withdraw_version(&tariff, from)?;
            let said = format!("{tariff}  the version from {from} is taken back");
            place.answer(&json!({"tariff": tariff, "from": from, "withdrawn": true}), [said]);
        }
        Command::Terms { tariff, terms } => {
            let terms = terms.over(admin.terms(&tariff)?)?;
            admin.set_terms(&tariff, &terms)?;
            let mut value = terms_value(&terms);
            value["tariff"] = json!(tariff);
            place.answer(&value, [format!("{tariff}  {}", terms_line(&terms))]);
        }
        Command::Exchange { from, to, rate, since } => {
            let exchange = admin.add_exchange(from, to, rate, since)?;
            let since = WallTime(exchange.since_ms);
            let value =
                json!({"from": from.code(), "to": to.code(), "rate": rate.to_string(), "since": since});
            place.answer(&value, [format!("1 {from} is {rate} {to} from {since}")]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_add(place: &Place, admin: &mut Admin, add: Add) -> anyhow::Result<()> {
    let rate = Rate::new(RateTerms {
        per_seconds: add.per,
        initial_seconds: add.initial,
        next_seconds: add.next,
        connection_fee: add.connection_fee,
        rounding: Rounding {
            mode: match add.rounding {
                Mode::Up => RoundingMode::Up,
                Mode::HalfEven => RoundingMode::HalfEven,
                Mode::Down => RoundingMode::Down,
            },
            decimals: add.decimals,
        },
        minimum_charge: add.minimum_charge,
        attempt_fee: add.attempt_fee,
        free_seconds: add.free_seconds,
        grace_seconds: add.grace_seconds,
        trial: add.trial,
        ..RateTerms::per_minute(add.prefix, add.price)
    })?;
    let tariff = match &add.account {
        None => {
            ensure_tariff(admin, &add.tariff.tariff, add.tariff.currency)?;
            add.tariff.tariff
        }
        Some(name) => own_tariff(admin, name)?,
    };
    admin.put_band_rate(&tariff, &(rate.clone(), add.band.clone()))?;
    let band = add.band.as_deref();
    let mut value = value(&rate, band);
    value["tariff"] = json!(tariff);
    place.answer(&value, [line(&rate, band)]);
    Ok(())
}

/// The tariff with an account's own prices, made and given to it if it has none.
fn own_tariff(admin: &mut Admin, account: &str) -> anyhow::Result<String> {
    let found = admin.account(account)?.account;
    if let Some(own) = found.overrides {
        return Ok(own.0);
    }
    let name = format!("{account}.own");
    ensure_tariff(admin, &name, found.currency)?;
    admin.set_tariffs(account, found.tariff.as_ref().map(|tariff| tariff.0.as_str()), Some(&name))?;
    Ok(name)
}

fn run_import(place: &Place, admin: &mut Admin, import: Import) -> anyhow::Result<ExitCode> {
    let (file, name) = (&import.file, &import.tariff.tariff);
    let text = fs::read_to_string(file).with_context(|| format!("the file {}", file.display()))?;
    let known = admin.tariffs()?.iter().any(|(existing, ..)| existing == name);
    let before = if known { admin.terms(name)? } else { Terms::default() };
    let terms = import.terms.over(before)?;
    let sheet = match Sheet::read(&text, &terms.band_names()) {
        Ok(sheet) => sheet,
        Err(faults) => {
            if place.json {
                println!("{}", faults_value(name, &faults));
            }
            eprintln!("{}", file.display());
            eprintln!("{faults}");
            eprintln!("{} of its lines are wrong; nothing was changed", faults.total);
            return Ok(ExitCode::FAILURE);
        }
    };
    let count = sheet.rates.len();
    if import.check {
        let value = json!({"tariff": name, "rates": count, "faults": 0, "imported": false});
        place.answer(&value, [format!("{name}  {count} rates, nothing wrong, nothing changed")]);
        return Ok(ExitCode::SUCCESS);
    }
    ensure_tariff(admin, name, import.tariff.currency)?;
    let new = NewVersion { tariff: name.clone(), from: import.from, until: import.until, terms };
    let mut bar = Bar::new(count);
    let from = admin
        .import_sheet(&new, &sheet, &mut |done| bar.show(done))
        .with_context(|| file.display().to_string())?;
    bar.clear();
    let value = json!({"tariff": name, "rates": count, "faults": 0, "imported": true, "from": from});
    place.answer(&value, [format!("{name}  {count} rates from {from}")]);
    Ok(ExitCode::SUCCESS)
}

/// How far it has come, on a terminal and nowhere else.
struct Bar {
    total: usize,
    shown: bool,
}

impl Bar {
    fn new(total: usize) -> Self {
        Bar { total, shown: io::stderr().is_terminal() && total > 10_000 }
    }

    fn show(&mut self, done: usize) {
        if self.shown {
            let full = BAR_CELLS * done / self.total.max(1);
            let bar = "#".repeat(full) + &"-".repeat(BAR_CELLS - full);
            let _ = write!(io::stderr(), "\r[{bar}] {done} of {}", self.total);
        }
    }

    fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

const BAR_CELLS: usize = 40;

/// An instant with its offset from UTC.
fn instant(text: &str) -> Result<WallTime, String> {
    let at: Timestamp = text
        .parse()
        .map_err(|_| "not an instant such as 2026-12-01T00:00:00Z or 2026-12-01T00:00+01:00".to_owned())?;
    u64::try_from(at.as_millisecond()).map(WallTime).map_err(|_| "before 1970".to_owned())
}

fn value(rate: &Rate, band: Option<&str>) -> Value {
    let terms = rate.terms();
    json!({
        "prefix": terms.prefix.to_string(), "band": band, "price": terms.price.to_string(),
        "per_seconds": terms.per_seconds, "initial_seconds": terms.initial_seconds,
        "next_seconds": terms.next_seconds, "connection_fee": terms.connection_fee.to_string(),
        "rounding": terms.rounding.mode.name(), "decimals": terms.rounding.decimals,
        "minimum_charge": terms.minimum_charge.to_string(), "attempt_fee": terms.attempt_fee.to_string(),
        "free_seconds": terms.free_seconds, "grace_seconds": terms.grace_seconds, "trial": terms.trial,
    })
}

fn line(rate: &Rate, band: Option<&str>) -> String {
    let terms = rate.terms();
    let mut line = format!("{}  ", terms.prefix);
    if let Some(band) = band {
        line += &format!("{band}: ");
    }
    line += &format!(
        "{} per {} s, increments {}/{} s, connection fee {}",
        terms.price, terms.per_seconds, terms.initial_seconds, terms.next_seconds, terms.connection_fee
    );
    for (name, amount) in [("minimum", terms.minimum_charge), ("attempt fee", terms.attempt_fee)] {
        if !amount.is_zero() {
            line += &format!(", {name} {amount}");
        }
    }
    for (name, seconds) in [("free", terms.free_seconds), ("grace", terms.grace_seconds)] {
        if seconds > 0 {
            line += &format!(", {name} {seconds} s");
        }
    }
    if terms.trial { line + ", trial" } else { line }
}

fn terms_value(terms: &Terms) -> Value {
    json!({
        "time_zone": terms.zone.name(), "bands": terms.bands, "taxes": terms.taxes.list(),
        "tax_included": terms.taxes.are_included(),
    })
}

fn terms_line(terms: &Terms) -> String {
    let mut line = terms.zone.to_string();
    for band in &terms.bands {
        line += &format!(", {band}");
    }
    for tax in terms.taxes.list() {
        line += &format!(", {tax} %{}", if terms.taxes.are_included() { " included" } else { "" });
    }
    line
}

fn version_value(version: &VersionRow) -> Value {
    let mut value = terms_value(&version.terms);
    value["from"] = json!(version.from);
    value["until"] = json!(version.until);
    value["made_at"] = json!(version.made_at);
    value["rates"] = json!(version.rates);
    value
}

fn version_line(version: &VersionRow) -> String {
    let until = version.until.map_or_else(String::new, |until| format!(" until {until}"));
    format!("from {}{until}  {} rates, {}", version.from, version.rates, terms_line(&version.terms))
}

fn faults_value(tariff: &str, faults: &SheetFaults) -> Value {
    let lines: Vec<Value> =
        faults.list.iter().map(|fault| json!({"line": fault.line, "reason": fault.reason})).collect();
    json!({"tariff": tariff, "faults": faults.total, "lines": lines, "imported": false})
}
