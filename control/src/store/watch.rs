//! Noticing that the directory changed, whoever changed it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use call::Directory;
use rusqlite::Connection;

use super::tariffs::Versions;
use super::{BUSY_TIMEOUT, StoreError, directory, schema};

/// Loads the directory, calls `on_change` with it, and again after every change of an account, a rate or a
/// trunk, from a thread of its own.
///
/// Changes are seen within 250 ms, also those of other processes. A directory that does not load
/// is logged once, and the one before stays.
///
/// # Errors
/// The first directory does not load, or no thread can be started.
///
/// # Cost
/// Four reads of one counter a second; a reload reads every account and trunk, and the rates of new versions.
pub fn watch_directory(
    path: impl Into<PathBuf>,
    on_change: impl Fn(Arc<Directory>) + Send + 'static,
) -> Result<DirectoryWatch, StoreError> {
    let path = path.into();
    let mut connection = schema::connect(&path, BUSY_TIMEOUT)?;
    let mut seen = Seen::now(&connection)?;
    let mut versions = Versions::default();
    on_change(Arc::new(directory::load(&mut connection, &mut versions)?));
    let (requests, queue) = sync_channel(1);
    let poll = move || {
        let mut failing = false;
        loop {
            let asked = match queue.recv_timeout(POLL_INTERVAL) {
                Ok(Request::Reload) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            };
            let outcome = seen.moved(&connection).and_then(|moved| {
                if !(moved || asked || failing) {
                    return Ok(());
                }
                on_change(Arc::new(directory::load(&mut connection, &mut versions)?));
                Ok(())
            });
            match outcome {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::error!(
                            database = %path.display(),
                            error = error.chain(),
                            "the directory cannot be reloaded; the one before stays in use"
                        );
                    }
                    failing = true;
                    // The file may have been replaced; a new connection finds the new one, with versions of its own.
                    versions = Versions::default();
                    if let Ok(reopened) = schema::connect(&path, BUSY_TIMEOUT) {
                        connection = reopened;
                    }
                }
            }
        }
    };
    let thread = thread::Builder::new()
        .name("directory".to_owned())
        .spawn(poll)
        .map_err(|source| StoreError::File { path: PathBuf::new(), source })?;
    Ok(DirectoryWatch { requests, thread: Some(thread) })
}

/// Watches until it is dropped.
pub struct DirectoryWatch {
    requests: SyncSender<Request>,
    thread: Option<JoinHandle<()>>,
}

impl DirectoryWatch {
    /// Has the directory reloaded now, changed or not; returns at once.
    pub fn reload(&self) {
        // A full queue holds such a request already.
        let _ = self.requests.try_send(Request::Reload);
    }
}

impl Drop for DirectoryWatch {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Request {
    Reload,
    Stop,
}

/// What was seen last: the connection's change counter, which costs nothing to read but moves with every
/// commit of every call, and the counter that only the directory's tables move.
struct Seen {
    data_version: i64,
    directory_version: i64,
}

impl Seen {
    fn now(connection: &Connection) -> Result<Seen, StoreError> {
        Ok(Seen {
            data_version: data_version(connection)?,
            directory_version: directory_version(connection)?,
        })
    }

    fn moved(&mut self, connection: &Connection) -> Result<bool, StoreError> {
        let data_version = data_version(connection)?;
        if data_version == self.data_version {
            return Ok(false);
        }
        let directory_version = directory_version(connection)?;
        let moved = directory_version != self.directory_version;
        *self = Seen { data_version, directory_version };
        Ok(moved)
    }
}

fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

fn directory_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT value FROM meta WHERE key = 'directory_version'")?
        .query_row([], |row| row.get(0))?)
}

/// How often a change is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::store::{Admin, NewAccount};

    #[test]
    fn a_change_made_elsewhere_is_seen_and_a_call_in_progress_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        let mut admin = Admin::open(&path).unwrap();
        let (sender, seen) = channel();
        let watch = watch_directory(&path, move |directory| sender.send(directory).unwrap()).unwrap();
        assert!(seen.recv().unwrap().accounts.is_empty());
        admin.add_account(&NewAccount::new("alice", "EUR".parse().unwrap())).unwrap();
        let changed = seen.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(changed.by_user("alice").is_some());
        let euro = "EUR".parse().unwrap();
        admin.add_tariff("standard", euro).unwrap();
        let rate = ledger::Rate::per_minute("49".parse().unwrap(), "1".parse().unwrap()).unwrap();
        admin.put_rate("standard", &rate).unwrap();
        let has_rate = |directory: Arc<Directory>| {
            directory
                .tariffs
                .get(&"standard".into())
                .is_some_and(|tariff| tariff.rate_at("4930", 0).is_some())
        };
        // Two changes may be seen as one.
        while !has_rate(seen.recv_timeout(Duration::from_secs(5)).unwrap()) {}
        // Money moves the change counter but is no part of the directory.
        admin.top_up("alice", "1".parse().unwrap(), None).unwrap();
        assert!(seen.recv_timeout(POLL_INTERVAL * 3).is_err());
        watch.reload();
        assert!(seen.recv_timeout(Duration::from_secs(5)).is_ok());
    }
}
