//! The event log: sequenced, bounded, read by long polls (`adr/0008-events-are-a-sequenced-ring.md`).

use std::collections::VecDeque;

use ng::{Event, EventBatch};

/// The last events of the engine, each with its number.
pub(crate) struct EventLog {
    instance: String,
    events: VecDeque<Event>,
    /// The number of the next event; the first one's is 1.
    next: u64,
    /// The number of the last event that was lost on its way here; 0 if none was.
    lost: u64,
}

impl EventLog {
    /// An empty log of the process that calls itself `instance`.
    pub(crate) fn new(instance: String) -> Self {
        Self { instance, events: VecDeque::new(), next: 1, lost: 0 }
    }

    /// Who the log is of.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// Gives an event its number and keeps it; the oldest goes if there are too many.
    pub(crate) fn push(&mut self, mut event: Event) {
        event.sequence = self.next;
        self.next += 1;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
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
        let oldest = self.events.front().map_or(self.next, |event| event.sequence);
        let gap = since > self.next || (since != 0 && (since < oldest || since <= self.lost));
        let start = if since > self.next { oldest } else { since.max(oldest) };
        let skipped = self.events.partition_point(|event| event.sequence < start);
        let mut next = self.next;
        let mut events = Vec::new();
        for event in self.events.iter().skip(skipped) {
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

/// Events kept at most: 30 s of reports of 500 calls with an owner, about 10 MiB.
const EVENTS_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use ng::EventKind;

    use super::*;

    fn log(owners: &[&str]) -> EventLog {
        let mut log = EventLog::new("i".to_owned());
        for owner in owners {
            log.push(Event {
                sequence: 0,
                call_id: "c".to_owned(),
                owner: Some((*owner).to_owned()),
                wall_ms: 0,
                kind: EventKind::CallReport { legs: Vec::new() },
            });
        }
        log
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
        log.push(log.events[0].clone());
        let batch = log.batch(4, None, 64);
        assert_eq!((numbers(&batch), batch.next, batch.gap), (vec![4], 5, false));
    }

    #[test]
    fn what_was_pushed_out_is_a_gap() {
        let log = log(&vec!["a"; EVENTS_MAX + 5]);
        assert_eq!(log.events.len(), EVENTS_MAX);
        let batch = log.batch(1, None, 64);
        assert!(batch.gap);
        assert_eq!(numbers(&batch)[0], 6);
        assert!(!log.batch(6, None, 64).gap);
        assert!(!log.batch(0, None, 64).gap, "who asks for whatever there is has missed nothing");
        assert!(log.batch(99_999_999, None, 64).gap);
    }
}
