//! Histograms, and counters in fractions of a unit, that whoever counts keeps in plain integers and hands over whole from
//! time to time.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by powers of two: the first bucket holds values up to `2^FIRST`, each further one twice as much, and what is
/// beyond the last of `N` stands in the overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Powers<const FIRST: u32, const N: usize> {
    counts: [u64; N],
    beyond: u64,
    sum: u64,
}

impl<const FIRST: u32, const N: usize> Default for Powers<FIRST, N> {
    fn default() -> Self {
        Self { counts: [0; N], beyond: 0, sum: 0 }
    }
}

impl<const FIRST: u32, const N: usize> Powers<FIRST, N> {
    /// One more value. No division, no search.
    pub(crate) fn record(&mut self, value: u64) {
        self.sum = self.sum.saturating_add(value);
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        match self.counts.get_mut(bits.saturating_sub(FIRST) as usize) {
            Some(count) => *count += 1,
            None => self.beyond += 1,
        }
    }

    /// How many values there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.beyond
    }

    /// Their sum.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// The upper bounds of the buckets, in units of which a value's unit is `scale`.
    pub(crate) fn bounds(scale: f64) -> Vec<f64> {
        (0..N)
            .map(|index| 2_f64.powi(i32::try_from(index).unwrap_or(i32::MAX) + FIRST.cast_signed()) * scale)
            .collect()
    }
}

/// The histograms of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histograms(Arc<Mutex<Vec<Family>>>);

/// Histograms of one name.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    /// None of a counter.
    bounds: Option<Vec<f64>>,
    scale: f64,
    series: Vec<(String, Arc<Series>)>,
}

/// One histogram, as its owner last handed it over.
#[derive(Debug)]
pub(crate) struct Series {
    /// The last one is what lies beyond the bounds.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Series {
    /// Hands over what was counted since the start: `counts` by bucket, and the sum of the values.
    pub(crate) fn set(&self, counts: impl Iterator<Item = u64>, sum: u64) {
        for (place, count) in self.counts.iter().zip(counts) {
            place.store(count, Ordering::Relaxed);
        }
        self.sum.store(sum, Ordering::Relaxed);
    }

    /// The same of powers of two.
    pub(crate) fn set_powers<const FIRST: u32, const N: usize>(&self, powers: &Powers<FIRST, N>) {
        self.set(powers.counts.iter().copied().chain([powers.beyond]), powers.sum);
    }
}

impl Histograms {
    /// A series of the histogram `name`. Its values are handed over in a unit that is `scale` of the bounds' unit.
    pub(crate) fn register(
        &self,
        name: &'static str,
        help: &'static str,
        label: (&'static str, &str),
        bounds: &[f64],
        scale: f64,
    ) -> Arc<Series> {
        self.add(name, help, label, Some(bounds), scale)
    }

    /// A series of the counter `name`, handed over as a sum in a unit that is `scale` of the counter's.
    pub(crate) fn register_counter(
        &self,
        name: &'static str,
        help: &'static str,
        label: (&'static str, &str),
        scale: f64,
    ) -> Arc<Series> {
        self.add(name, help, label, None, scale)
    }

    fn add(
        &self,
        name: &'static str,
        help: &'static str,
        label: (&'static str, &str),
        bounds: Option<&[f64]>,
        scale: f64,
    ) -> Arc<Series> {
        let counts = (0..=bounds.map_or(0, <[f64]>::len)).map(|_| AtomicU64::new(0)).collect();
        let series = Arc::new(Series { counts, sum: AtomicU64::new(0) });
        let labelled = (format!("{}=\"{}\"", label.0, label.1), Arc::clone(&series));
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.series.push(labelled),
            None => {
                let bounds = bounds.map(<[f64]>::to_vec);
                families.push(Family { name, help, bounds, scale, series: vec![labelled] });
            }
        }
        series
    }

    /// Appends all of them as Prometheus reads them.
    pub(crate) fn render(&self, out: &mut String) {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Family { name, help, bounds, scale, series } in families.iter() {
            let kind = if bounds.is_some() { "histogram" } else { "counter" };
            let _infallible = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (label, series) in series {
                let sum = seconds(series.sum.load(Ordering::Relaxed), *scale);
                let Some(bounds) = bounds else {
                    let _infallible = writeln!(out, "{name}{{{label}}} {sum}");
                    continue;
                };
                let mut total = 0;
                let bounds = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(&series.counts) {
                    total += count.load(Ordering::Relaxed);
                    let _infallible = writeln!(out, "{name}_bucket{{{label},le=\"{bound}\"}} {total}");
                }
                let _infallible =
                    writeln!(out, "{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {total}");
            }
        }
    }
}

/// A sum in the bounds' unit.
fn seconds(sum: u64, scale: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a sum of a page needs no more than 53 bits")]
    let sum = sum as f64;
    sum * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_the_first_bucket_that_holds_it() {
        let mut powers = Powers::<1, 3>::default();
        assert_eq!(Powers::<1, 3>::bounds(1.0), [2.0, 4.0, 8.0]);
        for (value, bucket) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (8, 2)] {
            let before = powers.counts[bucket];
            powers.record(value);
            assert_eq!(powers.counts[bucket], before + 1, "{value}");
        }
        powers.record(9);
        powers.record(u64::MAX);
        assert_eq!((powers.beyond, powers.count(), powers.sum()), (2, 9, u64::MAX));
    }

    #[test]
    fn a_page_has_every_bucket_summed_up() {
        let histograms = Histograms::default();
        let series =
            histograms.register("t_seconds", "A test.", ("worker", "0"), &Powers::<0, 2>::bounds(0.5), 0.5);
        histograms.register("t_seconds", "A test.", ("worker", "1"), &Powers::<0, 2>::bounds(0.5), 0.5);
        let mut powers = Powers::<0, 2>::default();
        for value in [1, 2, 3] {
            powers.record(value);
        }
        series.set_powers(&powers);
        let mut page = String::new();
        histograms.render(&mut page);
        let expected = "# HELP t_seconds A test.\n# TYPE t_seconds histogram\n\
                        t_seconds_bucket{worker=\"0\",le=\"0.5\"} 1\nt_seconds_bucket{worker=\"0\",le=\"1\"} 2\n\
                        t_seconds_bucket{worker=\"0\",le=\"+Inf\"} 3\nt_seconds_sum{worker=\"0\"} 3\nt_seconds_count{worker=\"0\"} 3\n\
                        t_seconds_bucket{worker=\"1\",le=\"0.5\"} 0\n";
        assert!(page.starts_with(expected), "{page}");
    }
}
