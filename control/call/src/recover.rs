//! Calls of an earlier process: those that talked go on, those that rang are given up.

use std::time::Duration;

use sip::dialog::AnswerRepeater;
use sip::message::CSeq;
use sip::{Event as SipEvent, HeaderName, Hop, Message, Method, Request, Response, ServerKey, StatusCode};

use crate::call::{Call, Job, millis};
use crate::core::{CallKey, Core, LegIndex, Moment, Purpose, Timer};
use crate::journal::{JournalEntry, LegRecord, Step};
use crate::leg::{Bye, Leg, OWN, Unacked, sdp_of};
use crate::media;
use crate::setup::reason;
use crate::state::{Event, State};
use crate::{Progress, Side};

impl Call {
    /// The call of a journal row; none if the row has no caller that can be read.
    pub(crate) fn restore(core: &mut Core, key: CallKey, entry: JournalEntry) -> Option<Self> {
        let caller_record = entry.caller_leg.as_ref()?;
        let caller_leg = Leg::restore(Side::Caller, caller_record)?;
        let setup = before(core, entry.setup_at.0);
        let mut call = Self::new(key, entry.call.clone(), setup, caller_leg);
        call.recovered = true;
        call.account = entry.account;
        call.caller = entry.caller;
        call.callee = entry.callee;
        call.route = entry.route;
        call.quote = entry.quote;
        call.currency = entry.currency;
        (call.held, call.held_seconds) = (entry.held, entry.held_seconds);
        call.grace_seconds = entry.grace_seconds;
        call.media = entry.media;
        call.media_name = entry.media_name;
        call.counters = entry.counters;
        call.attempts = entry.attempts;
        call.ring = entry.ring_at.map(|at| before(core, at.0));
        call.post_dial_ms = entry.post_dial_ms;
        call.wait_ms = entry.wait_ms;
        if let Some(record) = &entry.callee_leg {
            let mut leg = Leg::restore(Side::Callee, record)?;
            leg.trunk = entry.trunk;
            call.legs.push(leg);
        }
        call.count(core);
        let names: Vec<_> =
            call.legs.iter().map(|leg| (leg.call_id.clone(), leg.local_tag.clone())).collect();
        for (call_id, tag) in names {
            call.register_dialog(core, &call_id, &tag);
        }
        let answered = entry.step == Step::Answered;
        core.progress(Progress::Recovered { call: call.id.clone(), answered });
        if let (Some(at), true) = (entry.answer_at, answered) {
            call.answered = Some(before(core, at.0));
            call.resume(core, caller_record);
        } else {
            call.give_up(core);
        }
        Some(call)
    }

    /// Takes an answered call up again.
    fn resume(&mut self, core: &mut Core, caller: &LegRecord) {
        self.told = true;
        self.go(Event::Resume);
        if let Some(text) = &caller.unacked {
            self.resume_answer(core, text);
        }
        for leg in &self.legs {
            if let (false, Some(user)) = (leg.reachable, &leg.user) {
                core.orphans.entry(user.clone()).or_default().insert(self.key);
            }
        }
        if let Some(answered) = self.answered {
            core.deadlines.arm((self.key, Timer::Credit), answered.at + self.allowed(core));
        }
        core.arm(self.key, Timer::Engine, core.config.times.recovery);
        self.query_engine(core);
    }

    /// Our 200 that nobody acknowledged is repeated like any other.
    fn resume_answer(&mut self, core: &mut Core, text: &str) {
        let text = bytes::Bytes::copy_from_slice(text.as_bytes());
        let Ok(Message::Response(response)) = Message::parse(text, &OWN) else { return };
        let Some(server) = replay(core, &self.legs[0]) else { return };
        core.servers.insert(server, self.key);
        self.first_server = Some(server);
        let repeater = AnswerRepeater::new(core.now, core.sip.timers());
        // Our 200 was the offer of a call that began without one: the carrier's ACK waits for the phone's.
        let invite = &self.legs[0].invite;
        let offered = sdp_of(&invite.headers, invite.body()).is_none();
        if offered && let Some(callee) = self.callee() {
            callee.owed_ack = callee.invite.cseq().ok().map(|cseq| cseq.number);
        }
        self.legs[0].unacked = Some(Unacked { key: server, response, repeater, offered });
        self.tell_caller(core);
    }

