//! What a call costs a customer: a rate with its taxes, in the currency of the balance.

use serde::{Deserialize, Serialize};

use crate::{Amount, Charge, Coverage, Currency, Exchange, Rate, RateError, Taxes};

/// A rate as it applies to one call: what is charged is computed here, and rounded here, once.
///
/// `max(minimum charge, connection fee + price × billed seconds / per seconds) × (1 + taxes) × exchange`, as one
/// fraction of integers, rounded by the rate's named rule in the currency of the balance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The rate.
    pub rate: Rate,
    /// Which price list it is from; none for a rate on its own.
    #[serde(default)]
    pub source: Option<PriceSource>,
    /// What is due on it.
    #[serde(default)]
    pub taxes: Taxes,
    /// From the currency of the rate to that of the balance, where they differ.
    #[serde(default)]
    pub exchange: Option<Exchange>,
}

/// Where a price comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSource {
    /// The tariff.
    pub tariff: String,
    /// The currency of its rates.
    pub currency: Currency,
    /// When its version began: milliseconds since the Unix epoch.
    pub version_ms: u64,
    /// The band of hours that the rate is for; none for all other hours.
    #[serde(default)]
    pub band: Option<String>,
}

impl Price {
    /// A rate on its own: no tax, in its own currency.
    #[must_use]
    pub fn of(rate: Rate) -> Self {
        Price { rate, source: None, taxes: Taxes::default(), exchange: None }
    }

    /// What an answered call of `duration_ms` milliseconds costs.
    ///
    /// A call that is as long as its grace has begun its first increment, however short that was.
    ///
    /// # Errors
    /// [`RateError::Overflow`] when the charge does not fit an amount.
    pub fn charge(&self, duration_ms: u64) -> Result<Charge, RateError> {
        if duration_ms < u64::from(self.rate.terms().grace_seconds) * 1000 {
            return Ok(Charge { billed_seconds: 0, amount: Amount::ZERO });
        }
        let billed_seconds = self.rate.billed_seconds(duration_ms).ok_or(RateError::Overflow)?;
        let amount = self.price_of(billed_seconds).ok_or(RateError::Overflow)?;
        Ok(Charge { billed_seconds, amount })
    }

    /// What an answered call of `duration_ms` costs when only `seconds_max` seconds were held: time beyond them is
    /// not billed.
    ///
    /// The end of a hold is enforced by a timer, and a timer is late by some milliseconds; those must not begin another
    /// increment. With the seconds of a [`Coverage`] the charge never exceeds its amount.
    ///
    /// # Errors
    /// [`RateError::Overflow`] when the charge does not fit an amount.
    pub fn charge_within(&self, duration_ms: u64, seconds_max: u32) -> Result<Charge, RateError> {
        self.charge(duration_ms.min(u64::from(seconds_max) * 1000))
    }

    /// What a call costs that was sent out and that nobody answered.
    ///
    /// # Errors
    /// [`RateError::Overflow`] when the charge does not fit an amount.
    pub fn attempt(&self) -> Result<Amount, RateError> {
        let fee = i128::from(self.rate.terms().attempt_fee.nanos());
        self.paid(fee, 1).ok_or(RateError::Overflow)
    }

    /// The most that a call of at most so many seconds can cost, answered or not: no grace is counted on.
    ///
    /// # Errors
    /// [`RateError::Overflow`] when the charge does not fit an amount.
    pub fn most(&self, seconds: u32) -> Result<Amount, RateError> {
        let billed = self.rate.billed_seconds(u64::from(seconds) * 1000);
        let talk = billed.and_then(|billed| self.price_of(billed)).ok_or(RateError::Overflow)?;
        Ok(talk.max(self.attempt()?))
    }

    /// What to hold for a call when `available` can be spent and the call may last `seconds_max` seconds: the most whole
    /// increments that both allow.
    ///
    /// A first increment longer than `seconds_max` is held in full, and the call still ends at `seconds_max`.
    ///
    /// Nothing when the first increment with its fees, or the attempt fee, is not affordable, or when no time is allowed.
    ///
    /// # Cost
    /// At most 32 multiplications (a binary search over increments, so that rounding is the charge's own).
    #[must_use]
    pub fn hold_for(&self, available: Amount, seconds_max: u32) -> Option<Coverage> {
        if seconds_max == 0 {
            return None;
        }
        let terms = self.rate.terms();
        let (initial, next) = (terms.initial_seconds, terms.next_seconds);
        let attempt = self.attempt().ok()?;
        let affordable = |increments: u32| {
            let billed = u64::from(initial) + u64::from(increments) * u64::from(next);
            let amount = self.price_of(billed)?.max(attempt);
            (amount <= available).then_some((amount, u64::from(terms.free_seconds) + billed))
        };
        let mut best = affordable(0)?;
        let paid_max = seconds_max.saturating_sub(terms.free_seconds);
        let (mut known, mut limit) = (0, paid_max.saturating_sub(initial) / next);
        while known < limit {
            let middle = known + (limit - known).div_ceil(2);
            match affordable(middle) {
                Some(covered) => (known, best) = (middle, covered),
                None => limit = middle - 1,
            }
        }
        let seconds = u32::try_from(best.1).unwrap_or(u32::MAX).min(seconds_max);
        Some(Coverage { amount: best.0, seconds })
    }

    /// How many seconds, in whole increments, `available` pays for; nothing when it does not pay for the first one.
    #[must_use]
    pub fn seconds_for(&self, available: Amount) -> Option<u32> {
        self.hold_for(available, u32::MAX).map(|coverage| coverage.seconds)
    }

    fn price_of(&self, billed_seconds: u64) -> Option<Amount> {
        let (numerator, denominator) = self.rate.price_of(billed_seconds)?;
        self.paid(numerator, denominator)
    }

    /// With taxes, in the currency of the balance, rounded.
    fn paid(&self, numerator: i128, denominator: i128) -> Option<Amount> {
        let (tax, hundred) = self.taxes.factor();
        let (mut numerator, mut denominator) =
            (numerator.checked_mul(tax)?, denominator.checked_mul(hundred)?);
        if let Some(exchange) = &self.exchange {
            numerator = numerator.checked_mul(i128::from(exchange.rate.nanos()))?;
            denominator = denominator.checked_mul(i128::from(Amount::STEPS_PER_UNIT))?;
        }
        self.rate.terms().rounding.divide(numerator, denominator)
    }
}

#[cfg(test)]
pub(crate) mod tests;
