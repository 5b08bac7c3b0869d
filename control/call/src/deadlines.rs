//! Everything that waits for time, in one ordered set.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Deadlines by (owner, kind): at most one each, so that the set is as bounded as its owners.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    ordered: BTreeSet<(Instant, K)>,
    armed: HashMap<K, Instant>,
}

impl<K: Copy + Ord + std::hash::Hash> Deadlines<K> {
    pub(crate) fn new() -> Self {
        Self { ordered: BTreeSet::new(), armed: HashMap::new() }
    }

    /// Sets the deadline of `key`, in place of an earlier one.
    pub(crate) fn arm(&mut self, key: K, at: Instant) {
        self.disarm(key);
        self.ordered.insert((at, key));
        self.armed.insert(key, at);
    }

    /// Removes the deadline of `key`, if there is one.
    pub(crate) fn disarm(&mut self, key: K) {
        if let Some(at) = self.armed.remove(&key) {
            self.ordered.remove(&(at, key));
        }
    }

    /// Whether `key` waits.
    pub(crate) fn is_armed(&self, key: &K) -> bool {
        self.armed.contains_key(key)
    }

    /// Takes one deadline that has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.ordered.first()?;
        if at > now {
            return None;
        }
        self.disarm(key);
        Some(key)
    }

    /// The next one to come.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.ordered.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ordered.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_a_new_time_replaces_the_old() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new();
        deadlines.arm(1, start + Duration::from_secs(3));
        deadlines.arm(2, start + Duration::from_secs(2));
        deadlines.arm(1, start + Duration::from_secs(1));
        assert_eq!(deadlines.len(), 2);
        assert_eq!(deadlines.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(deadlines.pop(start), None);
        assert_eq!(deadlines.pop(start + Duration::from_secs(2)), Some(1));
        deadlines.disarm(2);
        assert_eq!(deadlines.pop(start + Duration::from_secs(9)), None);
    }
}
