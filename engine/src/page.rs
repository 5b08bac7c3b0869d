//! The page of metrics: an engine's own recorder, and the text that Prometheus reads.

use std::sync::Arc;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::histogram::Histograms;

/// The metrics of one engine. Nothing is kept in the process besides, so that two engines do not mix.
#[derive(Clone)]
pub(crate) struct Page {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    histograms: Histograms,
}

impl Page {
    /// An empty page.
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle, histograms: Histograms::default() }
    }

    /// Makes handles that write to this page.
    pub(crate) fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&*self.recorder, make)
    }

    /// The histograms of this page.
    pub(crate) fn histograms(&self) -> &Histograms {
        &self.histograms
    }

    /// The page as it stands.
    pub(crate) fn render(&self) -> String {
        let mut page = self.handle.render();
        self.histograms.render(&mut page);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_has_a_page_of_its_own() {
        let (one, other) = (Page::new(), Page::new());
        one.within(|| metrics::counter!("tollgate_test_total")).increment(3);
        assert!(one.render().contains("tollgate_test_total 3"), "{}", one.render());
        assert!(!other.render().contains("tollgate_test_total"));
    }
}
