//! The armed timers of all transactions, ordered by their time.

use std::collections::BTreeSet;
use std::time::Instant;

use super::machine::Timer;
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
