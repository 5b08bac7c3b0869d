//! A shard: some calls, their sockets and their time.

mod admit;
mod census;
mod check;
mod connect;
mod delete;
mod detect;
mod ending;
mod exchange;
mod gate;
mod generate;
mod handshake;
mod learn;
mod lease;
mod moving;
mod opening;
mod publish;
mod query;
mod record;
mod select;
mod subscribe;
mod timers;
mod tos;
mod turn;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use ng::{Command, Reply};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rtp::{
    dtls::Providers,
    packet::{DatagramKind, kind_of},
    units::Instant,
};

pub(crate) use self::{publish::Publication, subscribe::Subscription};
#[cfg(feature = "sim")]
use crate::timer::Timer;
use crate::{
    call::{Call, CallKey, Calls},
    config::{Limits, ShardConfig},
    counters::{Counters, DropReason},
    ice,
    io::{Input, Output, SocketId},
    made::Made,
    negotiate::Kind,
    networks::MediaNetworks,
    owner::Owners,
    path::Paths,
    recording::Recordings,
    relay,
    report::Kept,
    sim::{self, Fault, Way},
    socket::Sockets,
    timer::Timers,
    turn::Turn,
};

pub use census::{Census, EndedCalls, PortUse, Session};
pub use moving::apart;

/// Some calls, their sockets and their time. Nothing in it is shared.
///
/// One input, then [`Shard::poll_output`] until `None`, then the next.
#[derive(Debug)]
pub struct Shard {
    limits: Limits,
    marker: String,
    tos: u8,
    calls: Calls,
    sockets: Sockets,
    paths: Paths,
    timers: Timers,
    owners: Owners,
    kept: Kept,
    recordings: Recordings,
    outputs: VecDeque<Output>,
    made: Made,
    counters: Counters,
    /// What keys, tags and session numbers of our own are drawn from.
    chance: StdRng,
    admission: admit::Admission,
    media_networks: MediaNetworks,
    learn_strict: bool,
    /// Our certificate for handshakes (DTLS), of calls that begin.
    providers: Option<Providers>,
    /// Which library failed with whom.
    failures: handshake::Failures,
    turn: Option<Box<Turn>>,
    /// The command being handled and its call, for the reply that it gets if it makes us fail.
    current: Option<(u64, Option<CallKey>)>,
    /// The call whose deadline is being handled, or that is being shut down.
    timed: Option<CallKey>,
    /// Commands that waited for a call that has ended.
    orphans: VecDeque<(u64, Command)>,
    /// What the clock calls zero.
    base: std::time::Instant,
    now: Instant,
    wall_ms: u64,
}

/// What decides what chance decides in a shard.
#[derive(Debug)]
pub struct Seed {
    chance: StdRng,
    number: u64,
}

/// For worlds that are to come out the same again: who knows the number knows every key.
impl From<u64> for Seed {
    fn from(number: u64) -> Self {
        Self { chance: StdRng::seed_from_u64(number), number }
    }
}

/// Of 256 random bits, which nobody can guess.
impl From<[u8; 32]> for Seed {
    fn from(bits: [u8; 32]) -> Self {
        let mut chance = StdRng::from_seed(bits);
        let number = chance.random();
        Self { chance, number }
    }
}

/// How often the owner of a call hears its counters.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

impl Shard {
    /// A shard without calls. `seed` decides what chance decides, keys included.
    pub fn new(config: ShardConfig, seed: impl Into<Seed>) -> Self {
        let Seed { mut chance, number } = seed.into();
        let ShardConfig {
            interfaces,
            mut ports,
            marker,
            tos,
            media_networks,
            learn_strict,
            providers,
            limits,
            base,
            turn,
        } = config;
        // The range is divided by the seed all shards share; only an undivided one takes this shard's.
        if ports.shards <= 1 {
            ports.seed ^= number;
        }
        let mut sockets = Sockets::new(interfaces, &ports);
        if let Some(turn) = &turn {
            sockets.number_below(turn.lowest_number());
        }
        let turn = turn.map(|turn| Box::new(Turn::new(*turn, &ports, &sockets, &mut chance)));
        Self {
            marker,
            tos,
            calls: Calls::default(),
            sockets,
            paths: Paths::default(),
            timers: Timers::default(),
            owners: Owners::new(limits.owners_max),
            kept: Kept::new(limits.reports_max, limits.report_lifetime),
            recordings: Recordings::of_shard(ports.shard),
            outputs: VecDeque::with_capacity(64),
            made: Made::new(),
            counters: Counters::default(),
            chance,
            admission: admit::Admission::default(),
            media_networks,
            learn_strict,
            providers,
            failures: handshake::Failures::default(),
            turn,
            current: None,
            timed: None,
            orphans: VecDeque::new(),
            base,
            now: Instant::ZERO,
            wall_ms: 0,
            limits,
        }
    }

