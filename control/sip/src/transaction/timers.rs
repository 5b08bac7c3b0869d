//! The base timers of [RFC 3261 §17, table 4] and what follows from them.
//!
//! [RFC 3261 §17, table 4]: https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.1

use std::time::Duration;

/// T1, T2, T4 and the delay of the automatic 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate (default 500 ms).
    pub t1: Duration,
    /// Longest interval between retransmissions (default 4 s).
    pub t2: Duration,
    /// Longest time a message stays in the network (default 5 s).
    pub t4: Duration,
    /// How long an INVITE waits for a response of the user before 100 Trying is
    /// sent (default 200 ms; zero sends it at once).
    pub trying_delay: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying_delay: Duration::from_millis(200),
        }
    }
}

impl Timers {
    /// 64*T1: timers B, F, H, J, L, M.
    #[must_use]
    pub fn t1_64(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D over an unreliable transport: at least 32 s by default, that is 64*T1.
    #[must_use]
    pub fn d(&self) -> Duration {
        self.t1_64()
    }

    /// The interval after `last`, doubling up to T2.
    #[must_use]
    pub fn next_interval(&self, last: Duration) -> Duration {
        (last * 2).min(self.t2)
    }

    /// When timer E of the client reaches T2: before that no 100 may answer a
    /// non-INVITE request over an unreliable transport (RFC 4320 §4.1).
    #[must_use]
    pub fn late_100(&self) -> Duration {
        let mut at = Duration::ZERO;
        let mut interval = self.t1.max(Duration::from_millis(1));
        while interval < self.t2 {
            at += interval;
            interval *= 2;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_100_comes_when_timer_e_reaches_t2() {
        assert_eq!(Timers::default().late_100(), Duration::from_millis(3500));
    }

    #[test]
    fn intervals_double_up_to_t2() {
        let timers = Timers::default();
        assert_eq!(timers.next_interval(timers.t1), Duration::from_secs(1));
        assert_eq!(timers.next_interval(Duration::from_secs(3)), timers.t2);
    }
}
