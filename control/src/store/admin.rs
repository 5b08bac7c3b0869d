//! What an operator's command does to the store, straight on the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use call::Cdr;
use ledger::Amount;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{BUSY_TIMEOUT, Clock, StoreError, schema, wall_ms};

/// A connection for an operator: accounts, credit, rates, trunks and records.
///
/// Works beside a running control process, which waits for a change at most as long as the change takes; it
/// sees the change within a quarter of a second. Every change is on the disk when its function returns.
pub struct Admin {
    connection: Connection,
    clock: Clock,
    path: PathBuf,
}

impl Admin {
    /// Opens the database, creating it when there is none.
    ///
    /// # Errors
    /// It cannot be opened, written or understood.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open(path, BUSY_TIMEOUT)?;
        Ok(Admin { connection, clock: Arc::new(wall_ms), path: path.to_owned() })
    }

    /// Uses another wall clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest call records, newest first, at most `count_max`; of one account or of all.
    ///
    /// # Errors
    /// The database refused or a record does not read.
    pub fn cdrs(&self, account: Option<&str>, count_max: u32) -> Result<Vec<CdrRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, shortfall, record FROM cdr
             WHERE ?1 IS NULL OR account = ?1 ORDER BY sequence DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(rusqlite::params![account, count_max])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (sequence, record): (i64, String) = (row.get(0)?, row.get(2)?);
            let cdr = serde_json::from_str(&record)
                .map_err(|error| StoreError::row("cdr", sequence.to_string(), error))?;
            found.push(CdrRow { sequence, shortfall: Amount::from_nanos(row.get(1)?), cdr });
        }
        Ok(found)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    pub(super) fn now_ms(&self) -> u64 {
        (self.clock)()
    }
}

/// One record as it is stored.
#[derive(Clone, Debug)]
pub struct CdrRow {
    /// Its place in the order of commits.
    pub sequence: i64,
    /// What the call cost beyond what could be posted; zero but for faults and expired holds.
    pub shortfall: Amount,
    /// The record; its charge is what was posted.
    pub cdr: Cdr,
}
