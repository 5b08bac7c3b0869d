//! Who may hear what, reckoned from what was signalled and from where packets came, and from nothing
//! that the engine says of itself but the descriptions that it hands out.
//!
//! It is an upper bound: nothing beyond it may ever happen. What happens within it is judged where
//! the reason of each drop is (`world`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ng::{All, GateAction};

use crate::gates::{Gate, WayGates};
use crate::party::{Kind, Said, is_relay};
use crate::ways::{Place, Ways};

/// Who may hear what in one call.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    parties: Vec<Known>,
    ways: Ways,
    /// Who was offered something by whom, and nobody else can be meant.
    offered: BTreeSet<(usize, usize)>,
    /// Somebody answered who was not offered anything himself: he may have been shown another's socket.
    forked: bool,
    /// What a client forbade the whole call.
    gate: Gate,
    way_gates: WayGates,
    /// By local address: which section and half it is, and whom it was shown.
    shown: BTreeMap<SocketAddr, Shown>,
}

#[derive(Debug, Default, Clone)]
struct Known {
    sections: Vec<Section>,
    /// Its last description had so many.
    described: usize,
    /// Its last offer had so many; what it was offered beyond them is left out.
    offered: Option<usize>,
    gate: Gate,
    /// Where it is besides its descriptions.
    sources: BTreeSet<IpAddr>,
    /// A client deleted it, or somebody with it; it may be gone.
    deleted: bool,
}

#[derive(Debug, Clone)]
struct Section {
    halves: [Half; 2],
    sends: bool,
    receives: bool,
    kind: Kind,
}

#[derive(Debug, Default, Clone)]
struct Half {
    signalled: Option<SocketAddr>,
    known: Source,
    /// From where packets were admitted since the signalled address last changed.
    heard: BTreeSet<SocketAddr>,
    /// The last description gives no place.
    nowhere: bool,
}

/// What a signal says about where packets may come from.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Source {
    /// Where the SIP message came from.
    pub(crate) sip: Option<IpAddr>,
    /// Other addresses may be learned.
    pub(crate) learn: bool,
    /// Packets go where they are signalled, wherever they come from.
    pub(crate) asymmetric: bool,
    /// Media may come from the network of relays.
    pub(crate) relays: bool,
    /// Networks are listed without any doubt, or strict learning is asked for: nobody is looked for elsewhere.
    pub(crate) narrow: bool,
}

#[derive(Debug)]
struct Shown {
    section: usize,
    to: BTreeSet<usize>,
    /// Of those, who is meant without any doubt.
    surely: BTreeSet<usize>,
}

/// What a datagram was, for what may become of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) packet: &'a [u8],
}

impl Hearing {
    /// A description was committed.
    pub(crate) fn said(&mut self, sender: usize, said: &[Said], source: Source, offer: bool) {
        let known = self.party(sender);
        known.described = said.len();
        known.deleted = false;
        known.sources.extend(source.sip);
        for (index, said) in said.iter().enumerate() {
            if known.sections.len() <= index {
                known.sections.push(Section {
                    halves: Default::default(),
                    sends: true,
                    receives: true,
                    kind: said.kind,
                });
            }
            let section = &mut known.sections[index];
            (section.sends, section.receives, section.kind) = (said.sends, said.receives, said.kind);
            for (half, address) in section.halves.iter_mut().zip(said.halves) {
                // Hold leaves what is known of a party, and only sends it nothing.
                half.nowhere = address.is_none();
                (half.known.learn, half.known.asymmetric) = (source.learn, source.asymmetric);
                if half.nowhere {
                    continue;
                }
                if half.signalled != address {
                    half.heard.clear();
                }
                (half.signalled, half.known) = (address, source);
            }
        }
        if offer {
            known.offered = Some(said.len());
            for section in known.sections.iter_mut().skip(said.len()) {
                (section.sends, section.receives) = (false, false);
            }
        }
    }

    /// Two parties are in an offer and answer from now on.
    pub(crate) fn partners(&mut self, sender: usize, other: usize, offer: bool, surely: bool) {
        self.ways.partners(sender, other);
        if offer && surely {
            self.offered.insert((sender, other));
        }
        self.forked |= !offer && !self.offered.contains(&(other, sender));
    }

    /// A party offered something, and nobody knows to whom.
    pub(crate) fn offers(&mut self, sender: usize) {
        self.ways.offers(sender);
    }

    /// Whether a party is there, as far as its descriptions say.
    pub(crate) fn knows(&self, party: usize) -> bool {
        self.parties.get(party).is_some_and(|known| known.described > 0)
    }

