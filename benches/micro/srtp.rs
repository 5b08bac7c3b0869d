//! What it costs to protect one RTP packet and to unprotect it again, replay check included: ours, and libsrtp2 as
//! Debian builds it and as it is with OpenSSL, taking turns in one process.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use libsrtp::{DEBIAN, Direction, Library, Session, TRAILER_BYTES_MAX};
use rtp::srtp::{Inbound, MasterKey, Outbound, Policy, Suite};

/// Protects and unprotects packets of 172 bytes, in turns.
#[derive(Parser)]
struct Arguments {
    /// Turns of each column.
    #[arg(long, default_value_t = 41)]
    rounds: usize,
    /// Packets a turn.
    #[arg(long, default_value_t = 20_000)]
    packets: u32,
    /// An extension of Python's that carries a libsrtp2 with OpenSSL.
    #[arg(long, requires = "interpreter")]
    openssl: Option<String>,
    /// The library of the interpreter that the extension is for.
    #[arg(long)]
    interpreter: Option<String>,
    /// Every suite instead of the two that are promised.
    #[arg(long)]
    all: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.rounds > 0 && arguments.packets > 0, "there is nothing to measure");
    let mut libraries = vec![("Debian's", Library::load(DEBIAN).map_err(anyhow::Error::msg)?)];
    if let (Some(extension), Some(interpreter)) = (&arguments.openssl, &arguments.interpreter) {
        let library = Library::load_extension(extension, interpreter).map_err(anyhow::Error::msg)?;
        libraries.push(("with OpenSSL", library));
    }
    println!("protect + unprotect of 172 bytes, ns: median (least–most) of {} turns", arguments.rounds);
    println!("| suite | ours | {} |", heads(&libraries).join(" | "));
    println!("|---|---|{}", "---|".repeat(2 * libraries.len()));
    let promised = [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm];
    for suite in if arguments.all { Suite::ALL.to_vec() } else { promised.to_vec() } {
        measure(suite, &libraries, &arguments)?;
    }
    Ok(())
}

fn heads(libraries: &[(&str, Library)]) -> Vec<String> {
    let head = |(name, library): &(&str, Library)| format!("{} {name} | ours of it", library.version());
    libraries.iter().map(head).collect()
}

fn measure(suite: Suite, libraries: &[(&str, Library)], arguments: &Arguments) -> anyhow::Result<()> {
    let key: Vec<u8> = (1..=u8::try_from(suite.master_bytes())?).collect();
    let policy =
        Policy::new(suite, MasterKey::from_concatenation(suite, &key).context("the suite's length")?);
    let mut columns: Vec<Box<dyn Ends>> =
        vec![Box::new(Ours { outbound: Outbound::new(&policy)?, inbound: Inbound::new(&policy)? })];
    for (name, library) in libraries {
        let session = |direction| {
            library
                .session(direction, suite, &key)
                .map_err(|failure| anyhow::anyhow!("{name} {suite}: {failure:?}"))
        };
        columns.push(Box::new(Theirs {
            outbound: session(Direction::Outbound)?,
            inbound: session(Direction::Inbound)?,
        }));
    }
    let mut turns = vec![Vec::with_capacity(arguments.rounds); columns.len()];
    let mut seq = 0;
    // The first round warms up.
    for round in 0..=arguments.rounds {
        for (column, turns) in columns.iter_mut().zip(&mut turns) {
            let ns = turn(column.as_mut(), seq, arguments.packets)?;
            if round > 0 {
                turns.push(ns);
            }
        }
        seq += arguments.packets;
    }
    let mut line = format!("| {suite} | {}", spread(&turns[0], 0));
    for theirs in &turns[1..] {
        let ratios: Vec<f64> = turns[0].iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        line = format!("{line} | {} | {}", spread(theirs, 0), spread(&ratios, 2));
    }
    println!("{line} |");
    Ok(())
}

/// The median, the least and the most.
fn spread(turns: &[f64], digits: usize) -> String {
    let mut turns = turns.to_vec();
    turns.sort_by(f64::total_cmp);
    let (least, median, most) = (turns[0], turns[turns.len() / 2], turns[turns.len() - 1]);
    format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
}

/// Nanoseconds a packet.
fn turn(ends: &mut dyn Ends, seq: u32, packets: u32) -> anyhow::Result<f64> {
    let mut plain = [0x5a; PACKET_BYTES];
    plain[0] = 0x80;
    let mut buffer = [0; PACKET_BYTES + TRAILER_BYTES_MAX];
    let start = Instant::now();
    for seq in seq..seq + packets {
        buffer[..PACKET_BYTES].copy_from_slice(&plain);
        buffer[2..4].copy_from_slice(&seq.to_be_bytes()[2..]);
        let opened = ends.there_and_back(black_box(&mut buffer));
        ensure!(opened == Some(PACKET_BYTES), "packet {seq} did not come back");
    }
    let elapsed = start.elapsed();
    ensure!(buffer[4..PACKET_BYTES] == plain[4..], "the packet came back changed");
    Ok(elapsed.as_nanos() as f64 / f64::from(packets))
}

/// A sender and a receiver.
trait Ends {
    /// The length of what was protected and unprotected again.
    fn there_and_back(&mut self, buffer: &mut [u8]) -> Option<usize>;
}

struct Ours {
    outbound: Outbound,
    inbound: Inbound,
}

impl Ends for Ours {
    fn there_and_back(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let length = self.outbound.protect_rtp(buffer, PACKET_BYTES).ok()?;
        self.inbound.unprotect_rtp(&mut buffer[..length]).ok()
    }
}

struct Theirs {
    outbound: Session,
    inbound: Session,
}

impl Ends for Theirs {
    fn there_and_back(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let length = self.outbound.protect(buffer, PACKET_BYTES).ok()?;
        self.inbound.unprotect(&mut buffer[..length]).ok()
    }
}

/// 20 ms of G.711 and an RTP header.
const PACKET_BYTES: usize = 172;
