//! Tariffs and their rates, as an operator looks at them, and as the tables keep them.

use call::WallTime;
use ledger::{Amount, Currency, Rate, RateTerms, Rounding, RoundingMode, Terms};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::request::stored_ms;
use super::sheet::{BandRate, Sheet};
use super::{Admin, StoreError};

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

    /// Every tariff with its currency and how many rates are in force, by name.
    ///
    /// # Errors
    /// The database refused or a row does not read.
    pub fn tariffs(&self) -> Result<Vec<(String, Currency, u64)>, StoreError> {
        let mut statement =
            self.connection().prepare_cached("SELECT name, currency FROM tariff ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut tariffs = Vec::new();
        while let Some(row) = rows.next()? {
            let (name, code): (String, String) = (row.get(0)?, row.get(1)?);
            let currency = code.parse().map_err(|error| StoreError::row("tariff", &name, error))?;
            let count = match in_force(self.connection(), &name, self.now_ms())? {
                Some(version) => count(self.connection(), version)?,
                None => 0,
            };
            tariffs.push((name, currency, count));
        }
        Ok(tariffs)
    }

    /// Every version of a tariff, by the instant it begins at.
    ///
    /// # Errors
    /// There is no such tariff, or the database refused.
    pub fn versions(&self, tariff: &str) -> Result<Vec<VersionRow>, StoreError> {
        currency(self.connection(), tariff)?;
        let mut statement = self.connection().prepare_cached(
            "SELECT id, valid_from_ms, valid_until_ms, made_at_ms, time_zone, bands, taxes
             FROM tariff_version WHERE tariff = ?1 AND ready = 1 ORDER BY valid_from_ms",
        )?;
        let mut rows = statement.query([tariff])?;
        let mut versions = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            versions.push(VersionRow {
                from: wall(row.get(1)?),
                until: row.get::<_, Option<i64>>(2)?.map(wall),
                made_at: wall(row.get(3)?),
                terms: terms(row, 4)?,
                rates: count(self.connection(), id)?,
            });
        }
        Ok(versions)
    }

    /// The rates of a tariff that are in force at an instant, or now, by prefix.
    ///
    /// # Errors
    /// There is no such tariff, or the database refused.
    pub fn rates(&self, tariff: &str, at: Option<WallTime>) -> Result<Sheet, StoreError> {
        currency(self.connection(), tariff)?;
        let at_ms = at.map_or_else(|| self.now_ms(), |at| at.0);
        let rates = match in_force(self.connection(), tariff, at_ms)? {
            Some(version) => of_version(self.connection(), version)?,
            None => Vec::new(),
        };
        Ok(Sheet { rates })
    }
}

/// One version of a tariff.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionRow {
    /// When it begins.
    pub from: WallTime,
    /// When it ends, unless a later one begins before.
    pub until: Option<WallTime>,
    /// When it was entered.
    pub made_at: WallTime,
    /// Its time zone, bands and taxes.
    pub terms: Terms,
    /// How many rates it has.
    pub rates: u64,
}