    /// A party hears these from now on, all sections of the first one before those of the next.
    pub(crate) fn subscribed(&mut self, subscriber: usize, to: &[usize]) {
        let places = to.iter().flat_map(|&source| {
            let sections = self.parties.get(source).map_or(0, |known| known.described);
            (0..sections).map(move |section| (source, section))
        });
        let places: Vec<Place> = places.collect();
        let known = self.party(subscriber);
        // It is offered to receive, whatever it answered before.
        known.sections.iter_mut().for_each(|section| section.receives = true);
        self.ways.subscribed(subscriber, places);
    }

    /// A party hears nobody any more, and is nowhere.
    pub(crate) fn unsubscribed(&mut self, subscriber: usize) {
        *self.party(subscriber) = Known::default();
        self.way_gates.doubt(Some(subscriber));
        self.ways.subscribed(subscriber, Vec::new());
    }

    /// A party only sends.
    pub(crate) fn publishes(&mut self, party: usize) {
        self.ways.publishes(party);
    }

    /// Two parties were connected. `surely`: nobody else came between that could have changed what they hear.
    pub(crate) fn connected(&mut self, from: usize, to: usize, both: bool, surely: bool) {
        let kinds = |party: usize| -> Vec<Kind> {
            let sections = self.parties.get(party).map(|known| &known.sections).into_iter().flatten();
            sections.map(|section| section.kind).collect()
        };
        let (ours, theirs) = (kinds(from), kinds(to));
        let plain = |kinds: &[Kind]| kinds == [Kind::Audio];
        let surely = surely && plain(&ours) && plain(&theirs);
        for (section, kind) in ours.iter().enumerate() {
            for (other, _) in theirs.iter().enumerate().filter(|(_, other)| *other == kind) {
                self.ways.connected((from, section), (to, other), both);
                if surely {
                    self.ways.cut((from, section), (to, other), both);
                }
            }
        }
    }

    /// A party was deleted, at once or later, and maybe whoever had no other.
    pub(crate) fn deleted(&mut self, party: usize) {
        for party in self.ways.of(party).into_iter().chain([party]) {
            self.party(party).deleted = true;
        }
        self.ways.deleted();
        self.way_gates.doubt(None);
    }

    /// A party was shown a socket.
    pub(crate) fn shown(&mut self, local: SocketAddr, section: usize, to: usize, surely: bool) {
        let new = || Shown { section, to: BTreeSet::new(), surely: BTreeSet::new() };
        let shown = self.shown.entry(local).or_insert_with(new);
        shown.section = section;
        shown.to.insert(to);
        if surely {
            shown.surely.insert(to);
        }
    }

    /// A socket is closed.
    pub(crate) fn closed(&mut self, local: SocketAddr) {
        self.shown.remove(&local);
    }

    pub(crate) fn is_shown(&self, local: SocketAddr) -> bool {
        self.shown.contains_key(&local)
    }

    /// Every address at which somebody is signalled to be.
    pub(crate) fn signalled(&self) -> Vec<SocketAddr> {
        let sections = self.parties.iter().flat_map(|party| &party.sections);
        sections.flat_map(|section| &section.halves).filter_map(|half| half.signalled).collect()
    }

    /// What a client forbids a party, or the whole call.
    pub(crate) fn gate(&mut self, party: Option<usize>) -> &mut Gate {
        match party {
            Some(party) => &mut self.party(party).gate,
            None => &mut self.gate,
        }
    }

    /// What parties and ways are forbidden is lifted.
    pub(crate) fn lift(&mut self, action: GateAction) {
        self.parties.iter_mut().for_each(|party| party.gate.change(action));
        self.way_gates.lift(action);
    }

    /// What is forbidden on the way from a party to another.
    pub(crate) fn forbid_way(&mut self, speaker: usize, listener: usize, action: GateAction) {
        self.way_gates.change(speaker, &[listener], true, action);
    }

    /// The same on its ways to those it talks to, or to those who subscribe to it, or to both.
    pub(crate) fn forbid_ways(&mut self, speaker: usize, ways: All, action: GateAction) {
        if ways != All::ExceptOfferAnswer {
            let partners = self.ways.of(speaker);
            let surely = partners.len() == 1 && !self.forked;
            self.way_gates.change(speaker, &partners, surely, action);
        }
        if ways != All::OfferAnswer {
            let subscribers = self.ways.subscribers_of(speaker);
            self.way_gates.change(speaker, &subscribers, true, action);
        }
    }

    /// What is forbidden on the ways by which a packet went, whoever sent and heard it, and what may be.
    pub(crate) fn forbidden_ways(&self, senders: &[usize], hearers: &[Place]) -> [Gate; 2] {
        let hearers: Vec<usize> = hearers.iter().map(|&(party, _)| party).collect();
        self.way_gates.forbidden(senders, &hearers)
    }

