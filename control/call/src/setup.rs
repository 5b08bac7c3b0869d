//! From the phone's INVITE to the INVITE to somebody: hold, media, journal, dial, and the next try.

use std::time::Duration;

use ledger::Amount;
use sip::message::{CSeq, Host, HostPort, MaxForwards, NameAddr};
use sip::{HeaderName, Headers, Hop, Method, Request, Response, StatusCode, Transport, Uri};

use crate::call::{Call, Job, StoreStep, Target, millis};
use crate::core::{ALLOW, Core, Purpose, Timer, copy_session_headers};
use crate::leg::{Leg, SDP, sdp_of};
use crate::media::{Description, is_engine_full, is_in_clear};
use crate::state::{Event, State};
use crate::{
    Attempt, CdrRoute, MediaRecord, Progress, Side, Step, StoreReply, StoreRequest, Trunk, TrunkMedia,
    TrunkTransport,
};

impl Call {
    /// Begins: asks for the hold, or dials a phone for free.
    pub(crate) fn begin(&mut self, core: &mut Core, max_seconds: u32) {
        core.counters.calls += 1;
        if let Some(account) = &self.account {
            core.progress(Progress::Setup {
                call: self.id.clone(),
                account: account.clone(),
                callee: self.callee.clone(),
            });
        }
        let (Some(quote), Some(account)) = (self.quote.clone(), self.account.clone()) else {
            self.go(Event::Offer);
            return self.dial_next(core);
        };
        self.go(Event::Authorize);
        let times = &core.config.times;
        // Longer than any call on this hold can last, so that it never lapses under a live one.
        let life = core.ringing_max() + Duration::from_secs(u64::from(max_seconds));
        let grace = Duration::from_secs(u64::from(self.grace_seconds)) + times.recovery;
        let request = StoreRequest::Authorize {
            call: self.id.clone(),
            account,
            quote: Box::new(quote),
            max_seconds,
            expires_at_ms: core.wall.0.saturating_add(millis(life + grace)),
            journal: Box::new(self.entry(Step::Authorized)),
        };
        let id = core.store(self.key, request);
        self.await_store(core, id, StoreStep::Authorize);
    }

    pub(crate) fn on_authorized(&mut self, core: &mut Core, reply: StoreReply) {
        if let StoreReply::Authorized { held, seconds } = reply {
            (self.held, self.held_seconds) = (held, seconds);
        }
        if self.state != State::Authorizing {
            return;
        }
        match reply {
            StoreReply::Authorized { held, seconds } => {
                core.progress(Progress::Held { call: self.id.clone(), held, seconds });
                self.go(Event::Offer);
                self.dial_next(core);
            }
            StoreReply::Refused { available } => self.refuse_credit(core, available),
            StoreReply::Done | StoreReply::Failed { .. } => {
                self.fail(core, 503, 41, "store unavailable", Side::Exchange);
            }
        }
    }

    fn refuse_credit(&mut self, core: &mut Core, _available: Amount) {
        self.route = CdrRoute::Refused;
        self.refuse(core, StatusCode::PAYMENT_REQUIRED, 21, "insufficient credit");
    }

    /// Refuses before anybody was dialled; the caller hears it once the record is durable.
    pub(crate) fn refuse(&mut self, core: &mut Core, status: StatusCode, q850: u8, cause: &str) {
        let leg = &self.legs[0];
        let response = Response::to(&leg.invite, status)
            .with_to_tag(&leg.local_tag)
            .with_header(HeaderName::Reason, &reason(q850, cause));
        self.deferred = Some(response);
        self.fail(core, status.code(), q850, cause, Side::Exchange);
    }

    /// Dials the next target, or gives up with the last one's status.
    pub(crate) fn dial_next(&mut self, core: &mut Core) {
        loop {
            let Some(target) = self.targets.pop_front() else {
                let (status, q850) = self.last_failure();
                return self.fail(core, status, q850, "no route left", Side::Exchange);
            };
            if self.dial(core, target) {
                return;
            }
        }
    }

    /// What the caller hears when the last target failed.
    fn last_failure(&self) -> (u16, u8) {
        match self.attempts.last().map(|attempt| attempt.sip_status) {
            Some(408) => (408, 102),
            Some(_) => (503, 41),
            None if self.route == CdrRoute::Local => (480, 20),
            None => (503, 34),
        }
    }