/// The version in force at an instant.
///
/// # Errors
/// The database refused.
pub(super) fn in_force(connection: &Connection, tariff: &str, at_ms: u64) -> Result<Option<i64>, StoreError> {
    let latest: Option<(i64, Option<i64>)> = connection
        .prepare_cached(
            "SELECT id, valid_until_ms FROM tariff_version
             WHERE tariff = ?1 AND ready = 1 AND valid_from_ms <= ?2 ORDER BY valid_from_ms DESC LIMIT 1",
        )?
        .query_row(params![tariff, stored_ms(at_ms)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(latest.filter(|(_, until)| until.is_none_or(|until| until > stored_ms(at_ms))).map(|(id, _)| id))
}

/// The currency of a tariff.
///
/// # Errors
/// There is no such tariff.
pub(super) fn currency(connection: &Connection, tariff: &str) -> Result<Currency, StoreError> {
    let code: Option<String> = connection
        .prepare_cached("SELECT currency FROM tariff WHERE name = ?1")?
        .query_row([tariff], |row| row.get(0))
        .optional()?;
    let code = code.ok_or_else(|| StoreError::refused(format!("there is no tariff {tariff}")))?;
    code.parse().map_err(|error| StoreError::row("tariff", tariff, error))
}

/// The time zone, the bands and the taxes of a version, in three columns from `column` on.
///
/// # Errors
/// They do not read.
pub(super) fn terms(row: &Row<'_>, column: usize) -> Result<Terms, StoreError> {
    let (zone, bands, taxes): (String, String, String) =
        (row.get(column)?, row.get(column + 1)?, row.get(column + 2)?);
    let wrong = |error: &dyn ToString| StoreError::row("tariff_version", &zone, error.to_string());
    Ok(Terms {
        zone: zone.parse().map_err(|error| wrong(&error))?,
        bands: serde_json::from_str(&bands).map_err(|error| wrong(&error))?,
        taxes: serde_json::from_str(&taxes).map_err(|error| wrong(&error))?,
    })
}

/// The rates of one version by prefix, those for all hours first.
///
/// # Errors
/// The database refused or a row does not read.
pub(super) fn of_version(connection: &Connection, version: i64) -> Result<Vec<BandRate>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT prefix, band, price, per_seconds, initial_seconds, next_seconds, connection_fee, rounding,
                rounding_decimals, minimum_charge, attempt_fee, free_seconds, grace_seconds, trial
         FROM version_rate WHERE version = ?1 ORDER BY prefix, band",
    )?;
    let mut rows = statement.query([version])?;
    let mut rates = Vec::new();
    while let Some(row) = rows.next()? {
        rates.push(rate(row)?);
    }
    Ok(rates)
}

fn rate(row: &Row<'_>) -> Result<BandRate, StoreError> {
    let prefix = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    let band = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
    let mode = row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?;
    let wrong = |reason: &dyn ToString| StoreError::row("version_rate", prefix, reason.to_string());
    let amount = |column: usize| row.get(column).map(Amount::from_nanos);
    let rate = Rate::new(RateTerms {
        prefix: prefix.parse().map_err(|error| wrong(&error))?,
        price: amount(2)?,
        per_seconds: row.get(3)?,
        initial_seconds: row.get(4)?,
        next_seconds: row.get(5)?,
        connection_fee: amount(6)?,
        rounding: Rounding {
            mode: RoundingMode::from_name(mode).ok_or_else(|| wrong(&"unknown rounding"))?,
            decimals: row.get(8)?,
        },
        minimum_charge: amount(9)?,
        attempt_fee: amount(10)?,
        free_seconds: row.get(11)?,
        grace_seconds: row.get(12)?,
        trial: row.get(13)?,
    });
    Ok((rate.map_err(|error| wrong(&error))?, (!band.is_empty()).then(|| band.to_owned())))
}

/// Writes one rate of a version that is not ready yet.
///
/// # Errors
/// The database refused.
pub(super) fn insert(
    connection: &Connection,
    version: i64,
    (rate, band): &BandRate,
) -> Result<(), StoreError> {
    let terms = rate.terms();
    connection
        .prepare_cached(
            "INSERT INTO version_rate (version, prefix, band, price, per_seconds, initial_seconds, next_seconds,
                                       connection_fee, rounding, rounding_decimals, minimum_charge, attempt_fee,
                                       free_seconds, grace_seconds, trial)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            version,
            terms.prefix.as_str(),
            band.as_deref().unwrap_or_default(),
            terms.price.nanos(),
            terms.per_seconds,
            terms.initial_seconds,
            terms.next_seconds,
            terms.connection_fee.nanos(),
            terms.rounding.mode.name(),
            terms.rounding.decimals,
            terms.minimum_charge.nanos(),
            terms.attempt_fee.nanos(),
            terms.free_seconds,
            terms.grace_seconds,
            terms.trial,
        ])?;
    Ok(())
}

fn count(connection: &Connection, version: i64) -> Result<u64, StoreError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM version_rate WHERE version = ?1")?
        .query_row([version], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// An instant as the tables keep it.
pub(super) fn wall(ms: i64) -> WallTime {
    WallTime(u64::try_from(ms).unwrap_or(0))
}
