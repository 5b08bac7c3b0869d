//! The sink that writes JSON Lines.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io};

use rusqlite::{Connection, OptionalExtension, params};
use thiserror::Error;

use super::file::LineFile;
use crate::store::{Outbox, Store, StoreError, connect_reader};

/// Writes every call record as one line of JSON, from a thread of its own, until it is dropped.
///
/// A line is `{"sequence":N,…the record…}`. The thread appends what is beyond the cursor, waits for the disk,
/// then moves the cursor. When a crash falls between the two, the file's last line says what was written:
/// if the outbox has the same call at that sequence, the line counts. So no record is lost and none is there
/// twice, unless the file is moved away between a crash and the next start.
///
/// An operator rotates the file by renaming it: the next record opens a new one.
pub struct JsonLines {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl JsonLines {
    /// Opens or creates the file, finds the place in it, and starts writing.
    ///
    /// # Errors
    /// The file or the database cannot be opened, or no thread can be started.
    pub fn start(store: &Store, path: impl Into<PathBuf>) -> Result<JsonLines, SinkError> {
        let path = path.into();
        let wrap = |source| SinkError::File { path: path.clone(), source };
        let outbox = store.outbox();
        let writer = Writer::open(store.path(), &path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("cdr".to_owned())
            .spawn(move || run(writer, &outbox, &stopping))
            .map_err(wrap)?;
        Ok(JsonLines { stop, thread: Some(thread) })
    }
}

impl Drop for JsonLines {
    /// Writes what is in the outbox, then ends.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Why a sink cannot start or go on.
#[derive(Debug, Error)]
pub enum SinkError {
    /// The file cannot be opened or written.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is the database, which writing lines would destroy.
    #[error("{} is the database; call records need a file of their own", .0.display())]
    Database(PathBuf),
    /// The outbox cannot be read.
    #[error("the outbox cannot be read")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for SinkError {
    fn from(error: rusqlite::Error) -> Self {
        SinkError::Store(StoreError::from(error))
    }
}

fn run(mut writer: Writer, outbox: &Outbox, stop: &AtomicBool) {
    outbox.wake_thread(thread::current());
    let mut failing: Option<Instant> = None;
    loop {
        let stopping = stop.load(Ordering::Acquire);
        match writer.write_batch() {
            Ok(0) => failing = None,
            Ok(_) => {
                failing = None;
                outbox.advance(SINK, writer.sequence);
                continue;
            }
            Err(error) => {
                let now = Instant::now();
                if failing.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
                    failing = Some(now);
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(
                        %error, cause,
                        "call records cannot be written to their file; they stay in the database"
                    );
                }
            }
        }
        if stopping {
            return;
        }
        thread::park_timeout(POLL_INTERVAL);
    }
}

/// The file, and how far it has come.
struct Writer {
    path: PathBuf,
    connection: Connection,
    /// Given up after a failure, since what is in it then has to be found out anew.
    file: Option<LineFile>,
    sequence: i64,
}

impl Writer {
    fn open(database: &Path, path: &Path) -> Result<Writer, SinkError> {
        if same_file(database, path) {
            return Err(SinkError::Database(path.to_owned()));
        }
        let connection = connect_reader(database)?;
        let sequence = connection
            .query_row("SELECT sequence FROM cdr_cursor WHERE sink = ?1", [SINK], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let mut writer = Writer { path: path.to_owned(), connection, file: None, sequence };
        writer.file = Some(writer.open_file()?);
        Ok(writer)
    }

    /// Opens the file and takes what its last line says as written, if the line is of this database.
    fn open_file(&mut self) -> Result<LineFile, SinkError> {
        let wrap = |source| SinkError::File { path: self.path.clone(), source };
        let mut file = LineFile::open(&self.path).map_err(wrap)?;
        if let Some(last) = file.last().map_err(wrap)?
            && last.sequence > self.sequence
        {
            let ours = self
                .connection
                .prepare_cached("SELECT 1 FROM cdr WHERE sequence = ?1 AND call = ?2")?
                .exists(params![last.sequence, last.call])?;
            if ours {
                self.sequence = last.sequence;
            } else {
                tracing::warn!(file = %self.path.display(), "the file ends with a record of another database");
            }
        }
        Ok(file)
    }

    /// Writes the next records, at most [`BATCH_MAX`], and gives their number.
    fn write_batch(&mut self) -> Result<usize, SinkError> {
        let mut file = match self.file.take() {
            Some(file) if file.is_current() => file,
            _ => self.open_file()?,
        };
        let (lines, count, last) = self.next_lines()?;
        if count > 0 {
            file.append(&lines).map_err(|source| SinkError::File { path: self.path.clone(), source })?;
            self.sequence = last;
        }
        self.file = Some(file);
        Ok(count)
    }

    /// The lines beyond the cursor, their number, and the sequence of the last.
    fn next_lines(&self) -> Result<(String, usize, i64), SinkError> {
        let (mut lines, mut count, mut last) = (String::new(), 0, self.sequence);
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, record FROM cdr WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let mut rows = statement.query(params![self.sequence, BATCH_MAX])?;
        while let Some(row) = rows.next()? {
            let record: String = row.get(1)?;
            last = row.get(0)?;
            lines.push_str(&line(last, &record));
            count += 1;
        }
        Ok((lines, count, last))
    }
}

/// Whether two names lead to one file that is there.
fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// The record as stored, with its sequence in front.
fn line(sequence: i64, record: &str) -> String {
    let fields = record.strip_prefix('{').unwrap_or(record);
    format!("{{\"sequence\":{sequence},{fields}\n")
}

/// The cursor's name.
const SINK: &str = "json-lines";
/// Records written with one flush.
const BATCH_MAX: u32 = 256;
/// How often the outbox is looked at without having been told of a record.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often a lasting failure is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
