//! What was counted, answered and kept, against what was seen.

use engine_core::{Counters, DropReason};

/// What was seen of one shard.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Refusals among the replies.
    pub(crate) refused: u64,
    /// Faults that struck.
    pub(crate) faults: u64,
    /// Errors of sockets that were handed in.
    pub(crate) socket_errors: u64,
    /// Reports that had to be kept.
    pub(crate) kept: u64,
    /// When owners were told last of calls that were refused.
    pub(crate) refusals_told: Option<u64>,
    /// Reports that were acknowledged.
    pub(crate) acknowledged: u64,
}

/// What came out because of one input.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) transmits: u64,
    pub(crate) transmit_bytes: u64,
    pub(crate) copies: u64,
    pub(crate) copies_bytes: u64,
}

impl Books {
    /// After every input.
    ///
    /// # Panics
    /// Something does not add up.
    pub(crate) fn check(&self, before: &Counters, after: &Counters, datagram: Option<usize>, seen: &Seen) {
        let received = u64::from(datagram.is_some());
        assert_eq!(after.packets_received - before.packets_received, received, "datagrams received");
        let bytes = datagram.unwrap_or_default() as u64;
        assert_eq!(after.bytes_received - before.bytes_received, bytes, "bytes received");
        assert_eq!(
            after.packets_received,
            after.packets_sent + after.drops_total(),
            "each datagram is sent on or dropped for one reason"
        );
        assert_eq!(after.packets_sent - before.packets_sent, seen.transmits, "datagrams sent on");
        assert_eq!(after.bytes_sent - before.bytes_sent, seen.transmit_bytes, "bytes sent on");
        assert_eq!(after.copies_sent - before.copies_sent, seen.copies, "copies sent");
        assert_eq!(after.copies_bytes - before.copies_bytes, seen.copies_bytes, "bytes of copies");
        assert_eq!(after.faults, self.faults, "panics, and those that were asked for");
        assert_eq!(after.commands_refused, self.refused, "refusals counted, and those that went out");
        assert_eq!(after.socket_errors, self.socket_errors, "errors of sockets");
        assert_eq!(
            self.kept,
            after.reports_live + after.reports_lost + self.acknowledged,
            "each report that was asked for is kept once, and then lost or acknowledged"
        );
    }
}

/// The reason of the one drop between two states.
pub(crate) fn reason(before: &Counters, after: &Counters) -> Option<DropReason> {
    DropReason::ALL.into_iter().find(|&reason| after.drops(reason) > before.drops(reason))
}
