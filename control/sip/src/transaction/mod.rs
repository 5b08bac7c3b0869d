//! Transactions, client and server, without I/O ([RFC 3261 §17], RFC 6026, RFC 4320, RFC 3581).
//!
//! Supported: the four machines, reliable and unreliable transports, automatic
//! 100, CANCEL in both directions, absorption of ACKs and retransmissions,
//! merged requests, `rport` and `received`, overload answers. Not supported:
//! `maddr`, moving a large request from UDP to TCP (§18.1.1), the exact matching
//! rules of RFC 2543 (an approximation keeps such clients working).
//!
//! [RFC 3261 §17]: https://www.rfc-editor.org/rfc/rfc3261#section-17

mod client;
mod clock;
mod config;
mod event;
mod ict;
mod ist;
mod machine;
mod nict;
mod nist;
mod server;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use self::client::Client;
use self::clock::{Armed, Clock, Owner, duration, run_timer};
use self::machine::{Action, Timer};
use self::server::{MergeId, Server, ServerId};
use crate::counters::{Counters, DropReason};
use crate::hop::{FlowId, Hop, Transport};
use crate::message::{
    HeaderName, MAGIC_COOKIE, Message, Method, Refusal, RefusalReason, Request, Response, RetryAfter,
    StatusCode, TypedHeader, Via,
};
pub use config::LayerConfig;
pub use event::Event;
pub use timers::Timers;

/// A client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey(u64);

/// A server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(u64);

/// All transactions of one SIP endpoint.
///
/// One input, then drain [`TransactionLayer::poll_transmit`] and
/// [`TransactionLayer::poll_event`] to `None`; both queues hold only what one
/// input caused.
#[derive(Debug)]
pub struct TransactionLayer {
    config: LayerConfig,
    rng: StdRng,
    tag_secret: [u8; 16],
    next_key: u64,
    clients: BTreeMap<ClientKey, Client>,
    client_index: BTreeMap<(String, Method), ClientKey>,
    servers: BTreeMap<ServerKey, Server>,
    server_index: BTreeMap<ServerId, ServerKey>,
    merges: BTreeMap<MergeId, ServerKey>,
    sources: BTreeMap<IpAddr, usize>,
    clock: Clock,
    transmits: VecDeque<(Hop, Bytes)>,
    events: VecDeque<Event>,
    counters: Counters,
}

