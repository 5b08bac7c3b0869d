//! The end of a call: BYE and CANCEL to whoever is owed one, the last counters, the charge, the record.

use std::time::Duration;

use ledger::Amount;
use sip::{HeaderName, Method, Response, StatusCode};

use crate::call::{Call, End, Job, StoreStep, millis};
use crate::core::{Core, LegIndex, MediaWait, Moment, Purpose, Timer};
use crate::leg::{Bye, Leg, Unacked};
use crate::setup::{reason, release_trunk};
use crate::state::{Event, State};
use crate::{CallMedia, Cdr, Progress, Side, StoreReply, StoreRequest};

impl Call {
    /// Begins the end; a call that is over stays as it ended first.
    pub(crate) fn release(&mut self, core: &mut Core, status: u16, q850: u8, cause: &str, by: Side) {
        let moment = core.moment();
        self.release_at(core, moment, status, q850, cause, by);
    }

    /// As [`Call::release`], where the conversation ended at an earlier `moment` than now.
    pub(crate) fn release_at(
        &mut self,
        core: &mut Core,
        moment: Moment,
        status: u16,
        q850: u8,
        cause: &str,
        by: Side,
    ) {
        if self.state.is_over() {
            return;
        }
        let cause: &str = &cause.chars().take(CAUSE_MAX).collect::<String>();
        self.go(Event::Release);
        self.end = Some(End { moment, status, q850, cause: cause.to_owned(), by });
        for timer in [Timer::Setup, Timer::Ringing, Timer::Credit, Timer::Engine] {
            core.disarm(self.key, timer);
        }
        core.progress(Progress::Ended {
            call: self.id.clone(),
            sip_status: status,
            cause: cause.to_owned(),
            by,
        });
        self.count_attempt(core, 487);
        let why = if q850 == 31 && status == 402 {
            format!("{}, {}", reason(q850, cause), sip::message::Reason::sip(402, "credit used up"))
        } else {
            reason(q850, cause)
        };
        self.answer_caller(core, status, cause);
        for relay in std::mem::take(&mut self.relays) {
            if let (Some(client), true) = (relay.client, relay.is_invite()) {
                core.sip.give_up(core.now, client);
            }
            // All but one whose 200 went out with an offer, and waits for its ACK.
            let answered = |unacked: &Unacked| unacked.key == relay.server;
            if !self.legs[relay.from].unacked.as_ref().is_some_and(answered) {
                let response = Response::to(&relay.request, StatusCode::REQUEST_TERMINATED);
                core.respond(relay.server, response);
            }
        }
        for index in 0..self.legs.len() {
            self.hang_up(core, index, Some(&why));
        }
        self.media_jobs.clear();
        if self.media.is_some() && !self.media_is_gone(core) {
            self.ask(core, Job::Delete);
        }
        self.check(core);
    }

    /// The final response to the caller's INVITE, if it is still owed and not deferred.
    fn answer_caller(&mut self, core: &mut Core, status: u16, cause: &str) {
        let leg = &mut self.legs[0];
        if self.deferred.is_some() {
            return;
        }
        let Some(server) = leg.server.take() else { return };
        // The 200 stood ready but nobody heard it.
        leg.unacked = None;
        leg.dialog = None;
        leg.bye = Bye::Over;
        let code = StatusCode::new(status).filter(|code| code.code() >= 300);
        let code = code.unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
        let q850 = self.end.as_ref().map_or(31, |end| end.q850);
        let mut response = Response::to(&leg.invite, code)
            .with_to_tag(&leg.local_tag)
            .with_header(HeaderName::Reason, &reason(q850, cause));
        if let Some(refusal) = self.refusal.take().filter(|refusal| refusal.status() == code) {
            // What the caller needs to try again with better luck.
            for name in [HeaderName::MinSe, HeaderName::Warning, HeaderName::Unsupported, HeaderName::Accept]
            {
                response.headers.copy(&refusal.headers, &name);
            }
        }
        if code == StatusCode::SERVICE_UNAVAILABLE {
            response.headers.push_typed(&core.retry_after());
        }
        core.respond(server, response);
    }

