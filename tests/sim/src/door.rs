//! The way from a client to a shard: datagrams are lost, come twice, late and out of order, a client that hears nothing
//! asks again with the same cookie, and the engine's own cache says what is new.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::RandomState;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ng::{Command, Encoding, Known, Reply, ReplyCache, RequestKey};

use crate::client::{About, Asked};
use crate::world::{Happening, MS, World};

/// What a client asked.
#[derive(Debug)]
pub(crate) struct Request {
    call: usize,
    cookie: u64,
    about: About,
    datagram: Vec<u8>,
}

/// The door of the engine, and what the auditors keep of it.
#[derive(Debug)]
pub(crate) struct Door {
    cache: ReplyCache,
    /// By number at the shard: cookie, and what the answer is kept under.
    running: BTreeMap<u64, (u64, RequestKey)>,
    /// By cookie: when it was given to a shard last.
    given: BTreeMap<u64, u64>,
    /// By cookie: the answer.
    answers: BTreeMap<u64, Arc<[u8]>>,
    /// Cookies for whose answer a client waits.
    unheard: BTreeMap<u64, usize>,
    /// Cookies of what was refused for now.
    refused: BTreeSet<u64>,
    /// How often each of these happened.
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

/// What may become of a datagram at the door.
pub(crate) const DOOR: [&str; 6] = [NEW, RUNNING, ANSWERED, OVERLOADED, AGAIN, GIVEN_UP];
const NEW: &str = "a request is new";
const RUNNING: &str = "a repeat comes while the first one runs";
const ANSWERED: &str = "a repeat is answered as before";
const OVERLOADED: &str = "a request is refused for now, and forgotten";
const AGAIN: &str = "what was refused for now is tried again";
const GIVEN_UP: &str = "a client gives up";

/// How often a client asks again.
const RETRIES: u64 = 4;

impl Door {
    pub(crate) fn new() -> Self {
        Self {
            cache: ReplyCache::new(RandomState::new()),
            running: BTreeMap::new(),
            given: BTreeMap::new(),
            answers: BTreeMap::new(),
            unheard: BTreeMap::new(),
            refused: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }
}

impl World {
    /// A client sends a command; some come twice, some late. Returns its cookie.
    pub(crate) fn send(&mut self, call: usize, about: About, command: &Command) -> u64 {
        let calm = self.calls[call].calm;
        let cookie = self.next_id();
        let datagram = command.datagram(&cookie.to_string(), Encoding::Bencode);
        let request = Rc::new(Request { call, cookie, about, datagram });
        self.door.unheard.insert(cookie, call);
        let delay = match (calm, self.rng.below(10)) {
            (false, 0) => self.rng.below(800),
            _ => self.rng.below(5),
        };
        if !calm && self.rng.percent(5) {
            let again = self.rng.below(400);
            self.after((delay + again) * MS, Happening::Ask(Rc::clone(&request)));
        }
        let pause = self.rng.between(200, 1_000);
        self.after((delay + pause) * MS, Happening::Retry(Rc::clone(&request), RETRIES));
        self.after(delay * MS, Happening::Ask(request));
        cookie
    }

    /// A client has waited for long enough.
    pub(crate) fn retry(&mut self, request: Rc<Request>, left: u64) {
        if !self.door.unheard.contains_key(&request.cookie) {
            return;
        }
        if left == 0 {
            self.door.note(GIVEN_UP);
            return self.heard(request.cookie);
        }
        let pause = self.rng.between(200, 1_000);
        self.after(pause * MS, Happening::Retry(Rc::clone(&request), left - 1));
        self.after(0, Happening::Ask(request));
    }

    /// A datagram of a client is on its way to the door.
    pub(crate) fn ask_door(&mut self, request: &Rc<Request>) {
        let call = request.call;
        let calm = self.calls[call].calm;
        if !calm && self.rng.percent(self.temper.loss) {
            return;
        }
        let (cookie, document) = ng::split_cookie(&request.datagram).expect("clients here send cookies");
        let from = SocketAddr::from(([127, 0, 0, 1], 9_000 + u16::try_from(call).expect("few")));
        let key = match self.door.cache.ask(self.now, from, cookie, document) {
            Known::Running(_) => return self.door.note(RUNNING),
            Known::Answered(bytes) => {
                self.door.note(ANSWERED);
                let before = self.door.answers.get(&request.cookie);
                assert_eq!(before, Some(&bytes), "a repeat of {} is answered otherwise", request.cookie);
                return self.tell(call, request.cookie);
            }
            Known::New(key) => key,
        };
        let given = self.door.given.get(&request.cookie).map(|at| self.now - at);
        let forgotten = given.is_none_or(|age| age >= ReplyCache::LIFETIME_NS);
        assert!(forgotten, "{} was asked {given:?} ns ago, and would be done again", request.cookie);
        if !calm && self.rng.percent(2) {
            // The mailbox of its shard is full.
            self.door.note(OVERLOADED);
            self.door.refused.insert(request.cookie);
            self.door.cache.forget(&key);
            return self.tell(call, request.cookie);
        }
        self.door.note(NEW);
        if self.door.refused.remove(&request.cookie) {
            self.door.note(AGAIN);
        }
        let (_, read) = ng::read_document(document);
        let command = read.expect("it was written by a client").command;
        let id = self.next_id();
        self.asked.insert(id, Asked { call: Some(call), about: request.about.clone() });
        self.door.running.insert(id, (request.cookie, key));
        self.door.given.insert(request.cookie, self.now);
        self.command(self.calls[call].node, id, command);
    }

    /// A shard answered.
    pub(crate) fn answer_door(&mut self, call: usize, id: u64, reply: &Reply) {
        let Some((cookie, key)) = self.door.running.remove(&id) else { return };
        let bytes: Arc<[u8]> = reply.datagram(cookie.to_string().as_bytes(), Encoding::Bencode).into();
        self.door.cache.answer(&key, &bytes);
        self.door.answers.insert(cookie, bytes);
        self.tell(call, cookie);
    }

    /// An answer is on its way to a client.
    fn tell(&mut self, call: usize, cookie: u64) {
        let calm = self.calls[call].calm;
        if calm || !self.rng.percent(self.temper.loss) {
            let delay = if calm { self.rng.below(3) } else { self.rng.below(60) };
            self.after(delay * MS, Happening::Heard(cookie));
        }
    }

    /// A client heard the answer, or waits no longer.
    pub(crate) fn heard(&mut self, cookie: u64) {
        if let Some(call) = self.door.unheard.remove(&cookie) {
            self.goes_on(call, cookie);
        }
    }
}
