//! A bare relay: the cost of one packet received and sent on, with nothing in between.
//!
//! `relay DRIVER [STREAMS] [SECONDS] [connected]` sends `STREAMS` streams of 172 bytes each 20 ms through one
//! driver from another thread, and prints the relay thread's CPU time per packet.

use std::net::UdpSocket;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use driver::{Arrival, Choice, Clock, Driver, Opening, Options, Waker, available_cores, pin_to};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let choice = arguments.next().as_deref().unwrap_or("auto").parse::<Choice>();
    let streams: u32 = arguments.next().and_then(|word| word.parse().ok()).unwrap_or(200);
    let seconds: u64 = arguments.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    let connected = arguments.next().as_deref() == Some("connected");
    match choice.map_err(text).and_then(|choice| run(choice, streams, seconds, connected)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Runs one measurement and describes it in a line.
fn run(choice: Choice, streams: u32, seconds: u64, connected: bool) -> Result<String, String> {
    let cores = available_cores().map_err(text)?;
    let (first, last) = (cores[0], cores[cores.len() - 1]);
    let sink = UdpSocket::bind("127.0.0.1:0").map_err(text)?;
    let sink_address = sink.local_addr().map_err(text)?;
    let source = UdpSocket::bind("127.0.0.1:0").map_err(text)?;
    let source_address = source.local_addr().map_err(text)?;

    pin_to(first).map_err(text)?;
    let options = Options { sockets_max: streams, ..Options::default() };
    let waker = Waker::new().map_err(text)?;
    let (mut driver, _) = Driver::new(choice, &options, waker).map_err(text)?;
    let mut ports = Vec::new();
    for key in 0..streams {
        let local = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).map_err(text)?;
        let opening = Opening { local, tos: 0xb8, connected: connected.then_some(source_address) };
        driver.open(key, &opening).map_err(text)?;
        ports.push(local);
    }

    let done = Arc::new(AtomicBool::new(false));
    let finished = Arc::clone(&done);
    let sender = thread::spawn(move || -> u64 {
        let _unpinned = pin_to(last);
        // Every stream once per 20 ms, spread evenly, as calls that began at different times are.
        let started = Clock::monotonic_ns();
        let step_ns = 20_000_000 / u64::from(streams);
        let mut sent = 0_u64;
        while !finished.load(Ordering::Relaxed) {
            let due = (Clock::monotonic_ns() - started) / step_ns;
            while sent < due {
                let port = ports[usize::try_from(sent).unwrap_or(0) % ports.len()];
                let _lost = source.send_to(&[0x5a; 172], port);
                sent += 1;
            }
            thread::park_timeout(Duration::from_micros(50));
        }
        sent
    });

    let mut batch = Vec::new();
    let cpu_before = thread_cpu_us();
    let end = Clock::monotonic_ns() + seconds * 1_000_000_000;
    let (mut packets, mut waits) = (0_u64, 0_u64);
    loop {
        let now = driver.wait(Some(end), &mut batch).map_err(text)?;
        waits += 1;
        for arrival in batch.drain(..) {
            if let Arrival::Datagram { key, slot, .. } = arrival {
                packets += 1;
                driver.send(key, sink_address, slot, 0..172);
            }
        }
        if now.monotonic_ns >= end {
            break;
        }
    }
    let cpu_us = thread_cpu_us() - cpu_before;
    done.store(true, Ordering::Relaxed);
    let sent = sender.join().map_err(|_| "the sender panicked".to_owned())?;
    let per_packet_ns = cpu_us * 1000 / packets.max(1);
    Ok(format!(
        "{} {streams} streams: {packets} of {sent} packets, {per_packet_ns} ns a packet, {} waits a hundred packets",
        driver.kind(),
        waits * 100 / packets.max(1)
    ))
}

/// User and system time of this thread in microseconds.
fn thread_cpu_us() -> u64 {
    let words = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    words.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0) / 1000
}
