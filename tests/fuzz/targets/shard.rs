//! A shard under any order of commands, datagrams, sockets that open or do not, and time: every command is answered
//! once, no port is used twice, nothing is sent or copied but to addresses signalled in the same call or in one that was
//! connected with it, what is recorded is what arrived and only while somebody wants it, nothing is left behind.
#![no_main]

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use engine_core::{
    Input, Instant, Interfaces, LiveConfig, OpenError, Output, PortRange, RecordingId, RecordingNote, Shard,
    ShardConfig, SocketId,
};
use libfuzzer_sys::fuzz_target;
use ng::{
    AliasKey, All, Command, Connect, Delete, DeleteDelay, EventKind, Gate, GateAction, Learning, Lease, List,
    Publish, Query, Recording, Refusal, Reply, ReportAck, Selector, Signal, SubscribeAnswer,
    SubscribeRequest, Trust, Unsubscribe,
};
use rtp::sdp::Sdp;

fuzz_target!(|data: &[u8]| {
    let mut bench = Bench::new();
    let mut operations = Operations(data);
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = operations.byte() else { break };
        bench.run(operation, &mut operations);
    }
    bench.end();
});

/// Operations of one input; more would only make it slower.
const OPERATIONS_MAX: usize = 200;

const PORT_MIN: u16 = 20_000;
const PORT_MAX: u16 = 20_031;
const INTERFACES: [&str; 3] = ["127.0.0.1", "::1", "pub/127.0.0.2!203.0.113.9"];

/// Lines after the first section. None of them names an address.
const EXTRAS: [&str; 12] = [
    "",
    "a=sendonly\r\n",
    "a=recvonly\r\n",
    "a=inactive\r\n",
    "a=rtcp-mux\r\n",
    "a=rtcp:4321\r\n",
    "m=video 7000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
    "m=image 7002 udptl t38\r\n",
    "m=video 0 RTP/AVP 96\r\n",
    "m=message 7777 TCP/MSRP *\r\n",
    "a=candidate:1 1 UDP 1 203.0.113.5 9 typ host\r\n",
    "a=fmtp:0 annexb=no\r\na=rtcp-fb:* nack\r\n",
];

/// What is left of the input.
struct Operations<'a>(&'a [u8]);

impl<'a> Operations<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    fn flag(&mut self) -> bool {
        self.number().is_multiple_of(2)
    }

    fn chunk(&mut self) -> &'a [u8] {
        let bytes = usize::from(self.number()).min(self.0.len());
        let (chunk, rest) = self.0.split_at(bytes);
        self.0 = rest;
        chunk
    }
}

/// A shard, its clock, and what the engine around it would know.
struct Bench {
    shard: Shard,
    now: Instant,
    /// Commands that are not answered yet.
    running: HashMap<u64, Option<u8>>,
    next_id: u64,
    asked: Vec<(SocketId, SocketAddr)>,
    open: HashMap<SocketId, SocketAddr>,
    /// Sockets are granted at once, or wait.
    slow: bool,
    /// By local address: the call it was shown in last.
    shown: HashMap<SocketAddr, u8>,
    /// By call: every address that was ever signalled in it.
    signalled: HashMap<u8, HashSet<IpAddr>>,
    /// Calls of which a client wanted one made.
    connected: HashSet<(u8, u8)>,
    /// Recordings under way, and those that are over.
    recordings: HashSet<RecordingId>,
    over: HashSet<RecordingId>,
    /// The settings in force.
    live: LiveConfig,
}

/// A datagram as it arrived.
type Arrived = (SocketId, SocketAddr, Vec<u8>);

