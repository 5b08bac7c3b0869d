//! An NG client in JSON: a question is repeated under its cookie until it is answered.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, bail};
use rand::TryRng;
use rand::rngs::SysRng;
use serde_json::Value;

/// A client of one engine.
pub(super) struct Client {
    socket: UdpSocket,
    engine: SocketAddr,
    session: u64,
    asked: u64,
}

impl Client {
    /// A client of the engine at `engine`.
    pub(super) fn new(engine: SocketAddr) -> anyhow::Result<Self> {
        let any: SocketAddr = if engine.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).context("a local port for NG")?;
        socket.connect(engine).with_context(|| format!("NG at {engine}"))?;
        socket.set_read_timeout(Some(TRY_TIMEOUT)).context("a time-out")?;
        let session = SysRng.try_next_u64().context("random bytes")?;
        Ok(Self { socket, engine, session, asked: 0 })
    }

    /// Asks, and returns the answer's dictionary if its `result` is `ok`.
    pub(super) fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        self.asked += 1;
        let cookie = format!("{:016x}_{}", self.session, self.asked);
        let message = format!("{cookie} {request}");
        let mut buffer = vec![0; 65_536];
        for _ in 0..TRIES_MAX {
            // Nobody there now may be somebody in a moment: an engine that starts.
            let _refused = self.socket.send(message.as_bytes());
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let Some(document) = buffer[..length].strip_prefix(cookie.as_bytes()) else { continue };
                let answer: Value = serde_json::from_slice(document).context("the answer is not JSON")?;
                return match answer["result"].as_str() {
                    Some("ok") => Ok(answer),
                    _ => bail!("{}", answer["error-reason"].as_str().unwrap_or("an answer without a reason")),
                };
            }
        }
        bail!("no engine answers NG at {}; --ng names another address", self.engine)
    }
}

const TRIES_MAX: u32 = 5;
const TRY_TIMEOUT: Duration = Duration::from_millis(500);
