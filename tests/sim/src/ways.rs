//! Whom whom may hear in one call: by offer and answer, by a connection, by a subscription.

use std::collections::{BTreeMap, BTreeSet};

/// A party, and which of its sections.
pub(crate) type Place = (usize, usize);

/// The ways of one call.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Who was in an offer or answer with whom.
    partners: BTreeSet<(usize, usize)>,
    /// Who offered something to somebody without a tag, which may become anybody's.
    offering: BTreeSet<usize>,
    /// What a connection took from partners: speaker, listener, section.
    cut: BTreeSet<(usize, usize, usize)>,
    /// Who was connected with whom: speaker, listener.
    connected: BTreeSet<(Place, Place)>,
    /// By subscriber: what each of its sections is of.
    subscribed: BTreeMap<usize, Vec<Place>>,
    publishers: BTreeSet<usize>,
    /// Somebody was deleted: whoever talked to that one talks to another, now or when a delay is over.
    restless: bool,
}

impl Ways {
    /// Two parties are in an offer and answer from now on.
    pub(crate) fn partners(&mut self, one: usize, other: usize) {
        self.partners.extend([(one, other), (other, one)]);
        self.cut
            .retain(|&(speaker, listener, _)| ![(one, other), (other, one)].contains(&(speaker, listener)));
    }

    /// Whom a party was ever in an offer and answer with.
    pub(crate) fn of(&self, party: usize) -> Vec<usize> {
        self.partners.iter().filter(|(one, _)| *one == party).map(|&(_, other)| other).collect()
    }

    /// A party offered something, and nobody knows to whom.
    pub(crate) fn offers(&mut self, sender: usize) {
        self.offering.insert(sender);
        self.cut.clear();
    }

    /// Somebody was deleted.
    pub(crate) fn deleted(&mut self) {
        self.restless = true;
        self.cut.clear();
    }

    /// A party only sends.
    pub(crate) fn publishes(&mut self, party: usize) {
        self.publishers.insert(party);
    }

    /// A party hears these, section by section, and nobody else.
    pub(crate) fn subscribed(&mut self, subscriber: usize, heard: Vec<Place>) {
        self.subscribed.insert(subscriber, heard);
    }

    /// Two sections are connected, one way or both.
    pub(crate) fn connected(&mut self, from: Place, to: Place, both: bool) {
        self.connected.insert((from, to));
        if both {
            self.connected.insert((to, from));
        }
    }

    /// What the listener heard by offer and answer it hears no longer, and where both were connected neither does
    /// whoever heard them.
    pub(crate) fn cut(&mut self, from: Place, to: Place, both: bool) {
        if self.restless || !self.offering.is_empty() {
            return;
        }
        for other in self.of(to.0) {
            self.cut.insert((other, to.0, to.1));
            if both {
                self.cut.insert((to.0, other, to.1));
            }
        }
        for other in self.of(from.0).into_iter().filter(|_| both) {
            self.cut.extend([(other, from.0, from.1), (from.0, other, from.1)]);
        }
    }

    /// Who subscribes to a party.
    pub(crate) fn subscribers_of(&self, party: usize) -> Vec<usize> {
        let hears = |heard: &[Place]| heard.iter().any(|&(speaker, _)| speaker == party);
        self.subscribed.iter().filter(|(_, heard)| hears(heard)).map(|(&subscriber, _)| subscriber).collect()
    }

    /// Whether a party neither publishes nor subscribes.
    pub(crate) fn talks(&self, party: usize) -> bool {
        !self.publishers.contains(&party) && !self.subscribed.contains_key(&party)
    }

    /// Whether what a party sends in a section, or in any, may reach a listener.
    pub(crate) fn hears(&self, speaker: usize, section: Option<usize>, listener: Place) -> bool {
        let is = |place: Place| place.0 == speaker && section.is_none_or(|section| section == place.1);
        if let Some(heard) = self.subscribed.get(&listener.0) {
            return heard.get(listener.1).is_some_and(|&place| is(place));
        }
        if !self.talks(listener.0) || !self.talks(speaker) || speaker == listener.0 {
            return false;
        }
        let partners = self.partners.contains(&(speaker, listener.0))
            || self.offering.contains(&speaker)
            || self.offering.contains(&listener.0);
        let cut = self.cut.contains(&(speaker, listener.0, listener.1));
        (partners && !cut && is((speaker, listener.1)))
            || self.connected.iter().any(|&(from, to)| to == listener && is(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_hears_whom_it_asked_for_and_is_heard_by_nobody() {
        let mut ways = Ways::default();
        ways.partners(0, 1);
        ways.subscribed(2, vec![(0, 0), (1, 0), (1, 1)]);
        assert!(
            ways.hears(1, Some(1), (2, 2)) && ways.hears(1, None, (2, 1)) && ways.hears(0, Some(0), (1, 0))
        );
        assert!(!ways.hears(1, Some(0), (2, 2)) && !ways.hears(0, Some(0), (2, 1)));
        assert!(!ways.hears(2, None, (0, 0)) && !ways.hears(0, None, (2, 3)));
        ways.subscribed(2, Vec::new());
        assert!(!ways.hears(0, Some(0), (2, 0)));
    }

    #[test]
    fn whoever_is_connected_hears_nobody_else() {
        let mut ways = Ways::default();
        ways.partners(0, 1);
        ways.partners(2, 3);
        ways.connected((0, 0), (3, 1), true);
        ways.cut((0, 0), (3, 1), true);
        assert!(ways.hears(0, Some(0), (3, 1)) && ways.hears(3, Some(1), (0, 0)));
        assert!(!ways.hears(1, Some(0), (0, 0)) && !ways.hears(0, Some(0), (1, 0)));
        assert!(
            !ways.hears(2, Some(1), (3, 1)) && ways.hears(2, Some(0), (3, 0)),
            "of what is connected alone"
        );
        ways.partners(0, 1);
        assert!(ways.hears(1, Some(0), (0, 0)));
    }
}
