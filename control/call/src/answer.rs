//! From the called side's responses to the conversation: ringing, early media, the 200 and both ACKs.

use sip::dialog::{AnswerRepeater, Repeat};
use sip::{Dialog, HeaderName, Request, Response, StatusCode};

use crate::call::{Call, Job, StoreStep, millis};
use crate::core::{ALLOW, Core, LegIndex, Timer, copy_session_headers};
use crate::leg::{Bye, SDP, Unacked, sdp_of};
use crate::media::Description;
use crate::setup::q850_of;
use crate::state::{Event, State};
use crate::{Progress, Side, Step, StoreReply};

/// Further answers to one INVITE that are each acknowledged and ended; a carrier that sends more is not heard.
const FORKS_MAX: usize = 8;

impl Call {
    /// A response to the first INVITE of a leg.
    pub(crate) fn on_invite_response(&mut self, core: &mut Core, index: LegIndex, response: Response) {
        let status = response.status();
        let current = Some(index) == self.callee_index() && !self.state.is_over();
        let leg = &mut self.legs[index];
        if status.is_success() {
            if leg.dialog.is_some() {
                return self.on_repeated_answer(core, index, &response);
            }
            leg.client = None;
            let wanted = current && matches!(self.state, State::Dialling | State::Ringing);
            return if wanted {
                self.on_answer(core, index, response)
            } else {
                self.on_unwanted_answer(core, index, &response)
            };
        }
        if status.is_provisional() {
            if current && matches!(self.state, State::Dialling | State::Ringing) {
                self.on_provisional(core, index, &response);
            }
            return;
        }
        leg.client = None;
        if !current {
            leg.bye = Bye::Over;
            return self.check(core);
        }
        if matches!(self.state, State::Dialling | State::Ringing) {
            self.on_failure(core, index, &response);
        }
    }

    fn on_provisional(&mut self, core: &mut Core, index: LegIndex, response: &Response) {
        let status = response.status();
        // 199 ends one fork of several (RFC 6228); we do not ask for it, and the others still ring.
        if matches!(status.code(), 100 | 199) {
            return;
        }
        self.go(Event::Ring);
        self.legs[index].rang = true;
        if self.ring.is_none() {
            let moment = core.moment();
            self.ring = Some(moment);
            self.post_dial_ms = Some(millis(moment.at.saturating_duration_since(self.setup.at)));
            core.progress(Progress::Ringing { call: self.id.clone() });
        }
        if core.deadlines.is_armed(&(self.key, Timer::Setup)) {
            core.disarm(self.key, Timer::Setup);
            core.arm(self.key, Timer::Ringing, core.config.times.ringing);
        }
        let sdp = sdp_of(&response.headers, response.body());
        match sdp {
            Some(sdp) if self.offer.is_some() => {
                if let Some((seen, rewritten)) = &self.answer
                    && *seen == sdp
                {
                    let rewritten = rewritten.clone();
                    return self.ring_caller(core, status, Some(rewritten));
                }
                let description = Description { is_early: true, ..self.answer_description(core, &sdp) };
                self.ask(core, Job::Early(description, status));
            }
            // An offer in an unreliable 18x is none (RFC 3262 §5).
            _ => self.ring_caller(core, status, None),
        }
    }

    fn answer_description(&self, core: &Core, sdp: &[u8]) -> Description {
        Description {
            from: Side::Callee,
            sdp: sdp.to_vec(),
            is_answer: self.offer.is_some(),
            is_first: true,
            reader: self.offer.is_none().then(|| self.reader(core, 0, sdp)),
            is_early: false,
        }
    }

    pub(crate) fn on_early(&mut self, core: &mut Core, from: Description, status: StatusCode, sdp: Vec<u8>) {
        self.answer = Some((from.sdp, sdp.clone()));
        self.ring_caller(core, status, Some(sdp));
    }

