//! Who sends to a call without leave: the most frequent, in bounded memory.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ng::Offender;
use rtp::units::Instant;

/// Addresses noted for one call.
pub(crate) const OFFENDERS_MAX: usize = 4;
/// Of those, who can be known to have sent too early.
pub(crate) const EARLY_MAX: usize = OFFENDERS_MAX;
/// Who has been sending for so long when a party is told where to send is not that party. Media may
/// outrun the description of whoever answers, but not by this much.
const EARLY: Duration = Duration::from_secs(1);

/// The most frequent strangers of a call, counted by space-saving (Metwally, Agrawal, El Abbadi 2005): whoever
/// finds no room takes the place and the count of the least frequent one. So a count is never too small, and whoever sent
/// more than a quarter of all packets is listed.
///
/// Made with the first packet of a stranger, and never more than one for a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offenders {
    entries: [Option<Entry>; OFFENDERS_MAX],
    packets: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offender: Offender,
    first: Instant,
}

impl Offenders {
    /// Notes packets of a stranger.
    pub(crate) fn note(&mut self, now: Instant, wall_ms: u64, address: SocketAddr, packets: u64) {
        self.packets += packets;
        if let Some(entry) = self.entries.iter_mut().flatten().find(|entry| entry.offender.address == address)
        {
            entry.offender.packets += packets;
            entry.offender.last_ms = wall_ms;
            return;
        }
        let least =
            self.entries.iter_mut().min_by_key(|entry| entry.map_or(0, |entry| entry.offender.packets));
        let least = least.expect("there is room for some");
        let before = least.map_or(0, |entry| entry.offender.packets);
        let offender = Offender { address, packets: before + packets, first_ms: wall_ms, last_ms: wall_ms };
        *least = Some(Entry { offender, first: now });
    }

    /// Takes in those of another call that is a part of this one from now on: the most frequent of both stay.
    pub(crate) fn join(&mut self, other: &Self) {
        self.packets += other.packets;
        for theirs in other.entries.iter().flatten() {
            let same = |entry: &&mut Entry| entry.offender.address == theirs.offender.address;
            if let Some(ours) = self.entries.iter_mut().flatten().find(same) {
                ours.offender.packets += theirs.offender.packets;
                ours.offender.first_ms = ours.offender.first_ms.min(theirs.offender.first_ms);
                ours.offender.last_ms = ours.offender.last_ms.max(theirs.offender.last_ms);
                ours.first = ours.first.min(theirs.first);
                continue;
            }
            let count = |entry: &Option<Entry>| entry.map_or(0, |entry| entry.offender.packets);
            let least =
                self.entries.iter_mut().min_by_key(|entry| count(entry)).expect("there is room for some");
            if count(least) < theirs.offender.packets {
                *least = Some(*theirs);
            }
        }
    }

    /// Packets of all of them, and of those that are not listed any more.
    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// The list, the most frequent first.
    pub(crate) fn list(&self) -> Vec<Offender> {
        let mut list: Vec<Offender> = self.entries.iter().flatten().map(|entry| entry.offender).collect();
        list.sort_by_key(|offender| std::cmp::Reverse(offender.packets));
        list
    }

    /// Who sent before a party that is told now where to send can have known it.
    pub(crate) fn early(&self, now: Instant) -> [Option<IpAddr>; EARLY_MAX] {
        self.entries.map(|entry| {
            entry
                .filter(|entry| now.saturating_since(entry.first) >= EARLY)
                .map(|entry| entry.offender.address.ip().to_canonical())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, host], 5000))
    }

    #[test]
    fn each_is_counted_with_its_first_and_last_time() {
        let mut offenders = Offenders::default();
        for (wall_ms, host) in [(10, 1), (11, 2), (12, 2)] {
            offenders.note(Instant::ZERO, wall_ms, at(host), 1);
        }
        let expected = [(at(2), 2, 11, 12), (at(1), 1, 10, 10)]
            .map(|(address, packets, first_ms, last_ms)| Offender { address, packets, first_ms, last_ms });
        assert_eq!(offenders.list(), expected);
        assert_eq!(offenders.packets(), 3);
    }

    #[test]
    fn the_worst_one_is_listed_whoever_else_comes() {
        let mut offenders = Offenders::default();
        for index in 0..1_000_u64 {
            offenders.note(Instant::ZERO, index, at(1), 1);
            offenders.note(Instant::ZERO, index, at(u8::try_from(2 + index % 200).unwrap()), 1);
        }
        let list = offenders.list();
        assert_eq!(list.len(), OFFENDERS_MAX);
        assert!(list[0].address == at(1) && list[0].packets >= 1_000, "{list:?}");
        assert_eq!(offenders.packets(), 2_000);
    }

    #[test]
    fn of_two_lists_the_most_frequent_stay_and_whoever_is_on_both_is_counted_once() {
        let list = |hosts: &[(u8, u64)], wall_ms| {
            let mut offenders = Offenders::default();
            hosts
                .iter()
                .for_each(|&(host, packets)| offenders.note(Instant::ZERO, wall_ms, at(host), packets));
            offenders
        };
        let mut one = list(&[(1, 10), (2, 3), (3, 5)], 20);
        one.join(&list(&[(1, 4), (4, 1), (5, 9), (6, 2)], 10));
        let told: Vec<_> = one.list().iter().map(|one| (one.address, one.packets)).collect();
        assert_eq!(told, [(at(1), 14), (at(5), 9), (at(3), 5), (at(2), 3)]);
        assert_eq!((one.list()[0].first_ms, one.list()[0].last_ms, one.packets()), (10, 20, 34));
        let mut none = Offenders::default();
        none.join(&one);
        assert_eq!((none.list(), none.packets()), (one.list(), 34));
    }

    #[test]
    fn who_sent_long_before_is_early_and_who_began_just_now_is_not() {
        let mut offenders = Offenders::default();
        offenders.note(Instant::from_millis(0), 0, at(1), 1);
        offenders.note(Instant::from_millis(500), 0, at(2), 1);
        let early: Vec<IpAddr> = offenders.early(Instant::from_millis(1_000)).into_iter().flatten().collect();
        assert_eq!(early, [at(1).ip()]);
    }
}
