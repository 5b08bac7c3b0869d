//! The NG door: what was asked before, which shard has the call, and long polls.
//!
//! [`Door`] has no socket and no clock, so that it is tested alone; [`udp`] runs it. What comes over streams is put
//! before it by [`edge`](crate::edge).

mod cli;
mod counters;
mod epochs;
mod gate;
mod log;
mod moving;
mod places;
mod settings;
mod tally;
mod udp;
mod way;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use driver::Now;
use ng::{
    CallList, Command, Encoding, Event, EventBatch, Events, FrameError, Known, List, Reply, ReplyCache,
    RequestKey, Templates,
};

use crate::statistics::{self, Whole, WorkerState};
use crate::worker::{MoveMail, WorkerMail};
use cli::{Line, View};
pub(crate) use counters::DoorCounters;
use epochs::Epochs;
pub(crate) use gate::Gate;
use log::EventLog;
use moving::{Held, Moves};
pub(crate) use settings::{Live, Settings};
pub(crate) use tally::{COMMANDS, CommandIndex, Durations, Tally};
pub(crate) use udp::{DoorMail, DoorThread, Hatch, hatch};
pub(crate) use way::{Answer, WayBack, Ways};

/// Everything the door knows.
pub(crate) struct Door {
    shards: usize,
    /// Presets that a message may name.
    templates: Templates,
    /// A keyed hash, so that nobody outside can choose the shard of a call.
    placement: RandomState,
    cache: ReplyCache,
    epochs: Epochs,
    log: EventLog,
    /// Commands at the shards, by id, and so in order of their age.
    running: BTreeMap<u64, Running>,
    next_id: u64,
    /// How many requests of each address are not answered yet.
    unanswered: HashMap<IpAddr, usize>,
    /// Who asked over another connection what is running already.
    also: HashMap<RequestKey, Vec<WayBack>>,
    polls: Vec<Poll>,
    outputs: VecDeque<DoorOutput>,
    counters: DoorCounters,
    tally: Tally,
    settings: Settings,
    ports: (u16, u16),
    moves: Moves,
    /// Calls that an operator ended.
    terminated: u64,
    /// When the last thing happened, and the first.
    now: Now,
    began_ns: Option<u64>,
}

/// Something the door wants done.
#[derive(Debug)]
pub(crate) enum DoorOutput {
    /// Send these bytes.
    Send {
        /// From the socket of this listener.
        listener: usize,
        /// To whom.
        to: SocketAddr,
        /// The datagram.
        bytes: Arc<[u8]>,
    },
    /// Answer with these bytes.
    Answer {
        /// To this connection.
        way: WayBack,
        /// What it has to write.
        bytes: Arc<[u8]>,
    },
    /// Give this to a shard; [`Door::reply`], [`Door::state`] or [`Door::overloaded`] follows.
    Mail {
        /// Which.
        shard: usize,
        /// To be echoed.
        id: u64,
        /// What is asked.
        mail: WorkerMail,
    },
    /// Give this to a shard; what becomes of it [`Door::moved`] hears, [`Door::sent_back`], or [`Door::not_sent`].
    Move {
        /// Which.
        shard: usize,
        /// What is to be done.
        mail: MoveMail,
    },
    /// Let these settings hold from now on.
    Live(Live),
}

/// What comes over a stream.
#[derive(Debug)]
pub(crate) enum Question {
    /// A document with a cookie: an answer is kept for whoever asks again.
    Ng {
        /// Echoed.
        cookie: Vec<u8>,
        /// Not read yet.
        document: Vec<u8>,
    },
    /// A document without one.
    Plain(Vec<u8>),
    /// A line of the command line, answered with its bare text.
    Line(String),
}

impl Question {
    /// What it weighs while it waits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Ng { cookie, document } => cookie.len() + document.len(),
            Self::Plain(document) => document.len(),
            Self::Line(line) => line.len(),
        }
    }
}

/// Who asked, and how the answer is written.
#[derive(Debug)]
struct Asker {
    /// What the answer is kept under.
    key: Option<RequestKey>,
    from: SocketAddr,
    back: Back,
    form: Form,
    command: CommandIndex,
    began_ns: u64,
}