    /// Prepares a leg to `target`; false if it cannot be dialled now.
    fn dial(&mut self, core: &mut Core, target: Target) -> bool {
        let tag = core.sip.new_tag();
        let call_id = core.new_call_id();
        let directory = core.directory.clone();
        let caller = self.caller.clone();
        let leg = match &target {
            Target::Trunk(id) => {
                // The directory may have changed since the targets were chosen.
                let found = directory.trunk(id).filter(|trunk| trunk.enabled && self.may_take(trunk));
                let Some(trunk) = found else { return false };
                let used = core.trunk_calls.get(id).copied().unwrap_or(0);
                if used >= trunk.max_calls {
                    return false;
                }
                let hop = trunk_hop(trunk);
                let number = format!("{}{}", trunk.number_prefix, self.callee);
                let mut invite = self.invite(core, trunk_uri(trunk, &number), &hop, &call_id, &tag, &caller);
                let host = core.local(hop.transport).host;
                let identity = NameAddr::new(Uri::sip(Some(&caller), HostPort::new(host, None)));
                invite.headers.push(HeaderName::PAssertedIdentity, &identity.to_string());
                let mut leg = Leg::new(Side::Callee, hop, invite, tag);
                leg.trunk = Some(id.clone());
                leg.buy = trunk.buy_quote(core, &self.callee);
                leg.on_trunk = true;
                *core.trunk_calls.entry(id.clone()).or_insert(0) += 1;
                leg
            }
            Target::Phone { user, uri, hop } => {
                let invite = self.invite(core, uri.as_ref().clone(), hop, &call_id, &tag, &caller);
                let mut leg = Leg::new(Side::Callee, hop.clone(), invite, tag);
                leg.user = Some(user.clone());
                leg
            }
        };
        self.register_dialog(core, &leg.call_id, &leg.local_tag);
        self.legs.push(leg);
        if self.legs.len() > 2 {
            // RFC 3261 §12.1: another callee is another dialog for the caller.
            let fresh = core.sip.new_tag();
            let call_id = self.legs[0].call_id.clone();
            self.register_dialog(core, &call_id, &fresh);
            self.legs[0].local_tag = fresh;
        }
        self.answer = None;
        self.engines_tried.clear();
        self.open_media(core);
        true
    }

    /// Takes an engine and offers it the caller's description.
    fn open_media(&mut self, core: &mut Core) {
        let Some(engine) = core.engines.choose(&self.engines_tried) else {
            return self.fail(core, 503, 34, "no media engine", Side::Exchange);
        };
        let instance = core.engines.instance(engine).map(str::to_owned);
        self.engines_tried.push(engine);
        self.media = Some(MediaRecord { engine, instance });
        self.media_name = format!("{}.{}", self.id, self.legs.len() - 1);
        let invite = &self.legs[0].invite;
        match sdp_of(&invite.headers, invite.body()) {
            Some(sdp) => {
                let description = Description {
                    from: Side::Caller,
                    sdp: sdp.to_vec(),
                    is_answer: false,
                    is_first: true,
                    reader: Some(self.reader(core, self.legs.len() - 1, &sdp)),
                    is_early: false,
                };
                self.ask(core, Job::Offer(description));
            }
            None => self.record_attempt(core, None),
        }
    }

    pub(crate) fn on_offered(&mut self, core: &mut Core, sdp: Vec<u8>) {
        if self.state == State::Offering {
            self.record_attempt(core, Some(sdp));
        }
    }

    pub(crate) fn on_offer_failed(&mut self, core: &mut Core, reason: &str) {
        if self.state != State::Offering {
            return;
        }
        let gone = reason == NO_ANSWER;
        if gone || is_engine_full(reason) {
            if core.engines.has_other(&self.engines_tried) {
                // It may have opened ports all the same, and only its answer was lost.
                self.close_media(core);
                return self.open_media(core);
            }
            return self.fail(core, 503, 34, "no media engine", Side::Exchange);
        }
        self.fail(core, StatusCode::NOT_ACCEPTABLE_HERE.code(), 88, reason, Side::Exchange);
    }

    /// Whether a trunk serves this call. Whoever dials a `sips` address wants every hop encrypted (RFC 3261 §26.2.2), and here
    /// that is the voice too.
    pub(crate) fn may_take(&self, trunk: &Trunk) -> bool {
        let demanded = self.legs.first().is_some_and(|leg| leg.invite.uri().is_secure());
        trunk.is_served() && (trunk.media == TrunkMedia::Srtp || !demanded)
    }

    /// Whether the callee's media has to be encrypted.
    pub(crate) fn is_encrypted(&self, core: &Core) -> bool {
        let trunk = self.legs.last().and_then(|leg| core.directory.trunk(leg.trunk.as_ref()?));
        trunk.is_some_and(|trunk| trunk.media == TrunkMedia::Srtp)
    }