    /// Passes a 18x on.
    pub(crate) fn ring_caller(&mut self, core: &mut Core, status: StatusCode, sdp: Option<Vec<u8>>) {
        if self.state != State::Ringing {
            return;
        }
        let leg = &self.legs[0];
        let Some(server) = leg.server else { return };
        let mut response = Response::to(&leg.invite, status)
            .with_to_tag(&leg.local_tag)
            .with_header(HeaderName::Contact, &core.contact(&leg.hop, leg.invite.uri().is_secure()));
        if let Some(sdp) = sdp {
            response.set_body(SDP, sdp.into());
        }
        core.respond(server, response);
    }

    fn on_failure(&mut self, core: &mut Core, index: LegIndex, response: &Response) {
        let status = response.status().code();
        let leg = &mut self.legs[index];
        leg.bye = Bye::Over;
        if matches!(status, 401 | 407)
            && !leg.authenticated
            && crate::auth::take_challenge(core, &leg.trunk, &mut leg.digest, response)
        {
            leg.bye = Bye::None;
            return self.dial_authenticated(core);
        }
        let cause = response.reason().into_owned();
        self.refusal = Some(response.clone());
        self.attempt_failed(core, status, &cause);
    }

    /// The 200 that the call waited for: the charge runs from here.
    fn on_answer(&mut self, core: &mut Core, index: LegIndex, response: Response) {
        let moment = core.moment();
        core.disarm(self.key, Timer::Setup);
        core.disarm(self.key, Timer::Ringing);
        self.go(Event::Answer);
        self.answered = Some(moment);
        self.fix_prices(index, moment.wall);
        self.wait_ms = Some(millis(moment.at.saturating_duration_since(self.setup.at)));
        self.count_attempt(core, 200);
        let leg = &mut self.legs[index];
        match Dialog::uac(&leg.invite, &response) {
            Ok(dialog) => {
                leg.owed_ack = Some(dialog.local_cseq);
                leg.dialog = Some(dialog);
            }
            Err(_) => return self.fail(core, 502, 38, "answer without dialog", Side::Exchange),
        }
        // A repeated description keeps the engine's choice; the lease still has to grow.
        let sdp = sdp_of(&response.headers, response.body())
            .map(|sdp| sdp.to_vec())
            .or_else(|| self.answer.as_ref().map(|(seen, _)| seen.clone()));
        self.legs[index].invite_answer = Some(response);
        match sdp {
            Some(sdp) => {
                let description = self.answer_description(core, &sdp);
                self.ask(core, Job::Answer(description));
            }
            None => self.fail(core, 502, 38, "answer without description", Side::Exchange),
        }
    }

    pub(crate) fn on_answer_described(&mut self, core: &mut Core, from: Description, sdp: Vec<u8>) {
        if self.state != State::Answering {
            return;
        }
        self.answer = Some((from.sdp, sdp.clone()));
        let late = self.offer.is_none();
        let mut extra = sip::Headers::new();
        if let Some(answer) = self.legs.last().and_then(|leg| leg.invite_answer.as_ref()) {
            copy_session_headers(&answer.headers, &mut extra);
        }
        let leg = &mut self.legs[0];
        let Some(server) = leg.server else { return };
        let mut response = Response::to(&leg.invite, StatusCode::OK)
            .with_to_tag(&leg.local_tag)
            .with_header(HeaderName::Contact, &core.contact(&leg.hop, leg.invite.uri().is_secure()))
            .with_header(HeaderName::Allow, ALLOW);
        for header in extra.iter() {
            response.headers.push_header(header.clone());
        }
        response.set_body(SDP, sdp.into());
        match Dialog::uas(&leg.invite, &leg.local_tag) {
            Ok(mut dialog) => {
                dialog.confirm();
                leg.dialog = Some(dialog);
            }
            Err(_) => return self.fail(core, 400, 111, "INVITE without Contact", Side::Exchange),
        }
        let repeater = AnswerRepeater::new(core.now, core.sip.timers());
        leg.unacked = Some(Unacked { key: server, response, repeater, offered: late });
        self.go(Event::Commit);
        self.journal(core, Step::Answered, Some(StoreStep::Answer));
    }