/// How an answer is written.
#[derive(Debug)]
enum Form {
    /// As a document.
    Document {
        /// What it begins with.
        cookie: Option<Box<[u8]>>,
        /// As the question was.
        encoding: Encoding,
    },
    /// As the text that a line came to.
    Text,
}

/// Where the answer goes.
#[derive(Debug)]
enum Back {
    /// To the asker's address, from the socket of this listener.
    Datagram(usize),
    /// To a connection.
    Stream(WayBack),
}

/// A request at one or all shards.
#[derive(Debug)]
struct Running {
    asker: Asker,
    /// When nobody waits for the answer any more.
    until_ns: u64,
    then: Then,
}

/// What is made of what the shards answer.
#[derive(Debug)]
enum Then {
    /// The reply is the answer.
    Pass,
    /// The lists of several shards become one.
    List { missing: usize, limit: usize, found: CallList },
    /// The report of this call becomes a text.
    Call(String),
    /// The end of this call is told.
    Terminated(String),
    /// How all workers stand becomes the tree of `statistics`, or a text.
    States { missing: usize, found: Vec<WorkerState>, view: View },
    /// The end of all calls is told.
    AllTerminated { missing: usize, text: &'static str },
}

/// A long poll that waits.
#[derive(Debug)]
struct Poll {
    asker: Asker,
    since: u64,
    owner: Option<String>,
    until_ns: u64,
}

impl Door {
    /// A door for `shards` shards of the process that calls itself `instance`.
    pub(crate) fn new(shards: usize, instance: String) -> Self {
        Self {
            shards,
            templates: Templates::default(),
            placement: RandomState::new(),
            cache: ReplyCache::new(RandomState::new()),
            epochs: Epochs::new(),
            log: EventLog::new(instance),
            running: BTreeMap::new(),
            next_id: 0,
            unanswered: HashMap::new(),
            also: HashMap::new(),
            polls: Vec::new(),
            outputs: VecDeque::new(),
            counters: DoorCounters::default(),
            tally: Tally::new(),
            settings: Settings::new(Live::default(), Vec::new()),
            ports: (0, 0),
            moves: Moves::default(),
            terminated: 0,
            now: Now { monotonic_ns: 0, wall_ms: 0 },
            began_ns: None,
        }
    }

    /// The same with settings that the command line tells and changes, and the range of media ports.
    pub(crate) fn with_settings(self, settings: Settings, ports: (u16, u16)) -> Self {
        Self { settings, ports, ..self }
    }

    /// Settings that were read again are told from now on.
    pub(crate) fn set_settings(&mut self, read: Settings) {
        self.settings.reload(read);
    }

    /// What time it is.
    pub(crate) fn at(&mut self, now: Now) {
        self.now = now;
        self.began_ns.get_or_insert(now.monotonic_ns);
    }

    /// The same with presets that a message may name.
    pub(crate) fn with_templates(self, templates: Templates) -> Self {
        Self { templates, ..self }
    }

    /// Other presets from now on.
    pub(crate) fn set_templates(&mut self, templates: Templates) {
        self.templates = templates;
    }

    /// A datagram of somebody who may ask came to a listener.
    pub(crate) fn datagram(&mut self, now_ns: u64, listener: usize, from: SocketAddr, bytes: &[u8]) {
        let (cookie, document) = match ng::split_cookie(bytes) {
            Ok(parts) => parts,
            Err(FrameError::NoCookie) => {
                self.counters.no_cookie += 1;
                return;
            }
            Err(FrameError::CookieTooLong) => {
                self.counters.cookie_too_long += 1;
                return;
            }
        };
        self.ask(now_ns, from, from, Some(cookie), document, Back::Datagram(listener));
    }

    /// Somebody who may ask does so over a stream.
    ///
    /// A client that connects again after a failure comes from another port, so that its address alone and its cookie
    /// tell whether it asks again.
    pub(crate) fn question(&mut self, now_ns: u64, from: SocketAddr, question: &Question, way: WayBack) {
        let back = Back::Stream(way);
        match question {
            Question::Ng { cookie, document } => {
                self.ask(now_ns, from, SocketAddr::new(from.ip(), 0), Some(cookie), document, back);
            }
            Question::Line(line) => {
                self.counters.requests += 1;
                *self.unanswered.entry(from.ip()).or_default() += 1;
                let command = CommandIndex::of("cli");
                let asker = Asker { key: None, from, back, form: Form::Text, command, began_ns: now_ns };
                self.line(now_ns, asker, line);
            }
            Question::Plain(document) => self.ask(now_ns, from, from, None, document, back),
        }
    }

