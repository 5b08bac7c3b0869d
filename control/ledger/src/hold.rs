//! Money kept aside for a call.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{AccountId, Coverage, IdError};

/// The key of a hold: the id of the call it is for, so that asking again is
/// the same hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(String);

impl HoldId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HoldId {
    type Err = IdError;

    /// Takes what an [`AccountId`] takes.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let name: AccountId = text.parse()?;
        Ok(HoldId(name.as_str().to_owned()))
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Money of an account that only one call may use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Whose money.
    pub account: AccountId,
    /// How much, and the seconds it pays for.
    pub coverage: Coverage,
    /// Milliseconds since the Unix epoch from which it no longer counts,
    /// whether or not anybody has noticed.
    pub expires_at_ms: u64,
    state: HoldState,
}

impl Hold {
    /// An open hold.
    #[must_use]
    pub fn new(account: AccountId, coverage: Coverage, expires_at_ms: u64) -> Self {
        Hold { account, coverage, expires_at_ms, state: HoldState::Open }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> HoldState {
        self.state
    }

    /// Whether it takes money from what is available at that time.
    #[must_use]
    pub fn counts_at(&self, now_ms: u64) -> bool {
        self.state == HoldState::Open && self.expires_at_ms > now_ms
    }

    /// Ends it; an ended hold stays as it ended.
    ///
    /// # Errors
    /// It had ended before, or `Open` was asked for.
    pub fn end(&mut self, state: HoldState) -> Result<(), HoldStateError> {
        if self.state != HoldState::Open || state == HoldState::Open {
            return Err(HoldStateError(self.state));
        }
        self.state = state;
        Ok(())
    }
}

/// How a hold stands: open, then one of three ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldState {
    /// It counts until it expires.
    Open,
    /// It ended with a charge; what was not used is free again.
    Settled,
    /// It ended without a charge.
    Released,
    /// Nobody ended it in time.
    Expired,
}

/// The hold cannot go from the state named here to the one asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a hold that is {0:?} cannot end that way")]
pub struct HoldStateError(pub HoldState);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Amount;

    fn hold() -> Hold {
        let coverage = Coverage { amount: Amount::from_nanos(5), seconds: 60 };
        Hold::new("alice".parse().unwrap(), coverage, 1000)
    }

    #[test]
    fn a_hold_ends_exactly_once() {
        let ends = [HoldState::Settled, HoldState::Released, HoldState::Expired];
        for first in ends {
            let mut hold = hold();
            assert_eq!(hold.end(first), Ok(()));
            for second in [ends.as_slice(), &[HoldState::Open]].concat() {
                assert_eq!(hold.end(second), Err(HoldStateError(first)));
            }
            assert_eq!(hold.state(), first);
        }
        assert_eq!(hold().end(HoldState::Open), Err(HoldStateError(HoldState::Open)));
    }

    #[test]
    fn a_hold_stops_counting_at_its_expiry_by_itself() {
        assert!(hold().counts_at(999));
        assert!(!hold().counts_at(1000));
    }
}
