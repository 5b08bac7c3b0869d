//! A server on sockets that are not there, its clients and their peers.

mod allocate;
mod attacks;
mod property;
mod reach;
mod relay;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rtp::stun::{AttributeKind, Class, Method, StunMessage, StunWriter, TransactionId};
use rtp::turn::{LongTermKey, long_term_key, timed_password};

use super::*;
use crate::{Input, Interfaces, Limits, LiveConfig, MediaNetworks, Shard, ShardConfig};

/// Where clients are heard.
const LISTENER: SocketId = SocketId(1000);
/// The first relayed socket.
const RELAYED: u32 = 1001;
const REALM: &str = "example.org";
const SECRET: &[u8] = b"north";
/// The time of day at which a test begins, in seconds.
const WALL_S: u64 = 1_700_000_000;

/// A shard with a TURN server, and what it has done.
struct Server {
    shard: Shard,
    now: Instant,
    /// Relayed sockets that are open.
    open: BTreeMap<SocketId, SocketAddr>,
    /// What becomes of the next sockets; afterwards all open.
    results: VecDeque<Result<(), OpenError>>,
    /// Sockets that were asked for and are not answered yet, where the test wants to.
    asked: Option<Vec<SocketId>>,
    ended: Vec<EndedAllocation>,
    handed_over: Vec<(u16, Handover)>,
}

/// What left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    /// From which socket, or on which stream.
    way: Result<SocketId, FlowId>,
    to: Option<SocketAddr>,
    bytes: Vec<u8>,
}

fn live() -> TurnLive {
    TurnLive {
        realm: REALM.to_owned(),
        secrets: vec![TurnSecret::new(b"south"), TurnSecret::new(SECRET)],
        interface: None,
        allow_peers: Vec::new(),
        own: Vec::new(),
        limits: TurnLimits::default(),
    }
}

fn interfaces(texts: &[&str]) -> Interfaces {
    Interfaces::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
}

impl Server {
    fn new() -> Self {
        Self::with(live(), &["10.9.9.9!9.9.9.9", "2a00::9"])
    }

    fn with(live: TurnLive, interface: &[&str]) -> Self {
        Self::shard(live, interface, 0, 1)
    }

    fn shard(live: TurnLive, interface: &[&str], shard: u16, shards: u16) -> Self {
        let ports = PortRange { min: 20_000, max: 20_199, shard, shards, seed: 5 };
        let mut config = ShardConfig::new(interfaces(interface), ports, std::time::Instant::now());
        let turn = TurnConfig { listeners: vec![LISTENER], relayed_from: RELAYED, relayed_max: 40, live };
        config.turn = Some(Box::new(turn));
        Self {
            shard: Shard::new(config, 7),
            now: Instant::ZERO + Duration::from_secs(100),
            open: BTreeMap::new(),
            results: VecDeque::new(),
            asked: None,
            ended: Vec::new(),
            handed_over: Vec::new(),
        }
    }

    fn counters(&self) -> &TurnCounters {
        &self.shard.counters().turn
    }

    /// A datagram in a slot with room behind it.
    fn datagram(&mut self, socket: SocketId, remote: SocketAddr, bytes: &[u8]) -> Vec<Sent> {
        let mut room = [bytes, &[0xee; 64]].concat();
        let length = u16::try_from(bytes.len()).unwrap();
        let (now, wall_ms) = (self.now, self.wall_ms());
        self.shard.handle_input(now, wall_ms, Input::Datagram { socket, remote, packet: &mut room, length });
        self.drain(&room)
    }

    /// Anything else.
    fn input(&mut self, input: Input<'_>) -> Vec<Sent> {
        let (now, wall_ms) = (self.now, self.wall_ms());
        self.shard.handle_input(now, wall_ms, input);
        self.drain(&[])
    }

    fn wall_ms(&self) -> u64 {
        WALL_S * 1000 + self.now.as_nanos() / 1_000_000 - 100_000
    }