    fn ask(
        &mut self,
        now_ns: u64,
        from: SocketAddr,
        who: SocketAddr,
        cookie: Option<&[u8]>,
        document: &[u8],
        back: Back,
    ) {
        if self.unanswered.get(&from.ip()).is_some_and(|count| *count >= UNANSWERED_MAX) {
            self.counters.too_many_unanswered += 1;
            return;
        }
        let key = match cookie.map(|cookie| self.cache.ask(now_ns, who, cookie, document)) {
            None => None,
            Some(Known::New(key)) => Some(key),
            Some(Known::Running(key)) => {
                self.counters.repeats += 1;
                if let Back::Stream(way) = back {
                    self.wait_also(key, way);
                }
                return;
            }
            Some(Known::Answered(bytes)) => {
                self.counters.repeats += 1;
                self.send(from, back, bytes);
                return;
            }
        };
        *self.unanswered.entry(from.ip()).or_default() += 1;
        self.counters.requests += 1;
        let (encoding, request) = ng::read_document_with(document, &self.templates);
        let form = Form::Document { cookie: cookie.map(Into::into), encoding };
        let command =
            request.as_ref().map_or(CommandIndex::OTHER, |request| CommandIndex::of(request.command.name()));
        let asker = Asker { key, from, back, form, command, began_ns: now_ns };
        match request {
            Ok(request) => {
                for warning in &request.warnings {
                    tracing::debug!(%from, "{warning}");
                }
                self.command(now_ns, asker, request.command);
            }
            Err(error) => {
                self.counters.malformed += 1;
                self.finish(asker, &Reply::from(error));
            }
        }
    }

    /// Lets a connection wait for the answer to what another has asked.
    fn wait_also(&mut self, key: RequestKey, way: WayBack) {
        let waiting = self.also.entry(key).or_default();
        if waiting.len() < ALSO_MAX {
            waiting.push(way);
        } else {
            self.counters.too_many_unanswered += 1;
        }
    }

    /// A shard answers.
    pub(crate) fn reply(&mut self, id: u64, reply: Reply) {
        let Some(running) = self.running.get_mut(&id) else { return };
        let reply = match (&mut running.then, reply) {
            (Then::List { missing, limit, found }, reply) => {
                if let Reply::List(list) = reply {
                    found.calls.extend(list.calls);
                    found.ended.extend(list.ended);
                }
                *missing -= 1;
                if *missing > 0 {
                    return;
                }
                found.calls.truncate(*limit);
                found.ended.truncate(*limit);
                Reply::List(std::mem::take(found))
            }
            (Then::Call(call_id), Reply::Report(report)) => {
                Reply::Cli(cli::call(call_id, &report, self.now.wall_ms))
            }
            (Then::Call(call_id), _) => Reply::Cli(format!("\nCall ID not found ({call_id}).\n\n")),
            (Then::Terminated(call_id), Reply::Error(_)) => {
                Reply::Cli(format!("\nCall Id not found ({call_id}).\n\n"))
            }
            (Then::Terminated(call_id), _) => {
                self.terminated += 1;
                Reply::Cli(format!("\nCall Id ({call_id}) successfully terminated by operator.\n\n"))
            }
            (_, reply) => reply,
        };
        let running = self.running.remove(&id).expect("found above");
        self.finish(running.asker, &reply);
    }

