//! Requests inside the dialog, from either side to the other: re-INVITE, UPDATE, INFO, BYE, and the rest.

use sip::dialog::AnswerRepeater;
use sip::message::{CSeq, Reason, TypedHeader};
use sip::{HeaderName, Hop, Method, Request, Response, ServerKey, StatusCode};

use crate::call::{Call, Job, Relay};
use crate::core::{ALLOW, Core, LegIndex, Purpose, Timer, copy_session_headers};
use crate::leg::{Bye, CSEQ_RECORDED_EVERY, SDP, Unacked, sdp_of};
use crate::media::Description;
use crate::state::State;
use crate::{Side, Step};

impl Call {
    /// The leg that a request with this Call-ID and To tag is for.
    pub(crate) fn leg_of(&self, request: &Request) -> Option<LegIndex> {
        let call_id = request.call_id();
        self.legs.iter().position(|leg| leg.call_id == call_id)
    }

    /// A request inside the dialog of one leg; ACK and CANCEL go elsewhere.
    pub(crate) fn on_request(&mut self, core: &mut Core, key: ServerKey, hop: &Hop, request: Request) {
        let Some(index) = self.leg_of(&request) else {
            return core.refuse(key, &request, StatusCode::CALL_DOES_NOT_EXIST);
        };
        if !self.is_from(index, &request) {
            core.counters.dialog_unknown += 1;
            return core.refuse(key, &request, StatusCode::CALL_DOES_NOT_EXIST);
        }
        self.seen(core, index, hop);
        let leg = &mut self.legs[index];
        if let Some(dialog) = &mut leg.dialog
            && let Err(status) = dialog.receive(&request)
        {
            return core.refuse(key, &request, status);
        }
        if let Some(refusal) = core.unknown_extension(&request) {
            return core.respond(key, refusal);
        }
        match request.method() {
            Method::Bye => self.on_bye_request(core, key, index, &request),
            Method::Invite | Method::Update => self.on_modify(core, key, index, request),
            Method::Info => self.relay(core, key, index, request, None),
            Method::Options => {
                let response = Response::to(&request, StatusCode::OK).with_header(HeaderName::Allow, ALLOW);
                core.respond(key, response);
            }
            _ => {
                core.counters.not_understood += 1;
                let response = Response::to(&request, StatusCode::METHOD_NOT_ALLOWED)
                    .with_header(HeaderName::Allow, ALLOW);
                core.respond(key, response);
            }
        }
    }

    /// Whether the peer of this leg's dialog sent it, and not another fork or a guess.
    pub(crate) fn is_from(&self, index: LegIndex, request: &Request) -> bool {
        let Some(leg) = self.legs.get(index) else { return false };
        match &leg.dialog {
            Some(dialog) => request.from_tag().as_ref() == Some(&dialog.id.remote_tag),
            None => index != 0 || request.from_tag() == leg.invite.from_tag(),
        }
    }

    /// A phone spoke over this hop: what it is owed goes there from now on.
    pub(crate) fn seen(&mut self, core: &mut Core, index: LegIndex, hop: &Hop) {
        let leg = &mut self.legs[index];
        if leg.trunk.is_some() {
            return;
        }
        leg.hop = hop.clone();
        leg.reachable = true;
        if let Bye::Due(why) = leg.bye.clone() {
            self.hang_up(core, index, Some(&why));
        }
    }

    fn on_bye_request(&mut self, core: &mut Core, key: ServerKey, index: LegIndex, request: &Request) {
        core.respond(key, Response::to(request, StatusCode::OK));
        let cause = request.headers.all::<Reason>().ok().and_then(|reasons| {
            let reason = reasons.into_iter().find(|reason| reason.protocol.eq_ignore_ascii_case("Q.850"))?;
            let q850 = u8::try_from(reason.cause()?).ok()?;
            Some((q850, reason.text().unwrap_or_else(|| "normal clearing".to_owned())))
        });
        // The BYE of an early dialog gives up the INVITE (RFC 3261 §15).
        if self.legs[index].dialog.is_none() {
            return self.release(core, 487, 16, "given up", self.legs[index].side);
        }
        self.on_bye(core, index, cause);
    }

