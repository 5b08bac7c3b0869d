//! An exact amount of money (`adr/0001-money-is-an-integer.md`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A signed amount in units of 10^-9 of a currency's main unit.
///
/// The range is ±9,223,372,036.854775807 main units. Every operation is
/// checked: there is no wrapping, saturating or approximate one. The currency
/// is kept beside the amount by whoever owns it (an account, a tariff).
///
/// Text (and serde) form is an exact decimal: `12.5`, `-0.000000001`, `0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Amount(i64);

impl Amount {
    /// No money.
    pub const ZERO: Amount = Amount(0);
    /// The greatest amount.
    pub const MAX: Amount = Amount(i64::MAX);
    /// The least amount.
    pub const MIN: Amount = Amount(i64::MIN);
    /// How many of the smallest step make one main unit.
    pub const STEPS_PER_UNIT: i64 = 1_000_000_000;

    /// The amount of `nanos` × 10^-9 main units.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Amount(nanos)
    }

    /// The amount in 10^-9 main units.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum, or nothing when it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Amount) -> Option<Amount> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Amount(sum)),
            None => None,
        }
    }

    /// The difference, or nothing when it does not fit.
    #[must_use]
    pub const fn checked_sub(self, other: Amount) -> Option<Amount> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Amount(difference)),
            None => None,
        }
    }

    /// The amount with the other sign, or nothing for [`Amount::MIN`].
    #[must_use]
    pub const fn checked_neg(self) -> Option<Amount> {
        match self.0.checked_neg() {
            Some(negated) => Some(Amount(negated)),
            None => None,
        }
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether the amount is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The decimal text with at least `digits_min` (at most 9) digits after
    /// the point: `1.5` is `1.50` with two.
    #[must_use]
    pub fn to_text(self, digits_min: u8) -> String {
        let magnitude = self.0.unsigned_abs();
        let steps = Self::STEPS_PER_UNIT.unsigned_abs();
        let mut fraction = format!("{:09}", magnitude % steps);
        let significant = fraction.trim_end_matches('0').len();
        fraction.truncate(significant.max(usize::from(digits_min.min(DIGITS))));
        let sign = if self.0 < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{fraction}", magnitude / steps)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(0))
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads `[-]digits[.digits]`; at most nine digits after the point, at
    /// least one on each side of it, nothing else.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(AmountError::Range);
        }
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(AmountError::Syntax),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(AmountError::Syntax);
        }
        if fraction.len() > usize::from(DIGITS) {
            return Err(AmountError::Precision);
        }
        let whole: i128 = whole.parse().map_err(|_| AmountError::Range)?;
        let fraction: i128 = format!("{fraction:0<9}").parse().map_err(|_| AmountError::Syntax)?;
        let magnitude = whole
            .checked_mul(i128::from(Self::STEPS_PER_UNIT))
            .and_then(|steps| steps.checked_add(fraction))
            .ok_or(AmountError::Range)?;
        let signed = if negative { -magnitude } else { magnitude };
        i64::try_from(signed).map(Amount).map_err(|_| AmountError::Range)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Why a text is not an [`Amount`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AmountError {
    /// It is not a plain decimal number.
    #[error("not a decimal number such as 12.50")]
    Syntax,
    /// It has more than nine digits after the point.
    #[error("more than nine digits after the point")]
    Precision,
    /// It lies outside the range of an amount.
    #[error("outside the range of an amount")]
    Range,
}

/// Digits after the point.
const DIGITS: u8 = 9;
/// Longer than any amount in range: sign, ten digits, point, nine digits,
/// and room for leading zeros.
const TEXT_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_text_is_exact() {
        for (text, nanos) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.1", 100_000_000),
            ("-0.000000001", -1),
            ("12.500000001", 12_500_000_001),
            ("9223372036.854775807", i64::MAX),
            ("-9223372036.854775808", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(Amount(nanos)), "{text}");
            assert_eq!(Amount(nanos).to_string(), text);
        }
        assert_eq!("007.10".parse(), Ok(Amount(7_100_000_000)));
        assert_eq!("-0".parse(), Ok(Amount::ZERO));
    }

    #[test]
    fn text_that_is_no_amount_is_refused_with_its_reason() {
        for text in ["", "-", ".", "1.", ".5", "+1", "1,5", "1e3", " 1", "1 ", "--1", "1.2.3", "NaN", "١"] {
            assert_eq!(text.parse::<Amount>(), Err(AmountError::Syntax), "{text:?}");
        }
        assert_eq!("0.0000000001".parse::<Amount>(), Err(AmountError::Precision));
        assert_eq!("9223372036.854775808".parse::<Amount>(), Err(AmountError::Range));
        assert_eq!("9".repeat(33).parse::<Amount>(), Err(AmountError::Range));
    }

    #[test]
    fn text_is_padded_to_the_minor_digits_but_never_cut() {
        assert_eq!(Amount(1_500_000_000).to_text(2), "1.50");
        assert_eq!(Amount(2_000_000_000).to_text(2), "2.00");
        assert_eq!(Amount(1_234_000_000).to_text(2), "1.234");
        assert_eq!(Amount(-1).to_text(200), "-0.000000001");
    }

    #[test]
    fn arithmetic_refuses_to_overflow() {
        assert_eq!(Amount::MAX.checked_add(Amount(1)), None);
        assert_eq!(Amount::MIN.checked_sub(Amount(1)), None);
        assert_eq!(Amount::MIN.checked_neg(), None);
        assert_eq!(Amount(3).checked_sub(Amount(5)), Some(Amount(-2)));
    }

    proptest! {
        #[test]
        fn parsing_reverses_printing(nanos: i64, digits in 0_u8..12) {
            let amount = Amount(nanos);
            prop_assert_eq!(amount.to_text(digits).parse(), Ok(amount));
        }

        #[test]
        fn parsing_never_panics(text in "[-+0-9. e]{0,40}|\\PC{0,40}") {
            let _ = text.parse::<Amount>();
        }
    }
}
