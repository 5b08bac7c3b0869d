//! The NG door: what was asked before, which shard has the call, and long polls.
//!
//! [`Door`] has no socket and no clock, so that it is tested alone; [`udp`] runs it. What comes over streams is put
//! before it by [`edge`](crate::edge).

mod cache;
mod counters;
mod epochs;
mod gate;
mod log;
mod udp;
mod way;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ng::{CallList, Command, Encoding, Event, EventBatch, Events, FrameError, List, Reply, Templates};

use cache::{Known, ReplyCache, RequestKey};
pub(crate) use counters::DoorCounters;
use epochs::Epochs;
pub(crate) use gate::Gate;
use log::EventLog;
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
    /// Give this command to a shard; [`Door::reply`] or [`Door::overloaded`] follows.
    Command {
        /// Which.
        shard: usize,
        /// To be echoed.
        id: u64,
        /// What is asked.
        command: Command,
    },
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
}

impl Question {
    /// What it weighs while it waits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Ng { cookie, document } => cookie.len() + document.len(),
            Self::Plain(document) => document.len(),
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
    cookie: Option<Box<[u8]>>,
    encoding: Encoding,
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
    /// What the shards that answered have listed, if it was a list.
    list: Option<Gathering>,
}

/// The lists of several shards on their way to one reply.
#[derive(Debug)]
struct Gathering {
    missing: usize,
    limit: usize,
    found: CallList,
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
            cache: ReplyCache::new(),
            epochs: Epochs::new(),
            log: EventLog::new(instance),
            running: BTreeMap::new(),
            next_id: 0,
            unanswered: HashMap::new(),
            also: HashMap::new(),
            polls: Vec::new(),
            outputs: VecDeque::new(),
            counters: DoorCounters::default(),
        }
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
        let asker = Asker { key, from, back, cookie: cookie.map(Into::into), encoding };
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
        let reply = match (&mut running.list, reply) {
            (Some(gathering), reply) => {
                if let Reply::List(list) = reply {
                    gathering.found.calls.extend(list.calls);
                    gathering.found.ended.extend(list.ended);
                }
                gathering.missing -= 1;
                if gathering.missing > 0 {
                    return;
                }
                let mut found = std::mem::take(&mut gathering.found);
                found.calls.truncate(gathering.limit);
                found.ended.truncate(gathering.limit);
                Reply::List(found)
            }
            (None, reply) => reply,
        };
        let running = self.running.remove(&id).expect("found above");
        self.finish(running.asker, &reply);
    }

    /// A shard's mailbox was full: the asker is told, and may try again with the same cookie.
    pub(crate) fn overloaded(&mut self, id: u64) {
        let Some(running) = self.running.remove(&id) else { return };
        self.counters.overloaded += 1;
        let key = running.asker.key.clone();
        self.finish(running.asker, &Reply::Error(Reply::PARALLEL_SESSION_LIMIT.to_owned()));
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
        self.polls.iter().map(|poll| poll.until_ns).min()
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<DoorOutput> {
        self.outputs.pop_front()
    }

    /// What was counted.
    pub(crate) fn counters_mut(&mut self) -> &mut DoorCounters {
        &mut self.counters
    }

    /// Sends a command where it is answered.
    fn command(&mut self, now_ns: u64, asker: Asker, command: Command) {
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
            command @ (Command::Unsupported { .. } | Command::Statistics | Command::Cli(_)) => {
                self.finish(asker, &Reply::not_supported(&[command.name().to_owned()]));
            }
            Command::List(list) => {
                let id = self.start(now_ns, asker, Some(list.limit));
                for shard in 0..self.shards {
                    let command = Command::List(List { limit: list.limit, owner: list.owner.clone() });
                    self.outputs.push_back(DoorOutput::Command { shard, id, command });
                }
            }
            command => {
                let shard = self.shard_of(command.call_id().unwrap_or_default());
                if let Command::Connect(connect) = &command
                    && connect.to_call_id.as_deref().is_some_and(|other| self.shard_of(other) != shard)
                {
                    return self.finish(asker, &Reply::Error(APART.to_owned()));
                }
                let id = self.start(now_ns, asker, None);
                self.outputs.push_back(DoorOutput::Command { shard, id, command });
            }
        }
    }

    /// Remembers who asked until the shard, or all of them, have answered.
    fn start(&mut self, now_ns: u64, asker: Asker, list_limit: Option<usize>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let missing = self.shards;
        let list = list_limit.map(|limit| Gathering { missing, limit, found: CallList::default() });
        let until_ns = now_ns.saturating_add(PATIENCE_NS);
        self.running.insert(id, Running { asker, until_ns, list });
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
        let bytes: Arc<[u8]> = reply.message(asker.cookie.as_deref(), asker.encoding, bytes_max).into();
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

    /// The shard of a call.
    // Engine ADR 2: a keyed hash places a call, and a table of exceptions comes with the first command that moves one.
    fn shard_of(&self, call_id: &str) -> usize {
        let hash = self.placement.hash_one(call_id);
        let shards = u64::try_from(self.shards).expect("shards are few");
        usize::try_from(hash % shards).expect("below the number of shards")
    }
}

/// Why two calls are not connected (`adr/0010-calls-of-different-workers-are-not-connected.md`).
const APART: &str = "Not supported: the two calls lie on different workers, and calls do not move between workers; \
                     start the engine with --workers 1 to connect any two";

/// Requests of one address that are not answered at most; more are dropped, and come again.
const UNANSWERED_MAX: usize = 4096;

/// Further connections that wait for the answer to one request at most.
const ALSO_MAX: usize = 8;

/// How long a shard may take; its answer was lost if it takes longer.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Polls that wait at most, over all askers.
const POLLS_MAX: usize = 64;

#[cfg(test)]
mod tests;
