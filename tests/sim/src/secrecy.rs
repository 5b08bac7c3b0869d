//! Who holds which keys in one call, reckoned from the descriptions that went in and out; and whether what leaves is
//! what came, under the keys of whoever hears it.
//!
//! Where it is not known whom a client meant, a packet may be under any key that anybody of the call was shown.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use engine_core::DropReason;
use rtp::sdp::{Crypto, Lifetime};
use rtp::srtp::Inbound;

use crate::keys::policy;
use crate::party::{Kind, Told};
use crate::ways::Place;

/// A datagram, and what its sender meant by it.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    /// Before it was protected.
    pub(crate) plain: Vec<u8>,
    /// Under which key it is; `None` for a plain one, and for one that was forged.
    pub(crate) key: Option<Vec<u8>>,
    /// Somebody on the way changed it.
    pub(crate) forged: bool,
}

impl From<Vec<u8>> for Packet {
    fn from(bytes: Vec<u8>) -> Self {
        Self { plain: bytes.clone(), bytes, key: None, forged: false }
    }
}

/// The section of a description that went in, as far as keys go.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) keys: Vec<Crypto>,
}

/// What is agreed on with the party of a section.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody can tell.
    #[default]
    Unknown,
    Plain,
    /// The section is refused: what goes there all the same need not be read by anybody.
    Refused,
    /// Lines were written, and nobody answered.
    Waiting,
    Agreed {
        theirs: Crypto,
        ours: Crypto,
    },
}

/// The keys of one call.
#[derive(Debug, Default)]
pub(crate) struct Secrecy {
    places: BTreeMap<Place, Section>,
    /// By key: the line of ours, and whom it was shown.
    ours: BTreeMap<Vec<u8>, (Crypto, BTreeSet<usize>)>,
    /// Keys that parties wrote, and whether they are used up after a while.
    theirs: BTreeMap<Vec<u8>, bool>,
    /// By key and address: whoever hears there.
    ears: BTreeMap<(Vec<u8>, SocketAddr), Inbound>,
    /// Protected packets that may have been taken, in the order in which they came.
    taken: Vec<Vec<u8>>,
    maybe_taken: BTreeSet<Vec<u8>>,
    /// Those that were taken without any doubt.
    surely_taken: BTreeSet<Vec<u8>>,
    /// Numbers and sources of plain packets that were sent on.
    passed: BTreeSet<Option<[u8; 6]>>,
    /// Something forged was taken for a packet in clear, and its number for its sender's.
    tampered: bool,
    /// Whom somebody meant was not sure.
    vague: bool,
}

#[derive(Debug, Default)]
struct Section {
    state: State,
    /// Its lines, and ours, in the last description each way.
    written: Vec<Crypto>,
    shown: Vec<Crypto>,
    /// Every key of the party that was ever in use.
    used: BTreeSet<Vec<u8>>,
    /// It took up keys again that it had left, by an old answer that came late: what it sent under them may come again.
    returned: bool,
}

impl Secrecy {
    /// The call ended. Keys that were written stay known.
    pub(crate) fn forget(&mut self) {
        let Self { ours, theirs, ears, .. } = std::mem::take(self);
        (self.ours, self.theirs, self.ears) = (ours, theirs, ears);
    }

    /// From now on nobody can tell what is agreed on.
    pub(crate) fn blur(&mut self) {
        self.vague = true;
    }

    /// Whether anybody in this call ever spoke of keys.
    pub(crate) fn is_on(&self) -> bool {
        !self.ours.is_empty() || !self.theirs.is_empty()
    }

    /// A party's place in the call is gone.
    pub(crate) fn gone(&mut self, party: usize) {
        self.places.retain(|place, _| place.0 != party);
    }

    /// The description of a party is in force.
    pub(crate) fn wrote(&mut self, party: usize, written: &[Written], offer: bool) {
        for (index, written) in written.iter().enumerate() {
            for line in &written.keys {
                let limited = matches!(line.keys[0].lifetime, Some(Lifetime::Packets(_)));
                self.theirs.insert(key(line), limited);
            }
            let section = self.places.entry((party, index)).or_default();
            section.written.clone_from(&written.keys);
            if written.port == 0 || !matches!(written.kind, Kind::Audio | Kind::Video) {
                section.state = unheard(written.port);
            } else if offer {
                section.offered(written.keys.is_empty());
            } else {
                section.settle(&written.keys, &section.shown.clone(), true);
            }
        }
        if offer {
            let left_out = self.places.range_mut((party, written.len())..(party + 1, 0));
            left_out.for_each(|(_, section)| section.state = State::Unknown);
        }
    }

