//! Deadlines of calls: an enum and one ordered table.

use std::collections::BTreeSet;

use rtp::units::Instant;

use crate::call::CallKey;

/// What a deadline of a call is about. Of each a call has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The owner's lease runs out (`adr/0006-a-lease-ends-a-call-nobody-drives.md`).
    Lease,
    /// Parties that were deleted go for good.
    Remove,
    /// Is any packet still arriving?
    Activity,
    /// The owner hears the counters.
    Report,
    /// Streams are rated, and what is wrong with the media is looked for.
    Watch,
    /// Reports of our own are due.
    Rtcp,
    /// Checks of ICE are due.
    Ice,
    /// Handshakes are to be repeated, or given up.
    Handshake,
}

impl Timer {
    pub(crate) const ALL: [Self; 8] = [
        Self::Lease,
        Self::Remove,
        Self::Activity,
        Self::Report,
        Self::Watch,
        Self::Rtcp,
        Self::Ice,
        Self::Handshake,
    ];

    pub(crate) const COUNT: usize = Self::ALL.len();
}

/// When each deadline of one call is due; kept by the call, in step with [`Timers`].
pub(crate) type Deadlines = [Option<Instant>; Timer::COUNT];

/// The deadlines of all calls, in order of time. At most [`Timer::COUNT`] per call.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, CallKey, Timer)>,
}

impl Timers {
    /// Moves a deadline; `None` takes it away.
    pub(crate) fn set(
        &mut self,
        deadlines: &mut Deadlines,
        call: CallKey,
        timer: Timer,
        at: Option<Instant>,
    ) {
        let deadline = &mut deadlines[timer as usize];
        if let Some(before) = deadline.take() {
            self.due.remove(&(before, call, timer));
        }
        if let Some(at) = at {
            self.due.insert((at, call, timer));
            *deadline = Some(at);
        }
    }

    /// Takes away every deadline of a call.
    pub(crate) fn clear(&mut self, deadlines: &mut Deadlines, call: CallKey) {
        for timer in Timer::ALL {
            self.set(deadlines, call, timer, None);
        }
    }

    /// Takes over the deadlines that a call had elsewhere.
    pub(crate) fn restore(&mut self, deadlines: &mut Deadlines, call: CallKey, before: &Deadlines) {
        for timer in Timer::ALL {
            self.set(deadlines, call, timer, before[timer as usize]);
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|&(at, ..)| at)
    }

    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// The earliest deadline that is due. It stays in the table until it is set anew.
    pub(crate) fn due(&self, now: Instant) -> Option<(CallKey, Timer)> {
        self.due.first().filter(|&&(at, ..)| at <= now).map(|&(_, call, timer)| (call, timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_move() {
        let (mut timers, mut one, mut two) = (Timers::default(), Deadlines::default(), Deadlines::default());
        let (first, second) = (CallKey(1), CallKey(2));
        let at = Instant::from_millis;
        timers.set(&mut one, first, Timer::Lease, Some(at(50)));
        timers.set(&mut two, second, Timer::Activity, Some(at(40)));
        assert_eq!(timers.next(), Some(at(40)));
        assert_eq!(timers.due(at(39)), None);
        assert_eq!(timers.due(at(40)), Some((second, Timer::Activity)));
        timers.set(&mut two, second, Timer::Activity, Some(at(60)));
        assert_eq!(timers.due(at(55)), Some((first, Timer::Lease)));
        timers.clear(&mut one, first);
        assert_eq!(timers.next(), Some(at(60)));
        timers.clear(&mut two, second);
        assert_eq!(timers.next(), None);
    }
}