    /// Ends one leg by whatever its state asks for.
    pub(crate) fn hang_up(&mut self, core: &mut Core, index: LegIndex, why: Option<&str>) {
        let why = why.map_or_else(|| reason(16, "call ended"), str::to_owned);
        let (key, first) = (self.key, self.first_server);
        let leg = &mut self.legs[index];
        if matches!(leg.bye, Bye::Sent(_) | Bye::Over) {
            return;
        }
        if leg.client.is_some() && leg.dialog.is_none() {
            return self.cancel(core, index, &why);
        }
        if leg.dialog.is_none() {
            if leg.server.is_none() && !leg.stray {
                leg.bye = Bye::Over;
            }
            return;
        }
        if leg.owed_ack.is_some() {
            leg.acknowledge(core, None);
        }
        //= RFC 3261 §15: the callee's side MUST NOT send BYE before the ACK of the 2xx that began the dialog
        let begins = leg.unacked.as_ref().is_some_and(|unacked| Some(unacked.key) == first);
        if begins || !leg.reachable {
            leg.bye = Bye::Due(why);
            return;
        }
        let Some(mut bye) = leg.request(core, Method::Bye) else { return };
        bye.headers.push(HeaderName::Reason, &why);
        leg.bye = Bye::Sent(why);
        let hop = leg.next_hop();
        core.send(key, index, Purpose::Bye, bye, hop);
    }

    /// Sends a BYE again with credentials, or its carrier would count on; false if that is no way out.
    pub(crate) fn authenticate_bye(&mut self, core: &mut Core, index: LegIndex, response: &Response) -> bool {
        let Some(leg) = self.legs.get_mut(index) else { return false };
        let Bye::Sent(why) = leg.bye.clone() else { return false };
        if !matches!(response.status().code(), 401 | 407)
            || std::mem::replace(&mut leg.bye_authenticated, true)
            || !crate::auth::take_challenge(core, &leg.trunk, &mut leg.digest, response)
        {
            return false;
        }
        let Some(mut bye) = leg.request(core, Method::Bye) else { return false };
        bye.headers.push(HeaderName::Reason, &why);
        crate::auth::authorize(core, &mut leg.digest, &mut bye);
        let hop = leg.next_hop();
        core.send(self.key, index, Purpose::Bye, bye, hop);
        true
    }

    /// Cancels an INVITE without final response.
    pub(crate) fn cancel(&mut self, core: &mut Core, index: LegIndex, why: &str) {
        let Some(client) = self.legs[index].client else { return };
        let why = if why.contains(";cause=") { why.to_owned() } else { reason(16, why) };
        core.sip.cancel(core.now, client, &[(HeaderName::Reason, why)]);
    }

    /// The answer to our BYE, or that there is none.
    pub(crate) fn on_bye_done(&mut self, core: &mut Core, index: LegIndex, unreachable: bool) {
        let Some(leg) = self.legs.get_mut(index) else { return };
        if unreachable
            && leg.user.is_some()
            && leg.hop.transport.is_reliable()
            && let Bye::Sent(why) = leg.bye.clone()
        {
            // The phone's connection is gone; it hears the BYE over its next one.
            leg.reachable = false;
            leg.bye = Bye::Due(why);
            if let Some(user) = &leg.user {
                core.orphans.entry(user.clone()).or_default().insert(self.key);
            }
        } else {
            leg.bye = Bye::Over;
        }
        self.check(core);
    }

    /// The far end ended its leg.
    pub(crate) fn on_bye(&mut self, core: &mut Core, index: LegIndex, cause: Option<(u8, String)>) {
        let leg = &mut self.legs[index];
        let side = leg.side;
        if leg.owed_ack.is_some() {
            leg.acknowledge(core, None);
        }
        leg.unacked = None;
        leg.bye = Bye::Over;
        core.disarm(self.key, Timer::Repeat(index));
        let (q850, cause) = cause.unwrap_or_else(|| (16, "normal clearing".to_owned()));
        let status = match (self.told, side) {
            (true, _) => 200,
            (false, Side::Callee) => 480,
            (false, _) => 487,
        };
        self.release(core, status, q850, &cause, side);
        self.check(core);
    }

    /// Settles when everything that is charged is known, and leaves when nothing is owed.
    pub(crate) fn check(&mut self, core: &mut Core) {
        if self.state != State::Releasing {
            return;
        }
        let dialled = self.legs.iter().skip(1).any(|leg| leg.client.is_some() || leg.stray);
        let asking = self.media_wait.is_some() || !self.media_jobs.is_empty();
        if dialled || asking || self.store_wait.is_some() {
            return;
        }
        self.go(Event::Settle);
        self.settle(core);
    }

    pub(crate) fn settle(&mut self, core: &mut Core) {
        let cdr = Box::new(self.cdr(core));
        let request = StoreRequest::Settle { call: self.id.clone(), charge: cdr.charge, cdr };
        let id = core.store(self.key, request);
        self.await_store(core, id, StoreStep::Settle);
    }