    fn drain(&mut self, slot: &[u8]) -> Vec<Sent> {
        let (mut sent, mut opened) = (Vec::new(), Vec::new());
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Transmit { socket, remote, range } => {
                    let bytes = slot[range.start.into()..range.end.into()].to_vec();
                    sent.push(Sent { way: Ok(socket), to: Some(remote), bytes });
                }
                Output::TransmitCopy { socket, remote, made } => {
                    let bytes = self.shard.made(&made).to_vec();
                    sent.push(Sent { way: Ok(socket), to: Some(remote), bytes });
                }
                Output::Turn(TurnOutput::Message { flow, made }) => {
                    sent.push(Sent { way: Err(flow), to: None, bytes: self.shard.made(&made).to_vec() });
                }
                Output::Turn(TurnOutput::Ended(ended)) => self.ended.push(*ended),
                Output::Turn(TurnOutput::Handover { shard, handover }) => {
                    self.handed_over.push((shard, *handover));
                }
                Output::OpenSocket { socket, local, .. } => {
                    let taken = self.open.values().any(|open| *open == local);
                    assert!(!taken && !self.open.contains_key(&socket), "{socket:?} {local}");
                    match &mut self.asked {
                        Some(asked) => asked.push(socket),
                        None => opened.push((socket, local)),
                    }
                }
                Output::CloseSocket { socket } => {
                    assert!(self.open.remove(&socket).is_some(), "{socket:?} was not open");
                }
                // What calls tell their owners.
                Output::Event(_) => {}
                output => panic!("{output:?}"),
            }
        }
        for (socket, local) in opened {
            sent.extend(self.opened(socket, local));
        }
        sent
    }

    /// Answers that a socket is open, or what the test wants.
    fn opened(&mut self, socket: SocketId, local: SocketAddr) -> Vec<Sent> {
        let result = self.results.pop_front().unwrap_or(Ok(()));
        if result.is_ok() {
            self.open.insert(socket, local);
        }
        self.input(Input::SocketOpened { socket, result })
    }

    /// Lets time pass, and what is due happen.
    fn after(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.shard.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            assert_eq!(self.input(Input::Tick), []);
        }
        self.now = end;
    }

    fn seconds(&mut self, seconds: u64) {
        self.after(Duration::from_secs(seconds));
    }

    /// What a peer sends to a relayed address, and what comes of it.
    fn peer(&mut self, relayed: SocketAddr, peer: &str, payload: &[u8]) -> Vec<Sent> {
        let socket = self.socket_of(relayed);
        self.datagram(socket, address(peer), payload)
    }

    /// The open socket behind a relayed address.
    fn socket_of(&self, relayed: SocketAddr) -> SocketId {
        let of_port = |(_, local): &(&SocketId, &SocketAddr)| {
            local.port() == relayed.port() && local.is_ipv4() == relayed.is_ipv4()
        };
        *self.open.iter().find(of_port).expect("a relayed socket").0
    }

    /// Nothing is left of anybody.
    fn assert_empty(&self, ports: usize) {
        let turn = self.shard.turn_server();
        assert_eq!((turn.allocations.len(), turn.clients.len(), turn.users.len()), (0, 0, 0));
        assert_eq!((turn.relays.len(), turn.reservations.len(), turn.due.len()), (0, 0, 0));
        assert_eq!((self.open.len(), self.shard.free_port_pairs()), (0, ports));
        assert_eq!(self.counters().allocations_live, 0);
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client and what it knows.
struct Asking {
    address: SocketAddr,
    flow: Option<FlowId>,
    username: String,
    realm: String,
    key: LongTermKey,
    nonce: Vec<u8>,
    sha256: bool,
    /// Requests so far.
    count: u8,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    fn message(&self) -> StunMessage<'_> {
        StunMessage::parse(&self.bytes).unwrap()
    }

    /// 0 for one that says it was done.
    fn code(&self) -> u16 {
        let message = self.message();
        message.error_code().map_or(0, |(code, reason)| {
            assert_eq!((message.class(), reason), (Class::Error, &b""[..]));
            code
        })
    }

    fn relayed(&self) -> SocketAddr {
        self.message().xor_address(AttributeKind::XOR_RELAYED_ADDRESS).expect("a relayed address")
    }

    fn lifetime(&self) -> u32 {
        u32::from_be_bytes(self.message().value(AttributeKind::LIFETIME).unwrap().try_into().unwrap())
    }
}

