//! An account and what it can spend.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::{Amount, Currency};

/// The name of an account: what a phone registers as.
///
/// One to 64 characters out of letters, digits and `. _ + -`, so that it is
/// at home in a SIP URI, a file name and a log line without escaping.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// The longest name in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        if (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(AccountId(text.to_owned()))
        } else {
            Err(IdError)
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The text cannot name an account or a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a name is 1 to 64 letters, digits or any of . _ + -")]
pub struct IdError;

/// What an account has, owes to calls in progress, and may go down to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The currency of every amount in it.
    pub currency: Currency,
    /// The sum of its postings.
    pub posted: Amount,
    /// The sum of its holds that have neither ended nor expired.
    pub held: Amount,
    /// The least that `available` may become: zero for prepaid, negative for
    /// credit.
    pub limit: Amount,
}

impl Account {
    /// An account without money.
    #[must_use]
    pub fn new(currency: Currency, limit: Amount) -> Self {
        Account { currency, posted: Amount::ZERO, held: Amount::ZERO, limit }
    }

    /// Posted minus held; nothing when it does not fit an amount.
    #[must_use]
    pub fn available(&self) -> Option<Amount> {
        self.posted.checked_sub(self.held)
    }

    /// What a further hold or charge may take: available down to the limit;
    /// negative when the limit is already passed.
    #[must_use]
    pub fn spendable(&self) -> Option<Amount> {
        self.available()?.checked_sub(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["alice", "+493012345", "a.b_c-1", &"x".repeat(64)] {
            assert_eq!(good.parse::<AccountId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a@b", "ä", "a/b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<AccountId>(), Err(IdError), "{bad:?}");
        }
    }

    #[test]
    fn spendable_goes_down_to_the_limit() {
        let mut account = Account::new("EUR".parse().unwrap(), Amount::from_nanos(-10));
        account.posted = Amount::from_nanos(7);
        account.held = Amount::from_nanos(5);
        assert_eq!(account.available(), Some(Amount::from_nanos(2)));
        assert_eq!(account.spendable(), Some(Amount::from_nanos(12)));
    }
}
