//! From plain counters to metrics and the log: once a second, never on the packet path
//! (`adr/0004-metrics-never-on-the-packet-path.md`).

mod quality;

use std::sync::Arc;

use driver::Clock;
use engine_core::{DropReason, Shard};
use metrics::{Counter, Gauge};
use ng::{Refusal, Trouble};
use quality::QualityMeter;

use crate::door::{COMMANDS, DoorCounters, Durations, Tally};
use crate::edge::Counters as EdgeCounters;
use crate::histogram::{Histograms, Series};
use crate::statistics::{Batches, Delays, Rates, WorkerState};
use crate::throttle::Throttle;

/// Hands the growth of named counts to metric handles, and says in the log what went wrong.
struct Growth {
    handles: Vec<(Counter, u64)>,
}

impl Growth {
    fn new(handles: Vec<Counter>) -> Self {
        Self { handles: handles.into_iter().map(|handle| (handle, 0)).collect() }
    }

    /// Counts in the order of the handles.
    fn flush(&mut self, counts: impl Iterator<Item = u64>) {
        for ((handle, last), count) in self.handles.iter_mut().zip(counts) {
            handle.increment(count.saturating_sub(*last));
            *last = count;
        }
    }
}

/// A line about counts that have grown, at most once in ten seconds.
struct Complaint {
    what: String,
    throttle: Throttle,
    last: Vec<u64>,
}

impl Complaint {
    fn new(what: String) -> Self {
        Self { what, throttle: Throttle::new(10), last: Vec::new() }
    }

    fn flush(&mut self, now_ns: u64, counts: &[(&'static str, u64)]) {
        self.last.resize(counts.len(), 0);
        let grown: Vec<String> = counts
            .iter()
            .zip(&self.last)
            .filter(|((_, count), last)| count > last)
            .map(|((name, count), last)| format!("{name}={}", count - last))
            .collect();
        if grown.is_empty() || self.throttle.allow(now_ns).is_none() {
            return;
        }
        tracing::warn!(
            source = self.what,
            "dropped or refused since the last such line: {}",
            grown.join(" ")
        );
        self.last = counts.iter().map(|(_, count)| *count).collect();
    }
}

/// The counters of one worker.
pub(crate) struct WorkerMeter {
    growth: Growth,
    quality: QualityMeter,
    calls: Gauge,
    legs: Gauge,
    sockets: Gauge,
    complaint: Complaint,
    next_ns: u64,
    worker: usize,
    batches: Batches,
    delays: Delays,
    series: [Arc<Series>; 2],
    /// Batches until the next one whose delay is measured.
    unmeasured: u32,
    rates: Rates,
    last: Last,
}

/// What stood at the last flush.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    at_ns: u64,
    packets: u64,
    bytes: u64,
    drops: u64,
    cpu_ns: u64,
}

/// What a worker counted besides its shard and driver.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkerCounters {
    /// Replies and events the door had no room for.
    pub(crate) door_full: u64,
    /// Processor time of its thread, microseconds.
    pub(crate) cpu_us: u64,
    /// Packets that should have been recorded and found no room on their way to the disk.
    pub(crate) recorded_lost: u64,
}

impl WorkerMeter {
    /// A meter of worker `index`, made within a page whose histograms are these.
    pub(crate) fn new(index: usize, histograms: &Histograms) -> Self {
        let worker = index.to_string();
        let names = counts(
            &engine_core::Counters::default(),
            &driver::Counters::default(),
            WorkerCounters::default(),
        );
        let handles = names
            .iter()
            .map(|count| match count.drop {
                true => {
                    metrics::counter!("tollgate_engine_drops_total", "worker" => worker.clone(), "reason" => count.name)
                }
                false => {
                    metrics::counter!(format!("tollgate_engine_{}_total", count.name), "worker" => worker.clone())
                }
            })
            .collect();
        Self {
            growth: Growth::new(handles),
            quality: QualityMeter::new(&worker, histograms),
            calls: metrics::gauge!("tollgate_engine_calls", "worker" => worker.clone()),
            legs: metrics::gauge!("tollgate_engine_legs", "worker" => worker.clone()),
            sockets: metrics::gauge!("tollgate_engine_sockets", "worker" => worker.clone()),
            series: [
                histograms.register(
                    "tollgate_engine_batch_packets",
                    "Datagrams that a worker took at once.",
                    ("worker", &worker),
                    &Batches::bounds(1.0),
                    1.0,
                ),
                histograms.register(
                    "tollgate_engine_added_latency_seconds",
                    "Time from taking a batch until its last packet was queued for sending, one batch in 16.",
                    ("worker", &worker),
                    &Delays::bounds(1e-9),
                    1e-9,
                ),
            ],
            complaint: Complaint::new(format!("worker {worker}")),
            next_ns: 0,
            worker: index,
            batches: Batches::default(),
            delays: Delays::default(),
            unmeasured: 0,
            rates: Rates::default(),
            last: Last::default(),
        }
    }

