//! What a destination costs, and what a call of some length costs there.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, Prefix};

/// The terms of a [`Rate`] as they are written down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateTerms {
    /// The numbers this rate is for.
    pub prefix: Prefix,
    /// The price of `per_seconds` seconds; not negative.
    pub price: Amount,
    /// The seconds `price` pays for, at least 1: 60 for a price per minute.
    /// The price of one second is the fraction `price / per_seconds` and is
    /// never computed on its own.
    pub per_seconds: u32,
    /// The first increment, in seconds, at least 1: billed in full as soon
    /// as the call is answered.
    pub initial_seconds: u32,
    /// Every further increment, in seconds, at least 1: billed in full as
    /// soon as it has begun.
    pub next_seconds: u32,
    /// Added once to the charge of every answered call; not negative.
    pub connection_fee: Amount,
    /// How the charge is rounded, once, after everything is summed.
    pub rounding: Rounding,
    /// The least that a call costs that is charged at all, before taxes; not
    /// negative.
    #[serde(default)]
    pub minimum_charge: Amount,
    /// What a call costs that was sent out and that nobody answered, before
    /// taxes; not negative.
    #[serde(default)]
    pub attempt_fee: Amount,
    /// The first seconds of every call, for which no increment is billed:
    /// the increments begin after them. The connection fee and the minimum
    /// charge are due all the same.
    #[serde(default)]
    pub free_seconds: u32,
    /// A call shorter than this costs nothing at all; one that is as long or
    /// longer is charged from its first second.
    #[serde(default)]
    pub grace_seconds: u32,
    /// Numbers that an account may call on its trial allowance.
    #[serde(default)]
    pub trial: bool,
}

impl RateTerms {
    /// A price per minute in increments of 1/1, with the default rounding
    /// and nothing else.
    #[must_use]
    pub fn per_minute(prefix: Prefix, price: Amount) -> Self {
        RateTerms {
            prefix,
            price,
            per_seconds: 60,
            initial_seconds: 1,
            next_seconds: 1,
            connection_fee: Amount::ZERO,
            rounding: Rounding::default(),
            minimum_charge: Amount::ZERO,
            attempt_fee: Amount::ZERO,
            free_seconds: 0,
            grace_seconds: 0,
            trial: false,
        }
    }
}

/// A price per started increment, checked. What it costs a customer is a
/// [`Price`](crate::Price).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "RateTerms", into = "RateTerms")]
pub struct Rate(RateTerms);

impl Rate {
    /// Checks the terms.
    ///
    /// # Errors
    /// An interval of no or too many seconds, a negative price, more decimals
    /// than an amount has.
    pub fn new(terms: RateTerms) -> Result<Self, RateError> {
        let intervals = [terms.per_seconds, terms.initial_seconds, terms.next_seconds];
        if intervals.iter().any(|seconds| !(1..=INTERVAL_SECONDS_MAX).contains(seconds)) {
            return Err(RateError::Interval);
        }
        if terms.free_seconds.max(terms.grace_seconds) > INTERVAL_SECONDS_MAX {
            return Err(RateError::Free);
        }
        let fees = [terms.price, terms.connection_fee, terms.minimum_charge, terms.attempt_fee];
        if fees.iter().any(|amount| amount.is_negative()) {
            return Err(RateError::Negative);
        }
        if terms.rounding.decimals > DECIMALS_MAX {
            return Err(RateError::Decimals);
        }
        Ok(Rate(terms))
    }

    /// A price per minute in increments of 1/1, with the default rounding
    /// and nothing else.
    ///
    /// # Errors
    /// A negative price.
    pub fn per_minute(prefix: Prefix, price: Amount) -> Result<Self, RateError> {
        Rate::new(RateTerms::per_minute(prefix, price))
    }

    /// The terms as they are written down.
    #[must_use]
    pub fn terms(&self) -> &RateTerms {
        &self.0
    }

    /// The numbers this rate is for.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        self.0.prefix
    }

    /// Whether calls to these numbers cost nothing, whatever happens.
    #[must_use]
    pub fn is_zero_rated(&self) -> bool {
        let terms = &self.0;
        [terms.price, terms.connection_fee, terms.minimum_charge, terms.attempt_fee]
            .iter()
            .all(|amount| amount.is_zero())
    }

    /// The increments of an answered call of `duration_ms`, in seconds; no
    /// increment has begun within the free seconds.
    pub(crate) fn billed_seconds(&self, duration_ms: u64) -> Option<u64> {
        let free_ms = u64::from(self.0.free_seconds) * 1000;
        if self.0.free_seconds > 0 && duration_ms <= free_ms {
            return Some(0);
        }
        let initial_ms = u64::from(self.0.initial_seconds) * 1000;
        let next_ms = u64::from(self.0.next_seconds) * 1000;
        let further = (duration_ms - free_ms).saturating_sub(initial_ms).div_ceil(next_ms);
        further
            .checked_mul(u64::from(self.0.next_seconds))
            .and_then(|seconds| seconds.checked_add(u64::from(self.0.initial_seconds)))
    }

    /// Fee and price of that many billed seconds, at least the minimum, as a
    /// fraction; grows with the seconds.
    pub(crate) fn price_of(&self, seconds: u64) -> Option<(i128, i128)> {
        let denominator = i128::from(self.0.per_seconds);
        let whole = |amount: Amount| i128::from(amount.nanos()) * denominator;
        let numerator = i128::from(self.0.price.nanos())
            .checked_mul(i128::from(seconds))?
            .checked_add(whole(self.0.connection_fee))?;
        Some((numerator.max(whole(self.0.minimum_charge)), denominator))
    }
}