    /// Ends a call that was not answered: the phone hears 503, the carrier CANCEL.
    fn give_up(&mut self, core: &mut Core) {
        if let Some(server) = replay(core, &self.legs[0]) {
            core.servers.insert(server, self.key);
            self.first_server = Some(server);
            self.legs[0].server = Some(server);
        }
        if let Some(index) = self.callee_index() {
            self.legs[index].stray = true;
            let why = reason(41, "restarted");
            let cancel = cancel_of(&self.legs[index].invite, &why);
            let hop = self.legs[index].hop.clone();
            core.send_prepared(self.key, index, Purpose::StrayCancel, cancel, hop);
            // RFC 3261 §9.1: 64*T1 after the CANCEL the INVITE counts as cancelled.
            let wait = core.sip.timers().t1_64();
            core.arm(self.key, Timer::Stray(index), wait);
        }
        self.release(core, StatusCode::SERVICE_UNAVAILABLE.code(), 41, "restarted", Side::Exchange);
    }

    /// Asks the engine whether the call lives, once the engine answers.
    pub(crate) fn query_engine(&mut self, core: &mut Core) {
        let Some(record) = &self.media else { return self.on_engine_lost(core) };
        if core.engines.instance(record.engine).is_none() {
            return;
        }
        if self.media_is_gone(core) {
            return self.on_engine_lost(core);
        }
        if self.media_wait.is_none() {
            self.ask(core, Job::Query);
        }
    }

    /// The engine said whether the call lives.
    pub(crate) fn on_resumed(&mut self, core: &mut Core, job: &Job, reply: Result<ng::Reply, String>) {
        if self.state.is_over() {
            return;
        }
        match reply {
            Ok(ng::Reply::Report(report)) => {
                self.counters = media::counters(&report);
                match &report.ended {
                    Some(ended) => self.on_media_ended(core, ended, None),
                    None if self.state == State::Resuming => self.ask(core, Job::Lease),
                    None => {}
                }
            }
            Ok(ng::Reply::Ok { .. }) if matches!(job, Job::Lease) && self.state == State::Resuming => {
                core.disarm(self.key, Timer::Engine);
                self.go(Event::Talk);
                // The numbers that were skipped are used now: the next process skips from here.
                self.journal(core, Step::Answered, None);
            }
            // The engine knows no such call: it is as lost as the engine would be.
            Ok(_) if self.state == State::Resuming => self.on_engine_lost(core),
            Ok(_) | Err(_) => {}
        }
    }

    /// A response to nothing that is known: the other end speaks to an earlier process, or once more.
    pub(crate) fn on_stray(&mut self, core: &mut Core, response: Response) {
        let is_invite = response.cseq().is_ok_and(|cseq| cseq.method == Method::Invite);
        let call_id = response.call_id().into_owned();
        let Some(index) = self.legs.iter().position(|leg| leg.call_id == call_id) else { return };
        let status = response.status();
        if !is_invite || status.is_provisional() {
            return;
        }
        if self.legs[index].stray {
            core.disarm(self.key, Timer::Stray(index));
            if status.is_success() {
                return self.on_unwanted_answer(core, index, &response);
            }
            let leg = &self.legs[index];
            let ack = ack_of(&leg.invite, &response);
            core.sip.send_bytes(leg.hop.clone(), ack.to_bytes());
            return self.on_stray_over(core, index);
        }
        if status.is_success() {
            self.on_answer_again(core, index, &response);
        }
    }

    /// A 2xx of a dialog that we have: its ACK was lost, with a process perhaps.
    fn on_answer_again(&mut self, core: &mut Core, index: LegIndex, response: &Response) {
        let leg = &mut self.legs[index];
        let known = leg.dialog.as_ref().is_some_and(|d| Some(&d.id.remote_tag) == response.to_tag().as_ref());
        let acked = leg.sent_ack.as_ref().is_some_and(|ack| ack.answers(response));
        if known && !acked && leg.owed_ack.is_none() && self.recovered {
            leg.owed_ack = response.cseq().ok().map(|cseq| cseq.number);
            return leg.acknowledge(core, None);
        }
        self.on_repeated_answer(core, index, response);
    }

