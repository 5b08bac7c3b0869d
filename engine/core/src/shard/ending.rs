//! How calls end: asked for, by themselves, with the engine, or by a fault.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use ng::{EndReason, Ended};

use super::Shard;
use crate::{
    call::{Call, CallKey},
    counters::DropReason,
    event,
    io::{Output, SocketId},
    report,
    sim::{self, Fault, Way},
    turn::Turn,
};

impl Shard {
    pub(super) fn on_shutdown(&mut self) {
        let keys: Vec<CallKey> = self.calls.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.timed = Some(key);
            self.end_call(key, EndReason::Shutdown);
        }
        self.timed = None;
        // Nothing begins anew.
        while let Some((id, _)) = self.orphans.pop_front() {
            self.refuse(id, CALL_ENDED);
        }
    }

    /// Ends a call: its report kept if wished, its event sent, its sockets closed, the command that it was at
    /// refused. Those that waited behind it come when this input is done.
    pub(super) fn end_call(&mut self, key: CallKey, reason: EndReason) {
        self.end_recording(key, false, true);
        let ended = self.ended(key, reason);
        // Whatever made us fail may do so again, and faults have a count of their own.
        if reason != EndReason::Fault {
            self.count_ended(key, ended.lifetime_ms);
        }
        self.tell_offenders(key);
        let Some(call) = self.calls.get_mut(key) else { return };
        self.timers.clear(&mut call.deadlines, key);
        // The report comes first: whoever hears of the end can ask for it, and if we fail on it the
        // owner has not been told of an end that comes again as another.
        if call.keep_report {
            sim::seen(Way::ReportKept);
            sim::trip(Fault::Report);
            let mut report = report::of_call(call, &self.sockets, &self.paths, self.now, |_| true);
            report.ended = Some(ended.clone());
            for alias in &call.aliases {
                self.counters.reports_lost += self.kept.keep(self.now, alias, report.clone());
            }
            self.counters.reports_lost += self.kept.keep(self.now, &call.name, report);
        }
        if call.owner.is_some() {
            self.outputs.push_back(Output::Event(Box::new(event::ended(
                call,
                &self.paths,
                self.now,
                self.wall_ms,
                ended,
            ))));
        }
        for index in 0..call.legs.len() {
            self.remove_leg(key, index);
        }
        // Last, so that a failure on the way here leaves the commands where they are answered later.
        let Some(Call { pending, waiting, .. }) = self.calls.remove(key) else { return };
        if let Some(pending) = pending {
            self.refuse(pending.id, CALL_ENDED);
        }
        self.orphans.extend(waiting);
    }

    pub(super) fn ended(&self, key: CallKey, reason: EndReason) -> Ended {
        let lifetime =
            self.calls.get(key).map_or(Duration::ZERO, |call| self.now.saturating_since(call.created));
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Ended { reason, wall_ms: self.wall_ms, lifetime_ms }
    }

    /// Ends the call that a panic struck, and answers the command that was being handled.
    pub(super) fn on_fault(&mut self, socket: Option<SocketId>) {
        self.counters.faults += 1;
        if self.turn.as_ref().is_some_and(|turn| turn.is_handling()) {
            return self.with_turn(Turn::on_fault);
        }
        if self.counters.packets_received > self.counters.packets_sent + self.counters.drops_total() {
            self.counters.dropped(DropReason::Fault);
        }
        let (id, key) = self.current.take().unzip();
        let timed = self.timed.take();
        let key = key.flatten().or(timed).or_else(|| socket.and_then(|socket| self.sockets.call(socket)));
        let mut answered = false;
        if let Some(key) = key {
            let pending =
                self.calls.get(key).and_then(|call| call.pending.as_ref()).map(|pending| pending.id);
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
}

/// The text for a command whose call ended before its turn came.
pub(super) const CALL_ENDED: &str = "The call ended meanwhile";