    /// A re-INVITE or UPDATE.
    fn on_modify(&mut self, core: &mut Core, key: ServerKey, index: LegIndex, request: Request) {
        if self.state != State::Talking {
            let status = if self.state.is_over() {
                StatusCode::CALL_DOES_NOT_EXIST
            } else {
                StatusCode::SERVER_INTERNAL_ERROR
            };
            let response = Response::to(&request, status).with_header(HeaderName::RetryAfter, "2");
            return core.respond(key, response);
        }
        let sdp = sdp_of(&request.headers, request.body());
        let offers = *request.method() == Method::Invite || sdp.is_some();
        if offers {
            //= RFC 3261 §14.2: 500 while its own earlier one is open, 491 while ours is
            let mut open = self.relays.iter().filter(|relay| relay.offers());
            let same = open.clone().any(|relay| relay.from == index && relay.server != key);
            let crossing = open.any(|relay| relay.to == index);
            let unfinished = self.legs.iter().any(|leg| leg.unacked.is_some() || leg.owed_ack.is_some());
            if crossing || (unfinished && !same) {
                return core.respond(key, Response::to(&request, StatusCode::REQUEST_PENDING));
            }
            if same {
                let response = Response::to(&request, StatusCode::SERVER_INTERNAL_ERROR)
                    .with_header(HeaderName::RetryAfter, "1");
                return core.respond(key, response);
            }
        }
        if let Some(dialog) = &mut self.legs[index].dialog {
            dialog.refresh_target(&request.headers);
        }
        let Some(sdp) = sdp else {
            return self.relay(core, key, index, request, None);
        };
        let Some(to) = self.opposite(index) else {
            return core.refuse(key, &request, StatusCode::CALL_DOES_NOT_EXIST);
        };
        let description = Description {
            from: self.legs[index].side,
            sdp: sdp.to_vec(),
            is_answer: false,
            is_first: false,
            reader: Some(self.reader(core, to, &sdp)),
            is_early: false,
        };
        self.relays.push(Relay::new(index, to, key, request));
        self.ask(core, Job::Modify(description, key));
    }

    pub(crate) fn on_modify_described(&mut self, core: &mut Core, server: ServerKey, sdp: Vec<u8>) {
        let Some(at) = self.relays.iter().position(|relay| relay.server == server) else { return };
        if self.relays[at].response.is_some() {
            return self.answer_modify(core, at, Some(sdp));
        }
        let relay = self.relays.remove(at);
        self.relay(core, relay.server, relay.from, relay.request, Some(sdp));
    }

    pub(crate) fn on_modified_described(&mut self, core: &mut Core, server: ServerKey, sdp: Vec<u8>) {
        let Some(at) = self.relays.iter().position(|relay| relay.server == server) else { return };
        self.answer_modify(core, at, Some(sdp));
    }

    pub(crate) fn on_modify_failed(&mut self, core: &mut Core, server: ServerKey) {
        let Some(at) = self.relays.iter().position(|relay| relay.server == server) else { return };
        let relay = self.relays.remove(at);
        if relay.response.is_some() && relay.is_invite() {
            self.legs[relay.to].acknowledge(core, None);
        }
        core.respond(relay.server, Response::to(&relay.request, StatusCode::NOT_ACCEPTABLE_HERE));
        self.undo_offer(core);
    }

    /// Passes a request on to the other leg, with the description the engine made of its own.
    fn relay(
        &mut self,
        core: &mut Core,
        key: ServerKey,
        from: LegIndex,
        request: Request,
        sdp: Option<Vec<u8>>,
    ) {
        let talking = self.state == State::Talking;
        let Some(to) = self.opposite(from).filter(|_| talking && self.relays.len() < RELAYS_MAX) else {
            let response = Response::to(&request, StatusCode::SERVER_INTERNAL_ERROR)
                .with_header(HeaderName::RetryAfter, "2");
            return core.respond(key, response);
        };
        let late = *request.method() == Method::Invite && sdp.is_none();
        let leg = &mut self.legs[to];
        let Some(mut onward) = leg.request(core, request.method().clone()) else {
            return core.refuse(key, &request, StatusCode::CALL_DOES_NOT_EXIST);
        };
        copy_session_headers(&request.headers, &mut onward.headers);
        match sdp {
            Some(sdp) => onward.set_body(SDP, sdp.into()),
            None if *request.method() == Method::Info => {
                for name in ["Info-Package", "Content-Disposition"] {
                    onward.headers.copy(&request.headers, &HeaderName::from_text(name));
                }
                if let Some(kind) = request.headers.get(&HeaderName::ContentType) {
                    onward.set_body(&kind, request.body().clone());
                }
            }
            None => {}
        }
        let mut relay = Relay::new(from, to, key, request);
        relay.late = late;
        self.forward(core, relay, onward);
    }

    fn forward(&mut self, core: &mut Core, mut relay: Relay, onward: Request) {
        let leg = &self.legs[relay.to];
        if !leg.reachable {
            let response = Response::to(&relay.request, StatusCode::TEMPORARILY_UNAVAILABLE);
            return core.respond(relay.server, response);
        }
        relay.cseq = onward.cseq().map_or(0, |cseq| cseq.number);
        relay.onward = Some(onward.clone());
        let hop = leg.next_hop();
        let number = relay.cseq;
        relay.client = Some(core.send(self.key, relay.to, Purpose::Relay, onward, hop));
        self.relays.push(relay);
        if number.is_multiple_of(CSEQ_RECORDED_EVERY) {
            self.journal(core, Step::Answered, None);
        }
    }

