//! `load`: puts calls through an engine and says what came back.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use load::{Calls, Traffic, cpu};

/// Sets up calls over NG, sends 20 ms G.711 both ways, and counts what comes back intact, how late, and what it cost.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The engine's NG address
    #[arg(long, default_value = "127.0.0.1:2223")]
    ng: SocketAddr,
    /// How many calls, each with 50 packets a second both ways
    #[arg(long, default_value_t = 500)]
    calls: usize,
    /// For how many seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The address of both ends
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
    /// The engine's process, to print what a packet costs it
    #[arg(long)]
    pid: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let traffic = Traffic::open(options.ip)?;
    let (caller, callee) = traffic.addresses()?;
    let calls = Calls::set_up(options.ng, options.calls, caller, callee).context("setting up the calls")?;
    let spent = |pid: Option<u32>| pid.map(cpu::process).transpose();
    let (process_before, machine) = (spent(options.pid)?, cpu::Machine::watch()?);
    let tally = traffic.run(&calls.relays, Duration::from_secs(options.seconds))?;
    let (process_after, machine) = (spent(options.pid)?, machine.busy()?);
    calls.delete()?;
    let per_packet_ns = |spent: Duration| spent.as_nanos() / u128::from(tally.intact.max(1));
    let process_ns = process_after.zip(process_before).map(|(after, before)| per_packet_ns(after - before));
    let machine_ns = per_packet_ns(machine);
    if options.json {
        let line = serde_json::json!({"calls": options.calls, "seconds": options.seconds, "packets": tally,
            "process_ns_per_packet": process_ns, "machine_ns_per_packet": machine_ns});
        println!("{line}");
    } else {
        println!(
            "{} calls, {} s: {} sent, {} intact, {} lost",
            options.calls, options.seconds, tally.sent, tally.intact, tally.lost
        );
        println!(
            "latency p50 {} µs, p99 {} µs, p99.9 {} µs",
            tally.latency_p50_ns / 1000,
            tally.latency_p99_ns / 1000,
            tally.latency_p999_ns / 1000
        );
        if let Some(cost) = process_ns {
            println!(
                "the engine spent {cost} ns of CPU a packet; the machine was busy {machine_ns} ns a packet"
            );
        }
    }
    Ok(())
}
