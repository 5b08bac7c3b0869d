//! One end of SIP: our own transactions behind a blocking link. The demo's phone and carrier are made of it.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::bail;
use sip::message::HostPort;
use sip::transaction::{Event, LayerConfig, TransactionLayer};

use super::link::Link;

/// A SIP user agent's lower half.
pub(super) struct Agent {
    pub(super) link: Link,
    pub(super) address: SocketAddr,
    pub(super) transactions: TransactionLayer,
}

impl Agent {
    pub(super) fn new(link: Link, seed: u64) -> anyhow::Result<Agent> {
        let address = link.address()?;
        let sent_by = HostPort { host: address.ip().into(), port: Some(address.port()) };
        Ok(Agent { link, address, transactions: TransactionLayer::new(LayerConfig::new(sent_by), seed) })
    }

    /// What happens next, or `None` if nothing does until `deadline`.
    pub(super) fn next(&mut self, deadline: Instant) -> anyhow::Result<Option<Event>> {
        loop {
            while let Some((_, bytes)) = self.transactions.poll_transmit() {
                self.link.send(&bytes)?;
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
            for (hop, message) in self.link.receive(due)? {
                self.transactions.receive(Instant::now(), &hop, message);
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
