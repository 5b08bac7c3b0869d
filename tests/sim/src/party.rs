//! A party: where it is, what it says of itself, what it was told.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ng::Signal;
use rtp::sdp::Crypto;

use crate::keys::{Ring, Style};
use crate::rng::Rng;
use crate::signal::Exchange;

/// Somebody with a tag.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) number: usize,
    pub(crate) tag: String,
    /// Another tag by which it is known.
    pub(crate) alias: Option<String>,
    /// It subscribes, and sends something all the same, to be found behind a NAT.
    pub(crate) listens: bool,
    /// No client says where its SIP messages come from.
    pub(crate) unseen: bool,
    /// It is in the call of the second name.
    pub(crate) second: bool,
    pub(crate) ip: IpAddr,
    pub(crate) nat: Option<Nat>,
    pub(crate) style: Style,
    /// Its keys, by section.
    pub(crate) rings: Vec<Ring>,
    /// What it says of itself now.
    pub(crate) sections: Vec<Section>,
    version: u64,
    /// Where it sends, by section.
    pub(crate) told: Vec<Told>,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// It sends until then.
    pub(crate) talks_until: u64,
    /// RTP that reached it since somebody looked.
    pub(crate) heard: u64,
    /// Its last description, and what came with it.
    pub(crate) last: Option<(Signal, Exchange)>,
}

/// A box between a party and the world: another address, another port for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nat {
    pub(crate) public: IpAddr,
    /// Media comes from here, through a relay of the operator.
    pub(crate) relay: Option<IpAddr>,
    salt: u16,
}

/// One `m=` line of a party.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    /// 0 refuses it.
    pub(crate) port: u16,
    pub(crate) direction: Direction,
    pub(crate) mux: bool,
    /// Where it wants RTCP, if not on the next port.
    pub(crate) rtcp: Option<u16>,
    /// Hold by the unspecified address.
    pub(crate) nowhere: bool,
    pub(crate) profile: &'static str,
    /// Lines of SRTP.
    pub(crate) keys: Vec<Crypto>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
    Image,
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// What a description says of a section, as the engine has to take it.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// Where RTP and RTCP are wanted; `None` is nowhere.
    pub(crate) halves: [Option<SocketAddr>; 2],
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    pub(crate) kind: Kind,
}

/// What a description that went out says of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) kind: Kind,
    pub(crate) mux: bool,
    pub(crate) port: u16,
    /// `None` where nothing is to be sent.
    pub(crate) rtp: Option<SocketAddr>,
    pub(crate) rtcp: Option<SocketAddr>,
    pub(crate) profile: &'static str,
    pub(crate) keys: Vec<Crypto>,
}

impl Party {
    pub(crate) fn new(number: usize, ip: IpAddr, nat: Option<IpAddr>, rng: &mut Rng) -> Self {
        Self {
            number,
            tag: format!("tag{number}"),
            alias: None,
            listens: false,
            unseen: false,
            second: false,
            ip,
            nat: nat.map(|public| Nat { public, relay: None, salt: rng.u16(0, u16::MAX) }),
            style: Style::Plain,
            rings: Vec::new(),
            sections: Vec::new(),
            version: 0,
            told: Vec::new(),
            ssrc: u32::from(rng.u16(1, u16::MAX)) << 16 | u32::from(rng.u16(1, u16::MAX)),
            sequence: rng.u16(0, u16::MAX),
            talks_until: 0,
            heard: 0,
            last: None,
        }
    }

    /// Whether it is known by this tag.
    pub(crate) fn is_tagged(&self, tag: &str) -> bool {
        self.tag == tag || self.alias.as_deref() == Some(tag)
    }

    /// From where a packet of a local port comes, as the world sees it.
    pub(crate) fn source(&self, port: u16) -> SocketAddr {
        match self.nat {
            // Odd, so that no two ports meet.
            Some(nat) => SocketAddr::new(
                nat.relay.unwrap_or(nat.public),
                (port.wrapping_mul(40_503) ^ nat.salt).max(1),
            ),
            None => SocketAddr::new(self.ip, port),
        }
    }