    /// A worker tells how it stands, and how many calls it has ended for an operator.
    pub(crate) fn state(&mut self, id: u64, terminated: u64, state: WorkerState) {
        self.terminated += terminated;
        let Some(running) = self.running.get_mut(&id) else { return };
        let missing = match &mut running.then {
            Then::States { missing, found, .. } => {
                found.push(state);
                missing
            }
            Then::AllTerminated { missing, .. } => missing,
            _ => return,
        };
        *missing -= 1;
        if *missing > 0 {
            return;
        }
        let Running { asker, then, .. } = self.running.remove(&id).expect("found above");
        let reply = match then {
            Then::States { mut found, view, .. } => {
                found.sort_unstable_by_key(|state| state.worker);
                let whole = Whole {
                    uptime_s: (self.now.monotonic_ns - self.began_ns.unwrap_or(0)) / 1_000_000_000,
                    terminated: self.terminated,
                    tally: &self.tally,
                    ports: self.ports,
                };
                match view {
                    View::Tree => Reply::Statistics(statistics::tree(&found, &whole)),
                    view => Reply::Cli(cli::shown(view, &found, &whole)),
                }
            }
            Then::AllTerminated { text, .. } => Reply::Cli(text.to_owned()),
            _ => return,
        };
        self.finish(asker, &reply);
    }

    /// A shard's mailbox was full: the asker is told, and may try again with the same cookie.
    pub(crate) fn overloaded(&mut self, id: u64) {
        if let Some(running) = self.running.remove(&id) {
            self.refuse_for_now(running.asker);
        }
    }

    fn refuse_for_now(&mut self, asker: Asker) {
        self.counters.overloaded += 1;
        let key = asker.key.clone();
        self.finish(asker, &Reply::Error(Reply::PARALLEL_SESSION_LIMIT.to_owned()));
        key.inspect(|key| self.cache.forget(key));
    }

    /// Something happened to a call.
    pub(crate) fn event(&mut self, event: Event) {
        self.log.push(event);
    }

    /// An event was lost on its way here.
    pub(crate) fn event_lost(&mut self) {
        self.log.lose();
    }

    /// Answers the polls that need wait no longer, and forgets old replies. After every handful of inputs.
    pub(crate) fn settle(&mut self, now_ns: u64) {
        self.cache.forget_old(now_ns);
        self.settle_moves(now_ns);
        while let Some(oldest) = self.running.first_entry()
            && oldest.get().until_ns <= now_ns
        {
            let forgotten = oldest.remove();
            self.counters.never_answered += 1;
            self.give_up(forgotten.asker);
        }
        for mut poll in std::mem::take(&mut self.polls) {
            let batch = self.log.batch(poll.since, poll.owner.as_deref(), 1);
            if batch.gap || !batch.events.is_empty() || poll.until_ns <= now_ns {
                self.answer_poll(poll);
            } else {
                poll.since = batch.next;
                self.polls.push(poll);
            }
        }
    }

    /// When [`settle`](Self::settle) is due at the latest.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.polls.iter().map(|poll| poll.until_ns).chain(self.moves_due_ns()).min()
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<DoorOutput> {
        self.outputs.pop_front()
    }

    /// What was counted, and what was asked.
    pub(crate) fn counted(&self) -> (&DoorCounters, &Tally) {
        (&self.counters, &self.tally)
    }

    /// What was counted.
    pub(crate) fn counters_mut(&mut self) -> &mut DoorCounters {
        &mut self.counters
    }

    /// Sends a command where it is answered.
    fn command(&mut self, now_ns: u64, asker: Asker, command: Command) {
        if self.is_moving() && !matches!(command, Command::Ping(_) | Command::Events(_)) {
            return self.hold(asker, Held::Command(command));
        }
        if !self.epochs.admit(&command) {
            self.counters.stale_epochs += 1;
            return self.finish(asker, &Reply::Error(Reply::STALE_EPOCH.to_owned()));
        }
        match command {
            Command::Ping(ping) => {
                let instance = ping.owner.map(|_| self.log.instance().to_owned());
                self.finish(asker, &Reply::Pong { instance });
            }
            Command::Events(events) => self.poll(now_ns, asker, events),
            Command::Cli(cli) => self.line(now_ns, asker, &cli.line),
            Command::Statistics => self.show(now_ns, asker, View::Tree),
            command @ Command::Unsupported { .. } => {
                self.finish(asker, &Reply::not_supported(&[command.name().to_owned()]));
            }
            Command::List(list) => {
                let found = CallList::default();
                let then = Then::List { missing: self.shards, limit: list.limit, found };
                let id = self.start(now_ns, asker, then);
                for shard in 0..self.shards {
                    let command = Command::List(List { limit: list.limit, owner: list.owner.clone() });
                    self.outputs.push_back(DoorOutput::Mail {
                        shard,
                        id,
                        mail: WorkerMail::Command { id, command },
                    });
                }
            }
            Command::Connect(connect) if self.are_apart(&connect) => {
                self.bring_together(now_ns, asker, connect);
            }
            command => self.pass(now_ns, asker, command, Then::Pass),
        }
    }

