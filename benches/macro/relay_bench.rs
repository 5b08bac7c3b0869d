//! What a relayed packet costs: Tollgate's drivers, a tokio-uring relay and Debian's rtpengine in one run, taking turns
//! on the same core while the load runs on another.
//!
//! It ends with 1 if a packet was lost: what a lossy relay costs says nothing.
//!
//!     cargo build --release -p tollgate -p benches && target/release/relay-bench --rounds 5 --calls 500 --seconds 10
//!
//! With `--srtp one` or `--srtp both` ends speak SRTP; the load encrypts and decrypts on its own core.
#![forbid(unsafe_code)]

mod engines;

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use load::{Calls, Secure, Tally, Traffic, cpu};
use rtp::srtp::Suite;
use serde::Serialize;

use engines::{ENGINES, Engine, Running};

/// Costs of a relayed packet, side by side
#[derive(Parser)]
struct Options {
    /// How often each engine has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls at once, each 50 packets a second both ways
    #[arg(long, default_value_t = 500)]
    calls: usize,
    /// Seconds of load a turn
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Core of the engine under test
    #[arg(long, default_value_t = 0)]
    engine_core: usize,
    /// Core of the load; the machine's second one if it has two
    #[arg(long)]
    load_core: Option<usize>,
    /// Address of the engines and of the load
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// Which ends speak SRTP, with keys from descriptions
    #[arg(long, value_enum, default_value_t = Srtp::None)]
    srtp: Srtp,
    /// In which suite
    #[arg(long, default_value = "AES_CM_128_HMAC_SHA1_80", value_parser = Suite::from_name)]
    suite: Suite,
    /// In which suite the caller does, if it is another
    #[arg(long, value_parser = Suite::from_name)]
    caller_suite: Option<Suite>,
    /// Only engines whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The ends that speak SRTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Srtp {
    /// Neither
    None,
    /// The callee
    One,
    /// Both
    Both,
}

impl Options {
    fn secure(&self) -> Secure {
        let callee = (self.srtp != Srtp::None).then_some(self.suite);
        let caller = (self.srtp == Srtp::Both).then_some(self.caller_suite.unwrap_or(self.suite));
        Secure { caller, callee }
    }

    /// What is relayed, for the heading.
    fn relayed(&self) -> String {
        let Secure { caller, callee } = self.secure();
        let leg =
            |suite: Option<Suite>| suite.map_or_else(|| "RTP".to_owned(), |suite| format!("SRTP ({suite})"));
        format!("{} to {}", leg(caller), leg(callee))
    }
}

/// The column that has no cipher.
const PLAIN: &str = "tokio-uring relay";

/// Before anything is counted: caches warm up, every stream is confirmed, and rtpengine, which settles on a source
/// after three seconds, has settled in all but the small size.
const WARM_UP: Duration = Duration::from_secs(4);

/// One turn of one engine.
#[derive(Serialize)]
struct Turn {
    process_ns_per_packet: u64,
    machine_ns_per_packet: u64,
    packets: Tally,
    /// Calls in which both ends were given one key, so that nothing was encrypted anew.
    passed_through: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let here: PathBuf = std::env::current_exe()?.parent().context("a folder")?.to_owned();
    ensure!(here.join("tollgate").exists(), "build it first: cargo build --release -p tollgate -p benches");
    let cores = std::thread::available_parallelism()?.get();
    cpu::pin(0, options.load_core.unwrap_or(if cores > 1 { 1 } else { 0 }))?;
    let engines: Vec<&Engine> = ENGINES
        .iter()
        .filter(|engine| {
            engine.name.contains(&options.only) && (options.srtp == Srtp::None || engine.name != PLAIN)
        })
        .collect();
    ensure!(!engines.is_empty() && options.rounds > 0, "nothing to do");
    let mut turns: Vec<Vec<Turn>> = engines.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (engine, turns) in engines.iter().zip(&mut turns) {
            let turn = take_turn(engine, &here, &options).with_context(|| engine.name)?;
            eprintln!(
                "round {round}: {:22} {:5} ns, {} lost of {}",
                engine.name, turn.process_ns_per_packet, turn.packets.lost, turn.packets.sent
            );
            turns.push(turn);
        }
    }
    let columns: Vec<Column> =
        engines.iter().zip(turns).map(|(engine, turns)| Column { engine: engine.name, turns }).collect();
    print(&options, &columns);
    let whole = columns.iter().all(|column| column.lost() == 0);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn take_turn(engine: &Engine, here: &Path, options: &Options) -> anyhow::Result<Turn> {
    let ng = UdpSocket::bind((options.ip, 0))?.local_addr()?;
    let mut command = (engine.start)(here, ng);
    let running = Running::start(&mut command)?;
    let pid = running.pid();
    let traffic = Traffic::open(options.ip)?;
    let (caller, callee) = traffic.addresses()?;
    let mut calls = Calls::set_up_secure(ng, options.calls, caller, callee, options.secure())?;
    for thread in threads(pid)? {
        cpu::pin(thread, options.engine_core)?;
    }
    let duration = Duration::from_secs(options.seconds);
    traffic.run_secure(&calls.relays, &mut calls.seals, WARM_UP.min(duration))?;
    let (before, machine) = (cpu::process(pid)?, cpu::Machine::watch()?);
    let packets = traffic.run_secure(&calls.relays, &mut calls.seals, duration)?;
    let (process, machine) = (cpu::process(pid)? - before, machine.busy()?);
    let per_packet =
        |spent: Duration| u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX) / packets.intact.max(1);
    Ok(Turn {
        process_ns_per_packet: per_packet(process),
        machine_ns_per_packet: per_packet(machine),
        packets,
        passed_through: calls.seals.passed_through,
    })
}

