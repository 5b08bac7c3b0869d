//! Where calls are that are not where the hash puts them: the exceptions of `adr/0002-a-keyed-hash-places-calls.md`.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Calls that have moved, by each of their names. An entry lives until the worker has neither a call nor a report of that name.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: BTreeMap<String, Place>,
    /// When it is asked next which of them are over.
    due_ns: u64,
    /// Where the asking goes on.
    asked: String,
}

#[derive(Debug)]
struct Place {
    shard: usize,
    /// The last command that was sent there for it.
    touched: u64,
}

impl Places {
    /// Where a call is that has moved.
    pub(super) fn of(&self, name: &str) -> Option<usize> {
        self.places.get(name).map(|place| place.shard)
    }

    /// A command of this number is about to go to a call.
    pub(super) fn touch(&mut self, name: &str, id: u64) {
        if let Some(place) = self.places.get_mut(name) {
            place.touched = id;
        }
    }

    /// A call has moved; `home` is where the hash puts it.
    pub(super) fn set(&mut self, name: String, shard: usize, home: usize, id: u64) {
        if shard == home {
            self.places.remove(&name);
        } else {
            self.places.insert(name, Place { shard, touched: id });
        }
    }

    /// Whether one more call may move.
    pub(super) fn has_room(&self) -> bool {
        self.places.len() + NAMES_MAX <= PLACES_MAX
    }

    /// When it is to be asked which are over.
    pub(super) fn due_ns(&self) -> Option<u64> {
        (!self.places.is_empty()).then_some(self.due_ns)
    }

    /// Whether that is now.
    pub(super) fn is_due(&self, now_ns: u64) -> bool {
        self.due_ns().is_some_and(|due_ns| due_ns <= now_ns)
    }

    /// What each worker is asked about: a bounded number of names, in turn.
    pub(super) fn questions(&mut self, now_ns: u64) -> BTreeMap<usize, Vec<String>> {
        self.due_ns = now_ns.saturating_add(ASK_EVERY_NS);
        let mut questions: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let behind = (Bound::Excluded(std::mem::take(&mut self.asked)), Bound::Unbounded);
        let mut names = self.places.range::<String, _>(behind).peekable();
        for (name, place) in names.by_ref().take(ASKED_AT_ONCE) {
            questions.entry(place.shard).or_default().push(name.clone());
            self.asked.clone_from(name);
        }
        if names.peek().is_none() {
            self.asked.clear();
        }
        questions
    }

    /// Names that led to nothing when question `id` was answered. One to which a command went since stays.
    pub(super) fn forget(&mut self, id: u64, names: &[String]) {
        for name in names {
            if self.places.get(name).is_some_and(|place| place.touched < id) {
                self.places.remove(name);
            }
        }
    }
}

/// Names of calls that are elsewhere at most.
const PLACES_MAX: usize = 16_384;

/// Names that one call may have at most.
const NAMES_MAX: usize = 33;

/// How often, and about how many at once, the workers are asked.
const ASK_EVERY_NS: u64 = 1_000_000_000;
const ASKED_AT_ONCE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_until_the_worker_has_nothing_of_that_name() {
        let mut places = Places::default();
        places.set("home".to_owned(), 1, 1, 1);
        assert_eq!((places.of("home"), places.due_ns()), (None, None));
        places.set("away".to_owned(), 2, 1, 1);
        assert_eq!((places.of("away"), places.of("other")), (Some(2), None));
        let question = || [(2, vec!["away".to_owned()])];
        assert!(places.is_due(0));
        assert_eq!(places.questions(0), question().into());
        assert!(!places.is_due(ASK_EVERY_NS - 1) && places.is_due(ASK_EVERY_NS));
        places.touch("away", 6);
        places.forget(5, &["away".to_owned(), "other".to_owned()]);
        assert_eq!(places.of("away"), Some(2), "a command went there since");
        places.forget(7, &["away".to_owned()]);
        assert_eq!(places.of("away"), None);
    }

    #[test]
    fn all_are_asked_about_in_turn_and_their_number_is_bounded() {
        let mut places = Places::default();
        let mut count = 0;
        while places.has_room() {
            places.set(format!("{count}"), count % 3, 3, 0);
            count += 1;
        }
        assert_eq!(count, PLACES_MAX - NAMES_MAX + 1);
        let mut asked = std::collections::BTreeSet::new();
        for _round in 0..count.div_ceil(ASKED_AT_ONCE) {
            let questions = places.questions(0);
            assert!(questions.values().map(Vec::len).sum::<usize>() <= ASKED_AT_ONCE);
            asked.extend(questions.into_values().flatten());
        }
        assert_eq!(asked.len(), count);
        places.set("home".to_owned(), 1, 1, 0);
        assert_eq!(places.questions(0).values().map(Vec::len).sum::<usize>(), ASKED_AT_ONCE, "and again");
    }
}