type Write<'a> = &'a dyn Fn(&mut StunWriter<'_>);

/// What every Allocate says.
fn udp(writer: &mut StunWriter<'_>) {
    writer.attribute(AttributeKind::REQUESTED_TRANSPORT, &[17, 0, 0, 0]).unwrap();
}

impl Asking {
    /// A client of this user that has no nonce yet.
    fn new(at: &str, user: &str) -> Self {
        Self::named(at, &format!("{}:{user}", WALL_S + 3600), SECRET)
    }

    fn named(at: &str, username: &str, secret: &[u8]) -> Self {
        let key = long_term_key(username.as_bytes(), REALM, &timed_password(secret, username.as_bytes()));
        Self {
            address: address(at),
            flow: None,
            username: username.to_owned(),
            realm: REALM.to_owned(),
            key,
            nonce: Vec::new(),
            sha256: false,
            count: 0,
        }
    }

    fn message(&self, class: Class, method: Method, write: Write<'_>, seal: bool) -> Vec<u8> {
        let mut buffer = [0; 2000];
        let id = TransactionId([self.count; 12]);
        let mut writer = StunWriter::new(&mut buffer, class, method, id).unwrap();
        write(&mut writer);
        if seal {
            writer.username(self.username.as_bytes()).unwrap();
            writer.attribute(AttributeKind::REALM, self.realm.as_bytes()).unwrap();
            writer.attribute(AttributeKind::NONCE, &self.nonce).unwrap();
            match self.sha256 {
                true => writer.integrity_sha256(&self.key[..]).unwrap(),
                false => writer.integrity(&self.key[..]).unwrap(),
            }
        }
        let length = writer.written();
        buffer[..length].to_vec()
    }

    /// Sends something.
    fn send(&self, server: &mut Server, bytes: &[u8]) -> Vec<Sent> {
        match self.flow {
            None => server.datagram(LISTENER, self.address, bytes),
            Some(flow) => {
                let mut message = bytes.to_vec();
                let remote = self.address;
                server.input(Input::Turn(TurnInput::Message { flow, remote, message: &mut message }))
            }
        }
    }

    /// Sends a request and takes the answer, which must be authentic unless it is a challenge.
    fn ask_raw(&self, server: &mut Server, request: &[u8]) -> Option<Answer> {
        let mut sent = self.send(server, request);
        let bytes = match (sent.pop(), sent.is_empty()) {
            (None, _) => return None,
            (Some(Sent { way, to, bytes }), true) => {
                assert_eq!(
                    (way, to),
                    match self.flow {
                        None => (Ok(LISTENER), Some(self.address)),
                        Some(flow) => (Err(flow), None),
                    }
                );
                bytes
            }
            (Some(_), false) => panic!("more than an answer"),
        };
        let message = StunMessage::parse(&bytes).unwrap();
        assert_eq!(message.transaction_id().0[..], request[8..20]);
        assert_eq!(message.value(AttributeKind::SOFTWARE), None);
        Some(Answer { bytes })
    }

    /// Asks with credentials.
    fn try_ask(&mut self, server: &mut Server, method: Method, write: Write<'_>) -> Option<Answer> {
        self.count += 1;
        let request = self.message(Class::Request, method, write, true);
        let answer = self.ask_raw(server, &request)?;
        if !matches!(answer.code(), 401 | 438) {
            let message = answer.message();
            let checks =
                [message.check_integrity(&self.key[..]), message.check_integrity_sha256(&self.key[..])];
            let valid = rtp::stun::Check::Valid;
            assert_eq!(checks[usize::from(self.sha256)], valid, "{}", answer.code());
            assert_eq!(checks[usize::from(!self.sha256)], rtp::stun::Check::Absent);
        }
        Some(answer)
    }

    fn ask(&mut self, server: &mut Server, method: Method, write: Write<'_>) -> Answer {
        self.try_ask(server, method, write).expect("an answer")
    }

    /// Asks without credentials, and keeps the nonce.
    fn learn(&mut self, server: &mut Server) -> Answer {
        self.count += 1;
        let request = self.message(Class::Request, Method::ALLOCATE, &udp, false);
        let answer = self.ask_raw(server, &request).expect("a challenge");
        assert_eq!(answer.code(), 401);
        assert_eq!(answer.message().value(AttributeKind::REALM), Some(server.realm().as_bytes()));
        self.nonce = answer.message().value(AttributeKind::NONCE).unwrap().to_vec();
        answer
    }

    /// Is lent an address.
    fn allocate(&mut self, server: &mut Server) -> SocketAddr {
        self.allocate_with(server, &udp)
    }

    fn allocate_with(&mut self, server: &mut Server, write: Write<'_>) -> SocketAddr {
        self.learn(server);
        let answer = self.ask(server, Method::ALLOCATE, write);
        assert_eq!(answer.code(), 0);
        assert_eq!(answer.message().xor_mapped_address(), Some(self.address));
        answer.relayed()
    }

    fn permit(&mut self, server: &mut Server, peer: &str) -> u16 {
        let peer = address(peer);
        self.ask(server, Method::CREATE_PERMISSION, &|writer| {
            writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, peer).unwrap();
        })
        .code()
    }

    fn bind(&mut self, server: &mut Server, number: u16, peer: &str) -> u16 {
        let peer = address(peer);
        self.ask(server, Method::CHANNEL_BIND, &|writer| {
            let [n0, n1] = number.to_be_bytes();
            writer.attribute(AttributeKind::CHANNEL_NUMBER, &[n0, n1, 0, 0]).unwrap();
            writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, peer).unwrap();
        })
        .code()
    }

    fn refresh(&mut self, server: &mut Server, seconds: u32) -> Answer {
        self.ask(server, Method::REFRESH, &|writer| {
            writer.attribute(AttributeKind::LIFETIME, &seconds.to_be_bytes()).unwrap();
        })
    }

    /// A payload for a peer, in an indication.
    fn indicate(&self, server: &mut Server, peer: &str, payload: &[u8]) -> Vec<Sent> {
        let peer = address(peer);
        let bytes = self.message(
            Class::Indication,
            Method::SEND,
            &|writer| {
                writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, peer).unwrap();
                writer.attribute(AttributeKind::DATA, payload).unwrap();
            },
            false,
        );
        self.send(server, &bytes)
    }

    /// A payload on a channel.
    fn channel(&self, server: &mut Server, number: u16, payload: &[u8]) -> Vec<Sent> {
        self.send(server, &on_channel(number, payload))
    }
}

