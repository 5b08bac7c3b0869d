//! The armed timers of all transactions, ordered by their time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::machine::{Action, Timer};
use super::timers::Timers;
use super::{ClientKey, ServerKey};

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Client(ClientKey),
    Server(ServerKey),
}

/// At most one entry per transaction and timer name.
#[derive(Debug, Default)]
pub(super) struct Clock(BTreeSet<(Instant, Owner, Timer)>);

/// The timers one transaction has armed.
#[derive(Debug, Default)]
pub(super) struct Armed(Vec<(Timer, Instant)>);

impl Clock {
    pub(super) fn arm(&mut self, armed: &mut Armed, owner: Owner, timer: Timer, at: Instant) {
        self.disarm(armed, owner, timer);
        armed.0.push((timer, at));
        self.0.insert((at, owner, timer));
    }

    pub(super) fn disarm(&mut self, armed: &mut Armed, owner: Owner, timer: Timer) {
        if let Some(index) = armed.0.iter().position(|(t, _)| *t == timer) {
            let (timer, at) = armed.0.swap_remove(index);
            self.0.remove(&(at, owner, timer));
        }
    }

    pub(super) fn disarm_all(&mut self, armed: &mut Armed, owner: Owner) {
        for (timer, at) in armed.0.drain(..) {
            self.0.remove(&(at, owner, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _, _)| *at)
    }

    /// Takes out the earliest timer that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Owner, Timer)> {
        if self.next()? > now {
            return None;
        }
        let (_, owner, timer) = self.0.pop_first()?;
        Some((owner, timer))
    }
}

pub(super) fn duration(timers: &Timers, timer: Timer, is_invite: bool) -> Duration {
    match timer {
        Timer::A | Timer::E | Timer::G => timers.t1,
        Timer::I | Timer::K => timers.t4,
        Timer::D => timers.d(),
        Timer::Trying if is_invite => timers.trying_delay,
        Timer::Trying => timers.late_100(),
        Timer::B | Timer::F | Timer::H | Timer::J | Timer::L | Timer::M | Timer::Cancel => timers.t1_64(),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of one transaction and of the layer, borrowed apart"
)]
pub(super) fn run_timer(
    timers: &Timers,
    clock: &mut Clock,
    armed: &mut Armed,
    owner: Owner,
    interval: &mut Duration,
    now: Instant,
    action: Action,
    is_invite: bool,
) {
    match action {
        Action::Start(timer) => {
            let after = duration(timers, timer, is_invite);
            if matches!(timer, Timer::A | Timer::E | Timer::G) {
                *interval = after;
            }
            clock.arm(armed, owner, timer, now + after);
        }
        Action::Backoff(timer) => {
            // Timer A doubles without end (§17.1.1.2); E and G stop at T2.
            *interval = if timer == Timer::A { *interval * 2 } else { timers.next_interval(*interval) };
            clock.arm(armed, owner, timer, now + *interval);
        }
        Action::SlowDown(timer) => clock.arm(armed, owner, timer, now + timers.t2),
        Action::Stop(timer) => clock.disarm(armed, owner, timer),
        _ => {}
    }
}
