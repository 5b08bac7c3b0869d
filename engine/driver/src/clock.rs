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
        let since = START.get_or_init(Instant::now).elapsed();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
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
    fn the_monotonic_clock_does_not_go_back() {
        let first = Clock::now();
        let second = Clock::now();
        assert!(second.monotonic_ns >= first.monotonic_ns);
        assert!(first.wall_ms > 1_600_000_000_000, "the machine's clock is set");
    }
}
