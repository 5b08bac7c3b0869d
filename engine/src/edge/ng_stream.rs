//! NG over TCP and TLS: one connection.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ng::{Framer, Reply, StreamError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::counters::Count;
use crate::door::{Question, Ways};

/// Serves a connection until either side ends it.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(shared: Arc<Shared>, from: SocketAddr, socket: S) {
    let (reader, mut writer) = split(socket);
    let (ways, answers) = Ways::new(UNANSWERED_MAX, Arc::clone(&shared.answers_bytes));
    {
        let mut reading = pin!(read(&shared, from, reader, ways));
        let mut writing = pin!(write(answers, &mut writer));
        let reason = tokio::select! {
            reason = &mut reading => {
                // Answers still come to a client that has said all it wants to.
                let rest = timeout(REST, &mut writing).await;
                reason.or_else(|| rest.ok().flatten())
            }
            reason = &mut writing => reason,
        };
        if let Some(reason) = reason {
            shared.counters.count(reason);
        }
    }
    let _gone = timeout(GOODBYE, writer.shutdown()).await;
}

/// Reads until the stream or the engine ends (`None`), or it breaks a rule.
async fn read<R: AsyncRead + Unpin>(
    shared: &Shared,
    from: SocketAddr,
    mut reader: R,
    ways: Ways,
) -> Option<Count> {
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut whole_by = None;
    loop {
        let (deadline, late) = match whole_by {
            Some(at) => (at, Count::MessageTimeout),
            None => (Instant::now() + IDLE, Count::Idle),
        };
        let read = tokio::select! {
            read = timeout_at(deadline, reader.read(&mut buffer)) => read,
            () = shared.closing() => return None,
        };
        let length = match read {
            Err(_) => return Some(late),
            Ok(Err(_) | Ok(0)) => return None,
            Ok(Ok(length)) => length,
        };
        framer.push(&buffer[..length]);
        let mut framed = false;
        loop {
            match framer.poll() {
                Ok(Some(message)) => {
                    framed = true;
                    let question = Question::Ng { cookie: message.cookie, document: message.document };
                    if !shared.bell.ring(from, question, ways.open().await) {
                        return Some(Count::DoorFull);
                    }
                }
                Ok(None) => break,
                Err(StreamError::NoCookie) => return Some(Count::NoCookie),
                Err(StreamError::Unframed { cookie, beginning }) => {
                    // What a datagram with the same beginning is answered.
                    let (encoding, request) = ng::read_document(&beginning);
                    let reply = Reply::from(request.err().unwrap_or(ng::RequestError::Format));
                    let bytes = reply.message(Some(&cookie), encoding, Reply::STREAM_BYTES_MAX);
                    ways.open().await.answer(bytes.into());
                    return Some(Count::Unframed);
                }
            }
        }
        if framer.buffered_bytes() == 0 {
            whole_by = None;
        } else if framed || whole_by.is_none() {
            whole_by = Some(Instant::now() + MESSAGE_TIMEOUT);
        }
    }
}

/// Writes until nobody has anything to say any more (`None`) or the peer does not read.
pub(super) async fn write<M: AsRef<[u8]>, W: AsyncWrite + Unpin>(
    mut messages: mpsc::Receiver<M>,
    writer: &mut W,
) -> Option<Count> {
    while let Some(message) = messages.recv().await {
        // A record of TLS for each: there are clients of TURN that read one message of a record and forget the rest.
        let written = timeout(WRITE_TIMEOUT, async {
            writer.write_all(message.as_ref()).await?;
            writer.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(Count::SlowReader),
        }
    }
    None
}

/// Requests of one connection that are not answered at most; it is not read from while there are as many.
pub(super) const UNANSWERED_MAX: usize = 32;

/// Bytes taken from a connection at once.
const READ_BYTES: usize = 8 * 1024;

/// A connection on which nobody asks for so long is closed.
const IDLE: Duration = Duration::from_secs(600);

/// How long a message may take from its first byte to its last.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take to be written.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long answers are waited for when a client has ended its side: longer than the longest poll.
const REST: Duration = Duration::from_secs(35);

/// How long the goodbye of a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);
