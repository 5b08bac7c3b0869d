//! The exchange with everything around it, in virtual time.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::*;
use ledger::{Amount, Currency, Rate, RateTerms, Tariff};
use sip::message::{Host, HostPort};
use sip::{Message, Transport};

use crate::engine::ModelEngine;
use crate::store::ModelStore;

/// Everything, in one place and one thread.
pub(crate) struct World {
    pub(crate) exchange: Exchange,
    pub(crate) config: ExchangeConfig,
    pub(crate) now: Instant,
    pub(crate) wall_ms: u64,
    pub(crate) store: ModelStore,
    pub(crate) engines: Vec<ModelEngine>,
    pub(crate) directory: Directory,
    pub(crate) inboxes: HashMap<SocketAddr, VecDeque<Message>>,
    /// What happened in which order.
    pub(crate) trace: Vec<String>,
    /// Store requests that are kept back instead of executed at once.
    pub(crate) hold_store: bool,
    pub(crate) kept: VecDeque<(u64, StoreRequest)>,
    /// Media commands that are kept back.
    pub(crate) hold_media: bool,
    pub(crate) kept_media: VecDeque<(u64, EngineId, ng::Command)>,
    /// After so many outputs everything stops, as in a crash.
    pub(crate) dies_after: Option<usize>,
    pub(crate) outputs: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = directory();
        let mut store = ModelStore::default();
        for account in directory.accounts.keys() {
            store.balances.insert(account.clone(), money("10"));
        }
        let now = Instant::now();
        let config = config();
        let exchange = Exchange::new(config.clone(), now, 7);
        let mut world = Self {
            exchange,
            config,
            now,
            wall_ms: 1_700_000_000_000,
            store,
            engines: vec![ModelEngine::new("one"), ModelEngine::new("two")],
            directory,
            inboxes: HashMap::new(),
            trace: Vec::new(),
            hold_store: false,
            kept: VecDeque::new(),
            hold_media: false,
            kept_media: VecDeque::new(),
            dies_after: None,
            outputs: 0,
        };
        world.engines[1].up = false;
        world.input(Input::Restore(Vec::new()));
        world.boot();
        world
    }

    fn boot(&mut self) {
        let directory = Arc::new(self.directory.clone());
        self.input(Input::Directory(directory));
        for index in 0..self.engines.len() {
            if self.engines[index].up {
                let engine = EngineId(u16::try_from(index).expect("few engines"));
                let instance = self.engines[index].instance.clone();
                self.input(Input::EngineUp { engine, instance });
            }
        }
    }

    /// Kill -9 of the exchange, and the next process after `pause`.
    pub(crate) fn restart(&mut self, pause: Duration) {
        self.dies_after = None;
        self.kept.clear();
        self.kept_media.clear();
        self.now += pause;
        self.wall_ms += u64::try_from(pause.as_millis()).expect("short");
        self.config.epoch += 1;
        self.exchange = Exchange::new(self.config.clone(), self.now, 1000 + self.config.epoch);
        self.trace.push("restart".into());
        let directory = Arc::new(self.directory.clone());
        self.input(Input::Directory(directory));
        // The order of the two is nobody's promise.
        if self.config.epoch.is_multiple_of(2) {
            self.boot();
            self.restore();
        } else {
            self.restore();
            self.boot();
        }
    }

    fn restore(&mut self) {
        let rows = self.store.rows();
        self.input(Input::Restore(rows));
    }

    pub(crate) fn publish(&mut self) {
        let directory = Arc::new(self.directory.clone());
        self.input(Input::Directory(directory));
    }

    pub(crate) fn dead(&self) -> bool {
        self.dies_after.is_some_and(|limit| self.outputs >= limit)
    }

    pub(crate) fn input(&mut self, input: Input) {
        if self.dead() {
            return;
        }
        self.exchange.handle_input(self.now, self.wall_ms, input);
        self.settle_outputs();
    }

    fn settle_outputs(&mut self) {
        while let Some(output) = self.exchange.poll_output() {
            if self.dead() {
                return;
            }
            self.outputs += 1;
            let answer = match output {
                Output::Transmit { hop, bytes } => {
                    let message = Message::parse_datagram(&bytes).expect("what is sent parses");
                    self.trace.push(format!("send {} {}", hop.remote.port(), headline(&message)));
                    self.inboxes.entry(hop.remote).or_default().push_back(message);
                    None
                }
                Output::Store { id, request } => self.on_store(id, request),
                Output::Media { id, engine, command } => self.on_media(id, engine, &command),
                Output::Progress(_) => None,
            };
            if let Some(input) = answer {
                self.exchange.handle_input(self.now, self.wall_ms, input);
            }
        }
    }

    fn on_store(&mut self, id: u64, request: StoreRequest) -> Option<Input> {
        self.trace.push(format!("store {}", describe(&request)));
        if self.hold_store {
            self.kept.push_back((id, request));
            return None;
        }
        Some(Input::Store { id, reply: self.store.execute(request) })
    }

    fn on_media(&mut self, id: u64, engine: EngineId, command: &ng::Command) -> Option<Input> {
        self.trace.push(format!("media {}", command_name(command)));
        if self.hold_media {
            self.kept_media.push_back((id, engine, command.clone()));
            return None;
        }
        let reply = self.engines[usize::from(engine.0)].answer(self.wall_ms, command)?;
        Some(Input::Media { id, reply: Ok(reply) })
    }

    /// Executes what was kept back.
    pub(crate) fn release_store(&mut self) {
        self.hold_store = false;
        while let Some((id, request)) = self.kept.pop_front() {
            let reply = self.store.execute(request);
            self.input(Input::Store { id, reply });
        }
    }

    pub(crate) fn release_media(&mut self) {
        self.hold_media = false;
        while let Some((id, engine, command)) = self.kept_media.pop_front() {
            if let Some(reply) = self.engines[usize::from(engine.0)].answer(self.wall_ms, &command) {
                self.input(Input::Media { id, reply: Ok(reply) });
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.exchange.next_deadline()
            && deadline <= end
            && !self.dead()
        {
            self.set_time(deadline.max(self.now));
            self.input(Input::Tick);
        }
        self.set_time(end);
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    fn set_time(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now);
        self.wall_ms += u64::try_from(passed.as_millis()).expect("short");
        self.now = at;
    }

    /// Until every call is settled and nobody is owed anything.
    pub(crate) fn finish(&mut self) {
        for _ in 0..600 {
            if self.exchange.calls() == 0 {
                return;
            }
            self.pass_ms(1000);
        }
        panic!("{} calls never end\n{}", self.exchange.calls(), self.story());
    }

    /// The one record there is.
    pub(crate) fn cdr(&self) -> Cdr {
        assert_eq!(self.store.cdrs.len(), 1, "one record\n{}", self.story());
        assert!(self.store.holds.is_empty(), "no hold is left\n{}", self.story());
        assert!(self.store.journal.is_empty(), "no row is left\n{}", self.story());
        self.store.cdrs.values().next().expect("one record").clone()
    }

    pub(crate) fn balance(&self, account: &str) -> Amount {
        self.store.balances[&AccountId::from(account)]
    }

    pub(crate) fn story(&self) -> String {
        self.trace.join("\n")
    }

    /// Where something first stands in the story.
    pub(crate) fn at(&self, start: &str) -> usize {
        let found = self.trace.iter().position(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in\n{}", self.story()))
    }

    pub(crate) fn report(&mut self, engine: u16) {
        let names: Vec<String> = self.engines[usize::from(engine)].calls.keys().cloned().collect();
        for call_id in names {
            let leg = |tag: &str| ng::LegReport {
                tag: tag.into(),
                medias: vec![ng::MediaReport {
                    received: ng::StreamCounters { packets: 7, bytes: 700, errors: 0 },
                    last_packet_ms: Some(20),
                    ..ng::MediaReport::default()
                }],
            };
            let kind = ng::EventKind::CallReport { legs: vec![leg("caller"), leg("callee")] };
            let event = ng::Event { sequence: 1, call_id, owner: None, wall_ms: self.wall_ms, kind };
            self.input(Input::EngineEvent { engine: EngineId(engine), event });
        }
    }

    /// The engine ends every call by itself.
    pub(crate) fn engine_ends(&mut self, reason: ng::EndReason, last_packet_ms: u64) {
        let names: Vec<String> = self.engines[0].calls.keys().cloned().collect();
        for call_id in names {
            let ended = ng::Ended { reason, wall_ms: self.wall_ms, lifetime_ms: 0 };
            self.engines[0].calls.get_mut(&call_id).expect("there").ended = Some(ended.clone());
            let media =
                ng::MediaReport { last_packet_ms: Some(last_packet_ms), ..ng::MediaReport::default() };
            let legs = vec![ng::LegReport { tag: "caller".into(), medias: vec![media] }];
            let kind = ng::EventKind::Ended { ended, legs };
            let event = ng::Event { sequence: 2, call_id, owner: None, wall_ms: self.wall_ms, kind };
            self.input(Input::EngineEvent { engine: EngineId(0), event });
        }
    }
}

fn headline(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method().to_string(),
        Message::Response(response) => {
            let method = response.cseq().expect("CSeq").method;
            format!("{} {method}", response.status())
        }
    }
}

fn describe(request: &StoreRequest) -> String {
    match request {
        StoreRequest::Authorize { .. } => "authorize".into(),
        StoreRequest::Journal { journal, .. } => format!("journal {:?}", journal.step).to_lowercase(),
        StoreRequest::Settle { charge, .. } => format!("settle {charge}"),
    }
}

fn command_name(command: &ng::Command) -> String {
    let text = format!("{command:?}");
    let end = text.find(['(', ' ', '{']).unwrap_or(text.len());
    text[..end].to_lowercase()
}

pub(crate) fn money(text: &str) -> Amount {
    text.parse().expect("an amount")
}

pub(crate) fn config() -> ExchangeConfig {
    let local = |transport, port| Local {
        transport,
        address: HostPort::new(Host::Name("tollgate.test".into()), Some(port)),
    };
    ExchangeConfig {
        owner: "test".into(),
        epoch: 1,
        realm: "tollgate.test".into(),
        nonce_key: [3; 32],
        locals: vec![
            local(Transport::Udp, 5060),
            local(Transport::Tcp, 5060),
            local(Transport::Tls, 5061),
            local(Transport::Wss, 8443),
        ],
        engines: 2,
        country_code: Some("49".into()),
        limits: Limits::default(),
        times: Times::default(),
    }
}

fn directory() -> Directory {
    let currency: Currency = "EUR".parse().expect("a currency");
    let terms = RateTerms {
        initial_seconds: 6,
        connection_fee: money("0.05"),
        rounding: ledger::Rounding { mode: ledger::RoundingMode::Up, decimals: 6 },
        ..RateTerms::per_minute("49".parse().expect("a prefix"), money("0.6"))
    };
    let rate = Rate::new(terms).expect("a rate");
    let tariff = Tariff::flat("retail", currency, [rate]).expect("a tariff");
    let ha1 = |algorithm, user: &str| sip::auth::ha1(algorithm, user, "tollgate.test", "secret");
    let account = |name: &str, trusted: &[&str]| Account {
        id: name.into(),
        enabled: true,
        secrets: vec![
            DigestSecret { algorithm: DigestAlgorithm::Sha256, ha1: ha1(sip::auth::Algorithm::Sha256, name) },
            DigestSecret { algorithm: DigestAlgorithm::Md5, ha1: ha1(sip::auth::Algorithm::Md5, name) },
        ],
        md5_in_clear: false,
        trusted: trusted.iter().map(|ip| ip.parse().expect("address")).collect(),
        tariff: Some("retail".into()),
        overrides: None,
        on_trial: false,
        currency,
        caller_number: Some("493012345".into()),
        media: call::PhoneMedia::Auto,
        max_call_seconds: 3600,
        max_calls: 10,
        grace_seconds: 30,
    };
    let trunk = |name: &str, address: &str| Trunk {
        id: name.into(),
        enabled: true,
        transport: TrunkTransport::Udp,
        address: address.parse().expect("address"),
        domain: "carrier.test".into(),
        number_prefix: "+".into(),
        credentials: Some(TrunkCredentials { user: "us".into(), password: "them".into() }),
        media: TrunkMedia::Plain,
        buy_tariff: None,
        max_calls: 100,
        setup_timeout_seconds: 8,
    };
    let accounts = [account("alice", &["192.0.2.1"]), account("bob", &[])];
    Directory {
        accounts: accounts.into_iter().map(|account| (account.id.clone(), account)).collect(),
        tariffs: [(TariffId::from("retail"), tariff)].into_iter().collect(),
        exchanges: ledger::Exchanges::default(),
        trunks: vec![trunk("first", "198.51.100.1:5070"), trunk("second", "198.51.100.2:5080")],
    }
}
