//! A shard driven without a socket: whatever it opens is granted, and time is a number.

mod admit;
mod census;
mod connect;
mod detect;
mod dialogue;
mod dtls;
mod dtls_described;
mod explain;
mod gate;
mod generate;
mod ice;
mod live;
mod media;
mod merge;
mod moving;
mod nat;
mod owner;
mod property;
mod publish;
mod quality;
mod record;
mod sdp;
mod sinks;
mod spray;
mod srtp;
mod subscribe;
mod timeouts;
mod tos;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
};

use ng::{Command, Delete, DeleteDelay, Reply, Signal};

use super::*;
use crate::{interface::Interfaces, io::OpenError, ports::PortRange};

/// Grants what the shard asks for and collects what it says.
struct Rig {
    shard: Shard,
    now_ms: u64,
    open: HashMap<SocketId, SocketAddr>,
    /// DSCP byte of each.
    tos: HashMap<SocketId, u8>,
    /// Ports that somebody else has.
    taken: HashSet<u16>,
    /// Sockets are granted only when this is false; else they queue.
    slow: bool,
    asked: Vec<SocketId>,
    replies: HashMap<u64, Reply>,
    events: Vec<ng::Event>,
    sent: Vec<(SocketAddr, SocketAddr)>,
    /// Packets sent as copies: from where, to where, and what.
    copies: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// What was recorded: where it arrived, from where, and what.
    recorded: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// What was said of recordings.
    notes: Vec<(crate::io::RecordingId, crate::recording::RecordingNote)>,
    next_id: u64,
}

const EPOCH_MS: u64 = 1_700_000_000_000;

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(edit: impl FnOnce(&mut ShardConfig)) -> Self {
        let interfaces = ["127.0.0.1", "::1", "pub/127.0.0.2!203.0.113.9"].map(|text| text.parse().unwrap());
        let interfaces = Interfaces::new(interfaces.to_vec()).unwrap();
        let mut config =
            ShardConfig::new(interfaces, PortRange::whole(20_000, 20_999, 5), std::time::Instant::now());
        edit(&mut config);
        Self {
            shard: Shard::new(config, 1),
            now_ms: 1_000,
            open: HashMap::new(),
            tos: HashMap::new(),
            taken: HashSet::new(),
            slow: false,
            asked: Vec::new(),
            replies: HashMap::new(),
            events: Vec::new(),
            sent: Vec::new(),
            copies: Vec::new(),
            recorded: Vec::new(),
            notes: Vec::new(),
            next_id: 0,
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.shard.handle_input(Instant::from_millis(self.now_ms), EPOCH_MS + self.now_ms, input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut granted = Vec::new();
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::OpenSocket { socket, local, tos } => {
                    self.tos.insert(socket, tos);
                    assert!(self.open.insert(socket, local).is_none(), "{socket:?} is open already");
                    if self.slow { self.asked.push(socket) } else { granted.push(socket) }
                }
                Output::SetTos { socket, tos } => {
                    assert!(self.open.contains_key(&socket), "{socket:?} is not open");
                    assert_ne!(self.tos.insert(socket, tos), Some(tos), "{socket:?} is told what it knows");
                }
                Output::CloseSocket { socket } => {
                    assert!(self.open.remove(&socket).is_some(), "{socket:?} is closed twice");
                }
                Output::Reply { id, reply } => {
                    assert!(self.replies.insert(id, *reply).is_none(), "{id} is answered twice");
                }
                Output::Event(event) => self.events.push(*event),
                Output::Turn(output) => panic!("{output:?} of a shard without TURN"),
                Output::Recording { recording, note } => self.notes.push((recording, note)),
                Output::TransmitCopy { socket, remote, made } => {
                    self.copies.push((self.open[&socket], remote, self.shard.made(&made).to_vec()));
                }
                Output::Record { socket, remote, made, .. } => {
                    assert_eq!(self.shard.local_address(socket), Some(self.open[&socket]));
                    self.recorded.push((self.open[&socket], remote, self.shard.made(&made).to_vec()));
                }
                Output::Transmit { socket, remote, .. } => self.sent.push((self.open[&socket], remote)),
            }
        }
        for socket in granted {
            self.grant(socket);
        }
    }

    fn grant(&mut self, socket: SocketId) {
        let taken = self.open.get(&socket).is_some_and(|local| self.taken.contains(&local.port()));
        let result = if taken { Err(OpenError::InUse) } else { Ok(()) };
        if taken {
            self.open.remove(&socket);
        }
        self.input(Input::SocketOpened { socket, result });
    }

    fn grant_asked(&mut self) {
        for socket in std::mem::take(&mut self.asked) {
            self.grant(socket);
        }
    }

    fn ask(&mut self, command: Command) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.input(Input::Command { id, command });
        id
    }

    fn command(&mut self, command: Command) -> Reply {
        let id = self.ask(command);
        self.replies.remove(&id).expect("a command is answered")
    }

    fn offer(&mut self, signal: Signal) -> Shown {
        Shown::of(self.command(Command::Offer(Box::new(signal))))
    }

    fn answer(&mut self, signal: Signal) -> Shown {
        Shown::of(self.command(Command::Answer(Box::new(signal))))
    }

    fn delete(&mut self, delete: Delete) -> Reply {
        self.command(Command::Delete(Box::new(delete)))
    }

    fn query(&mut self, call: &str) -> Reply {
        self.command(Command::Query(ng::Query { call_id: call.into(), ..ng::Query::default() }))
    }

    /// Who sent to a call without leave.
    fn offenders(&mut self, call: &str) -> Vec<ng::Offender> {
        match self.query(call) {
            Reply::Report(report) => report.offenders,
            other => panic!("{other:?}"),
        }
    }

    fn calls(&mut self) -> Vec<String> {
        match self.command(Command::List(ng::List::default())) {
            Reply::List(list) => list.calls,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass, with a tick at every deadline.
    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(at) =
            self.shard.next_deadline().map(|at| at.as_nanos().div_ceil(1_000_000)).filter(|&at| at <= end)
        {
            self.now_ms = self.now_ms.max(at);
            self.input(Input::Tick);
        }
        self.now_ms = end;
    }

    /// A datagram to a local port; what left because of it.
    fn packet(&mut self, from: &str, to_port: u16, packet: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
        let socket = self.open.iter().find(|(_, local)| local.port() == to_port).map(|(&socket, _)| socket);
        let mut packet = packet.to_vec();
        self.sent.clear();
        let socket = socket.unwrap_or(SocketId(u32::MAX));
        self.input(Input::datagram(socket, from.parse().unwrap(), &mut packet));
        assert!(self.sent.len() <= 1);
        self.sent.pop()
    }

    fn rtp(&mut self, from: &str, to_port: u16) -> Option<(SocketAddr, SocketAddr)> {
        let mut packet = [0; 172];
        packet[0] = 0x80;
        self.packet(from, to_port, &packet)
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.shard.counters().drops(reason)
    }

    /// Nothing is left: no socket, no port, no path, no deadline.
    fn assert_clean(&self) {
        assert_eq!(self.open.len(), 0, "sockets left open");
        assert_eq!(self.shard.sockets.live(), 0);
        assert_eq!(self.shard.paths.live(), 0);
        assert_eq!(self.shard.next_deadline(), None);
        assert_eq!(self.shard.calls.len(), 0);
        assert_eq!(self.shard.recordings.len(), 0);
        assert_eq!(self.shard.free_port_pairs(), 3 * 500);
    }
}