    /// Takes one thing that happened. `now` is this shard's clock, `wall_ms` the time of day in
    /// milliseconds since the Unix epoch, which goes into reports only.
    ///
    /// A panic while an input is handled ends the call it was for, and is counted; the shard
    /// goes on.
    pub fn handle_input(&mut self, now: Instant, wall_ms: u64, input: Input<'_>) {
        self.now = now;
        self.wall_ms = wall_ms;
        self.made.clear();
        let socket = match &input {
            Input::Datagram { socket, .. } | Input::SocketOpened { socket, .. } => Some(*socket),
            _ => None,
        };
        self.guarded(socket, |shard| shard.on_input(input));
        // The first of a call may begin it anew and make the others wait again.
        while let Some((id, command)) = self.orphans.pop_front() {
            self.guarded(None, |shard| {
                shard.on_command(id, command);
                shard.count_live();
            });
        }
    }

    /// Does something, and ends the call that it was for if we fail on it.
    fn guarded(&mut self, socket: Option<SocketId>, work: impl FnOnce(&mut Self)) {
        // Sound because a call owns its state, and the call that was touched is ended (ADR 4).
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.on_fault(socket);
            self.count_live();
        }
    }

    /// The next thing to be done; `None` when the last input has no more consequences.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The bytes that an output of the last input names.
    pub fn made(&self, range: &Range<u32>) -> &[u8] {
        self.made.bytes(range)
    }

    /// Where a socket is bound; `None` once it is closed.
    pub fn local_address(&self, socket: SocketId) -> Option<SocketAddr> {
        self.sockets.local_of(socket)
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        let turn = self.turn.as_ref().and_then(|turn| turn.next_deadline());
        self.timers.next().into_iter().chain(turn).min()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Calls alive now.
    pub fn calls_live(&self) -> usize {
        self.calls.len()
    }

    /// Free port pairs, over all addresses.
    pub fn free_port_pairs(&self) -> usize {
        self.sockets.free_pairs()
    }

    /// Whether a call is there.
    #[cfg(feature = "sim")]
    pub fn has_call(&self, call_id: &str) -> bool {
        self.calls.by_name(call_id).is_some()
    }

    /// The name of the call that a socket serves.
    #[cfg(feature = "sim")]
    pub fn call_of(&self, socket: SocketId) -> Option<&str> {
        self.sockets.call(socket).and_then(|key| self.calls.get(key)).map(|call| call.name.as_str())
    }

    /// How full the tables are.
    #[cfg(feature = "sim")]
    pub fn tables(&self) -> sim::Tables {
        let Self { calls, sockets, paths, timers, owners, kept, recordings, limits, .. } = self;
        let most = |of: fn(&Call) -> usize| calls.iter().map(|(_, call)| of(call)).max().unwrap_or_default();
        let medias: usize = calls
            .iter()
            .flat_map(|(_, call)| call.parties())
            .map(|(_, leg)| leg.medias.len().min(limits.medias_max))
            .sum();
        sim::Tables {
            calls: (calls.len(), limits.calls_max),
            legs: (most(|call| call.legs.len()), limits.legs_max),
            waiting: (most(|call| call.waiting.len()), limits.waiting_max),
            deadlines: (timers.len(), calls.len() * Timer::COUNT),
            paths: (paths.live(), medias * 2),
            owners: (owners.len(), limits.owners_max),
            reports: (kept.len(), limits.reports_max),
            recordings: (recordings.len(), limits.recordings_max),
            sockets: sockets.live(),
            pairs: sockets.live_pairs(),
        }
    }

    fn on_input(&mut self, input: Input<'_>) {
        match input {
            Input::Datagram { socket, remote, packet, length } => {
                return self.on_datagram(socket, remote, packet, length);
            }
            Input::Command { id, command } => self.on_command(id, command),
            Input::SocketOpened { socket, result } if self.is_of_turn(socket) => {
                self.with_turn(|turn, cx| turn.on_opened(cx, socket, result));
            }
            Input::SocketOpened { socket, result } => self.on_socket_opened(socket, result),
            Input::Turn(input) => self.with_turn(|turn, cx| turn.on_input(cx, input)),
            Input::SocketError { .. } => self.counters.socket_errors += 1,
            Input::RecordingFailed { recording } => self.on_recording_failed(recording),
            Input::Admission(closed) => self.on_admission(closed),
            Input::Live(live) => self.on_live(*live),
            Input::Limits { calls_max, media_timeout, silent_timeout } => {
                let limits = &mut self.limits;
                (limits.calls_max, limits.media_timeout, limits.silent_timeout) =
                    (calls_max, media_timeout, silent_timeout);
            }
            Input::Tick => {
                self.on_tick();
                self.with_turn(Turn::on_tick);
            }
            Input::Shutdown => {
                self.on_shutdown();
                self.with_turn(Turn::on_shutdown);
            }
        }
        self.count_live();
    }

    /// Every input but a datagram may change what is there, and a fault in the midst of one too.
    fn count_live(&mut self) {
        self.counters.calls_live = self.calls.len() as u64;
        self.counters.sockets_live = self.sockets.live() as u64;
        self.counters.reports_live = self.kept.len() as u64;
        self.counters.recordings_live = self.recordings.len() as u64;
    }

    fn on_datagram(&mut self, socket: SocketId, remote: SocketAddr, packet: &mut [u8], length: u16) {
        if self.is_of_turn(socket) {
            return self.with_turn(|turn, cx| turn.on_datagram(cx, socket, remote, packet, length));
        }
        self.on_media(socket, remote, packet, length, true);
    }

    /// A datagram for a socket of a call; `in_slot` if it can be sent from where it lies.
    fn on_media(
        &mut self,
        socket: SocketId,
        remote: SocketAddr,
        packet: &mut [u8],
        length: u16,
        in_slot: bool,
    ) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += u64::from(length);
        let (result, lesson) = match self.sockets.path(socket) {
            Some(path) => {
                sim::trip(Fault::Datagram);
                match packet.get(..length.into()) {
                    Some(datagram) if ice::is_stun(datagram) && self.is_checked(path) => {
                        (self.on_check(path, socket, remote, datagram), None)
                    }
                    Some(datagram) if kind_of(datagram) == DatagramKind::Dtls && self.paths.is_rtp(path) => {
                        (self.on_dtls(path, socket, remote, datagram), None)
                    }
                    _ => {
                        let mut road = relay::Road { in_slot, ..self.road() };
                        let result = road.datagram(path, socket, remote, packet, length);
                        (result, road.lesson)
                    }
                }
            }
            None => (Err(DropReason::NoSocket), None),
        };
        if let Err(reason) = result {
            self.counters.dropped(reason);
            if reason == DropReason::UnknownSource {
                self.on_stranger(socket, remote, 1);
            }
        }
        if let Some(lesson) = lesson {
            self.on_lesson(socket, remote, lesson);
        }
    }

    /// The road of packets, in and out.
    fn road(&mut self) -> relay::Road<'_> {
        relay::Road {
            paths: &mut self.paths,
            counters: &mut self.counters,
            made: &mut self.made,
            outputs: &mut self.outputs,
            lesson: None,
            in_slot: true,
            now: self.now,
            wall_ms: self.wall_ms,
        }
    }

    fn on_command(&mut self, id: u64, command: Command) {
        // A call whose sockets are opening takes its commands in order.
        let named = match &command {
            Command::Offer(_)
            | Command::Answer(_)
            | Command::Delete(_)
            | Command::SubscribeRequest(_)
            | Command::SubscribeAnswer(_)
            | Command::Unsubscribe(_)
            | Command::Publish(_)
            | Command::Connect(_) => command.call_id(),
            _ => None,
        };
        if let Some(key) = named.and_then(|name| self.calls.by_name(name))
            && self.calls.get(key).is_some_and(|call| call.pending.is_some())
        {
            return self.wait(key, id, command);
        }
        self.obey(id, command);
    }

    /// Lets a command wait until a call's sockets are open.
    fn wait(&mut self, key: CallKey, id: u64, command: Command) {
        let call = self.calls.get_mut(key).expect("what is waited for is a call that is there");
        if call.waiting.len() < self.limits.waiting_max {
            sim::seen(Way::Waited);
            call.waiting.push_back((id, command));
            self.current = None;
        } else {
            self.refuse(id, "Too many commands for this call at once");
        }
    }

    fn obey(&mut self, id: u64, command: Command) {
        self.current = Some((id, command.call_id().and_then(|name| self.calls.by_name(name))));
        let (owner, epoch) = match &command {
            Command::Offer(signal) | Command::Answer(signal) => (signal.owner.as_deref(), signal.epoch),
            Command::SubscribeRequest(request) => (request.signal.owner.as_deref(), request.signal.epoch),
            Command::Publish(publish) => (publish.signal.owner.as_deref(), publish.signal.epoch),
            Command::Connect(connect) => (connect.signal.owner.as_deref(), connect.signal.epoch),
            Command::SubscribeAnswer(answer) => (answer.signal.owner.as_deref(), answer.signal.epoch),
            Command::Delete(delete) => (delete.owner.as_deref(), delete.epoch),
            Command::Lease(lease) => (Some(lease.owner.as_str()), Some(lease.epoch)),
            Command::ReportAck(ack) => (ack.owner.as_deref(), ack.epoch),
            _ => (None, None),
        };
        if let Some(owner) = owner {
            let in_use = in_use(&self.calls, &self.kept);
            if let Err(text) = self.owners.admit(owner, epoch, in_use) {
                self.counters.stale_epochs += u64::from(text == Reply::STALE_EPOCH);
                return self.refuse(id, text);
            }
        }
        sim::trip(Fault::Command);
        match command {
            Command::Ping(_) => self.reply(id, Reply::Pong { instance: None }),
            Command::Offer(signal) => self.on_signal(id, Kind::Offer, signal),
            Command::Answer(signal) => self.on_signal(id, Kind::Answer, signal),
            Command::Delete(delete) => self.on_delete(id, &delete),
            Command::Query(query) => self.on_query(id, &query),
            Command::List(list) => self.on_list(id, &list),
            Command::Gate(gate) => self.on_gate(id, &gate),
            Command::SubscribeRequest(request) => self.on_subscribe_request(id, *request),
            Command::SubscribeAnswer(answer) => self.on_subscribe_answer(id, &answer),
            Command::Unsubscribe(unsubscribe) => self.on_unsubscribe(id, &unsubscribe),
            Command::StartRecording(request) => self.on_start_recording(id, &request),
            Command::StopRecording(request) => self.on_stop_recording(id, &request),
            Command::PauseRecording(request) => self.on_pause_recording(id, &request),
            Command::Publish(publish) => self.on_publish(id, publish),
            Command::Connect(connect) => self.on_connect(id, connect),
            Command::Lease(lease) => self.on_lease(id, &lease),
            Command::ReportAck(ack) => self.on_report_ack(id, &ack),
            Command::Events(_) => self.refuse(id, "Events are answered by the engine, not by a shard"),
            // Not built here; whoever builds one of these takes it out of the list.
            command @ (Command::Statistics | Command::Cli(_) | Command::Unsupported { .. }) => {
                self.refuse(id, &format!("Not supported: command {}", command.name()));
            }
        }
    }

    fn reply(&mut self, id: u64, reply: Reply) {
        self.current = None;
        self.outputs.push_back(Output::Reply { id, reply: Box::new(reply) });
    }

    fn refuse(&mut self, id: u64, text: &str) {
        self.counters.commands_refused += 1;
        self.reply(id, Reply::Error(text.to_owned()));
    }
}

/// Whether a call is driven by another owner than this one. A client that names none may do all.
fn is_foreign(call: &Call, owner: Option<&str>) -> bool {
    matches!((call.owner.as_deref(), owner), (Some(own), Some(other)) if own != other)
}

/// Whether an owner has calls or kept reports.
fn in_use(calls: &Calls, kept: &Kept) -> impl Fn(&str) -> bool {
    |name| {
        calls.iter().any(|(_, call)| call.owner.as_deref() == Some(name))
            || kept.of_owner(name).next().is_some()
    }
}

const OTHER_OWNER: &str = "Call has another owner";

#[cfg(test)]
mod tests;
