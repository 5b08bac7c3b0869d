//! Two ends and what lies between them, in virtual time from a seed.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use rtp::dtls::{
    Association, Connected, DATAGRAM_BYTES_MAX, DatagramDrop, Event, FailReason, Fingerprints, Identity,
    Provider, Providers, Role, Terms,
};
use rtp::srtp::Suite;
use rtp::units::Instant;

use crate::clock;

/// Two parties with certificates of their own, prepared once.
pub(crate) fn parties() -> &'static [Providers; 2] {
    static PARTIES: OnceLock<[Providers; 2]> = OnceLock::new();
    PARTIES.get_or_init(|| {
        let base = std::time::Instant::now();
        [(); 2].map(|()| Providers::new(Identity::generate().unwrap(), base).unwrap())
    })
}

/// The fingerprints in the description of party `index`.
pub(crate) fn described(index: usize) -> Fingerprints {
    Fingerprints::one(parties()[index].identity().fingerprint())
}

/// One end toward the other party.
pub(crate) fn end(index: usize, provider: Provider, role: Role, now: Instant) -> Association {
    clock::set(now);
    let expected = described(1 - index);
    let terms = Terms { provider, role, expected: Some(&expected), suites: &Suite::ALL, seed: [7; 32] };
    Association::new(&parties()[index], terms, now).unwrap()
}

/// A generator of a seed's numbers (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in `of_100` of a hundred cases.
    pub(crate) fn chance(&mut self, of_100: u64) -> bool {
        self.roll() % 100 < of_100
    }
}

/// What the wire does, in percent and milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) delay_ms: u64,
    pub(crate) jitter_ms: u64,
}

pub(crate) const CLEAN: Faults = Faults { lost: 0, doubled: 0, delay_ms: 10, jitter_ms: 0 };

/// Two ends and the datagrams under way between them.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) ends: [Association; 2],
    pub(crate) events: [Vec<Event>; 2],
    pub(crate) drops: [Vec<DatagramDrop>; 2],
    /// Every datagram that was sent, with its sender and its moment.
    pub(crate) sent: Vec<(Instant, usize, Vec<u8>)>,
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    faults: Faults,
    dice: Dice,
    count: u64,
}

impl Net {
    pub(crate) fn new(ends: [Association; 2], now: Instant, faults: Faults, seed: u64) -> Self {
        Self {
            now,
            ends,
            events: [Vec::new(), Vec::new()],
            drops: [Vec::new(), Vec::new()],
            sent: Vec::new(),
            under_way: BTreeMap::new(),
            faults,
            dice: Dice(seed),
            count: 0,
        }
    }

    /// A client of party 0 and a server of party 1.
    pub(crate) fn pair(client: Provider, server: Provider, faults: Faults, seed: u64) -> Self {
        let now = Instant::from_millis(5000);
        let ends = [end(0, client, Role::Client, now), end(1, server, Role::Server, now)];
        Self::new(ends, now, faults, seed)
    }

    /// Lets the ends talk until neither has anything to do before `span` is over.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.collect();
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let due = self.ends.iter().filter_map(Association::next_deadline).min();
            let Some(next) = arrival.into_iter().chain(due).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            clock::set(self.now);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, (from, datagram)) = self.under_way.pop_first().unwrap();
                self.deliver(1 - from, &datagram);
            }
            for index in 0..2 {
                if self.ends[index].next_deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.ends[index].handle_timeout(self.now);
                    let later = self.ends[index].next_deadline().is_none_or(|deadline| deadline > self.now);
                    assert!(later, "a deadline that was served stays due: {:?}", self.ends[index]);
                }
            }
        }
        self.now = end;
        clock::set(end);
    }

    /// Hands a datagram to one end now.
    pub(crate) fn deliver(&mut self, to: usize, datagram: &[u8]) {
        if let Err(drop) = self.ends[to].handle_datagram(self.now, datagram) {
            self.drops[to].push(drop);
        }
    }

    /// Loses what `from` has under way; returns how many datagrams that were.
    pub(crate) fn lose_under_way(&mut self, from: usize) -> usize {
        let before = self.under_way.len();
        self.under_way.retain(|_, (sender, _)| *sender != from);
        before - self.under_way.len()
    }

    fn collect(&mut self) {
        for index in 0..2 {
            let mut room = [0; DATAGRAM_BYTES_MAX];
            while let Some(bytes) = self.ends[index].poll_transmit(&mut room) {
                self.send(index, room[..bytes].to_vec());
            }
            while let Some(event) = self.ends[index].poll_event() {
                self.events[index].push(event);
            }
        }
    }

    fn send(&mut self, from: usize, datagram: Vec<u8>) {
        self.sent.push((self.now, from, datagram.clone()));
        let copies = 1 + u64::from(self.dice.chance(self.faults.doubled));
        for _ in 0..copies {
            let jitter = self.dice.roll() % (self.faults.jitter_ms + 1);
            if self.dice.chance(self.faults.lost) {
                continue;
            }
            self.count += 1;
            let arrival = self.now + Duration::from_millis(self.faults.delay_ms + jitter);
            self.under_way.insert((arrival, self.count), (from, datagram.clone()));
        }
    }

    pub(crate) fn connected(&self, index: usize) -> Option<&Connected> {
        self.events[index].iter().find_map(|event| match event {
            Event::Connected(connected) => Some(connected.as_ref()),
            _ => None,
        })
    }

    pub(crate) fn failed(&self, index: usize) -> Option<FailReason> {
        self.events[index].iter().find_map(|event| match event {
            Event::Failed(reason) => Some(*reason),
            _ => None,
        })
    }

    /// Both ends have the same keys, crosswise, and each knows the other by its fingerprint.
    pub(crate) fn assert_connected(&self) {
        let [one, two] = [0, 1].map(|index| {
            self.connected(index).unwrap_or_else(|| panic!("{index}: {:?} {:?}", self.ends, self.events))
        });
        assert_eq!(one.keys.suite, two.keys.suite);
        assert_eq!(one.keys.local, two.keys.remote);
        assert_eq!(one.keys.remote, two.keys.local);
        assert_ne!(one.keys.local, one.keys.remote);
        assert_eq!(one.fingerprint, parties()[1].identity().fingerprint());
        assert_eq!(two.fingerprint, parties()[0].identity().fingerprint());
        assert!(self.ends.iter().all(Association::is_established));
    }
}
