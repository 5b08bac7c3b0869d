//! Trunks, as an operator handles them.

use call::{TariffId, Trunk, TrunkCredentials, TrunkId, TrunkMedia, TrunkTransport};
use rusqlite::{Connection, params};

use super::{Admin, StoreError, rates};

impl Admin {
    /// Adds a trunk, or replaces the one of that name. Trunks are tried from the lowest `priority` up, and by
    /// name where it is the same.
    ///
    /// # Errors
    /// The name or the prefix is none, its tariff is not there, or the trunk allows no time to answer.
    pub fn put_trunk(&mut self, trunk: &Trunk, priority: u32) -> Result<(), StoreError> {
        trunk.id.0.parse::<ledger::AccountId>().map_err(|error| StoreError::refused(error.to_string()))?;
        if !trunk.number_prefix.bytes().all(|byte| byte.is_ascii_digit() || b"+*#".contains(&byte)) {
            let prefix = &trunk.number_prefix;
            return Err(StoreError::refused(format!(
                "{prefix:?} is no prefix of a number: digits, +, * and #"
            )));
        }
        if trunk.setup_timeout_seconds == 0 {
            return Err(StoreError::refused("a trunk is given at least one second to answer"));
        }
        let transaction = self.begin()?;
        if let Some(tariff) = &trunk.buy_tariff {
            rates::currency(&transaction, &tariff.0)?;
        }
        transaction.execute(
            "INSERT OR REPLACE INTO trunk (name, priority, enabled, transport, address, domain, number_prefix,
                                           user, password, media, max_calls, setup_timeout_seconds, buy_tariff)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                trunk.id.0,
                priority,
                trunk.enabled,
                transport_name(trunk.transport),
                trunk.address.to_string(),
                trunk.domain,
                trunk.number_prefix,
                trunk.credentials.as_ref().map(|credentials| &credentials.user),
                trunk.credentials.as_ref().map(|credentials| &credentials.password),
                media_name(trunk.media),
                trunk.max_calls,
                trunk.setup_timeout_seconds,
                trunk.buy_tariff.as_ref().map(|tariff| &tariff.0),
            ],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Allows or forbids calls over a trunk.
    ///
    /// # Errors
    /// There is no such trunk.
    pub fn set_trunk_enabled(&mut self, name: &str, enabled: bool) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        let changed =
            transaction.execute("UPDATE trunk SET enabled = ?2 WHERE name = ?1", params![name, enabled])?;
        if changed == 0 {
            return Err(StoreError::refused("no such trunk"));
        }
        transaction.commit()?;
        Ok(())
    }

    /// Removes a trunk; calls over it go on.
    ///
    /// # Errors
    /// There is no such trunk.
    pub fn remove_trunk(&mut self, name: &str) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        if transaction.execute("DELETE FROM trunk WHERE name = ?1", [name])? == 0 {
            return Err(StoreError::refused("no such trunk"));
        }
        transaction.commit()?;
        Ok(())
    }

    /// Every trunk in the order they are tried.
    ///
    /// # Errors
    /// The database refused or a row does not read.
    pub fn trunks(&self) -> Result<Vec<TrunkRow>, StoreError> {
        all(self.connection())
    }
}

/// A trunk as it is stored.
#[derive(Clone, Debug)]
pub struct TrunkRow {
    /// Its place: the lowest is tried first.
    pub priority: u32,
    /// The trunk; its password is not shown by `Debug`.
    pub trunk: Trunk,
}

/// Every trunk in the order they are tried.
///
/// # Errors
/// The database refused or a row does not read.
pub(super) fn all(connection: &Connection) -> Result<Vec<TrunkRow>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, priority, enabled, transport, address, domain, number_prefix, user, password, media,
                max_calls, setup_timeout_seconds, buy_tariff
         FROM trunk ORDER BY priority, name",
    )?;
    let mut rows = statement.query([])?;
    let mut trunks = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let (transport, address, media): (String, String, String) = (row.get(3)?, row.get(4)?, row.get(9)?);
        let wrong = |reason: &str| StoreError::row("trunk", &name, reason);
        let user: Option<String> = row.get(7)?;
        let password: Option<String> = row.get(8)?;
        let trunk = Trunk {
            id: TrunkId(name.clone()),
            enabled: row.get(2)?,
            transport: TRANSPORTS
                .into_iter()
                .find(|known| transport_name(*known) == transport)
                .ok_or_else(|| wrong("unknown transport"))?,
            address: address.parse().map_err(|_| wrong("the address is not ip:port"))?,
            domain: row.get(5)?,
            number_prefix: row.get(6)?,
            credentials: user.zip(password).map(|(user, password)| TrunkCredentials { user, password }),
            media: MEDIA
                .into_iter()
                .find(|known| media_name(*known) == media)
                .ok_or_else(|| wrong("unknown media"))?,
            buy_tariff: row.get::<_, Option<String>>(12)?.map(TariffId),
            max_calls: row.get(10)?,
            setup_timeout_seconds: row.get(11)?,
        };
        trunks.push(TrunkRow { priority: row.get(1)?, trunk });
    }
    Ok(trunks)
}

fn transport_name(transport: TrunkTransport) -> &'static str {
    match transport {
        TrunkTransport::Udp => "udp",
        TrunkTransport::Tcp => "tcp",
        TrunkTransport::Tls => "tls",
    }
}

fn media_name(media: TrunkMedia) -> &'static str {
    match media {
        TrunkMedia::Srtp => "srtp",
        TrunkMedia::Plain => "plain",
    }
}

const TRANSPORTS: [TrunkTransport; 3] = [TrunkTransport::Udp, TrunkTransport::Tcp, TrunkTransport::Tls];
const MEDIA: [TrunkMedia; 2] = [TrunkMedia::Srtp, TrunkMedia::Plain];
