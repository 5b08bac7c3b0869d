//! The one durable place: accounts, prices, trunks, money, calls in progress and call records in one SQLite file
//! (`adr/0003-one-sqlite-file-one-writer-group-commit.md`).
//!
//! A [`Store`] answers the calls' requests from one writer thread with group commit; an [`Admin`] is what an
//! operator's command uses, possibly in another process; [`watch_directory`] sees what such a command
//! changed. Time is the wall clock given in [`StoreConfig`], in milliseconds since the Unix epoch.
//!
//! The file holds digest hashes and, so that they can be used, the trunks' passwords as they are. It is
//! created readable by its owner alone, and no secret is logged or shown by `Debug`.

mod accounts;
mod admin;
mod claim;
mod directory;
mod error;
mod incarnation;
mod rates;
mod request;
mod schema;
mod secret;
mod sheet;
mod tariffs;
mod trunks;
mod verify;
mod versions;
mod watch;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use call::{JournalEntry, StoreReply, StoreRequest};

pub use accounts::{AccountSummary, NewAccount};
pub use admin::{Admin, CdrRow};
pub use claim::{Claim, claim};
pub use directory::load_directory;
pub use error::StoreError;
pub use incarnation::next_incarnation;
pub use rates::VersionRow;
pub use secret::ha1;
pub use sheet::{BandRate, COLUMNS, Column, FAULTS_MAX, Sheet, SheetFault, SheetFaults};
pub use trunks::TrunkRow;
pub use verify::Verification;
pub use versions::NewVersion;
pub use watch::{DirectoryWatch, watch_directory};

use writer::{Job, Writer};

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What is called with the identifier and the answer of each request, on the writer's thread; it must not wait.
pub(crate) type Answer = Arc<dyn Fn(u64, StoreReply) + Send + Sync>;

/// How a [`Store`] is run.
#[derive(Clone)]
pub struct StoreConfig {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Requests waiting for the writer; one more is answered `Failed` at once. Default 4096.
    pub queue_max: usize,
    /// Requests committed together. Default 256: more only adds latency, since the flush is paid once.
    pub group_max: usize,
    /// How long a lock held by another process is waited for before a group fails. Default 5 s.
    pub busy_timeout: Duration,
    /// The wall clock that holds expire by.
    pub clock: Clock,
}

impl StoreConfig {
    /// The defaults for a database file, with the system's clock.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        StoreConfig {
            path: path.into(),
            queue_max: 4096,
            group_max: 256,
            busy_timeout: BUSY_TIMEOUT,
            clock: Arc::new(wall_ms),
        }
    }
}

/// The durable store of one control process.
///
/// Dropping it commits and answers what was submitted before.
pub struct Store {
    queue: SyncSender<Job>,
    answer: Answer,
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens (or creates) the database, starts the writer, and gives the calls that were in progress when the
    /// last process ended.
    ///
    /// A journal row that does not read is logged, left where it is and not given: its hold expires by itself.
    ///
    /// # Errors
    /// The database cannot be opened, written or understood, or no thread can be started.
    pub fn open(
        config: StoreConfig,
        answer: impl Fn(u64, StoreReply) + Send + Sync + 'static,
    ) -> Result<(Store, Vec<JournalEntry>), StoreError> {
        let path = config.path.clone();
        let (queue, jobs) = sync_channel(config.queue_max);
        let shared = Arc::new(Shared::default());
        let answer: Answer = Arc::new(answer);
        let writer = Writer::open(config, Arc::clone(&answer), Arc::clone(&shared))?;
        let journal = writer.journal()?;
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&jobs))
            .map_err(|source| StoreError::File { path: path.clone(), source })?;
        let store = Store { queue, answer, path, shared, thread: Some(thread) };
        Ok((store, journal))
    }

    /// Queues a request; the answer carries `id` and comes exactly once: when the step is on the disk, or
    /// `Failed` when it is not. Never waits.
    pub fn submit(&self, id: u64, request: StoreRequest) {
        match self.queue.try_send(Job::Request { id, request: Box::new(request) }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                metrics::counter!("tollgate_store_queue_full_total").increment(1);
                (self.answer)(id, StoreReply::Failed { reason: "the store's queue is full".to_owned() });
            }
            Err(TrySendError::Disconnected(_)) => {
                (self.answer)(id, StoreReply::Failed { reason: "the store has stopped".to_owned() });
            }
        }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last group was committed: false while the database cannot be written.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.shared.broken.load(Ordering::Relaxed)
    }
    /// What a sink of call records needs of the store.
    pub(crate) fn outbox(&self) -> Outbox {
        Outbox { queue: self.queue.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The writer ends by itself only when its queue is gone, and an outbox may hold it open.
        let _ = self.queue.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shared.wake();
    }
}

/// A sink's way to the writer: it hears of new records and has its cursor moved.
pub(crate) struct Outbox {
    queue: SyncSender<Job>,
    shared: Arc<Shared>,
}

impl Outbox {
    /// Has `thread` unparked after every commit that added records.
    pub(crate) fn wake_thread(&self, thread: Thread) {
        *self.shared.sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// Notes durably, some time later, that `sink` has written everything up to `sequence`.
    ///
    /// A full queue loses the note and no more: the sink finds its place again by the last line of its file.
    pub(crate) fn advance(&self, sink: &'static str, sequence: i64) {
        let _ = self.queue.try_send(Job::Cursor { sink, sequence });
    }
}

/// What the writer and the sink share.
#[derive(Default)]
pub(crate) struct Shared {
    sink: Mutex<Option<Thread>>,
    broken: AtomicBool,
}

impl Shared {
    fn wake(&self) {
        if let Some(thread) = self.sink.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            thread.unpark();
        }
    }

    fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }
}

/// A connection for a reader of a database that a [`Store`] has opened.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn connect_reader(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    schema::connect(path, BUSY_TIMEOUT)
}

/// The system's wall clock in milliseconds since the Unix epoch.
fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Longer than the import of a large rate sheet holds its lock on a good machine.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