    pub(crate) fn on_settled(&mut self, core: &mut Core, reply: &StoreReply) {
        if self.state != State::Settling {
            return;
        }
        if !matches!(reply, StoreReply::Done) {
            self.answer_deferred(core, false);
            let base = core.config.times.settle_retry;
            let after = (base * (1 << self.settle_tries.min(5))).min(SETTLE_RETRY_MAX.max(base));
            self.settle_tries += 1;
            return core.arm(self.key, Timer::Settle, after);
        }
        self.go(Event::Finish);
        // Whoever is still owed a BYE is no reason to refuse the next call.
        self.uncount(core);
        core.counters.settled += 1;
        self.answer_deferred(core, true);
        core.progress(Progress::Settled(Box::new(self.cdr(core))));
        if let Some(record) = &self.media
            && core.engines.instance(record.engine).is_some()
        {
            let command = crate::media::report_ack(&core.config, &self.media_name);
            core.media(MediaWait::Nobody, record.engine, command);
        }
        if !self.legs.iter().all(Leg::is_over) {
            core.arm(self.key, Timer::Linger, LINGER);
        }
    }

    /// The caller's refusal, now that its record is durable; 503 if it could not be written.
    fn answer_deferred(&mut self, core: &mut Core, durable: bool) {
        let Some(response) = self.deferred.take() else { return };
        let leg = &mut self.legs[0];
        let Some(server) = leg.server.take() else { return };
        leg.bye = Bye::Over;
        if durable {
            return core.respond(server, response);
        }
        let mut response =
            Response::to(&leg.invite, StatusCode::SERVICE_UNAVAILABLE).with_to_tag(&leg.local_tag);
        response.headers.push_typed(&core.retry_after());
        core.respond(server, response);
    }