    /// A response to a request that was passed on.
    pub(crate) fn on_relay_response(&mut self, core: &mut Core, client: sip::ClientKey, response: Response) {
        let status = response.status();
        if status.is_provisional() {
            return;
        }
        let Some(at) = self.relays.iter().position(|relay| relay.client == Some(client)) else {
            return self.on_repeated_relay_answer(core, &response);
        };
        if self.relays[at].response.is_some() {
            return;
        }
        if status.is_success() {
            return self.on_relay_success(core, at, response);
        }
        if self.authenticate_relay(core, at, &response) {
            return;
        }
        let relay = self.relays.remove(at);
        // Our own challenge is nothing the other side could answer.
        let heard = match status.code() {
            401 | 407 => StatusCode::SERVER_INTERNAL_ERROR,
            _ => status,
        };
        let mut answer = Response::to(&relay.request, heard);
        for name in [HeaderName::RetryAfter, HeaderName::MinSe] {
            answer.headers.copy(&response.headers, &name);
        }
        // A Warning names its sender (RFC 3261 §20.43): where a phone is, is none of a carrier's business.
        if self.legs[relay.from].trunk.is_none() {
            answer.headers.copy(&response.headers, &HeaderName::Warning);
        }
        core.respond(relay.server, answer);
        if relay.offers() {
            self.undo_offer(core);
        }
        //= RFC 3261 §12.2.1.2: 481 and 408 end the dialog
        if matches!(status.code(), 408 | 481) && *relay.request.method() != Method::Info {
            self.legs[relay.to].bye = Bye::Over;
            self.fail(core, 200, 31, "the other side knows no such call", self.legs[relay.to].side);
        }
    }

    /// Sends a request again with credentials; false if that is no way out.
    fn authenticate_relay(&mut self, core: &mut Core, at: usize, response: &Response) -> bool {
        let relay = &mut self.relays[at];
        let leg = &mut self.legs[relay.to];
        let (Some(mut onward), false) = (relay.onward.clone(), relay.authenticated) else { return false };
        let Some(dialog) = &mut leg.dialog else { return false };
        if !crate::auth::take_challenge(core, &leg.trunk, &mut leg.digest, response) {
            return false;
        }
        dialog.local_cseq += 1;
        relay.cseq = dialog.local_cseq;
        relay.authenticated = true;
        onward.headers.set_typed(&CSeq { number: relay.cseq, method: relay.request.method().clone() });
        crate::auth::authorize(core, &mut leg.digest, &mut onward);
        let hop = leg.next_hop();
        relay.onward = Some(onward.clone());
        relay.client = Some(core.send(self.key, relay.to, Purpose::Relay, onward, hop));
        true
    }

    fn on_relay_success(&mut self, core: &mut Core, at: usize, response: Response) {
        let relay = &mut self.relays[at];
        let (to, server, late) = (relay.to, relay.server, relay.late);
        let refreshes = matches!(relay.request.method(), Method::Invite | Method::Update);
        let is_invite = relay.is_invite();
        let sdp = sdp_of(&response.headers, response.body());
        let leg = &mut self.legs[to];
        if refreshes && let Some(dialog) = &mut leg.dialog {
            dialog.refresh_target(&response.headers);
        }
        if is_invite {
            leg.owed_ack = Some(relay.cseq);
        }
        relay.response = Some(response);
        let from = leg.side;
        match sdp {
            Some(sdp) if refreshes => {
                let asked = self.relays[at].from;
                let description = Description {
                    from,
                    reader: late.then(|| self.reader(core, asked, &sdp)),
                    sdp: sdp.to_vec(),
                    is_answer: !late,
                    is_first: false,
                    is_early: false,
                };
                self.ask(core, Job::Modified(description, server));
            }
            _ => self.answer_modify(core, at, None),
        }
    }

