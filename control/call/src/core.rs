//! What all calls share: the SIP layer, tables from keys to calls, deadlines and outputs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sip::message::{HostPort, NameAddr, RetryAfter};
use sip::{
    ClientKey, HeaderName, Hop, LayerConfig, Request, Response, ServerKey, StatusCode, Timers,
    TransactionLayer, Transport, Uri,
};

use crate::deadlines::Deadlines;
use crate::engines::Engines;
use crate::{
    AccountId, Counters, Directory, EngineId, ExchangeConfig, Output, Progress, StoreRequest, WallTime,
};

/// A call's place in the exchange's table.
pub(crate) type CallKey = u64;

/// A leg's place in its call: 0 called, the others were called in this order.
pub(crate) type LegIndex = usize;

/// One instant on both clocks (`adr/0005-durations-are-monotonic.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) wall: WallTime,
}

/// What a call may wait for, at most once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// First 18x or final answer of an attempt.
    Setup,
    /// Final answer after a 18x.
    Ringing,
    /// The held time is used up.
    Credit,
    /// The store's answer.
    Store,
    /// The engine's answer.
    Media,
    /// The next try to settle.
    Settle,
    /// Our 2xx to a leg without its ACK.
    Repeat(LegIndex),
    /// The last sign of a leg cancelled for an earlier process.
    Stray(LegIndex),
    /// The engine of a call of an earlier process.
    Engine,
    /// A BYE owed to a phone that has no connection.
    Linger,
}

/// Why a client transaction was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The first INVITE of a leg.
    Invite,
    /// The end of a leg.
    Bye,
    /// A request of the other leg, passed on.
    Relay,
    /// A CANCEL for an INVITE of an earlier process.
    StrayCancel,
}

/// Who waits for an engine's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaWait {
    /// This call.
    Call(CallKey),
    /// The exchange, to compare an engine's list with its own calls.
    Sweep(EngineId),
    /// Nobody.
    Nobody,
}

/// What all calls share.
pub(crate) struct Core {
    pub(crate) config: ExchangeConfig,
    pub(crate) now: Instant,
    pub(crate) wall: WallTime,
    pub(crate) rng: StdRng,
    pub(crate) sip: TransactionLayer,
    pub(crate) directory: Arc<Directory>,
    pub(crate) engines: Engines,
    pub(crate) deadlines: Deadlines<(CallKey, Timer)>,
    pub(crate) clients: HashMap<ClientKey, (CallKey, LegIndex, Purpose)>,
    pub(crate) servers: HashMap<ServerKey, CallKey>,
    /// By Call-ID and our tag: the peer's tag may differ between forks.
    pub(crate) dialogs: HashMap<(String, String), CallKey>,
    pub(crate) store_waits: HashMap<u64, CallKey>,
    pub(crate) media_waits: HashMap<u64, MediaWait>,
    /// Calls in progress per account.
    pub(crate) account_calls: HashMap<AccountId, u32>,
    /// Calls in progress per trunk.
    pub(crate) trunk_calls: HashMap<crate::TrunkId, u32>,
    /// Calls by the text of their id.
    pub(crate) ids: HashMap<String, CallKey>,
    /// Calls with a leg to an unreachable phone, by its user.
    pub(crate) orphans: HashMap<String, HashSet<CallKey>>,
    pub(crate) counters: Counters,
    pub(crate) outputs: VecDeque<Output>,
    next_id: u64,
}

impl Core {
    pub(crate) fn new(config: ExchangeConfig, now: Instant, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let layer = layer_config(&config);
        let sip = TransactionLayer::new(layer, rng.random());
        Self {
            now,
            wall: WallTime(0),
            rng,
            sip,
            directory: Arc::default(),
            engines: Engines::new(config.engines),
            deadlines: Deadlines::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            dialogs: HashMap::new(),
            store_waits: HashMap::new(),
            media_waits: HashMap::new(),
            account_calls: HashMap::new(),
            trunk_calls: HashMap::new(),
            ids: HashMap::new(),
            orphans: HashMap::new(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            next_id: 1,
            config,
        }
    }

    /// The longest time from an INVITE to the last answer that may come of it, over every try.
    pub(crate) fn ringing_max(&self) -> Duration {
        let times = &self.config.times;
        let slowest =
            self.directory.trunks.iter().map(|trunk| trunk.setup_timeout_seconds).max().unwrap_or(0);
        let attempt = times.ringing + Duration::from_secs(u64::from(slowest)) + times.store + times.media;
        attempt.saturating_mul(u32::try_from(self.config.limits.attempts_max).unwrap_or(u32::MAX))
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { at: self.now, wall: self.wall }
    }

    pub(crate) fn arm(&mut self, call: CallKey, timer: Timer, after: Duration) {
        self.deadlines.arm((call, timer), self.now + after);
    }

    pub(crate) fn disarm(&mut self, call: CallKey, timer: Timer) {
        self.deadlines.disarm((call, timer));
    }

    pub(crate) fn store(&mut self, call: CallKey, request: StoreRequest) -> u64 {
        let id = self.take_id();
        self.store_waits.insert(id, call);
        self.outputs.push_back(Output::Store { id, request });
        id
    }

    pub(crate) fn media(&mut self, wait: MediaWait, engine: EngineId, command: ng::Command) -> u64 {
        let id = self.take_id();
        self.media_waits.insert(id, wait);
        self.outputs.push_back(Output::Media { id, engine, command });
        id
    }

    pub(crate) fn progress(&mut self, progress: Progress) {
        self.outputs.push_back(Output::Progress(progress));
    }

    /// Sends a request that already carries its Via.
    pub(crate) fn send_prepared(
        &mut self,
        call: CallKey,
        leg: LegIndex,
        purpose: Purpose,
        request: Request,
        hop: Hop,
    ) -> ClientKey {
        let key = self.sip.send_prepared(self.now, request, hop);
        self.clients.insert(key, (call, leg, purpose));
        key
    }

    pub(crate) fn send(
        &mut self,
        call: CallKey,
        leg: LegIndex,
        purpose: Purpose,
        request: Request,
        hop: Hop,
    ) -> ClientKey {
        let key = self.sip.send_request(self.now, request, hop);
        self.clients.insert(key, (call, leg, purpose));
        key
    }

    pub(crate) fn respond(&mut self, key: ServerKey, response: Response) {
        self.sip.respond(self.now, key, response);
    }

    /// Answers with a bare status and a To tag of its own.
    pub(crate) fn refuse(&mut self, key: ServerKey, request: &Request, status: StatusCode) {
        let mut response = self.response(request, status);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers.push_typed(&self.retry_after());
        }
        self.respond(key, response);
    }

