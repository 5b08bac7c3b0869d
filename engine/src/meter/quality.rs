//! Opinion scores and jitter as histograms, from buckets that the shard has counted already.
//!
//! They are counters named as Prometheus names a histogram's (`…_bucket` with `le`, `…_sum`,
//! `…_count`), since the exporter's own histograms want every value one by one.

use engine_core::{JITTER_BOUNDS_MS, MOS_BOUNDS};
use metrics::Counter;

use super::Growth;

/// The histograms of one worker.
pub(super) struct QualityMeter {
    mos: Histogram,
    jitter: Histogram,
}

impl QualityMeter {
    pub(super) fn new(worker: &str) -> Self {
        Self {
            mos: Histogram::new("tollgate_engine_mos_x100", worker, &MOS_BOUNDS),
            jitter: Histogram::new("tollgate_engine_jitter_ms", worker, &JITTER_BOUNDS_MS),
        }
    }

    pub(super) fn flush(&mut self, shard: &engine_core::Counters) {
        self.mos.flush(&shard.mos_buckets, shard.mos_sum_x100);
        self.jitter.flush(&shard.jitter_buckets, shard.jitter_sum_ms);
    }
}

/// One histogram.
struct Histogram(Growth);

impl Histogram {
    fn new(name: &str, worker: &str, bounds: &[u16]) -> Self {
        let bucket = |bound: String| -> Counter {
            metrics::counter!(format!("{name}_bucket"), "worker" => worker.to_owned(), "le" => bound)
        };
        let one = |suffix: &str| metrics::counter!(format!("{name}_{suffix}"), "worker" => worker.to_owned());
        let bounds = bounds.iter().map(u16::to_string).chain(["+Inf".to_owned()]);
        Self(Growth::new(bounds.map(bucket).chain([one("count"), one("sum")]).collect()))
    }

    /// Buckets as the shard counts them, each value in one of them.
    fn flush(&mut self, buckets: &[u64], sum: u64) {
        let total = buckets.iter().sum();
        self.0.flush(cumulative(buckets).chain([total, sum]));
    }
}

/// Prometheus counts a value in every bucket whose bound it does not exceed.
fn cumulative(buckets: &[u64]) -> impl Iterator<Item = u64> {
    buckets.iter().scan(0, |below, count| {
        *below += count;
        Some(*below)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn buckets_grow_with_their_bounds() {
        assert_eq!(super::cumulative(&[1, 0, 2]).collect::<Vec<_>>(), [1, 1, 3]);
    }
}