fn threads(pid: u32) -> anyhow::Result<Vec<u32>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// All turns of one engine.
#[derive(Serialize)]
struct Column {
    engine: &'static str,
    turns: Vec<Turn>,
}

impl Column {
    fn lost(&self) -> u64 {
        self.turns.iter().map(|turn| turn.packets.lost).sum()
    }

    /// Least, median and most of a figure over the turns.
    fn spread(&self, figure: impl Fn(&Turn) -> u64) -> Spread {
        let mut figures: Vec<u64> = self.turns.iter().map(figure).collect();
        figures.sort_unstable();
        let (middle, last) = (figures.len() / 2, figures.len() - 1);
        let median = u64::midpoint(figures[last - middle], figures[middle]);
        Spread { least: figures[0], median, most: figures[last] }
    }
}

#[derive(Serialize)]
struct Spread {
    least: u64,
    median: u64,
    most: u64,
}

impl std::fmt::Display for Spread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(&format!("{} ({}–{})", self.median, self.least, self.most))
    }
}

fn print(options: &Options, columns: &[Column]) {
    let machine = machine();
    let reference = columns.last().map_or(1, |last| last.spread(|turn| turn.process_ns_per_packet).median);
    let hundredths = |cpu: &Spread| cpu.median * 100 / reference.max(1);
    let rows = columns.iter().map(|column| {
        let cpu = column.spread(|turn| turn.process_ns_per_packet);
        let machine = column.spread(|turn| turn.machine_ns_per_packet);
        let p50 = column.spread(|turn| turn.packets.latency_p50_ns / 1000);
        let p99 = column.spread(|turn| turn.packets.latency_p99_ns / 1000);
        (column, cpu, machine, p50, p99)
    });
    if options.json {
        let engines: Vec<_> = rows
            .map(|(column, cpu, machine, p50, p99)| {
                serde_json::json!({"engine": column.engine, "turns": column.turns, "lost": column.lost(),
                    "hundredths_of_the_last": hundredths(&cpu), "process_ns_per_packet": cpu,
                    "machine_ns_per_packet": machine, "latency_p50_us": p50, "latency_p99_us": p99})
            })
            .collect();
        let line = serde_json::json!({"machine": machine, "relayed": options.relayed(), "calls": options.calls, "seconds": options.seconds,
            "rounds": options.rounds, "engines": engines});
        println!("{line}");
        return;
    }
    println!(
        "{machine}; {}, {} calls, {} s a turn, {} rounds; median (least–most)\n",
        options.relayed(),
        options.calls,
        options.seconds,
        options.rounds
    );
    println!(
        "| engine | CPU ns/packet | of the last | machine ns/packet | lost | latency p50 µs | p99 µs |\n\
         |---|---|---|---|---|---|---|"
    );
    for (column, cpu, machine, p50, p99) in rows {
        let share = hundredths(&cpu);
        println!(
            "| {:21} | {cpu:18} | {}.{:02} | {machine:20} | {} | {p50} | {p99} |",
            column.engine,
            share / 100,
            share % 100,
            column.lost(),
        );
    }
    for column in columns.iter().filter(|column| column.turns.iter().any(|turn| turn.passed_through > 0)) {
        println!("\n{} gave both ends one key, and encrypted nothing anew.", column.engine);
    }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("?", |(_, name)| name);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit =
        commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    format!("{model}, Linux {}, commit {commit}", kernel.trim())
}
