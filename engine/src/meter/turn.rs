//! What the TURN server of a worker did, as metrics. Users have no label: their share is told when an allocation ends.

use engine_core::{TurnCounters, TurnDrop, TurnError};
use metrics::Gauge;

use super::{Growth, set};

/// The counters of the TURN server of one worker.
pub(crate) struct TurnMeter {
    growth: Growth,
    allocations: Gauge,
}

impl TurnMeter {
    /// A meter of this worker, made within a page.
    pub(crate) fn new(worker: &str) -> Self {
        for (name, help) in [
            ("tollgate_turn_packets_total", "Datagrams relayed, by direction."),
            ("tollgate_turn_bytes_total", "Bytes of their payloads."),
            ("tollgate_turn_requests_total", "Requests of TURN clients, by what they were answered."),
            ("tollgate_turn_drops_total", "What clients and peers sent and led to nothing, by reason."),
            ("tollgate_turn_allocations_begun_total", "Allocations begun."),
            ("tollgate_turn_allocations_ended_total", "Allocations ended."),
        ] {
            metrics::describe_counter!(name, help);
        }
        metrics::describe_gauge!("tollgate_turn_allocations", "Allocations alive now.");
        let worker = worker.to_owned();
        let handles = names().map(|(name, label)| match label {
            Some((key, value)) => metrics::counter!(name, "worker" => worker.clone(), key => value),
            None => metrics::counter!(name, "worker" => worker.clone()),
        });
        let allocations = metrics::gauge!("tollgate_turn_allocations", "worker" => worker.clone());
        Self { growth: Growth::new(handles.collect()), allocations }
    }

    /// Hands over what has grown.
    pub(crate) fn flush(&mut self, turn: &TurnCounters, slow: u64, handover_full: u64) {
        let fixed = [
            turn.to_peers.packets,
            turn.to_clients.packets,
            turn.to_peers.bytes,
            turn.to_clients.bytes,
            turn.bindings,
            turn.granted,
            turn.allocations_begun,
            turn.allocations_ended,
            slow,
            handover_full,
        ];
        let errors = TurnError::ALL.map(|error| turn.errors(error));
        let drops = TurnDrop::ALL.map(|reason| turn.drops(reason));
        self.growth.flush(fixed.into_iter().chain(errors).chain(drops));
        set(&self.allocations, turn.allocations_live);
    }
}

/// The name and label of each count, in the order in which they are handed over.
fn names() -> impl Iterator<Item = (&'static str, Option<(&'static str, String)>)> {
    let of = |key, value: &str| Some((key, value.to_owned()));
    let fixed = [
        ("tollgate_turn_packets_total", of("direction", "to_peers")),
        ("tollgate_turn_packets_total", of("direction", "to_clients")),
        ("tollgate_turn_bytes_total", of("direction", "to_peers")),
        ("tollgate_turn_bytes_total", of("direction", "to_clients")),
        ("tollgate_turn_requests_total", of("answer", "binding")),
        ("tollgate_turn_requests_total", of("answer", "granted")),
        ("tollgate_turn_allocations_begun_total", None),
        ("tollgate_turn_allocations_ended_total", None),
        ("tollgate_turn_drops_total", of("reason", "slow_reader")),
        ("tollgate_turn_drops_total", of("reason", "handover_full")),
    ];
    let errors =
        TurnError::ALL.map(|error| ("tollgate_turn_requests_total", of("answer", &error.code().to_string())));
    let drops = TurnDrop::ALL.map(|reason| ("tollgate_turn_drops_total", of("reason", reason.as_str())));
    fixed.into_iter().chain(errors).chain(drops)
}
