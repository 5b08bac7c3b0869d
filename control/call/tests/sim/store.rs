//! A store that keeps its promises, unless told not to.

use std::collections::{BTreeMap, BTreeSet};

use call::{AccountId, CallId, Cdr, JournalEntry, StoreReply, StoreRequest};
use ledger::Amount;

/// Balances, holds, journal and records, in memory.
#[derive(Default)]
pub(crate) struct ModelStore {
    pub(crate) balances: BTreeMap<AccountId, Amount>,
    pub(crate) holds: BTreeMap<CallId, (AccountId, Amount)>,
    /// Rows as they would be on disk.
    pub(crate) journal: BTreeMap<CallId, String>,
    pub(crate) cdrs: BTreeMap<CallId, Cdr>,
    /// Kinds of request that fail: `authorize`, `journal`, `settle`.
    pub(crate) failing: BTreeSet<&'static str>,
    /// How many requests were executed.
    pub(crate) executed: usize,
}

impl ModelStore {
    pub(crate) fn kind(request: &StoreRequest) -> &'static str {
        match request {
            StoreRequest::Authorize { .. } => "authorize",
            StoreRequest::Journal { .. } => "journal",
            StoreRequest::Settle { .. } => "settle",
        }
    }

    pub(crate) fn execute(&mut self, request: StoreRequest) -> StoreReply {
        self.executed += 1;
        if self.failing.contains(Self::kind(&request)) {
            return StoreReply::Failed { reason: "the disk is full".into() };
        }
        match request {
            StoreRequest::Authorize { call, account, quote, max_seconds, journal, .. } => {
                assert!(!self.holds.contains_key(&call) && !self.cdrs.contains_key(&call));
                let available = self.available(&account);
                let Some(coverage) = quote.hold_for(available, max_seconds) else {
                    return StoreReply::Refused { available };
                };
                self.holds.insert(call.clone(), (account, coverage.amount));
                self.write(&call, &journal);
                StoreReply::Authorized { held: coverage.amount, seconds: coverage.seconds }
            }
            StoreRequest::Journal { call, journal } => {
                assert!(!self.cdrs.contains_key(&call), "a settled call is journaled");
                self.write(&call, &journal);
                StoreReply::Done
            }
            StoreRequest::Settle { call, charge, cdr } => {
                assert_eq!(cdr.charge, charge);
                if let Some(before) = self.cdrs.get(&call) {
                    assert_eq!(*before, *cdr, "a repeat says the same");
                    return StoreReply::Done;
                }
                let hold = self.holds.remove(&call);
                match hold {
                    Some((account, held)) => {
                        assert!(charge <= held, "{charge} charged of {held}");
                        let balance = self.balances.get_mut(&account).expect("an account has a balance");
                        *balance = balance.checked_sub(charge).expect("no overflow");
                        assert!(!balance.is_negative());
                    }
                    None => assert!(charge.is_zero(), "a charge without hold"),
                }
                self.journal.remove(&call);
                self.cdrs.insert(call, *cdr);
                StoreReply::Done
            }
        }
    }

    /// The journal as a new process reads it.
    pub(crate) fn rows(&self) -> Vec<JournalEntry> {
        self.journal.values().map(|row| serde_json::from_str(row).expect("a row reads back")).collect()
    }

    pub(crate) fn available(&self, account: &AccountId) -> Amount {
        let balance = self.balances.get(account).copied().unwrap_or(Amount::ZERO);
        let held = self.holds.values().filter(|(holder, _)| holder == account);
        held.fold(balance, |left, (_, amount)| left.checked_sub(*amount).expect("no overflow"))
    }

    fn write(&mut self, call: &CallId, journal: &JournalEntry) {
        assert_eq!(*call, journal.call);
        let row = serde_json::to_string(journal).expect("a row is written");
        self.journal.insert(call.clone(), row);
    }
}
