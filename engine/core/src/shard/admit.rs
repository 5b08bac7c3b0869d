//! Whether a new call is taken. Whoever asks for one in vain is told why, and so is who reads the events.

use std::time::Duration;

use ng::{Event, EventKind, Refusal};
use rtp::units::Instant;

use super::Shard;
use crate::{
    config::LiveConfig,
    io::Output,
    sim::{self, Way},
};

/// What keeps new calls out, and what was told of it.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// Found outside: the load of the machine, or that the engine is to end.
    closed: Option<Refusal>,
    /// Calls refused since the last event about it.
    untold: u64,
    /// No event before this.
    quiet_until: Option<Instant>,
}

/// At most one event about refused calls in this time: a client that fails over at once tries often.
const TOLD_EVERY: Duration = Duration::from_secs(1);

impl Shard {
    pub(super) fn on_admission(&mut self, closed: Option<Refusal>) {
        self.admission.closed = closed;
        self.with_turn(|turn, _| turn.close(closed.is_some()));
    }

    /// Other settings. Calls that are there are judged by the new times at once.
    pub(super) fn on_live(&mut self, live: LiveConfig) {
        sim::seen(Way::Reloaded);
        self.sockets.replace_interfaces(&live.interfaces);
        self.tos = live.tos;
        self.media_networks = live.media_networks;
        self.learn_strict = live.learn_strict;
        self.providers = live.providers;
        self.limits = live.limits;
        if let Some(live) = live.turn {
            self.with_turn(|turn, cx| turn.on_live(*live, cx.sockets));
        }
        for key in self.calls.iter().map(|(key, _)| key).collect::<Vec<_>>() {
            self.timed = Some(key);
            self.on_activity_check(key);
        }
        self.timed = None;
    }

    /// Why a new call is not taken now, if it is not.
    pub(super) fn closed_to_calls(&self) -> Option<Refusal> {
        let full = (self.calls.len() >= self.limits.calls_max).then_some(Refusal::Sessions);
        self.admission.closed.filter(|closed| *closed == Refusal::Draining).or(full).or(self.admission.closed)
    }

    /// Refuses a new call.
    pub(super) fn refuse_call(&mut self, id: u64, call_id: &str, reason: Refusal, supports_load_limit: bool) {
        self.note_refusal(call_id, reason);
        self.counters.commands_refused += 1;
        self.reply(id, reason.reply(supports_load_limit));
    }

    /// Counts a call that was refused, and says so unless that was said a moment ago.
    pub(super) fn note_refusal(&mut self, call_id: &str, reason: Refusal) {
        self.counters.refused(reason);
        let admission = &mut self.admission;
        admission.untold += 1;
        if admission.quiet_until.is_some_and(|until| self.now < until) {
            return;
        }
        admission.quiet_until = Some(self.now + TOLD_EVERY);
        let calls = std::mem::take(&mut admission.untold);
        self.outputs.push_back(Output::Event(Box::new(Event {
            sequence: 0,
            call_id: call_id.to_owned(),
            owner: None,
            wall_ms: self.wall_ms,
            kind: EventKind::Refused { reason, calls },
        })));
    }
}