impl TryFrom<RateTerms> for Rate {
    type Error = RateError;

    fn try_from(terms: RateTerms) -> Result<Self, RateError> {
        Rate::new(terms)
    }
}

impl From<Rate> for RateTerms {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

/// How a charge is rounded: one named rule, kept with the charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// The direction.
    pub mode: RoundingMode,
    /// Digits kept after the point, at most 9.
    pub decimals: u8,
}

impl Rounding {
    /// `numerator / denominator`, both in 10^-9 units and not negative,
    /// rounded by this rule.
    pub(crate) fn divide(self, numerator: i128, denominator: i128) -> Option<Amount> {
        let step = 10_i128.checked_pow(u32::from(DECIMALS_MAX.checked_sub(self.decimals)?))?;
        let divisor = denominator.checked_mul(step)?;
        let (quotient, remainder) = (numerator / divisor, numerator % divisor);
        let up = match self.mode {
            RoundingMode::Up => remainder > 0,
            RoundingMode::Down => false,
            RoundingMode::HalfEven => match (remainder * 2).cmp(&divisor) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => quotient % 2 == 1,
                std::cmp::Ordering::Greater => true,
            },
        };
        let steps = quotient.checked_add(i128::from(up))?.checked_mul(step)?;
        i64::try_from(steps).ok().map(Amount::from_nanos)
    }
}

impl Default for Rounding {
    /// Up at four decimals.
    fn default() -> Self {
        Rounding { mode: RoundingMode::Up, decimals: 4 }
    }
}

/// The direction of a [`Rounding`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingMode {
    /// Away from zero: a started step is a step.
    Up,
    /// To the nearest step, and to the even one from the middle.
    HalfEven,
    /// Towards zero.
    Down,
}

impl RoundingMode {
    /// The name as stored and as written in a rate sheet.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RoundingMode::Up => "up",
            RoundingMode::HalfEven => "half-even",
            RoundingMode::Down => "down",
        }
    }

    /// The mode with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Up, Self::HalfEven, Self::Down].into_iter().find(|mode| mode.name() == name)
    }
}

/// What a call cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charge {
    /// Seconds in whole increments.
    pub billed_seconds: u64,
    /// The money.
    pub amount: Amount,
}

/// What a hold pays for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coverage {
    /// The money to hold.
    pub amount: Amount,
    /// The seconds the call may last on it.
    pub seconds: u32,
}

/// Why terms are no rate, or a rate gives no charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RateError {
    /// An interval is zero or longer than a day.
    #[error("an interval must be 1 to 86400 seconds")]
    Interval,
    /// A price or fee is below zero.
    #[error("a price or fee is negative")]
    Negative,
    /// Free or grace seconds of more than a day.
    #[error("free and grace seconds are at most 86400")]
    Free,
    /// More decimals than an amount has.
    #[error("rounding keeps at most 9 decimals")]
    Decimals,
    /// The charge does not fit an amount.
    #[error("the charge is outside the range of an amount")]
    Overflow,
}

/// Digits after the point of an amount.
const DECIMALS_MAX: u8 = 9;
/// The longest interval: one day.
const INTERVAL_SECONDS_MAX: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_terms_are_refused() {
        let good = RateTerms::per_minute("49".parse().unwrap(), "1".parse().unwrap());
        let check = |change: fn(&mut RateTerms)| {
            let mut terms = good.clone();
            change(&mut terms);
            Rate::new(terms).unwrap_err()
        };
        let negative = Amount::from_nanos(-1);
        assert_eq!(check(|terms| terms.per_seconds = 0), RateError::Interval);
        assert_eq!(check(|terms| terms.initial_seconds = 0), RateError::Interval);
        assert_eq!(check(|terms| terms.next_seconds = 86_401), RateError::Interval);
        assert_eq!(check(|terms| terms.free_seconds = 86_401), RateError::Free);
        assert_eq!(check(|terms| terms.grace_seconds = 86_401), RateError::Free);
        assert_eq!(check(|terms| terms.rounding.decimals = 10), RateError::Decimals);
        let fees: [fn(&mut RateTerms) -> &mut Amount; 4] = [
            |terms| &mut terms.price,
            |terms| &mut terms.connection_fee,
            |terms| &mut terms.minimum_charge,
            |terms| &mut terms.attempt_fee,
        ];
        for fee in fees {
            let mut terms = good.clone();
            *fee(&mut terms) = negative;
            assert_eq!(Rate::new(terms), Err(RateError::Negative));
        }
    }

    #[test]
    fn rounding_modes_have_names() {
        for mode in [RoundingMode::Up, RoundingMode::HalfEven, RoundingMode::Down] {
            assert_eq!(RoundingMode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(RoundingMode::from_name("nearest"), None);
    }
}