impl Bench {
    fn new() -> Self {
        let interfaces = interfaces(INTERFACES.len());
        let mut config = ShardConfig::new(interfaces, PortRange::whole(PORT_MIN, PORT_MAX, 5), std::time::Instant::now());
        config.limits.calls_max = 3;
        config.limits.legs_max = 4;
        config.limits.pairs_max = 3;
        config.limits.waiting_max = 4;
        config.limits.reports_max = 3;
        config.limits.owners_max = 2;
        config.limits.recordings_max = 2;
        let live = LiveConfig {
            interfaces: config.interfaces.clone(),
            tos: config.tos,
            media_networks: config.media_networks.clone(),
            learn_strict: config.learn_strict,
            providers: None,
            limits: config.limits.clone(),
            turn: None,
        };
        Self {
            shard: Shard::new(config, 1),
            now: Instant::from_millis(1_000),
            running: HashMap::new(),
            next_id: 0,
            asked: Vec::new(),
            open: HashMap::new(),
            slow: false,
            shown: HashMap::new(),
            signalled: HashMap::new(),
            connected: HashSet::new(),
            recordings: HashSet::new(),
            over: HashSet::new(),
            live,
        }
    }

    fn run(&mut self, operation: u8, operations: &mut Operations<'_>) {
        let call = operation >> 6;
        if operation & 0x10 != 0 {
            return self.run_more(call, operation % 16, operations);
        }
        match operation % 16 {
            0..=2 => {
                let signal = self.signal(call, operations);
                self.ask(Some(call), Command::Offer(Box::new(signal)));
            }
            3..=5 => {
                let mut signal = self.signal(call, operations);
                signal.to_tag = Some(signal.to_tag.unwrap_or_else(|| "1".to_owned()));
                self.ask(Some(call), Command::Answer(Box::new(signal)));
            }
            6 => {
                let delete = Delete {
                    call_id: call.to_string(),
                    from_tag: tag(operations),
                    to_tag: tag(operations),
                    via_branch: tag(operations),
                    fast: operations.flag(),
                    delay: match operations.number() % 4 {
                        0 => DeleteDelay::Default,
                        seconds => DeleteDelay::Seconds(u32::from(seconds) - 1),
                    },
                    owner: owner(operations),
                    epoch: Some(operations.number().into()),
                    keep_report: operations.flag(),
                    ..Delete::default()
                };
                self.ask(None, Command::Delete(Box::new(delete)));
            }
            7 => {
                let (from_tag, to_tag) = (tag(operations), tag(operations));
                self.ask(None, Command::Query(Query { call_id: call.to_string(), from_tag, to_tag }));
            }
            8 => {
                let owner = owner(operations).unwrap_or_default();
                let (epoch, lease_ms) = (operations.number().into(), 1 << (operations.number() % 20));
                self.ask(None, Command::Lease(Lease { call_id: call.to_string(), owner, epoch, lease_ms }));
            }
            9 => match operations.flag() {
                true => {
                    let (owner, epoch) = (owner(operations), Some(operations.number().into()));
                    self.ask(None, Command::ReportAck(ReportAck { call_id: call.to_string(), owner, epoch }));
                }
                false => {
                    let (limit, owner) = (operations.number().into(), owner(operations));
                    self.ask(None, Command::List(List { limit, owner }));
                }
            },
            10..=12 => {
                let socket = self.socket(operations);
                let remote = SocketAddr::new(remote(operations), port(operations));
                let mut packet = operations.chunk().to_vec();
                if let Some(first) = packet.first_mut().filter(|_| operation & 0x20 != 0) {
                    *first = *first & 0x3f | 0x80;
                    packet.resize(packet.len().max(12), 0);
                }
                self.input(Input::datagram(socket, remote, &mut packet));
            }
            13 => self.pass(Duration::from_millis(1 << (operations.number() % 18))),
            14 => {
                self.slow = operations.flag();
                let result = match operations.number() % 8 {
                    0 => Err(OpenError::InUse),
                    1 => Err(OpenError::NoDescriptor),
                    2 => Err(OpenError::NotAvailable),
                    3 => Err(OpenError::Other),
                    _ => Ok(()),
                };
                self.grant(operations.number().into(), result);
            }
            _ => {
                let socket = self.socket(operations);
                self.input(Input::SocketError { socket });
            }
        }
    }

