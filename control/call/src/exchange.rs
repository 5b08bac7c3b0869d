//! The control half of Tollgate as one object: every call, every phone, one SIP endpoint.

use std::collections::BTreeMap;
use std::time::Instant;

use sip::auth::{DigestConfig, DigestServer};
use sip::registrar::{Registrar, RegistrarConfig};
use sip::{
    Event as SipEvent, FlowId, HeaderName, Hop, Message, Method, Request, Response, ServerKey, StatusCode,
};

use crate::call::Call;
use crate::core::{ALLOW, CallKey, Core, MediaWait, Purpose, Timer};
use crate::flood::FloodGuard;
use crate::leg::SDP;
use crate::{
    Counters, EngineId, ExchangeConfig, Input, JournalEntry, Output, Progress, Side, StoreReply, WallTime,
};

/// Every call, every phone, one SIP endpoint: inputs in, outputs out, no clock, socket or thread.
///
/// One input, then outputs to `None`, then the next. `wall_ms` serves records and nonces only; durations are
/// of `now`.
pub struct Exchange {
    pub(crate) core: Core,
    pub(crate) digest: DigestServer,
    pub(crate) registrar: Registrar,
    pub(crate) registrations_swept: Instant,
    flood: FloodGuard,
    pub(crate) calls: BTreeMap<CallKey, Call>,
    pub(crate) next_key: CallKey,
    pub(crate) draining: bool,
    /// The journal was read: before that, a call that is unknown here may be one of the last process.
    pub(crate) restored: bool,
}

impl Exchange {
    /// An exchange without calls, phones or engines. `seed` must be unpredictable: tags, branches and call
    /// ids come from it.
    pub fn new(config: ExchangeConfig, now: Instant, seed: u64) -> Self {
        let digest = DigestServer::new(DigestConfig::new(&config.realm), config.nonce_key);
        let longest = u32::try_from(config.times.registration_max.as_secs()).unwrap_or(u32::MAX);
        let registrar = Registrar::new(RegistrarConfig {
            expires_max_s: longest,
            expires_default_s: longest,
            ..RegistrarConfig::default()
        });
        let limits = &config.limits;
        let flood = FloodGuard::new(limits.requests_per_second, limits.requests_burst, limits.sources_max);
        Self {
            core: Core::new(config, now, seed),
            digest,
            registrar,
            registrations_swept: now,
            flood,
            calls: BTreeMap::new(),
            next_key: 1,
            draining: false,
            restored: false,
        }
    }

    /// Takes in one thing that happened.
    pub fn handle_input(&mut self, now: Instant, wall_ms: u64, input: Input) {
        self.core.now = now.max(self.core.now);
        self.core.wall = WallTime(wall_ms);
        match input {
            Input::Sip { hop, message } => self.on_sip(&hop, message),
            Input::FlowClosed(flow) => self.on_flow_closed(flow),
            Input::SendFailed(hop) => self.core.sip.transport_failed(self.core.now, &hop),
            Input::Store { id, reply } => self.on_store(id, reply),
            Input::Media { id, reply } => self.on_media(id, reply.map_err(|error| error.to_string())),
            Input::EngineEvent { engine, event } => self.on_engine_event(engine, event),
            Input::EngineUp { engine, instance } => self.on_engine_up(engine, instance),
            Input::EngineDown { engine } => self.on_engine_down(engine),
            Input::Directory(directory) => self.core.directory = directory,
            Input::Restore(entries) => self.on_restore(entries),
            Input::Tick => self.on_tick(),
            Input::Drain => self.draining = true,
        }
        self.drain_sip();
    }