    /// The answer is durable: now both sides may hear of it.
    pub(crate) fn on_answer_recorded(&mut self, core: &mut Core, reply: &StoreReply) {
        if self.state != State::Committing {
            return;
        }
        if !matches!(reply, StoreReply::Done) {
            return self.fail(core, 503, 41, "store unavailable", Side::Exchange);
        }
        self.go(Event::Talk);
        self.told = true;
        let late = self.offer.is_none();
        if !late && let Some(callee) = self.callee() {
            callee.acknowledge(core, None);
        }
        self.tell_caller(core);
        if let Some(answered) = self.answered {
            let end = answered.at + self.allowed(core);
            core.deadlines.arm((self.key, Timer::Credit), end);
        }
        core.progress(Progress::Answered { call: self.id.clone() });
    }

    /// Sends the 200 that stands ready and repeats it until its ACK.
    pub(crate) fn tell_caller(&mut self, core: &mut Core) {
        let key = self.key;
        let leg = &mut self.legs[0];
        leg.server = None;
        if let Some(unacked) = &mut leg.unacked {
            unacked.repeater = AnswerRepeater::new(core.now, core.sip.timers());
            core.sip.respond(core.now, unacked.key, unacked.response.clone());
            core.deadlines.arm((key, Timer::Repeat(0)), unacked.repeater.next_deadline());
        }
    }

