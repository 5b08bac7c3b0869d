//! The world of one seed: shards, calls, time, and what is about to happen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use engine_core::sim::{self, Fault};
use engine_core::{
    Counters, DropReason, Input, Instant, Interfaces, LiveConfig, MediaNetworks, OpenError, Output,
    PortRange, RecordingId, Shard, ShardConfig, SocketId,
};
use ng::{Command, EventKind, Refusal, Reply};

use crate::books::{self, Books, Seen};
use crate::client::{About, Asked, Call};
use crate::coverage::Coverage;
use crate::door::{Door, Request};
use crate::kernel::Kernel;
use crate::party::RELAYS;
use crate::recorder::Recorder;
use crate::rng::Rng;
use crate::secrecy::Packet;
use crate::trace::Trace;
use crate::{Outcome, network, script};

/// The shards of an engine and the world around them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    /// The monotonic clock, nanoseconds.
    pub(crate) now: u64,
    /// The time of day when the monotonic clock was 0.
    wall_ms: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    /// The last command's number.
    pub(crate) ids: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) calls: Vec<Call>,
    /// Where parties are reached.
    pub(crate) reach: BTreeMap<SocketAddr, (usize, usize)>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) door: Door,
    pub(crate) temper: Temper,
    /// The incarnation of each owner.
    pub(crate) epochs: [u64; OWNERS],
    /// The fault that the last input met.
    struck: Option<Fault>,
    trace: Trace,
    coverage: Coverage,
}

/// One shard.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shard: Shard,
    pub(crate) kernel: Kernel,
    pub(crate) books: Books,
    pub(crate) recorder: Recorder,
    /// The settings in force.
    pub(crate) live: LiveConfig,
    /// Whom the networks are of that are listed in them.
    pub(crate) relays: Relays,
    /// Port pairs of one address.
    pairs: usize,
    /// Addresses came or went.
    reloaded: bool,
}

/// Whose media the operator lets come from the network of the relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relays {
    Unknown,
    /// That of parties on one interface.
    Inside,
    Everywhere,
}

impl Relays {
    fn random(rng: &mut Rng) -> Self {
        rng.pick(&[Self::Unknown, Self::Unknown, Self::Unknown, Self::Inside, Self::Everywhere])
    }

    fn networks(self) -> MediaNetworks {
        let texts = match self {
            Self::Unknown => Vec::new(),
            Self::Inside => vec![format!("inside={RELAYS}")],
            Self::Everywhere => vec![RELAYS.to_owned()],
        };
        MediaNetworks::parse(&texts).expect("a constant")
    }
}

/// A packet of our own.
struct Report {
    call: usize,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// What a seed does besides calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Temper {
    /// Per cent of sockets that do not open.
    pub(crate) openings_fail: u64,
    /// Sockets take up to so long to open.
    pub(crate) opening_ms: u64,
    /// Per cent of packets that are lost, and that are repeated.
    pub(crate) loss: u64,
    pub(crate) faults: u64,
    pub(crate) jumps: u64,
    pub(crate) sprays: u64,
    /// Parties speak SRTP, some of them.
    pub(crate) srtp: bool,
    /// The engine is shut down then, if not after every call has ended by itself.
    pub(crate) shutdown_ms: Option<u64>,
}

/// Something that is about to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The next step of a call.
    Step(usize),
    /// A client sends a request.
    Ask(Rc<Request>),
    /// A client has waited for an answer for a while, and would ask so often again.
    Retry(Rc<Request>, u64),
    /// An answer reaches its client.
    Heard(u64),
    /// A socket is open, or is not.
    Opened { node: usize, socket: SocketId, result: Result<(), OpenError> },
    /// A datagram reaches the engine's host.
    ToEngine { from: SocketAddr, to: SocketAddr, packet: Packet },
    /// A datagram that was read before its socket was closed.
    Late { node: usize, socket: SocketId, from: SocketAddr },
    /// A datagram reaches a party, if anybody is there.
    ToParty { to: SocketAddr, rtp: bool },
    /// A party sends.
    Talk { call: usize, party: usize },
    /// Strangers send.
    Spray,
    /// A router says that nobody is there.
    Unreachable,
    /// What was recorded cannot be kept.
    RecordingFailed { node: usize, recording: RecordingId },
    /// New calls are kept out for this reason, or no longer.
    Admission(Option<Refusal>),
    /// Other limits are in force.
    Live,
    /// The next work of this kind fails.
    Fault(Fault),
    /// The time of day is set.
    Wall(i64),
    /// The machine slept.
    Sleep(u64),
    /// An owner was started anew.
    Restart(usize),
}

