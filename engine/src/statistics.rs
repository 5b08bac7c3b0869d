//! The engine's counters as rtpengine 10.5 tells them: the tree of `statistics`, its JSON, and the text of `list totals`.

use std::borrow::Cow;
use std::fmt::Write as _;

use engine_core::{Census, PortUse};
use ng::{Refusal, Stat, StatisticsReply};

use crate::door::{COMMANDS, Tally};
use crate::histogram::Powers;

/// How one worker stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkerState {
    /// Its number.
    pub(crate) worker: usize,
    /// What its shard counted.
    pub(crate) counters: engine_core::Counters,
    /// How its shard stands.
    pub(crate) census: Census,
    /// In the last second.
    pub(crate) rates: Rates,
    /// Processor time of its thread since its start.
    pub(crate) cpu_ns: u64,
    /// Datagrams that came at once.
    pub(crate) batches: Batches,
    /// From a batch's arrival until its last packet was queued for sending.
    pub(crate) delays: Delays,
}

/// Datagrams of one wait: 1, 2, 4 and so on up to 512.
pub(crate) type Batches = Powers<0, 10>;

/// Nanoseconds, from 4 µs up to 33 ms.
pub(crate) type Delays = Powers<12, 14>;

/// What a worker did in its last second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Datagrams sent on.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Datagrams dropped.
    pub(crate) drops: u64,
    /// Thousandths of a processor.
    pub(crate) cpu_permille: u64,
}

/// What the door knows of the engine as a whole.
#[derive(Debug)]
pub(crate) struct Whole<'a> {
    /// Since the start.
    pub(crate) uptime_s: u64,
    /// Calls that an operator ended.
    pub(crate) terminated: u64,
    /// What was asked.
    pub(crate) tally: &'a Tally,
    /// The port range.
    pub(crate) ports: (u16, u16),
}

/// The tree of `statistics`.
pub(crate) fn tree(workers: &[WorkerState], whole: &Whole<'_>) -> StatisticsReply {
    let sections = vec![
        ("currentstatistics".into(), current(workers)),
        ("totalstatistics".into(), totals(workers, whole)),
        ("intervalstatistics".into(), interval()),
        ("mos".into(), mos(workers)),
        ("controlstatistics".into(), control(whole.tally)),
        (
            "interfaces".into(),
            Stat::List(interfaces(workers).iter().map(|port| interface(port, whole)).collect()),
        ),
        ("transcoders".into(), Stat::List(Vec::new())),
        ("workers".into(), Stat::List(workers.iter().map(worker).collect())),
    ];
    StatisticsReply { sections }
}

fn sum(workers: &[WorkerState], count: impl Fn(&WorkerState) -> u64) -> u64 {
    workers.iter().map(count).sum()
}

fn current(workers: &[WorkerState]) -> Stat {
    let calls = sum(workers, |worker| worker.census.calls);
    let packets = sum(workers, |worker| worker.rates.packets);
    let bytes = sum(workers, |worker| worker.rates.bytes);
    let drops = sum(workers, |worker| worker.rates.drops);
    numbers([
        ("sessionsown", calls),
        ("sessionsforeign", 0),
        ("sessionstotal", calls),
        ("transcodedmedia", 0),
        ("packetrate_user", packets),
        ("byterate_user", bytes),
        ("errorrate_user", drops),
        ("packetrate_kernel", 0),
        ("byterate_kernel", 0),
        ("errorrate_kernel", 0),
        ("packetrate", packets),
        ("byterate", bytes),
        ("errorrate", drops),
        ("media_userspace", sum(workers, |worker| worker.census.medias)),
        ("media_kernel", 0),
        ("media_mixed", 0),
    ])
}