    /// A description goes to parties.
    pub(crate) fn shown(&mut self, given: &[usize], told: &[Told], offer: bool) {
        for line in told.iter().flat_map(|told| &told.keys) {
            let key = key(line);
            assert!(!self.theirs.contains_key(&key), "{given:?} are shown the key of a party: {line:?}");
            let new = || (line.clone(), given.iter().copied().collect());
            let (_, to) = self.ours.entry(key).or_insert_with(new);
            if self.vague {
                to.extend(given);
            }
            assert!(given.iter().all(|party| to.contains(party)), "{given:?} are shown the key of {to:?}");
        }
        for &party in given {
            for (index, told) in told.iter().enumerate() {
                let section = self.places.entry((party, index)).or_default();
                section.shown.clone_from(&told.keys);
                if told.port == 0 || !matches!(told.kind, Kind::Audio | Kind::Video) {
                    section.state = unheard(told.port);
                } else if offer {
                    section.offered(told.keys.is_empty());
                } else {
                    section.settle(&section.written.clone(), &told.keys, false);
                }
            }
        }
    }

    /// Whether a packet may be dropped for a reason of SRTP.
    pub(crate) fn judge_drop(
        &self,
        reason: DropReason,
        senders: &[Place],
        packet: &Packet,
        misplaced: bool,
        name: &str,
    ) {
        let key = packet.key.as_ref();
        let agreed = |place: &Place| matches!(self.state(*place), State::Agreed { theirs, .. } if Some(&self::key(theirs)) == key);
        let genuine = !self.vague && !misplaced && senders.iter().all(agreed);
        match reason {
            DropReason::Unauthentic | DropReason::NotSrtp => {
                assert!(!genuine, "{name} is dropped for {reason:?}, and is authentic");
            }
            // An index is looked at before the tag, whatever key the tag is of.
            DropReason::Replayed => {
                assert!(!genuine || self.maybe_taken.contains(&packet.bytes), "{name} is no replay");
            }
            DropReason::Repeated => {
                // A source whose first packets come in another order, across a rollover, has none before it.
                let early = packet.plain.get(2) == Some(&0xff);
                let strange = packet.forged || is_strange(&packet.plain);
                let known = self.tampered || self.passed.contains(&number(&packet.plain));
                assert!(self.vague || early || strange || known, "{name} was not sent before");
            }
            DropReason::KeyExhausted => {
                // What is forged finds keys used up as well.
                let limited = self.theirs.values().any(|limited| *limited);
                assert!(limited, "{name} is under a key without a limit");
            }
            DropReason::NoKeys => {
                let open = |section: &Section| {
                    matches!(section.state, State::Unknown | State::Waiting | State::Refused)
                };
                assert!(self.vague || self.places.values().any(open), "{name} finds keys agreed on");
            }
            _ => unreachable!("a reason of SRTP"),
        }
    }

    /// A packet of one of these was taken, whatever became of it then; as what it may have been read.
    pub(crate) fn taken(&mut self, senders: &[Place], packet: &Packet, name: &str) -> Vec<Vec<u8>> {
        let all = |is: fn(&State) -> bool| {
            !self.vague && !senders.is_empty() && senders.iter().all(|place| is(self.state(*place)))
        };
        let keyed = all(|state| matches!(state, State::Agreed { .. }));
        let plain = all(|state| *state == State::Plain);
        if keyed {
            let key = packet.key.as_ref().unwrap_or_else(|| panic!("{name} is forged, and was taken"));
            let used = senders.iter().any(|place| self.places[place].used.contains(key));
            assert!(used, "{name} is under a key that was never agreed on, and was taken");
            let returned = senders.iter().any(|place| self.places[place].returned);
            let replayed = !self.surely_taken.insert(packet.bytes.clone());
            assert!(returned || !replayed, "{name} is a replay, and was taken");
        }
        self.may_be_taken(packet);
        self.tampered |= packet.forged;
        match (keyed, plain) {
            (true, _) => vec![packet.plain.clone()],
            (_, true) => vec![packet.bytes.clone()],
            _ => vec![packet.plain.clone(), packet.bytes.clone()],
        }
    }

    /// A packet may have been authentic when it was dropped.
    pub(crate) fn may_be_taken(&mut self, packet: &Packet) {
        if packet.key.is_some() && self.maybe_taken.insert(packet.bytes.clone()) {
            self.taken.push(packet.bytes.clone());
        }
    }

