//! One end of SIP over UDP: our own transactions behind a blocking socket. The demo's phone and carrier are made of it.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use anyhow::{Context, bail};
use sip::message::{HostPort, Message};
use sip::transaction::{Event, LayerConfig, TransactionLayer};
use sip::{FlowId, Hop, Transport};

/// A SIP user agent's lower half.
pub(super) struct Agent {
    socket: UdpSocket,
    pub(super) address: SocketAddr,
    pub(super) transactions: TransactionLayer,
}

const FLOW: FlowId = FlowId(1);

impl Agent {
    pub(super) fn open(ip: IpAddr, seed: u64) -> anyhow::Result<Agent> {
        let socket = UdpSocket::bind((ip, 0)).context("a port for SIP")?;
        let address = socket.local_addr()?;
        let sent_by = HostPort { host: address.ip().into(), port: Some(address.port()) };
        Ok(Agent { socket, address, transactions: TransactionLayer::new(LayerConfig::new(sent_by), seed) })
    }

    /// The way to `remote`.
    pub(super) fn hop(remote: SocketAddr) -> Hop {
        Hop::over(Transport::Udp, remote, FLOW)
    }

    /// What happens next, or `None` if nothing does until `deadline`.
    pub(super) fn next(&mut self, deadline: Instant) -> anyhow::Result<Option<Event>> {
        let mut bytes = vec![0; 65_536];
        loop {
            while let Some((hop, bytes)) = self.transactions.poll_transmit() {
                self.socket.send_to(&bytes, hop.remote).with_context(|| format!("SIP to {}", hop.remote))?;
            }
            if let Some(event) = self.transactions.poll_event() {
                return Ok(Some(event));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            let due = self.transactions.next_deadline().map_or(deadline, |timer| timer.min(deadline));
            if due <= now {
                self.transactions.handle_timeout(now);
                continue;
            }
            self.socket.set_read_timeout(Some(due - now))?;
            match self.socket.recv_from(&mut bytes) {
                Ok((length, remote)) => {
                    // What is no SIP is dropped, as a phone would.
                    if let Ok(message) = Message::parse_datagram(&bytes[..length]) {
                        self.transactions.receive(Instant::now(), &Agent::hop(remote), message);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.transactions.handle_timeout(Instant::now());
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error).context("receiving SIP"),
            }
        }
    }

    /// The first of what happens that `wanted` takes; everything else is passed over.
    pub(super) fn expect<T>(
        &mut self,
        what: &str,
        deadline: Instant,
        mut wanted: impl FnMut(&mut Agent, Event) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        while let Some(event) = self.next(deadline)? {
            if let Some(found) = wanted(self, event)? {
                return Ok(found);
            }
        }
        bail!("{what} does not come")
    }
}
