//! All rates of one version of a tariff, found by the longest prefix.

use thiserror::Error;

use crate::{Prefix, Rate};

/// An immutable set of rates.
///
/// Built once, then only read: shared between threads behind an `Arc` without a lock, and replaced as a whole.
#[derive(Clone, Debug)]
pub struct RateTable {
    /// By prefix; those of one prefix stand together, the one for all hours first.
    rates: Vec<Rate>,
    /// Which band of hours each rate is for.
    bands: Vec<u8>,
    index: Index,
}

impl RateTable {
    /// Sorts the rates and builds the index. A rate comes with the index of its band of hours, or with none for all hours
    /// that no band of its prefix has.
    ///
    /// # Errors
    /// A prefix that is there twice for the same hours, one without a rate for the hours outside bands, or more than
    /// [`RateTable::RATES_MAX`] rates.
    ///
    /// # Cost
    /// A sort, and about 30 bytes a rate beside the rates.
    pub fn new(rates: impl IntoIterator<Item = (Rate, Option<u8>)>) -> Result<Self, TableError> {
        let mut listed: Vec<(Rate, u8)> = rates
            .into_iter()
            .map(|(rate, band)| (rate, band.map_or(ALL_HOURS, |band| band.saturating_add(1))))
            .collect();
        if listed.len() > Self::RATES_MAX {
            return Err(TableError::TooMany);
        }
        listed.sort_unstable_by_key(|(rate, band)| (rate.prefix(), *band));
        for (index, (rate, band)) in listed.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| listed.get(before));
            let before = before.filter(|(before, _)| before.prefix() == rate.prefix());
            match before {
                Some((_, before)) if before == band => return Err(TableError::Duplicate(rate.prefix())),
                None if *band != ALL_HOURS => return Err(TableError::BandOnly(rate.prefix())),
                _ => {}
            }
        }
        let (rates, bands): (Vec<Rate>, Vec<u8>) = listed.into_iter().unzip();
        let index = Index::new(&rates)?;
        Ok(RateTable { rates, bands, index })
    }

    /// The most rates one table holds.
    pub const RATES_MAX: usize = 2_000_000;

    /// All rates by prefix, each with the index of its band.
    pub fn rates(&self) -> impl ExactSizeIterator<Item = (&Rate, Option<u8>)> {
        self.rates.iter().zip(&self.bands).map(|(rate, band)| (rate, band.checked_sub(1)))
    }

    /// The rate with the longest prefix of `number` in a band of hours, or the one for all hours where that prefix has
    /// none for the band.
    ///
    /// `number` is digits with or without a leading `+`; nothing when no prefix matches or when `number` has other
    /// characters or more than [`RateTable::NUMBER_DIGITS_MAX`] digits.
    ///
    /// # Cost
    /// Two or three reads that may miss the cache; no lock, no allocation.
    #[must_use]
    pub fn find(&self, number: &str, band: Option<u8>) -> Option<(&Rate, Option<u8>)> {
        let digits = number.strip_prefix('+').unwrap_or(number).as_bytes();
        if digits.len() > Self::NUMBER_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let first = self.index.find(digits)?;
        let rate = &self.rates[first];
        let Some(wanted) = band.map(|band| band.saturating_add(1)) else { return Some((rate, None)) };
        let of_prefix = self.rates[first..].iter().take_while(|other| other.prefix() == rate.prefix());
        let in_band = of_prefix.zip(&self.bands[first..]).find(|(_, band)| **band == wanted);
        Some(in_band.map_or((rate, None), |(rate, _)| (rate, band)))
    }

    /// The longest number that is looked up; anything longer is no number.
    pub const NUMBER_DIGITS_MAX: usize = 32;
}

/// Which rate each number has, as a list of changes: every number from one key on, until the next, has the same rate, or
/// none.
///
/// A key is a number's first digits in base 11, where 0 stands for the end of a shorter number, so that keys are ordered
/// as the digits are and a prefix comes before everything that begins with it. Their leading digits choose a bucket, which
/// of half a million rates holds some ten changes: two cache lines.
#[derive(Clone, Debug)]
struct Index {
    /// Digits of a key: those of the longest prefix.
    key_digits: usize,
    /// How many of them choose the bucket.
    bucket_digits: usize,
    /// Where the changes of each bucket begin, and in the end how many there are.
    buckets: Vec<u32>,
    /// In order: the rest of the key above `RATE_BITS`, the place of the rate below, or `NONE`.
    changes: Vec<u64>,
}

