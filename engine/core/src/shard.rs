//! A shard: some calls, their sockets and their time.

mod exchange;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use ng::{Command, DeleteDelay, EndReason, Ended, Reply};
use rtp::units::Instant;

use crate::{
    call::{Call, CallKey, Calls},
    config::{Limits, ShardConfig},
    counters::{Counters, DropReason},
    event,
    io::{Input, Output, SocketId},
    latch::Stranger,
    negotiate::{Kind, dialogue},
    owner::Owners,
    path::Paths,
    relay,
    report::{self, Kept},
    socket::Sockets,
    timer::{Timer, Timers},
};

/// Some calls, their sockets and their time. Nothing in it is shared.
///
/// One input, then [`Shard::poll_output`] until `None`, then the next.
#[derive(Debug)]
pub struct Shard {
    limits: Limits,
    tos: u8,
    calls: Calls,
    sockets: Sockets,
    paths: Paths,
    timers: Timers,
    owners: Owners,
    kept: Kept,
    outputs: VecDeque<Output>,
    counters: Counters,
    /// The command being handled and its call, for the reply that it gets if it makes us fail.
    current: Option<(u64, Option<CallKey>)>,
    /// The call whose deadline is being handled, or that is being shut down.
    timed: Option<CallKey>,
    now: Instant,
    wall_ms: u64,
}

/// How often the owner of a call hears its counters.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Deadlines handled at once; those of more calls come with the next tick, after media had its turn.
const DUE_AT_ONCE: usize = 64;

/// How long parties that were due to go wait for an exchange to finish.
const REMOVE_RETRY: Duration = Duration::from_millis(100);

impl Shard {
    /// A shard without calls. `seed` decides what chance decides.
    pub fn new(config: ShardConfig, seed: u64) -> Self {
        let ShardConfig { interfaces, mut ports, tos, limits } = config;
        // The range is divided by the seed all shards share; only an undivided one takes this shard's.
        if ports.shards <= 1 {
            ports.seed ^= seed;
        }
        Self {
            tos,
            calls: Calls::default(),
            sockets: Sockets::new(interfaces, &ports),
            paths: Paths::default(),
            timers: Timers::default(),
            owners: Owners::new(limits.owners_max),
            kept: Kept::new(limits.reports_max, limits.report_lifetime),
            outputs: VecDeque::with_capacity(64),
            counters: Counters::default(),
            current: None,
            timed: None,
            now: Instant::ZERO,
            wall_ms: 0,
            limits,
        }
    }

    /// Takes one thing that happened. `now` is this shard's clock, `wall_ms` the time of day in
    /// milliseconds since the Unix epoch, which goes into reports only.
    ///
    /// A panic while an input is handled ends the call it was for, and is counted; the shard
    /// goes on.
    pub fn handle_input(&mut self, now: Instant, wall_ms: u64, input: Input<'_>) {
        self.now = now;
        self.wall_ms = wall_ms;
        let socket = match &input {
            Input::Datagram { socket, .. } | Input::SocketOpened { socket, .. } => Some(*socket),
            _ => None,
        };
        // Sound because a call owns its state, and the call that was touched is ended (ADR 4).
        if catch_unwind(AssertUnwindSafe(|| self.on_input(input))).is_err() {
            self.on_fault(socket);
        }
    }

    /// The next thing to be done; `None` when the last input has no more consequences.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Free port pairs, over all addresses.
    pub fn free_port_pairs(&self) -> usize {
        self.sockets.free_pairs()
    }

    /// Who sent to a call without leave: a note per party and half in which somebody did.
    pub fn strangers(&self, call_id: &str) -> Vec<Stranger> {
        let call = self.calls.by_name(call_id).and_then(|key| self.calls.get(key));
        call.into_iter()
            .flat_map(|call| call.parties().flat_map(|(_, leg)| &leg.medias))
            .flat_map(|media| [media.rtp, media.rtcp])
            .map(|path| self.paths[path].latch.stranger())
            .filter(|stranger| stranger.packets > 0)
            .collect()
    }

