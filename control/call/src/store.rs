//! What the exchange asks of the store, and what the store answers.

use ledger::{Amount, Quote};
use serde::{Deserialize, Serialize};

use crate::{AccountId, CallId, Cdr, JournalEntry};

/// One durable step. The reply comes after the step can no longer be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoreRequest {
    /// Hold what the balance affords of `quote`, in whole increments up to `max_seconds`, and write the
    /// journal row in the same transaction. A repeat with the same call is the same hold.
    /// Answered by `Authorized`, `Refused` or `Failed`; a refusal writes nothing.
    Authorize {
        /// The key of the hold.
        call: CallId,
        /// Whose balance.
        account: AccountId,
        /// What may be charged later: every price that may be in force when somebody answers.
        quote: Box<Quote>,
        /// The longest time worth holding for, in seconds.
        max_seconds: u32,
        /// When the hold frees itself, if nobody settles it: milliseconds since the Unix epoch.
        expires_at_ms: u64,
        /// The call's first journal row.
        journal: Box<JournalEntry>,
    },
    /// Write or replace the call's journal row. Answered by `Done` or `Failed`.
    Journal {
        /// The key of the row.
        call: CallId,
        /// The row.
        journal: Box<JournalEntry>,
    },
    /// Post `charge` (at most the hold), free the rest, write the CDR with its outbox row and remove the
    /// journal row, in one transaction; idempotent by call. A call without a hold has charge 0.
    /// Answered by `Done` or `Failed`; the exchange repeats it until it is done.
    Settle {
        /// The key of all of it.
        call: CallId,
        /// What to post.
        charge: Amount,
        /// The record.
        cdr: Box<Cdr>,
    },
}

/// The store's answer to one [`StoreRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StoreReply {
    /// The hold stands.
    Authorized {
        /// How much is held.
        held: Amount,
        /// How long the call may last on it.
        seconds: u32,
    },
    /// The balance does not cover the connection fee and the first interval.
    Refused {
        /// What there was.
        available: Amount,
    },
    /// The step is durable.
    Done,
    /// The step did not happen and the store knows why.
    Failed {
        /// For the log.
        reason: String,
    },
}
