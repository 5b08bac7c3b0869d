//! Both ends of every call: one socket a side, one sender, one receiver a side.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rtp::srtp::{Inbound, Outbound};
use serde::Serialize;

use crate::calls::Relay;
use crate::histogram::Histogram;
use crate::packet;
use crate::seal::{self, SEALED_BYTES_MAX, Seals};

/// The two ends that all calls share; the engine tells calls apart by its own ports, we by SSRC.
pub struct Traffic {
    caller: UdpSocket,
    callee: UdpSocket,
    /// Where both send RTCP from, if they do.
    rtcp: Option<[UdpSocket; 2]>,
}

/// What went out and what came back.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Tally {
    /// Packets sent to the engine.
    pub sent: u64,
    /// Packets that arrived byte for byte as they were sent.
    pub intact: u64,
    /// Packets that arrived and were not ours or not intact.
    pub broken: u64,
    /// `sent − intact`.
    pub lost: u64,
    /// Time through the engine and twice through the kernel, in nanoseconds.
    pub latency_p50_ns: u64,
    /// As above.
    pub latency_p99_ns: u64,
    /// As above.
    pub latency_p999_ns: u64,
}

const PTIME: Duration = Duration::from_millis(20);
/// How finely the calls are spread over a packet time.
const TICK: Duration = Duration::from_millis(1);
const TICKS_PER_PTIME: usize = 20;
const RECEIVE_BUFFER_BYTES: libc::c_int = 32 << 20;
/// How long the last packets may take.
const LINGER: Duration = Duration::from_millis(300);

impl Traffic {
    /// Opens the two ends on `ip`.
    ///
    /// # Errors
    /// If a socket cannot be had.
    pub fn open(ip: IpAddr) -> anyhow::Result<Traffic> {
        Ok(Traffic { caller: end(ip)?, callee: end(ip)?, rtcp: None })
    }

    /// The same, and each end sends a report when it begins to talk. Reports are not counted.
    ///
    /// # Errors
    /// If a socket cannot be had.
    pub fn open_with_rtcp(ip: IpAddr) -> anyhow::Result<Traffic> {
        let (caller, caller_rtcp) = pair(ip)?;
        let (callee, callee_rtcp) = pair(ip)?;
        Ok(Traffic { caller, callee, rtcp: Some([caller_rtcp, callee_rtcp]) })
    }