    /// Its NAT forgets every port.
    pub(crate) fn rebind(&mut self, rng: &mut Rng) {
        if let Some(nat) = &mut self.nat {
            nat.salt = rng.u16(0, u16::MAX);
        }
    }

    /// It moves all of its sections to other ports.
    pub(crate) fn move_ports(&mut self, rng: &mut Rng) {
        for section in self.sections.iter_mut().filter(|section| section.port != 0) {
            section.port = port(rng);
            section.rtcp = section.rtcp.map(|_| port(rng));
        }
    }

    /// Its description, and what that says.
    pub(crate) fn describe(&mut self, trusted: Option<IpAddr>) -> (Vec<u8>, Vec<Said>) {
        self.version += 1;
        let family = if self.ip.is_ipv4() { "IP4" } else { "IP6" };
        let (ip, version) = (self.ip, self.version);
        let mut text = format!("v=0\r\no={} 7 {version} IN {family} {ip}\r\ns=-\r\n", self.tag);
        write!(text, "c=IN {family} {ip}\r\nt=0 0\r\n").expect("a string takes everything");
        for section in &self.sections {
            section.write(family, &mut text);
        }
        let said = self.sections.iter().map(|section| section.said(trusted.unwrap_or(ip))).collect();
        (text.into_bytes(), said)
    }

    /// Sections for an answer to these.
    pub(crate) fn answer(&mut self, offered: &[Section], rng: &mut Rng) {
        self.sections.truncate(offered.len());
        for (index, theirs) in offered.iter().enumerate() {
            let direction = match theirs.direction {
                Direction::SendRecv if theirs.nowhere => Direction::RecvOnly,
                Direction::SendRecv => Direction::SendRecv,
                Direction::SendOnly => Direction::RecvOnly,
                Direction::RecvOnly => Direction::SendOnly,
                Direction::Inactive => Direction::Inactive,
            };
            let mine = Section {
                kind: theirs.kind,
                port: self
                    .sections
                    .get(index)
                    .map(|mine| mine.port)
                    .filter(|&port| port != 0)
                    .unwrap_or_else(|| port(rng)),
                direction,
                mux: theirs.mux && rng.percent(70),
                rtcp: None,
                nowhere: false,
                profile: PLAIN,
                keys: Vec::new(),
            };
            let mine = if theirs.port == 0 { Section { port: 0, ..mine } } else { mine };
            if index < self.sections.len() { self.sections[index] = mine } else { self.sections.push(mine) }
        }
    }
}

impl Section {
    pub(crate) fn new(kind: Kind, rng: &mut Rng) -> Self {
        let rtp = matches!(kind, Kind::Audio | Kind::Video);
        Self {
            kind,
            port: port(rng),
            direction: Direction::SendRecv,
            mux: rtp && rng.percent(25),
            rtcp: (rtp && rng.percent(15)).then(|| port(rng)),
            nowhere: false,
            profile: PLAIN,
            keys: Vec::new(),
        }
    }

    fn write(&self, family: &str, text: &mut String) {
        let Self { port, profile, .. } = self;
        let line = match self.kind {
            Kind::Audio => {
                format!("m=audio {port} {profile} 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n")
            }
            Kind::Video => format!("m=video {port} {profile} 96\r\na=rtpmap:96 VP8/90000\r\n"),
            Kind::Image => format!("m=image {port} udptl t38\r\na=T38FaxVersion:0\r\n"),
            Kind::Message => format!("m=message {port} TCP/MSRP *\r\na=path:msrp://x:{port}/s;tcp\r\n"),
        };
        text.push_str(&line);
        if self.nowhere {
            let zero = if family == "IP4" { "0.0.0.0" } else { "::" };
            write!(text, "c=IN {family} {zero}\r\n").expect("a string takes everything");
        }
        if *port == 0 || matches!(self.kind, Kind::Image | Kind::Message) {
            return;
        }
        text.push_str(match self.direction {
            Direction::SendRecv => "a=sendrecv\r\n",
            Direction::SendOnly => "a=sendonly\r\n",
            Direction::RecvOnly => "a=recvonly\r\n",
            Direction::Inactive => "a=inactive\r\n",
        });
        if let Some(rtcp) = self.rtcp {
            write!(text, "a=rtcp:{rtcp}\r\n").expect("a string takes everything");
        }
        if self.mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        for line in &self.keys {
            write!(text, "a=crypto:{line}\r\n").expect("a string takes everything");
        }
    }

