//! Latencies in buckets that grow by a sixteenth: constant memory, and a quantile within about 6 %.

/// A histogram of nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// Buckets per doubling.
const STEPS: u32 = 16;

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: vec![0; 64 * STEPS as usize], count: 0 }
    }
}

impl Histogram {
    /// Counts one latency.
    pub fn add(&mut self, nanoseconds: u64) {
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (own, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += theirs;
        }
        self.count += other.count;
    }

    /// The latency in nanoseconds that `per_mille` of a thousand stay at or below; 0 if nothing was counted.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return lower_bound(index);
            }
        }
        0
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let value = nanoseconds.max(u64::from(STEPS));
    let doubling = value.ilog2();
    let step = (value >> (doubling - 4)) & 15;
    (doubling * STEPS) as usize + usize::try_from(step).unwrap_or(0)
}

fn lower_bound(index: usize) -> u64 {
    let doubling = index / STEPS as usize;
    let step = index as u64 % u64::from(STEPS);
    (u64::from(STEPS) + step) << doubling.saturating_sub(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_sixteenth() {
        let mut histogram = Histogram::default();
        for value in 1..=1000u64 {
            histogram.add(value * 1000);
        }
        for per_mille in [500, 990, 999] {
            let exact = per_mille * 1000;
            let found = histogram.quantile(per_mille);
            assert!(found <= exact && found * 17 >= exact * 16 - exact / 8, "{per_mille}: {found}");
        }
        assert_eq!(Histogram::default().quantile(500), 0);
    }
}