    /// The addresses to write into SDP: caller, callee.
    ///
    /// # Errors
    /// None on a bound socket.
    pub fn addresses(&self) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        Ok((self.caller.local_addr()?, self.callee.local_addr()?))
    }

    /// Sends both ways on every call for `duration`, 50 packets a second each, and counts what arrives.
    ///
    /// # Errors
    /// If a socket fails.
    pub fn run(&self, relays: &[Relay], duration: Duration) -> anyhow::Result<Tally> {
        self.run_secure(relays, &mut Seals::default(), duration)
    }

    /// The same for calls of which some ends speak SRTP.
    ///
    /// # Errors
    /// As above.
    pub fn run_secure(
        &self,
        relays: &[Relay],
        seals: &mut Seals,
        duration: Duration,
    ) -> anyhow::Result<Tally> {
        let Seals { rounds, callers, callees, .. } = seals;
        let started = Instant::now();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let at_callee = scope.spawn(|| receive(&self.callee, &mut callees.inbound, started, &done));
            let at_caller = scope.spawn(|| receive(&self.caller, &mut callers.inbound, started, &done));
            let outbound = [&mut callers.outbound[..], &mut callees.outbound[..]];
            let sent = self.send(relays, outbound, rounds, started, duration);
            // Receivers look at `done` when nothing has come for a while, so the last packets are not cut off.
            done.store(true, Ordering::Release);
            let mut total = Received::default();
            for end in [at_callee, at_caller] {
                let received = end.join().expect("a receiver does not panic")?;
                total.intact += received.intact;
                total.broken += received.broken;
                total.latency.merge(&received.latency);
            }
            let sent = sent?;
            Ok(Tally {
                sent,
                intact: total.intact,
                broken: total.broken,
                lost: sent.saturating_sub(total.intact),
                latency_p50_ns: total.latency.quantile(500),
                latency_p99_ns: total.latency.quantile(990),
                latency_p999_ns: total.latency.quantile(999),
            })
        })
    }

    fn send(
        &self,
        relays: &[Relay],
        [callers, callees]: [&mut [Outbound]; 2],
        rounds_before: &mut u32,
        started: Instant,
        duration: Duration,
    ) -> anyhow::Result<u64> {
        let mut sent = 0;
        let mut bytes = [0; SEALED_BYTES_MAX];
        let rounds = u32::try_from(duration.as_nanos() / PTIME.as_nanos()).context("a shorter duration")?;
        for round in 0..rounds {
            for tick in 0..TICKS_PER_PTIME {
                let due = started + PTIME * round + TICK * u32::try_from(tick)?;
                pause_until(due);
                let share = relays.iter().enumerate().skip(tick).step_by(TICKS_PER_PTIME);
                for (index, relay) in share {
                    let ssrc = u32::try_from(index * 2)?;
                    for (socket, to, ssrc, outbound) in [
                        (&self.caller, relay.for_caller, ssrc, &mut *callers),
                        (&self.callee, relay.for_callee, ssrc + 1, &mut *callees),
                    ] {
                        let plain = bytes.first_chunk_mut().expect("a sealed packet is longer");
                        packet::write(plain, ssrc, *rounds_before + round, nanoseconds(started));
                        let length = seal::protect(outbound, index, &mut bytes)?;
                        socket.send_to(&bytes[..length], to).with_context(|| format!("to {to}"))?;
                        sent += 1;
                    }
                    if let Some([caller, callee]) = self.rtcp.as_ref().filter(|_| round == 0) {
                        for (socket, to, ssrc) in
                            [(caller, relay.for_caller, ssrc), (callee, relay.for_callee, ssrc + 1)]
                        {
                            let to = SocketAddr::new(to.ip(), to.port() + 1);
                            socket.send_to(&packet::report(ssrc), to).with_context(|| format!("to {to}"))?;
                        }
                    }
                }
            }
        }
        *rounds_before += rounds;
        Ok(sent)
    }
}

#[derive(Default)]
struct Received {
    intact: u64,
    broken: u64,
    latency: Histogram,
}

fn receive(
    socket: &UdpSocket,
    inbound: &mut [Inbound],
    started: Instant,
    done: &AtomicBool,
) -> anyhow::Result<Received> {
    let mut received = Received::default();
    let mut bytes = [0; 2048];
    loop {
        match socket.recv(&mut bytes) {
            Ok(length) => match seal::unprotect(inbound, &mut bytes[..length]).and_then(packet::read) {
                Some((_, sent_ns)) => {
                    received.intact += 1;
                    received.latency.add(nanoseconds(started).saturating_sub(sent_ns));
                }
                None => received.broken += 1,
            },
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                if done.load(Ordering::Acquire) {
                    return Ok(received);
                }
            }
            // ICMP of an engine that has gone: the count of lost packets tells it.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error).context("receiving"),
        }
    }
}

fn end(ip: IpAddr) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0)).with_context(|| format!("a port on {ip}"))?;
    socket.set_read_timeout(Some(LINGER))?;
    let size = RECEIVE_BUFFER_BYTES;
    let length = libc::socklen_t::try_from(size_of_val(&size))?;
    // SAFETY: the pointer and the length are those of `size`, which outlives the call; the descriptor is open.
    // Without the privilege the kernel's default stays, which serves a small load.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const size).cast(),
            length,
        );
    }
    Ok(socket)
}

/// An even port and the odd one after it (RFC 3550 §11).
fn pair(ip: IpAddr) -> anyhow::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..100 {
        let rtp = end(ip)?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind((ip, port + 1))
        {
            return Ok((rtp, rtcp));
        }
    }
    anyhow::bail!("no pair of ports is free on {ip}")
}

fn nanoseconds(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a load is paced by the clock; there is no event to await")]
fn pause_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}