    /// The answer to the CANCEL of an INVITE that an earlier process sent.
    pub(crate) fn on_stray_cancel(&mut self, core: &mut Core, index: LegIndex, status: Option<StatusCode>) {
        // A 200 promises a final response. A 481 comes from a carrier that never got the INVITE, and from one
        // that answered it: then its 2xx is repeated every T2 at least (RFC 3261 §13.3.1.4).
        if status != Some(StatusCode::OK) && self.legs.get(index).is_some_and(|leg| leg.stray) {
            let timers = core.sip.timers();
            let wait = timers.t2 + timers.t1;
            core.arm(self.key, Timer::Stray(index), wait);
        }
    }

    pub(crate) fn on_stray_over(&mut self, core: &mut Core, index: LegIndex) {
        let leg = &mut self.legs[index];
        if std::mem::take(&mut leg.stray) {
            leg.bye = Bye::Over;
            core.disarm(self.key, Timer::Stray(index));
        }
        self.check(core);
    }

    /// The phone of an unreachable leg has a new connection.
    pub(crate) fn on_reconnected(&mut self, core: &mut Core, user: &str, hop: &Hop) {
        for index in 0..self.legs.len() {
            let leg = &self.legs[index];
            if !leg.reachable && leg.user.as_deref() == Some(user) {
                self.seen(core, index, hop);
            }
        }
        self.check(core);
    }

    /// A connection ended.
    pub(crate) fn on_flow_closed(&mut self, core: &mut Core, flow: sip::FlowId) {
        let caller = &self.legs[0];
        if caller.server.is_some() && caller.hop.flow == Some(flow) && caller.hop.transport.is_reliable() {
            // Its answer could not reach it, and it would pay for a call that it does not hear.
            return self.release(core, 487, 16, "the caller's connection ended", Side::Caller);
        }
        for leg in &mut self.legs {
            if leg.hop.flow == Some(flow) && leg.hop.transport.is_reliable() {
                leg.hop.flow = None;
                if let Some(user) = &leg.user {
                    leg.reachable = false;
                    core.orphans.entry(user.clone()).or_default().insert(self.key);
                }
            }
        }
    }
}

/// The instant of a wall time of an earlier process. No monotonic clock spans a restart, so the difference
/// of wall clocks serves; a clock set back in between counts as no time (`adr/0002-time-over-a-restart.md`).
fn before(core: &Core, wall_ms: u64) -> Moment {
    let ago = Duration::from_millis(core.wall.0.saturating_sub(wall_ms));
    let at = core.now.checked_sub(ago).unwrap_or(core.now);
    debug_assert!(millis(core.now.saturating_duration_since(at)) <= millis(ago));
    Moment { at, wall: crate::WallTime(wall_ms) }
}

/// Opens the server transaction of a journaled INVITE again, so that it can be answered.
fn replay(core: &mut Core, leg: &Leg) -> Option<ServerKey> {
    if !leg.reachable {
        return None;
    }
    core.sip.receive(core.now, &leg.hop, Message::Request(leg.invite.clone()));
    match core.sip.poll_event() {
        Some(SipEvent::Request { key, .. }) => Some(key),
        _ => None,
    }
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
fn cancel_of(invite: &Request, why: &str) -> Request {
    let mut cancel = hop_request(invite, Method::Cancel);
    cancel.headers.copy(&invite.headers, &HeaderName::To);
    cancel.headers.push(HeaderName::Reason, why);
    cancel
}

/// The ACK of a final response other than 2xx (RFC 3261 §17.1.1.3).
fn ack_of(invite: &Request, response: &Response) -> Request {
    let mut ack = hop_request(invite, Method::Ack);
    ack.headers.copy(&response.headers, &HeaderName::To);
    ack
}

/// A request with the Via, and so the branch, of `invite`.
fn hop_request(invite: &Request, method: Method) -> Request {
    let mut request = Request::new(method.clone(), invite.uri().clone());
    let names =
        [HeaderName::Via, HeaderName::MaxForwards, HeaderName::Route, HeaderName::From, HeaderName::CallId];
    for name in names {
        request.headers.copy(&invite.headers, &name);
    }
    let number = invite.cseq().map_or(1, |cseq| cseq.number);
    request.headers.push_typed(&CSeq { number, method });
    request
}