    /// What clients ask besides offers and answers, and what an engine tells its shards.
    fn run_more(&mut self, call: u8, operation: u8, operations: &mut Operations<'_>) {
        let call_id = call.to_string();
        match operation {
            0 | 1 => {
                let signal = Box::new(Signal { sdp: Vec::new(), ..self.signal(call, operations) });
                let from_tags = (0..operations.number() % 3).filter_map(|_| tag(operations)).collect();
                let request = SubscribeRequest { selector: selector(operations), from_tags, signal };
                self.ask(Some(call), Command::SubscribeRequest(Box::new(request)));
            }
            2 | 3 => {
                let signal = Box::new(self.signal(call, operations));
                let answer = SubscribeAnswer { signal, allow_transcoding: operations.flag() };
                self.ask(None, Command::SubscribeAnswer(answer));
            }
            4 => {
                let to_tag = tag(operations).unwrap_or_default();
                self.ask(None, Command::Unsubscribe(Unsubscribe { call_id, to_tag }));
            }
            5 | 6 => {
                let signal = Box::new(self.signal(call, operations));
                let accept = if operations.flag() { vec!["any".to_owned()] } else { Vec::new() };
                self.ask(Some(call), Command::Publish(Publish { signal, accept }));
            }
            7 | 8 => {
                let other = operations.number() % 8;
                let signal = Signal { sdp: Vec::new(), ..self.signal(call, operations) };
                if other < 4 {
                    self.connected.extend([(call, other), (other, call)]);
                }
                let connect = Connect {
                    selector: selector(operations),
                    to_call_id: (other < 4).then(|| other.to_string()),
                    bidirectional: operations.flag(),
                    signal: Box::new(signal),
                    ..Connect::default()
                };
                self.ask(None, Command::Connect(Box::new(connect)));
            }
            9 => {
                let key = if operations.flag() { AliasKey::Sdp } else { AliasKey::Address };
                let signal = Signal { alias_key: Some(key), ..self.signal(call, operations) };
                self.ask(Some(call), Command::Offer(Box::new(signal)));
            }
            10 => {
                let Selector { from_tag, label, to_label, .. } = selector(operations);
                let kinds = [All::Unsaid, All::OfferAnswer, All::ExceptOfferAnswer, All::Flows];
                let gate = Gate {
                    call_id,
                    action: GateAction::ALL[usize::from(operations.number()) % GateAction::ALL.len()],
                    from_tag,
                    label,
                    address: None,
                    all: operations.flag(),
                    to_label,
                    ways: kinds[usize::from(operations.number()) % kinds.len()],
                    set_label: tag(operations),
                };
                self.ask(None, Command::Gate(Box::new(gate)));
            }
            11 | 12 => {
                let selector = Selector { directional: operations.flag(), ..selector(operations) };
                let recording = Box::new(Recording { call_id, selector, ..Recording::default() });
                let command = match operations.number() % 4 {
                    0 => Command::StopRecording(recording),
                    1 => Command::PauseRecording(recording),
                    _ => Command::StartRecording(recording),
                };
                self.ask(None, command);
            }
            13 => {
                let live = self.recordings.iter().min().copied();
                if let Some(recording) = live {
                    self.input(Input::RecordingFailed { recording });
                }
            }
            14 => {
                let reason = Refusal::ALL.get(usize::from(operations.number())).copied();
                self.input(Input::Admission(reason));
            }
            _ => {
                self.live.interfaces = interfaces(usize::from(operations.number() % 3) + 1);
                self.live.learn_strict = operations.flag();
                self.live.limits.final_timeout = operations.flag().then(|| Duration::from_secs(60));
                self.input(Input::Live(Box::new(self.live.clone())));
            }
        }
    }

