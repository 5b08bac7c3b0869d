//! Bringing in versions of tariffs, while calls go on.

use std::time::Duration;

use call::WallTime;
use ledger::{Currency, Exchange, Exchanges, Rate, Terms};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::request::stored_ms;
use super::sheet::{BandRate, Sheet};
use super::{Admin, StoreError, rates};

impl Admin {
    /// Puts a rate for all hours in force from now on, in place of the one of that prefix: a new version of the tariff. A
    /// call in progress keeps its price.
    ///
    /// # Errors
    /// There is no such tariff.
    ///
    /// # Cost
    /// The other rates are copied: a microsecond or two each, during which calls wait for the store. A sheet is better
    /// imported.
    pub fn put_rate(&mut self, tariff: &str, rate: &Rate) -> Result<(), StoreError> {
        self.put_band_rate(tariff, &(rate.clone(), None))
    }

    /// As [`Admin::put_rate`], for the hours of a band or for all.
    ///
    /// # Errors
    /// There is no such tariff, it has no such band, or the prefix has no rate for the other hours.
    pub fn put_band_rate(&mut self, tariff: &str, rate: &BandRate) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        let transaction = self.begin()?;
        let (before, terms) = latest(&transaction, tariff, free_instant(&transaction, tariff, now_ms)?)?;
        let (prefix, band) = (rate.0.prefix(), rate.1.as_deref().unwrap_or_default());
        if !band.is_empty() {
            if !terms.band_names().iter().any(|name| name == band) {
                return Err(StoreError::refused(format!("tariff {tariff} has no band {band:?}")));
            }
            let for_other_hours = transaction
                .prepare_cached(
                    "SELECT 1 FROM version_rate WHERE version = ?1 AND prefix = ?2 AND band = ''",
                )?
                .exists(params![before, prefix.as_str()])?;
            if !for_other_hours {
                let reason = format!("prefix {prefix} needs a rate for the other hours first");
                return Err(StoreError::refused(reason));
            }
        }
        let version = begin_version(&transaction, tariff, None, &terms, now_ms)?;
        copy(&transaction, before, version, Some((prefix.as_str(), band)))?;
        rates::insert(&transaction, version, rate)?;
        put_in_force(&transaction, tariff, version, None, now_ms)?;
        transaction.commit()?;
        Ok(())
    }

    /// Puts other terms in force from now on, with the same rates: a new version of the tariff.
    ///
    /// # Errors
    /// There is no such tariff, or it has rates for a band that these terms do not have.
    pub fn set_terms(&mut self, tariff: &str, terms: &Terms) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        let transaction = self.begin()?;
        let (before, _) = latest(&transaction, tariff, free_instant(&transaction, tariff, now_ms)?)?;
        let names = terms.band_names();
        let mut used = transaction
            .prepare_cached("SELECT DISTINCT band FROM version_rate WHERE version = ?1 AND band <> ''")?;
        for band in used.query_map([before], |row| row.get::<_, String>(0))? {
            let band = band?;
            if !names.contains(&band) {
                return Err(StoreError::refused(format!(
                    "tariff {tariff} has rates for {band}, which must stay"
                )));
            }
        }
        drop(used);
        let version = begin_version(&transaction, tariff, None, terms, now_ms)?;
        copy(&transaction, before, version, None)?;
        put_in_force(&transaction, tariff, version, None, now_ms)?;
        transaction.commit()?;
        Ok(())
    }

    /// The terms that a further version of a tariff has unless it is told otherwise: those of the newest one.
    ///
    /// # Errors
    /// There is no such tariff, or the database refused.
    pub fn terms(&self, tariff: &str) -> Result<Terms, StoreError> {
        Ok(latest(self.connection(), tariff, i64::MAX)?.1)
    }

    /// Makes a sheet the whole tariff from an instant on, at once: a new version of it.
    ///
    /// Its rates are brought in a few thousand at a time, so that calls find the store free in between, and count together
    /// in the end. `progress` hears how many are in. What a process left behind that died in the middle is removed
    /// by the next import of the tariff, a day later or more.
    ///
    /// # Errors
    /// There is no such tariff, or a version begins at that instant, or it has passed.
    ///
    /// # Cost
    /// Five to ten microseconds a rate, half of it waiting so that calls come through.
    pub fn import_sheet(
        &mut self,
        new: &NewVersion,
        sheet: &Sheet,
        progress: &mut dyn FnMut(usize),
    ) -> Result<WallTime, StoreError> {
        let begun_ms = self.now_ms();
        self.remove_leftovers(&new.tariff, begun_ms)?;
        let transaction = self.begin()?;
        rates::currency(&transaction, &new.tariff)?;
        if new.from.is_some_and(|from| from.0 < begun_ms) {
            return Err(StoreError::refused("a version cannot begin in the past: calls were priced by then"));
        }
        if new.until.is_some_and(|until| new.from.is_some_and(|from| until <= from)) {
            return Err(StoreError::refused("a version ends after it begins"));
        }
        if let Some(from) = new.from
            && begins_at(&transaction, &new.tariff, stored_ms(from.0))?
        {
            return Err(StoreError::refused(format!("a version of tariff {} begins at {from}", new.tariff)));
        }
        let version = begin_version(&transaction, &new.tariff, new.until, &new.terms, begun_ms)?;
        transaction.commit()?;
        let mut done = 0;
        for chunk in sheet.rates.chunks(CHUNK_RATES) {
            let transaction = self.begin()?;
            for rate in chunk {
                rates::insert(&transaction, version, rate)?;
            }
            transaction.commit()?;
            done += chunk.len();
            progress(done);
            leave_room();
        }
        let now_ms = self.now_ms();
        let transaction = self.begin()?;
        let from = put_in_force(&transaction, &new.tariff, version, new.from, now_ms)?;
        transaction.commit()?;
        Ok(from)
    }

    /// Takes back a version that has not begun.
    ///
    /// # Errors
    /// No version of the tariff begins at that instant, or it has begun.
    pub fn withdraw_version(&mut self, tariff: &str, from: WallTime) -> Result<(), StoreError> {
        if from.0 <= self.now_ms() {
            return Err(StoreError::refused("a version that has begun stays: calls were priced by it"));
        }
        let version: Option<i64> = self
            .connection()
            .prepare_cached(
                "SELECT id FROM tariff_version WHERE tariff = ?1 AND valid_from_ms = ?2 AND ready = 1",
            )?
            .query_row(params![tariff, stored_ms(from.0)], |row| row.get(0))
            .optional()?;
        let version = version
            .ok_or_else(|| StoreError::refused(format!("no version of tariff {tariff} begins at {from}")))?;
        self.connection().execute("UPDATE tariff_version SET ready = 0 WHERE id = ?1", [version])?;
        self.remove_version(version)
    }

    /// Puts a rate of exchange in force from an instant on, or from now: what one main unit of `from` is worth in `to`.
    ///
    /// # Errors
    /// It is not above zero or of a currency to itself, it begins in the past, or another one begins then.
    pub fn add_exchange(
        &mut self,
        from: Currency,
        to: Currency,
        rate: ledger::Amount,
        since: Option<WallTime>,
    ) -> Result<Exchange, StoreError> {
        let now_ms = self.now_ms();
        let since_ms = since.map_or(now_ms, |since| since.0);
        if since_ms < now_ms {
            return Err(StoreError::refused(
                "a rate of exchange cannot begin in the past: calls were priced by then",
            ));
        }
        let exchange = Exchange { from, to, rate, since_ms };
        Exchanges::new([exchange]).map_err(|error| StoreError::refused(error.to_string()))?;
        let transaction = self.begin()?;
        let added = transaction.execute(
            "INSERT INTO exchange_rate (from_currency, to_currency, since_ms, rate) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![from.code(), to.code(), stored_ms(since_ms), rate.nanos()],
        )?;
        if added == 0 {
            return Err(StoreError::refused(format!("a rate of {from} in {to} begins at that instant")));
        }
        transaction.commit()?;
        Ok(exchange)
    }

    fn remove_leftovers(&mut self, tariff: &str, now_ms: u64) -> Result<(), StoreError> {
        let before = stored_ms(now_ms.saturating_sub(LEFTOVER_MS));
        let stale: Vec<i64> = self
            .connection()
            .prepare_cached(
                "SELECT id FROM tariff_version WHERE tariff = ?1 AND ready = 0 AND made_at_ms < ?2",
            )?
            .query_map(params![tariff, before], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        stale.into_iter().try_for_each(|version| self.remove_version(version))
    }

    /// Removes a version that does not count, a few thousand rates at a time.
    fn remove_version(&mut self, version: i64) -> Result<(), StoreError> {
        loop {
            let transaction = self.begin()?;
            let removed = transaction.execute(
                "DELETE FROM version_rate WHERE version = ?1 AND (prefix, band) IN (
                     SELECT prefix, band FROM version_rate WHERE version = ?1 LIMIT ?2)",
                params![version, i64::try_from(CHUNK_RATES).unwrap_or(i64::MAX)],
            )?;
            if removed == 0 {
                transaction.execute("DELETE FROM tariff_version WHERE id = ?1", [version])?;
            }
            transaction.commit()?;
            if removed == 0 {
                return Ok(());
            }
            leave_room();
        }
    }
}

