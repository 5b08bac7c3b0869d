//! What the streams count.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection was refused or ended by us, and what else is counted of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// Connections taken.
    Accepted,
    /// Connections from an address that is not answered, closed at once.
    NotAllowed,
    /// Connections beyond what a listener has at once, closed at once.
    ConnectionsFull,
    /// The kernel gave no connection, usually for want of descriptors.
    AcceptFailed,
    /// No TLS in time, or a certificate whose key is not pinned.
    HandshakeFailed,
    /// Nothing was asked for a long time.
    Idle,
    /// A message did not become whole in time.
    MessageTimeout,
    /// Bytes that are no message.
    Unframed,
    /// A message without a cookie where one must be.
    NoCookie,
    /// The peer does not read its answers.
    SlowReader,
    /// The door had no room, so that the question was given up.
    DoorFull,
    /// A web page, not a client, asked.
    Browser,
    /// Somebody who may only look asked for more.
    NoRight,
}

impl Count {
    /// Every one of them.
    const ALL: [Self; 13] = [
        Self::Accepted,
        Self::NotAllowed,
        Self::ConnectionsFull,
        Self::AcceptFailed,
        Self::HandshakeFailed,
        Self::Idle,
        Self::MessageTimeout,
        Self::Unframed,
        Self::NoCookie,
        Self::SlowReader,
        Self::DoorFull,
        Self::Browser,
        Self::NoRight,
    ];

    /// Its name as a metric's label.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotAllowed => "not_allowed",
            Self::ConnectionsFull => "connections_full",
            Self::AcceptFailed => "accept_failed",
            Self::HandshakeFailed => "handshake_failed",
            Self::Idle => "idle",
            Self::MessageTimeout => "message_timeout",
            Self::Unframed => "unframed",
            Self::NoCookie => "no_cookie",
            Self::SlowReader => "slow_reader",
            Self::DoorFull => "door_full",
            Self::Browser => "browser",
            Self::NoRight => "no_right",
        }
    }
}

/// Counts of the edge since its start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counts: [AtomicU64; Count::ALL.len()],
    /// Connections open now.
    live: AtomicU64,
}

impl Counters {
    /// One more.
    pub(super) fn count(&self, what: Count) {
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A connection begins; it ends when the value returned is dropped.
    pub(super) fn open(self: &std::sync::Arc<Self>) -> Open {
        self.count(Count::Accepted);
        self.live.fetch_add(1, Ordering::Relaxed);
        Open(std::sync::Arc::clone(self))
    }

    /// Each count and its name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Count::ALL.into_iter().map(|what| (what.as_str(), self.counts[what as usize].load(Ordering::Relaxed)))
    }

    /// Connections open now.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Open(std::sync::Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_count_has_its_own_place_and_name() {
        let counters = Arc::new(Counters::default());
        for (index, what) in Count::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, index);
            counters.count(what);
        }
        assert!(counters.named().all(|(_, count)| count == 1));
        let names: std::collections::HashSet<_> = counters.named().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Count::ALL.len());
        let open = counters.open();
        assert_eq!(counters.live(), 1);
        drop(open);
        assert_eq!(counters.live(), 0);
    }
}