impl TransactionLayer {
    /// An empty layer; branches and tags come from `seed`, which must be unpredictable.
    #[must_use]
    pub fn new(config: LayerConfig, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tag_secret = [0; 16];
        rng.fill_bytes(&mut tag_secret);
        Self {
            config,
            rng,
            tag_secret,
            next_key: 1,
            clients: BTreeMap::new(),
            client_index: BTreeMap::new(),
            servers: BTreeMap::new(),
            server_index: BTreeMap::new(),
            merges: BTreeMap::new(),
            sources: BTreeMap::new(),
            clock: Clock::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes in a message that came over `hop`.
    pub fn receive(&mut self, now: Instant, hop: &Hop, message: Message) {
        match message {
            Message::Request(request) => self.receive_request(now, hop, request),
            Message::Response(response) => self.receive_response(now, hop, response),
        }
    }

    /// Takes in bytes that were no message: counts them and answers if they deserve it.
    pub fn receive_refusal(&mut self, hop: &Hop, refusal: Refusal) {
        let Some(mut response) = refusal.response else {
            self.counters.count(match refusal.reason {
                RefusalReason::KeepAlive => DropReason::KeepAlive,
                _ => DropReason::Malformed,
            });
            return;
        };
        self.counters.count(DropReason::Refused);
        let Ok(mut via) = response.top_via() else {
            return;
        };
        via.mark_source(hop.remote);
        response.headers.replace_first(&HeaderName::Via, &via.to_string());
        let tag = self.tag_of(response.call_id().as_bytes(), &via);
        let response = response.with_to_tag(&tag);
        self.transmits.push_back((response_hop(hop, &via), response.to_bytes()));
    }

    /// Sends a request in a new client transaction.
    ///
    /// Adds a Via with a fresh branch on top, and Max-Forwards 70 when there is
    /// none. With the table full, [`Event::TransportError`] follows at once.
    pub fn send_request(&mut self, now: Instant, mut request: Request, hop: Hop) -> ClientKey {
        let branch = self.new_branch();
        self.add_via(&mut request, &hop, &branch);
        self.start_client(now, request, hop, branch, false)
    }

    /// Adds what [`TransactionLayer::send_request`] would add, so that the request can be recorded with its
    /// branch before it is sent with [`TransactionLayer::send_prepared`].
    pub fn prepare(&mut self, request: &mut Request, hop: &Hop) {
        let branch = self.new_branch();
        self.add_via(request, hop, &branch);
    }

    /// Sends a request that carries its Via already: one prepared before, or one of an earlier process.
    pub fn send_prepared(&mut self, now: Instant, request: Request, hop: Hop) -> ClientKey {
        let branch = request.top_via().ok().and_then(|via| via.branch().map(str::to_owned));
        self.start_client(now, request, hop, branch.unwrap_or_default(), false)
    }

    /// Cancels an INVITE (§9.1); `extra` headers, such as Reason, go into the CANCEL.
    ///
    /// Waits for the first provisional response if none came yet. Returns false
    /// when `key` is no INVITE still without final response, or already cancelled.
    pub fn cancel(&mut self, now: Instant, key: ClientKey, extra: &[(HeaderName, String)]) -> bool {
        let Some(client) = self.clients.get_mut(&key) else {
            return false;
        };
        if client.cancelled {
            return false;
        }
        match client.state {
            client::State::Invite(ict::State::Calling) => {
                client.cancelled = true;
                client.cancel = Some(client.cancel_request(extra));
                true
            }
            client::State::Invite(ict::State::Proceeding) => {
                client.cancelled = true;
                let cancel = client.cancel_request(extra);
                self.send_cancel(now, key, cancel);
                true
            }
            _ => false,
        }
    }

    /// Waits at most 64*T1 more for the final response to an INVITE inside a dialog that a BYE has ended.
    ///
    /// The BYE asks for a 487 (§15.1.2), so that no CANCEL is needed; a peer that owes it cannot keep the
    /// transaction for ever.
    pub fn give_up(&mut self, now: Instant, key: ClientKey) {
        let after = self.config.timers.t1_64();
        if let Some(client) = self.clients.get_mut(&key)
            // Also before the first 1xx: one that comes later stops the timer that would end it.
            && matches!(client.state, client::State::Invite(ict::State::Calling | ict::State::Proceeding))
            && !client.cancelled
        {
            client.cancelled = true;
            self.clock.arm(&mut client.armed, Owner::Client(key), Timer::Cancel, now + after);
        }
    }

    /// Answers a request. A response to a transaction that is gone is counted and dropped.
    ///
    /// A To tag is added to a response without one, except a 100 (§8.2.6.2); it
    /// is the same for every response of the transaction.
    pub fn respond(&mut self, now: Instant, key: ServerKey, mut response: Response) {
        let Some(server) = self.servers.get_mut(&key) else {
            self.counters.count(DropReason::ResponseLate);
            return;
        };
        let status = response.status();
        if matches!(server.state, server::State::Other(_)) {
            if status.is_provisional() {
                //= RFC 4320 §4.1: the layer itself sends the late 100
                self.counters.count(DropReason::ProvisionalForbidden);
                return;
            }
            if status == StatusCode::REQUEST_TIMEOUT {
                //= RFC 4320 §4.2: silence instead of 408
                self.counters.count(DropReason::TimeoutForbidden);
                self.remove_server(key);
                return;
            }
        }
        match response.to_tag() {
            Some(tag) => server.to_tag = tag,
            None if status != StatusCode::TRYING => {
                response = response.with_to_tag(&server.to_tag);
            }
            None => {}
        }
        let input = if status.is_provisional() {
            server::Input::RespondProvisional
        } else if status.is_success() {
            server::Input::RespondSuccess
        } else {
            server::Input::RespondFailure
        };
        if !self.step_server(now, key, input, Some(response.to_bytes()), None) {
            self.counters.count(DropReason::ResponseLate);
        }
    }

    /// Sends a request outside any transaction: the ACK of a 2xx.
    ///
    /// Adds a Via with a fresh branch; returns the bytes, so that the same ACK
    /// can be sent again with [`TransactionLayer::send_bytes`].
    pub fn send_ack(&mut self, mut request: Request, hop: Hop) -> Bytes {
        let branch = self.new_branch();
        self.add_via(&mut request, &hop, &branch);
        let bytes = request.to_bytes();
        self.transmits.push_back((hop, bytes.clone()));
        bytes
    }

    /// Sends a response outside any transaction, to where the request came from over `hop`.
    pub fn send_stateless(&mut self, hop: &Hop, response: &Response) {
        if let Ok(mut via) = response.top_via() {
            via.mark_source(hop.remote);
            let mut response = response.clone();
            response.headers.replace_first(&HeaderName::Via, &via.to_string());
            self.transmits.push_back((response_hop(hop, &via), response.to_bytes()));
        }
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, hop: Hop, bytes: Bytes) {
        self.transmits.push_back((hop, bytes));
    }

    /// A message could not be sent over `hop`.
    ///
    /// # Cost
    /// Looks at every transaction.
    pub fn transport_failed(&mut self, now: Instant, hop: &Hop) {
        self.fail_where(now, |mine| mine.is_hit_by(hop));
    }

    /// A connection ended; transactions that were bound to it fail.
    ///
    /// An INVITE that already has a provisional response is left alone: its
    /// final response may come over another connection (§18.2.2).
    ///
    /// # Cost
    /// Looks at every transaction.
    pub fn flow_closed(&mut self, now: Instant, flow: FlowId) {
        self.fail_where(now, |mine| mine.flow == Some(flow));
    }

    /// Runs the timers due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((owner, timer)) = self.clock.take_due(now) {
            match owner {
                Owner::Client(key) => {
                    if let Some(client) = self.clients.get_mut(&key) {
                        self.clock.disarm(&mut client.armed, owner, timer);
                    }
                    self.step_client(now, key, client::Input::Timer(timer), None);
                }
                Owner::Server(key) => {
                    if let Some(server) = self.servers.get_mut(&key) {
                        self.clock.disarm(&mut server.armed, owner, timer);
                    }
                    self.step_server(now, key, server::Input::Timer(timer), None, None);
                }
            }
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<(Hop, Bytes)> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A fresh tag.
    pub fn new_tag(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }

    /// When [`TransactionLayer::handle_timeout`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.clock.next()
    }

    /// Drops by reason.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The configured timers, for [`crate::dialog`].
    #[must_use]
    pub const fn timers(&self) -> &Timers {
        &self.config.timers
    }

    /// Client and server transactions alive.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// Whether no transaction is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// The request a server transaction began with.
    #[must_use]
    pub fn server_request(&self, key: ServerKey) -> Option<&Request> {
        self.servers.get(&key).map(|server| &server.request)
    }

    fn receive_request(&mut self, now: Instant, hop: &Hop, mut request: Request) {
        let Ok(mut via) = request.top_via() else {
            self.counters.count(DropReason::Malformed);
            return;
        };
        let id = ServerId::of(&request, &via);
        via.mark_source(hop.remote);
        request.headers.replace_first(&HeaderName::Via, &via.to_string());
        let existing = self.server_index.get(&id).copied();
        match (request.method(), existing) {
            (Method::Ack, Some(key)) => {
                // Absorbed after a non-2xx, passed on after a 2xx; anywhere
                // else it means nothing.
                self.step_server(now, key, server::Input::Ack, None, Some((hop, &request)));
            }
            (Method::Ack, None) => self.events.push_back(Event::Ack { hop: hop.clone(), request }),
            (_, Some(key)) => {
                self.step_server(now, key, server::Input::RequestAgain, None, None);
            }
            (_, None) => self.new_request(now, hop, request, &via, id),
        }
    }

    fn new_request(&mut self, now: Instant, hop: &Hop, request: Request, via: &Via, id: ServerId) {
        let merge = MergeId::of(&request);
        if merge.as_ref().is_some_and(|merge| self.merges.contains_key(merge)) {
            self.counters.count(DropReason::Merged);
            self.answer(hop, &request, via, StatusCode::LOOP_DETECTED);
            return;
        }
        let source = hop.remote.ip();
        let held = self.sources.get(&source).copied().unwrap_or(0);
        let full = if self.servers.len() >= self.config.servers_max {
            Some(DropReason::ServersFull)
        } else if held >= self.config.servers_per_source_max {
            Some(DropReason::SourceFull)
        } else {
            None
        };
        if let Some(reason) = full {
            self.counters.count(reason);
            self.answer(hop, &request, via, StatusCode::SERVICE_UNAVAILABLE);
            return;
        }
        let cancelled =
            (*request.method() == Method::Cancel).then(|| self.server_index.get(&id.invite()).copied());
        if cancelled == Some(None) {
            // No state for it: a spray of CANCELs would fill the table with what nobody asked about.
            self.counters.count(DropReason::CancelUnmatched);
            self.answer(hop, &request, via, StatusCode::CALL_DOES_NOT_EXIST);
            return;
        }
        let key = ServerKey(self.take_key());
        let is_invite = *request.method() == Method::Invite;
        let to_tag = request.to_tag().unwrap_or_else(|| self.tag_of(request.call_id().as_bytes(), via));
        self.server_index.insert(id.clone(), key);
        if let Some(merge) = &merge {
            self.merges.insert(merge.clone(), key);
        }
        *self.sources.entry(source).or_insert(0) += 1;
        let mut server = Server {
            state: if is_invite {
                server::State::Invite(ist::State::Proceeding)
            } else {
                server::State::Other(nist::State::Trying)
            },
            id,
            merge,
            request: request.clone(),
            hop: response_hop(hop, via),
            source,
            last_response: None,
            to_tag,
            armed: Armed::default(),
            interval: self.config.timers.t1,
        };
        let start = if is_invite { ist::start() } else { nist::start() };
        for action in start {
            if let Action::Start(timer) = action {
                let after = duration(&self.config.timers, *timer, is_invite);
                self.clock.arm(&mut server.armed, Owner::Server(key), *timer, now + after);
            }
        }
        self.servers.insert(key, server);
        if is_invite && self.config.timers.trying_delay.is_zero() {
            self.handle_timeout(now);
        }
        match cancelled.flatten() {
            Some(invite) => self.receive_cancel(now, key, invite, request),
            None => self.events.push_back(Event::Request { key, hop: hop.clone(), request }),
        }
    }

    /// The CANCEL of an INVITE is answered here: 200 with the To tag of the INVITE's responses (§9.2).
    fn receive_cancel(&mut self, now: Instant, key: ServerKey, invite: ServerKey, request: Request) {
        let Some(server) = self.servers.get(&invite) else { return };
        let pending = server.state == server::State::Invite(ist::State::Proceeding);
        let response = Response::to(&request, StatusCode::OK).with_to_tag(&server.to_tag);
        self.respond(now, key, response);
        if pending {
            self.events.push_back(Event::Cancel { key: invite, request });
        }
    }

    fn receive_response(&mut self, now: Instant, hop: &Hop, response: Response) {
        let (Ok(via), Ok(cseq)) = (response.top_via(), response.cseq()) else {
            self.counters.count(DropReason::Malformed);
            return;
        };
        if response.headers.values(&HeaderName::Via).map_or(0, |v| v.len()) != 1 {
            self.counters.count(DropReason::ResponseMisrouted);
            return;
        }
        let branch = via.branch().unwrap_or_default().to_owned();
        let Some(&key) = self.client_index.get(&(branch, cseq.method)) else {
            self.events.push_back(Event::StrayResponse { hop: hop.clone(), response });
            return;
        };
        let status = response.status();
        let input = if status.is_provisional() {
            client::Input::Provisional
        } else if status.is_success() {
            client::Input::Success
        } else {
            client::Input::Failure
        };
        let waiting = match input {
            client::Input::Provisional => self.clients.get_mut(&key).and_then(|client| client.cancel.take()),
            _ => None,
        };
        self.step_client(now, key, input, Some(response));
        if let Some(cancel) = waiting {
            self.send_cancel(now, key, cancel);
        }
    }

    fn send_cancel(&mut self, now: Instant, key: ClientKey, cancel: Request) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let (hop, branch) = (client.hop.clone(), client.branch.clone());
        let after = self.config.timers.t1_64();
        self.clock.arm(&mut client.armed, Owner::Client(key), Timer::Cancel, now + after);
        self.start_client(now, cancel, hop, branch, true);
    }