impl Index {
    /// `rates` are sorted by prefix.
    fn new(rates: &[Rate]) -> Result<Self, TableError> {
        let length = |rate: &Rate| rate.prefix().as_str().len();
        let key_digits = rates.iter().map(length).max().unwrap_or(0);
        let room = rates.len().saturating_mul(4);
        let mut bucket_digits = key_digits.saturating_sub(REST_DIGITS_MAX);
        while bucket_digits < key_digits && BASE.pow(exponent(bucket_digits + 1)) <= room as u64 {
            bucket_digits += 1;
        }
        let mut index = Index { key_digits, bucket_digits, buckets: Vec::new(), changes: Vec::new() };
        index.add_changes(rates)?;
        Ok(index)
    }

    fn add_changes(&mut self, rates: &[Rate]) -> Result<(), TableError> {
        let mut list: Vec<(u64, u64)> = Vec::new();
        let mut change = |key: u64, rate: u64| match list.last_mut() {
            Some(last) if last.0 == key => last.1 = rate,
            _ => list.push((key, rate)),
        };
        // The prefixes that the current one begins with: where each ends, and its rate.
        let mut open: Vec<(u64, u64)> = Vec::new();
        let mut before = None;
        for (place, rate) in (0_u64..).zip(rates) {
            let prefix = rate.prefix();
            if before.replace(prefix) == Some(prefix) {
                continue;
            }
            let digits = prefix.as_str().as_bytes();
            let start = digits.iter().chain(std::iter::repeat(&END)).take(self.key_digits).fold(0, add_digit);
            while let Some((end, _)) = open.pop_if(|(end, _)| *end <= start) {
                change(end, open.last().map_or(NONE, |(_, rate)| *rate));
            }
            change(start, place);
            open.push((start + BASE.pow(exponent(self.key_digits - digits.len())), place));
        }
        while let Some((end, _)) = open.pop() {
            change(end, open.last().map_or(NONE, |(_, rate)| *rate));
        }
        let rest = BASE.pow(exponent(self.key_digits - self.bucket_digits));
        let buckets = BASE.pow(exponent(self.bucket_digits));
        for (key, rate) in list {
            // The end of the last prefix may lie beyond all keys.
            let bucket = usize::try_from((key / rest).min(buckets)).map_err(|_| TableError::TooMany)?;
            let begins = u32::try_from(self.changes.len()).map_err(|_| TableError::TooMany)?;
            self.buckets.resize(self.buckets.len().max(bucket + 1), begins);
            self.changes.push((key % rest) << RATE_BITS | rate);
        }
        let count = u32::try_from(self.changes.len()).map_err(|_| TableError::TooMany)?;
        let all = usize::try_from(buckets).map_err(|_| TableError::TooMany)? + 1;
        self.buckets.resize(all, count);
        Ok(())
    }

    /// The place of the first rate of the longest prefix.
    fn find(&self, digits: &[u8]) -> Option<usize> {
        let (mut bucket, mut rest) = (0, 0);
        for place in 0..self.key_digits {
            rest = add_digit(rest, digits.get(place).unwrap_or(&END));
            if place + 1 == self.bucket_digits {
                (bucket, rest) = (rest, 0);
            }
        }
        let bucket = usize::try_from(bucket).ok()?;
        let (begins, ends) = (self.buckets[bucket] as usize, self.buckets[bucket + 1] as usize);
        let last = rest << RATE_BITS | NONE;
        let passed = self.changes[begins..ends].partition_point(|change| *change <= last);
        // Where the bucket begins with a later change, the last one of the buckets before holds.
        let change = self.changes.get((begins + passed).checked_sub(1)?)?;
        let place = change & NONE;
        if place == NONE { None } else { usize::try_from(place).ok() }
    }
}

/// Appends a digit, or the end of the number, to a key.
fn add_digit(key: u64, digit: &u8) -> u64 {
    key * BASE + u64::from(digit - END)
}

fn exponent(digits: usize) -> u32 {
    u32::try_from(digits).unwrap_or(u32::MAX)
}

/// Why rates make no table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TableError {
    /// Two rates have the same prefix and hours.
    #[error("prefix {0} has two rates")]
    Duplicate(Prefix),
    /// A prefix has rates for bands of hours and none for the rest of the week.
    #[error("prefix {0} has a rate for a band of hours and none for the other hours")]
    BandOnly(Prefix),
    /// More rates than [`RateTable::RATES_MAX`].
    #[error("too many rates")]
    TooMany,
}