    /// A line of the command line.
    fn line(&mut self, now_ns: u64, asker: Asker, line: &str) {
        if self.is_moving() {
            return self.hold(asker, Held::Line(line.to_owned()));
        }
        match Line::read(line, &self.settings) {
            Line::Say(text) => self.finish(asker, &Reply::Cli(text)),
            Line::Show(view) => self.show(now_ns, asker, view),
            Line::Call(call_id) => {
                let query = ng::Query { call_id: call_id.clone(), ..ng::Query::default() };
                self.pass(now_ns, asker, Command::Query(query), Then::Call(call_id));
            }
            Line::Terminate(call_id) => {
                let delete = ng::Delete {
                    call_id: call_id.clone(),
                    delay: ng::DeleteDelay::Seconds(0),
                    fast: true,
                    fatal: true,
                    ..ng::Delete::default()
                };
                self.pass(now_ns, asker, Command::Delete(Box::new(delete)), Then::Terminated(call_id));
            }
            Line::TerminateAll(text) => {
                let id = self.start(now_ns, asker, Then::AllTerminated { missing: self.shards, text });
                for shard in 0..self.shards {
                    self.outputs.push_back(DoorOutput::Mail { shard, id, mail: WorkerMail::EndAll { id } });
                }
            }
            Line::Set(setting, value) => {
                let text = match self.settings.change(setting, &value) {
                    Ok((live, text)) => {
                        self.settings.apply(live.clone());
                        self.outputs.push_back(DoorOutput::Live(live));
                        text
                    }
                    Err(text) => text,
                };
                self.finish(asker, &Reply::Cli(text));
            }
            Line::Revert => {
                let live = self.settings.start().clone();
                self.settings.apply(live.clone());
                self.outputs.push_back(DoorOutput::Live(live));
                self.finish(asker, &Reply::Cli("Every setting is as it was at the start.\n".to_owned()));
            }
        }
    }

    /// Asks every worker how it stands.
    fn show(&mut self, now_ns: u64, asker: Asker, view: View) {
        let then = Then::States { missing: self.shards, found: Vec::new(), view };
        let names = matches!(view, View::Sessions | View::OwnSessions);
        let sessions_max = if names { SESSIONS_MAX } else { 0 };
        let id = self.start(now_ns, asker, then);
        for shard in 0..self.shards {
            let mail = WorkerMail::State { id, sessions_max };
            self.outputs.push_back(DoorOutput::Mail { shard, id, mail });
        }
    }

    /// Gives a command to the shard of its call.
    fn pass(&mut self, now_ns: u64, asker: Asker, command: Command, then: Then) {
        let call_id = command.call_id().unwrap_or_default();
        let shard = self.shard_of(call_id);
        self.moves.places.touch(call_id, self.next_id);
        if let Command::Connect(connect) = &command {
            self.moves.places.touch(connect.other_call_id(), self.next_id);
        }
        let id = self.start(now_ns, asker, then);
        self.outputs.push_back(DoorOutput::Mail { shard, id, mail: WorkerMail::Command { id, command } });
    }

    /// Remembers who asked until the shard, or all of them, have answered.
    fn start(&mut self, now_ns: u64, asker: Asker, then: Then) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let until_ns = now_ns.saturating_add(PATIENCE_NS);
        self.running.insert(id, Running { asker, until_ns, then });
        id
    }

    /// Answers a poll from the log, or lets it wait.
    fn poll(&mut self, now_ns: u64, asker: Asker, events: Events) {
        let wait_ms = events.wait_ms.min(Events::WAIT_MS_MAX);
        let until_ns = now_ns.saturating_add(wait_ms * 1_000_000);
        if self.polls.len() == POLLS_MAX {
            // The one that waited longest is answered with nothing rather than the new one refused.
            let oldest = self.polls.remove(0);
            self.answer_poll(oldest);
        }
        self.polls.push(Poll { asker, since: events.since, owner: events.owner, until_ns });
    }

