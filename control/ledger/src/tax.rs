//! Taxes on a charge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::Amount;

/// A tax by its name: a share of the price before tax.
///
/// Written in per cent: `VAT=19`, `sales=8.875`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tax {
    name: String,
    ppm: u32,
}

impl Tax {
    /// What it is called in a record.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Parts in a million of the price before tax: 190,000 are 19 %.
    #[must_use]
    pub fn ppm(&self) -> u32 {
        self.ppm
    }
}

impl FromStr for Tax {
    type Err = TaxError;

    fn from_str(text: &str) -> Result<Self, TaxError> {
        let (name, percent) = text.split_once('=').ok_or(TaxError::Syntax)?;
        let plain = |c: char| c.is_alphanumeric() || " ._-".contains(c);
        if name.trim() != name || !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.chars().all(plain) {
            return Err(TaxError::Syntax);
        }
        let percent: Amount = percent.parse().map_err(|_| TaxError::Syntax)?;
        if percent.is_negative() || percent.nanos() % NANOS_PER_PPM != 0 {
            return Err(TaxError::Range);
        }
        let ppm = u32::try_from(percent.nanos() / NANOS_PER_PPM).map_err(|_| TaxError::Range)?;
        if ppm > PPM_MAX { Err(TaxError::Range) } else { Ok(Tax { name: name.to_owned(), ppm }) }
    }
}

impl fmt::Display for Tax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, Amount::from_nanos(i64::from(self.ppm) * NANOS_PER_PPM))
    }
}

impl Serialize for Tax {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The taxes of a tariff: all of them on the price before tax, none on another.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taxes {
    /// Prices and fees have them in; otherwise they are added.
    #[serde(default)]
    included: bool,
    #[serde(default)]
    list: Vec<Tax>,
}

impl Taxes {
    /// Checks the list.
    ///
    /// # Errors
    /// More than [`Taxes::COUNT_MAX`], or two of one name.
    pub fn new(included: bool, list: Vec<Tax>) -> Result<Self, TaxError> {
        let twice = |(index, tax): (usize, &Tax)| list[..index].iter().any(|before| before.name == tax.name);
        if list.len() > Self::COUNT_MAX || list.iter().enumerate().any(twice) {
            return Err(TaxError::List);
        }
        Ok(Taxes { included, list })
    }

    /// The most taxes that one tariff has.
    pub const COUNT_MAX: usize = 8;

    /// Whether prices and fees have them in.
    #[must_use]
    pub fn are_included(&self) -> bool {
        self.included
    }

    /// Each of them.
    #[must_use]
    pub fn list(&self) -> &[Tax] {
        &self.list
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What turns a written price into what is paid, as a fraction.
    pub(crate) fn factor(&self) -> (i128, i128) {
        if self.included { (1, 1) } else { (MILLION + self.sum(), MILLION) }
    }

    /// How much of what was paid is each tax.
    ///
    /// The charge was rounded already, once; its parts are cut (rounded down at nine decimals) so that they never sum to
    /// more, and what is cut stays with the price.
    #[must_use]
    pub fn shares(&self, paid: Amount) -> Vec<TaxShare> {
        let whole = MILLION + self.sum();
        let share = |tax: &Tax| {
            let nanos = i128::from(paid.nanos()) * i128::from(tax.ppm) / whole;
            let amount = i64::try_from(nanos).map_or(Amount::ZERO, Amount::from_nanos);
            TaxShare { tax: tax.clone(), amount }
        };
        self.list.iter().map(share).collect()
    }

    fn sum(&self) -> i128 {
        self.list.iter().map(|tax| i128::from(tax.ppm)).sum()
    }
}

/// One tax in a charge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TaxShare {
    /// Which, and how many per cent.
    pub tax: Tax,
    /// How much of the charge it is.
    pub amount: Amount,
}

/// Why there is no such tax.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TaxError {
    /// It is not a name and a number.
    #[error("not a tax in per cent such as VAT=19")]
    Syntax,
    /// Below nothing, above 1000 %, or finer than it can be kept.
    #[error("a tax is 0 to 1000 per cent with at most four decimals")]
    Range,
    /// Too many taxes, or one of them twice.
    #[error("at most eight taxes, each with a name of its own")]
    List,
}

const MILLION: i128 = 1_000_000;
/// One part in a million is 0.0001 %.
const NANOS_PER_PPM: i64 = 100_000;
const PPM_MAX: u32 = 10_000_000;
const NAME_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn taxes(included: bool, list: &[&str]) -> Taxes {
        Taxes::new(included, list.iter().map(|tax| tax.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn taxes_are_written_in_per_cent() {
        for (text, ppm) in
            [("VAT=19", 190_000), ("sales=8.875", 88_750), ("none=0", 0), ("x=1000", 10_000_000)]
        {
            let tax: Tax = text.parse().unwrap();
            assert_eq!(tax.ppm(), ppm);
            assert_eq!(tax.to_string(), text);
        }
        for (text, error) in [
            ("", TaxError::Syntax),
            ("VAT", TaxError::Syntax),
            ("=19", TaxError::Syntax),
            (" VAT=19", TaxError::Syntax),
            ("a,b=19", TaxError::Syntax),
            ("VAT=nineteen", TaxError::Syntax),
            ("VAT=-1", TaxError::Range),
            ("VAT=1000.0001", TaxError::Range),
            ("VAT=0.00001", TaxError::Range),
        ] {
            assert_eq!(text.parse::<Tax>(), Err(error), "{text:?}");
        }
        let twice = vec!["VAT=19".parse().unwrap(), "VAT=7".parse().unwrap()];
        assert_eq!(Taxes::new(false, twice), Err(TaxError::List));
    }

    #[test]
    fn shares_never_sum_to_more_than_was_paid() {
        let shares = |paid: &str, taxes: &Taxes| -> Vec<String> {
            taxes.shares(paid.parse().unwrap()).iter().map(|share| share.amount.to_string()).collect()
        };
        for included in [false, true] {
            assert_eq!(shares("1.19", &taxes(included, &["VAT=19"])), ["0.19"]);
            assert_eq!(shares("1", &taxes(included, &["VAT=19"])), ["0.159663865"]);
            assert_eq!(shares("1.25", &taxes(included, &["state=20", "city=5"])), ["0.2", "0.05"]);
            assert_eq!(shares("0.000000001", &taxes(included, &["a=100", "b=100"])), ["0", "0"]);
        }
        assert!(Taxes::default().shares("1".parse().unwrap()).is_empty());
    }
}