    /// The next thing to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.core.sip.next_deadline(), self.core.deadlines.next()].into_iter().flatten().min()
    }

    /// Refusals and losses by reason.
    pub fn counters(&self) -> &Counters {
        &self.core.counters
    }

    /// Drops of the SIP layer by reason.
    pub fn sip_counters(&self) -> &sip::Counters {
        self.core.sip.counters()
    }

    /// Bytes that were no SIP message: counted, and answered if they deserve it.
    pub fn handle_refusal(&mut self, hop: &Hop, refusal: sip::message::Refusal) {
        self.core.sip.receive_refusal(hop, refusal);
        self.drain_sip();
    }

    /// Calls that are not settled, or owe somebody a BYE.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// SIP transactions that are alive, as client and as server.
    pub fn transactions(&self) -> (usize, usize) {
        self.core.sip.len()
    }

    fn on_sip(&mut self, hop: &Hop, message: Message) {
        if let Message::Request(request) = &message
            && self.is_new(request)
            && !self.flood.admit(self.core.now, hop.remote.ip())
        {
            self.core.counters.flooded += 1;
            let mut response = self.core.response(request, StatusCode::SERVICE_UNAVAILABLE);
            response.headers.push_typed(&self.core.retry_after());
            return self.core.sip.send_stateless(hop, &response);
        }
        self.core.sip.receive(self.core.now, hop, message);
    }

    /// Asks for something new: not inside a dialog of ours, and not the end of an INVITE. A To tag alone proves
    /// nothing.
    fn is_new(&self, request: &Request) -> bool {
        !matches!(request.method(), Method::Ack | Method::Cancel) && self.call_of(request).is_none()
    }

    /// Acts on what the SIP layer made of the input, and collects what it wants sent.
    fn drain_sip(&mut self) {
        loop {
            while let Some((hop, bytes)) = self.core.sip.poll_transmit() {
                self.core.outputs.push_back(Output::Transmit { hop, bytes });
            }
            let Some(event) = self.core.sip.poll_event() else { return };
            self.on_sip_event(event);
        }
    }

    fn on_sip_event(&mut self, event: SipEvent) {
        match event {
            SipEvent::Request { key, hop, request } => self.on_request(key, &hop, request),
            SipEvent::Cancel { key, request } => {
                let call = self.core.servers.get(&key).copied().or_else(|| self.call_of(&request));
                if let Some(call) = call {
                    self.with(call, |call, core| call.on_cancel(core, key, &request));
                }
            }
            SipEvent::Ack { hop, request } => {
                let Some(call) = self.call_of(&request) else { return };
                self.with(call, |call, core| {
                    if let Some(index) = call.leg_of(&request).filter(|index| call.is_from(*index, &request))
                    {
                        call.seen(core, index, &hop);
                        call.on_ack(core, index, &request);
                    }
                });
            }
            SipEvent::Response { key, response } => self.on_response(key, response),
            SipEvent::StrayResponse { response, .. } => self.on_stray_response(response),
            SipEvent::Timeout { key } => self.on_client_lost(key, false),
            SipEvent::TransportError { key } => self.on_client_lost(key, true),
            // The peer did not get our final response, or did not say so: its INVITE is over either way.
            SipEvent::ServerTimeout { .. } | SipEvent::ServerTransportError { .. } => {}
        }
    }

    fn on_response(&mut self, key: sip::ClientKey, response: Response) {
        let Some((call, leg, purpose)) = self.core.clients.get(&key).copied() else {
            return self.on_stray_response(response);
        };
        let status = response.status();
        if status.is_final() {
            self.core.clients.remove(&key);
        }
        self.with(call, |call, core| match purpose {
            Purpose::Invite => call.on_invite_response(core, leg, response),
            Purpose::Bye if status.is_final() => {
                if !call.authenticate_bye(core, leg, &response) {
                    call.on_bye_done(core, leg, false);
                }
            }
            Purpose::Relay => call.on_relay_response(core, key, response),
            Purpose::StrayCancel if status.is_final() => call.on_stray_cancel(core, leg, Some(status)),
            Purpose::Bye | Purpose::StrayCancel => {}
        });
    }

    fn on_stray_response(&mut self, response: Response) {
        let tag = response.from_tag().unwrap_or_default();
        let dialog = (response.call_id().into_owned(), tag);
        match self.core.dialogs.get(&dialog).copied() {
            Some(call) => self.with(call, |call, core| call.on_stray(core, response)),
            None => self.core.counters.stray_responses += 1,
        }
    }

    fn on_client_lost(&mut self, key: sip::ClientKey, transport: bool) {
        let Some((call, leg, purpose)) = self.core.clients.remove(&key) else { return };
        self.with(call, |call, core| match purpose {
            Purpose::Invite if transport => call.on_invite_lost(core, leg, 0, "transport failed"),
            Purpose::Invite => call.on_invite_lost(core, leg, 408, "no answer"),
            Purpose::Bye => call.on_bye_done(core, leg, true),
            Purpose::Relay => call.on_relay_lost(core, key),
            Purpose::StrayCancel => call.on_stray_cancel(core, leg, None),
        });
    }

    fn on_request(&mut self, key: ServerKey, hop: &Hop, request: Request) {
        if request.to_tag().is_some() {
            return match self.call_of(&request) {
                Some(call) => self.with(call, |call, core| call.on_request(core, key, hop, request)),
                None => {
                    self.core.counters.dialog_unknown += 1;
                    self.core.refuse(key, &request, StatusCode::CALL_DOES_NOT_EXIST);
                }
            };
        }
        match request.method() {
            Method::Invite => self.on_invite(key, hop, request),
            Method::Register => self.on_register(key, hop, &request),
            Method::Options => {
                let response = self
                    .core
                    .response(&request, StatusCode::OK)
                    .with_header(HeaderName::Allow, ALLOW)
                    .with_header(HeaderName::Accept, SDP)
                    .with_header(HeaderName::Supported, "timer");
                self.core.respond(key, response);
            }
            Method::Bye | Method::Info | Method::Update | Method::Prack => {
                self.core.counters.dialog_unknown += 1;
                self.core.refuse(key, &request, StatusCode::CALL_DOES_NOT_EXIST);
            }
            method => {
                let status = match method {
                    Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
                    _ => StatusCode::METHOD_NOT_ALLOWED,
                };
                self.core.counters.not_understood += 1;
                let response = self.core.response(&request, status).with_header(HeaderName::Allow, ALLOW);
                self.core.respond(key, response);
            }
        }
    }

    fn on_store(&mut self, id: u64, reply: StoreReply) {
        match self.core.store_waits.remove(&id) {
            Some(call) => self.with(call, |call, core| call.on_store(core, id, reply)),
            None => self.core.counters.late_replies += 1,
        }
    }

    fn on_media(&mut self, id: u64, reply: Result<ng::Reply, String>) {
        match self.core.media_waits.remove(&id) {
            Some(MediaWait::Call(call)) => self.with(call, |call, core| call.on_media(core, id, reply)),
            Some(MediaWait::Sweep(engine)) => {
                if let Ok(ng::Reply::List(list)) = reply {
                    self.sweep(engine, list);
                }
            }
            Some(MediaWait::Nobody) => {}
            None => self.core.counters.late_replies += 1,
        }
    }

    fn on_restore(&mut self, entries: Vec<JournalEntry>) {
        for entry in entries {
            let key = self.next_key;
            self.next_key += 1;
            let id = entry.call.clone();
            match Call::restore(&mut self.core, key, entry) {
                Some(call) => self.keep(call),
                None => self.core.progress(Progress::StoreFailed {
                    call: id,
                    reason: "the journal row cannot be read".to_owned(),
                }),
            }
        }
        self.restored = true;
        for engine in 0..self.core.config.engines {
            self.ask_for_calls(EngineId(engine));
        }
    }

    fn on_flow_closed(&mut self, flow: FlowId) {
        self.registrar.flow_closed(flow);
        self.core.sip.flow_closed(self.core.now, flow);
        // Most connections that end carry no call, and strangers may end many.
        let of_flow = |call: &Call| call.legs.iter().any(|leg| leg.hop.flow == Some(flow));
        let keys: Vec<_> = self.calls.iter().filter(|(_, call)| of_flow(call)).map(|(key, _)| *key).collect();
        for key in keys {
            self.with(key, |call, core| call.on_flow_closed(core, flow));
        }
    }

    fn on_tick(&mut self) {
        self.core.sip.handle_timeout(self.core.now);
        while let Some((key, timer)) = self.core.deadlines.pop(self.core.now) {
            self.with(key, |call, core| call.on_timer(core, timer));
        }
    }

    /// The call whose dialog a request names.
    fn call_of(&self, request: &Request) -> Option<CallKey> {
        let dialog = (request.call_id().into_owned(), request.to_tag()?);
        self.core.dialogs.get(&dialog).copied()
    }

    pub(crate) fn with(&mut self, key: CallKey, act: impl FnOnce(&mut Call, &mut Core)) {
        let Some(mut call) = self.calls.remove(&key) else { return };
        act(&mut call, &mut self.core);
        self.keep(call);
    }

    /// Puts a call back, or lets it go with everything that points to it.
    pub(crate) fn keep(&mut self, mut call: Call) {
        if !call.is_done() {
            self.core.ids.insert(call.id.as_str().to_owned(), call.key);
            self.calls.insert(call.key, call);
            return;
        }
        call.uncount(&mut self.core);
        self.core.ids.remove(call.id.as_str());
        for dialog in call.dialogs.drain(..) {
            self.core.dialogs.remove(&dialog);
        }
        if let Some(server) = call.first_server {
            self.core.servers.remove(&server);
        }
        for user in call.legs.iter().filter_map(|leg| leg.user.as_ref()) {
            if let Some(waiting) = self.core.orphans.get_mut(user) {
                waiting.remove(&call.key);
                if waiting.is_empty() {
                    self.core.orphans.remove(user);
                }
            }
        }
        for timer in call.timers() {
            self.core.disarm(call.key, timer);
        }
    }
}

impl Call {
    /// A deadline of this call came.
    fn on_timer(&mut self, core: &mut Core, timer: Timer) {
        match timer {
            Timer::Setup => self.on_setup_timeout(core),
            Timer::Ringing => self.on_ringing_timeout(core),
            Timer::Credit if self.quote.is_some() => {
                self.release(core, 402, 31, "credit used up", Side::Exchange);
            }
            Timer::Credit => self.release(core, 200, 31, "longest call", Side::Exchange),
            Timer::Store => {
                if let Some((id, _)) = self.store_wait {
                    self.on_store(core, id, StoreReply::Failed { reason: "no answer".to_owned() });
                }
            }
            Timer::Media => {
                if let Some((id, _)) = self.media_wait {
                    self.on_media(core, id, Err(crate::setup::NO_ANSWER.to_owned()));
                }
            }
            Timer::Settle => self.settle(core),
            Timer::Repeat(index) => self.on_repeat(core, index),
            Timer::Stray(index) => self.on_stray_over(core, index),
            Timer::Engine => self.on_engine_lost(core),
            Timer::Linger => self.abandon(),
        }
    }
}
