//! Tariffs and rate sheets, as an operator handles them.

use ledger::{Amount, Currency, Rate, RateTerms, Rounding, RoundingMode, Tariff};
use rusqlite::{Connection, params};
use thiserror::Error;

use super::{Admin, StoreError, directory};

impl Admin {
    /// Adds an empty tariff.
    ///
    /// # Errors
    /// The name is none, or exists.
    pub fn add_tariff(&mut self, name: &str, currency: Currency) -> Result<(), StoreError> {
        name.parse::<ledger::AccountId>().map_err(|error| StoreError::refused(error.to_string()))?;
        let transaction = self.begin()?;
        let added = transaction.execute(
            "INSERT INTO tariff (name, currency) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [name, currency.code()],
        )?;
        if added == 0 {
            return Err(StoreError::refused(format!("tariff {name} exists")));
        }
        transaction.commit()?;
        Ok(())
    }

    /// Every tariff with its currency and how many rates it has, by name.
    ///
    /// # Errors
    /// The database refused or a row does not read.
    pub fn tariffs(&self) -> Result<Vec<(String, Currency, u64)>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT name, currency, (SELECT count(*) FROM rate WHERE tariff = name) FROM tariff ORDER BY name",
        )?;
        let mut rows = statement.query([])?;
        let mut tariffs = Vec::new();
        while let Some(row) = rows.next()? {
            let (name, code, count): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let currency = code.parse().map_err(|error| StoreError::row("tariff", &name, error))?;
            tariffs.push((name, currency, u64::try_from(count).unwrap_or(0)));
        }
        Ok(tariffs)
    }

    /// The rates of a tariff by prefix.
    ///
    /// # Errors
    /// There is no such tariff, or the database refused.
    pub fn rates(&self, tariff: &str) -> Result<Vec<Rate>, StoreError> {
        currency(self.connection(), tariff)?;
        directory::rates(self.connection(), tariff)
    }

    /// Adds a rate to a tariff, or replaces the one of that prefix. A call in progress keeps its price.
    ///
    /// # Errors
    /// There is no such tariff.
    pub fn put_rate(&mut self, tariff: &str, rate: &Rate) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        currency(&transaction, tariff)?;
        insert(&transaction, tariff, rate)?;
        transaction.commit()?;
        Ok(())
    }

    /// Replaces all rates of a tariff by those of a sheet at once, or none of them, and gives their number.
    ///
    /// One rate a line, fields separated by tab or comma, never quoted: `prefix`, `price` and, each with its
    /// default, `per_seconds` (60), `initial_seconds` (1), `next_seconds` (1), `connection_fee` (0),
    /// `rounding` (up), `decimals` (4). Empty lines, lines that begin with `#` and a heading that begins with
    /// `prefix` are passed over.
    ///
    /// # Errors
    /// The first line that is no rate, by its number; or there is no rate.
    ///
    /// # Cost
    /// Ten to twenty microseconds a rate, during which calls wait for the store: 260,000 rates took 3 to 6 s.
    pub fn import_rates(&mut self, tariff: &str, sheet: &str) -> Result<usize, ImportError> {
        let mut rates = Vec::new();
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(sheet.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') || text.starts_with("prefix") {
                continue;
            }
            rates.push(read_rate(text).map_err(|reason| ImportError::Line { line, reason })?);
            lines.push(line);
        }
        if rates.is_empty() {
            return Err(ImportError::Empty);
        }
        let transaction = self.begin()?;
        let currency = currency(&transaction, tariff)?;
        // Building it is the check that no prefix is there twice, while lines still have their numbers.
        if let Err(error) = Tariff::flat(tariff, currency, rates.iter().cloned()) {
            let mut seen = std::collections::HashSet::new();
            let twice = rates.iter().position(|rate| !seen.insert(rate.prefix()));
            let line = twice.and_then(|index| lines.get(index).copied()).unwrap_or(0);
            return Err(ImportError::Line { line, reason: error.to_string() });
        }
        transaction.execute("DELETE FROM rate WHERE tariff = ?1", [tariff]).map_err(StoreError::from)?;
        for rate in &rates {
            insert(&transaction, tariff, rate)?;
        }
        transaction.commit().map_err(StoreError::from)?;
        Ok(rates.len())
    }
}

