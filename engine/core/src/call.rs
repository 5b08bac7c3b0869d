//! One call: its parties, who drives it, when it ends.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use rtp::{dtls::Providers, units::Instant};

use crate::{
    leg::Leg, offender::Offenders, path::Gate, pending::Pending, recording::Recording, timer::Deadlines,
};

/// A call of a shard; never the same for two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallKey(pub(crate) u64);

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Names of calls that became part of this one.
    pub(crate) aliases: Vec<String>,
    pub(crate) created: Instant,
    pub(crate) created_wall_ms: u64,
    pub(crate) last_signal: Instant,
    pub(crate) last_signal_wall_ms: u64,
    /// By index; `None` where a party is gone.
    pub(crate) legs: Vec<Option<Leg>>,
    pub(crate) owner: Option<String>,
    pub(crate) keep_report: bool,
    /// How long its parties can be revived once they are deleted, where the delete does not say it.
    pub(crate) delete_delay: Option<Duration>,
    pub(crate) deadlines: Deadlines,
    /// The command whose sockets are opening.
    pub(crate) pending: Option<Box<Pending>>,
    /// Commands that came meanwhile.
    pub(crate) waiting: VecDeque<(u64, ng::Command)>,
    /// DSCP byte of what is sent in it; `None` is the engine's.
    pub(crate) tos: Option<u8>,
    /// RTCP is consumed and written anew.
    pub(crate) generates_rtcp: bool,
    /// Somebody answered.
    pub(crate) answered: bool,
    /// And not only for media before the answer: from now on both sides are expected to send.
    pub(crate) talking: bool,
    /// What a client forbids everybody.
    pub(crate) gate: Gate,
    pub(crate) recording: Option<Box<Recording>>,
    /// Text noted with it last.
    pub(crate) metadata: Option<Box<str>>,
    /// Who sent to it without leave.
    pub(crate) offenders: Option<Box<Offenders>>,
    /// Events about where its parties are.
    pub(crate) lessons_told: u8,
    /// The certificate that all of its handshakes show.
    pub(crate) providers: Option<Providers>,
    /// Events about handshakes.
    pub(crate) handshakes_told: u8,
}

impl Call {
    pub(crate) fn new(name: &str, now: Instant, wall_ms: u64) -> Self {
        Self {
            name: name.to_owned(),
            aliases: Vec::new(),
            created: now,
            created_wall_ms: wall_ms,
            last_signal: now,
            last_signal_wall_ms: wall_ms,
            legs: Vec::new(),
            owner: None,
            keep_report: false,
            delete_delay: None,
            deadlines: Deadlines::default(),
            pending: None,
            waiting: VecDeque::new(),
            tos: None,
            generates_rtcp: false,
            answered: false,
            talking: false,
            gate: Gate::default(),
            recording: None,
            metadata: None,
            offenders: None,
            lessons_told: 0,
            providers: None,
            handshakes_told: 0,
        }
    }

    /// The parties that are there, with their index.
    pub(crate) fn parties(&self) -> impl Iterator<Item = (usize, &Leg)> {
        self.legs.iter().enumerate().filter_map(|(index, leg)| Some((index, leg.as_ref()?)))
    }

    pub(crate) fn leg(&self, index: usize) -> &Leg {
        self.legs[index].as_ref().expect("an index comes from a party that is there")
    }

    pub(crate) fn leg_mut(&mut self, index: usize) -> &mut Leg {
        self.legs[index].as_mut().expect("an index comes from a party that is there")
    }

    pub(crate) fn by_tag(&self, tag: &str) -> Option<usize> {
        self.parties().find(|(_, leg)| leg.is_tagged(tag)).map(|(index, _)| index)
    }

    pub(crate) fn by_branch(&self, via_branch: &str) -> Option<usize> {
        self.parties().find(|(_, leg)| leg.via_branch.as_deref() == Some(via_branch)).map(|(index, _)| index)
    }

    /// Every name that leads to it, its own first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(&self.aliases)
    }
}

/// The live calls of a shard, by key and by name.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// In the order in which they began, so that whatever goes through all of them is no matter of chance.
    calls: BTreeMap<CallKey, Call>,
    names: HashMap<String, CallKey>,
    last: u64,
}

impl Calls {
    pub(crate) fn insert(&mut self, call: Call) -> CallKey {
        let key = self.next_key();
        self.put(key, call);
        key
    }

    /// A key that no call had.
    pub(crate) fn next_key(&mut self) -> CallKey {
        self.last += 1;
        CallKey(self.last)
    }

    /// Lets every name of a call lead to it.
    pub(crate) fn put(&mut self, key: CallKey, call: Call) {
        for name in call.names() {
            self.names.insert(name.clone(), key);
        }
        self.calls.insert(key, call);
    }

    pub(crate) fn remove(&mut self, key: CallKey) -> Option<Call> {
        let call = self.calls.remove(&key)?;
        for name in call.names() {
            self.names.remove(name);
        }
        Some(call)
    }

    /// Takes the call `other` away and lets its names lead to the call `key`.
    pub(crate) fn absorb(&mut self, key: CallKey, other: CallKey) -> Call {
        let mut gone = self.calls.remove(&other).expect("a key leads to a call");
        let mut names = std::mem::take(&mut gone.aliases);
        names.push(gone.name.clone());
        for name in &names {
            self.names.insert(name.clone(), key);
        }
        let call = self.calls.get_mut(&key).expect("a key leads to a call");
        call.aliases.append(&mut names);
        gone
    }

    pub(crate) fn get(&self, key: CallKey) -> Option<&Call> {
        self.calls.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.calls.get_mut(&key)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<CallKey> {
        self.names.get(name).copied()
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.calls.iter().map(|(&key, call)| (key, call))
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}
