//! The incarnations of owners, over all shards.

use std::collections::HashMap;

use ng::Command;

/// The highest epoch seen of each owner.
///
/// Each shard knows the epochs it has met. Here they are known for all of them: a control process
/// that was replaced must not go on driving calls of a shard its successor has not spoken to yet.
pub(crate) struct Epochs {
    /// By owner: the epoch, and when it was last named.
    seen: HashMap<String, (u64, u64)>,
    asked: u64,
}

impl Epochs {
    /// No owner was seen.
    pub(crate) fn new() -> Self {
        Self { seen: HashMap::new(), asked: 0 }
    }

    /// Whether a command is not from an older incarnation than one that was seen; it is, then, noted.
    pub(crate) fn admit(&mut self, command: &Command) -> bool {
        let Some((owner, epoch)) = named(command) else { return true };
        self.asked += 1;
        if let Some((last, asked)) = self.seen.get_mut(owner) {
            if epoch < *last {
                return false;
            }
            (*last, *asked) = (epoch, self.asked);
            return true;
        }
        if self.seen.len() >= OWNERS_MAX {
            // The shards still know the one that is forgotten.
            let idle = self.seen.iter().min_by_key(|(_, (_, asked))| *asked).map(|(owner, _)| owner.clone());
            idle.map(|owner| self.seen.remove(&owner));
        }
        self.seen.insert(owner.to_owned(), (epoch, self.asked));
        true
    }
}

/// The owner a command names, and its epoch, which is 0 if it is not named.
fn named(command: &Command) -> Option<(&str, u64)> {
    let (owner, epoch) = match command {
        Command::Offer(signal) | Command::Answer(signal) => (signal.owner.as_deref(), signal.epoch),
        Command::SubscribeRequest(request) => (request.signal.owner.as_deref(), request.signal.epoch),
        Command::SubscribeAnswer(answer) => (answer.signal.owner.as_deref(), answer.signal.epoch),
        Command::Publish(publish) => (publish.signal.owner.as_deref(), publish.signal.epoch),
        Command::Connect(connect) => (connect.signal.owner.as_deref(), connect.signal.epoch),
        Command::Delete(delete) => (delete.owner.as_deref(), delete.epoch),
        Command::Lease(lease) => (Some(lease.owner.as_str()), Some(lease.epoch)),
        Command::ReportAck(ack) => (ack.owner.as_deref(), ack.epoch),
        _ => return None,
    };
    Some((owner?, epoch.unwrap_or(0)))
}

/// Owners remembered at most; the one that was silent for longest is forgotten.
const OWNERS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use ng::{Lease, List};

    use super::*;

    fn lease(owner: &str, epoch: u64) -> Command {
        Command::Lease(Lease { owner: owner.to_owned(), epoch, ..Lease::default() })
    }

    #[test]
    fn an_older_incarnation_is_refused_and_a_newer_one_takes_over() {
        let mut epochs = Epochs::new();
        assert!(epochs.admit(&lease("a", 5)) && epochs.admit(&lease("a", 5)));
        assert!(epochs.admit(&lease("a", 6)));
        assert!(!epochs.admit(&lease("a", 5)));
        assert!(epochs.admit(&lease("b", 1)), "each owner has its own");
        assert!(epochs.admit(&Command::List(List { limit: 1, owner: Some("a".to_owned()) })));
    }

    #[test]
    fn memory_is_bounded_and_the_silent_go_first() {
        let mut epochs = Epochs::new();
        for number in 0..OWNERS_MAX * 3 {
            assert!(epochs.admit(&lease(&number.to_string(), 7)));
            assert!(epochs.admit(&lease("busy", 7)));
            assert!(epochs.seen.len() <= OWNERS_MAX);
        }
        assert!(!epochs.admit(&lease("busy", 6)));
    }
}
