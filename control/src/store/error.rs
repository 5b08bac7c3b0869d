//! Why the store could not do what it was asked.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An operation on the store failed; nothing of it was kept.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused: the disk is full or read-only, the file is locked or damaged.
    #[error("the database refused")]
    Sqlite(#[from] rusqlite::Error),
    /// The database file could not be created or looked at.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not the one that was opened: it was moved or replaced.
    #[error("{} is no longer the file that was opened", .0.display())]
    Replaced(PathBuf),
    /// Another process runs calls on the database.
    #[error("another control process works on {}", .0.display())]
    Claimed(PathBuf),
    /// The database was made by a newer program, or its migrations are not the ones of this program.
    #[error("migration {0} of the database is not known to this program")]
    Migration(u32),
    /// A row does not read as what it should be.
    #[error("{table} {key}: {reason}")]
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked for cannot be done as things stand.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// A refusal with its sentence.
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        StoreError::Refused(reason.into())
    }

    /// A row that does not read.
    pub(super) fn row(table: &'static str, key: impl Into<String>, reason: impl ToString) -> Self {
        StoreError::Row { table, key: key.into(), reason: reason.to_string() }
    }

    /// Whether only the request that met it failed, not the database.
    pub(super) fn is_of_request(&self) -> bool {
        match self {
            StoreError::Refused(_) | StoreError::Row { .. } => true,
            StoreError::Sqlite(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
            }
            _ => false,
        }
    }

    /// The error and its causes on one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}
