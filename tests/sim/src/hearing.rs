//! Who may hear what, reckoned from what was signalled and from where packets came, and from nothing
//! that the engine says of itself but the descriptions that it hands out.
//!
//! It is an upper bound: nothing beyond it may ever happen. What happens within it is judged where
//! the reason of each drop is (`world`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::party::{Kind, Said};

/// Who may hear what in one call.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    parties: Vec<Known>,
    /// Who was in an offer or answer with whom.
    partners: BTreeSet<(usize, usize)>,
    /// Who offered something to somebody without a tag, which may become anybody's.
    offering: BTreeSet<usize>,
    /// Who was offered something by whom, and nobody else can be meant.
    offered: BTreeSet<(usize, usize)>,
    /// Somebody answered who was not offered anything himself: he may have been shown another's socket.
    forked: bool,
    /// What a client forbade the whole call.
    gate: Gate,
    /// By local address: which section and half it is, and whom it was shown.
    shown: BTreeMap<SocketAddr, Shown>,
}

#[derive(Debug, Default, Clone)]
struct Known {
    sections: Vec<Section>,
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
}

/// What a client forbids.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Gate {
    pub(crate) blocked: bool,
    pub(crate) silenced: bool,
    /// Digits are dropped.
    pub(crate) dtmf: bool,
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
        self.partners.extend([(sender, other), (other, sender)]);
        if offer && surely {
            self.offered.insert((sender, other));
        }
        self.forked |= !offer && !self.offered.contains(&(other, sender));
    }

    /// A party offered something, and nobody knows to whom.
    pub(crate) fn offers(&mut self, sender: usize) {
        self.offering.insert(sender);
    }

    fn are_partners(&self, one: usize, other: usize) -> bool {
        let anybody = |party| self.offering.contains(&party);
        one != other && (self.partners.contains(&(one, other)) || anybody(one) || anybody(other))
    }

    /// A party was deleted, at once or later, and maybe whoever had no other.
    pub(crate) fn deleted(&mut self, party: usize) {
        let others = self.partners.iter().filter(|(one, _)| *one == party).map(|&(_, other)| other);
        for party in others.chain([party]).collect::<Vec<_>>() {
            self.party(party).deleted = true;
        }
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

    /// What every party is forbidden.
    pub(crate) fn gates(&mut self) -> impl Iterator<Item = &mut Gate> {
        self.parties.iter_mut().map(|party| &mut party.gate)
    }

    /// The parties of whom a datagram can be by the rules; empty if of nobody.
    pub(crate) fn senders(&self, arrival: Arrival<'_>) -> Vec<usize> {
        let may = |&party: &usize| {
            let sources = &self.parties[party].sources;
            self.halves(party, arrival.local).any(|half| half.admits(arrival.remote, sources))
        };
        self.shown_to(arrival.local).filter(may).collect()
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

    /// The parties that a packet of `senders` reaches at `remote`; empty if they may not hear it.
    pub(crate) fn hearers(
        &self,
        senders: &[usize],
        arrival: Arrival<'_>,
        from: SocketAddr,
        remote: SocketAddr,
    ) -> Vec<usize> {
        let section = self.section(arrival.local);
        let hears = |&party: &usize| {
            senders.iter().any(|&sender| self.are_partners(sender, party))
                && self.parties[party]
                    .sections
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| section.is_none_or(|section| section == *index))
                    .any(|(_, section)| section.halves[parity(from)].is_at(remote))
        };
        (0..self.parties.len()).filter(hears).collect()
    }

    /// Whether somebody is at `remote` who may be sent to from a socket.
    pub(crate) fn reaches(&self, from: SocketAddr, remote: SocketAddr) -> bool {
        let sections = self.parties.iter().flat_map(|party| &party.sections);
        from.is_ipv4() == remote.is_ipv4()
            && sections.into_iter().any(|section| section.halves[parity(from)].is_at(remote))
    }

    /// Whether media of one of these may reach one of those, as far as directions say.
    pub(crate) fn flows(&self, senders: &[usize], hearers: &[usize], arrival: Arrival<'_>) -> bool {
        let Some(section) = self.section(arrival.local) else { return true };
        let of = |party: usize| self.parties.get(party).and_then(|party| party.sections.get(section));
        senders.iter().any(|&party| of(party).is_none_or(|section| section.sends))
            && hearers.iter().any(|&party| of(party).is_none_or(|section| section.receives))
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
        self.parties.iter().any(|party| {
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
        (0..self.parties.len())
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

    /// Whom a socket was shown. One that was shown to nobody may be anybody's, and so may one that
    /// was shown to somebody who has not got a tag yet.
    fn shown_to(&self, local: SocketAddr) -> impl Iterator<Item = usize> {
        let shown = self.shown.get(&local).filter(|shown| shown.to == shown.surely && !self.forked);
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
            || (self.known.sip.is_none() && is_private(signalled.ip()) && !is_private(remote.ip()))
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
