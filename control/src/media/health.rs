//! Whether an engine lives, from its answers to pings. No socket, no clock.

use std::time::{Duration, Instant};

/// Pings in a row that may stay unanswered before the engine is down.
const MISSED_MAX: u32 = 2;

/// How long the kernel may report a closed port before the engine is down: an
/// engine that is started again within it has only a new instance.
const REFUSED_MAX: Duration = Duration::from_millis(1_500);

/// Time between two pings while the port is closed.
const REFUSED_PING: Duration = Duration::from_millis(250);

/// A change worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It answers, for the first time or again, or as another process.
    Up {
        /// The process.
        instance: String,
    },
    /// It does not answer any more.
    Down,
}

/// One engine's state.
///
/// An engine nobody has heard of yet is neither up nor down. The longest time
/// from the death of a process to `Down` is three intervals, or [`REFUSED_MAX`]
/// and an interval where the kernel says that nobody listens.
#[derive(Debug)]
pub(super) struct Health {
    interval: Duration,
    instance: Option<String>,
    next_ping: Instant,
    unanswered: bool,
    missed: u32,
    refused_since: Option<Instant>,
    down: bool,
}

impl Health {
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            instance: None,
            next_ping: now,
            unanswered: false,
            missed: 0,
            refused_since: None,
            down: false,
        }
    }

    /// The process that answered last, unless it is down.
    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Whether it has stopped answering.
    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.next_ping
    }

    /// At the deadline: whether it changed, and true if a ping is to be sent now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> (Option<Change>, bool) {
        if now < self.next_ping {
            return (None, false);
        }
        // A closed port has a patience of its own: its pings come faster.
        if self.unanswered && self.refused_since.is_none() {
            self.missed += 1;
        }
        let refused = self.refused_since.is_some_and(|since| now - since >= REFUSED_MAX);
        let change = if refused || self.missed >= MISSED_MAX { self.fall() } else { None };
        self.unanswered = true;
        let wait = if self.refused_since.is_some() && !self.down {
            self.interval.min(REFUSED_PING)
        } else {
            self.interval
        };
        self.next_ping = now + wait;
        (change, true)
    }

    /// A pong of the process `instance`.
    pub(super) fn pong(&mut self, instance: &str) -> Option<Change> {
        self.unanswered = false;
        self.missed = 0;
        self.refused_since = None;
        self.down = false;
        if self.instance.as_deref() == Some(instance) {
            return None;
        }
        self.instance = Some(instance.to_owned());
        Some(Change::Up { instance: instance.to_owned() })
    }

    /// The kernel says that nobody listens on the port.
    pub(super) fn refused(&mut self, now: Instant) {
        if self.refused_since.is_none() {
            self.refused_since = Some(now);
            self.next_ping = self.next_ping.min(now + REFUSED_PING);
        }
    }

    fn fall(&mut self) -> Option<Change> {
        self.instance = None;
        let fell = !self.down;
        self.down = true;
        fell.then_some(Change::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(700);

    fn up(instance: &str) -> Option<Change> {
        Some(Change::Up { instance: instance.to_owned() })
    }

    #[test]
    fn a_silent_death_is_found_within_three_intervals() {
        let start = Instant::now();
        let mut health = Health::new(start, INTERVAL);
        assert_eq!(health.handle_timeout(start), (None, true));
        assert_eq!(health.pong("a"), up("a"));
        let (now, change) = loop {
            let now = health.next_deadline();
            if let (Some(change), _) = health.handle_timeout(now) {
                break (now, change);
            }
        };
        assert_eq!(change, Change::Down);
        assert_eq!(now - start, 3 * INTERVAL);
        assert!(health.is_down() && health.instance().is_none());
        assert_eq!(health.handle_timeout(now + INTERVAL), (None, true), "told once, pinged on");
        assert_eq!(health.pong("a"), up("a"), "the same process is back");
    }

    #[test]
    fn a_closed_port_is_found_sooner_than_silence() {
        let start = Instant::now();
        let mut health = Health::new(start, Duration::from_secs(30));
        health.handle_timeout(start);
        health.pong("a");
        let died = start + Duration::from_secs(1);
        health.refused(died);
        let mut now = died;
        while !health.is_down() {
            now = health.next_deadline();
            health.handle_timeout(now);
            health.refused(now);
        }
        assert!((REFUSED_MAX..=REFUSED_MAX + REFUSED_PING).contains(&(now - died)), "{:?}", now - died);
    }

    #[test]
    fn a_restart_is_another_instance_and_one_lost_pong_is_nothing() {
        let start = Instant::now();
        let mut health = Health::new(start, INTERVAL);
        health.handle_timeout(start);
        assert_eq!(health.pong("a"), up("a"));
        health.handle_timeout(start + INTERVAL);
        assert_eq!(health.handle_timeout(start + 2 * INTERVAL), (None, true));
        assert_eq!(health.pong("a"), None);
        assert_eq!(health.pong("b"), up("b"));
    }

    #[test]
    fn an_engine_never_heard_of_goes_down_once() {
        let start = Instant::now();
        let mut health = Health::new(start, INTERVAL);
        let changes: Vec<_> =
            (0..6).filter_map(|step| health.handle_timeout(start + step * INTERVAL).0).collect();
        assert_eq!(changes, [Change::Down]);
    }
}