pub(crate) const OWNERS: usize = 2;
pub(crate) const MS: u64 = 1_000_000;
const CALLS: u64 = 50;
const EPOCH_MS: u64 = 1_700_000_000_000;

/// Bound and advertised addresses; parties know the second.
pub(crate) const INTERFACES: [(&str, &str, &str); 4] = [
    ("default", "192.0.2.10", "192.0.2.10"),
    ("default", "2001:db8:ffff::10", "2001:db8:ffff::10"),
    ("nat", "10.1.1.1", "192.0.2.20"),
    ("inside", "10.2.2.2", "10.2.2.2"),
];

impl World {
    pub(crate) fn new(seed: u64, print: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x746f_6c6c_6761_7465);
        let undisturbed = seed.is_multiple_of(4);
        let some = |rng: &mut Rng, percent, below| {
            if !undisturbed && rng.percent(percent) { rng.below(below) } else { 0 }
        };
        let temper = Temper {
            openings_fail: some(&mut rng, 50, 20),
            opening_ms: if rng.percent(30) { rng.between(100, 4_000) } else { 3 },
            loss: some(&mut rng, 80, 20),
            faults: some(&mut rng, 70, 20),
            jumps: some(&mut rng, 50, 8),
            sprays: rng.between(20, 120),
            srtp: seed % 4 < 2,
            shutdown_ms: rng.percent(50).then(|| rng.between(10_000, 60_000)),
        };
        let mut world = Self {
            now: 1_000 * MS,
            wall_ms: EPOCH_MS,
            queue: BTreeMap::new(),
            sequence: 0,
            ids: 0,
            nodes: nodes(seed, undisturbed, &mut rng),
            calls: Vec::new(),
            reach: BTreeMap::new(),
            asked: BTreeMap::new(),
            door: Door::new(),
            temper,
            epochs: [1; OWNERS],
            struck: None,
            trace: Trace::new(print),
            coverage: Coverage::new(),
            rng,
        };
        for index in 0..CALLS + world.rng.below(10) {
            let plan = script::plan(&mut world.rng);
            let node = world.rng.index(world.nodes.len());
            let index = usize::try_from(index).expect("few");
            let mut call = Call::new(index, node, plan, &mut world.rng);
            if world.temper.srtp {
                call.speaks_srtp(&mut world.rng);
            }
            world.calls.push(call);
            let at = world.rng.below(40_000);
            world.after(at * MS, Happening::Step(world.calls.len() - 1));
        }
        world.plan_trouble();
        world
    }

    fn plan_trouble(&mut self) {
        let Temper { faults, jumps, sprays, .. } = self.temper;
        for _ in 0..sprays {
            let at = self.rng.below(60_000);
            self.after(at * MS, Happening::Spray);
        }
        for _ in 0..10 {
            let at = self.rng.below(60_000);
            self.after(at * MS, Happening::Unreachable);
        }
        for _ in 0..faults {
            let (at, fault) = (self.rng.below(60_000), self.rng.pick(&Fault::ALL));
            self.after(at * MS, Happening::Fault(fault));
        }
        for _ in 0..jumps {
            let at = self.rng.below(60_000);
            let happening = if self.rng.percent(70) {
                let hours = i64::try_from(self.rng.below(200)).expect("few") - 100;
                Happening::Wall(hours * 3_600_000 / 7)
            } else {
                Happening::Sleep(self.rng.between(1, 40_000))
            };
            self.after(at * MS, happening);
        }
        if self.temper.jumps + self.temper.faults > 0 {
            for _ in 0..self.rng.below(8) {
                let (at, pause) = (self.rng.below(40_000), self.rng.below(4_000));
                let reason = self.rng.pick(&Refusal::ALL);
                self.after(at * MS, Happening::Admission(Some(reason)));
                self.after((at + pause) * MS, Happening::Admission(None));
            }
            for _ in 0..self.rng.below(5) {
                let at = self.rng.below(60_000);
                self.after(at * MS, Happening::Live);
            }
        }
        for _ in 0..3 {
            let (at, owner) = (self.rng.below(60_000), self.rng.index(OWNERS));
            self.after(at * MS, Happening::Restart(owner));
        }
    }

    /// From the first happening to the last, and then to the end of every call.
    pub(crate) fn run(&mut self) {
        let until = self.temper.shutdown_ms.map_or(u64::MAX, |ms| ms * MS);
        while let Some((&(at, sequence), _)) = self.queue.first_key_value()
            && self.now < until
        {
            let due = self
                .nodes
                .iter()
                .enumerate()
                .filter_map(|(node, it)| Some((it.shard.next_deadline()?, node)))
                .min();
            if let Some((deadline, node)) = due.filter(|(deadline, _)| deadline.as_nanos() <= at) {
                self.now = self.now.max(deadline.as_nanos());
                self.tick(node);
                continue;
            }
            let happening = self.queue.remove(&(at, sequence)).expect("it was there a line ago");
            self.now = self.now.max(at);
            self.happen(happening);
        }
        sim::arm(None);
        self.end();
    }

    pub(crate) fn outcome(&mut self) -> Outcome {
        self.coverage.ways(sim::take_ways());
        self.coverage.door(&self.door.seen);
        for node in &self.nodes {
            let counters = node.shard.counters();
            Refusal::ALL.iter().for_each(|&reason| self.coverage.refused(reason, counters.refusals(reason)));
            DropReason::ALL.iter().for_each(|&reason| self.coverage.dropped(reason, counters.drops(reason)));
        }
        Outcome { hash: self.trace.hash(), lines: self.trace.lines(), coverage: self.coverage.clone() }
    }

    /// Where in the trace the world is.
    pub(crate) fn place(&self) -> String {
        format!("{} ms, line {}", self.now / MS, self.trace.lines())
    }

    /// Lets something happen later.
    pub(crate) fn after(&mut self, ns: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + ns, self.sequence), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Step(call) => self.step(call),
            Happening::Ask(request) => self.ask_door(&request),
            Happening::Retry(request, left) => self.retry(request, left),
            Happening::Heard(cookie) => self.heard(cookie),
            Happening::Opened { node, socket, result } => {
                let call = self.nodes[node].kernel.get(socket).expect("asked for").call;
                self.nodes[node].kernel.answer(socket, result);
                self.input(node, Some(call), Input::SocketOpened { socket, result });
                self.look_for_end(node, call);
            }
            Happening::ToEngine { from, to, packet } => self.arrive(from, to, packet),
            Happening::Late { node, socket, from } => {
                if self.nodes[node].kernel.get(socket).is_none() {
                    self.datagram(node, socket, from, vec![0x80; 20].into());
                }
            }
            Happening::ToParty { to, rtp } => {
                if let Some(&(call, party)) = self.reach.get(&to) {
                    self.calls[call].parties[party].heard += u64::from(rtp);
                }
            }
            Happening::Talk { call, party } => network::talk(self, call, party),
            Happening::Spray => network::spray(self),
            Happening::Unreachable => {
                let node = self.rng.index(self.nodes.len());
                let open: Vec<SocketId> = self.nodes[node].kernel.open().map(|(socket, _)| socket).collect();
                if !open.is_empty() {
                    let socket = self.rng.pick(&open);
                    self.nodes[node].books.socket_errors += 1;
                    self.input(node, None, Input::SocketError { socket });
                }
            }
            Happening::RecordingFailed { node, recording } => {
                self.input(node, None, Input::RecordingFailed { recording });
            }
            Happening::Admission(closed) => {
                for node in 0..self.nodes.len() {
                    self.input(node, None, Input::Admission(closed));
                }
            }
            Happening::Live => {
                for node in 0..self.nodes.len() {
                    let Node { live, relays, reloaded, .. } = &mut self.nodes[node];
                    if self.rng.percent(50) {
                        *relays = Relays::random(&mut self.rng);
                        live.media_networks = relays.networks();
                    }
                    live.learn_strict = self.rng.percent(25);
                    live.tos = self.rng.pick(&[0, 184]);
                    // Those of the first name stay.
                    let stays = |index: usize, rng: &mut Rng| index < 2 || rng.percent(60);
                    let here =
                        INTERFACES.iter().enumerate().filter(|(index, _)| stays(*index, &mut self.rng));
                    live.interfaces = interfaces(here.map(|(_, each)| each));
                    *reloaded = true;
                    let limits = &mut live.limits;
                    limits.final_timeout =
                        self.rng.percent(60).then(|| Duration::from_secs(self.rng.between(5, 30)));
                    limits.media_timeout = Duration::from_secs(self.rng.between(3, 9));
                    let live = Box::new(self.nodes[node].live.clone());
                    self.input(node, None, Input::Live(live));
                }
            }
            Happening::Fault(fault) => sim::arm(Some(fault)),
            Happening::Wall(ms) => self.wall_ms = self.wall_ms.saturating_add_signed(ms),
            Happening::Sleep(ms) => self.now += ms * MS,
            Happening::Restart(owner) => self.epochs[owner] += 1,
        }
    }

    /// A deadline of a shard passed.
    fn tick(&mut self, node: usize) {
        let most = self.calls.len();
        for _ in 0..=most {
            self.input(node, None, Input::Tick);
            let due = self.nodes[node].shard.next_deadline();
            if due.is_none_or(|at| at.as_nanos() > self.now) {
                return;
            }
        }
        panic!("after {most} ticks a deadline is still in the past");
    }

    /// Gives a command to a shard.
    pub(crate) fn command(&mut self, node: usize, id: u64, command: Command) {
        let call = self.asked.get(&id).and_then(|asked| asked.call);
        self.input(node, call, Input::Command { id, command });
    }

    /// One input, and everything that comes of it but datagrams.
    fn input(&mut self, node: usize, call: Option<usize>, input: Input<'_>) {
        let (outputs, before) = self.handle(node, input);
        let reports = self.reports(node, &outputs);
        let seen = self.outputs(node, call, outputs);
        assert_eq!(seen.transmits, 0, "only a datagram is sent on");
        self.check(node, &before, None, &seen);
        for Report { call, from, to, bytes } in reports {
            let Call { hearing, secrecy, .. } = &mut self.calls[call];
            let hearers = hearing.at(from, to);
            let opened = secrecy.open(&bytes, to, &hearers, "a report of ours").unwrap_or(bytes);
            assert!(opened[0] >> 6 == 2 && matches!(opened[1], 200 | 201), "no report: {opened:?}");
        }
    }

    /// Packets of our own that leave because of something else than a datagram.
    fn reports(&self, node: usize, outputs: &[Output]) -> Vec<Report> {
        let Node { shard, kernel, .. } = &self.nodes[node];
        let report = |output: &Output| {
            let Output::TransmitCopy { socket, remote, made } = output else { return None };
            let bound = kernel.get(*socket)?;
            let bytes = shard.made(made).to_vec();
            Some(Report { call: bound.call, from: bound.local, to: *remote, bytes })
        };
        outputs.iter().filter_map(report).collect()
    }

    /// Hands an input over; what came out, and what was counted before.
    pub(crate) fn handle(&mut self, node: usize, input: Input<'_>) -> (Vec<Output>, Counters) {
        let Self { nodes, trace, .. } = self;
        let Node { shard, books, .. } = &mut nodes[node];
        match &input {
            Input::Datagram { socket, remote, packet, length } => {
                trace.note(self.now, format_args!("#{node} < {length} bytes on {} from {remote}", socket.0));
                trace.bytes(&packet[..usize::from(*length)]);
            }
            other => trace.note(self.now, format_args!("#{node} < {other:?}")),
        }
        if let Input::Command { command: Command::Offer(signal) | Command::Answer(signal), .. } = &input {
            trace.say(|| text(&signal.sdp));
        }
        let before = shard.counters().clone();
        let armed = sim::armed();
        shard.handle_input(Instant::from_nanos(self.now), self.wall_ms.wrapping_add(self.now / MS), input);
        self.struck = armed.filter(|_| sim::armed().is_none());
        if let Some(fault) = self.struck {
            books.faults += 1;
            self.coverage.fault(fault);
            for call in &mut self.calls {
                call.disturbed = true;
            }
        }
        let outputs: Vec<Output> = std::iter::from_fn(|| shard.poll_output()).collect();
        for output in &outputs {
            trace.note(self.now, format_args!("#{node}   > {output:?}"));
            if let Output::Reply { reply, .. } = output
                && let Reply::Signal(signal) = &**reply
            {
                trace.say(|| text(&signal.sdp));
            }
        }
        (outputs, before)
    }

    /// What a shard wants done, datagrams aside.
    pub(crate) fn outputs(&mut self, node: usize, mut call: Option<usize>, outputs: Vec<Output>) -> Seen {
        let mut seen = Seen::default();
        let asked = self.foresee(&outputs);
        for output in outputs {
            match output {
                Output::OpenSocket { socket, local, .. } => {
                    // One tick may end several calls, and what waited for any of them begins it anew.
                    let served = self.nodes[node].shard.call_of(socket).map(crate::client::index);
                    let call = served.or(call).expect("a socket is asked for because of some call");
                    self.nodes[node].kernel.ask(socket, local, call);
                    self.open(node, socket);
                }
                Output::SetTos { socket, .. } => {
                    let bound = self.nodes[node].kernel.get(socket);
                    assert!(bound.is_some_and(|bound| bound.open), "{socket:?} is not open");
                }
                Output::CloseSocket { socket } => {
                    let bound = self.nodes[node].kernel.close(socket);
                    self.calls[bound.call].hearing.closed(bound.local);
                    self.look_for_end(node, bound.call);
                    if self.rng.percent(10) {
                        let (delay, from) =
                            (self.rng.below(2 * MS), crate::hostile::address(&mut self.rng, true));
                        self.after(delay, Happening::Late { node, socket, from });
                    }
                }
                Output::Reply { id, reply } => {
                    let of = self.replied(node, id, *reply);
                    call = call.or(of);
                }
                Output::Event(event) => self.event(node, *event, &asked),
                Output::Transmit { range, .. } => {
                    seen.transmits += 1;
                    seen.transmit_bytes += u64::from(range.end - range.start);
                }
                Output::TransmitCopy { socket, remote, made } => {
                    let from = self.nodes[node].kernel.get(socket).filter(|bound| bound.open);
                    let from = from.expect("a packet of our own leaves from a socket that is open");
                    let reaches = self.calls[from.call].hearing.reaches(from.local, remote);
                    assert!(reaches, "{remote} is sent to from {}, and nobody is there", from.local);
                    seen.copies += 1;
                    seen.copies_bytes += u64::from(made.end - made.start);
                }
                Output::Turn(output) => panic!("{output:?} of a shard without TURN"),
                // Judged where the datagram is.
                Output::Record { .. } => {}
                Output::Recording { recording, note } => {
                    self.nodes[node].recorder.note(recording, &note);
                    // A disk may be full at any time.
                    if self.rng.percent(4) {
                        let delay = self.rng.below(4_000 * MS);
                        self.after(delay, Happening::RecordingFailed { node, recording });
                    }
                }
            }
        }
        seen
    }

    /// The calls of which a delete asks for the report: it does so before their end, though its answer comes after.
    fn foresee(&self, outputs: &[Output]) -> BTreeSet<usize> {
        let of = |output: &Output| {
            let Output::Reply { id, reply } = output else { return None };
            let obeyed = match &**reply {
                Reply::Report(_) | Reply::Ok { warning: None } => true,
                // It was obeyed as far as that.
                Reply::Error(_) => self.struck == Some(Fault::Report),
                _ => false,
            };
            if !obeyed {
                return None;
            }
            match self.asked.get(id)? {
                Asked { call, about: About::Delete { keep: true, .. } } => *call,
                _ => None,
            }
        };
        outputs.iter().filter_map(of).collect()
    }

    /// What holds after every input.
    pub(crate) fn check(
        &mut self,
        node: usize,
        before: &Counters,
        datagram: Option<usize>,
        seen: &Seen,
    ) -> Option<DropReason> {
        let Node { shard, kernel, books, recorder, pairs, reloaded, .. } = &self.nodes[node];
        let after = shard.counters();
        books.check(before, after, datagram, seen);
        assert_eq!(after.recordings_live, recorder.len(), "recordings that the shard knows, and those begun");
        let tables = shard.tables();
        assert_eq!(tables.sockets, kernel.len(), "sockets that the shard has, and those that are there");
        if !reloaded {
            let free = shard.free_port_pairs();
            assert_eq!(free + tables.pairs, INTERFACES.len() * pairs, "ports free and in use");
        } else if datagram.is_none() {
            for port in shard.census(0).ports {
                assert_eq!(port.used + port.free, 2 * *pairs as u64, "of {}: {port:?}", port.address);
            }
        }
        assert!(tables.within(), "a table is beyond its limit: {tables:?}");
        books::reason(before, after)
    }

    /// A socket opens after a while, or does not.
    fn open(&mut self, node: usize, socket: SocketId) {
        let Temper { openings_fail, opening_ms, .. } = self.temper;
        let result = if self.rng.percent(openings_fail) {
            match self.rng.below(10) {
                0 => Err(OpenError::NoDescriptor),
                1 => Err(OpenError::NotAvailable),
                2 => Err(OpenError::Other),
                _ => Err(OpenError::InUse),
            }
        } else {
            Ok(())
        };
        let delay = self.rng.below(opening_ms * MS);
        self.after(delay, Happening::Opened { node, socket, result });
    }

    /// A command was answered; of which call.
    fn replied(&mut self, node: usize, id: u64, reply: Reply) -> Option<usize> {
        let asked = self.asked.remove(&id).unwrap_or_else(|| panic!("{id} is answered twice: {reply:?}"));
        let tells = !matches!(reply, Reply::Signal(_)) && format!("{reply:?}").contains("inline:");
        assert!(!tells, "a key is told to whoever asks: {reply:?}");
        self.nodes[node].books.refused += u64::from(matches!(reply, Reply::Error(_) | Reply::LoadLimit(_)));
        if matches!(asked.about, About::ReportAck) && reply == (Reply::Ok { warning: None }) {
            self.nodes[node].books.acknowledged += 1;
        }
        let call = asked.call;
        self.answered(node, id, asked, reply);
        call
    }

    fn event(&mut self, node: usize, event: ng::Event, asked: &BTreeSet<usize>) {
        let index = crate::client::index(&event.call_id);
        if let EventKind::Refused { calls, .. } = event.kind {
            assert!(calls > 0 && event.owner.is_none());
            let told = &mut self.nodes[node].books.refusals_told;
            let again = told.is_none_or(|before| self.now - before >= 1_000 * MS);
            assert!(again, "refused calls are told more than once a second");
            *told = Some(self.now);
            return;
        }
        let call = &mut self.calls[index];
        assert_eq!(call.node, node);
        assert_eq!(
            (&event.owner, event.sequence),
            (&call.owned, 0),
            "only the owner of {} hears of it",
            call.name
        );
        if let EventKind::Ended { ended, .. } = event.kind {
            self.coverage.ended(ended.reason);
            call.owned = None;
            let keep = std::mem::take(&mut call.keep) || asked.contains(&index);
            self.nodes[node].books.kept += u64::from(keep);
        }
    }

    /// Whether a call is gone with its last socket.
    pub(crate) fn look_for_end(&mut self, node: usize, call: usize) {
        let Node { shard, kernel, .. } = &self.nodes[node];
        let index = call;
        let call = &self.calls[call];
        if kernel.serves(crate::client::index(&call.name)) {
            return;
        }
        let told = call.owned.is_none() || shard.has_call(&call.name);
        assert!(told, "{} is gone, and its owner was not told", call.name);
        self.forget(index);
    }

    /// Lets every call end, and looks whether anything is left.
    fn end(&mut self) {
        for node in 0..self.nodes.len() {
            if self.temper.shutdown_ms.is_none() {
                while let Some(at) = self.nodes[node].shard.next_deadline() {
                    self.now = self.now.max(at.as_nanos());
                    self.tick(node);
                    self.drain();
                }
            }
        }
        for node in 0..self.nodes.len() {
            self.input(node, None, Input::Shutdown);
        }
        self.drain();
        for Node { shard, kernel, pairs, live, .. } in &self.nodes {
            let counters = shard.counters();
            assert_eq!(kernel.len(), 0, "sockets are left");
            assert_eq!(kernel.opened, kernel.closed, "sockets opened and closed");
            assert_eq!((counters.sockets_live, counters.calls_live), (0, 0));
            assert_eq!(shard.next_deadline(), None, "a deadline is left");
            let addresses = live.interfaces.iter().count();
            assert_eq!(shard.free_port_pairs(), addresses * pairs, "port pairs are missing");
            assert!(shard.tables().is_empty(), "something is left: {:?}", shard.tables());
        }
        assert!(self.asked.is_empty(), "never answered: {:?}", self.asked);
    }

    /// Sockets that were asked for open; whatever else is on its way comes too late.
    fn drain(&mut self) {
        while let Some((key, happening)) = self.queue.pop_first() {
            self.now = self.now.max(key.0);
            if let Happening::Opened { .. } = happening {
                self.happen(happening);
            }
        }
    }
}

