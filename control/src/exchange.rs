//! The one task that owns the calls: every input goes through it, one at a time.
//!
//! An input, then all outputs, then the next input. Nothing here waits for a
//! socket, the store or an engine: they answer with inputs of their own.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use call::{Counters, Directory, Exchange, Input, JournalEntry, MediaError, Output, StoreReply};
use tokio::sync::{mpsc, watch};

use crate::config::Engine;
use crate::media::{Engines, MediaEvent};
use crate::progress::ProgressLog;
use crate::run::Order;
use crate::store::Store;
use crate::transport::{DropReason, TransportEvent, Transports, TrunkAddresses};

/// Longest wait at start for every engine to answer or to be found down.
const ENGINES_WAIT: Duration = Duration::from_secs(3);

/// Longest wait at the end for steps that the store has begun.
const GOODBYE: Duration = Duration::from_secs(2);

/// How often changed counters are logged.
const COUNTERS_INTERVAL: Duration = Duration::from_secs(10);

/// Everything the calls are wired to.
pub(crate) struct Wiring {
    pub(crate) transports: Transports,
    pub(crate) transport_events: mpsc::Receiver<TransportEvent>,
    pub(crate) engines: Engines,
    pub(crate) media_events: mpsc::Receiver<MediaEvent>,
    pub(crate) engine_names: Vec<Engine>,
    pub(crate) store: Arc<Store>,
    pub(crate) store_replies: mpsc::UnboundedReceiver<(u64, StoreReply)>,
    pub(crate) directory: watch::Receiver<Arc<Directory>>,
    pub(crate) progress: ProgressLog,
}

/// The running exchange.
pub(crate) struct Actor {
    exchange: Exchange,
    wiring: Wiring,
    /// Store requests that are not answered yet: what the goodbye waits for.
    store_waits: u64,
    drops_told: Vec<u64>,
    counters_told: Counters,
    /// Whom plain listeners for trunks hear.
    carriers: HashSet<SocketAddr>,
}

/// What woke the actor up.
enum Wake {
    Deadline,
    Store(u64, StoreReply),
    Media(MediaEvent),
    Directory,
    Transport(TransportEvent),
    Interval,
    Order(Order),
}

impl Actor {
    pub(crate) fn new(exchange: Exchange, wiring: Wiring) -> Self {
        Self {
            exchange,
            wiring,
            store_waits: 0,
            drops_told: vec![0; DropReason::ALL.len()],
            counters_told: Counters::default(),
            carriers: HashSet::new(),
        }
    }

    /// Takes up the calls of the last process, then listens, until it is ordered to
    /// leave. From then on no new calls are taken, and it ends as soon as every
    /// step that has begun is durable, or when the order comes again.
    pub(crate) async fn run(mut self, journal: Vec<JournalEntry>, mut orders: mpsc::Receiver<Order>) {
        self.on_directory();
        self.await_engines().await;
        let calls = journal.len();
        self.input(Input::Restore(journal));
        self.wiring.transports.listen();
        for address in self.wiring.transports.addresses() {
            tracing::info!(%address, "listening");
        }
        tracing::info!(calls, "serving");
        let mut counters_at = Instant::now() + COUNTERS_INTERVAL;
        let mut leave_by: Option<Instant> = None;
        loop {
            if leave_by.is_some_and(|by| self.store_waits == 0 || Instant::now() >= by) {
                break;
            }
            match self.wake(leave_by.unwrap_or(counters_at), &mut orders).await {
                Wake::Order(Order::Reload) => drop(self.wiring.transports.reload_certificates()),
                Wake::Order(Order::Leave) if leave_by.is_none() => {
                    tracing::info!("shutting down: no new calls");
                    leave_by = Some(Instant::now() + GOODBYE);
                    self.input(Input::Drain);
                }
                Wake::Order(Order::Leave) => break,
                Wake::Deadline => self.input(Input::Tick),
                Wake::Store(id, reply) => self.on_store(id, reply),
                Wake::Media(event) => self.on_media(event),
                Wake::Directory => self.on_directory(),
                Wake::Transport(event) => self.on_transport(event),
                Wake::Interval => {
                    self.tell_counters();
                    counters_at = Instant::now() + COUNTERS_INTERVAL;
                }
            }
        }
        self.tell_counters();
        tracing::info!("leaving; calls in progress go on without us and are taken up at the next start");
        self.wiring.transports.shutdown().await;
    }

    /// What comes next. Answers that calls wait for come before new messages, so
    /// that a flood of those cannot delay them.
    async fn wake(&mut self, interval_at: Instant, orders: &mut mpsc::Receiver<Order>) -> Wake {
        let deadline = self.exchange.next_deadline();
        let wiring = &mut self.wiring;
        tokio::select! {
            biased;
            Some(order) = orders.recv() => Wake::Order(order),
            () = sleep_until(deadline) => Wake::Deadline,
            () = sleep_until(Some(interval_at)) => Wake::Interval,
            Some((id, reply)) = wiring.store_replies.recv() => Wake::Store(id, reply),
            Some(event) = wiring.media_events.recv() => Wake::Media(event),
            Ok(()) = wiring.directory.changed() => Wake::Directory,
            Some(event) = wiring.transport_events.recv() => Wake::Transport(event),
        }
    }