    /// Whether a description would take media in clear over a trunk that is encrypted.
    pub(crate) fn is_downgrade(&self, core: &Core, description: &Description) -> bool {
        description.from == Side::Callee && is_in_clear(&description.sdp) && self.is_encrypted(core)
    }

    /// Makes the attempt durable, with the very INVITE that will go out.
    fn record_attempt(&mut self, core: &mut Core, sdp: Option<Vec<u8>>) {
        self.offer = sdp;
        let offer = self.offer.clone();
        let Some(leg) = self.callee() else { return };
        if let Some(sdp) = offer {
            leg.invite.set_body(SDP, sdp.into());
        }
        let hop = leg.hop.clone();
        core.sip.prepare(&mut leg.invite, &hop);
        self.go(Event::Record);
        self.journal(core, Step::Dialling, Some(StoreStep::Dial));
    }

    pub(crate) fn on_dial_recorded(&mut self, core: &mut Core, reply: &StoreReply) {
        if self.state != State::Recording {
            return;
        }
        if !matches!(reply, StoreReply::Done) {
            return self.fail(core, 503, 41, "store unavailable", Side::Exchange);
        }
        self.go(Event::Dial);
        let (key, moment) = (self.key, core.moment());
        let Some(index) = self.callee_index() else { return };
        let leg = &mut self.legs[index];
        let client = core.send_prepared(key, index, Purpose::Invite, leg.invite.clone(), leg.hop.clone());
        leg.client = Some(client);
        leg.sent_at = Some(moment);
        let trunk = leg.trunk.clone();
        let setup =
            trunk.as_ref().and_then(|id| core.directory.trunk(id)).map_or(core.config.times.setup, |t| {
                Duration::from_secs(u64::from(t.setup_timeout_seconds.max(1)))
            });
        core.arm(key, Timer::Setup, setup);
        core.progress(Progress::Dialling { call: self.id.clone(), trunk });
    }

    /// The same INVITE once more, with credentials: journaled anew, for its branch and number changed.
    pub(crate) fn dial_authenticated(&mut self, core: &mut Core) {
        let Some(leg) = self.callee() else { return };
        leg.authenticated = true;
        leg.client = None;
        let number = leg.invite.cseq().map_or(1, |cseq| cseq.number) + 1;
        leg.invite.headers.remove(&HeaderName::Via);
        leg.invite.headers.set_typed(&CSeq { number, method: Method::Invite });
        crate::auth::authorize(core, &mut leg.digest, &mut leg.invite);
        let hop = leg.hop.clone();
        core.sip.prepare(&mut leg.invite, &hop);
        core.disarm(self.key, Timer::Setup);
        self.go(Event::Again);
        self.go(Event::Record);
        self.journal(core, Step::Dialling, Some(StoreStep::Dial));
    }

    /// The current attempt failed with `status` (0: transport): the next one, if the cause allows it.
    pub(crate) fn attempt_failed(&mut self, core: &mut Core, status: u16, cause: &str) {
        self.count_attempt(core, status);
        let rang = self.legs.last().is_some_and(|leg| leg.rang);
        let retry = matches!(status, 0 | 401 | 407 | 500 | 502 | 503 | 504) || (status == 408 && !rang);
        core.disarm(self.key, Timer::Setup);
        core.disarm(self.key, Timer::Ringing);
        let allowed = self.attempts.len() < core.config.limits.attempts_max;
        if retry && allowed && !self.targets.is_empty() {
            self.close_media(core);
            self.go(Event::Again);
            return self.dial_next(core);
        }
        let heard = match status {
            0 if self.route == CdrRoute::Local => 480,
            0 | 401 | 407 => 503,
            300..=399 => 480,
            status => status,
        };
        self.fail(core, heard, q850_of(status), cause, Side::Callee);
    }

    /// Remembers how the current attempt went and frees its place on the trunk.
    pub(crate) fn count_attempt(&mut self, core: &mut Core, status: u16) {
        let now = core.now;
        let Some(leg) = self.callee() else { return };
        let Some(trunk) = leg.trunk.clone() else {
            return;
        };
        let Some(sent) = leg.sent_at.take() else { return };
        let duration_ms = millis(now.saturating_duration_since(sent.at));
        if status != 200 && std::mem::take(&mut leg.on_trunk) {
            release_trunk(core, &trunk);
        }
        let cost = leg.buy.as_ref().and_then(|buy| crate::charge::attempt(buy, sent.wall));
        self.attempts.push(Attempt { trunk, sip_status: status, at: sent.wall, duration_ms, cost });
    }