    /// So many datagrams that were taken at `now_ns` have been handled.
    pub(crate) fn batch(&mut self, now_ns: u64, datagrams: u64) {
        if datagrams == 0 {
            return;
        }
        self.batches.record(datagrams);
        match self.unmeasured.checked_sub(1) {
            Some(left) => self.unmeasured = left,
            None => {
                self.unmeasured = UNMEASURED;
                self.delays.record(Clock::monotonic_ns().saturating_sub(now_ns));
            }
        }
    }

    /// How the worker stands, with up to `sessions_max` calls by name.
    pub(crate) fn state(&self, shard: &Shard, sessions_max: usize) -> WorkerState {
        WorkerState {
            worker: self.worker,
            counters: shard.counters().clone(),
            census: shard.census(sessions_max),
            rates: self.rates,
            cpu_ns: Clock::thread_cpu_ns(),
            batches: self.batches,
            delays: self.delays,
        }
    }

    /// When [`flush`](Self::flush) is due.
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Hands over what has grown, if it is time.
    pub(crate) fn flush(
        &mut self,
        now_ns: u64,
        shard: &Shard,
        driver: &driver::Counters,
        worker: WorkerCounters,
    ) {
        if now_ns < self.next_ns {
            return;
        }
        self.next_ns = now_ns + FLUSH_NS;
        set(&self.legs, shard.census(0).legs);
        let shard = shard.counters();
        self.measure(now_ns, shard);
        self.series[0].set_powers(&self.batches);
        self.series[1].set_powers(&self.delays);
        let counts = counts(shard, driver, WorkerCounters { cpu_us: self.last.cpu_ns / 1000, ..worker });
        self.growth.flush(counts.iter().map(|count| count.value));
        self.quality.flush(shard);
        set(&self.calls, shard.calls_live);
        set(&self.sockets, shard.sockets_live);
        let troubles: Vec<_> =
            counts.iter().filter(|count| count.trouble).map(|count| (count.name, count.value)).collect();
        self.complaint.flush(now_ns, &troubles);
    }

    /// What was done since the last time, per second.
    fn measure(&mut self, now_ns: u64, shard: &engine_core::Counters) {
        let now = Last {
            at_ns: now_ns,
            packets: shard.packets_sent,
            bytes: shard.bytes_sent,
            drops: shard.drops_total(),
            cpu_ns: Clock::thread_cpu_ns(),
        };
        let before = std::mem::replace(&mut self.last, now);
        let elapsed_ms = now.at_ns.saturating_sub(before.at_ns) / 1_000_000;
        let rate = |now: u64, before: u64| (now - before).saturating_mul(1000) / elapsed_ms.max(1);
        if before.at_ns > 0 {
            self.rates = Rates {
                packets: rate(now.packets, before.packets),
                bytes: rate(now.bytes, before.bytes),
                drops: rate(now.drops, before.drops),
                cpu_permille: rate(now.cpu_ns, before.cpu_ns) / 1_000_000,
            };
        }
    }
}

/// The counters of the door.
pub(crate) struct DoorMeter {
    growth: Growth,
    /// By command.
    durations: Vec<Arc<Series>>,
    complaint: Complaint,
    next_ns: u64,
}

impl DoorMeter {
    /// A meter of the door.
    pub(crate) fn new(histograms: &Histograms) -> Self {
        let durations = COMMANDS
            .iter()
            .map(|(name, _)| {
                histograms.register(
                    "tollgate_ng_request_seconds",
                    "Time from taking a request until its answer was ready.",
                    ("command", name),
                    &Durations::bounds(1e-9),
                    1e-9,
                )
            })
            .collect();
        let handles = DoorCounters::default()
            .named()
            .map(|(name, _)| metrics::counter!(format!("tollgate_ng_{name}_total")));
        let complaint = Complaint::new("ng".to_owned());
        Self { growth: Growth::new(handles.into()), durations, complaint, next_ns: 0 }
    }

    /// Hands over what has grown, if it is time.
    pub(crate) fn flush(&mut self, now_ns: u64, counters: &DoorCounters, tally: &Tally) {
        if now_ns < self.next_ns {
            return;
        }
        self.next_ns = now_ns + FLUSH_NS;
        for (series, durations) in self.durations.iter().zip(tally.durations()) {
            series.set_powers(durations);
        }
        self.growth.flush(counters.named().into_iter().map(|(_, count)| count));
        let troubles: Vec<_> = counters.troubles().collect();
        self.complaint.flush(now_ns, &troubles);
    }
}