    fn start_client(
        &mut self,
        now: Instant,
        request: Request,
        hop: Hop,
        branch: String,
        silent: bool,
    ) -> ClientKey {
        let key = ClientKey(self.take_key());
        if self.clients.len() >= self.config.clients_max {
            self.counters.count(DropReason::ClientsFull);
            if !silent {
                self.events.push_back(Event::TransportError { key });
            }
            return key;
        }
        let reliable = hop.transport.is_reliable();
        let is_invite = *request.method() == Method::Invite;
        let bytes = request.to_bytes();
        self.transmits.push_back((hop.clone(), bytes.clone()));
        self.client_index.insert((branch.clone(), request.method().clone()), key);
        let mut client = Client {
            state: if is_invite {
                client::State::Invite(ict::State::Calling)
            } else {
                client::State::Other(nict::State::Trying)
            },
            request,
            bytes,
            hop,
            branch,
            ack: None,
            armed: Armed::default(),
            interval: self.config.timers.t1,
            cancel: None,
            cancelled: false,
            silent,
        };
        let start = if is_invite { ict::start(reliable) } else { nict::start(reliable) };
        for action in start {
            if let Action::Start(timer) = action {
                let after = duration(&self.config.timers, *timer, is_invite);
                self.clock.arm(&mut client.armed, Owner::Client(key), *timer, now + after);
            }
        }
        self.clients.insert(key, client);
        key
    }

