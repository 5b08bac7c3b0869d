//! What happens by itself: deadlines of calls that have passed.

use ng::EndReason;
use rtp::units::Instant;

use super::{REPORT_INTERVAL, Shard};
use crate::{
    call::CallKey,
    event,
    io::Output,
    leg::{Leg, Role},
    media::Media,
    sim::{self, Fault, Way},
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
            sim::seen(way(timer));
            match timer {
                Timer::Lease => {
                    self.counters.leases_ended += 1;
                    self.end_call(key, EndReason::LeaseEnded);
                }
                Timer::Remove => self.remove_due(key),
                Timer::Activity => self.on_activity_check(key),
                Timer::Report => self.on_report_due(key),
                Timer::Watch => self.on_watch_due(key),
                Timer::Rtcp => self.on_rtcp_due(key),
                Timer::Ice => self.on_checks_due(key),
                Timer::Handshake => self.on_handshake_due(key),
            }
        }
        self.timed = None;
    }

    pub(super) fn on_report_due(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        self.outputs.push_back(Output::Event(Box::new(event::call_report(
            call,
            &self.paths,
            self.now,
            self.wall_ms,
        ))));
        // From now, not from when it was due: after a pause one report is enough.
        let next = self.now + REPORT_INTERVAL;
        self.timers.set(&mut call.deadlines, key, Timer::Report, Some(next));
    }

    /// Is any stream of the call alive, and may the call go on at all? If not it ends.
    ///
    /// A stream on hold is alive for the silent timeout after its last packet, another one for the media timeout; a call
    /// is while any stream is. Until somebody answers, the offer timeout is in force instead.
    pub(super) fn on_activity_check(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        // What a subscriber does or does not says nothing about the call it hears.
        let parties = || call.parties().filter(|(_, leg)| leg.role != Role::Subscriber).map(|(_, leg)| leg);
        let limits = &self.limits;
        let last_of = |media: &Media| {
            let packets = [media.rtp, media.rtcp].map(|path| self.paths[path].last_packet);
            packets.into_iter().flatten().fold(call.last_signal, Instant::max)
        };
        let last = parties().flat_map(|leg| &leg.medias).map(last_of);
        let last = last.fold(call.last_signal, Instant::max);
        let (silent_at, reason, on_hold) = if call.answered {
            // Whoever publishes receives nothing, which is no hold.
            let is_held = |leg: &Leg, media: &Media| {
                let receives = media.direction.receives() || leg.role == Role::Publisher;
                !(media.refused || media.direction.sends() && receives)
            };
            let open_at = last + limits.media_timeout;
            let held = parties()
                .filter(|leg| leg.described)
                .flat_map(|leg| leg.medias.iter().filter(move |media| is_held(leg, media)))
                .map(|media| last_of(media) + limits.silent_timeout);
            let silent_at = held.fold(open_at, Instant::max);
            (silent_at, EndReason::MediaTimeout, silent_at > open_at)
        } else {
            (last + limits.offer_timeout, EndReason::OfferTimeout, false)
        };
        let final_at = limits.final_timeout.map(|limit| call.created + limit).filter(|at| *at <= silent_at);
        let (due, reason) = final_at.map_or((silent_at, reason), |at| (at, EndReason::FinalTimeout));
        if due > self.now {
            self.timers.set(&mut call.deadlines, key, Timer::Activity, Some(due));
            return;
        }
        let counters = &mut self.counters;
        counters.calls_timed_out += 1;
        match reason {
            EndReason::OfferTimeout => counters.timed_out_offer += 1,
            EndReason::FinalTimeout => counters.timed_out_final += 1,
            _ => counters.timed_out_silent += u64::from(on_hold),
        }
        self.end_call(key, reason);
    }
}

/// That a deadline passed, as the simulation counts it.
const fn way(timer: Timer) -> Way {
    match timer {
        Timer::Lease => Way::TimerLease,
        Timer::Remove => Way::TimerRemove,
        Timer::Activity => Way::TimerActivity,
        Timer::Report => Way::TimerReport,
        Timer::Watch => Way::TimerWatch,
        Timer::Rtcp => Way::TimerRtcp,
        Timer::Ice => Way::TimerIce,
        Timer::Handshake => Way::TimerHandshake,
    }
}
