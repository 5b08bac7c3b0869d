//! What was asked, by command and by asker, and how long it took.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::histogram::Powers;

/// Every command that is counted apart: its name, and rtpengine's short one where it has one.
pub(crate) const COMMANDS: [(&str, &str); 31] = [
    ("ping", "ping"),
    ("offer", "offer"),
    ("answer", "answer"),
    ("delete", "delete"),
    ("query", "query"),
    ("list", "list"),
    ("start recording", "startrec"),
    ("stop recording", "stoprec"),
    ("start forwarding", "startfwd"),
    ("stop forwarding", "stopfwd"),
    ("block DTMF", "blkdtmf"),
    ("unblock DTMF", "unblkdtmf"),
    ("block media", "blkmedia"),
    ("unblock media", "unblkmedia"),
    ("play media", "playmedia"),
    ("stop media", "stopmedia"),
    ("play DTMF", "playdtmf"),
    ("statistics", "stats"),
    ("silence media", "slnmedia"),
    ("unsilence media", "unslnmedia"),
    ("publish", "pub"),
    ("subscribe request", "subreq"),
    ("subscribe answer", "subans"),
    ("unsubscribe", "unsub"),
    ("pause recording", ""),
    ("connect", ""),
    ("lease", ""),
    ("report ack", ""),
    ("events", ""),
    ("cli", ""),
    ("other", ""),
];

/// A command of [`COMMANDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandIndex(usize);

impl CommandIndex {
    /// What is none of them, or could not be read.
    pub(crate) const OTHER: Self = Self(COMMANDS.len() - 1);

    /// The command of this name.
    pub(crate) fn of(name: &str) -> Self {
        COMMANDS.iter().position(|(known, _)| *known == name).map_or(Self::OTHER, Self)
    }
}

/// How long requests took, nanoseconds: up to 16 µs, and so on by powers of two to half a second.
pub(crate) type Durations = Powers<14, 16>;

/// What one asker asked of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// How often.
    pub(crate) count: u64,
    /// How long it took altogether.
    pub(crate) ns: u64,
}

/// What one asker asked.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// By command.
    pub(crate) spent: [Spent; COMMANDS.len()],
    /// What was answered with an error.
    pub(crate) errors: u64,
}

/// What was asked since the start.
#[derive(Debug)]
pub(crate) struct Tally {
    durations: [Durations; COMMANDS.len()],
    proxies: BTreeMap<IpAddr, Box<Proxy>>,
}

impl Tally {
    /// Nothing was asked.
    pub(crate) fn new() -> Self {
        Self { durations: [Durations::default(); COMMANDS.len()], proxies: BTreeMap::new() }
    }

    /// A request was answered after `ns`.
    pub(crate) fn record(&mut self, from: IpAddr, command: CommandIndex, ns: u64, error: bool) {
        self.durations[command.0].record(ns);
        if self.proxies.len() == PROXIES_MAX && !self.proxies.contains_key(&from) {
            return;
        }
        let nothing = || Box::new(Proxy { spent: [Spent::default(); COMMANDS.len()], errors: 0 });
        let proxy = self.proxies.entry(from).or_insert_with(nothing);
        proxy.errors += u64::from(error);
        let spent = &mut proxy.spent[command.0];
        spent.count += 1;
        spent.ns = spent.ns.saturating_add(ns);
    }

    /// By command, in the order of [`COMMANDS`].
    pub(crate) fn durations(&self) -> &[Durations; COMMANDS.len()] {
        &self.durations
    }

    /// By asker.
    pub(crate) fn proxies(&self) -> &BTreeMap<IpAddr, Box<Proxy>> {
        &self.proxies
    }
}

/// Askers that are told apart at most; what further ones ask is counted by command alone.
const PROXIES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_counted_apart_and_askers_in_bounded_number() {
        let mut tally = Tally::new();
        let query = CommandIndex::of("query");
        for last in 0..=255 {
            tally.record(IpAddr::from([10, 0, 0, last]), query, 1_000, last == 0);
        }
        tally.record(IpAddr::from([10, 0, 0, 1]), CommandIndex::of("fly"), 5, true);
        assert_eq!(tally.proxies().len(), PROXIES_MAX);
        assert_eq!(tally.durations()[query.0].count(), 256);
        let first = &tally.proxies()[&IpAddr::from([10, 0, 0, 0])];
        assert_eq!((first.spent[query.0], first.errors), (Spent { count: 1, ns: 1_000 }, 1));
        assert_eq!(tally.durations()[CommandIndex::OTHER.0].count(), 1);
    }

    #[test]
    fn every_command_of_the_protocol_that_is_typed_has_a_place() {
        for action in ng::GateAction::ALL {
            assert_ne!(CommandIndex::of(action.as_str()), CommandIndex::OTHER);
        }
        assert_ne!(CommandIndex::of("report ack"), CommandIndex::OTHER);
    }
}