    /// Our 2xx is due again, or its ACK will never come.
    pub(crate) fn on_repeat(&mut self, core: &mut Core, index: LegIndex) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        let Some(unacked) = &mut leg.unacked else { return };
        match unacked.repeater.poll(core.now) {
            Repeat::Wait => {}
            Repeat::Send => core.sip.respond(core.now, unacked.key, unacked.response.clone()),
            Repeat::GiveUp => {
                leg.unacked = None;
                if !self.state.is_over() {
                    return self.fail(core, 200, 102, "no ACK", Side::Exchange);
                }
                self.hang_up(core, index, None);
                return self.check(core);
            }
        }
        if let Some(unacked) = self.legs.get(index).and_then(|leg| leg.unacked.as_ref()) {
            core.deadlines.arm((self.key, Timer::Repeat(index)), unacked.repeater.next_deadline());
        }
    }

    /// The ACK of our 2xx.
    pub(crate) fn on_ack(&mut self, core: &mut Core, index: LegIndex, ack: &Request) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        let number = ack.cseq().map_or(0, |cseq| cseq.number);
        let ours = leg
            .unacked
            .as_ref()
            .is_some_and(|unacked| unacked.response.cseq().is_ok_and(|cseq| cseq.number == number));
        if !ours {
            return;
        }
        let offered = leg.unacked.take().is_some_and(|unacked| unacked.offered);
        core.disarm(self.key, Timer::Repeat(index));
        if let Bye::Due(reason) = leg.bye.clone() {
            self.hang_up(core, index, Some(&reason));
            return self.check(core);
        }
        if !matches!(self.state, State::Talking | State::Resuming) {
            return;
        }
        if offered {
            return self.on_late_ack(core, index, ack);
        }
        self.journal(core, Step::Answered, None);
    }

    /// The ACK that has to carry the answer to a delayed offer.
    fn on_late_ack(&mut self, core: &mut Core, index: LegIndex, ack: &Request) {
        let Some(sdp) = sdp_of(&ack.headers, ack.body()) else {
            return self.fail(core, 200, 111, "ACK without the answer", self.legs[index].side);
        };
        let from = self.legs[index].side;
        let description = Description {
            from,
            sdp: sdp.to_vec(),
            is_answer: true,
            is_first: false,
            reader: None,
            is_early: false,
        };
        self.ask(core, Job::LateAnswer(description));
    }

    pub(crate) fn on_late_answer(&mut self, core: &mut Core, sdp: Vec<u8>) {
        if !matches!(self.state, State::Talking | State::Resuming) {
            return;
        }
        for leg in &mut self.legs {
            if leg.owed_ack.is_some() {
                leg.acknowledge(core, Some(sdp.clone().into()));
            }
        }
        self.relays.retain(|relay| !(relay.late && relay.response.is_some()));
        self.journal(core, Step::Answered, None);
    }

    /// A 2xx for an attempt that nobody waits for any more, such as one that crossed our CANCEL.
    pub(crate) fn on_unwanted_answer(&mut self, core: &mut Core, index: LegIndex, response: &Response) {
        let cancelled = self.end.is_some() && Some(index) == self.callee_index();
        if cancelled && self.answered.is_none() {
            // It answered after all; its time to our BYE, which follows at once, is nothing.
            self.answered = Some(core.moment());
            self.wait_ms = Some(millis(core.now.saturating_duration_since(self.setup.at)));
            if let Some(end) = &mut self.end {
                end.moment = core.moment();
            }
            self.count_attempt(core, 200);
        }
        let leg = &mut self.legs[index];
        leg.stray = false;
        if let Ok(dialog) = Dialog::uac(&leg.invite, response) {
            leg.owed_ack = Some(dialog.local_cseq);
            leg.dialog = Some(dialog);
            leg.bye = Bye::None;
        }
        self.hang_up(core, index, None);
        self.check(core);
    }

    /// A 2xx once more: the same one, or another fork's.
    pub(crate) fn on_repeated_answer(&mut self, core: &mut Core, index: LegIndex, response: &Response) {
        let leg = &mut self.legs[index];
        let tag = response.to_tag().unwrap_or_default();
        let same = leg.dialog.as_ref().is_some_and(|d| Some(&d.id.remote_tag) == response.to_tag().as_ref());
        if same {
            if let Some(ack) = leg.sent_ack.as_ref().filter(|ack| ack.answers(response)) {
                core.sip.send_bytes(ack.hop.clone(), ack.bytes.clone());
            }
            return;
        }
        //= RFC 3261 §13.2.2.4: further dialogs are acknowledged and ended
        let Ok(mut other) = Dialog::uac(&leg.invite, response) else { return };
        let known = leg.forks.contains(&tag);
        if !known && leg.forks.len() >= FORKS_MAX {
            core.counters.stray_responses += 1;
            return;
        }
        let hop = leg.hop_to(&other);
        let number = other.local_cseq;
        core.sip.send_ack(other.ack(number), hop.clone());
        if known {
            return;
        }
        leg.forks.push(tag);
        let bye = other.request(sip::Method::Bye);
        core.sip.send_request(core.now, bye, hop);
    }

    /// No 18x in time.
    pub(crate) fn on_setup_timeout(&mut self, core: &mut Core) {
        if matches!(self.state, State::Dialling | State::Ringing)
            && let Some(index) = self.callee_index()
        {
            self.cancel(core, index, "no answer in time");
            self.attempt_failed(core, 408, "no answer in time");
        }
    }

    /// Nobody picks up.
    pub(crate) fn on_ringing_timeout(&mut self, core: &mut Core) {
        self.fail(core, 480, 19, "no answer", Side::Exchange);
    }

    /// Our INVITE never got through.
    pub(crate) fn on_invite_lost(&mut self, core: &mut Core, index: LegIndex, status: u16, cause: &str) {
        let current = Some(index) == self.callee_index();
        let leg = &mut self.legs[index];
        leg.client = None;
        leg.bye = Bye::Over;
        if current && matches!(self.state, State::Dialling | State::Ringing) {
            return self.attempt_failed(core, status, cause);
        }
        self.check(core);
    }

    /// Ends the call with the status that tells the caller why, if nobody told it yet.
    pub(crate) fn fail(&mut self, core: &mut Core, status: u16, q850: u8, cause: &str, by: Side) {
        let q850 = if q850 == 0 { q850_of(status) } else { q850 };
        self.release(core, status, q850, cause, by);
    }
}
