//! Building the tariffs of a directory, each version once.

use std::collections::HashMap;
use std::sync::Arc;

use call::TariffId;
use ledger::{Amount, Currency, Exchange, Exchanges, RateTable, Tariff, TariffVersion, Validity};
use rusqlite::{Connection, params};

use super::request::stored_ms;
use super::{StoreError, rates};

/// Versions that were built before: they never change, so only new ones are read.
#[derive(Default)]
pub(super) struct Versions {
    built: HashMap<i64, Arc<TariffVersion>>,
}

impl Versions {
    /// Every tariff with the versions that are in force, are to come, or ended within the last day.
    ///
    /// # Errors
    /// The database refused or a row does not read.
    ///
    /// # Cost
    /// About two microseconds for each rate of a version that was not built before.
    pub(super) fn tariffs(
        &mut self,
        connection: &Connection,
        now_ms: u64,
    ) -> Result<HashMap<TariffId, Tariff>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT name, currency FROM tariff")?;
        let mut rows = statement.query([])?;
        let mut tariffs = HashMap::new();
        let mut used = HashMap::new();
        while let Some(row) = rows.next()? {
            let (name, currency): (String, String) = (row.get(0)?, row.get(1)?);
            let wrong = |error: &dyn ToString| StoreError::row("tariff", &name, error.to_string());
            let currency: Currency = currency.parse().map_err(|error| wrong(&error))?;
            let versions = self.of_tariff(connection, &name, now_ms, &mut used)?;
            let tariff = Tariff::new(name.as_str(), currency, versions).map_err(|error| wrong(&error))?;
            tariffs.insert(TariffId(name), tariff);
        }
        self.built = used;
        Ok(tariffs)
    }

    fn of_tariff(
        &self,
        connection: &Connection,
        tariff: &str,
        now_ms: u64,
        used: &mut HashMap<i64, Arc<TariffVersion>>,
    ) -> Result<Vec<Arc<TariffVersion>>, StoreError> {
        // A wall clock that is set back must not find a tariff without a version.
        let since = stored_ms(now_ms.saturating_sub(KEPT_MS));
        let mut statement = connection.prepare_cached(
            "SELECT id, valid_from_ms, valid_until_ms, time_zone, bands, taxes FROM tariff_version
             WHERE tariff = ?1 AND ready = 1 AND valid_from_ms >= (
                 SELECT coalesce(max(valid_from_ms), 0) FROM tariff_version
                 WHERE tariff = ?1 AND ready = 1 AND valid_from_ms <= ?2)",
        )?;
        let mut rows = statement.query(params![tariff, since])?;
        let mut versions = Vec::new();
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let version = match self.built.get(&id) {
                Some(version) => Arc::clone(version),
                None => {
                    let until: Option<i64> = row.get(2)?;
                    let validity = Validity {
                        from_ms: rates::wall(row.get(1)?).0,
                        until_ms: until.map(|until| rates::wall(until).0),
                    };
                    Arc::new(build(connection, id, validity, rates::terms(row, 3)?)?)
                }
            };
            used.insert(id, Arc::clone(&version));
            versions.push(version);
        }
        Ok(versions)
    }
}

fn build(
    connection: &Connection,
    id: i64,
    validity: Validity,
    terms: ledger::Terms,
) -> Result<TariffVersion, StoreError> {
    let names = terms.band_names();
    let wrong = |error: &dyn ToString| StoreError::row("tariff_version", id.to_string(), error.to_string());
    let listed = rates::of_version(connection, id)?;
    let mut rates = Vec::with_capacity(listed.len());
    for (rate, band) in listed {
        let place = match band {
            None => None,
            Some(band) => {
                let place =
                    names.iter().position(|name| *name == band).and_then(|place| u8::try_from(place).ok());
                Some(place.ok_or_else(|| wrong(&format!("there is no band {band}")))?)
            }
        };
        rates.push((rate, place));
    }
    let table = RateTable::new(rates).map_err(|error| wrong(&error))?;
    TariffVersion::new(validity, terms, table).map_err(|error| wrong(&error))
}

/// Every rate of exchange.
///
/// # Errors
/// The database refused or a row does not read.
pub(super) fn exchanges(connection: &Connection) -> Result<Exchanges, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT from_currency, to_currency, since_ms, rate FROM exchange_rate")?;
    let mut rows = statement.query([])?;
    let mut exchanges = Vec::new();
    while let Some(row) = rows.next()? {
        let (from, to): (String, String) = (row.get(0)?, row.get(1)?);
        let wrong = |error: &dyn ToString| StoreError::row("exchange_rate", &from, error.to_string());
        exchanges.push(Exchange {
            from: from.parse().map_err(|error| wrong(&error))?,
            to: to.parse().map_err(|error| wrong(&error))?,
            since_ms: rates::wall(row.get(2)?).0,
            rate: Amount::from_nanos(row.get(3)?),
        });
    }
    Exchanges::new(exchanges).map_err(|error| StoreError::row("exchange_rate", "", error))
}

/// How long a version that was followed by another is kept.
const KEPT_MS: u64 = 24 * 3_600_000;