/// Why a rate sheet was not taken; the tariff is as it was.
#[derive(Debug, Error)]
pub enum ImportError {
    /// It has no rate at all, which would refuse every call.
    #[error("there is no rate in it")]
    Empty,
    /// A line is no rate.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The database refused.
    #[error("the sheet could not be stored")]
    Store(#[from] StoreError),
}

fn read_rate(text: &str) -> Result<Rate, String> {
    let separator = if text.contains('\t') { '\t' } else { ',' };
    let mut fields = text.split(separator).map(str::trim);
    let mut field = |name: &str, default: Option<&str>| -> Result<String, String> {
        match fields.next().filter(|field| !field.is_empty()).or(default) {
            Some(field) => Ok(field.to_owned()),
            None => Err(format!("{name} is missing")),
        }
    };
    let named = |name: &str, error: &dyn ToString| format!("{name}: {}", error.to_string());
    let prefix = field("prefix", None)?;
    let price = field("price", None)?;
    let mut seconds = Vec::with_capacity(3);
    for (name, default) in [("per_seconds", "60"), ("initial_seconds", "1"), ("next_seconds", "1")] {
        let text = field(name, Some(default))?;
        seconds.push(text.parse::<u32>().map_err(|error| named(name, &error))?);
    }
    let fee = field("connection_fee", Some("0"))?;
    let mode = field("rounding", Some("up"))?;
    let decimals = field("decimals", Some("4"))?;
    if fields.next().is_some() {
        return Err("more than eight fields".to_owned());
    }
    let amount = |name: &str, text: &str| text.parse::<Amount>().map_err(|error| named(name, &error));
    Rate::new(RateTerms {
        prefix: prefix.parse().map_err(|error| named("prefix", &error))?,
        price: amount("price", &price)?,
        per_seconds: seconds[0],
        initial_seconds: seconds[1],
        next_seconds: seconds[2],
        connection_fee: amount("connection_fee", &fee)?,
        rounding: Rounding {
            mode: RoundingMode::from_name(&mode).ok_or("rounding: neither up, half-even nor down")?,
            decimals: decimals.parse().map_err(|error| named("decimals", &error))?,
        },
        minimum_charge: Amount::ZERO,
        attempt_fee: Amount::ZERO,
        free_seconds: 0,
        grace_seconds: 0,
        trial: false,
    })
    .map_err(|error| error.to_string())
}

fn currency(connection: &Connection, tariff: &str) -> Result<Currency, StoreError> {
    let mut statement = connection.prepare_cached("SELECT currency FROM tariff WHERE name = ?1")?;
    let mut rows = statement.query([tariff])?;
    let row = rows.next()?.ok_or_else(|| StoreError::refused(format!("there is no tariff {tariff}")))?;
    let code: String = row.get(0)?;
    code.parse().map_err(|error| StoreError::row("tariff", tariff, error))
}

fn insert(connection: &Connection, tariff: &str, rate: &Rate) -> Result<(), StoreError> {
    let terms = rate.terms();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO rate (tariff, prefix, price, per_seconds, initial_seconds, next_seconds,
                                          connection_fee, rounding, rounding_decimals)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            tariff,
            terms.prefix.as_str(),
            terms.price.nanos(),
            terms.per_seconds,
            terms.initial_seconds,
            terms.next_seconds,
            terms.connection_fee.nanos(),
            terms.rounding.mode.name(),
            terms.rounding.decimals,
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin() -> (tempfile::TempDir, Admin) {
        let folder = tempfile::tempdir().unwrap();
        let mut admin = Admin::open(&folder.path().join("tollgate.db")).unwrap();
        admin.add_tariff("standard", "EUR".parse().unwrap()).unwrap();
        (folder, admin)
    }

    #[test]
    fn a_sheet_replaces_the_whole_tariff() {
        let (_folder, mut admin) = admin();
        let first = Rate::per_minute("1".parse().unwrap(), "0.5".parse().unwrap()).unwrap();
        admin.put_rate("standard", &first).unwrap();
        let sheet = "prefix,price,per\n# Germany\n49,0.02\n\n+4915,0.19,60,60,30,0.05,half-even,2\n";
        assert_eq!(admin.import_rates("standard", sheet).unwrap(), 2);
        let rates = admin.rates("standard").unwrap();
        assert_eq!(rates[0], Rate::per_minute("49".parse().unwrap(), "0.02".parse().unwrap()).unwrap());
        let terms = rates[1].terms();
        assert_eq!(terms.prefix.as_str(), "4915");
        assert_eq!((terms.initial_seconds, terms.next_seconds), (60, 30));
        assert_eq!(terms.rounding, Rounding { mode: RoundingMode::HalfEven, decimals: 2 });
        assert_eq!(admin.tariffs().unwrap(), [("standard".to_owned(), "EUR".parse().unwrap(), 2)]);
    }

    #[test]
    fn a_sheet_without_a_rate_does_not_empty_the_tariff() {
        let (_folder, mut admin) = admin();
        admin.import_rates("standard", "49\t0.02").unwrap();
        for sheet in ["", "\n", "prefix,price\n# nothing\n"] {
            assert!(matches!(admin.import_rates("standard", sheet), Err(ImportError::Empty)));
        }
        assert_eq!(admin.rates("standard").unwrap().len(), 1);
    }

    #[test]
    fn a_line_that_is_no_rate_is_named_and_nothing_is_changed() {
        let (_folder, mut admin) = admin();
        admin.import_rates("standard", "49\t0.02").unwrap();
        for (sheet, complaint) in [
            ("1,0.01\n2x,0.01", "line 2: prefix: not a prefix of one to fifteen digits"),
            ("\n1", "line 2: price is missing"),
            ("1,-0.01", "line 1: a price or fee is negative"),
            ("1,0.01,0", "line 1: an interval must be 1 to 86400 seconds"),
            ("1,0.01,60,1,1,0,up,4,9", "line 1: more than eight fields"),
            ("1,1e3", "line 1: price: not a decimal number such as 12.50"),
            ("1,0.01\n\n1,0.02", "line 3: prefix 1 has two rates"),
            ("1,1,60,1,1,0,nearest", "line 1: rounding: neither up, half-even nor down"),
        ] {
            let error = admin.import_rates("standard", sheet).unwrap_err();
            assert_eq!(error.to_string(), complaint);
        }
        assert_eq!(admin.rates("standard").unwrap().len(), 1);
        assert!(matches!(admin.import_rates("none", "1,1"), Err(ImportError::Store(_))));
    }
}
