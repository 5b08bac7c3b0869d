//! What the door counts.

/// Counts of the door since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DoorCounters {
    /// Requests that were new.
    pub(crate) requests: u64,
    /// Requests that had been seen, answered or running.
    pub(crate) repeats: u64,
    /// Requests answered with an error.
    pub(crate) errors: u64,
    /// Documents that could not be read, answered with an error.
    pub(crate) malformed: u64,
    /// Datagrams from an address that is not answered, dropped.
    pub(crate) not_allowed: u64,
    /// Datagrams without a cookie, dropped.
    pub(crate) no_cookie: u64,
    /// Datagrams with a cookie that is too long, dropped.
    pub(crate) cookie_too_long: u64,
    /// Datagrams of an address with too many requests unanswered, dropped.
    pub(crate) too_many_unanswered: u64,
    /// Commands of an older incarnation of their owner, refused.
    pub(crate) stale_epochs: u64,
    /// Requests refused because the shard's mailbox was full.
    pub(crate) overloaded: u64,
    /// Datagrams dropped because too much was waiting in the door's mailbox.
    pub(crate) mailbox_full: u64,
    /// Requests whose answer never came from the shard.
    pub(crate) never_answered: u64,
    /// Calls that moved to another worker, to be connected there.
    pub(crate) calls_moved: u64,
    /// Calls that found no room there and went back.
    pub(crate) calls_sent_back: u64,
    /// Replies the kernel would not send.
    pub(crate) sends_failed: u64,
}

impl DoorCounters {
    /// Each count, its name, and what it is of.
    pub(crate) fn named(&self) -> [(&'static str, &'static str, u64); 15] {
        [
            ("requests", "Requests that were new.", self.requests),
            ("repeats", "Requests that had been seen before.", self.repeats),
            ("errors", "Requests answered with an error.", self.errors),
            ("malformed", "Documents that could not be read, answered with an error.", self.malformed),
            ("not_allowed", "Datagrams from an address that is not answered, dropped.", self.not_allowed),
            ("no_cookie", "Datagrams without a cookie, dropped.", self.no_cookie),
            ("cookie_too_long", "Datagrams with a cookie that is too long, dropped.", self.cookie_too_long),
            (
                "too_many_unanswered",
                "Datagrams of an address with too many requests unanswered, dropped.",
                self.too_many_unanswered,
            ),
            ("stale_epochs", "Commands refused because their owner has begun anew since.", self.stale_epochs),
            ("overloaded", "Requests refused because a worker's mailbox was full.", self.overloaded),
            (
                "mailbox_full",
                "Datagrams dropped because too much was waiting for the door.",
                self.mailbox_full,
            ),
            ("never_answered", "Requests that a worker never answered.", self.never_answered),
            ("calls_moved", "Calls that moved to another worker, to be connected there.", self.calls_moved),
            (
                "calls_sent_back",
                "Calls that found no room on another worker and went back.",
                self.calls_sent_back,
            ),
            ("sends_failed", "Replies that the kernel would not send.", self.sends_failed),
        ]
    }

    /// The counts an operator should hear of: what was refused or dropped.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let named = self.named().into_iter().map(|(name, _, count)| (name, count));
        named.filter(|(name, _)| !["requests", "repeats", "errors", "calls_moved"].contains(name))
    }
}
