//! What happens by itself: deadlines of calls that have passed.

use ng::EndReason;

use super::{REPORT_INTERVAL, Shard};
use crate::{
    call::CallKey,
    event,
    io::Output,
    leg::Role,
    sim::{self, Fault},
    timer::Timer,
};

/// Deadlines handled at once; those of more calls come with the next tick, after media had its turn.
pub(super) const DUE_AT_ONCE: usize = 64;

impl Shard {
    pub(super) fn on_tick(&mut self) {
        self.counters.reports_lost += self.kept.expire(self.now);
        for _deadline in 0..DUE_AT_ONCE {
            let Some((key, timer)) = self.timers.due(self.now) else { break };
            self.timed = Some(key);
            sim::trip(Fault::Deadline);
            match timer {
                Timer::Lease => {
                    self.counters.leases_ended += 1;
                    self.end_call(key, EndReason::LeaseEnded);
                }
                Timer::Remove => self.remove_due(key),
                Timer::Activity => self.on_activity_check(key),
                Timer::Report => self.on_report_due(key),
                Timer::Watch => self.on_watch_due(key),
            }
        }
        self.timed = None;
    }

    pub(super) fn on_report_due(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        self.outputs.push_back(Output::Event(event::call_report(call, &self.paths, self.now, self.wall_ms)));
        // From now, not from when it was due: after a pause one report is enough.
        let next = self.now + REPORT_INTERVAL;
        self.timers.set(&mut call.deadlines, key, Timer::Report, Some(next));
    }

    /// Has a packet arrived within the timeout that is in force? If not the call ends.
    pub(super) fn on_activity_check(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        // What a subscriber does or does not says nothing about the call it hears.
        let medias = || {
            call.parties().filter(|(_, leg)| leg.role != Role::Subscriber).flat_map(|(_, leg)| &leg.medias)
        };
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
}