    /// Whether it can leave the table.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done && self.legs.iter().all(Leg::is_over)
    }

    /// Stops waiting for a phone that does not come back.
    pub(crate) fn abandon(&mut self) {
        for leg in &mut self.legs {
            leg.bye = Bye::Over;
            (leg.server, leg.client, leg.stray) = (None, None, false);
        }
    }

    /// Takes a restored call's places among its account's and trunk's calls.
    pub(crate) fn count(&mut self, core: &mut Core) {
        let Some(account) = &self.account else { return };
        self.counted = true;
        *core.account_calls.entry(account.clone()).or_insert(0) += 1;
        for leg in &mut self.legs {
            if let Some(trunk) = &leg.trunk {
                leg.on_trunk = true;
                *core.trunk_calls.entry(trunk.clone()).or_insert(0) += 1;
            }
        }
    }

    /// Frees its places among its account's and trunk's calls.
    pub(crate) fn uncount(&mut self, core: &mut Core) {
        if !std::mem::take(&mut self.counted) {
            return;
        }
        if let Some(account) = &self.account
            && let Some(count) = core.account_calls.get_mut(account)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                core.account_calls.remove(account);
            }
        }
        for leg in &mut self.legs {
            if let (true, Some(trunk)) = (std::mem::take(&mut leg.on_trunk), &leg.trunk) {
                release_trunk(core, trunk);
            }
        }
    }

    /// How long both sides were charged for: from the 200 to the end.
    pub(crate) fn talk_ms(&self) -> u64 {
        match (&self.answered, &self.end) {
            (Some(answered), Some(end)) => millis(end.moment.at.saturating_duration_since(answered.at)),
            _ => 0,
        }
    }

    /// The record of this call.
    pub(crate) fn cdr(&self, core: &Core) -> Cdr {
        let charge = self.charge();
        let end = self.end.as_ref();
        let end_at = end.map_or(self.setup.wall, |end| end.moment.wall);
        let until = end.map_or(self.setup.at, |end| end.moment.at);
        let wait_ms = self.wait_ms.unwrap_or_else(|| millis(until.saturating_duration_since(self.setup.at)));
        let heard = end.map_or(0, |end| end.status);
        let mut cdr = Cdr {
            call: self.id.clone(),
            account: self.account.clone(),
            caller: self.caller.clone(),
            callee: self.callee.clone(),
            route: self.route,
            trunk: self.legs.last().and_then(|leg| leg.trunk.clone()),
            attempts: self.costly_attempts(),
            setup_at: self.setup.wall,
            ring_at: self.ring.map(|moment| moment.wall),
            answer_at: self.answered.map(|moment| moment.wall),
            end_at,
            post_dial_ms: self.post_dial_ms,
            wait_ms,
            talk_ms: self.talk_ms(),
            wall_clock: self.recovered,
            recovered: self.recovered,
            sip_status: if self.told { 200 } else { heard },
            q850: end.map_or(31, |end| end.q850),
            cause: end.map_or_else(String::new, |end| end.cause.clone()),
            ended_by: end.map_or(Side::Exchange, |end| end.by),
            billed_seconds: charge.billed_seconds,
            rate: None,
            tariff: None,
            exchange: None,
            taxes: Vec::new(),
            currency: self.currency,
            held: self.held,
            charge: Amount::ZERO,
            cost: None,
            margin: None,
            media: self.counters.clone(),
        };
        if let Some(price) = self.price() {
            cdr.rate = Some(price.rate.clone());
            cdr.tariff.clone_from(&price.source);
            cdr.exchange = price.exchange;
            cdr.taxes = price.taxes.shares(charge.amount);
        }
        cdr.cost = self.cost(core, &cdr.attempts);
        cdr.set_charge(charge.amount);
        cdr
    }

    /// The engine of this call answers no more, or as another process.
    pub(crate) fn media_is_gone(&self, core: &Core) -> bool {
        let Some(record) = &self.media else { return true };
        let now = core.engines.instance(record.engine);
        now.is_none() || (record.instance.is_some() && record.instance.as_deref() != now)
    }

    /// The engine is lost: both legs go, billed to its last report.
    pub(crate) fn on_engine_lost(&mut self, core: &mut Core) {
        if self.state == State::Offering && self.media_wait.take().is_some() {
            core.disarm(self.key, Timer::Media);
            return self.on_offer_failed(core, crate::setup::NO_ANSWER);
        }
        if let Some((_, job)) = self.media_wait.take() {
            core.disarm(self.key, Timer::Media);
            self.media_jobs.clear();
            if matches!(job, Job::Delete) {
                return self.check(core);
            }
        }
        if self.state.is_over() {
            return self.check(core);
        }
        core.counters.engine_lost += 1;
        let moment = match (self.answered, self.reported) {
            (Some(answered), Some(reported)) if reported.at > answered.at => reported,
            (Some(answered), _) => answered,
            (None, _) => core.moment(),
        };
        let status = if self.told { 200 } else { 503 };
        self.release_at(core, moment, status, 41, "media engine lost", Side::Exchange);
    }

    /// The engine tells that the call is over there.
    pub(crate) fn on_media_ended(&mut self, core: &mut Core, ended: &ng::Ended, silence_ms: Option<u64>) {
        let back = core.wall.0.saturating_sub(ended.wall_ms);
        let silent = match ended.reason {
            ng::EndReason::MediaTimeout => silence_ms.unwrap_or(0),
            _ => 0,
        };
        let moment = self.earlier(core, back.saturating_add(silent));
        let (q850, cause) = match ended.reason {
            ng::EndReason::MediaTimeout => (102, "media timeout"),
            ng::EndReason::OfferTimeout => (102, "offer timeout"),
            ng::EndReason::FinalTimeout => (31, "longest call of the engine"),
            ng::EndReason::LeaseEnded => (102, "lease ended"),
            ng::EndReason::Shutdown => (41, "media engine shut down"),
            ng::EndReason::Fault => (41, "media engine fault"),
            ng::EndReason::Deleted => (31, "media deleted"),
        };
        let status = if self.told { 200 } else { 503 };
        self.release_at(core, moment, status, q850, cause, Side::Exchange);
    }

    /// So many milliseconds before now, but not before the answer.
    fn earlier(&self, core: &Core, back_ms: u64) -> Moment {
        let floor = self.answered.unwrap_or(self.setup);
        let at = core.now.checked_sub(Duration::from_millis(back_ms)).unwrap_or(floor.at);
        if at <= floor.at {
            return if self.answered.is_some() { floor } else { core.moment() };
        }
        Moment { at, wall: crate::WallTime(core.wall.0.saturating_sub(back_ms)) }
    }

    /// Counters of the engine's last report.
    pub(crate) fn on_report(&mut self, core: &Core, counters: CallMedia) {
        self.counters = counters;
        self.reported = Some(core.moment());
    }
}

/// Characters of a cause in words: a peer's own words go to the other side and into the record.
const CAUSE_MAX: usize = 120;

/// The longest pause between two tries to settle.
const SETTLE_RETRY_MAX: Duration = Duration::from_secs(30);

/// How long a BYE waits for an unreachable phone's next connection once the record is written.
const LINGER: Duration = Duration::from_secs(120);
