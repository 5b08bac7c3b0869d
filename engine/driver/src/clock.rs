//! The clock: read once per batch, shared by all threads of the process.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds of the monotonic clock since the process first asked.
    pub monotonic_ns: u64,
    /// Milliseconds of the wall clock since the Unix epoch; it may jump.
    pub wall_ms: u64,
}

/// Where time comes from.
pub struct Clock;

impl Clock {
    /// Reads both clocks.
    pub fn now() -> Now {
        Now { monotonic_ns: Self::monotonic_ns(), wall_ms: Self::wall_ms() }
    }

    /// Nanoseconds of the monotonic clock since the process first asked.
    pub fn monotonic_ns() -> u64 {
        let since = Self::start().elapsed();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment from which [`monotonic_ns`](Self::monotonic_ns) counts.
    pub fn start() -> Instant {
        *START.get_or_init(Instant::now)
    }

    /// Processor time of the calling thread, in nanoseconds; 0 if the kernel does not tell.
    pub fn thread_cpu_ns() -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a timespec of this function, and the kernel writes it during the call only.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
        if result != 0 { 0 } else { seconds.unwrap_or(0) * 1_000_000_000 + nanoseconds.unwrap_or(0) }
    }

    /// Milliseconds of the wall clock since the Unix epoch; 0 before it.
    pub fn wall_ms() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The instant all threads count from.
static START: OnceLock<Instant> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_uses_processor_time() {
        let before = Clock::thread_cpu_ns();
        let began = Clock::monotonic_ns();
        while Clock::thread_cpu_ns() == before {
            assert!(Clock::monotonic_ns() - began < 60_000_000_000, "a minute of work takes no time");
        }
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = Clock::now();
        let second = Clock::now();
        assert!(second.monotonic_ns >= first.monotonic_ns);
        assert!(first.wall_ms > 1_600_000_000_000, "the machine's clock is set");
    }
}