    /// Answers the side that asked with what the other side said.
    fn answer_modify(&mut self, core: &mut Core, at: usize, sdp: Option<Vec<u8>>) {
        let relay = &mut self.relays[at];
        let (from, to, late, is_invite) = (relay.from, relay.to, relay.late, relay.is_invite());
        let Some(theirs) = &relay.response else { return };
        let mut answer = Response::to(&relay.request, theirs.status());
        copy_session_headers(&theirs.headers, &mut answer.headers);
        let leg = &self.legs[from];
        if matches!(relay.request.method(), Method::Invite | Method::Update) {
            let contact = core.contact(&leg.hop, leg.invite.uri().is_secure());
            answer.headers.push(HeaderName::Contact, &contact);
            answer.headers.push(HeaderName::Allow, ALLOW);
        }
        let offered = late && sdp.is_some();
        match sdp {
            Some(sdp) => answer.set_body(SDP, sdp.into()),
            None if *relay.request.method() == Method::Info => {
                if let Some(kind) = theirs.headers.get(&HeaderName::ContentType) {
                    answer.set_body(&kind, theirs.body().clone());
                }
            }
            None => {}
        }
        let server = relay.server;
        if !offered {
            self.relays.remove(at);
        }
        core.respond(server, answer.clone());
        if !is_invite {
            return self.journal(core, Step::Answered, None);
        }
        if !offered {
            self.legs[to].acknowledge(core, None);
        }
        let repeater = AnswerRepeater::new(core.now, core.sip.timers());
        core.deadlines.arm((self.key, Timer::Repeat(from)), repeater.next_deadline());
        self.legs[from].unacked = Some(Unacked { key: server, response: answer, repeater, offered });
    }

    /// A response to a relay that is gone: a 2xx to a re-INVITE once more, since its ACK was lost, or one that
    /// crossed our BYE.
    fn on_repeated_relay_answer(&mut self, core: &mut Core, response: &Response) {
        let Ok(cseq) = response.cseq() else { return };
        if !response.status().is_success() || cseq.method != Method::Invite {
            return;
        }
        for leg in self.legs.iter_mut().filter(|leg| leg.call_id == response.call_id()) {
            match leg.sent_ack.as_ref().filter(|ack| ack.answers(response)) {
                Some(ack) => core.sip.send_bytes(ack.hop.clone(), ack.bytes.clone()),
                None => {
                    leg.owed_ack = Some(cseq.number);
                    leg.acknowledge(core, None);
                }
            }
        }
    }

    /// No answer to a request that was passed on.
    pub(crate) fn on_relay_lost(&mut self, core: &mut Core, client: sip::ClientKey) {
        let Some(at) = self.relays.iter().position(|relay| relay.client == Some(client)) else { return };
        let relay = self.relays.remove(at);
        if relay.response.is_some() {
            return;
        }
        let status =
            if relay.is_invite() { StatusCode::REQUEST_TIMEOUT } else { StatusCode::SERVER_INTERNAL_ERROR };
        core.respond(relay.server, Response::to(&relay.request, status));
        if *relay.request.method() == Method::Info {
            return;
        }
        if self.legs[relay.to].user.is_some() && self.legs[relay.to].hop.transport.is_reliable() {
            // The phone's connection broke; it may come back.
            if relay.offers() {
                self.undo_offer(core);
            }
            return;
        }
        self.fail(core, 200, 102, "the other side does not answer", self.legs[relay.to].side);
    }

    /// The CANCEL of a re-INVITE; true if it was one.
    pub(crate) fn cancel_relay(&mut self, core: &mut Core, server: ServerKey) -> bool {
        let Some(at) = self.relays.iter().position(|relay| relay.server == server) else { return false };
        match self.relays[at].client {
            Some(client) if self.relays[at].response.is_none() => {
                core.sip.cancel(core.now, client, &[]);
            }
            Some(_) => {}
            None => {
                let relay = self.relays.remove(at);
                core.respond(relay.server, Response::to(&relay.request, StatusCode::REQUEST_TERMINATED));
            }
        }
        true
    }

    /// The phone gives up its INVITE.
    pub(crate) fn on_cancel(&mut self, core: &mut Core, server: ServerKey, cancel: &Request) {
        if self.legs[0].server != Some(server) {
            self.cancel_relay(core, server);
            return;
        }
        let elsewhere = cancel.headers.get(&Reason::NAME).is_some_and(|why| why.contains("cause=200"));
        let cause = if elsewhere { "answered elsewhere" } else { "cancelled" };
        self.deferred = None;
        if self.state.is_over() {
            // Refused already, and only the record is waited for: the phone need not wait with us.
            let leg = &mut self.legs[0];
            leg.server = None;
            leg.bye = Bye::Over;
            let response =
                Response::to(&leg.invite, StatusCode::REQUEST_TERMINATED).with_to_tag(&leg.local_tag);
            return core.respond(server, response);
        }
        self.release(core, 487, 16, cause, Side::Caller);
    }
}

impl Relay {
    fn new(from: LegIndex, to: LegIndex, server: ServerKey, request: Request) -> Self {
        Self {
            from,
            to,
            server,
            request,
            client: None,
            onward: None,
            response: None,
            late: false,
            cseq: 0,
            authenticated: false,
        }
    }
}

/// Requests of one call on their way through at once.
const RELAYS_MAX: usize = 8;
