//! A limit on log lines that a peer can cause.

/// Lets one line through per interval and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval_ns: u64,
    next_ns: u64,
    suppressed: u64,
}

impl Throttle {
    /// One line per `seconds`.
    pub(crate) fn new(seconds: u64) -> Self {
        Self { interval_ns: seconds * 1_000_000_000, next_ns: 0, suppressed: 0 }
    }

    /// Whether a line may be written at `now_ns`; if so, how many were not since the last.
    pub(crate) fn allow(&mut self, now_ns: u64) -> Option<u64> {
        if now_ns < self.next_ns {
            self.suppressed += 1;
            return None;
        }
        self.next_ns = now_ns.saturating_add(self.interval_ns);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_interval_and_says_how_many_did_not() {
        let mut throttle = Throttle::new(10);
        assert_eq!(throttle.allow(0), Some(0));
        assert_eq!(throttle.allow(1), None);
        assert_eq!(throttle.allow(9_999_999_999), None);
        assert_eq!(throttle.allow(10_000_000_000), Some(2));
        assert_eq!(throttle.allow(20_000_000_000), Some(0));
    }
}
