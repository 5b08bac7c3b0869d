//! What calls take and what they leave behind: memory per call beside rtpengine's, and a soak that ends where it began.
//!
//!     cargo build --release -p tollgate -p benches
//!     target/release/soak memory --from 1000 --to 4900
//!     target/release/soak churn --packets 5000000
//!
//! Either ends with 1 if it found too much.
#![forbid(unsafe_code)]

mod engines;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use load::{Calls, Relay, Traffic};
use serde_json::json;

use engines::{ENGINES, Engine, PORT_MAX, PORT_MIN, Running};

/// What calls take and what they leave behind
#[derive(Parser)]
struct Options {
    /// Address of the engine and of the load
    #[arg(long, global = true, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// Only engines whose name contains this
    #[arg(long, global = true, default_value = "")]
    only: String,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Resident memory a call: two parties, G.711 and RTCP both ways, all of it through the engine
    Memory {
        /// Calls when memory is first looked at
        #[arg(long, default_value_t = 1_000)]
        from: usize,
        /// Calls when it is looked at again; four sockets each, within the descriptor limit
        #[arg(long, default_value_t = 4_900)]
        to: usize,
        /// What our engine may take a call
        #[arg(long, default_value_t = 12 * 1024)]
        bytes_max: u64,
    },
    /// Calls come and go under load; memory, descriptors and ports must end where they began
    Churn {
        /// Packets sent to the engine
        #[arg(long, default_value_t = 5_000_000)]
        packets: u64,
        /// Calls that begin and end together; as many others go on meanwhile
        #[arg(long, default_value_t = 200)]
        calls: usize,
        /// Packets sent before anything is looked at, so that the bounded places for the answers of the last minute and the
        /// last 16384 events are full
        #[arg(long, default_value_t = 2_500_000)]
        warm_up_packets: u64,
        /// By how much resident memory may then grow, from the first tenth of the packets to the last
        #[arg(long, default_value_t = 2 * 1024)]
        growth_kib_max: u64,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let here = std::env::current_exe()?.parent().context("a folder")?.to_owned();
    ensure!(here.join("tollgate").exists(), "build it first: cargo build --release -p tollgate -p benches");
    let mut sound = true;
    // The relay that only bounces packets knows no calls.
    let wanted = |engine: &&Engine| engine.name.contains(&options.only) && engine.name != "tokio-uring relay";
    for engine in ENGINES.iter().filter(wanted) {
        let ours = engine.name.starts_with("tollgate");
        match options.task {
            Task::Memory { from, to, bytes_max } => {
                let bytes = memory(engine, &here, options.ip, from, to).with_context(|| engine.name)?;
                println!("{}: {bytes} bytes resident a call, from {from} to {to} calls", engine.name);
                sound &= !ours || bytes <= bytes_max;
            }
            Task::Churn { packets, calls, warm_up_packets, growth_kib_max } if ours => {
                let kept = churn(engine, &here, options.ip, [warm_up_packets, packets], calls);
                let kept = kept.with_context(|| engine.name)?;
                println!(
                    "{}",
                    json!({"engine": engine.name, "sent": kept.sent, "lost": kept.lost,
                    "calls": kept.calls, "before": kept.before.json(), "after": kept.after.json(),
                    "course_kib": kept.course_kib})
                );
                sound &= kept.lost == 0
                    && kept.grown_kib() <= growth_kib_max
                    && kept.after.descriptors == kept.before.descriptors
                    && kept.after.ports == kept.before.ports;
            }
            Task::Churn { .. } => {}
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts an engine; its NG address is free when this is called.
fn start(engine: &Engine, here: &Path, ip: IpAddr) -> anyhow::Result<(Running, SocketAddr)> {
    let ng = UdpSocket::bind((ip, 0))?.local_addr()?;
    // The kernel closes the sockets of the engine before, which was killed, when it comes to it.
    let deadline = Instant::now() + PATIENCE;
    while bound(ip)? > 0 {
        ensure!(Instant::now() < deadline, "somebody has media ports on {ip}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
    Ok((Running::start(&mut (engine.start)(here, ng))?, ng))
}

/// How long the sockets of an engine that was killed may stay, and how often they are looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Resident bytes that a further call takes.
fn memory(engine: &Engine, here: &Path, ip: IpAddr, from: usize, to: usize) -> anyhow::Result<u64> {
    ensure!(from < to, "--to is more than --from");
    let (running, ng) = start(engine, here, ip)?;
    let traffic = Traffic::open_with_rtcp(ip)?;
    let (caller, callee) = traffic.addresses()?;
    let few = Calls::set_up(ng, from, caller, callee)?;
    talk(&traffic, &few.relays)?;
    let before = State::of(running.pid(), ip)?;
    let more = Calls::set_up(ng, to - from, caller, callee)?;
    talk(&traffic, &more.relays)?;
    talk(&traffic, &few.relays)?;
    let after = State::of(running.pid(), ip)?;
    let grown = after.resident_kib.saturating_sub(before.resident_kib) * 1024;
    Ok(grown / u64::try_from(to - from)?)
}

/// A fifth of a second of media on every call, some of them at a time.
fn talk(traffic: &Traffic, relays: &[Relay]) -> anyhow::Result<()> {
    for some in relays.chunks(CALLS_AT_ONCE) {
        let tally = traffic.run(some, Duration::from_millis(200))?;
        ensure!(tally.intact > 0, "no media came back");
    }
    Ok(())
}

/// Calls that talk at a time when all are too many for one load.
const CALLS_AT_ONCE: usize = 250;

/// What a churn came to.
struct Kept {
    sent: u64,
    lost: u64,
    calls: usize,
    before: State,
    after: State,
    /// Resident memory on the way.
    course_kib: Vec<u64>,
}

impl Kept {
    /// By how much memory grew while as many calls were there.
    fn grown_kib(&self) -> u64 {
        let grown = self.course_kib.last().zip(self.course_kib.first());
        grown.map_or(u64::MAX, |(last, first)| last.saturating_sub(*first))
    }
}

/// How often resident memory is looked at on the way.
const COURSE_POINTS: u64 = 10;

/// Generations of calls, each of which begins before the last one ends, until `packets` were sent; the same before, to warm up.
fn churn(
    engine: &Engine,
    here: &Path,
    ip: IpAddr,
    [warm_up_packets, packets]: [u64; 2],
    calls: usize,
) -> anyhow::Result<Kept> {
    let (running, ng) = start(engine, here, ip)?;
    let traffic = Traffic::open(ip)?;
    let (caller, callee) = traffic.addresses()?;
    let generations = |packets: u64| {
        let (mut sent, mut lost, mut begun, mut course_kib) = (0, 0, calls, Vec::new());
        let mut old = Calls::set_up(ng, calls, caller, callee)?;
        while sent < packets {
            let new = Calls::set_up(ng, calls, caller, callee)?;
            begun += calls;
            let all: Vec<Relay> = old.relays.iter().chain(&new.relays).copied().collect();
            let tally = traffic.run(&all, Duration::from_secs(1))?;
            (sent, lost) = (sent + tally.sent, lost + tally.lost);
            std::mem::replace(&mut old, new).delete()?;
            if sent * COURSE_POINTS >= packets * (course_kib.len() as u64 + 1) {
                course_kib.push(State::of(running.pid(), ip)?.resident_kib);
            }
        }
        old.delete()?;
        let after = State::of(running.pid(), ip)?;
        anyhow::Ok(Kept { sent, lost, calls: begun, before: after, after, course_kib })
    };
    let before = generations(warm_up_packets)?.after;
    Ok(Kept { before, ..generations(packets)? })
}

/// What a process holds.
#[derive(Clone, Copy)]
struct State {
    resident_kib: u64,
    descriptors: usize,
    /// Ports of the media range bound on the address; the load's own are among them, before and after.
    ports: usize,
}

impl State {
    fn of(pid: u32, ip: IpAddr) -> anyhow::Result<State> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a VmRSS line")?;
        let resident_kib = resident.trim().trim_end_matches(" kB").trim().parse()?;
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        Ok(State { resident_kib, descriptors, ports: bound(ip)? })
    }

    fn json(&self) -> serde_json::Value {
        json!({"resident_kib": self.resident_kib, "descriptors": self.descriptors, "ports": self.ports})
    }
}

/// How many media ports are bound on an IPv4 address.
fn bound(ip: IpAddr) -> anyhow::Result<usize> {
    let IpAddr::V4(ip) = ip else { anyhow::bail!("--ip is an IPv4 address") };
    let prefix = format!("{:08X}:", u32::from(ip).swap_bytes());
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let locals = table.lines().filter_map(|line| line.split_whitespace().nth(1)?.strip_prefix(&prefix));
    let ports = locals.filter_map(|port| u16::from_str_radix(port, 16).ok());
    Ok(ports.filter(|port| (PORT_MIN..=PORT_MAX).contains(port)).count())
}
