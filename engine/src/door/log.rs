//! The event log: sequenced, bounded, read by long polls (`adr/0008-events-are-a-sequenced-ring.md`).

use std::collections::VecDeque;

use ng::{Event, EventBatch};

/// The last events of the engine, each with its number.
///
/// Events of calls that somebody drives have a ring of their own: whatever strangers do to other calls, none of them
/// is pushed out by it.
pub(crate) struct EventLog {
    instance: String,
    owned: Ring,
    others: Ring,
    /// The number of the next event; the first one's is 1.
    next: u64,
    /// The number of the last event that was lost on its way here; 0 if none was.
    lost: u64,
}

/// Some of the events, in their order.
struct Ring {
    events: VecDeque<Event>,
    events_max: usize,
    /// The number of the last event that was pushed out; 0 if none was.
    gone: u64,
}

impl Ring {
    fn new(events_max: usize) -> Self {
        Self { events: VecDeque::new(), events_max, gone: 0 }
    }

    /// Keeps an event; the oldest goes if there are too many.
    fn push(&mut self, event: Event) {
        if self.events.len() == self.events_max {
            self.gone = self.events.pop_front().map_or(self.gone, |event| event.sequence);
        }
        self.events.push_back(event);
    }

    /// Events from number `since` on.
    fn since(&self, since: u64) -> impl Iterator<Item = &Event> {
        self.events.range(self.events.partition_point(|event| event.sequence < since)..)
    }
}

impl EventLog {
    /// An empty log of the process that calls itself `instance`.
    pub(crate) fn new(instance: String) -> Self {
        let (owned, others) = (Ring::new(EVENTS_MAX), Ring::new(OTHERS_MAX));
        Self { instance, owned, others, next: 1, lost: 0 }
    }

    /// Who the log is of.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Gives an event its number and keeps it.
    pub(crate) fn push(&mut self, mut event: Event) {
        event.sequence = self.next;
        self.next += 1;
        if event.owner.is_some() { self.owned.push(event) } else { self.others.push(event) }
    }

    /// Notes that one or more events never came: they have a number, under which there is a gap.
    pub(crate) fn lose(&mut self) {
        self.lost = self.next;
        self.next += 1;
    }

    /// Events from number `since` on, of `owner` if one is named, at most `count_max`.
    ///
    /// `next` skips the events of others that were passed over. A `since` from the future, as of
    /// another instance, is a gap.
    pub(crate) fn batch(&self, since: u64, owner: Option<&str>, count_max: usize) -> EventBatch {
        let foreign = since > self.next;
        // What is nobody's is of no concern to an owner.
        let gone = if owner.is_some() { self.owned.gone } else { self.owned.gone.max(self.others.gone) };
        let gap = foreign || (since != 0 && since <= gone.max(self.lost));
        let since = if foreign { 0 } else { since };
        let mut owned = self.owned.since(since).peekable();
        let mut others = self.others.since(since).filter(|_| owner.is_none()).peekable();
        let mut next = self.next;
        let mut events = Vec::new();
        loop {
            let of_owner = match (owned.peek(), others.peek()) {
                (Some(one), Some(other)) => one.sequence < other.sequence,
                (one, _) => one.is_some(),
            };
            let Some(event) = (if of_owner { owned.next() } else { others.next() }) else { break };
            if owner.is_some() && event.owner.as_deref() != owner {
                continue;
            }
            if events.len() == count_max {
                next = event.sequence;
                break;
            }
            events.push(event.clone());
        }
        EventBatch { instance: self.instance.clone(), next, gap, events }
    }
}

/// Events of calls with an owner that are kept at most: 30 s of reports of 500 calls, about 10 MiB.
const EVENTS_MAX: usize = 16_384;

