//! Which port pair comes next: a seeded permutation, so that nobody outside can guess it
//! (`adr/0002-ports-are-divided-by-a-seeded-permutation.md`).

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// One shard's part of the port range. All shards of an engine are given the same range and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// Lowest port that may be used.
    pub min: u16,
    /// Highest port that may be used.
    pub max: u16,
    /// This shard, from 0.
    pub shard: u16,
    /// How many shards share the range.
    pub shards: u16,
    /// Of the permutation that divides the range among the shards.
    pub seed: u64,
}

impl PortRange {
    /// The whole range for one shard.
    pub const fn whole(min: u16, max: u16, seed: u64) -> Self {
        Self { min, max, shard: 0, shards: 1, seed }
    }

    /// The RTP ports of this shard, in the order in which they are first used.
    fn pairs(&self) -> VecDeque<u16> {
        self.all().into_iter().skip(self.shard.into()).step_by(usize::from(self.shards.max(1))).collect()
    }

    /// Those of every shard, dealt out in turn.
    fn all(&self) -> Vec<u16> {
        let first = self.min.max(2).div_ceil(2);
        let last = u32::from(self.max).div_ceil(2);
        let mut all: Vec<u16> =
            (u32::from(first)..last).filter_map(|half| u16::try_from(half * 2).ok()).collect();
        let mut rng = StdRng::seed_from_u64(self.seed);
        for index in (1..all.len()).rev() {
            all.swap(index, rng.random_range(0..=index));
        }
        all
    }
}

/// Which shard each port belongs to from the start; a call that moves takes its ports along, and others come for them.
#[derive(Debug)]
pub(crate) struct PortShards {
    own: u16,
    /// By half the port; that of no shard is not one of the range.
    shards: Vec<u16>,
}

impl PortShards {
    pub(crate) fn of(range: &PortRange) -> Self {
        let mut shards = vec![u16::MAX; usize::from(range.max / 2) + 1];
        for (port, shard) in range.all().into_iter().zip((0..range.shards.max(1)).cycle()) {
            shards[usize::from(port / 2)] = shard;
        }
        Self { own: if range.shards <= 1 { 0 } else { range.shard }, shards }
    }

    /// The shard that asks.
    pub(crate) fn own(&self) -> u16 {
        self.own
    }

    /// Whose a port is; `None` for one outside the range.
    pub(crate) fn shard_of(&self, port: u16) -> Option<u16> {
        self.shards.get(usize::from(port / 2)).copied().filter(|shard| *shard != u16::MAX)
    }

    /// Whether there is no other shard.
    pub(crate) fn is_alone(&self) -> bool {
        self.shards.iter().all(|shard| *shard == self.own || *shard == u16::MAX)
    }

    /// Whether it is that of the shard that asks.
    pub(crate) fn is_own(&self, port: u16) -> bool {
        self.shard_of(port) == Some(self.own)
    }
}

/// The free port pairs of one address.
///
/// A pair that was freed goes to the end of the queue: it rests for as long as the others last,
/// so that late packets of an old call seldom meet a new one.
#[derive(Debug)]
pub(crate) struct Ports {
    free: VecDeque<u16>,
}

impl Ports {
    pub(crate) fn new(range: &PortRange) -> Self {
        Self { free: range.pairs() }
    }

    /// The RTP port of a pair that is free, an even number; RTCP's is the next one.
    pub(crate) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    pub(crate) fn give_back(&mut self, rtp_port: u16) {
        debug_assert!(rtp_port.is_multiple_of(2));
        self.free.push_back(rtp_port);
    }