    fn said(&self, ip: IpAddr) -> Said {
        let plain = matches!(self.kind, Kind::Image | Kind::Message);
        let direction = if plain || self.port == 0 { Direction::SendRecv } else { self.direction };
        let at = |port| (self.port != 0 && !self.nowhere).then(|| SocketAddr::new(ip, port));
        Said {
            halves: [
                at(self.port),
                at(self.rtcp.filter(|_| !plain).unwrap_or_else(|| self.port.wrapping_add(1))),
            ],
            sends: matches!(direction, Direction::SendRecv | Direction::SendOnly),
            receives: matches!(direction, Direction::SendRecv | Direction::RecvOnly) && !self.nowhere,
            kind: self.kind,
        }
    }

    /// The port its RTCP comes from.
    pub(crate) fn rtcp_port(&self) -> u16 {
        self.rtcp.unwrap_or_else(|| self.port.wrapping_add(1))
    }
}

/// A relay of the operator.
pub(crate) fn relay(high: u8, low: u8, host: u8) -> IpAddr {
    IpAddr::from([205, high, low, host])
}

/// The network of the relays.
pub(crate) const RELAYS: &str = "205.0.0.0/8";

/// Whether somebody is a relay.
pub(crate) fn is_relay(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 205)
}

/// A section as it is read.
struct Read {
    kind: Kind,
    port: u16,
    ip: Option<IpAddr>,
    rtcp: Option<u16>,
    mux: bool,
    profile: &'static str,
    keys: Vec<Crypto>,
}

/// Reads what a description shows, with no help of the parser that wrote it.
pub(crate) fn told(sdp: &[u8]) -> Vec<Told> {
    let text = std::str::from_utf8(sdp).expect("descriptions are text here");
    let mut all: Vec<Read> = Vec::new();
    let mut session = None;
    for line in text.lines() {
        let word = |index| line.split(' ').nth(index);
        if line.starts_with("m=") {
            let port = word(1).and_then(|port| port.parse().ok()).expect("an m= line has a port");
            let kind = match word(0) {
                Some("m=audio") => Kind::Audio,
                Some("m=video") => Kind::Video,
                Some("m=image") => Kind::Image,
                _ => Kind::Message,
            };
            let profile = PROFILES.into_iter().find(|profile| word(2) == Some(profile)).unwrap_or(PLAIN);
            all.push(Read { kind, port, ip: None, rtcp: None, mux: false, profile, keys: Vec::new() });
        } else if line.starts_with("c=") {
            let ip = word(2).and_then(|ip| ip.parse().ok()).expect("a c= line has an address");
            match all.last_mut() {
                Some(section) => section.ip = Some(ip),
                None => session = Some(ip),
            }
        } else if let Some(section) = all.last_mut() {
            if let Some(rest) = line.strip_prefix("a=rtcp:") {
                section.rtcp = rest.split(' ').next().and_then(|port| port.parse().ok());
            }
            section.mux |= line == "a=rtcp-mux";
            if let Some(line) = line.strip_prefix("a=crypto:") {
                section.keys.push(line.parse().expect("we write lines that can be read"));
            }
        }
    }
    let nowhere = |ip: IpAddr| ip.is_unspecified();
    let tell = |Read { kind, port, ip, rtcp, mux, profile, keys }: Read| {
        let ip = ip.or(session).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let at = |port| (port != 0 && !nowhere(ip)).then(|| SocketAddr::new(ip, port));
        let rtcp = if mux { port } else { rtcp.unwrap_or_else(|| port.saturating_add(1)) };
        Told { kind, mux, port, rtp: at(port), rtcp: at(rtcp).filter(|_| port != 0), profile, keys }
    };
    all.into_iter().map(tell).collect()
}

/// The profile without SRTP.
const PLAIN: &str = "RTP/AVP";
const PROFILES: [&str; 4] = [PLAIN, "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"];

/// An even port of a party.
pub(crate) fn port(rng: &mut Rng) -> u16 {
    rng.u16(2_000, 30_000) * 2
}