/// A version to be made out of a sheet.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Of which tariff.
    pub tariff: String,
    /// When it begins; none: as soon as it is in, or, if the tariff has none yet, since ever.
    pub from: Option<WallTime>,
    /// When it ends, unless a later one begins before.
    pub until: Option<WallTime>,
    /// Its time zone, bands and taxes.
    pub terms: Terms,
}

/// The newest version that has begun by an instant, and its terms; where none has, those of the first to come, or of nothing.
fn latest(connection: &Connection, tariff: &str, at_ms: i64) -> Result<(Option<i64>, Terms), StoreError> {
    rates::currency(connection, tariff)?;
    let mut statement = connection.prepare_cached(
        "SELECT id, valid_from_ms <= ?2, time_zone, bands, taxes FROM tariff_version
         WHERE tariff = ?1 AND ready = 1 ORDER BY valid_from_ms <= ?2 DESC, abs(valid_from_ms - ?2) LIMIT 1",
    )?;
    let mut rows = statement.query(params![tariff, at_ms])?;
    let Some(row) = rows.next()? else { return Ok((None, Terms::default())) };
    let (id, begun): (i64, bool) = (row.get(0)?, row.get(1)?);
    Ok((begun.then_some(id), rates::terms(row, 2)?))
}

/// Makes a version that does not count yet.
fn begin_version(
    transaction: &Transaction<'_>,
    tariff: &str,
    until: Option<WallTime>,
    terms: &Terms,
    now_ms: u64,
) -> Result<i64, StoreError> {
    if terms.bands.len() > ledger::Band::COUNT_MAX {
        return Err(StoreError::refused(format!("a tariff has at most {} bands", ledger::Band::COUNT_MAX)));
    }
    let until_ms = until.map(|until| stored_ms(until.0));
    if until_ms.is_some_and(|until| until <= stored_ms(now_ms)) {
        return Err(StoreError::refused("a version cannot end in the past"));
    }
    let json = |text: Result<String, serde_json::Error>| {
        text.map_err(|error| StoreError::row("tariff_version", tariff, error))
    };
    transaction.execute(
        "INSERT INTO tariff_version (tariff, valid_from_ms, valid_until_ms, ready, made_at_ms, time_zone, bands, taxes)
         VALUES (?1, 0, ?2, 0, ?3, ?4, ?5, ?6)",
        params![
            tariff,
            until_ms,
            stored_ms(now_ms),
            terms.zone.name(),
            json(serde_json::to_string(&terms.bands))?,
            json(serde_json::to_string(&terms.taxes))?,
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Has a version count, from an instant on or from now, and gives that instant. The first of a tariff has always counted.
fn put_in_force(
    transaction: &Transaction<'_>,
    tariff: &str,
    version: i64,
    from: Option<WallTime>,
    now_ms: u64,
) -> Result<WallTime, StoreError> {
    let is_first = !transaction
        .prepare_cached("SELECT 1 FROM tariff_version WHERE tariff = ?1 AND ready = 1")?
        .exists([tariff])?;
    let from_ms = match from {
        None if is_first => 0,
        _ => free_instant(transaction, tariff, from.map_or(now_ms, |from| from.0.max(now_ms)))?,
    };
    transaction.execute(
        "UPDATE tariff_version SET valid_from_ms = ?2, ready = 1 WHERE id = ?1",
        params![version, from_ms],
    )?;
    Ok(rates::wall(from_ms))
}

/// The first instant from one on at which no version begins: two changes may come within a millisecond.
fn free_instant(connection: &Connection, tariff: &str, from_ms: u64) -> Result<i64, StoreError> {
    let mut from_ms = stored_ms(from_ms);
    while begins_at(connection, tariff, from_ms)? {
        from_ms += 1;
    }
    Ok(from_ms)
}

fn begins_at(connection: &Connection, tariff: &str, from_ms: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM tariff_version WHERE tariff = ?1 AND valid_from_ms = ?2 AND ready = 1",
    )?;
    Ok(statement.exists(params![tariff, from_ms])?)
}

/// Copies the rates of a version, all but one.
fn copy(
    transaction: &Transaction<'_>,
    from: Option<i64>,
    to: i64,
    but: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO version_rate
             SELECT ?2, prefix, band, price, per_seconds, initial_seconds, next_seconds, connection_fee, rounding,
                    rounding_decimals, minimum_charge, attempt_fee, free_seconds, grace_seconds, trial
             FROM version_rate WHERE version = ?1 AND NOT (prefix IS ?3 AND band IS ?4)",
        )?
        .execute(params![from, to, but.map(|(prefix, _)| prefix), but.map(|(_, band)| band)])?;
    Ok(())
}

/// Lets writers of other processes have the database.
fn leave_room() {
    // SQLite's lock has no queue: whoever waits for it looks again after a while, and a lock that is taken again at once
    // is never seen free.
    #[allow(clippy::disallowed_methods, reason = "no event tells that another process has had its turn")]
    std::thread::sleep(PAUSE);
}

/// So many are brought in at a time: some ten milliseconds.
const CHUNK_RATES: usize = 4000;
/// Longer than a waiting writer sleeps between two looks at the lock, but for the longest of its waits.
const PAUSE: Duration = Duration::from_millis(12);
/// What is older and still not ready was left behind.
const LEFTOVER_MS: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests;