    /// An offer or answer of one of a few parties, and what it signals.
    fn signal(&mut self, call: u8, operations: &mut Operations<'_>) -> Signal {
        let ip = match operations.number() % 8 {
            0 => IpAddr::from([0, 0, 0, 0]),
            host => party(call, host % 4),
        };
        let received_from = match operations.number() % 4 {
            0 => None,
            host => Some(party(call, 100 + host)),
        };
        let addresses = self.signalled.entry(call).or_default();
        addresses.insert(ip);
        addresses.extend(received_from);
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let extra = |operations: &mut Operations<'_>| EXTRAS[usize::from(operations.number()) % EXTRAS.len()];
        let mut sdp = format!(
            "v=0\r\no=- 1 {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n{}{}",
            operations.number(),
            port(operations),
            extra(operations),
            extra(operations),
        )
        .into_bytes();
        let noise = operations.chunk();
        if !noise.is_empty() {
            sdp.extend_from_slice(b"a=x");
            sdp.extend(noise.iter().filter(|byte| !b"\r\n\0".contains(byte)));
            sdp.extend_from_slice(b"\r\n");
        }
        let options = operations.number();
        let option = |bit: u8| options & (1 << bit) != 0;
        let more = operations.number();
        Signal {
            label: (more & 1 != 0).then(|| (more % 4).to_string()),
            generate_rtcp: more & 2 != 0,
            generate_mid: more & 4 != 0,
            record_call: (more & 0x18 == 0x18).then_some(more & 0x20 != 0),
            learn_strict: more & 0x40 != 0,
            call_id: call.to_string(),
            from_tag: (operations.number() % 4).to_string(),
            to_tag: tag(operations),
            via_branch: tag(operations),
            sdp,
            received_from,
            trust: if option(0) { Trust::SipSource } else { Trust::default() },
            learning: option(1).then_some(Learning::Off),
            media_handover: option(2),
            asymmetric: option(3),
            port_latching: option(4).then_some(true),
            direction: if option(5) { vec!["default".to_owned(), "pub".to_owned()] } else { Vec::new() },
            address_family: option(6).then_some(ng::Family::Ip6),
            ice: option(7).then_some(ng::Ice::Remove),
            owner: owner(operations),
            epoch: Some(operations.number().into()),
            lease_ms: operations.flag().then(|| 1 << (operations.number() % 20)),
            keep_report: operations.flag(),
            supports_load_limit: operations.flag(),
            ..Signal::default()
        }
    }

    /// A socket that is open, mostly.
    fn socket(&self, operations: &mut Operations<'_>) -> SocketId {
        let number = usize::from(operations.number());
        let mut open: Vec<SocketId> = self.open.keys().copied().collect();
        open.sort_unstable();
        open.get(number % 70).copied().unwrap_or(SocketId(number.try_into().expect("small")))
    }

    fn ask(&mut self, call: Option<u8>, command: Command) {
        let id = self.next_id;
        self.next_id += 1;
        self.running.insert(id, call);
        self.input(Input::Command { id, command });
    }