/// The counters of the streams.
pub(crate) struct EdgeMeter {
    counters: Arc<EdgeCounters>,
    handles: Vec<Counter>,
    connections: Gauge,
}

impl EdgeMeter {
    /// A meter of these counters.
    pub(crate) fn new(counters: Arc<EdgeCounters>) -> Self {
        let handles = counters
            .named()
            .map(|(name, _)| metrics::counter!("tollgate_edge_connections_total", "what" => name))
            .collect();
        Self { counters, handles, connections: metrics::gauge!("tollgate_edge_connections") }
    }

    /// Hands over what was counted.
    pub(crate) fn flush(&self) {
        for (handle, (_, count)) in self.handles.iter().zip(self.counters.named()) {
            handle.absolute(count);
        }
        set(&self.connections, self.counters.live());
    }
}

/// One count, its name, and whether it is a drop or refusal.
struct Count {
    name: &'static str,
    value: u64,
    trouble: bool,
    /// It is a reason for which datagrams were dropped.
    drop: bool,
}

/// Everything a worker counts that only grows.
fn counts(shard: &engine_core::Counters, driver: &driver::Counters, worker: WorkerCounters) -> Vec<Count> {
    let fine = |name, value| Count { name, value, trouble: false, drop: false };
    let trouble = |name, value| Count { name, value, trouble: true, drop: false };
    let mut all = vec![
        fine("packets_received", shard.packets_received),
        fine("bytes_received", shard.bytes_received),
        fine("packets_sent", shard.packets_sent),
        fine("copies_sent", shard.copies_sent),
        fine("copies_bytes", shard.copies_bytes),
        trouble("copies_dropped", shard.copies_dropped),
        fine("sinks_missed", shard.sinks_missed),
        fine("bytes_sent", shard.bytes_sent),
        fine("calls_begun", shard.calls_begun),
        fine("calls_deleted", shard.calls_deleted),
        fine("calls_timed_out", shard.calls_timed_out),
        fine("leases_ended", shard.leases_ended),
        fine("addresses_learned", shard.addresses_learned),
        fine("recordings_begun", shard.recordings_begun),
        trouble("recordings_refused", shard.recordings_refused),
        trouble("recordings_failed", shard.recordings_failed),
        fine("streams_taken", shard.streams_taken),
        fine("streams_missed", shard.streams_missed),
        trouble("calls_intruded", shard.calls_intruded),
        fine("commands_refused", shard.commands_refused),
        trouble("stale_epochs", shard.stale_epochs),
        trouble("reports_lost", shard.reports_lost),
        trouble("faults", shard.faults),
        trouble("socket_errors", shard.socket_errors),
        fine("cpu_microseconds", worker.cpu_us),
        fine("calls_unheard", shard.ended.unheard),
        fine("calls_one_way", shard.ended.one_way),
        fine("waits", driver.waits),
        fine("receive_starved", driver.receive_starved),
        trouble("truncated", driver.truncated),
        fine("late", driver.late),
        trouble("send_full", driver.send_full),
        trouble("send_failed", driver.send_failed),
        trouble("send_unopened", driver.send_unopened),
        trouble("copy_starved", driver.copy_starved),
        trouble("door_full", worker.door_full),
        trouble("recorded_lost", worker.recorded_lost),
    ];
    all.extend(Trouble::ALL.map(|trouble| fine(trouble_name(trouble), shard.troubles(trouble))));
    all.extend(Refusal::ALL.map(|reason| trouble(refused(reason), shard.refusals(reason))));
    all.extend(DropReason::ALL.map(|reason| {
        let (name, value) = (reason.as_str(), shard.drops(reason));
        // RTCP is consumed because a client asked for it.
        Count { name, value, trouble: reason != DropReason::Consumed, drop: true }
    }));
    all
}

/// Calls in which it began, as a metric.
const fn trouble_name(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::NoMediaOneWay => "troubles_no_media_one_way",
        Trouble::NoMedia => "troubles_no_media",
        Trouble::Looped => "troubles_looped_media",
        Trouble::SsrcCollision => "troubles_ssrc_collision",
        Trouble::LateMedia => "troubles_late_media",
    }
}

/// The metric's name of a reason to refuse a call.
const fn refused(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Sessions => "refused_sessions",
        Refusal::Ports => "refused_ports",
        Refusal::Load => "refused_load",
        Refusal::Cpu => "refused_cpu",
        Refusal::Bandwidth => "refused_bandwidth",
        Refusal::Draining => "refused_draining",
    }
}

/// Sets a gauge to a count.
fn set(gauge: &Gauge, count: u64) {
    gauge.set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// Batches of which none is measured, between two of which one is: a look at the clock costs as much as a small packet's tenth.
const UNMEASURED: u32 = 15;

/// How often.
const FLUSH_NS: u64 = 1_000_000_000;
