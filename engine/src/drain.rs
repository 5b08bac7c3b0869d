//! The end of an engine: SIGTERM lets live calls finish, a second signal or the time limit ends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::Sender;
use driver::Signal;

/// What may bring the end nearer.
#[derive(Debug)]
pub(crate) enum Ending {
    /// A signal came to the process.
    Signal(Signal),
    /// A worker that was told to drain has no call left.
    Idle,
    /// A thread ended by itself.
    Thread {
        /// Which.
        name: String,
        /// Its last words.
        reason: String,
    },
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Wait,
    /// Take no new call.
    Drain,
    /// Read the configuration again.
    Reload,
    /// End whatever is left.
    End(&'static str),
    /// The same, because we failed.
    Fail {
        /// The thread that ended by itself.
        name: String,
        /// Its last words.
        reason: String,
    },
}

/// How far an engine is on its way out.
#[derive(Debug)]
pub(crate) struct Leaving {
    limit: Duration,
    /// Workers that have calls, as far as is known.
    busy: u16,
    /// When the wait ends, once it has begun.
    until_ns: Option<u64>,
}

impl Leaving {
    /// An engine of `workers` that waits for its calls so long at most.
    pub(crate) fn new(workers: u16, limit: Duration) -> Self {
        Self { limit, busy: workers, until_ns: None }
    }

    /// Another limit, for a wait that has not begun.
    pub(crate) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// When the wait for the calls is over.
    pub(crate) fn until_ns(&self) -> Option<u64> {
        self.until_ns
    }

    /// Something happened at `now_ns`.
    pub(crate) fn on(&mut self, now_ns: u64, ending: Ending) -> Next {
        match (ending, self.until_ns) {
            (Ending::Thread { name, reason }, _) => Next::Fail { name, reason },
            (Ending::Signal(Signal::HangUp), _) => Next::Reload,
            // Whoever types Ctrl-C waits for the prompt, not for calls.
            (Ending::Signal(Signal::Interrupt), None) => Next::End("SIGINT"),
            (Ending::Signal(Signal::Terminate), None) => {
                let limit = u64::try_from(self.limit.as_nanos()).unwrap_or(u64::MAX);
                self.until_ns = Some(now_ns.saturating_add(limit));
                Next::Drain
            }
            (Ending::Signal(Signal::Terminate | Signal::Interrupt), Some(_)) => Next::End("a second signal"),
            (Ending::Idle, _) => {
                self.busy = self.busy.saturating_sub(1);
                if self.busy == 0 { Next::End("no call is left") } else { Next::Wait }
            }
        }
    }

    /// Whether the wait is over at `now_ns`.
    pub(crate) fn on_time(&self, now_ns: u64) -> Next {
        match self.until_ns {
            Some(until_ns) if until_ns <= now_ns => Next::End("drain-timeout"),
            _ => Next::Wait,
        }
    }
}

/// Says once, after a worker was told to drain, that it has no call left.
#[derive(Debug)]
pub(crate) struct Farewell {
    ended: Sender<Ending>,
    asked: bool,
}

impl Farewell {
    /// Of a worker that was not told yet.
    pub(crate) fn new(ended: Sender<Ending>) -> Self {
        Self { ended, asked: false }
    }

    /// The worker takes no new call from now on.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// The worker has so many calls. Never blocks: what finds no room is said the next time.
    pub(crate) fn tell(&mut self, calls: usize) {
        if self.asked && calls == 0 {
            self.asked = self.ended.try_send(Ending::Idle).is_err();
        }
    }
}

/// Whether new calls should come here at all: for whoever answers a load balancer. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// False from the moment the engine drains.
    pub fn is_ready(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    /// The engine is about to end.
    pub(crate) fn drain(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Ending = Ending::Signal(Signal::Terminate);

    fn leaving(workers: u16) -> Leaving {
        Leaving::new(workers, Duration::from_nanos(100))
    }

    #[test]
    fn calls_may_finish_until_the_last_worker_is_idle() {
        let mut leaving = leaving(2);
        assert_eq!(leaving.on(5, Ending::Signal(Signal::HangUp)), Next::Reload);
        assert_eq!(leaving.on(5, TERM), Next::Drain);
        assert_eq!(leaving.on(6, Ending::Idle), Next::Wait);
        assert_eq!((leaving.until_ns(), leaving.on_time(104)), (Some(105), Next::Wait));
        assert_eq!(leaving.on(104, Ending::Idle), Next::End("no call is left"));
    }

    #[test]
    fn the_time_limit_or_a_second_signal_ends_the_wait() {
        let mut one = leaving(1);
        assert_eq!((one.until_ns(), one.on_time(u64::MAX)), (None, Next::Wait), "nobody waits yet");
        one.on(5, TERM);
        assert_eq!(one.on_time(105), Next::End("drain-timeout"));
        assert_eq!(one.on(6, TERM), Next::End("a second signal"));
        assert_eq!(one.on(6, Ending::Signal(Signal::Interrupt)), Next::End("a second signal"));
    }

    #[test]
    fn an_interrupt_and_a_failure_end_at_once() {
        assert_eq!(leaving(1).on(0, Ending::Signal(Signal::Interrupt)), Next::End("SIGINT"));
        let failure = Ending::Thread { name: "worker-0".to_owned(), reason: "a panic".to_owned() };
        assert!(matches!(leaving(1).on(0, failure), Next::Fail { .. }));
    }

    #[test]
    fn a_worker_says_once_that_it_is_idle_and_again_only_if_nobody_heard() {
        let (ended, endings) = crossbeam::channel::bounded(1);
        let mut farewell = Farewell::new(ended);
        farewell.tell(0);
        farewell.ask();
        farewell.tell(3);
        assert!(endings.is_empty());
        farewell.ended.send(TERM).expect("room for one");
        farewell.tell(0);
        assert!(matches!(endings.recv(), Ok(Ending::Signal(_))));
        farewell.tell(0);
        farewell.tell(0);
        assert!(matches!(endings.recv(), Ok(Ending::Idle)) && endings.is_empty());
    }
}