    fn step_client(
        &mut self,
        now: Instant,
        key: ClientKey,
        input: client::Input,
        mut response: Option<Response>,
    ) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let Some((state, actions)) = client.state.step(input, client.hop.transport.is_reliable()) else {
            return;
        };
        client.state = state;
        let owner = Owner::Client(key);
        let is_invite = matches!(state, client::State::Invite(_));
        for action in actions {
            let event = match action {
                Action::ResendRequest => {
                    self.transmits.push_back((client.hop.clone(), client.bytes.clone()));
                    None
                }
                Action::SendAck => {
                    let ack = match (&client.ack, &response) {
                        (Some(ack), _) => Some(ack.clone()),
                        (None, Some(response)) => Some(client.ack_for(response)),
                        (None, None) => None,
                    };
                    if let Some(ack) = ack {
                        client.ack = Some(ack.clone());
                        self.transmits.push_back((client.hop.clone(), ack));
                    }
                    None
                }
                Action::PassResponse => response.take().map(|response| Event::Response { key, response }),
                Action::InformTimeout => Some(Event::Timeout { key }),
                Action::InformTransport => Some(Event::TransportError { key }),
                action => {
                    let interval = &mut client.interval;
                    run_timer(
                        &self.config.timers,
                        &mut self.clock,
                        &mut client.armed,
                        owner,
                        interval,
                        now,
                        *action,
                        is_invite,
                    );
                    None
                }
            };
            if let Some(event) = event
                && !client.silent
            {
                self.events.push_back(event);
            }
        }
        if state.is_terminated() {
            self.remove_client(key);
        }
    }

    /// Whether the machine had an answer to the input.
    fn step_server(
        &mut self,
        now: Instant,
        key: ServerKey,
        input: server::Input,
        response: Option<Bytes>,
        ack: Option<(&Hop, &Request)>,
    ) -> bool {
        let Some(server) = self.servers.get_mut(&key) else {
            return false;
        };
        let Some((state, actions)) = server.state.step(input, server.hop.transport.is_reliable()) else {
            return false;
        };
        server.state = state;
        let owner = Owner::Server(key);
        let is_invite = matches!(state, server::State::Invite(_));
        for action in actions {
            match action {
                Action::SendResponse => {
                    if let Some(bytes) = &response {
                        server.last_response = Some(bytes.clone());
                        self.transmits.push_back((server.hop.clone(), bytes.clone()));
                    }
                }
                Action::ResendResponse => {
                    if let Some(bytes) = &server.last_response {
                        self.transmits.push_back((server.hop.clone(), bytes.clone()));
                    }
                }
                Action::SendTrying => {
                    let bytes = Response::to(&server.request, StatusCode::TRYING).to_bytes();
                    server.last_response = Some(bytes.clone());
                    self.transmits.push_back((server.hop.clone(), bytes));
                }
                Action::PassAck => {
                    if let Some((hop, request)) = ack {
                        self.events.push_back(Event::Ack { hop: hop.clone(), request: request.clone() });
                    }
                }
                Action::InformNoAck => self.events.push_back(Event::ServerTimeout { key }),
                Action::InformTransport => {
                    self.events.push_back(Event::ServerTransportError { key });
                }
                action => {
                    let interval = &mut server.interval;
                    run_timer(
                        &self.config.timers,
                        &mut self.clock,
                        &mut server.armed,
                        owner,
                        interval,
                        now,
                        *action,
                        is_invite,
                    );
                }
            }
        }
        if state.is_terminated() {
            self.remove_server(key);
        }
        true
    }

    fn fail_where(&mut self, now: Instant, hit: impl Fn(&Hop) -> bool) {
        let clients: Vec<_> =
            self.clients.iter().filter(|(_, client)| hit(&client.hop)).map(|(key, _)| *key).collect();
        for key in clients {
            self.step_client(now, key, client::Input::TransportError, None);
        }
        let servers: Vec<_> =
            self.servers.iter().filter(|(_, server)| hit(&server.hop)).map(|(key, _)| *key).collect();
        for key in servers {
            self.step_server(now, key, server::Input::TransportError, None, None);
        }
    }

    fn remove_client(&mut self, key: ClientKey) {
        if let Some(mut client) = self.clients.remove(&key) {
            self.clock.disarm_all(&mut client.armed, Owner::Client(key));
            self.client_index.remove(&(client.branch, client.request.method().clone()));
        }
    }

    fn remove_server(&mut self, key: ServerKey) {
        let Some(mut server) = self.servers.remove(&key) else {
            return;
        };
        self.clock.disarm_all(&mut server.armed, Owner::Server(key));
        self.server_index.remove(&server.id);
        if let Some(merge) = &server.merge {
            self.merges.remove(merge);
        }
        if let Some(held) = self.sources.get_mut(&server.source) {
            *held -= 1;
            if *held == 0 {
                self.sources.remove(&server.source);
            }
        }
    }

    /// Answers without a transaction.
    fn answer(&mut self, hop: &Hop, request: &Request, via: &Via, status: StatusCode) {
        let tag = self.tag_of(request.call_id().as_bytes(), via);
        let mut response = Response::to(request, status).with_to_tag(&tag);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers.push_typed(&RetryAfter::seconds(self.config.retry_after_s));
        }
        self.transmits.push_back((response_hop(hop, via), response.to_bytes()));
    }

    fn add_via(&mut self, request: &mut Request, hop: &Hop, branch: &str) {
        let sent_by = self.config.sent_by(hop.transport).clone();
        let via = Via::new(hop.transport.via(), sent_by, branch);
        request.headers.push_front(Via::NAME, &via.to_string());
        if !request.headers.has(&HeaderName::MaxForwards) {
            request.headers.push(HeaderName::MaxForwards, "70");
        }
    }

    fn new_branch(&mut self) -> String {
        format!("{MAGIC_COOKIE}{:016x}", self.rng.next_u64())
    }

    /// A tag that is the same for every retransmission of a request.
    fn tag_of(&self, call_id: &[u8], via: &Via) -> String {
        let mut hash = Sha256::new();
        hash.update(self.tag_secret);
        hash.update(call_id);
        hash.update(via.branch().unwrap_or_default().as_bytes());
        let digest = hash.finalize();
        digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
    }

    fn take_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }
}

/// Where a response goes: the connection of the request, or what Via says (§18.2.2, RFC 3581).
fn response_hop(hop: &Hop, via: &Via) -> Hop {
    let mut hop = hop.clone();
    if !hop.transport.is_reliable()
        && let Some(target) = via.response_target(Transport::Udp.default_port())
    {
        hop.remote = target;
    }
    hop
}

#[cfg(test)]
mod tests;
