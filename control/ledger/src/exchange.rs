//! What one currency is worth in another, from when on.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, Currency, Rounding, RoundingMode};

/// A dated rate of exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The currency of the price.
    pub from: Currency,
    /// The currency of the balance.
    pub to: Currency,
    /// What one main unit of `from` is worth in `to`; above zero.
    pub rate: Amount,
    /// Milliseconds since the Unix epoch from which it holds, until the next one does.
    pub since_ms: u64,
}

impl Exchange {
    /// An amount of `from` in `to`, rounded half-even at nine decimals; nothing when it does not fit.
    ///
    /// For comparing sums that were charged already: a price is converted before it is rounded.
    #[must_use]
    pub fn convert(&self, amount: Amount) -> Option<Amount> {
        let product = i128::from(amount.nanos().unsigned_abs()) * i128::from(self.rate.nanos());
        let rounding = Rounding { mode: RoundingMode::HalfEven, decimals: 9 };
        let converted = rounding.divide(product, i128::from(Amount::STEPS_PER_UNIT))?;
        if amount.is_negative() { converted.checked_neg() } else { Some(converted) }
    }
}

/// Every rate of exchange that is known. One direction says nothing about the other.
#[derive(Clone, Debug, Default)]
pub struct Exchanges {
    /// By currencies, then by date.
    sorted: Vec<Exchange>,
}

impl Exchanges {
    /// Checks and sorts them.
    ///
    /// # Errors
    /// A rate that is not above zero or of a currency to itself, or two of one date.
    pub fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Result<Self, ExchangeError> {
        let mut sorted: Vec<Exchange> = exchanges.into_iter().collect();
        sorted.sort_by_key(key);
        let bad = |exchange: &Exchange| exchange.rate <= Amount::ZERO || exchange.from == exchange.to;
        if sorted.iter().any(bad) {
            return Err(ExchangeError::Rate);
        }
        if sorted.windows(2).any(|pair| key(&pair[0]) == key(&pair[1])) {
            return Err(ExchangeError::Twice);
        }
        Ok(Exchanges { sorted })
    }

    /// The rate that holds at an instant.
    #[must_use]
    pub fn at(&self, from: Currency, to: Currency, at_ms: u64) -> Option<&Exchange> {
        let after = self.sorted.partition_point(|exchange| key(exchange) <= (from, to, at_ms));
        self.sorted[..after].last().filter(|exchange| (exchange.from, exchange.to) == (from, to))
    }

    /// The dates after `from_ms` and up to `until_ms` at which any of them changes.
    pub(crate) fn changes(&self, from_ms: u64, until_ms: u64) -> impl Iterator<Item = u64> + '_ {
        self.sorted
            .iter()
            .map(|exchange| exchange.since_ms)
            .filter(move |since| *since > from_ms && *since <= until_ms)
    }
}

fn key(exchange: &Exchange) -> (Currency, Currency, u64) {
    (exchange.from, exchange.to, exchange.since_ms)
}

/// Why rates of exchange cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ExchangeError {
    /// Not above zero, or of a currency to itself.
    #[error("a rate of exchange is above zero and between two currencies")]
    Rate,
    /// Two rates of the same currencies hold from the same instant.
    #[error("two rates of exchange hold from the same instant")]
    Twice,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(from: &str, to: &str, rate: &str, since_ms: u64) -> Exchange {
        Exchange {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            rate: rate.parse().unwrap(),
            since_ms,
        }
    }

    #[test]
    fn the_rate_of_a_date_holds_until_the_next() {
        let known = Exchanges::new([
            exchange("USD", "EUR", "0.93", 2000),
            exchange("USD", "EUR", "0.92", 1000),
            exchange("EUR", "USD", "1.08", 1000),
        ])
        .unwrap();
        let at = |from: &str, to: &str, at_ms| {
            known.at(from.parse().unwrap(), to.parse().unwrap(), at_ms).map(|found| found.rate.to_string())
        };
        assert_eq!(at("USD", "EUR", 999), None);
        assert_eq!(at("USD", "EUR", 1000).as_deref(), Some("0.92"));
        assert_eq!(at("USD", "EUR", 1999).as_deref(), Some("0.92"));
        assert_eq!(at("USD", "EUR", 2000).as_deref(), Some("0.93"));
        assert_eq!(at("EUR", "USD", 5000).as_deref(), Some("1.08"));
        assert_eq!(at("EUR", "CHF", 5000), None);
        assert_eq!(known.changes(1000, 2000).collect::<Vec<_>>(), [2000]);
    }

    #[test]
    fn a_sum_is_converted_to_the_nearest_step() {
        let half = exchange("USD", "EUR", "0.5", 0);
        for (nanos, converted) in [(10, 5), (1, 0), (3, 2), (-3, -2), (0, 0)] {
            assert_eq!(
                half.convert(Amount::from_nanos(nanos)),
                Some(Amount::from_nanos(converted)),
                "{nanos}"
            );
        }
        assert_eq!(exchange("USD", "EUR", "2", 0).convert(Amount::MAX), None);
    }

    #[test]
    fn impossible_rates_are_refused() {
        for bad in
            [exchange("USD", "EUR", "0", 1), exchange("USD", "EUR", "-1", 1), exchange("EUR", "EUR", "1", 1)]
        {
            assert_eq!(Exchanges::new([bad]).unwrap_err(), ExchangeError::Rate);
        }
        let one = exchange("USD", "EUR", "1", 1);
        assert_eq!(Exchanges::new([one, one]).unwrap_err(), ExchangeError::Twice);
    }
}