    /// A response with a To tag of its own, unless the request has one.
    pub(crate) fn response(&mut self, request: &Request, status: StatusCode) -> Response {
        let tag = self.sip.new_tag();
        Response::to(request, status).with_to_tag(&tag)
    }

    /// The 420 for a request that requires what we do not know (RFC 3261 §8.2.2.3).
    pub(crate) fn unknown_extension(&mut self, request: &Request) -> Option<Response> {
        let required = request.headers.values(&HeaderName::Require).unwrap_or_default();
        let unknown: Vec<_> = required.into_iter().filter(|tag| !tag.eq_ignore_ascii_case("timer")).collect();
        if unknown.is_empty() {
            return None;
        }
        self.counters.not_understood += 1;
        let response = self.response(request, StatusCode::BAD_EXTENSION);
        Some(response.with_header(HeaderName::Unsupported, &unknown.join(", ")))
    }

    pub(crate) fn retry_after(&self) -> RetryAfter {
        let seconds = self.config.times.retry_after.as_secs();
        RetryAfter::seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// How peers reach us over `transport`.
    pub(crate) fn local(&self, transport: Transport) -> HostPort {
        local_of(&self.config, transport)
    }

    /// Our Contact towards `hop`.
    pub(crate) fn contact(&self, hop: &Hop, secure: bool) -> String {
        let mut uri = Uri::sip(Some("tollgate"), self.local(hop.transport));
        if hop.transport != Transport::Udp {
            uri = uri.with_param("transport", Some(hop.transport.param()));
        }
        if secure && let Uri::Sip(sip) = &mut uri {
            sip.secure = true;
        }
        NameAddr::new(uri).to_string()
    }

    /// A random Call-ID.
    pub(crate) fn new_call_id(&mut self) -> String {
        format!("{:032x}", self.rng.random::<u128>())
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

/// What we accept in and outside dialogs.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, INFO";

/// Headers that go from one leg to the other unchanged: session timers (RFC 4028) are the ends' own.
pub(crate) fn copy_session_headers(from: &sip::Headers, to: &mut sip::Headers) {
    for name in [HeaderName::SessionExpires, HeaderName::MinSe] {
        to.copy(from, &name);
    }
    if from.lists(&HeaderName::Supported, "timer") {
        to.push(HeaderName::Supported, "timer");
    }
    if from.lists(&HeaderName::Require, "timer") {
        to.push(HeaderName::Require, "timer");
    }
}

fn layer_config(config: &ExchangeConfig) -> LayerConfig {
    let mut layer = LayerConfig::new(local_of(config, Transport::Udp));
    layer.sent_by_tcp = local_of(config, Transport::Tcp);
    layer.sent_by_tls = local_of(config, Transport::Tls);
    layer.sent_by_ws = local_of(config, Transport::Ws);
    layer.sent_by_wss = local_of(config, Transport::Wss);
    layer.timers = Timers { t1: config.times.t1, ..Timers::default() };
    layer.clients_max = config.limits.calls_max.saturating_mul(4);
    layer.servers_max = config.limits.calls_max.saturating_mul(4);
    layer.servers_per_source_max = layer.servers_max;
    layer.retry_after_s = u32::try_from(config.times.retry_after.as_secs()).unwrap_or(u32::MAX);
    layer
}

fn local_of(config: &ExchangeConfig, transport: Transport) -> HostPort {
    let exact = config.locals.iter().find(|local| local.transport == transport);
    exact.or_else(|| config.locals.first()).map_or_else(
        || HostPort::new(sip::message::Host::Name("localhost".into()), None),
        |local| local.address.clone(),
    )
}
