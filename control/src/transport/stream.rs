//! One established connection: read messages, write messages, end it in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sip::Hop;
use sip::message::{Frame, Framer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::flow::{FlowEnd, Outgoing};
use super::{DropReason, Shared, TransportEvent};

/// Bytes taken from a connection at once.
const READ_BYTES: usize = 8 * 1024;

/// Malformed messages put up with on one connection.
pub(super) const MALFORMED_MAX: usize = 8;

/// How long the goodbye of a connection may take.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);

/// Answer to a keep-alive ping ([RFC 5626 §4.4.1]).
///
/// [RFC 5626 §4.4.1]: https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
pub(super) const PONG: Bytes = Bytes::from_static(b"\r\n");

/// Serves the connection until either side ends it or it breaks a rule.
pub(super) async fn run<S: AsyncRead + AsyncWrite>(shared: Arc<Shared>, mut end: FlowEnd, socket: S) {
    let (mut reader, mut writer) = split(socket);
    let view = View::of(&end);
    let reason = tokio::select! {
        reason = read(&shared, &view, &mut reader) => reason,
        reason = write(&shared, &mut end.queue, &end.queued_bytes, &mut writer) => reason,
        () = end.close.notified() => Some(DropReason::SlowReader),
    };
    if reason != Some(DropReason::SlowReader) {
        let _ = timeout(GOODBYE, writer.shutdown()).await;
    }
    let heard = view.heard.into_inner();
    finish(&shared, end, reason, heard).await;
}

/// Ends a connection that never came up.
pub(super) async fn abandon(shared: &Shared, end: FlowEnd, reason: DropReason) {
    finish(shared, end, Some(reason), false).await;
}

/// What the reading half needs of the flow while the writing half has the queue.
pub(super) struct View {
    pub(super) hop: Hop,
    pub(super) inbound: bool,
    /// A message has come, so somebody may know the flow.
    pub(super) heard: AtomicBool,
}

impl View {
    pub(super) fn of(end: &FlowEnd) -> Self {
        Self {
            hop: Hop::over(end.transport, end.remote, end.id),
            inbound: end.inbound,
            heard: AtomicBool::new(false),
        }
    }
}

pub(super) async fn finish(shared: &Shared, mut end: FlowEnd, reason: Option<DropReason>, heard: bool) {
    if let Some(reason) = reason {
        shared.drops.count(reason);
    }
    // Out of the table first: whoever sends from now on opens a new connection.
    shared.flows().remove(end.id);
    end.queue.close();
    while let Some(outgoing) = end.queue.recv().await {
        if let Some(hop) = outgoing.hop {
            let _ = shared.events.send(TransportEvent::SendFailed(hop)).await;
        }
    }
    // Of an inbound connection that brought nothing nobody knows, and strangers may open many.
    if heard || !end.inbound {
        let _ = shared.events.send(TransportEvent::FlowClosed(end.id)).await;
    }
}

/// Reads until the stream ends (`None`) or breaks a rule.
async fn read<R: AsyncRead + Unpin>(shared: &Shared, view: &View, reader: &mut R) -> Option<DropReason> {
    let limits = &shared.limits;
    let mut framer = Framer::new(shared.message_limits);
    let mut buffer = vec![0; READ_BYTES];
    let mut malformed = 0;
    // Until when the message under way, or the very first one, must be whole.
    let mut whole_by = view.inbound.then(|| Instant::now() + limits.first_message_timeout);
    let mut served = !view.inbound;
    loop {
        let idle_at = Instant::now() + limits.idle_timeout;
        let (deadline, late) = match whole_by {
            Some(at) if at < idle_at => (at, DropReason::MessageTimeout),
            _ => (idle_at, DropReason::Idle),
        };
        let length = match timeout_at(deadline, reader.read(&mut buffer)).await {
            Err(_) => return Some(late),
            Ok(Err(_) | Ok(0)) => return None,
            Ok(Ok(length)) => length,
        };
        let mut framed = false;
        framer.push(&buffer[..length]);
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message(bytes))) => {
                    framed = true;
                    served = true;
                    view.heard.store(true, Ordering::Relaxed);
                    if !shared.receive(view.hop.clone(), bytes).await {
                        malformed += 1;
                    }
                    if malformed > MALFORMED_MAX {
                        return Some(DropReason::Babbling);
                    }
                }
                Ok(Some(Frame::Ping)) => enqueue(shared, view.hop.flow, PONG),
                Ok(Some(Frame::Pong)) => {}
                Ok(None) => break,
                Err(_) => return Some(DropReason::Unframed),
            }
        }
        if served {
            let begun = framer.buffered_bytes() > 0;
            if !begun {
                whole_by = None;
            } else if framed || whole_by.is_none() {
                whole_by = Some(Instant::now() + limits.first_message_timeout);
            }
        }
    }
}

/// Queues our own answer; one that does not fit is no loss to anybody.
pub(super) fn enqueue(shared: &Shared, flow: Option<sip::FlowId>, bytes: Bytes) {
    let flows = shared.flows();
    let found = flow.and_then(|id| flows.get(id));
    if let Some(flow) = found
        && let Err(error) = flows.enqueue(flow, None, bytes)
    {
        shared.drops.count(error.0);
    }
}

/// Writes until nobody can queue any more (`None`) or the peer does not take it.
async fn write<W: AsyncWrite + Unpin>(
    shared: &Shared,
    queue: &mut mpsc::Receiver<Outgoing>,
    queued_bytes: &AtomicUsize,
    writer: &mut W,
) -> Option<DropReason> {
    while let Some(Outgoing { hop, bytes }) = queue.recv().await {
        let written = timeout(shared.limits.write_timeout, async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        });
        let outcome = written.await;
        queued_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        match outcome {
            Ok(Ok(())) => {}
            failed => {
                if let Some(hop) = hop {
                    let _ = shared.events.send(TransportEvent::SendFailed(hop)).await;
                }
                return failed.is_err().then_some(DropReason::SlowReader);
            }
        }
    }
    None
}
