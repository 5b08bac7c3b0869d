//! How often a control process has started on this database.

use std::path::Path;

use rusqlite::OptionalExtension;

use super::{BUSY_TIMEOUT, StoreError, schema};

/// Counts one more start, durably, and returns its number: greater than that of every start before.
///
/// It is at least `wall_s`, the wall clock in seconds since the Unix epoch, so that engines which knew a
/// database that is lost do not take the first start on a new one for an old process. Where the wall clock
/// went back, it is one more than the last.
///
/// # Errors
/// The database cannot be opened or written.
pub fn next_incarnation(path: &Path, wall_s: u64) -> Result<u64, StoreError> {
    let connection = schema::connect(path, BUSY_TIMEOUT)?;
    let floor = i64::try_from(wall_s).unwrap_or(i64::MAX);
    let number: Option<i64> = connection
        .query_row(
            "INSERT INTO meta (key, value) VALUES ('incarnation', ?1)
             ON CONFLICT (key) DO UPDATE SET value = max(value + 1, excluded.value)
             RETURNING value",
            [floor],
            |row| row.get(0),
        )
        .optional()?;
    Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(wall_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_a_greater_number_even_when_the_clock_goes_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("control.db");
        schema::open(&path, BUSY_TIMEOUT).expect("created");
        let numbers: Vec<_> =
            [100, 100, 50, 200].map(|wall_s| next_incarnation(&path, wall_s).expect("counted")).into();
        assert_eq!(numbers, [100, 101, 102, 200]);
    }
}
