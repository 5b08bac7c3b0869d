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
}

/// A price per started increment, checked.
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
        if terms.price.is_negative() || terms.connection_fee.is_negative() {
            return Err(RateError::Negative);
        }
        if terms.rounding.decimals > DECIMALS_MAX {
            return Err(RateError::Decimals);
        }
        Ok(Rate(terms))
    }

    /// A price per minute in increments of 1/1, without connection fee and
    /// with the default rounding.
    ///
    /// # Errors
    /// A negative price.
    pub fn per_minute(prefix: Prefix, price: Amount) -> Result<Self, RateError> {
        Rate::new(RateTerms {
            prefix,
            price,
            per_seconds: 60,
            initial_seconds: 1,
            next_seconds: 1,
            connection_fee: Amount::ZERO,
            rounding: Rounding::default(),
        })
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

    /// What an answered call of `duration_ms` milliseconds costs.
    ///
    /// An answered call has begun its first increment, however short it was.
    /// A call that was not answered costs nothing and is not to be asked
    /// about here.
    ///
    /// # Errors
    /// [`RateError::Overflow`] when the charge does not fit an amount.
    pub fn charge(&self, duration_ms: u64) -> Result<Charge, RateError> {
        let initial_ms = u64::from(self.0.initial_seconds) * 1000;
        let next_ms = u64::from(self.0.next_seconds) * 1000;
        let further = duration_ms.saturating_sub(initial_ms).div_ceil(next_ms);
        let billed_seconds = further
            .checked_mul(u64::from(self.0.next_seconds))
            .and_then(|seconds| seconds.checked_add(u64::from(self.0.initial_seconds)))
            .ok_or(RateError::Overflow)?;
        Ok(Charge { billed_seconds, amount: self.price_of(billed_seconds).ok_or(RateError::Overflow)? })
    }

    /// What an answered call of `duration_ms` costs when only
    /// `seconds_max` seconds were held: time beyond them is not billed.
    ///
    /// The end of a hold is enforced by a timer, and a timer is late by some
    /// milliseconds; those must not begin another increment. With the seconds
    /// of a [`Coverage`] the charge never exceeds its amount.
    ///
    /// # Errors
    /// [`RateError::Overflow`] when the charge does not fit an amount.
    pub fn charge_within(&self, duration_ms: u64, seconds_max: u32) -> Result<Charge, RateError> {
        self.charge(duration_ms.min(u64::from(seconds_max) * 1000))
    }

    /// What to hold for a call when `available` can be spent and the call may
    /// last `seconds_max` seconds: the most whole increments that both allow.
    ///
    /// A first increment longer than `seconds_max` is held in full, and the
    /// call still ends at `seconds_max`.
    ///
    /// Nothing when the first increment with the connection fee is not
    /// affordable, or when no time is allowed.
    ///
    /// # Cost
    /// At most 32 multiplications (a binary search over increments, so that
    /// rounding is the charge's own).
    #[must_use]
    pub fn hold_for(&self, available: Amount, seconds_max: u32) -> Option<Coverage> {
        if seconds_max == 0 {
            return None;
        }
        let (initial, next) = (self.0.initial_seconds, self.0.next_seconds);
        let affordable = |increments: u32| {
            let seconds = u64::from(initial) + u64::from(increments) * u64::from(next);
            self.price_of(seconds).filter(|amount| *amount <= available).map(|amount| (amount, seconds))
        };
        let mut best = affordable(0)?;
        let (mut known, mut limit) = (0, seconds_max.saturating_sub(initial) / next);
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

    /// How many seconds, in whole increments, `available` pays for; nothing
    /// when it does not pay for the first increment.
    #[must_use]
    pub fn seconds_for(&self, available: Amount) -> Option<u32> {
        self.hold_for(available, u32::MAX).map(|coverage| coverage.seconds)
    }

    /// Connection fee and price of that many seconds, rounded once; grows
    /// with the seconds.
    fn price_of(&self, seconds: u64) -> Option<Amount> {
        let denominator = i128::from(self.0.per_seconds);
        let fee = i128::from(self.0.connection_fee.nanos()) * denominator;
        let numerator =
            i128::from(self.0.price.nanos()).checked_mul(i128::from(seconds))?.checked_add(fee)?;
        self.0.rounding.divide(numerator, denominator)
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
    fn divide(self, numerator: i128, denominator: i128) -> Option<Amount> {
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
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn rate(price: &str, increments: (u32, u32), fee: &str) -> Rate {
        Rate::new(RateTerms {
            prefix: "49".parse().unwrap(),
            price: amount(price),
            per_seconds: 60,
            initial_seconds: increments.0,
            next_seconds: increments.1,
            connection_fee: amount(fee),
            rounding: Rounding::default(),
        })
        .unwrap()
    }

    /// Increment, then pairs of duration in milliseconds and billed seconds.
    type Vector = ((u32, u32), &'static [(u64, u64)]);

    #[test]
    fn durations_are_billed_in_started_increments() {
        let vectors: [Vector; 6] = [
            ((60, 60), &[(0, 60), (1, 60), (60_000, 60), (60_001, 120), (120_000, 120)]),
            ((1, 1), &[(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)]),
            ((30, 6), &[(12_000, 30), (30_000, 30), (30_001, 36), (37_000, 42)]),
            ((60, 1), &[(59_000, 60), (60_001, 61), (75_500, 76)]),
            // The first increment counts once: 150 and 210, not 120 and 180.
            ((90, 60), &[(90_000, 90), (90_001, 150), (150_001, 210)]),
            // 6.1 s in increments of six has begun the second one.
            ((6, 6), &[(6000, 6), (6100, 12)]),
        ];
        for (increments, cases) in vectors {
            let rate = rate("0.60", increments, "0");
            for (duration_ms, billed) in cases {
                let charge = rate.charge(*duration_ms).unwrap();
                assert_eq!(charge.billed_seconds, *billed, "{increments:?} {duration_ms}");
                let expected = Amount::from_nanos(i64::try_from(*billed).unwrap() * 10_000_000);
                assert_eq!(charge.amount, expected);
            }
        }
    }

    #[test]
    fn the_connection_fee_is_charged_once() {
        let rate = rate("0.12", (1, 1), "0.05");
        assert_eq!(rate.charge(30_000).unwrap().amount, amount("0.11"));
        assert_eq!(rate.charge(60_000).unwrap().amount, amount("0.17"));
    }

    #[test]
    fn the_sum_is_rounded_once_by_the_named_rule() {
        let charge = |mode, decimals, seconds: u64| {
            let mut terms = rate("0.01", (1, 1), "0").terms().clone();
            terms.rounding = Rounding { mode, decimals };
            let rate = Rate::new(terms).unwrap();
            rate.charge(seconds * 1000).unwrap().amount.to_string()
        };
        // 0.01 a minute is 0.0001666… a second.
        assert_eq!(charge(RoundingMode::Up, 4, 1), "0.0002");
        assert_eq!(charge(RoundingMode::Down, 4, 1), "0.0001");
        assert_eq!(charge(RoundingMode::HalfEven, 4, 1), "0.0002");
        assert_eq!(charge(RoundingMode::Up, 9, 1), "0.000166667");
        assert_eq!(charge(RoundingMode::Down, 9, 1), "0.000166666");
        // Three seconds are 0.0005 exactly; six seconds are 0.001, not six
        // rounded seconds.
        assert_eq!(charge(RoundingMode::Up, 4, 3), "0.0005");
        assert_eq!(charge(RoundingMode::Up, 4, 6), "0.001");
        // The middle goes to the even neighbour: 0.0005 and 0.0015 at three.
        assert_eq!(charge(RoundingMode::HalfEven, 3, 3), "0");
        assert_eq!(charge(RoundingMode::HalfEven, 3, 9), "0.002");
        assert_eq!(charge(RoundingMode::Up, 0, 1), "1");
    }

    #[test]
    fn a_hold_is_whole_increments_that_the_balance_affords() {
        let minutes = rate("0.60", (60, 60), "0.10");
        let held = |available: &str, seconds_max| {
            minutes
                .hold_for(amount(available), seconds_max)
                .map(|coverage| (coverage.amount.to_string(), coverage.seconds))
        };
        // The first increment must be affordable with the fee.
        assert_eq!(held("0.6999", 3600), None);
        assert_eq!(held("0.70", 3600), Some(("0.7".to_owned(), 60)));
        assert_eq!(held("2.00", 3600), Some(("1.9".to_owned(), 180)));
        assert_eq!(held("100", 3600), Some(("36.1".to_owned(), 3600)));
        assert_eq!(held("100", 100), Some(("0.7".to_owned(), 60)));
        assert_eq!(held("100", 30), Some(("0.7".to_owned(), 30)));
        assert_eq!(held("100", 0), None);
        assert_eq!(held("-1", 3600), None);
        assert_eq!(minutes.seconds_for(amount("1.30")), Some(120));
    }

    #[test]
    fn a_free_rate_is_held_for_the_whole_time_at_no_cost() {
        let free = rate("0", (60, 60), "0");
        let coverage = free.hold_for(Amount::ZERO, u32::MAX).unwrap();
        assert_eq!(coverage.amount, Amount::ZERO);
        assert_eq!(coverage.seconds, u32::MAX - u32::MAX % 60);
    }

    #[test]
    fn a_late_timer_does_not_begin_another_increment() {
        let minutes = rate("0.60", (60, 60), "0");
        assert_eq!(minutes.charge(60_004).unwrap().billed_seconds, 120);
        assert_eq!(minutes.charge_within(60_004, 60).unwrap().billed_seconds, 60);
    }

    #[test]
    fn a_charge_that_does_not_fit_is_refused() {
        let dear = rate("9223372036", (60, 60), "0");
        assert_eq!(dear.charge(60_001), Err(RateError::Overflow));
        assert_eq!(dear.charge(u64::MAX), Err(RateError::Overflow));
        assert_eq!(dear.hold_for(Amount::MAX, u32::MAX).unwrap().seconds, 60);
    }

    #[test]
    fn impossible_terms_are_refused() {
        let good = rate("1", (1, 1), "0").terms().clone();
        let check = |change: fn(&mut RateTerms)| {
            let mut terms = good.clone();
            change(&mut terms);
            Rate::new(terms).unwrap_err()
        };
        assert_eq!(check(|terms| terms.per_seconds = 0), RateError::Interval);
        assert_eq!(check(|terms| terms.initial_seconds = 0), RateError::Interval);
        assert_eq!(check(|terms| terms.next_seconds = 86_401), RateError::Interval);
        assert_eq!(check(|terms| terms.price = Amount::from_nanos(-1)), RateError::Negative);
        assert_eq!(check(|terms| terms.connection_fee = Amount::from_nanos(-1)), RateError::Negative);
        assert_eq!(check(|terms| terms.rounding.decimals = 10), RateError::Decimals);
    }

    #[test]
    fn rounding_modes_have_names() {
        for mode in [RoundingMode::Up, RoundingMode::HalfEven, RoundingMode::Down] {
            assert_eq!(RoundingMode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(RoundingMode::from_name("nearest"), None);
    }

    prop_compose! {
        fn any_rate()(
            price in 0_i64..2_000_000_000_000,
            fee in 0_i64..2_000_000_000,
            per_seconds in 1_u32..=3600,
            initial_seconds in 1_u32..=120,
            next_seconds in 1_u32..=120,
            decimals in 0_u8..=9,
            mode in prop::sample::select(vec![
                RoundingMode::Up, RoundingMode::HalfEven, RoundingMode::Down,
            ]),
        ) -> Rate {
            Rate::new(RateTerms {
                prefix: "1".parse().unwrap(),
                price: Amount::from_nanos(price),
                per_seconds,
                initial_seconds,
                next_seconds,
                connection_fee: Amount::from_nanos(fee),
                rounding: Rounding { mode, decimals },
            }).unwrap()
        }
    }

    proptest! {
        #[test]
        fn the_charge_of_a_held_call_never_exceeds_the_hold(
            rate in any_rate(),
            available in 0_i64..10_000_000_000_000,
            seconds_max in 1_u32..100_000,
            duration_ms in 0_u64..200_000_000,
        ) {
            let available = Amount::from_nanos(available);
            if let Some(coverage) = rate.hold_for(available, seconds_max) {
                prop_assert!(coverage.amount <= available);
                prop_assert!(coverage.seconds <= seconds_max);
                let charge = rate.charge_within(duration_ms, coverage.seconds).unwrap();
                prop_assert!(charge.amount <= coverage.amount);
            } else {
                prop_assert!(rate.charge(0).unwrap().amount > available);
            }
        }

        #[test]
        fn a_hold_is_the_longest_that_is_affordable(
            rate in any_rate(),
            available in 0_i64..10_000_000_000,
        ) {
            let available = Amount::from_nanos(available);
            if let Some(coverage) = rate.hold_for(available, 7200) {
                let longer_ms = u64::from(coverage.seconds) * 1000 + 1;
                let longer = rate.charge(longer_ms).unwrap();
                prop_assert!(longer.amount > available || longer.billed_seconds > 7200);
            }
        }

        #[test]
        fn a_longer_call_never_costs_less(
            rate in any_rate(), short in 0_u64..10_000_000, more in 0_u64..1_000_000,
        ) {
            let (short, long) = (rate.charge(short).unwrap(), rate.charge(short + more).unwrap());
            prop_assert!(short.amount <= long.amount);
            prop_assert!(short.billed_seconds <= long.billed_seconds);
        }
    }
}