impl Server {
    fn realm(&self) -> String {
        self.shard.turn_server().live.realm.clone()
    }

    fn reload(&mut self, live: TurnLive, interface: &[&str]) {
        let live = LiveConfig {
            interfaces: interfaces(interface),
            tos: 0,
            media_networks: MediaNetworks::default(),
            learn_strict: false,
            providers: None,
            limits: Limits::default(),
            turn: Some(Box::new(live)),
        };
        assert_eq!(self.input(Input::Live(Box::new(live))), []);
    }
}

fn on_channel(number: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    [&rtp::turn::ChannelData::header(number, length)[..], payload].concat()
}

/// A payload that a peer is sent.
fn to_peer(server: &Server, relayed: SocketAddr, peer: &str, payload: &[u8]) -> Sent {
    Sent { way: Ok(server.socket_of(relayed)), to: Some(address(peer)), bytes: payload.to_vec() }
}

/// Peer and payload of a Data indication.
fn data_of(sent: &[Sent]) -> (SocketAddr, Vec<u8>) {
    assert_eq!(sent.len(), 1);
    let message = StunMessage::parse(&sent[0].bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
    let peer = message.xor_address(AttributeKind::XOR_PEER_ADDRESS).unwrap();
    (peer, message.value(AttributeKind::DATA).unwrap().to_vec())
}
