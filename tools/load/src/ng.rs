//! The least NG client that a load needs: JSON over UDP, repeated under the same cookie until it is answered.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// One NG client. Requests go one after the other.
pub struct Client {
    socket: UdpSocket,
    engine: SocketAddr,
    requests_count: u64,
}

const TRIES_MAX: u32 = 10;
const TRY_TIMEOUT: Duration = Duration::from_millis(200);

impl Client {
    /// A client of the engine at `engine`.
    ///
    /// # Errors
    /// If no local socket can be had.
    pub fn new(engine: SocketAddr) -> anyhow::Result<Client> {
        let any: SocketAddr = if engine.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).context("a local port for NG")?;
        // Not connected: an engine that is not up yet is then silence, which the timeout paces, and no error at once.
        socket.set_read_timeout(Some(TRY_TIMEOUT))?;
        Ok(Client { socket, engine, requests_count: 0 })
    }

    /// Asks, and returns the answer's dictionary if its `result` is `ok` or `pong`.
    ///
    /// # Errors
    /// No answer within two seconds, an answer that is no JSON, or the engine's own error text.
    pub fn ask(&mut self, request: &Value) -> anyhow::Result<Value> {
        let answer = self.answer(request)?;
        match answer["result"].as_str() {
            Some("ok" | "pong") => Ok(answer),
            _ => bail!("{} is answered {answer}", request["command"]),
        }
    }

    /// Asks, and returns the answer's dictionary whatever its `result` is.
    ///
    /// # Errors
    /// No answer within two seconds, or an answer that is no JSON.
    pub fn answer(&mut self, request: &Value) -> anyhow::Result<Value> {
        self.requests_count += 1;
        let cookie = format!("{}_{}", std::process::id(), self.requests_count);
        let message = format!("{cookie} {request}");
        let mut buffer = vec![0; 65_536];
        for _ in 0..TRIES_MAX {
            self.socket
                .send_to(message.as_bytes(), self.engine)
                .with_context(|| format!("NG at {}", self.engine))?;
            while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                if from != self.engine {
                    continue;
                }
                let answer = std::str::from_utf8(&buffer[..length]).context("the answer is not UTF-8")?;
                let Some(body) = answer.strip_prefix(&cookie) else { continue };
                return serde_json::from_str(body.trim_start()).context("the answer is not JSON");
            }
        }
        bail!("no answer to {}", request["command"])
    }

    /// Waits until the engine answers a ping.
    ///
    /// # Errors
    /// If it does not within twelve seconds.
    pub fn await_pong(&mut self) -> anyhow::Result<()> {
        for _ in 0..6 {
            if self.ask(&serde_json::json!({"command": "ping"})).is_ok() {
                return Ok(());
            }
        }
        ensure!(false, "the engine does not answer");
        Ok(())
    }
}
