//! TURN over TCP and TLS: one connection, whose messages go to a worker (RFC 8656 §2.1, §12.5).

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use driver::{MailSender, Undelivered};
use engine_core::{FlowId, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Shared;
use super::counters::Count;
use super::ng_stream::write;
use crate::worker::{FlowWriter, TurnMail};

/// The way to the TURN servers of the workers.
#[derive(Debug)]
pub(crate) struct TurnDoor {
    workers: Vec<MailSender<TurnMail>>,
    next: AtomicU64,
    waiting: Arc<AtomicUsize>,
}

impl TurnDoor {
    /// To these workers, by turns.
    pub(crate) fn new(workers: Vec<MailSender<TurnMail>>) -> Self {
        Self { workers, next: AtomicU64::new(0), waiting: Arc::default() }
    }

    /// A new connection, and the worker that serves it.
    fn begin(&self) -> Option<(FlowId, &MailSender<TurnMail>)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let count = u64::try_from(self.workers.len()).ok().filter(|count| *count > 0)?;
        let worker = self.workers.get(usize::try_from(number % count).ok()?)?;
        Some((FlowId(number), worker))
    }
}

/// Serves a connection until either side ends it.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(shared: Arc<Shared>, from: SocketAddr, socket: S) {
    let Some(turn) = &shared.turn else { return };
    let Some((flow, worker)) = turn.begin() else { return };
    let (writer, messages) = FlowWriter::new(MESSAGES_MAX, Arc::clone(&turn.waiting));
    if !put(worker, TurnMail::FlowBegun { flow, writer }).await {
        return;
    }
    let (reader, mut socket) = split(socket);
    let reason = {
        let mut reading = pin!(read(&shared, (flow, from), reader, worker));
        let mut writing = pin!(write(messages, &mut socket));
        tokio::select! {
            reason = &mut reading => reason,
            reason = &mut writing => reason,
        }
    };
    if let Some(reason) = reason {
        shared.counters.count(reason);
    }
    put(worker, TurnMail::FlowEnded { flow, remote: from }).await;
    let _gone = timeout(GOODBYE, socket.shutdown()).await;
}

/// Hands mail to a worker as soon as it has room; false if there is no worker any more.
async fn put(worker: &MailSender<TurnMail>, mut mail: TurnMail) -> bool {
    loop {
        match worker.send(mail) {
            Ok(()) => return true,
            Err(Undelivered::Gone(_)) => return false,
            Err(Undelivered::Full(back)) => mail = back,
        }
        // Whoever sends too much waits here, and is not read from meanwhile.
        sleep(PAUSE_WHEN_FULL).await;
    }
}

/// Reads until the stream or the engine ends (`None`), or it breaks a rule.
async fn read<R: AsyncRead + Unpin>(
    shared: &Shared,
    (flow, remote): (FlowId, SocketAddr),
    mut reader: R,
    worker: &MailSender<TurnMail>,
) -> Option<Count> {
    let credits = Arc::new(Semaphore::new(UNHANDLED_MAX));
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut whole_by = Instant::now() + MESSAGE_TIMEOUT;
    let mut late = Count::MessageTimeout;
    loop {
        let read = tokio::select! {
            read = timeout_at(whole_by, reader.read_buf(&mut buffer)) => read,
            () = shared.closing() => return None,
        };
        match read {
            Err(_) => return Some(late),
            Ok(Err(_) | Ok(0)) => return None,
            Ok(Ok(_)) => {}
        }
        let mut begin = 0;
        loop {
            let frame = match frame(&buffer[begin..]) {
                Err(_) => return Some(Count::Unframed),
                Ok(Some(frame)) if frame.message_bytes > MESSAGE_BYTES_MAX => return Some(Count::Unframed),
                Ok(Some(frame)) if begin + frame.stream_bytes <= buffer.len() => frame,
                Ok(_) => break,
            };
            let message = buffer[begin..begin + frame.message_bytes].to_vec();
            begin += frame.stream_bytes;
            let Ok(credit) = Arc::clone(&credits).acquire_owned().await else { return None };
            if !put(worker, TurnMail::Message { flow, remote, message, credit }).await {
                return None;
            }
        }
        buffer.drain(..begin);
        if buffer.is_empty() {
            (whole_by, late) = (Instant::now() + IDLE, Count::Idle);
        } else if begin > 0 || late == Count::Idle {
            (whole_by, late) = (Instant::now() + MESSAGE_TIMEOUT, Count::MessageTimeout);
        }
    }
}

/// Messages of one connection that its worker has not handled at most; it is not read from while there are as many.
const UNHANDLED_MAX: usize = 64;

/// Messages that wait for one client at most; what is more is dropped and counted.
const MESSAGES_MAX: usize = 128;

/// A longer message is none: no datagram of a relayed address is so long.
const MESSAGE_BYTES_MAX: usize = 2048;

/// Bytes of a connection that are looked at together.
const BUFFER_BYTES: usize = 8 * 1024;

/// A connection on which nothing is sent for so long is closed: longer than any permission lasts.
const IDLE: Duration = Duration::from_secs(660);

/// How long a message may take from its first byte to its last, and the first one to come.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Until a worker is asked again whether it has room.
const PAUSE_WHEN_FULL: Duration = Duration::from_millis(2);

/// How long the goodbye of a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);