/// Events of all other calls that are kept at most.
const OTHERS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use ng::EventKind;

    use super::*;

    /// A log of events of these owners; an empty name is no owner.
    fn log(owners: &[&str]) -> EventLog {
        let mut log = EventLog::new("i".to_owned());
        owners.iter().for_each(|owner| log.push(event(owner)));
        log
    }

    fn event(owner: &str) -> Event {
        Event {
            sequence: 0,
            call_id: "c".to_owned(),
            owner: Some(owner.to_owned()).filter(|owner| !owner.is_empty()),
            wall_ms: 0,
            kind: EventKind::CallReport { legs: Vec::new() },
        }
    }

    fn numbers(batch: &EventBatch) -> Vec<u64> {
        batch.events.iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn events_are_numbered_from_one_and_read_from_anywhere() {
        let log = log(&["a", "a", "a"]);
        let batch = log.batch(0, None, 64);
        assert_eq!((numbers(&batch), batch.next, batch.gap), (vec![1, 2, 3], 4, false));
        let batch = log.batch(3, None, 64);
        assert_eq!((numbers(&batch), batch.next), (vec![3], 4));
        let batch = log.batch(4, None, 64);
        assert_eq!((numbers(&batch), batch.next, batch.gap), (vec![], 4, false));
    }

    #[test]
    fn a_full_batch_says_where_to_go_on() {
        let log = log(&["a"; 70]);
        let first = log.batch(1, None, 64);
        assert_eq!((first.events.len(), first.next), (64, 65));
        assert_eq!(numbers(&log.batch(first.next, None, 64)), [65, 66, 67, 68, 69, 70]);
        assert_eq!(log.batch(1, None, 2).next, 3);
    }

    #[test]
    fn an_owner_sees_only_its_own() {
        let log = log(&["a", "b", "a", "b"]);
        let batch = log.batch(1, Some("b"), 64);
        assert_eq!((numbers(&batch), batch.next), (vec![2, 4], 5));
        let batch = log.batch(1, Some("b"), 1);
        assert_eq!((numbers(&batch), batch.next), (vec![2], 4));
        assert_eq!(log.batch(1, Some("c"), 64).next, 5);
    }

    #[test]
    fn what_was_lost_is_a_gap_until_it_was_heard_of() {
        let mut log = log(&["a", "a"]);
        log.lose();
        let batch = log.batch(2, None, 64);
        assert_eq!((numbers(&batch), batch.next, batch.gap), (vec![2], 4, true));
        assert!(!log.batch(4, None, 64).gap);
        assert!(log.batch(3, Some("a"), 64).gap, "nobody knows whose it was");
        log.push(event("a"));
        let batch = log.batch(4, None, 64);
        assert_eq!((numbers(&batch), batch.next, batch.gap), (vec![4], 5, false));
    }

    #[test]
    fn what_was_pushed_out_is_a_gap() {
        let log = log(&vec!["a"; EVENTS_MAX + 5]);
        assert_eq!(log.owned.events.len(), EVENTS_MAX);
        let batch = log.batch(1, None, 64);
        assert!(batch.gap);
        assert_eq!(numbers(&batch)[0], 6);
        assert!(!log.batch(6, None, 64).gap);
        assert!(!log.batch(0, None, 64).gap, "who asks for whatever there is has missed nothing");
        assert!(log.batch(99_999_999, None, 64).gap);
    }

    #[test]
    fn what_is_nobodys_pushes_nothing_out_that_has_an_owner() {
        let mut log = log(&["a", "", "a"]);
        for _ in 0..OTHERS_MAX * 3 {
            log.push(event(""));
        }
        let mine = log.batch(1, Some("a"), 64);
        assert_eq!((numbers(&mine), mine.gap), (vec![1, 3], false));
        let all = log.batch(1, None, 64);
        assert!(all.gap, "some of the others are gone");
        assert_eq!(numbers(&all)[..2], [1, 3]);
        let numbers = numbers(&log.batch(0, None, usize::MAX));
        assert!(numbers.is_sorted() && numbers.len() == OTHERS_MAX + 2);
        assert_eq!(mine.next, log.next);
    }
}