    /// Lets time pass, with a tick at its end as a busy engine does.
    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.input(Input::Tick);
        assert!(
            self.shard.next_deadline().is_none_or(|at| at > self.now),
            "a deadline that passed is still due"
        );
    }

    /// Answers the `number`-th request for a socket, if there are so many.
    fn grant(&mut self, number: usize, result: Result<(), OpenError>) {
        if number >= self.asked.len() {
            return;
        }
        let (socket, local) = self.asked.remove(number);
        if result.is_ok() {
            self.open.insert(socket, local);
        }
        self.input(Input::SocketOpened { socket, result });
    }

    fn input(&mut self, input: Input<'_>) {
        let wall_ms = 1_700_000_000_000 + self.now.as_nanos() / 1_000_000;
        let arrived = match &input {
            Input::Datagram { socket, remote, packet, .. } => Some((*socket, *remote, packet.to_vec())),
            _ => None,
        };
        self.shard.handle_input(self.now, wall_ms, input);
        self.drain(arrived.as_ref());
        while !self.slow && !self.asked.is_empty() {
            self.grant(0, Ok(()));
        }
    }

    fn drain(&mut self, arrived: Option<&Arrived>) {
        let mut sent = 0;
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::OpenSocket { socket, local, .. } => {
                    let others =
                        self.asked.iter().copied().chain(self.open.iter().map(|(id, at)| (*id, *at)));
                    for (id, at) in others {
                        assert!(id != socket && at != local, "{socket:?} at {local} is in use");
                    }
                    assert!((PORT_MIN..=PORT_MAX).contains(&local.port()), "{local}");
                    self.asked.push((socket, local));
                }
                Output::SetTos { socket, .. } => {
                    assert!(self.open.contains_key(&socket), "only what is open is changed");
                }
                Output::CloseSocket { socket } => {
                    let local = self.open.remove(&socket).expect("only what is open is closed");
                    self.shown.remove(&local);
                }
                Output::Reply { id, reply } => {
                    let call = self.running.remove(&id).expect("a command is answered once");
                    if let (Reply::Signal(signal), Some(call)) = (*reply, call) {
                        self.show(call, &signal.sdp);
                    }
                }
                // What is wrong with a call is told of every one; its counters and its end are its owner's.
                Output::Event(event) => {
                    let owners = matches!(event.kind, EventKind::CallReport { .. } | EventKind::Ended { .. });
                    assert!(!owners || event.owner.is_some(), "only owners hear of their calls: {event:?}");
                }
                // To further hearers, or a report of our own: what comes as it was is as long as it was.
                Output::TransmitCopy { socket, remote, made } => {
                    self.reaches(socket, remote);
                    let made = self.shard.made(&made);
                    let report = made.len() >= 8 && made[0] >> 6 == 2 && (200..=202).contains(&made[1]);
                    let whole = arrived.map_or(report, |(_, _, packet)| packet.len() == made.len());
                    assert!(whole, "{} bytes are sent, and nothing of that length came", made.len());
                }
                Output::Record { recording, socket, remote, made } => {
                    assert!(self.recordings.contains(&recording), "{recording:?} is not under way");
                    let recorded = (socket, remote, self.shard.made(&made).to_vec());
                    assert_eq!(Some(&recorded), arrived, "what is recorded is what arrived");
                }
                Output::Recording { recording, note } => {
                    let known = match note {
                        RecordingNote::Begun(_) => {
                            self.recordings.insert(recording) && !self.over.contains(&recording)
                        }
                        RecordingNote::Ended { .. } => {
                            self.over.insert(recording);
                            self.recordings.remove(&recording)
                        }
                        _ => self.recordings.contains(&recording),
                    };
                    assert!(known, "{recording:?} begins once, ends once, and is noted between");
                }
                Output::Turn(output) => panic!("{output:?} of a shard without TURN"),
                Output::Transmit { socket, remote, .. } => {
                    sent += 1;
                    self.reaches(socket, remote);
                }
            }
        }
        assert!(sent <= usize::from(arrived.is_some()), "a datagram is sent on once, and nothing else sends");
        let counters = self.shard.counters();
        assert_eq!(counters.faults, 0);
        assert_eq!(counters.packets_received, counters.packets_sent + counters.drops_total());
        assert_eq!(counters.recordings_live, self.recordings.len() as u64);
    }

    /// A packet may go from this socket to this address.
    fn reaches(&self, socket: SocketId, remote: SocketAddr) {
        let local = self.open.get(&socket).expect("only open sockets send");
        // Who answers without having been offered anything has sockets that nobody was shown.
        let shown = self.shown.get(local).map(|call| self.kin(*call));
        let mut calls: Vec<u8> = self.signalled.keys().copied().collect();
        calls.retain(|call| shown.as_ref().is_none_or(|shown| shown.contains(call)));
        let known = calls.iter().any(|call| self.signalled[call].contains(&remote.ip()));
        assert!(known, "{remote} was never signalled in any of {calls:?}");
    }

    /// A call, and every one that it may have been made one with.
    fn kin(&self, call: u8) -> HashSet<u8> {
        let mut kin = HashSet::from([call]);
        for _ in 0..4 {
            let more = self.connected.iter().filter(|(one, _)| kin.contains(one)).map(|&(_, other)| other);
            let more: Vec<u8> = more.collect();
            kin.extend(more);
        }
        kin
    }

    /// A description went out: its ports belong to this call.
    fn show(&mut self, call: u8, sdp: &[u8]) {
        let sdp = Sdp::parse(sdp).expect("what is written can be read");
        for (index, media) in sdp.media.iter().enumerate() {
            let port = media.media().port;
            let Some(told) = sdp.connection(index).and_then(|connection| connection.ip()) else { continue };
            for (&local, ()) in self.open.values().map(|local| (local, &())) {
                // With hold by the unspecified address nobody is told where; the port says enough.
                let address = match INTERFACES[2].ends_with(&told.to_string()) {
                    true => IpAddr::from([127, 0, 0, 2]),
                    false => told,
                };
                let here = told.is_unspecified() || local.ip() == address;
                if here && port != 0 && local.port() & !1 == port {
                    self.shown.insert(local, call);
                }
            }
        }
    }

    /// Every socket opens, and the engine stops.
    fn end(mut self) {
        self.slow = false;
        self.input(Input::Tick);
        self.input(Input::Shutdown);
        assert!(self.running.is_empty(), "{} commands were never answered", self.running.len());
        assert!(self.open.is_empty(), "{} sockets are left open", self.open.len());
        assert_eq!(self.shard.counters().sockets_live, 0);
        assert_eq!(self.shard.counters().calls_live, 0);
        assert_eq!(self.shard.next_deadline(), None);
        let pairs = usize::from(PORT_MAX - PORT_MIN).div_ceil(2);
        assert_eq!(self.shard.free_port_pairs(), self.live.interfaces.iter().count() * pairs);
        assert!(self.recordings.is_empty(), "{:?} never ended", self.recordings);
    }
}