    /// What may be forbidden on any way from these.
    pub(crate) fn forbidden_somewhere(&self, senders: &[usize]) -> Gate {
        self.way_gates.maybe(senders, |_| true)
    }

    /// The parties of whom a datagram can be by the rules; empty if of nobody.
    pub(crate) fn senders(&self, arrival: Arrival<'_>) -> Vec<usize> {
        let may = |&party: &usize| {
            let sources = &self.parties[party].sources;
            self.halves(party, arrival.local).any(|half| half.admits(arrival.remote, sources))
        };
        self.shown_to(arrival.local).filter(may).collect()
    }

    /// The same, with the sections of each.
    pub(crate) fn places(&self, arrival: Arrival<'_>) -> Vec<Place> {
        let section = self.section(arrival.local);
        let of = |party: usize| self.parties.get(party).map_or(0, |party| party.sections.len());
        let sections = |party| {
            let at = move |index: &usize| section.is_none_or(|section| section == *index);
            (0..of(party)).filter(at).map(move |index| (party, index))
        };
        self.senders(arrival).into_iter().flat_map(sections).collect()
    }

    /// Who is at an address, as seen from a socket.
    pub(crate) fn at(&self, from: SocketAddr, remote: SocketAddr) -> Vec<Place> {
        let places = self.parties.iter().enumerate().flat_map(|(party, known)| {
            known.sections.iter().enumerate().map(move |(index, section)| ((party, index), section))
        });
        places
            .filter(|(_, section)| section.halves[parity(from)].is_at(remote))
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether anybody is there.
    pub(crate) fn knows_anybody(&self) -> bool {
        (0..self.parties.len()).any(|party| self.knows(party))
    }

    /// Whether a datagram comes from exactly where a party that was shown the socket is signalled to be,
    /// or from where its last packet was taken.
    pub(crate) fn is_due(&self, arrival: Arrival<'_>) -> bool {
        let Some(shown) = self.shown.get(&arrival.local) else { return false };
        let there = |party: &&usize| self.parties.get(**party).is_some_and(|party| !party.deleted);
        shown.surely.iter().filter(there).any(|&party| {
            self.halves(party, arrival.local).any(|half| half.signalled == Some(arrival.remote))
        })
    }

    /// A datagram was admitted.
    pub(crate) fn admitted(&mut self, senders: &[usize], arrival: Arrival<'_>) {
        let (section, half) = (self.section(arrival.local), parity(arrival.local));
        for &party in senders {
            let Some(party) = self.parties.get_mut(party) else { continue };
            party.sources.insert(arrival.remote.ip());
            let sections = party.sections.iter_mut().enumerate();
            for (_, known) in sections.filter(|(index, _)| section.is_none_or(|section| section == *index)) {
                let half = &mut known.halves[half];
                if half.admits(arrival.remote, &party.sources) {
                    half.heard.insert(arrival.remote);
                }
            }
        }
    }

    /// The parties and sections that a packet of `senders` reaches at `remote`; empty if they may not hear it.
    pub(crate) fn hearers(
        &self,
        senders: &[usize],
        arrival: Arrival<'_>,
        from: SocketAddr,
        remote: SocketAddr,
    ) -> Vec<Place> {
        let section = self.section(arrival.local);
        let places = self.parties.iter().enumerate().flat_map(|(party, known)| {
            known.sections.iter().enumerate().map(move |(index, known)| ((party, index), known))
        });
        let hears = |place: Place| senders.iter().any(|&sender| self.ways.hears(sender, section, place));
        places
            .filter(|(place, section)| section.halves[parity(from)].is_at(remote) && hears(*place))
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether somebody is at `remote` who may be sent to from a socket.
    pub(crate) fn reaches(&self, from: SocketAddr, remote: SocketAddr) -> bool {
        let sections = self.parties.iter().flat_map(|party| &party.sections);
        from.is_ipv4() == remote.is_ipv4()
            && sections.into_iter().any(|section| section.halves[parity(from)].is_at(remote))
    }

    /// Whether media of one of these may reach one of those, as far as directions say.
    pub(crate) fn flows(&self, senders: &[usize], hearers: &[Place], arrival: Arrival<'_>) -> bool {
        let Some(section) = self.section(arrival.local) else { return true };
        let of =
            |(party, section): Place| self.parties.get(party).and_then(|party| party.sections.get(section));
        senders.iter().any(|&party| of((party, section)).is_none_or(|section| section.sends))
            && hearers.iter().any(|&place| of(place).is_none_or(|section| section.receives))
    }

    /// What is forbidden whoever of these sent: each of them, and any of them.
    pub(crate) fn forbidden(&self, senders: &[usize]) -> [Gate; 2] {
        let of = |party: &usize| self.parties.get(*party).map(|party| party.gate).unwrap_or_default();
        let Gate { blocked, silenced, dtmf } = self.gate;
        [
            Gate {
                blocked: blocked || senders.iter().all(|party| of(party).blocked),
                silenced: silenced || senders.iter().all(|party| of(party).silenced),
                dtmf: dtmf || senders.iter().all(|party| of(party).dtmf),
            },
            Gate {
                blocked: blocked || senders.iter().any(|party| of(party).blocked),
                silenced: silenced || senders.iter().any(|party| of(party).silenced),
                dtmf: dtmf || senders.iter().any(|party| of(party).dtmf),
            },
        ]
    }

    /// Whether a section is one-way for anybody.
    pub(crate) fn is_anybody_held(&self, arrival: Arrival<'_>) -> bool {
        let section = self.section(arrival.local);
        self.parties.iter().enumerate().any(|(index, party)| {
            // The sections of a subscriber are numbered by themselves.
            let section = section.filter(|_| self.ways.talks(index));
            let left_out =
                party.offered.is_some_and(|offered| section.is_none_or(|section| section >= offered));
            let sections = party.sections.iter().enumerate();
            left_out
                || sections
                    .filter(|(index, _)| section.is_none_or(|section| section == *index))
                    .any(|(_, section)| !section.sends || !section.receives)
        })
    }

    /// Whether a socket carries RTP, as far as is known.
    pub(crate) fn is_rtp(&self, local: SocketAddr) -> bool {
        let Some(section) = self.section(local) else { return false };
        let of = |party: usize| self.parties.get(party).and_then(|party| party.sections.get(section));
        let own = self.own(local);
        (0..self.parties.len())
            .filter(|&party| own.map_or_else(|| self.ways.talks(party), |own| own == party))
            .filter_map(of)
            .all(|section| matches!(section.kind, Kind::Audio | Kind::Video))
    }

    fn party(&mut self, party: usize) -> &mut Known {
        if self.parties.len() <= party {
            self.parties.resize_with(party + 1, Known::default);
        }
        &mut self.parties[party]
    }

    fn section(&self, local: SocketAddr) -> Option<usize> {
        self.shown.get(&local).map(|shown| shown.section)
    }

    /// The one who alone has a socket, for he talks to nobody.
    fn own(&self, local: SocketAddr) -> Option<usize> {
        let shown = self.shown.get(&local)?;
        shown.to.first().copied().filter(|&party| shown.to.len() == 1 && !self.ways.talks(party))
    }

    /// Whom a socket was shown. One that was shown to nobody may be anybody's, and so may one that
    /// was shown to somebody who has not got a tag yet.
    fn shown_to(&self, local: SocketAddr) -> impl Iterator<Item = usize> {
        let own = self.own(local).is_some();
        let shown = self.shown.get(&local).filter(|shown| own || shown.to == shown.surely && !self.forked);
        (0..self.parties.len()).filter(move |party| shown.is_none_or(|shown| shown.to.contains(party)))
    }

    /// The halves of a party that a socket can belong to.
    fn halves(&self, party: usize, local: SocketAddr) -> impl Iterator<Item = &Half> {
        let section = self.section(local);
        let sections = self.parties.get(party).map(|party| &party.sections).into_iter().flatten();
        sections
            .enumerate()
            .filter(move |(index, _)| section.is_none_or(|section| section == *index))
            .map(move |(_, section)| &section.halves[parity(local)])
    }
}

impl Half {
    fn admits(&self, remote: SocketAddr, sources: &BTreeSet<IpAddr>) -> bool {
        if self.signalled == Some(remote) || self.heard.contains(&remote) {
            return true;
        }
        let Some(signalled) = self.signalled.filter(|_| self.known.learn) else { return false };
        remote.ip() == signalled.ip()
            || sources.contains(&remote.ip())
            || (self.known.relays && is_relay(remote.ip()))
            || (!self.known.narrow
                && self.known.sip.is_none()
                && is_private(signalled.ip())
                && !is_private(remote.ip()))
    }

    /// Whether packets for it may go to `remote`.
    fn is_at(&self, remote: SocketAddr) -> bool {
        !self.nowhere
            && (self.signalled == Some(remote) || (!self.known.asymmetric && self.heard.contains(&remote)))
    }
}

/// RTP on even ports, RTCP on odd ones.
fn parity(local: SocketAddr) -> usize {
    usize::from(local.port() % 2)
}

/// Networks in which this world's NATs hide parties.
fn is_private(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 10)
}
