//! From plain counters to metrics and the log: once a second, never on the packet path
//! (`adr/0004-metrics-never-on-the-packet-path.md`).

mod quality;
mod turn;

use std::sync::Arc;

use driver::Clock;
use engine_core::{DropReason, Shard};
use metrics::{Counter, Gauge};
use ng::{Refusal, Trouble};
use quality::QualityMeter;
use turn::TurnMeter;

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
    turn: Option<TurnMeter>,
    calls: Gauge,
    legs: Gauge,
    sockets: Gauge,
    cpu: Arc<Series>,
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
    /// Packets that should have been recorded and found no room on their way to the disk.
    pub(crate) recorded_lost: u64,
    /// Messages of the TURN server for clients on streams that did not read them fast enough.
    pub(crate) turn_slow: u64,
    /// Payloads of its clients for those of other workers who had no room.
    pub(crate) turn_handover_full: u64,
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
                    metrics::describe_counter!("tollgate_engine_drops_total", count.help);
                    metrics::counter!("tollgate_engine_drops_total", "worker" => worker.clone(), "reason" => count.name)
                }
                false => {
                    let name = format!("tollgate_engine_{}_total", count.name);
                    metrics::describe_counter!(name.clone(), count.help);
                    metrics::counter!(name, "worker" => worker.clone())
                }
            })
            .collect();
        let gauge = |name: &'static str, help: &'static str| {
            metrics::describe_gauge!(name, help);
            metrics::gauge!(name, "worker" => worker.clone())
        };
        Self {
            growth: Growth::new(handles),
            quality: QualityMeter::new(&worker, histograms),
            turn: None,
            calls: gauge("tollgate_engine_calls", "Calls now."),
            legs: gauge("tollgate_engine_legs", "Parties of calls now."),
            sockets: gauge("tollgate_engine_sockets", "Media sockets open or opening now."),
            cpu: histograms.register_counter(
                "tollgate_engine_cpu_seconds_total",
                "Processor time of a worker's thread.",
                ("worker", &worker),
                1e-9,
            ),
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

    /// The same, of a worker with a TURN server; made within a page.
    pub(crate) fn with_turn(self) -> Self {
        let turn = Some(TurnMeter::new(&self.worker.to_string()));
        Self { turn, ..self }
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
        self.cpu.set(std::iter::empty(), self.last.cpu_ns);
        let counts = counts(shard, driver, worker);
        self.growth.flush(counts.iter().map(|count| count.value));
        self.quality.flush(shard);
        if let Some(turn) = &mut self.turn {
            turn.flush(&shard.turn, worker.turn_slow, worker.turn_handover_full);
        }
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
        let handles = DoorCounters::default().named().map(|(name, help, _)| {
            let name = format!("tollgate_ng_{name}_total");
            metrics::describe_counter!(name.clone(), help);
            metrics::counter!(name)
        });
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
        self.growth.flush(counters.named().into_iter().map(|(.., count)| count));
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
        metrics::describe_counter!(
            "tollgate_edge_connections_total",
            "Connections over which NG, the command line or metrics are asked for, by what became of them."
        );
        let handles = counters
            .named()
            .map(|(name, _)| metrics::counter!("tollgate_edge_connections_total", "what" => name))
            .collect();
        metrics::describe_gauge!("tollgate_edge_connections", "Connections open now.");
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

/// One count, its name, what it is of, and whether it is a drop or refusal.
struct Count {
    name: &'static str,
    help: &'static str,
    value: u64,
    trouble: bool,
    /// It is a reason for which datagrams were dropped.
    drop: bool,
}

/// Everything a worker counts that only grows.
fn counts(shard: &engine_core::Counters, driver: &driver::Counters, worker: WorkerCounters) -> Vec<Count> {
    let fine = |name, help, value| Count { name, help, value, trouble: false, drop: false };
    let trouble = |name, help, value| Count { name, help, value, trouble: true, drop: false };
    let mut all = vec![
        fine("packets_received", "Datagrams that came in.", shard.packets_received),
        fine("received_bytes", "Bytes of datagrams that came in.", shard.bytes_received),
        fine("packets_sent", "Datagrams that were sent on, to however many.", shard.packets_sent),
        fine(
            "copies_sent",
            "Packets sent besides those: for further hearers, and reports of our own.",
            shard.copies_sent,
        ),
        fine("copied_bytes", "Bytes of packets sent besides those that were sent on.", shard.copies_bytes),
        trouble(
            "copies_dropped",
            "Copies and packets of our own that found no room, or nobody to go to.",
            shard.copies_dropped,
        ),
        fine("sinks_missed", "Hearers that did not get a datagram which others got.", shard.sinks_missed),
        fine("sent_bytes", "Bytes of datagrams that were sent on.", shard.bytes_sent),
        fine("calls_begun", "Calls begun.", shard.calls_begun),
        fine("calls_deleted", "Calls ended by a delete.", shard.calls_deleted),
        fine(
            "calls_timed_out",
            "Calls ended because nothing was heard, or for another time limit.",
            shard.calls_timed_out,
        ),
        fine("timed_out_silent", "Of calls that timed out: those on hold at last.", shard.timed_out_silent),
        fine(
            "timed_out_offer",
            "Of calls that timed out: those that nobody answered.",
            shard.timed_out_offer,
        ),
        fine(
            "timed_out_final",
            "Of calls that timed out: those as long as a call may be.",
            shard.timed_out_final,
        ),
        fine("leases_ended", "Calls ended because nobody renewed their lease.", shard.leases_ended),
        fine("addresses_learned", "Addresses of parties learned from packets.", shard.addresses_learned),
        fine("recordings_begun", "Recordings begun.", shard.recordings_begun),
        trouble(
            "recordings_refused",
            "Recordings not begun because there were too many.",
            shard.recordings_refused,
        ),
        trouble(
            "recordings_failed",
            "Recordings that ended because they could not be kept.",
            shard.recordings_failed,
        ),
        fine(
            "streams_taken",
            "Streams from unknown addresses that were taken for a party's.",
            shard.streams_taken,
        ),
        fine(
            "streams_missed",
            "Times that a party's stream was looked for and none was taken.",
            shard.streams_missed,
        ),
        fine(
            "handshakes_begun",
            "Handshakes (DTLS) with parties begun, or waited for.",
            shard.handshakes_begun,
        ),
        fine("handshakes_done", "Handshakes that gave keys of SRTP.", shard.handshakes_done),
        trouble("handshakes_failed", "Handshakes that failed, of strangers too.", shard.handshakes_failed),
        trouble("calls_intruded", "Calls to which somebody sent without leave.", shard.calls_intruded),
        fine("commands_refused", "Commands refused.", shard.commands_refused),
        trouble(
            "stale_epochs",
            "Commands refused because their owner has begun anew since.",
            shard.stale_epochs,
        ),
        trouble(
            "reports_lost",
            "Final reports given up before anybody acknowledged them.",
            shard.reports_lost,
        ),
        trouble("faults", "Calls ended by a fault of the engine.", shard.faults),
        trouble("socket_errors", "Errors reported by sockets.", shard.socket_errors),
        fine("calls_unheard", "Calls that ended and in which nobody had been heard.", shard.ended.unheard),
        fine(
            "calls_one_way",
            "Calls that ended and in which one party alone had been heard.",
            shard.ended.one_way,
        ),
        fine("waits", "Times that a worker was in the kernel to wait or to submit.", driver.waits),
        fine(
            "receive_starved",
            "Times that receiving paused because no buffer was free.",
            driver.receive_starved,
        ),
        trouble("truncated", "Datagrams longer than a buffer, dropped.", driver.truncated),
        fine("late", "Datagrams for a socket that was closed while they were on their way.", driver.late),
        trouble("send_full", "Sends that the kernel had no room for, dropped.", driver.send_full),
        trouble("send_failed", "Sends that the kernel refused, dropped.", driver.send_failed),
        trouble("send_unopened", "Sends from a socket that is not open, dropped.", driver.send_unopened),
        trouble("copy_starved", "Copies for which no buffer was free, dropped.", driver.copy_starved),
        trouble("door_full", "Replies and events for which the door had no room.", worker.door_full),
        trouble(
            "recorded_lost",
            "Packets that should have been recorded and found no room.",
            worker.recorded_lost,
        ),
    ];
    all.extend(Trouble::ALL.map(|trouble| {
        let (name, help) = trouble_name(trouble);
        fine(name, help, shard.troubles(trouble))
    }));
    all.extend(Refusal::ALL.map(|reason| {
        let (name, help) = refused(reason);
        trouble(name, help, shard.refusals(reason))
    }));
    all.extend(DropReason::ALL.map(|reason| {
        let (name, value) = (reason.as_str(), shard.drops(reason));
        // RTCP is consumed because a client asked for it.
        let help = "Datagrams that came in and were not sent on, by reason.";
        // What was for us is no trouble, though nobody else gets it.
        let trouble = !matches!(reason, DropReason::Consumed | DropReason::Handshake);
        Count { name, help, value, trouble, drop: true }
    }));
    all
}

/// How often it began, as a metric and in words.
const fn trouble_name(trouble: Trouble) -> (&'static str, &'static str) {
    match trouble {
        Trouble::NoMediaOneWay => {
            ("troubles_no_media_one_way", "Times that one party of a call began to be missing.")
        }
        Trouble::NoMedia => ("troubles_no_media", "Times that both parties of a call began to be missing."),
        Trouble::Looped => ("troubles_looped_media", "Times that media began to come back in a circle."),
        Trouble::SsrcCollision => {
            ("troubles_ssrc_collision", "Times that two sources began to share an SSRC.")
        }
        Trouble::LateMedia => ("troubles_late_media", "Times that media came long after the answer."),
    }
}

/// The metric's name of a reason to refuse a call, and the reason in words.
const fn refused(reason: Refusal) -> (&'static str, &'static str) {
    match reason {
        Refusal::Sessions => {
            ("refused_sessions", "New calls refused because there were as many as there may be.")
        }
        Refusal::Ports => ("refused_ports", "Offers and answers refused for want of ports."),
        Refusal::Load => ("refused_load", "New calls refused because of the load average."),
        Refusal::Cpu => ("refused_cpu", "New calls refused because the processors were busy."),
        Refusal::Bandwidth => ("refused_bandwidth", "New calls refused because of the bandwidth."),
        Refusal::Draining => ("refused_draining", "New calls refused because the engine was to end."),
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