/// The first so many interfaces.
fn interfaces(count: usize) -> Interfaces {
    let parsed = INTERFACES.iter().take(count).map(|text| text.parse().expect("an interface"));
    Interfaces::new(parsed.collect()).expect("there are some")
}

/// Who is meant: by tag, by label, everybody, or nobody.
fn selector(operations: &mut Operations<'_>) -> Selector {
    Selector {
        from_tag: tag(operations),
        label: tag(operations).filter(|_| operations.flag()),
        to_label: tag(operations).filter(|_| operations.flag()),
        all: if operations.number().is_multiple_of(4) { All::Everyone } else { All::Unsaid },
        ..Selector::default()
    }
}

/// A party's address: each call has a network of its own.
fn party(call: u8, host: u8) -> IpAddr {
    match host {
        3 => format!("2001:db8:{call}::{host}").parse().expect("an address"),
        _ => IpAddr::from([198, 51, 100 + call, host]),
    }
}

/// Where a datagram comes from: a party of some call, or a stranger.
fn remote(operations: &mut Operations<'_>) -> IpAddr {
    let (call, host) = (operations.number() % 4, operations.number());
    match host % 8 {
        7 => IpAddr::from([192, 0, 2, host]),
        host @ 4..=6 => party(call, 97 + host),
        host => party(call, host),
    }
}

fn port(operations: &mut Operations<'_>) -> u16 {
    4_000 + u16::from(operations.number() % 8)
}

fn tag(operations: &mut Operations<'_>) -> Option<String> {
    match operations.number() % 6 {
        tag @ 0..=3 => Some(tag.to_string()),
        _ => None,
    }
}

fn owner(operations: &mut Operations<'_>) -> Option<String> {
    match operations.number() % 8 {
        owner @ 0..=2 => Some(format!("owner{owner}")),
        _ => None,
    }
}