    pub(crate) fn free_count(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn drain(range: PortRange) -> Vec<u16> {
        let mut ports = Ports::new(&range);
        std::iter::from_fn(|| ports.take()).collect()
    }

    #[test]
    fn pairs_are_even_and_whole_within_the_range() {
        assert_eq!(drain(PortRange::whole(41_001, 41_004, 1)), [41_002]);
        assert_eq!(drain(PortRange::whole(41_000, 41_001, 1)), [41_000]);
        assert_eq!(drain(PortRange::whole(41_000, 41_000, 1)), [] as [u16; 0]);
        assert_eq!(drain(PortRange::whole(2, 1, 1)), [] as [u16; 0]);
        let mut top = drain(PortRange::whole(65_530, u16::MAX, 1));
        top.sort_unstable();
        assert_eq!(top, [65_530, 65_532, 65_534]);
        assert!(!drain(PortRange::whole(0, 100, 1)).contains(&0));
    }

    #[test]
    fn shards_divide_the_range_without_overlap() {
        let mut seen = HashSet::new();
        for shard in 0..3 {
            for port in drain(PortRange { min: 20_000, max: 29_999, shard, shards: 3, seed: 7 }) {
                assert!(seen.insert(port), "{port} belongs to two shards");
            }
        }
        assert_eq!(seen.len(), 5_000);
    }

    #[test]
    fn every_shard_knows_whose_a_port_is() {
        let range = |shard| PortRange { min: 20_000, max: 20_999, shard, shards: 3, seed: 7 };
        for shard in 0..3 {
            let shards = PortShards::of(&range((shard + 1) % 3));
            assert!(drain(range(shard)).iter().all(|port| shards.shard_of(port + 1) == Some(shard)));
            assert!(drain(range((shard + 1) % 3)).iter().all(|port| shards.is_own(*port)));
            assert!(!shards.is_alone());
            assert_eq!([19_999, 21_000, 65_535, 0].map(|port| shards.shard_of(port)), [None; 4]);
        }
        let alone = PortShards::of(&PortRange { shard: 2, shards: 1, ..range(0) });
        assert!(alone.is_own(20_000) && alone.is_own(20_999) && !alone.is_own(1) && alone.is_alone());
    }

    #[test]
    fn the_order_is_a_matter_of_the_seed_and_not_ascending() {
        let one = drain(PortRange::whole(20_000, 29_999, 1));
        assert_eq!(one, drain(PortRange::whole(20_000, 29_999, 1)));
        assert_ne!(one, drain(PortRange::whole(20_000, 29_999, 2)));
        assert!(!one.is_sorted());
    }

    #[test]
    fn a_freed_pair_rests_behind_all_others() {
        let mut ports = Ports::new(&PortRange::whole(20_000, 20_007, 3));
        let first = ports.take().unwrap();
        ports.give_back(first);
        let rest: Vec<u16> = std::iter::from_fn(|| ports.take()).collect();
        assert_eq!(rest.len(), 4);
        assert_eq!(rest[3], first);
    }

    /// Pearson's statistic of counts that should be alike.
    fn unevenness(counts: &[u64]) -> f64 {
        let count = f64::from(u32::try_from(counts.iter().sum::<u64>()).unwrap());
        let expected = count / f64::from(u32::try_from(counts.len()).unwrap());
        let square = |&seen: &u64| (f64::from(u32::try_from(seen).unwrap()) - expected).powi(2) / expected;
        counts.iter().map(square).sum()
    }

    #[test]
    fn each_pair_is_as_likely_as_any_other_and_says_nothing_of_the_next() {
        // With 99 degrees of freedom 148 is passed by chance once in a thousand; the seeds are always these.
        let (mut first, mut step) = ([0; 100], [0; 100]);
        for seed in 0..4_000 {
            let mut ports = Ports::new(&PortRange::whole(30_000, 30_999, seed));
            let pair = |ports: &mut Ports| usize::from((ports.take().unwrap() - 30_000) / 2);
            let (one, other) = (pair(&mut ports), pair(&mut ports));
            first[one / 5] += 1;
            step[(other + 500 - one) % 500 / 5] += 1;
        }
        assert!(unevenness(&first) < 148.0, "{first:?}");
        assert!(unevenness(&step) < 148.0, "{step:?}");
        // The ports of a few calls lie all over the default range.
        let some: Vec<u16> = drain(PortRange::whole(30_000, 39_999, 7)).into_iter().take(500).collect();
        let mut tenths = [0; 10];
        some.iter().for_each(|port| tenths[usize::from((port - 30_000) / 1_000)] += 1);
        assert!(unevenness(&tenths) < 28.0, "{tenths:?}");
    }
}