/// The local address behind one that parties know.
pub(crate) fn bound(told: SocketAddr) -> SocketAddr {
    let is = |text: &str| text.parse() == Ok(told.ip());
    let bound = INTERFACES.iter().find(|(_, _, advertised)| is(advertised)).map(|(_, bound, _)| bound);
    let ip: IpAddr = bound.map_or_else(|| told.ip(), |ip| ip.parse().expect("a constant"));
    SocketAddr::new(ip, told.port())
}

fn text(sdp: &[u8]) -> String {
    String::from_utf8_lossy(sdp).replace("\r\n", " | ")
}

fn interfaces<'a>(of: impl Iterator<Item = &'a (&'a str, &'a str, &'a str)>) -> Interfaces {
    let interface = |(name, bound, advertised): &(&str, &str, &str)| {
        format!("{name}/{bound}!{advertised}").parse().expect("a constant")
    };
    Interfaces::new(of.map(interface).collect()).expect("there are some")
}

fn nodes(seed: u64, undisturbed: bool, rng: &mut Rng) -> Vec<Node> {
    let shards = rng.u16(1, 4);
    let pairs_wanted = if undisturbed || rng.percent(60) { 300 } else { rng.u16(8, 60) };
    let few = !undisturbed && rng.percent(30);
    let reports_max = if few { rng.index(4) } else { 1_000 };
    let relays = Relays::random(rng);
    let strict = rng.percent(15);
    let make = |shard| {
        let interfaces = interfaces(INTERFACES.iter());
        let ports = PortRange { min: 30_000, max: 29_999 + 2 * pairs_wanted * shards, shard, shards, seed };
        let mut config = ShardConfig::new(interfaces, ports, std::time::Instant::now());
        (config.media_networks, config.learn_strict) = (relays.networks(), strict);
        let limits = &mut config.limits;
        limits.media_timeout = Duration::from_secs(6);
        limits.silent_timeout = Duration::from_secs(20);
        limits.offer_timeout = Duration::from_secs(10);
        limits.delete_delay = Duration::from_secs(3);
        limits.lease_max = Duration::from_secs(8);
        limits.pairs_max = 3;
        limits.legs_max = 5;
        limits.waiting_max = 3;
        limits.reports_max = reports_max;
        limits.report_lifetime = Duration::from_secs(if few { 15 } else { 3_600 });
        limits.calls_max = if few { 12 } else { 1_000 };
        limits.recordings_max = if few { 2 } else { 100 };
        limits.owners_max = if few { 1 } else { 8 };
        let live = LiveConfig {
            interfaces: config.interfaces.clone(),
            tos: config.tos,
            providers: None,
            limits: config.limits.clone(),
            learn_strict: config.learn_strict,
            media_networks: config.media_networks.clone(),
            turn: None,
        };
        let shard = Shard::new(config, seed);
        let pairs = shard.free_port_pairs() / INTERFACES.len();
        Node {
            shard,
            kernel: Kernel::default(),
            books: Books::default(),
            recorder: Recorder::default(),
            live,
            relays,
            pairs,
            reloaded: false,
        }
    };
    (0..shards).map(make).collect()
}