fn totals(workers: &[WorkerState], whole: &Whole<'_>) -> Stat {
    let ended =
        |count: fn(&engine_core::EndedCalls) -> u64| sum(workers, |worker| count(&worker.counters.ended));
    let deleted = sum(workers, |worker| worker.counters.calls_deleted);
    let packets = sum(workers, |worker| worker.counters.packets_sent);
    let drops = sum(workers, |worker| worker.counters.drops_total());
    let bytes = sum(workers, |worker| worker.counters.bytes_sent);
    let calls = ended(|ended| ended.calls);
    let seconds = fraction(ended(|ended| ended.lifetime_ms)) / 1e3;
    let squares = fraction(ended(|ended| ended.lifetime_ms2)) / 1e6;
    let timed_out = sum(workers, |worker| worker.counters.calls_timed_out);
    let silent = sum(workers, |worker| worker.counters.timed_out_silent);
    let offer = sum(workers, |worker| worker.counters.timed_out_offer);
    let last = sum(workers, |worker| worker.counters.timed_out_final);
    let average = if calls == 0 { 0.0 } else { seconds / fraction(calls) };
    let variance = if calls == 0 { 0.0 } else { squares / fraction(calls) - average * average };
    let mut stats = vec![("uptime", Stat::Text(whole.uptime_s.to_string()))];
    stats.extend(
        [
            ("managedsessions", calls),
            ("rejectedsessions", sum(workers, rejected)),
            ("timeoutsessions", timed_out.saturating_sub(silent + last + offer)),
            ("silenttimeoutsessions", silent),
            ("finaltimeoutsessions", last),
            ("offertimeoutsessions", offer),
            ("regularterminatedsessions", deleted.saturating_sub(whole.terminated)),
            ("forcedterminatedsessions", whole.terminated),
            ("relayedpackets_user", packets),
            ("relayedpacketerrors_user", drops),
            ("relayedbytes_user", bytes),
            ("relayedpackets_kernel", 0),
            ("relayedpacketerrors_kernel", 0),
            ("relayedbytes_kernel", 0),
            ("relayedpackets", packets),
            ("relayedpacketerrors", drops),
            ("relayedbytes", bytes),
            ("zerowaystreams", ended(|ended| ended.unheard)),
            ("onewaystreams", ended(|ended| ended.one_way)),
        ]
        .map(|(name, count)| (name, Stat::count(count))),
    );
    stats.extend(
        [
            ("avgcallduration", average),
            ("totalcallsduration", seconds),
            ("totalcallsduration2", squares),
            ("totalcallsduration_stddev", variance.max(0.0).sqrt()),
        ]
        .map(|(name, value)| (name, decimal(value))),
    );
    Stat::section(stats)
}

/// New calls that were refused.
fn rejected(worker: &WorkerState) -> u64 {
    Refusal::ALL.into_iter().map(|reason| worker.counters.refusals(reason)).sum()
}

/// What rtpengine reports to Graphite. It is all zero there where no Graphite is configured, and so it is here.
fn interval() -> Stat {
    let mut stats: Vec<(Cow<'static, str>, Stat)> = vec![
        ("totalcallsduration".into(), decimal(0.0)),
        ("minmanagedsessions".into(), Stat::Number(0)),
        ("maxmanagedsessions".into(), Stat::Number(0)),
    ];
    for (what, none) in [("delay", "0.000000"), ("requestrate", "0")] {
        for (name, _) in known_there() {
            for which in ["min", "max", "avg"] {
                stats.push((format!("{which}{name}{what}").into(), Stat::Text(none.to_owned())));
            }
        }
    }
    Stat::Section(stats)
}

fn mos(workers: &[WorkerState]) -> Stat {
    let total = fraction(sum(workers, |worker| worker.counters.mos_sum_x100)) / 100.0;
    let squares = fraction(sum(workers, |worker| worker.counters.mos_squares_x10000)) / 10_000.0;
    let samples: u64 = sum(workers, |worker| worker.counters.mos_buckets.iter().sum());
    let average = total / fraction(samples.max(1));
    let variance = squares / fraction(samples.max(1)) - average * average;
    Stat::section([
        ("mos_total", decimal(total)),
        ("mos2_total", decimal(squares)),
        ("mos_samples_total", Stat::count(samples)),
        ("mos_average", decimal(average)),
        ("mos_stddev", decimal(variance.max(0.0).sqrt())),
    ])
}