/// Ten digits and the end of the number.
const BASE: u64 = 11;
/// Stands for the end of the number.
const END: u8 = b'0' - 1;
/// More than [`RateTable::RATES_MAX`] places.
const RATE_BITS: u32 = 21;
/// No rate.
const NONE: u64 = (1 << RATE_BITS) - 1;
/// As many digits in base 11 fit a change beside the place of a rate.
const REST_DIGITS_MAX: usize = 12;
/// In `bands`: the rate for all hours that no band of its prefix has.
const ALL_HOURS: u8 = 0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Amount;

    fn rate(prefix: &str) -> Rate {
        Rate::per_minute(prefix.parse().unwrap(), Amount::from_nanos(1)).unwrap()
    }

    fn table(prefixes: &[&str]) -> Result<RateTable, TableError> {
        RateTable::new(prefixes.iter().map(|prefix| (rate(prefix), None)))
    }

    fn found(table: &RateTable, number: &str) -> Option<String> {
        table.find(number, None).map(|(rate, _)| rate.prefix().to_string())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = table(&["49", "4930", "4915", "1"]).unwrap();
        for (number, prefix) in [
            ("+493012345", Some("4930")),
            ("493012345", Some("4930")),
            ("+498912345", Some("49")),
            ("+491", Some("49")),
            ("49", Some("49")),
            ("+12125550100", Some("1")),
            ("4", None),
            ("+33123", None),
            ("", None),
        ] {
            assert_eq!(found(&table, number).as_deref(), prefix, "{number}");
        }
        assert_eq!(found(&super::RateTable::new([]).unwrap(), "49"), None);
    }

    #[test]
    fn what_is_no_number_has_no_rate() {
        let table = table(&["49"]).unwrap();
        for number in ["49a", "++49", "49 30", "alice", "٤٩"] {
            assert_eq!(found(&table, number), None, "{number}");
        }
        assert_eq!(found(&table, &"49".repeat(17)), None);
    }

    #[test]
    fn a_prefix_has_one_rate_for_the_same_hours() {
        assert_eq!(table(&["49", "49"]).unwrap_err(), TableError::Duplicate("49".parse().unwrap()));
        let twice = RateTable::new([(rate("49"), Some(1)), (rate("49"), None), (rate("49"), Some(1))]);
        assert_eq!(twice.unwrap_err(), TableError::Duplicate("49".parse().unwrap()));
        let alone = RateTable::new([(rate("4"), None), (rate("49"), Some(1))]);
        assert_eq!(alone.unwrap_err(), TableError::BandOnly("49".parse().unwrap()));
    }

    #[test]
    fn a_band_that_a_prefix_has_no_rate_for_costs_what_other_hours_cost() {
        let table = RateTable::new([
            (rate("49"), Some(2)),
            (rate("49"), None),
            (rate("49"), Some(0)),
            (rate("4930"), None),
        ])
        .unwrap();
        let band =
            |number, band| table.find(number, band).map(|(rate, band)| (rate.prefix().to_string(), band));
        assert_eq!(band("4989", None), Some(("49".to_owned(), None)));
        assert_eq!(band("4989", Some(0)), Some(("49".to_owned(), Some(0))));
        assert_eq!(band("4989", Some(1)), Some(("49".to_owned(), None)));
        assert_eq!(band("4989", Some(2)), Some(("49".to_owned(), Some(2))));
        assert_eq!(band("4930", Some(2)), Some(("4930".to_owned(), None)));
    }

    #[test]
    fn digits_at_either_end_of_their_range_are_found() {
        let full = "9".repeat(Prefix::DIGITS_MAX);
        let table = table(&["0", "9", "99", "000000000000000", &full]).unwrap();
        for (number, prefix) in [
            ("0", "0"),
            ("01", "0"),
            ("000000000000000", "000000000000000"),
            ("00000000000000000000", "000000000000000"),
            ("98", "9"),
            ("9", "9"),
            ("999", "99"),
            ("99999999999999999999", full.as_str()),
        ] {
            assert_eq!(found(&table, number).as_deref(), Some(prefix), "{number}");
        }
        assert_eq!(found(&table, "1"), None);
    }

    #[test]
    fn every_rate_of_a_large_table_is_found_and_so_is_what_lies_beside() {
        let even: Vec<String> = (10_000..60_000).step_by(2).map(|code| code.to_string()).collect();
        let table = table(&even.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        for code in 10_000..60_000 {
            let expected = (code % 2 == 0).then(|| code.to_string());
            assert_eq!(found(&table, &format!("{code}123")), expected);
        }
        assert_eq!(found(&table, "1000"), None);
        assert_eq!(found(&table, "60000"), None);
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_a_search(
            prefixes in prop::collection::btree_set("[0189]{1,5}|[09]{10,15}", 0..60),
            number in "[0189]{0,8}|[09]{8,20}",
        ) {
            let listed: Vec<&str> = prefixes.iter().rev().map(String::as_str).collect();
            let table = table(&listed).unwrap();
            let longest = prefixes
                .iter()
                .filter(|prefix| number.starts_with(prefix.as_str()))
                .max_by_key(|prefix| prefix.len())
                .cloned();
            prop_assert_eq!(found(&table, &number), longest);
        }
    }
}