    fn on_input(&mut self, input: Input<'_>) {
        match input {
            Input::Datagram { socket, remote, packet } => return self.on_datagram(socket, remote, packet),
            Input::Command { id, command } => self.on_command(id, command),
            Input::SocketOpened { socket, result } => self.on_socket_opened(socket, result),
            Input::SocketError { .. } => self.counters.socket_errors += 1,
            Input::Tick => self.on_tick(),
            Input::Shutdown => self.on_shutdown(),
        }
        self.counters.calls_live = self.calls.len() as u64;
        self.counters.sockets_live = self.sockets.live() as u64;
        self.counters.reports_live = self.kept.len() as u64;
    }

    fn on_datagram(&mut self, socket: SocketId, remote: SocketAddr, packet: &[u8]) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += packet.len() as u64;
        let time = (self.now, self.wall_ms);
        let result = match self.sockets.path(socket) {
            Some(path) => relay::datagram(&mut self.paths, &mut self.counters, time, path, remote, packet),
            None => Err(DropReason::NoSocket),
        };
        match result {
            Ok(transmit) => self.outputs.push_back(transmit),
            Err(reason) => self.counters.dropped(reason),
        }
    }

    /// Ends the call that a panic struck, and answers the command that was being handled.
    fn on_fault(&mut self, socket: Option<SocketId>) {
        self.counters.faults += 1;
        let (id, key) = self.current.take().unzip();
        let timed = self.timed.take();
        let key = key.flatten().or(timed).or_else(|| socket.and_then(|socket| self.sockets.call(socket)));
        let mut answered = false;
        if let Some(key) = key {
            let pending =
                self.calls.get(key).and_then(|call| call.pending.as_ref()).map(|exchange| exchange.id);
            answered = pending.is_some() && pending == id;
            // What made us fail may do so again when it is written into the report: then none is.
            for with_report in [true, false] {
                if let Some(call) = self.calls.get_mut(key).filter(|_| !with_report) {
                    call.owner = None;
                    call.keep_report = false;
                }
                if catch_unwind(AssertUnwindSafe(|| self.end_call(key, EndReason::Fault))).is_ok() {
                    break;
                }
            }
        }
        if let Some(id) = id.filter(|_| !answered) {
            self.refuse(id, "Internal error");
        }
    }

    fn on_command(&mut self, id: u64, command: Command) {
        // A call whose sockets are opening takes its commands in order.
        let named = match &command {
            Command::Offer(signal) | Command::Answer(signal) => Some(&signal.call_id),
            Command::Delete(delete) => Some(&delete.call_id),
            _ => None,
        };
        if let Some(call) =
            named.and_then(|name| self.calls.by_name(name)).and_then(|key| self.calls.get_mut(key))
            && call.pending.is_some()
        {
            if call.waiting.len() < self.limits.waiting_max {
                call.waiting.push_back((id, command));
            } else {
                self.refuse(id, "Too many commands for this call at once");
            }
            return;
        }
        self.obey(id, command);
    }

    fn obey(&mut self, id: u64, command: Command) {
        let name = match &command {
            Command::Offer(signal) | Command::Answer(signal) => signal.call_id.as_str(),
            Command::Delete(delete) => delete.call_id.as_str(),
            Command::Query(query) => query.call_id.as_str(),
            Command::Lease(lease) => lease.call_id.as_str(),
            _ => "",
        };
        self.current = Some((id, self.calls.by_name(name)));
        let (owner, epoch) = match &command {
            Command::Offer(signal) | Command::Answer(signal) => (signal.owner.as_deref(), signal.epoch),
            Command::Delete(delete) => (delete.owner.as_deref(), delete.epoch),
            Command::Lease(lease) => (Some(lease.owner.as_str()), Some(lease.epoch)),
            Command::ReportAck(ack) => (ack.owner.as_deref(), ack.epoch),
            _ => (None, None),
        };
        if let Some(owner) = owner {
            let (calls, kept) = (&self.calls, &self.kept);
            let in_use = |name: &str| {
                calls.iter().any(|(_, call)| call.owner.as_deref() == Some(name))
                    || kept.of_owner(name).next().is_some()
            };
            if let Err(text) = self.owners.admit(owner, epoch, in_use) {
                self.counters.stale_epochs += u64::from(text == Reply::STALE_EPOCH);
                return self.refuse(id, text);
            }
        }
        match command {
            Command::Ping(_) => self.reply(id, Reply::Pong { instance: None }),
            Command::Offer(signal) => self.on_signal(id, Kind::Offer, signal),
            Command::Answer(signal) => self.on_signal(id, Kind::Answer, signal),
            Command::Delete(delete) => self.on_delete(id, &delete),
            Command::Query(query) => self.on_query(id, &query),
            Command::List(list) => self.on_list(id, &list),
            Command::Lease(lease) => self.on_lease(id, &lease),
            Command::ReportAck(ack) => self.on_report_ack(id, &ack),
            Command::Events(_) => self.refuse(id, "Events are answered by the engine, not by a shard"),
            Command::Unsupported { name, .. } => self.refuse(id, &format!("Not supported: command {name}")),
        }
    }

    fn on_delete(&mut self, id: u64, delete: &ng::Delete) {
        let Some(key) = self.calls.by_name(&delete.call_id) else {
            return match self.kept.get(&delete.call_id) {
                Some(report) if report.owner.is_some() && report.owner == delete.owner => {
                    let report = Box::new(report.clone());
                    self.reply(id, Reply::Report(report));
                }
                _ => self.not_found(id, delete),
            };
        };
        let call = self.calls.get(key).expect("a name leads to a call");
        if is_foreign(call, delete.owner.as_deref()) {
            return self.refuse(id, OTHER_OWNER);
        }
        let gone = dialogue::deleted(call, delete);
        if gone.is_empty() && call.parties().next().is_some() {
            return self.not_found(id, delete);
        }
        let delay = match delete.delay {
            DeleteDelay::Seconds(seconds) => Duration::from_secs(seconds.into()),
            // Whoever drives the call knows that it is over, and wants the ports free and the report final.
            DeleteDelay::Default if call.owner.is_some() => Duration::ZERO,
            DeleteDelay::Default => self.limits.delete_delay,
        };
        let mut report = report::of_call(call, &self.sockets, &self.paths, |index| gone.contains(&index));
        let gone_at = self.now + delay;
        let call = self.calls.get_mut(key).expect("it was there a line ago");
        call.keep_report |= delete.keep_report;
        for index in gone {
            call.leg_mut(index).gone_at = Some(gone_at);
        }
        let whole = call.parties().all(|(_, leg)| leg.gone_at.is_some());
        if whole && delay.is_zero() && call.owner.is_some() {
            report.ended = Some(self.ended(key, EndReason::Deleted));
        }
        self.remove_due(key);
        let reply = if delete.fast { Reply::Ok { warning: None } } else { Reply::Report(Box::new(report)) };
        self.reply(id, reply);
    }

    fn not_found(&mut self, id: u64, delete: &ng::Delete) {
        if delete.fatal {
            return self.refuse(id, Reply::DELETE_NOT_FOUND);
        }
        self.reply(id, Reply::Ok { warning: Some(Reply::DELETE_NOT_FOUND.to_owned()) });
    }

    fn on_query(&mut self, id: u64, query: &ng::Query) {
        let reply = match self.calls.by_name(&query.call_id).and_then(|key| self.calls.get(key)) {
            Some(call) => {
                let wanted: Vec<usize> = [&query.from_tag, &query.to_tag]
                    .into_iter()
                    .flatten()
                    .filter_map(|tag| call.by_tag(tag))
                    .collect();
                let all = query.from_tag.is_none() && query.to_tag.is_none();
                let partner =
                    |index: usize| wanted.iter().any(|&leg| call.leg(leg).partners.contains(&index));
                Reply::Report(Box::new(report::of_call(call, &self.sockets, &self.paths, |index| {
                    all || wanted.contains(&index) || partner(index)
                })))
            }
            None => match self.kept.get(&query.call_id) {
                Some(report) => Reply::Report(Box::new(report.clone())),
                None => return self.refuse(id, Reply::UNKNOWN_CALL),
            },
        };
        self.reply(id, reply);
    }

    fn on_list(&mut self, id: u64, list: &ng::List) {
        let mut calls: Vec<String> = self
            .calls
            .iter()
            .filter(|(_, call)| list.owner.is_none() || call.owner == list.owner)
            .map(|(_, call)| call.name.clone())
            .take(list.limit)
            .collect();
        calls.sort_unstable();
        let mut ended = Vec::new();
        if let Some(owner) = &list.owner {
            ended.extend(self.kept.of_owner(owner).take(list.limit).cloned());
            ended.sort_unstable();
        }
        self.reply(id, Reply::List(ng::CallList { calls, ended }));
    }

    fn on_lease(&mut self, id: u64, lease: &ng::Lease) {
        let Some(key) = self.calls.by_name(&lease.call_id) else {
            return self.refuse(id, Reply::UNKNOWN_CALL);
        };
        let call = self.calls.get(key).expect("a name leads to a call");
        if call.owner.as_deref() != Some(&lease.owner) {
            return self.refuse(id, OTHER_OWNER);
        }
        self.set_lease(key, lease.lease_ms);
        self.reply(id, Reply::Ok { warning: None });
    }

    fn on_report_ack(&mut self, id: u64, ack: &ng::ReportAck) {
        let foreign = self
            .kept
            .get(&ack.call_id)
            .is_some_and(|report| report.owner.is_some() && ack.owner.is_some() && report.owner != ack.owner);
        if foreign {
            return self.refuse(id, OTHER_OWNER);
        }
        let known = self.kept.acknowledge(&ack.call_id);
        let warning = (!known).then(|| "No report is kept for this call".to_owned());
        self.reply(id, Reply::Ok { warning });
    }

    fn on_tick(&mut self) {
        self.counters.reports_lost += self.kept.expire(self.now);
        for _deadline in 0..DUE_AT_ONCE {
            let Some((key, timer)) = self.timers.due(self.now) else { break };
            self.timed = Some(key);
            match timer {
                Timer::Lease => {
                    self.counters.leases_ended += 1;
                    self.end_call(key, EndReason::LeaseEnded);
                }
                Timer::Remove => self.remove_due(key),
                Timer::Activity => self.on_activity_check(key),
                Timer::Report => self.on_report_due(key),
            }
        }
        self.timed = None;
    }

    fn on_shutdown(&mut self) {
        let keys: Vec<CallKey> = self.calls.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.timed = Some(key);
            self.end_call(key, EndReason::Shutdown);
        }
        self.timed = None;
    }

    fn on_report_due(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        self.outputs.push_back(Output::Event(event::call_report(call, &self.paths, self.now, self.wall_ms)));
        // From now, not from when it was due: after a pause one report is enough.
        let next = self.now + REPORT_INTERVAL;
        self.timers.set(&mut call.deadlines, key, Timer::Report, Some(next));
    }

    /// Has a packet arrived within the timeout that is in force? If not the call ends.
    fn on_activity_check(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let medias = || call.parties().flat_map(|(_, leg)| &leg.medias);
        let last_packet = medias()
            .flat_map(|media| [media.rtp, media.rtcp])
            .filter_map(|path| self.paths[path].last_packet)
            .max();
        let described = || call.parties().filter(|(_, leg)| leg.described).flat_map(|(_, leg)| &leg.medias);
        let silent = described().any(|media| !media.refused)
            && described()
                .filter(|media| !media.refused)
                .any(|media| !media.direction.sends() || !media.direction.receives());
        let timeout = match (call.answered, silent) {
            (false, _) => self.limits.offer_timeout,
            (true, true) => self.limits.silent_timeout,
            (true, false) => self.limits.media_timeout,
        };
        let last = last_packet.map_or(call.last_signal, |packet| packet.max(call.last_signal));
        let due = last + timeout;
        if due > self.now {
            self.timers.set(&mut call.deadlines, key, Timer::Activity, Some(due));
            return;
        }
        self.counters.calls_timed_out += 1;
        self.end_call(key, EndReason::MediaTimeout);
    }

    fn set_lease(&mut self, key: CallKey, lease_ms: u64) {
        let at = self.now + Duration::from_millis(lease_ms).min(self.limits.lease_max);
        if let Some(call) = self.calls.get_mut(key) {
            self.timers.set(&mut call.deadlines, key, Timer::Lease, Some(at));
        }
    }

    /// Removes the parties whose time has come, and the call if none is left; sets the timer for the others.
    fn remove_due(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        // An exchange that waits for its sockets names parties by index, and may be about to revive them.
        if call.pending.is_some() {
            self.timers.set(&mut call.deadlines, key, Timer::Remove, Some(self.now + REMOVE_RETRY));
            return;
        }
        let due: Vec<usize> = call
            .parties()
            .filter(|(_, leg)| leg.gone_at.is_some_and(|at| at <= self.now))
            .map(|(index, _)| index)
            .collect();
        if due.len() == call.parties().count() {
            self.counters.calls_deleted += 1;
            return self.end_call(key, EndReason::Deleted);
        }
        let next = call.parties().filter_map(|(_, leg)| leg.gone_at).filter(|&at| at > self.now).min();
        self.timers.set(&mut call.deadlines, key, Timer::Remove, next);
        for index in due {
            self.remove_leg(key, index);
        }
    }

    fn remove_leg(&mut self, key: CallKey, index: usize) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(leg) = call.legs.get_mut(index).and_then(Option::take) else { return };
        for media in &leg.medias {
            for shown in &media.pairs {
                self.sockets.release(shown.pair, &mut self.outputs);
            }
            for path in [media.rtp, media.rtcp] {
                for other in call.legs.iter().flatten().flat_map(|leg| &leg.medias) {
                    for half in [other.rtp, other.rtcp] {
                        if self.paths[half].sink == Some(path) {
                            self.paths[half].sink = None;
                        }
                        if self.paths[half].sibling == Some(path) {
                            self.paths[half].sibling = self.paths[path].sibling;
                        }
                    }
                }
                self.paths.remove(path);
            }
        }
        let mut bereft = Vec::new();
        for (party, other) in (0..).zip(&mut call.legs) {
            let Some(other) = other else { continue };
            other.partners.retain(|&partner| partner != index);
            if other.peer == Some(index) {
                other.peer = other.partners.last().copied();
                bereft.extend(other.peer.map(|peer| (party, peer)));
            }
        }
        // Whoever talked to the one that went talks to who is left.
        for (party, peer) in bereft {
            for (from, to) in call.leg(party).medias.iter().zip(&call.leg(peer).medias) {
                self.paths[from.rtp].sink = Some(to.rtp);
                self.paths[from.rtcp].sink = Some(to.rtcp);
            }
        }
    }

    /// Ends a call: its report kept if wished, its event sent, its sockets closed, its commands answered.
    fn end_call(&mut self, key: CallKey, reason: EndReason) {
        let ended = self.ended(key, reason);
        let Some(call) = self.calls.get_mut(key) else { return };
        self.timers.clear(&mut call.deadlines, key);
        let (pending, waiting) = (call.pending.take(), std::mem::take(&mut call.waiting));
        if call.owner.is_some() {
            self.outputs.push_back(Output::Event(event::ended(
                call,
                &self.paths,
                self.now,
                self.wall_ms,
                ended.clone(),
            )));
        }
        if call.keep_report {
            let mut report = report::of_call(call, &self.sockets, &self.paths, |_| true);
            report.ended = Some(ended);
            self.counters.reports_lost += self.kept.keep(self.now, &call.name, report);
        }
        for index in 0..call.legs.len() {
            self.remove_leg(key, index);
        }
        self.calls.remove(key);
        if let Some(exchange) = pending {
            self.refuse(exchange.id, "The call ended meanwhile");
        }
        // The first of them may begin the call anew and make the others wait again.
        for (id, command) in waiting {
            self.on_command(id, command);
        }
    }

    fn ended(&self, key: CallKey, reason: EndReason) -> Ended {
        let lifetime =
            self.calls.get(key).map_or(Duration::ZERO, |call| self.now.saturating_since(call.created));
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Ended { reason, wall_ms: self.wall_ms, lifetime_ms }
    }

    fn reply(&mut self, id: u64, reply: Reply) {
        self.current = None;
        self.outputs.push_back(Output::Reply { id, reply });
    }

    fn refuse(&mut self, id: u64, text: &str) {
        self.counters.commands_refused += 1;
        self.reply(id, Reply::Error(text.to_owned()));
    }
}

/// Whether a call is driven by another owner than this one. A client that names none may do all.
fn is_foreign(call: &Call, owner: Option<&str>) -> bool {
    matches!((call.owner.as_deref(), owner), (Some(own), Some(other)) if own != other)
}

const OTHER_OWNER: &str = "Call has another owner";

#[cfg(test)]
mod tests;
