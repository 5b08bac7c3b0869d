//! The one thread that writes: it commits what is queued together, then answers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use call::{JournalEntry, StoreReply, StoreRequest};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{Answer, Shared, StoreConfig, StoreError, request, schema};

/// What the writer is asked to do.
pub(super) enum Job {
    /// A call's step; exactly one answer follows.
    Request {
        /// Named in the answer.
        id: u64,
        /// The step.
        request: Box<StoreRequest>,
    },
    /// A sink has written everything up to here; no answer.
    Cursor {
        /// Which sink.
        sink: &'static str,
        /// The last record it wrote.
        sequence: i64,
    },
    /// End after what was queued before.
    Stop,
}

/// The connection that writes, and how it has been doing.
pub(super) struct Writer {
    config: StoreConfig,
    answer: Answer,
    shared: Arc<Shared>,
    open: Option<Open>,
    failing: Option<Failing>,
    swept_at: Instant,
}

impl Writer {
    /// Opens the database.
    ///
    /// # Errors
    /// It cannot be opened, written or understood.
    pub(super) fn open(config: StoreConfig, answer: Answer, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let mut writer =
            Writer { config, answer, shared, open: None, failing: None, swept_at: Instant::now() };
        writer.connect()?;
        Ok(writer)
    }

    /// The calls in progress as they were journalled.
    ///
    /// # Errors
    /// The database refused.
    pub(super) fn journal(&self) -> Result<Vec<JournalEntry>, StoreError> {
        let mut entries = Vec::new();
        let Some(open) = &self.open else {
            return Ok(entries);
        };
        let mut statement = open.connection.prepare("SELECT call, entry FROM journal ORDER BY call")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (call, entry): (String, String) = (row.get(0)?, row.get(1)?);
            match serde_json::from_str(&entry) {
                Ok(entry) => entries.push(entry),
                Err(error) => tracing::error!(
                    %call, %error,
                    "the journal row of a call does not read; the call is not recovered and its hold will expire"
                ),
            }
        }
        Ok(entries)
    }

    /// Commits groups until told to stop.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let mut group = Vec::new();
            let mut stopping = false;
            match jobs.recv_timeout(SWEEP_INTERVAL) {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => stopping = true,
                Ok(job) => group.push(job),
                Err(RecvTimeoutError::Timeout) => {}
            }
            while !stopping && group.len() < self.config.group_max {
                match jobs.try_recv() {
                    Ok(Job::Stop) => stopping = true,
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            self.handle_group(&group);
            if stopping {
                return;
            }
        }
    }

    /// Commits one group and answers all of it; an empty one only sweeps.
    pub(super) fn handle_group(&mut self, group: &[Job]) {
        let sweep = self.swept_at.elapsed() >= SWEEP_INTERVAL;
        if group.is_empty() && !sweep {
            return;
        }
        if sweep {
            self.swept_at = Instant::now();
        }
        let outcome = self.commit(group, sweep);
        metrics::counter!("tollgate_store_groups_total").increment(1);
        match outcome {
            Ok(replies) => {
                self.on_success();
                let settled = group.iter().any(|job| {
                    matches!(job, Job::Request { request, .. }
                        if matches!(**request, StoreRequest::Settle { .. }))
                });
                for (id, reply) in replies {
                    (self.answer)(id, reply);
                }
                if settled {
                    self.shared.wake();
                }
            }
            Err(error) => {
                self.on_failure(&error);
                let reason = error.chain();
                for job in group {
                    if let Job::Request { id, .. } = job {
                        (self.answer)(*id, StoreReply::Failed { reason: reason.clone() });
                    }
                }
            }
        }
    }

    fn commit(&mut self, group: &[Job], sweep: bool) -> Result<Vec<(u64, StoreReply)>, StoreError> {
        let now_ms = (self.config.clock)();
        let connection = self.connect()?;
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut replies = Vec::with_capacity(group.len());
        for job in group {
            match job {
                Job::Request { id, request } => {
                    replies.push((*id, step(&mut transaction, now_ms, request)?));
                }
                Job::Cursor { sink, sequence } => {
                    transaction
                        .prepare_cached(
                            "INSERT INTO cdr_cursor (sink, sequence) VALUES (?1, ?2)
                             ON CONFLICT (sink) DO UPDATE SET sequence = max(sequence, excluded.sequence)",
                        )?
                        .execute(params![sink, sequence])?;
                }
                Job::Stop => {}
            }
        }
        if sweep {
            request::sweep(&transaction, now_ms)?;
        }
        transaction.commit()?;
        Ok(replies)
    }

    /// The connection to the file that has the configured name now.
    ///
    /// A file that was moved away would still take writes, which nobody would ever find.
    fn connect(&mut self) -> Result<&mut Connection, StoreError> {
        let path = &self.config.path;
        let identity = schema::identity(path);
        if let Some(open) = &self.open
            && identity.as_ref().ok() != Some(&open.identity)
        {
            self.open = None;
            return Err(StoreError::Replaced(path.clone()));
        }
        if self.open.is_none() {
            if self.failing.is_some() {
                // Created at start only: an empty database in place of a lost one would answer, wrongly.
                identity.map_err(|source| StoreError::File { path: path.clone(), source })?;
            }
            let connection = schema::open(path, self.config.busy_timeout)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            let identity =
                schema::identity(path).map_err(|source| StoreError::File { path: path.clone(), source })?;
            self.open = Some(Open { connection, identity });
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.connection),
            None => Err(StoreError::Replaced(path.clone())),
        }
    }

    fn on_success(&mut self) {
        if let Some(failing) = self.failing.take() {
            self.shared.set_broken(false);
            tracing::info!(
                database = %self.config.path.display(),
                failed_groups = failing.groups,
                "the database can be written again"
            );
        }
    }

    fn on_failure(&mut self, error: &StoreError) {
        metrics::counter!("tollgate_store_failures_total").increment(1);
        self.shared.set_broken(true);
        let busy = matches!(error, StoreError::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy));
        if !busy {
            self.open = None;
        }
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing { groups: 0, logged_at: None });
        failing.groups += 1;
        if failing.logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL) {
            failing.logged_at = Some(now);
            tracing::error!(
                database = %self.config.path.display(),
                error = error.chain(),
                "the database cannot be written: no call that costs money is let through"
            );
        }
    }

    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connect().unwrap()
    }
}

/// Does one step in a savepoint of its own, so that its refusal leaves the others of the group standing.
fn step(
    transaction: &mut Transaction<'_>,
    now_ms: u64,
    request: &StoreRequest,
) -> Result<StoreReply, StoreError> {
    let savepoint = transaction.savepoint()?;
    match request::execute(&savepoint, now_ms, request) {
        Ok(reply) => {
            savepoint.commit()?;
            Ok(reply)
        }
        Err(error) if error.is_of_request() && !savepoint.is_autocommit() => {
            savepoint.finish()?;
            tracing::error!(error = error.chain(), "the store refused a step of a call");
            Ok(StoreReply::Failed { reason: error.chain() })
        }
        Err(error) => Err(error),
    }
}

struct Open {
    connection: Connection,
    /// Device and inode.
    identity: (u64, u64),
}

struct Failing {
    groups: u64,
    logged_at: Option<Instant>,
}

/// How often expired holds are marked, which only tidies: they do not count anyway.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How often a lasting failure is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Prepared statements kept; the store has about twenty.
const STATEMENTS_MAX: usize = 64;
