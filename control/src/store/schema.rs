//! Opening the database file: its mode, its settings, its migrations.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::StoreError;

/// Opens the database for reading and writing, creating it and bringing its schema up to date.
///
/// A new file can be read and written by its owner only: it holds the trunks' passwords.
///
/// # Errors
/// The file cannot be created or written, is no database, or was made by a newer program.
pub(super) fn open(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    create(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    let mut connection = connect(path, busy_timeout)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a further connection to a database that [`open`] has prepared.
///
/// # Errors
/// There is no such file, or it is no database.
pub(super) fn connect(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With WAL, FULL is what makes COMMIT wait for the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// What identifies the file behind a path: device and inode.
///
/// # Errors
/// There is no such file.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn create(path: &Path) -> io::Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Ok(file) => {
            file.sync_all()?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.mode();
            if mode & 0o077 != 0 {
                tracing::warn!(
                    path = %path.display(),
                    mode = format!("{:o}", mode & 0o777),
                    "others than its owner may open the database, which holds secrets of trunks"
                );
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    migrate_with(connection, &MIGRATIONS)
}

fn migrate_with(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
            number INTEGER PRIMARY KEY,
            sha256 TEXT NOT NULL
        ) STRICT",
    )?;
    let newest: u32 =
        transaction.query_row("SELECT coalesce(max(number), 0) FROM migration", [], |row| row.get(0))?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if newest > known {
        return Err(StoreError::Migration(newest));
    }
    for (number, sql) in (1..).zip(migrations) {
        let sum = sha256(sql);
        let applied: Option<String> = transaction
            .query_row("SELECT sha256 FROM migration WHERE number = ?1", [number], |row| row.get(0))
            .optional()?;
        match applied {
            Some(applied) if applied == sum => {}
            Some(_) => return Err(StoreError::Migration(number)),
            None => {
                transaction.execute_batch(sql)?;
                transaction.execute(
                    "INSERT INTO migration (number, sha256) VALUES (?1, ?2)",
                    params![number, sum],
                )?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// In the order of their numbers, which start at 1. One that was released is never edited.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_first_paid_call.sql"),
    include_str!("migrations/0002_quality.sql"),
    include_str!("migrations/0003_phone_media.sql"),
    include_str!("migrations/0004_tariff_versions.sql"),
];

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A database as a program of so many migrations leaves it.
    pub(in crate::store) fn open_as_of(path: &Path, migrations: usize) -> Connection {
        create(path).unwrap();
        let mut connection = connect(path, TIMEOUT).unwrap();
        migrate_with(&mut connection, &MIGRATIONS[..migrations]).unwrap();
        connection
    }

    const TIMEOUT: Duration = Duration::from_millis(50);

    #[test]
    fn a_new_database_is_its_owners_alone_and_durable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        let connection = open(&path, TIMEOUT).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let pragma = |name: &str| -> String {
            connection
                .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
    }

    #[test]
    fn opening_again_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        for _ in 0..2 {
            let connection = open(&path, TIMEOUT).unwrap();
            let count: u32 =
                connection.query_row("SELECT count(*) FROM migration", [], |row| row.get(0)).unwrap();
            assert_eq!(usize::try_from(count).unwrap(), MIGRATIONS.len());
        }
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        let connection = open(&path, TIMEOUT).unwrap();
        connection.execute("UPDATE migration SET sha256 = 'edited'", []).unwrap();
        assert!(matches!(open(&path, TIMEOUT), Err(StoreError::Migration(1))));
        connection.execute("INSERT INTO migration VALUES (99, 'newer')", []).unwrap();
        assert!(matches!(open(&path, TIMEOUT), Err(StoreError::Migration(99))));
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        fs::write(&path, "not a database, but long enough to have a header").unwrap();
        assert!(matches!(open(&path, TIMEOUT), Err(StoreError::Sqlite(_))));
        let nowhere = folder.path().join("nowhere/tollgate.db");
        assert!(matches!(open(&nowhere, TIMEOUT), Err(StoreError::File { .. })));
    }
}
