//! What was dropped or refused, by reason.

use std::fmt;

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident $text:literal),* $(,)?) => {
        /// Why a message went no further.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it stands in a metric label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// A datagram that only keeps a NAT binding open.
    KeepAlive "keep_alive",
    /// The bytes are no message and cannot be answered.
    Malformed "malformed",
    /// The bytes are no valid request; 400, 505 or 513 was sent.
    Refused "refused",
    /// The table of server transactions is full; 503 was sent.
    ServersFull "servers_full",
    /// One source holds its share of server transactions; 503 was sent.
    SourceFull "source_full",
    /// The table of client transactions is full; the user got a transport error.
    ClientsFull "clients_full",
    /// The request came twice over different paths; 482 was sent (RFC 3261 §8.2.2.2).
    Merged "merged",
    /// A CANCEL for no transaction; 481 was sent.
    CancelUnmatched "cancel_unmatched",
    /// A response with more than our Via (RFC 3261 §8.1.3.3).
    ResponseMisrouted "response_misrouted",
    /// A response of the user for a transaction that is gone or already answered.
    ResponseLate "response_late",
    /// A provisional response of the user to a non-INVITE request (RFC 4320 §4.1).
    ProvisionalForbidden "provisional_forbidden",
    /// A 408 of the user to a non-INVITE request (RFC 4320 §4.2).
    TimeoutForbidden "timeout_forbidden",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Counts by [`DropReason`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; DropReason::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl Counters {
    /// How often `reason` happened.
    #[must_use]
    pub const fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.iter().map(|&reason| (reason, self.get(reason)))
    }

    pub(crate) const fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] = self.0[reason as usize].saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_label() {
        let mut counters = Counters::default();
        counters.count(DropReason::Merged);
        assert_eq!(counters.iter().filter(|(_, n)| *n == 1).count(), 1);
        let labels: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(labels.len(), DropReason::ALL.len());
    }
}