    /// Ends the media of an attempt that failed; nobody waits for its counters.
    fn close_media(&mut self, core: &mut Core) {
        self.media_jobs.clear();
        if let Some((_, _)) = self.media_wait.take() {
            core.disarm(self.key, Timer::Media);
        }
        if let Some(record) = self.media.take() {
            let command = crate::media::delete(&core.config, &self.media_name);
            core.media(crate::core::MediaWait::Nobody, record.engine, command);
            let ack = crate::media::report_ack(&core.config, &self.media_name);
            core.media(crate::core::MediaWait::Nobody, record.engine, ack);
        }
    }

    /// An INVITE of ours, without SDP and Via.
    fn invite(&self, core: &Core, uri: Uri, hop: &Hop, call_id: &str, tag: &str, caller: &str) -> Request {
        let from_caller = &self.legs[0].invite;
        let hops = from_caller.headers.typed::<MaxForwards>().map_or(70, |left| left.0.min(70));
        let to = NameAddr::new(plain(&uri));
        let from = NameAddr::new(Uri::sip(Some(caller), HostPort::new(core.local(hop.transport).host, None)));
        let secure = uri.is_secure();
        let mut request = Request::new(Method::Invite, uri);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, &hops.saturating_sub(1).to_string());
        headers.push(HeaderName::From, &from.with_tag(tag).to_string());
        headers.push(HeaderName::To, &to.to_string());
        headers.push(HeaderName::CallId, call_id);
        headers.push_typed(&CSeq { number: 1, method: Method::Invite });
        headers.push(HeaderName::Contact, &core.contact(hop, secure));
        headers.push(HeaderName::Allow, ALLOW);
        copy_invite_headers(&from_caller.headers, headers);
        request
    }
}

/// The text for an engine that did not answer.
pub(crate) const NO_ANSWER: &str = "the engine did not answer";

/// Frees a call's place on a trunk.
pub(crate) fn release_trunk(core: &mut Core, trunk: &crate::TrunkId) {
    if let Some(used) = core.trunk_calls.get_mut(trunk) {
        *used = used.saturating_sub(1);
        if *used == 0 {
            core.trunk_calls.remove(trunk);
        }
    }
}

/// A Reason header (RFC 3326) with a Q.850 cause.
pub(crate) fn reason(q850: u8, text: &str) -> String {
    sip::message::Reason::q850(q850, text).to_string()
}

/// The Q.850 cause of a SIP status (RFC 3398 §8.2.6.1, backwards).
pub(crate) fn q850_of(status: u16) -> u8 {
    match status {
        200 => 16,
        401 | 402 | 403 | 407 | 603 => 21,
        404 => 1,
        405 => 63,
        408 | 504 => 102,
        410 => 22,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        480 => 18,
        483 => 25,
        484 => 28,
        486 | 600 => 17,
        487 => 16,
        488 | 606 => 88,
        500 | 503 => 41,
        501 => 79,
        502 => 38,
        604 => 1,
        _ => 31,
    }
}

fn copy_invite_headers(from: &Headers, to: &mut Headers) {
    copy_session_headers(from, to);
    to.copy(from, &HeaderName::Privacy);
}

/// The URI without parameters and headers, as an address of record.
fn plain(uri: &Uri) -> Uri {
    match uri {
        Uri::Sip(sip) => {
            let mut sip = sip.clone();
            sip.params = sip::message::Params::new();
            sip.headers = None;
            Uri::Sip(sip)
        }
        other => other.clone(),
    }
}

fn trunk_hop(trunk: &Trunk) -> Hop {
    let transport = match trunk.transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    };
    let mut hop = Hop::new(transport, trunk.address);
    if transport == Transport::Tls {
        hop.server_name = Some(trunk.domain.as_str().into());
    }
    hop
}

fn trunk_uri(trunk: &Trunk, number: &str) -> Uri {
    let host = Host::parse(&trunk.domain).unwrap_or_else(|_| Host::Ip(trunk.address.ip()));
    let uri = Uri::sip(Some(number), HostPort::new(host, Some(trunk.address.port())));
    match trunk.transport {
        TrunkTransport::Udp => uri,
        TrunkTransport::Tcp => uri.with_param("transport", Some("tcp")),
        TrunkTransport::Tls => uri.with_param("transport", Some("tls")),
    }
}