    /// A packet was sent on that was read as one of these.
    pub(crate) fn passed(&mut self, plains: &[Vec<u8>]) {
        self.passed.extend(plains.iter().map(|plain| number(plain)));
    }

    /// Whether all of these wait for an answer to their keys, without any doubt.
    pub(crate) fn waits_for(&self, senders: &[Place]) -> bool {
        !self.vague && senders.iter().all(|place| *self.state(*place) == State::Waiting)
    }

    /// Protected packets of this call that an enemy may have seen.
    pub(crate) fn captured(&self) -> &[Vec<u8>] {
        &self.taken
    }

    /// What whoever is at an address makes of a packet; it must be able to, unless the section is
    /// refused.
    pub(crate) fn open(
        &mut self,
        bytes: &[u8],
        to: SocketAddr,
        hearers: &[Place],
        name: &str,
    ) -> Option<Vec<u8>> {
        let states = || hearers.iter().map(|place| self.state(*place));
        if states().any(|state| *state == State::Refused) {
            return None;
        }
        let sure = !self.vague && states().all(|state| *state != State::Unknown);
        let plain = !sure || states().any(|state| *state == State::Plain);
        if sure && states().all(|state| *state == State::Plain) {
            return Some(bytes.to_vec());
        }
        let mut keys: Vec<Crypto> = states().filter_map(State::ours).cloned().collect();
        if !sure {
            keys.extend(self.ours.values().map(|(line, _)| line.clone()));
        }
        let opened = keys.iter().find_map(|line| self.heard(line, to, bytes));
        assert!(opened.is_some() || plain, "{name} went to {to} as something that {hearers:?} cannot read");
        Some(opened.unwrap_or_else(|| bytes.to_vec()))
    }

    fn heard(&mut self, line: &Crypto, at: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let new = || Inbound::new(&policy(line, true)).expect("our lines can be used");
        let ear = self.ears.entry((key(line), at)).or_insert_with(new);
        let mut opened = bytes.to_vec();
        // What came to the wrong port is protected as what belongs there.
        let read = if (192..=223).contains(opened.get(1)?) {
            ear.unprotect_rtcp(&mut opened).or_else(|_| ear.unprotect_rtp(&mut opened))
        } else {
            ear.unprotect_rtp(&mut opened).or_else(|_| ear.unprotect_rtcp(&mut opened))
        };
        opened.truncate(read.ok()?);
        Some(opened)
    }

    fn state(&self, place: Place) -> &State {
        self.places.get(&place).map_or(&State::Unknown, |section| &section.state)
    }
}

impl Section {
    /// Keys were offered, or none.
    fn offered(&mut self, none: bool) {
        match &self.state {
            // What was agreed on holds until the answer.
            State::Agreed { .. } => {}
            _ if none => self.state = State::Plain,
            _ => self.state = State::Waiting,
        }
    }

    /// One side chose among what the other wrote.
    fn settle(&mut self, theirs: &[Crypto], ours: &[Crypto], they_chose: bool) {
        let (chosen, of) = if they_chose { (theirs, ours) } else { (ours, theirs) };
        let found = chosen.first().map(|chosen| {
            let of = of.iter().find(|line| line.tag == chosen.tag && line.suite == chosen.suite);
            of.map(|of| if they_chose { (chosen.clone(), of.clone()) } else { (of.clone(), chosen.clone()) })
        });
        let state = match found {
            None => State::Plain,
            Some(None) => State::Unknown,
            Some(Some((theirs, ours))) => {
                let before = matches!(&self.state, State::Agreed { theirs: before, .. } if *before == theirs);
                self.returned |= !self.used.insert(key(&theirs)) && !before;
                State::Agreed { theirs, ours }
            }
        };
        self.state = state;
    }
}

impl State {
    fn ours(&self) -> Option<&Crypto> {
        match self {
            Self::Agreed { ours, .. } => Some(ours),
            _ => None,
        }
    }
}

/// Of a section without RTP.
const fn unheard(port: u16) -> State {
    if port == 0 { State::Refused } else { State::Unknown }
}

fn key(line: &Crypto) -> Vec<u8> {
    line.keys[0].key_and_salt.to_vec()
}

/// The sequence number and the source of an RTP packet.
fn number(packet: &[u8]) -> Option<[u8; 6]> {
    [packet.get(2..4)?, packet.get(8..12)?].concat().try_into().ok()
}

/// Whether a packet is a stranger's, who numbers as it likes.
fn is_strange(packet: &[u8]) -> bool {
    packet.get(8..12) == Some(&[6; 4])
}
