//! Building a directory out of the tables.

use std::collections::HashMap;
use std::path::Path;

use call::{Account, AccountId, DigestSecret, Directory, PhoneMedia, TariffId};
use rusqlite::Connection;

use super::tariffs::{self, Versions};
use super::{BUSY_TIMEOUT, StoreError, schema, secret, trunks, wall_ms};

/// Reads everything a call is decided by, at one instant.
///
/// # Errors
/// The database cannot be read, or a row does not say what it should: then nothing is given, and the
/// directory from before stays in use.
///
/// # Cost
/// Reads every account, rate and trunk.
pub fn load_directory(path: &Path) -> Result<Directory, StoreError> {
    load(&mut schema::connect(path, BUSY_TIMEOUT)?, &mut Versions::default())
}

/// As [`load_directory`], with the versions of tariffs that were built before.
pub(super) fn load(connection: &mut Connection, versions: &mut Versions) -> Result<Directory, StoreError> {
    // One transaction, so that no table is newer than another.
    let transaction = connection.transaction()?;
    let directory = Directory {
        accounts: accounts(&transaction)?,
        tariffs: versions.tariffs(&transaction, wall_ms())?,
        exchanges: tariffs::exchanges(&transaction)?,
        trunks: trunks::all(&transaction)?.into_iter().map(|row| row.trunk).collect(),
    };
    transaction.finish()?;
    Ok(directory)
}

/// Every account as calls see it.
///
/// # Errors
/// The database refused or a row does not read.
pub(super) fn accounts(connection: &Connection) -> Result<HashMap<AccountId, Account>, StoreError> {
    let mut accounts = HashMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT id, enabled, md5_in_clear, tariff, currency, caller_number, max_call_seconds, max_calls,
                grace_seconds, media, overrides, trial
         FROM account",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = AccountId(row.get(0)?);
        let currency: String = row.get(4)?;
        let media: String = row.get(9)?;
        let account = Account {
            enabled: row.get(1)?,
            secrets: Vec::new(),
            md5_in_clear: row.get(2)?,
            trusted: Vec::new(),
            tariff: row.get::<_, Option<String>>(3)?.map(TariffId),
            overrides: row.get::<_, Option<String>>("overrides")?.map(TariffId),
            on_trial: row.get::<_, String>("trial")? == "on",
            currency: currency.parse().map_err(|error| StoreError::row("account", &id.0, error))?,
            caller_number: row.get(5)?,
            media: PhoneMedia::ALL
                .into_iter()
                .find(|known| known.name() == media)
                .ok_or_else(|| StoreError::row("account", &id.0, "unknown media"))?,
            max_call_seconds: row.get(6)?,
            max_calls: row.get(7)?,
            grace_seconds: row.get(8)?,
            id: id.clone(),
        };
        accounts.insert(id, account);
    }
    let mut statement = connection
        .prepare_cached("SELECT account, algorithm, ha1 FROM digest_secret ORDER BY account, position")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, algorithm, ha1): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let algorithm = secret::from_name(&algorithm)
            .ok_or_else(|| StoreError::row("digest_secret", &id, "unknown algorithm"))?;
        if let Some(account) = accounts.get_mut(&AccountId(id)) {
            account.secrets.push(DigestSecret { algorithm, ha1 });
        }
    }
    let mut statement =
        connection.prepare_cached("SELECT account, address FROM trusted_address ORDER BY address")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, address): (String, String) = (row.get(0)?, row.get(1)?);
        let address = address.parse().map_err(|error| StoreError::row("trusted_address", &address, error))?;
        if let Some(account) = accounts.get_mut(&AccountId(id)) {
            account.trusted.push(address);
        }
    }
    Ok(accounts)
}