fn control(tally: &Tally) -> Stat {
    let mut proxies = Vec::new();
    let mut totals = vec![0; COMMANDS.len()];
    for (address, proxy) in tally.proxies() {
        let mut stats: Vec<(Cow<'static, str>, Stat)> =
            vec![("proxy".into(), Stat::Text(address.to_string()))];
        for (index, (_, short)) in COMMANDS.iter().enumerate().filter(|(_, (_, short))| !short.is_empty()) {
            let spent = proxy.spent[index];
            totals[index] += spent.count;
            stats.push((format!("{short}count").into(), Stat::count(spent.count)));
            stats.push((format!("{short}duration").into(), decimal(fraction(spent.ns) / 1e9)));
        }
        stats.push(("errorcount".into(), Stat::count(proxy.errors)));
        proxies.push(Stat::Section(stats));
    }
    let mut stats: Vec<(Cow<'static, str>, Stat)> = vec![("proxies".into(), Stat::List(proxies))];
    for ((_, short), total) in COMMANDS.iter().zip(totals).filter(|((_, short), _)| !short.is_empty()) {
        stats.push((format!("total{short}count").into(), Stat::count(total)));
    }
    Stat::Section(stats)
}

/// The ports of each address, over all workers.
pub(crate) fn interfaces(workers: &[WorkerState]) -> Vec<PortUse> {
    let mut all: Vec<PortUse> = Vec::new();
    for port in workers.iter().flat_map(|worker| &worker.census.ports) {
        match all.iter_mut().find(|other| other.address == port.address) {
            Some(other) => {
                other.used += port.used;
                other.free += port.free;
            }
            None => all.push(port.clone()),
        }
    }
    all
}

fn interface(port: &PortUse, whole: &Whole<'_>) -> Stat {
    let all = port.used + port.free;
    let ports = Stat::section([
        ("min", Stat::Number(whole.ports.0.into())),
        ("max", Stat::Number(whole.ports.1.into())),
        ("used", Stat::count(port.used)),
        ("used_pct", Stat::Text(format!("{:.2}", percent(port)))),
        ("free", Stat::count(port.free)),
        ("totals", Stat::count(all)),
        ("last", Stat::Number(0)),
    ]);
    Stat::section([
        ("name", Stat::Text(port.interface.clone())),
        ("address", Stat::Text(port.address.to_string())),
        ("ports", ports),
    ])
}

/// How much of an address's ports is in use.
pub(crate) fn percent(port: &PortUse) -> f64 {
    fraction(port.used) * 100.0 / fraction((port.used + port.free).max(1))
}

/// What `tollgate top` shows: not in rtpengine.
fn worker(state: &WorkerState) -> Stat {
    numbers([
        ("worker", state.worker as u64),
        ("calls", state.census.calls),
        ("legs", state.census.legs),
        ("packets", state.counters.packets_received),
        ("bytes", state.counters.bytes_received),
        ("sent", state.counters.packets_sent),
        ("drops", state.counters.drops_total()),
        ("packetrate", state.rates.packets),
        ("byterate", state.rates.bytes),
        ("droprate", state.rates.drops),
        ("cpu_permille", state.rates.cpu_permille),
        ("cpu_ms", state.cpu_ns / 1_000_000),
        ("batches", state.batches.count()),
        ("batched", state.batches.sum()),
        ("delays", state.delays.count()),
        ("delay_ns", state.delays.sum()),
    ])
}

fn numbers<const N: usize>(counts: [(&'static str, u64); N]) -> Stat {
    Stat::section(counts.map(|(name, count)| (name, Stat::count(count))))
}

/// Commands that rtpengine 10.5 has.
fn known_there() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    COMMANDS.iter().filter(|(_, short)| !short.is_empty())
}

fn decimal(value: f64) -> Stat {
    Stat::Text(format!("{value:.6}"))
}

fn fraction(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "statistics need no more than 53 bits")]
    let count = count as f64;
    count
}

/// The tree as one line of JSON, with fractions as numbers, as `list jsonstats` has it.
pub(crate) fn json(reply: &StatisticsReply) -> String {
    let mut out = String::new();
    write_section(&reply.sections, &mut out);
    out.push('\n');
    out
}

fn write_section(entries: &[(Cow<'static, str>, Stat)], out: &mut String) {
    out.push('{');
    for (index, (name, stat)) in entries.iter().enumerate() {
        let _infallible = write!(out, "{}\"{name}\":", if index > 0 { "," } else { "" });
        write_stat(stat, out);
    }
    out.push('}');
}

fn write_stat(stat: &Stat, out: &mut String) {
    match stat {
        Stat::Number(number) => {
            let _infallible = write!(out, "{number}");
        }
        Stat::Text(text)
            if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
                && text.parse::<f64>().is_ok() =>
        {
            out.push_str(text);
        }
        // Names of interfaces and addresses: an operator's own words.
        Stat::Text(text) => {
            let _infallible = write!(out, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        }
        Stat::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_stat(item, out);
            }
            out.push(']');
        }
        Stat::Section(entries) => write_section(entries, out),
    }
}

/// The text of `list totals`.
pub(crate) fn totals_text(reply: &StatisticsReply) -> String {
    let mut out = String::from("\nStatistics over currently running sessions:\n\n");
    lines(reply, "currentstatistics", &CURRENT_LINES, &mut out);
    out.push_str("\nTotal statistics (does not include current running sessions):\n\n");
    lines(reply, "totalstatistics", &TOTAL_LINES, &mut out);
    out.push_str("\n\nControl statistics:\n\n");
    let proxies = match find(&reply.sections, "controlstatistics") {
        Some(Stat::Section(control)) => find(control, "proxies"),
        _ => None,
    };
    let Some(Stat::List(proxies)) = proxies else { return out };
    let _infallible = write!(out, " {:>20} ", "Proxy");
    for (_, short) in known_there() {
        let _infallible = write!(out, "| {short:>10} ");
    }
    out.push_str("\n\n");
    for proxy in proxies {
        let Stat::Section(proxy) = proxy else { continue };
        let _infallible = write!(out, " {:>20} ", shown(find(proxy, "proxy")));
        for (_, short) in known_there() {
            let _infallible = write!(out, "| {:>10} ", shown(find(proxy, &format!("{short}count"))));
        }
        out.push('\n');
    }
    out
}

fn lines(reply: &StatisticsReply, section: &str, lines: &[(&str, &str, &str)], out: &mut String) {
    let Some(Stat::Section(entries)) = find(&reply.sections, section) else { return };
    for (label, name, unit) in lines {
        let _infallible = writeln!(out, " {label:<48}:{}{unit}", shown(find(entries, name)));
    }
}

fn find<'a>(entries: &'a [(Cow<'static, str>, Stat)], name: &str) -> Option<&'a Stat> {
    entries.iter().find(|(known, _)| known == name).map(|(_, stat)| stat)
}

fn shown(stat: Option<&Stat>) -> String {
    match stat {
        Some(Stat::Number(number)) => number.to_string(),
        Some(Stat::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

/// Label, name, unit.
const CURRENT_LINES: [(&str, &str, &str); 16] = [
    ("Owned sessions", "sessionsown", ""),
    ("Foreign sessions", "sessionsforeign", ""),
    ("Total sessions", "sessionstotal", ""),
    ("Transcoded media", "transcodedmedia", ""),
    ("Packets per second (userspace)", "packetrate_user", ""),
    ("Bytes per second (userspace)", "byterate_user", ""),
    ("Errors per second (userspace)", "errorrate_user", ""),
    ("Packets per second (kernel)", "packetrate_kernel", ""),
    ("Bytes per second (kernel)", "byterate_kernel", ""),
    ("Errors per second (kernel)", "errorrate_kernel", ""),
    ("Packets per second (total)", "packetrate", ""),
    ("Bytes per second (total)", "byterate", ""),
    ("Errors per second (total)", "errorrate", ""),
    ("Userspace-only media streams", "media_userspace", ""),
    ("Kernel-only media streams", "media_kernel", ""),
    ("Mixed kernel/userspace media streams", "media_mixed", ""),
];

/// Label, name, unit.
const TOTAL_LINES: [(&str, &str, &str); 24] = [
    ("Uptime of rtpengine", "uptime", " seconds"),
    ("Total managed sessions", "managedsessions", ""),
    ("Total rejected sessions", "rejectedsessions", ""),
    ("Total timed-out sessions via TIMEOUT", "timeoutsessions", ""),
    ("Total timed-out sessions via SILENT_TIMEOUT", "silenttimeoutsessions", ""),
    ("Total timed-out sessions via FINAL_TIMEOUT", "finaltimeoutsessions", ""),
    ("Total timed-out sessions via OFFER_TIMEOUT", "offertimeoutsessions", ""),
    ("Total regular terminated sessions", "regularterminatedsessions", ""),
    ("Total forced terminated sessions", "forcedterminatedsessions", ""),
    ("Total relayed packets (userspace)", "relayedpackets_user", ""),
    ("Total relayed packet errors (userspace)", "relayedpacketerrors_user", ""),
    ("Total relayed bytes (userspace)", "relayedbytes_user", ""),
    ("Total relayed packets (kernel)", "relayedpackets_kernel", ""),
    ("Total relayed packet errors (kernel)", "relayedpacketerrors_kernel", ""),
    ("Total relayed bytes (kernel)", "relayedbytes_kernel", ""),
    ("Total relayed packets", "relayedpackets", ""),
    ("Total relayed packet errors", "relayedpacketerrors", ""),
    ("Total relayed bytes", "relayedbytes", ""),
    ("Total number of streams with no relayed packets", "zerowaystreams", ""),
    ("Total number of 1-way streams", "onewaystreams", ""),
    ("Average call duration", "avgcallduration", " seconds"),
    ("Total calls duration", "totalcallsduration", " seconds"),
    ("Total calls duration squared", "totalcallsduration2", " seconds squared"),
    ("Total calls duration standard deviation", "totalcallsduration_stddev", " seconds"),
];

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn whole(tally: &Tally) -> Whole<'_> {
        Whole { uptime_s: 7, terminated: 1, tally, ports: (20_000, 20_099) }
    }

    fn workers() -> Vec<WorkerState> {
        let port = |used, free| PortUse {
            interface: "a\"b".to_owned(),
            address: IpAddr::from([192, 0, 2, 1]),
            used,
            free,
        };
        [(0, 4, 46), (1, 0, 50)]
            .map(|(worker, used, free)| {
                let mut state = WorkerState { worker, ..WorkerState::default() };
                state.census.calls = 2;
                state.census.ports = vec![port(used, free)];
                state.counters.calls_deleted = 3;
                state.counters.packets_sent = 10;
                state.counters.calls_timed_out = 10;
                state.counters.timed_out_silent = 1;
                state.counters.timed_out_final = 2;
                state.counters.timed_out_offer = 3;
                state.counters.mos_buckets[0] = 1;
                state.counters.mos_buckets[5] = 1;
                // 4.00 and 3.00.
                state.counters.mos_sum_x100 = 700;
                state.counters.mos_squares_x10000 = 250_000;
                state.counters.ended = engine_core::EndedCalls {
                    calls: 3,
                    lifetime_ms: 6_000,
                    lifetime_ms2: 12_000_000,
                    unheard: 1,
                    one_way: 0,
                };
                state
            })
            .to_vec()
    }

    #[test]
    fn counts_of_all_workers_are_summed_up() {
        let tally = Tally::new();
        let json = json(&tree(&workers(), &whole(&tally)));
        for part in [
            "\"sessionstotal\":4,",
            "\"uptime\":7,",
            "\"managedsessions\":6,",
            "\"timeoutsessions\":8,\"silenttimeoutsessions\":2,\"finaltimeoutsessions\":4,\"offertimeoutsessions\":6,",
            "\"mos_total\":14.000000,\"mos2_total\":50.000000,\"mos_samples_total\":4,\"mos_average\":3.500000,\"mos_stddev\":0.500000",
            "\"regularterminatedsessions\":5,\"forcedterminatedsessions\":1,",
            "\"relayedpackets\":20,",
            "\"zerowaystreams\":2,",
            "\"avgcallduration\":2.000000,",
            "\"totalcallsduration_stddev\":0.000000",
            "\"avgunsubscriberequestrate\":0}",
            "\"interfaces\":[{\"name\":\"a\\\"b\",\"address\":\"192.0.2.1\",\"ports\":{\"min\":20000,\"max\":20099,\"used\":4,\"used_pct\":4.00,\"free\":96,\"totals\":100,",
        ] {
            assert!(json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn totals_are_told_line_by_line() {
        let mut tally = Tally::new();
        tally.record(IpAddr::from([127, 0, 0, 1]), crate::door::CommandIndex::of("offer"), 1_000, false);
        let text = totals_text(&tree(&workers(), &whole(&tally)));
        assert!(text.contains("\n Owned sessions                                  :4\n"), "{text}");
        assert!(text.contains("\n Total number of streams with no relayed packets :2\n"), "{text}");
        assert!(text.contains("\n            127.0.0.1 |          0 |          1 |"), "{text}");
    }
}