    /// Answers a poll with what the log has for it.
    fn answer_poll(&mut self, poll: Poll) {
        let batch = self.log.batch(poll.since, poll.owner.as_deref(), EventBatch::EVENTS_MAX);
        self.finish(poll.asker, &Reply::Events(batch));
    }

    /// Answers a request, and keeps the bytes for repeats.
    fn finish(&mut self, asker: Asker, reply: &Reply) {
        if matches!(reply, Reply::Error(_)) {
            self.counters.errors += 1;
        }
        self.no_longer_unanswered(asker.from.ip());
        let bytes_max = match asker.back {
            Back::Datagram(_) => Reply::DATAGRAM_BYTES_MAX,
            Back::Stream(_) => Reply::STREAM_BYTES_MAX,
        };
        let error = matches!(reply, Reply::Error(_));
        // Of a poll it is the client that says how long it takes.
        if asker.command != CommandIndex::of("events") {
            let took_ns = self.now.monotonic_ns.saturating_sub(asker.began_ns);
            self.tally.record(asker.from.ip(), asker.command, took_ns, error);
        }
        let bytes: Arc<[u8]> = match (&asker.form, reply) {
            (Form::Text, Reply::Cli(text)) => text.as_bytes().into(),
            (Form::Text, Reply::Error(reason)) => format!("{reason}\n").as_bytes().into(),
            (Form::Text, _) => Arc::default(),
            (Form::Document { cookie, encoding }, reply) => {
                reply.message(cookie.as_deref(), *encoding, bytes_max).into()
            }
        };
        if let Some(key) = &asker.key {
            self.cache.answer(key, &bytes);
            for way in self.also.remove(key).unwrap_or_default() {
                self.outputs.push_back(DoorOutput::Answer { way, bytes: Arc::clone(&bytes) });
            }
        }
        self.send(asker.from, asker.back, bytes);
    }

    /// Forgets a request whose answer was lost. A datagram comes again; a stream is told.
    fn give_up(&mut self, asker: Asker) {
        let key = asker.key.clone();
        if matches!(asker.back, Back::Stream(_)) {
            self.finish(asker, &Reply::Error("No answer in time".to_owned()));
        } else {
            self.no_longer_unanswered(asker.from.ip());
        }
        key.inspect(|key| self.cache.forget(key));
    }

    fn send(&mut self, to: SocketAddr, back: Back, bytes: Arc<[u8]>) {
        self.outputs.push_back(match back {
            Back::Datagram(listener) => DoorOutput::Send { listener, to, bytes },
            Back::Stream(way) => DoorOutput::Answer { way, bytes },
        });
    }

    /// One request less that an address waits for.
    fn no_longer_unanswered(&mut self, address: IpAddr) {
        if let Some(count) = self.unanswered.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.unanswered.remove(&address);
            }
        }
    }

    /// Whether two calls that are to be connected lie on different shards.
    fn are_apart(&self, connect: &ng::Connect) -> bool {
        self.shard_of(connect.other_call_id()) != self.shard_of(&connect.signal.call_id)
    }

    /// The shard of a call.
    fn shard_of(&self, call_id: &str) -> usize {
        self.moves.places.of(call_id).unwrap_or_else(|| self.home_of(call_id))
    }

    /// The shard of a call that has not moved (engine ADR 2).
    fn home_of(&self, call_id: &str) -> usize {
        let hash = self.placement.hash_one(call_id);
        let shards = u64::try_from(self.shards).expect("shards are few");
        usize::try_from(hash % shards).expect("below the number of shards")
    }
}

/// Requests of one address that are not answered at most; more are dropped, and come again.
const UNANSWERED_MAX: usize = 4096;

/// Further connections that wait for the answer to one request at most.
const ALSO_MAX: usize = 8;

/// How long a shard may take; its answer was lost if it takes longer.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Calls of one worker that a line lists at most.
const SESSIONS_MAX: usize = 4096;

/// Polls that wait at most, over all askers.
const POLLS_MAX: usize = 64;

#[cfg(test)]
mod tests;
