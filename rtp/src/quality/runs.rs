//! Lost packets and the runs they come in, in constant memory.

/// What became of the packets of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Packets that should have been there.
    pub expected: u64,
    /// Those that were not there when they were to be played.
    pub lost: u64,
    /// Runs of consecutive ones among them.
    pub runs: u64,
}

impl Losses {
    /// Both, one after the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            expected: self.expected + other.expected,
            lost: self.lost + other.lost,
            runs: self.runs + other.runs,
        }
    }

    /// What came since `before`, which was read from the same stream earlier.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            expected: self.expected.saturating_sub(before.expected),
            lost: self.lost.saturating_sub(before.lost),
            runs: self.runs.saturating_sub(before.runs),
        }
    }

    /// Share of the packets that was lost, from 0 to 1.
    pub fn share(self) -> f64 {
        if self.expected == 0 { 0.0 } else { count(self.lost.min(self.expected)) / count(self.expected) }
    }

    /// How much longer the runs are than random loss of the same share makes them: 1 is random,
    /// more is bursty (G.107 §3.5). At random a run has 1 / (1 − share) packets on average.
    pub fn burst_ratio(self) -> f64 {
        if self.runs == 0 {
            return 1.0;
        }
        (count(self.lost) / count(self.runs) * (1.0 - self.share())).clamp(1.0, BURST_RATIO_MAX)
    }
}

/// The largest burst ratio for which G.107 was tested (its Table 2).
const BURST_RATIO_MAX: f64 = 8.0;

/// Counts are far below 2^52, where an `f64` is exact.
#[expect(clippy::cast_precision_loss, reason = "a stream has fewer than 2^52 packets")]
const fn count(packets: u64) -> f64 {
    packets as f64
}

/// Runs of lost packets of one source.
///
/// Whether a packet was lost is decided when 64 numbers have passed it, so that one that is
/// merely out of order makes no run.
///
/// # Memory
/// One value of fixed size, whatever arrives.
#[derive(Debug, Clone)]
pub struct LossRuns {
    /// Bit n: number `highest - n` arrived in time to be played.
    played: u64,
    /// How many of those bits are about numbers since the first packet.
    pending: u32,
    /// The last number that was decided was lost.
    in_run: bool,
    decided: Losses,
}

impl LossRuns {
    /// A source whose first packet arrived.
    pub const fn new() -> Self {
        Self { played: 1, pending: 1, in_run: false, decided: Losses { expected: 0, lost: 0, runs: 0 } }
    }

    /// A packet arrived that is `ahead` numbers ahead of all before it, and can be played or not.
    ///
    /// # Cost
    /// Constant for each number that it moves, at most 64 of them.
    pub fn advance(&mut self, ahead: u64, played: bool) {
        if ahead == 1 && self.pending == u64::BITS {
            // What nearly every packet does.
            let oldest = self.played >> (u64::BITS - 1) == 1;
            self.decide(oldest, 1);
            self.played = self.played << 1 | u64::from(played);
            return;
        }
        let steps = u32::try_from(ahead).unwrap_or(u32::MAX).min(u64::BITS);
        for _number in 0..steps {
            if self.pending == u64::BITS {
                let oldest = self.played >> (u64::BITS - 1) == 1;
                self.decide(oldest, 1);
            } else {
                self.pending += 1;
            }
            self.played <<= 1;
        }
        // Farther than the window: what lies between was lost for certain.
        let beyond = ahead - u64::from(steps);
        if beyond > 0 {
            self.decide(false, beyond);
        }
        self.played |= u64::from(played);
    }

    /// A packet arrived that is `behind` numbers behind the highest. One that is out of the window
    /// stays lost.
    pub fn fill(&mut self, behind: u64, played: bool) {
        let Some(behind) = u32::try_from(behind).ok().filter(|&behind| behind < u64::BITS) else { return };
        // Before the first: the source began earlier than was seen.
        if self.decided.expected == 0 {
            self.pending = self.pending.max(behind + 1);
        }
        if behind < self.pending {
            self.played |= u64::from(played) << behind;
        }
    }

    /// What was lost so far. A number that is still awaited counts as lost.
    pub fn losses(&self) -> Losses {
        let mut whole = self.clone();
        for bit in (0..self.pending).rev() {
            whole.decide(self.played >> bit & 1 == 1, 1);
        }
        whole.decided
    }

    fn decide(&mut self, played: bool, numbers: u64) {
        self.decided.expected += numbers;
        if !played {
            self.decided.lost += numbers;
            self.decided.runs += u64::from(!self.in_run);
        }
        self.in_run = !played;
    }
}

impl Default for LossRuns {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The losses of a pattern of arrivals, read at its end.
    fn of(arrived: &[bool]) -> Losses {
        let mut runs = LossRuns::new();
        let mut ahead = 0;
        for &arrived in arrived {
            ahead += 1;
            if arrived {
                runs.advance(ahead, true);
                ahead = 0;
            }
        }
        runs.losses()
    }

    #[test]
    fn runs_are_counted_across_the_window() {
        let pattern: Vec<bool> = (0..1000).map(|n| n % 10 > 2).chain([true]).collect();
        let losses = of(&pattern);
        assert_eq!(losses, Losses { expected: 1002, lost: 300, runs: 100 });
        assert!((losses.burst_ratio() - 3.0 * (1.0 - 300.0 / 1002.0)).abs() < 1e-9);
    }

    #[test]
    fn packet_out_of_order_makes_no_run_and_one_too_late_does() {
        let mut runs = LossRuns::new();
        runs.advance(2, true);
        assert_eq!(runs.losses(), Losses { expected: 3, lost: 1, runs: 1 });
        runs.fill(1, true);
        assert_eq!(runs.losses(), Losses { expected: 3, lost: 0, runs: 0 });
        runs.advance(1, false);
        runs.advance(1, true);
        assert_eq!(runs.losses(), Losses { expected: 5, lost: 1, runs: 1 });
    }

    #[test]
    fn source_that_began_earlier_than_seen_counts_from_there() {
        let mut runs = LossRuns::new();
        runs.fill(2, true);
        assert_eq!(runs.losses(), Losses { expected: 3, lost: 1, runs: 1 });
    }

    #[test]
    fn even_loss_is_not_less_than_random() {
        let losses = Losses { expected: 100, lost: 50, runs: 50 };
        assert!((losses.burst_ratio() - 1.0).abs() < 1e-9);
        assert!((Losses::default().burst_ratio() - 1.0).abs() < 1e-9);
        assert!((Losses { expected: 100, lost: 90, runs: 1 }.burst_ratio() - 8.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn agrees_with_counting_the_whole_pattern(pattern in proptest::collection::vec(any::<bool>(), 0..400)) {
            let mut pattern = pattern;
            pattern.push(true);
            let losses = of(&pattern);
            let lost = pattern.iter().filter(|arrived| !**arrived).count() as u64;
            let starts = std::iter::once(true).chain(pattern.iter().copied()).zip(&pattern);
            let runs = starts.filter(|&(before, &now)| before && !now).count() as u64;
            prop_assert_eq!(losses, Losses { expected: pattern.len() as u64 + 1, lost, runs });
        }

        #[test]
        fn nothing_is_lost_that_was_not_expected(steps in proptest::collection::vec((0u64..5000, any::<bool>(), any::<bool>()), 0..200)) {
            let mut runs = LossRuns::new();
            for (distance, ahead, played) in steps {
                if ahead { runs.advance(distance.max(1), played) } else { runs.fill(distance, played) }
                let losses = runs.losses();
                prop_assert!(losses.runs <= losses.lost && losses.lost <= losses.expected);
            }
        }
    }
}
