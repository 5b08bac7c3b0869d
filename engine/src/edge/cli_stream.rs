//! The command line over TCP, as rtpengine-ctl speaks it: a line comes, a text goes, the connection ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ng::Cli;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Shared;
use super::counters::Count;
use super::ng_stream::WRITE_TIMEOUT;
use crate::door::{Question, Ways};

/// Serves a connection: one line.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    shared: Arc<Shared>,
    from: SocketAddr,
    mut socket: S,
) {
    let line = tokio::select! {
        line = timeout(LINE_TIMEOUT, read_line(&mut socket)) => line,
        () = shared.closing() => return,
    };
    let reason = match line {
        Err(_) => Some(Count::MessageTimeout),
        Ok(None) => Some(Count::Unframed),
        Ok(Some(line)) => answer(&shared, from, line, &mut socket).await,
    };
    if let Some(reason) = reason {
        shared.counters.count(reason);
    }
}

/// The first line, or all that came before the end; `None` for one that is too long.
async fn read_line<S: AsyncRead + Unpin>(socket: &mut S) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 256];
    loop {
        let length = socket.read(&mut buffer).await.ok()?;
        line.extend_from_slice(&buffer[..length]);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
        } else if length > 0 && line.len() <= Cli::LINE_BYTES_MAX {
            continue;
        }
        return (line.len() <= Cli::LINE_BYTES_MAX).then_some(line);
    }
}

async fn answer<S: AsyncWrite + Unpin>(
    shared: &Shared,
    from: SocketAddr,
    line: Vec<u8>,
    socket: &mut S,
) -> Option<Count> {
    let (ways, mut answers) = Ways::new(1, Arc::clone(&shared.answers_bytes));
    let way = ways.open().await;
    drop(ways);
    let line = String::from_utf8_lossy(&line).into_owned();
    if !shared.bell.ring(from, Question::Line(line), way) {
        return Some(Count::DoorFull);
    }
    let answer = answers.recv().await?;
    let written = timeout(WRITE_TIMEOUT, async {
        socket.write_all(&answer.bytes).await?;
        socket.shutdown().await
    });
    written.await.is_err().then_some(Count::SlowReader)
}

/// How long a line may take.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);
