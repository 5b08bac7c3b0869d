//! One process at a time: two that take up the same journal would each end and bill the same calls.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StoreError;

/// The right to run calls on one database, given back when it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

/// Takes the right to run calls on the database at `path`. An operator's commands need none.
///
/// The lock is on a file of its own beside the database, which stays: closing a second descriptor of the
/// database would drop the locks that SQLite holds on it.
///
/// # Errors
/// Another process has it, or the file beside the database cannot be made.
pub fn claim(path: &Path) -> Result<Claim, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = Path::new(&name);
    let wrap = |source| StoreError::File { path: beside.to_owned(), source };
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside).map_err(wrap)?;
    match lock.try_lock() {
        Ok(()) => Ok(Claim { _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(StoreError::Claimed(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(wrap(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_has_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.db");
        let first = claim(&path).unwrap();
        assert!(matches!(claim(&path), Err(StoreError::Claimed(_))));
        drop(first);
        claim(&path).unwrap();
    }
}
