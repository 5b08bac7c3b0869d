//! Double entry: money is only ever moved.

use std::fmt;

use thiserror::Error;

use crate::{AccountId, Amount, Currency};

/// A place that money is moved from or to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LedgerAccount {
    /// A customer's prepaid money: what is owed to the customer.
    Customer(AccountId),
    /// Where top-ups come from; the mirror of the operator's bank.
    Funding(Currency),
    /// Where allowances to try the service come from: the operator's own money.
    Promotion(Currency),
    /// Where charges go.
    Revenue(Currency),
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerAccount::Customer(id) => write!(f, "customer:{id}"),
            LedgerAccount::Funding(currency) => write!(f, "funding:{currency}"),
            LedgerAccount::Promotion(currency) => write!(f, "promotion:{currency}"),
            LedgerAccount::Revenue(currency) => write!(f, "revenue:{currency}"),
        }
    }
}

/// One side of a transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Posting {
    /// The place.
    pub account: LedgerAccount,
    /// What arrives there; negative for what leaves. Never zero.
    pub amount: Amount,
}

/// Why money moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferKind {
    /// Credit bought.
    TopUp,
    /// A call.
    Charge,
}

impl TransferKind {
    /// The name as stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TransferKind::TopUp => "top-up",
            TransferKind::Charge => "charge",
        }
    }
}

/// Postings that belong together and sum to zero; never edited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    kind: TransferKind,
    postings: Vec<Posting>,
}

impl Transfer {
    /// Credit bought by a customer.
    ///
    /// # Errors
    /// The amount is not above zero.
    pub fn top_up(account: AccountId, currency: Currency, amount: Amount) -> Result<Self, TransferError> {
        Transfer::of(
            TransferKind::TopUp,
            LedgerAccount::Funding(currency),
            LedgerAccount::Customer(account),
            amount,
        )
    }

    /// A call paid by a customer.
    ///
    /// # Errors
    /// The amount is not above zero.
    pub fn charge(account: AccountId, currency: Currency, amount: Amount) -> Result<Self, TransferError> {
        Transfer::of(
            TransferKind::Charge,
            LedgerAccount::Customer(account),
            LedgerAccount::Revenue(currency),
            amount,
        )
    }

    fn of(
        kind: TransferKind,
        from: LedgerAccount,
        to: LedgerAccount,
        amount: Amount,
    ) -> Result<Self, TransferError> {
        if amount <= Amount::ZERO {
            return Err(TransferError);
        }
        let leaving = amount.checked_neg().ok_or(TransferError)?;
        Ok(Transfer {
            kind,
            postings: vec![Posting { account: from, amount: leaving }, Posting { account: to, amount }],
        })
    }

    /// Why the money moved.
    #[must_use]
    pub fn kind(&self) -> TransferKind {
        self.kind
    }

    /// Both sides.
    #[must_use]
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

/// Only an amount above zero can be moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("only an amount above zero can be moved")]
pub struct TransferError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_postings_of_a_transfer_sum_to_zero() {
        let currency: Currency = "EUR".parse().unwrap();
        let alice: AccountId = "alice".parse().unwrap();
        let amount = Amount::from_nanos(5);
        for transfer in [
            Transfer::top_up(alice.clone(), currency, amount).unwrap(),
            Transfer::charge(alice.clone(), currency, amount).unwrap(),
        ] {
            let sum: i64 = transfer.postings().iter().map(|posting| posting.amount.nanos()).sum();
            assert_eq!(sum, 0, "{transfer:?}");
        }
    }

    #[test]
    fn nothing_and_less_cannot_be_moved() {
        let currency: Currency = "EUR".parse().unwrap();
        for nanos in [0, -1, i64::MIN] {
            let amount = Amount::from_nanos(nanos);
            let refused = Transfer::top_up("alice".parse().unwrap(), currency, amount);
            assert_eq!(refused, Err(TransferError));
        }
    }
}