/// What the other side is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    Sdp(String),
    Error(String),
}

impl Shown {
    fn of(reply: Reply) -> Self {
        match reply {
            Reply::Signal(signal) => Self::Sdp(String::from_utf8(signal.sdp).unwrap()),
            Reply::Error(text) => Self::Error(text),
            other => panic!("{other:?}"),
        }
    }

    fn sdp(&self) -> &str {
        match self {
            Self::Sdp(sdp) => sdp,
            Self::Error(text) => panic!("refused: {text}"),
        }
    }

    fn error(&self) -> &str {
        match self {
            Self::Sdp(sdp) => panic!("accepted: {sdp}"),
            Self::Error(text) => text,
        }
    }

    /// Port of the first section.
    fn port(&self) -> u16 {
        let line = self.sdp().lines().find(|line| line.starts_with("m=")).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Lines that begin so.
    fn lines(&self, start: &str) -> Vec<&str> {
        self.sdp().lines().filter(|line| line.starts_with(start)).collect()
    }
}

fn sdp(at: &str, extra: &str) -> Vec<u8> {
    let (ip, port) = at.rsplit_once(':').unwrap();
    format!(
        "v=0\r\no=alice 123 456 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n{extra}"
    )
    .into_bytes()
}

/// An offer from A in call `c`, or with a second tag an answer or re-offer.
fn from_a(sdp: Vec<u8>) -> Signal {
    Signal { call_id: "c".into(), from_tag: "A".into(), sdp, ..Signal::default() }
}

fn to_b(sdp: Vec<u8>) -> Signal {
    Signal { to_tag: Some("B".into()), ..from_a(sdp) }
}

const A: &str = "198.51.100.1:4000";
const B: &str = "198.51.100.2:5000";

/// A call between A and B; the port that B sees, then the one that A sees.
fn established(rig: &mut Rig) -> (u16, u16) {
    let toward_b = rig.offer(from_a(sdp(A, ""))).port();
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    (toward_b, toward_a)
}

fn at_once(call: &str) -> Delete {
    Delete { call_id: call.into(), delay: DeleteDelay::Seconds(0), ..Delete::default() }
}
