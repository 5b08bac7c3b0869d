//! Opinion scores and jitter as histograms, from buckets that the shard has counted already.

use std::sync::Arc;

use engine_core::{JITTER_BOUNDS_MS, MOS_BOUNDS};

use crate::histogram::{Histograms, Series};

/// The histograms of one worker.
pub(super) struct QualityMeter {
    mos: Arc<Series>,
    jitter: Arc<Series>,
}

impl QualityMeter {
    pub(super) fn new(worker: &str, histograms: &Histograms) -> Self {
        let register = |name, help, bounds: &[u16], scale: f64, divisor: f64| {
            let bounds: Vec<f64> = bounds.iter().map(|bound| f64::from(*bound) / divisor).collect();
            histograms.register(name, help, ("worker", worker), &bounds, scale)
        };
        Self {
            mos: register(
                "tollgate_engine_mos",
                "Opinion score of each interval of each stream (ITU-T G.107).",
                &MOS_BOUNDS,
                0.01,
                100.0,
            ),
            jitter: register(
                "tollgate_engine_jitter_seconds",
                "Jitter of each interval of each stream (RFC 3550).",
                &JITTER_BOUNDS_MS,
                0.001,
                1000.0,
            ),
        }
    }

    pub(super) fn flush(&mut self, shard: &engine_core::Counters) {
        self.mos.set(shard.mos_buckets.iter().copied(), shard.mos_sum_x100);
        self.jitter.set(shard.jitter_buckets.iter().copied(), shard.jitter_sum_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_seconds_stand_on_the_page() {
        let histograms = Histograms::default();
        let mut meter = QualityMeter::new("0", &histograms);
        let mut counters = engine_core::Counters::default();
        counters.mos_buckets[4] = 2;
        counters.mos_sum_x100 = 850;
        counters.jitter_buckets[0] = 1;
        counters.jitter_sum_ms = 2;
        meter.flush(&counters);
        let mut page = String::new();
        histograms.render(&mut page);
        for line in [
            "tollgate_engine_mos_bucket{worker=\"0\",le=\"4.03\"} 0",
            "tollgate_engine_mos_bucket{worker=\"0\",le=\"4.34\"} 2",
            "tollgate_engine_mos_sum{worker=\"0\"} 8.5",
            "tollgate_engine_jitter_seconds_bucket{worker=\"0\",le=\"0.002\"} 1",
            "tollgate_engine_jitter_seconds_sum{worker=\"0\"} 0.002",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}