    /// Waits until each engine is known to be up or down, for a bounded time, so
    /// that restored calls meet their engines.
    async fn await_engines(&mut self) {
        let until = Instant::now() + ENGINES_WAIT;
        let mut unknown: Vec<_> = (0..self.wiring.engines.count()).collect();
        while !unknown.is_empty() {
            let event = tokio::select! {
                event = self.wiring.media_events.recv() => event,
                () = sleep_until(Some(until)) => None,
            };
            let Some(event) = event else { break };
            if let MediaEvent::Up { engine, .. } | MediaEvent::Down { engine } = &event {
                unknown.retain(|index| *index != usize::from(engine.0));
            }
            self.on_media(event);
        }
        if self.wiring.engines.count() == 0 {
            tracing::warn!("no engine is configured: every call is refused");
        }
    }

    /// One input, then every output it leads to. A send or a question that fails
    /// at once is an input in turn.
    fn input(&mut self, input: Input) {
        let mut next = VecDeque::from([input]);
        while let Some(input) = next.pop_front() {
            self.exchange.handle_input(Instant::now(), wall_ms(), input);
            while let Some(output) = self.exchange.poll_output() {
                next.extend(self.output(output));
            }
        }
    }

    fn output(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Transmit { hop, bytes } => {
                self.wiring.transports.send(&hop, bytes).err().map(|_| Input::SendFailed(hop))
            }
            Output::Store { id, request } => {
                self.store_waits += 1;
                self.wiring.store.submit(id, request);
                None
            }
            Output::Media { id, engine, command } => {
                let asked = self.wiring.engines.ask(engine, id, command);
                asked.err().map(|_| Input::Media { id, reply: Err(MediaError::Timeout) })
            }
            Output::Progress(progress) => {
                self.wiring.progress.write(Instant::now(), &self.wiring.engine_names, &progress);
                None
            }
        }
    }

    fn on_store(&mut self, id: u64, reply: StoreReply) {
        self.store_waits = self.store_waits.saturating_sub(1);
        self.input(Input::Store { id, reply });
    }

    fn on_media(&mut self, event: MediaEvent) {
        self.input(match event {
            MediaEvent::Reply { id, reply } => Input::Media { id, reply },
            MediaEvent::Up { engine, instance } => Input::EngineUp { engine, instance },
            MediaEvent::Down { engine } => Input::EngineDown { engine },
            MediaEvent::Event { engine, event } => Input::EngineEvent { engine, event: *event },
        });
    }

    fn on_transport(&mut self, event: TransportEvent) {
        let input = match event {
            TransportEvent::Message { hop, message } => Input::Sip { hop, message: *message },
            TransportEvent::FlowClosed(flow) => Input::FlowClosed(flow),
            TransportEvent::SendFailed(hop) => Input::SendFailed(hop),
            TransportEvent::Refused { hop, refusal } => {
                self.exchange.handle_refusal(&hop, *refusal);
                Input::Tick
            }
        };
        self.input(input);
    }

    fn on_directory(&mut self) {
        let directory = Arc::clone(&self.wiring.directory.borrow_and_update());
        hear_carriers(&mut self.carriers, &directory, self.exchange.calls());
        self.wiring.transports.set_trunks(self.carriers.iter().copied().collect::<TrunkAddresses>());
        for trunk in directory.trunks.iter().filter(|trunk| trunk.enabled && !trunk.is_served()) {
            tracing::warn!(trunk = %trunk.id, "no call goes over it: it would be told the keys of its media in clear; reach it by tls");
        }
        tracing::info!(
            accounts = directory.accounts.len(),
            tariffs = directory.tariffs.len(),
            trunks = directory.trunks.len(),
            "directory loaded"
        );
        self.input(Input::Directory(directory));
    }

    /// Counters that moved since they were told last, one line each.
    fn tell_counters(&mut self) {
        for (reason, told) in DropReason::ALL.iter().zip(&mut self.drops_told) {
            let count = self.wiring.transports.drops().get(*reason);
            if count != *told {
                tracing::info!(reason = reason.label(), count, "dropped at the transports since start");
                *told = count;
            }
        }
        let counters = *self.exchange.counters();
        if counters != self.counters_told {
            tracing::info!(
                ?counters,
                connections = self.wiring.transports.connections(),
                "calls since start"
            );
            self.counters_told = counters;
        }
    }
}

/// Adds the addresses of all trunks, and forgets others only while there is no call: the carrier of a trunk that
/// gets no more calls still has to end those it has, or they would be charged until nothing is left.
fn hear_carriers(carriers: &mut HashSet<SocketAddr>, directory: &Directory, calls: usize) {
    if calls == 0 {
        carriers.clear();
    }
    carriers.extend(directory.trunks.iter().map(|trunk| trunk.address));
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Milliseconds since the Unix epoch; 0 for a clock before it.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use call::{Trunk, TrunkMedia, TrunkTransport};

    use super::*;

    #[test]
    fn a_trunk_that_gets_no_more_calls_is_heard_while_there_are_some() {
        let address: SocketAddr = "192.0.2.1:5060".parse().expect("address");
        let trunk = |enabled| Trunk {
            id: "carrier".into(),
            enabled,
            transport: TrunkTransport::Udp,
            address,
            domain: "carrier.example".to_owned(),
            number_prefix: String::new(),
            credentials: None,
            media: TrunkMedia::Plain,
            buy_tariff: None,
            max_calls: 1,
            setup_timeout_seconds: 5,
        };
        let directory = |trunks| Directory { trunks, ..Directory::default() };
        let mut carriers = HashSet::new();
        hear_carriers(&mut carriers, &directory(vec![trunk(true)]), 0);
        hear_carriers(&mut carriers, &directory(vec![trunk(false)]), 1);
        assert!(carriers.contains(&address), "disabled");
        hear_carriers(&mut carriers, &directory(vec![]), 1);
        assert!(carriers.contains(&address), "removed");
        hear_carriers(&mut carriers, &directory(vec![]), 0);
        assert!(carriers.is_empty());
    }
}
