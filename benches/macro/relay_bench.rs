//! What a relayed packet costs: Tollgate's drivers, a tokio-uring relay and Debian's rtpengine in one run, taking turns
//! on the same core while the load runs on another.
//!
//!     cargo run --release -p benches --bin relay-bench -- --rounds 5 --calls 500 --seconds 10
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use load::{Calls, Tally, Traffic, cpu};
use serde::Serialize;

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
    /// Core of the load
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Only engines whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A column of the bench: a name, and how it is started.
struct Engine {
    name: &'static str,
    start: fn(&Path, SocketAddr) -> Command,
}

const ENGINES: [Engine; 4] = [
    Engine { name: "tollgate io_uring", start: |here, ng| tollgate(here, ng, "uring") },
    Engine { name: "tollgate epoll", start: |here, ng| tollgate(here, ng, "epoll") },
    Engine { name: "tokio-uring relay", start: baseline },
    Engine { name: "rtpengine user space", start: rtpengine },
];

const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 60_000;
const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn tollgate(here: &Path, ng: SocketAddr, driver: &str) -> Command {
    let mut command = Command::new(here.join("tollgate"));
    command
        .args(["engine", "--workers", "1", "--driver", driver, "--interface", &IP.to_string()])
        .args(["--listen-ng", &ng.to_string()])
        .args(["--port-min", &PORT_MIN.to_string(), "--port-max", &PORT_MAX.to_string()]);
    command
}

fn baseline(here: &Path, ng: SocketAddr) -> Command {
    let mut command = Command::new(here.join("baseline-tokio-uring"));
    command.arg(ng.to_string());
    command
}

fn rtpengine(_here: &Path, ng: SocketAddr) -> Command {
    let mut command = Command::new("rtpengine");
    command
        .args([
            "--config-file=none",
            "--table=-1",
            "--num-threads=1",
            "--foreground",
            "--log-stderr",
            "--log-level=4",
        ])
        .args([format!("--interface={IP}"), format!("--listen-ng={ng}")])
        .args([format!("--port-min={PORT_MIN}"), format!("--port-max={PORT_MAX}")]);
    command
}

/// One turn of one engine.
#[derive(Serialize)]
struct Turn {
    process_ns_per_packet: u64,
    machine_ns_per_packet: u64,
    packets: Tally,
}

/// Ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let here: PathBuf = std::env::current_exe()?.parent().context("a folder")?.to_owned();
    ensure!(here.join("tollgate").exists(), "build it first: cargo build --release -p tollgate -p benches");
    cpu::pin(0, options.load_core)?;
    let engines: Vec<&Engine> = ENGINES.iter().filter(|engine| engine.name.contains(&options.only)).collect();
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
    print(&options, &engines, &turns);
    Ok(())
}

fn take_turn(engine: &Engine, here: &Path, options: &Options) -> anyhow::Result<Turn> {
    let ng = UdpSocket::bind((IP, 0))?.local_addr()?;
    let mut command = (engine.start)(here, ng);
    let running =
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting it")?);
    let pid = running.0.id();
    let traffic = Traffic::open(IP)?;
    let (caller, callee) = traffic.addresses()?;
    let calls = Calls::set_up(ng, options.calls, caller, callee)?;
    for thread in threads(pid)? {
        cpu::pin(thread, options.engine_core)?;
    }
    // The first second warms caches and lets every stream be confirmed; it is not counted.
    traffic.run(&calls.relays, Duration::from_secs(1))?;
    let before = (cpu::process(pid)?, cpu::machine()?);
    let packets = traffic.run(&calls.relays, Duration::from_secs(options.seconds))?;
    let after = (cpu::process(pid)?, cpu::machine()?);
    let per_packet =
        |spent: Duration| u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX) / packets.intact.max(1);
    Ok(Turn {
        process_ns_per_packet: per_packet(after.0 - before.0),
        machine_ns_per_packet: per_packet(after.1.saturating_sub(before.1)),
        packets,
    })
}

fn threads(pid: u32) -> anyhow::Result<Vec<u32>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect())
}

fn print(options: &Options, engines: &[&Engine], turns: &[Vec<Turn>]) {
    let machine = machine();
    if options.json {
        let columns: Vec<_> = engines
            .iter()
            .zip(turns)
            .map(|(engine, turns)| serde_json::json!({"engine": engine.name, "turns": turns}))
            .collect();
        println!("{}", serde_json::json!({"machine": machine, "calls": options.calls, "engines": columns}));
        return;
    }
    let reference = turns.last().map_or(0, |turns| spread(turns, |turn| turn.process_ns_per_packet).1);
    println!(
        "{machine}; {} calls, {} s a turn, {} rounds; median (least–most)",
        options.calls, options.seconds, options.rounds
    );
    println!(
        "engine                 | CPU ns/packet        | of the last | machine ns/packet    | lost  | p50 µs | p99 µs"
    );
    for (engine, turns) in engines.iter().zip(turns) {
        let cpu = spread(turns, |turn| turn.process_ns_per_packet);
        let machine = spread(turns, |turn| turn.machine_ns_per_packet);
        let lost: u64 = turns.iter().map(|turn| turn.packets.lost).sum();
        let p50 = spread(turns, |turn| turn.packets.latency_p50_ns / 1000).1;
        let p99 = spread(turns, |turn| turn.packets.latency_p99_ns / 1000).1;
        let hundredths = cpu.1 * 100 / reference.max(1);
        println!(
            "{:22} | {:5} ({:5}–{:5})  | {:>5}.{:02}    | {:5} ({:5}–{:5})  | {lost:5} | {p50:6} | {p99:6}",
            engine.name,
            cpu.1,
            cpu.0,
            cpu.2,
            hundredths / 100,
            hundredths % 100,
            machine.1,
            machine.0,
            machine.2
        );
    }
}

/// Least, median and most of a figure over the turns.
fn spread(turns: &[Turn], figure: impl Fn(&Turn) -> u64) -> (u64, u64, u64) {
    let mut figures: Vec<u64> = turns.iter().map(figure).collect();
    figures.sort_unstable();
    match figures.as_slice() {
        [] => (0, 0, 0),
        [first, .., last] => (*first, figures[figures.len() / 2], *last),
        [only] => (*only, *only, *only),
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
