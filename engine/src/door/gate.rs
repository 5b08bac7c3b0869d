//! The gate before the door: who may put requests into its mailbox, and how much may wait there.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::config::Peers;

/// Decides about a datagram before anything of it is copied. Shared by all listeners.
///
/// Requests share the door's mailbox with what the workers say. They may fill half of it, so that a
/// flood of them costs neither replies nor events, nor much memory.
#[derive(Debug)]
pub(crate) struct Gate {
    peers: RwLock<Peers>,
    /// Weight of the requests that wait.
    waiting: AtomicUsize,
    not_allowed: AtomicU64,
    full: AtomicU64,
}

impl Gate {
    /// A gate for these peers.
    pub(crate) fn new(peers: Peers) -> Self {
        Self {
            peers: RwLock::new(peers),
            waiting: AtomicUsize::new(0),
            not_allowed: AtomicU64::new(0),
            full: AtomicU64::new(0),
        }
    }

    /// Other peers from now on.
    pub(crate) fn set_peers(&self, peers: Peers) {
        *self.peers.write().unwrap_or_else(PoisonError::into_inner) = peers;
    }

    /// Whether a datagram of `bytes` may be handed on; [`taken`](Self::taken) follows if so.
    pub(crate) fn admit(&self, from: IpAddr, bytes: usize) -> bool {
        if !self.peers.read().unwrap_or_else(PoisonError::into_inner).allow(from) {
            self.not_allowed.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.make_room(bytes)
    }

    /// Whether a request of `bytes` by somebody who may ask finds room; [`taken`](Self::taken) follows if so.
    pub(crate) fn make_room(&self, bytes: usize) -> bool {
        let weight = weight(bytes);
        if self.waiting.fetch_add(weight, Ordering::Relaxed) + weight > WAITING_MAX {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            self.full.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// A datagram of `bytes` that was admitted waits no longer.
    pub(crate) fn taken(&self, bytes: usize) {
        self.waiting.fetch_sub(weight(bytes), Ordering::Relaxed);
    }

    /// A datagram of `bytes` that was admitted found no room after all.
    pub(crate) fn lost(&self, bytes: usize) {
        self.taken(bytes);
        self.full.fetch_add(1, Ordering::Relaxed);
    }

    /// Datagrams of addresses that are not answered.
    pub(crate) fn not_allowed(&self) -> u64 {
        self.not_allowed.load(Ordering::Relaxed)
    }

    /// Datagrams for which there was no room.
    pub(crate) fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }
}

/// What a datagram counts: its bytes and its place in the mailbox.
fn weight(bytes: usize) -> usize {
    bytes + PLACE
}

/// Weight of what may wait at most, in bytes.
const WAITING_MAX: usize = 8 << 20;

/// What a place in the mailbox counts, so that small datagrams do not take all of them.
const PLACE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    #[test]
    fn strangers_are_counted_and_take_no_room() {
        let gate = Gate::new(Peers::default());
        for _datagram in 0..1_000_000 {
            assert!(!gate.admit(IpAddr::from([192, 0, 2, 1]), 65_507));
        }
        assert_eq!((gate.not_allowed(), gate.full()), (1_000_000, 0));
        assert!(gate.admit(local(), 65_507));
    }

    #[test]
    fn requests_take_half_the_mailbox_at_most_and_little_memory() {
        for bytes in [1, 300, 65_507] {
            let gate = Gate::new(Peers::default());
            let mut admitted = 0;
            while gate.admit(local(), bytes) {
                admitted += 1;
            }
            assert!(admitted > 100 && admitted <= super::super::udp::MAIL_MAX / 2, "{admitted}");
            assert!(admitted * bytes <= 8 << 20);
            assert_eq!(gate.full(), 1);
            gate.taken(bytes);
            assert!(gate.admit(local(), bytes));
            assert!(!gate.admit(local(), bytes));
            gate.lost(bytes);
            assert_eq!(gate.full(), 3);
        }
    }
}
