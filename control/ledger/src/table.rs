//! All rates of one version of a tariff, found by the longest prefix.

use std::collections::VecDeque;

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
    /// Breadth first, so that the children of a node are neighbours and the first digits share few cache lines.
    nodes: Vec<Node>,
}

impl RateTable {
    /// Sorts the rates and builds the trie. A rate comes with the index of its band of hours, or with none for all hours
    /// that no band of its prefix has.
    ///
    /// # Errors
    /// A prefix that is there twice for the same hours, one without a rate for the hours outside bands, or more than
    /// [`RateTable::RATES_MAX`] rates.
    ///
    /// # Cost
    /// A sort, and one node of 12 bytes for each distinct leading digit string.
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
        let nodes = build(&rates)?;
        Ok(RateTable { rates, bands, nodes })
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
    /// One step for each digit of the longest prefix; no lock, no allocation.
    #[must_use]
    pub fn find(&self, number: &str, band: Option<u8>) -> Option<(&Rate, Option<u8>)> {
        let digits = number.strip_prefix('+').unwrap_or(number).as_bytes();
        if digits.len() > Self::NUMBER_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut node = self.nodes.first()?;
        let mut found = NONE;
        for digit in digits {
            let bit = 1_u16 << (digit - b'0');
            if node.children & bit == 0 {
                break;
            }
            let before = (node.children & (bit - 1)).count_ones();
            node = &self.nodes[(node.first_child + before) as usize];
            if node.rate != NONE {
                found = node.rate;
            }
        }
        if found == NONE {
            return None;
        }
        let first = found as usize;
        let rate = &self.rates[first];
        let Some(wanted) = band.map(|band| band.saturating_add(1)) else { return Some((rate, None)) };
        let of_prefix = self.rates[first..].iter().take_while(|other| other.prefix() == rate.prefix());
        let in_band = of_prefix.zip(&self.bands[first..]).find(|(_, band)| **band == wanted);
        Some(in_band.map_or((rate, None), |(rate, _)| (rate, band)))
    }

    /// The longest number that is looked up; anything longer is no number.
    pub const NUMBER_DIGITS_MAX: usize = 32;
}

/// One leading digit string.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The place of its rate for all hours, or `NONE`.
    rate: u32,
    /// The place of its first child; the others follow in the order of their digits.
    first_child: u32,
    /// Bit `d` is set when there is a child for digit `d`.
    children: u16,
}

impl Node {
    const EMPTY: Node = Node { rate: NONE, first_child: 0, children: 0 };
}

/// `rates` are sorted by prefix.
fn build(rates: &[Rate]) -> Result<Vec<Node>, TableError> {
    let mut nodes = vec![Node::EMPTY];
    let mut waiting = VecDeque::from([(0, 0..rates.len(), 0)]);
    while let Some((node, mut range, depth)) = waiting.pop_front() {
        // Prefixes that end here come first.
        let ends = |index: usize| rates[index].prefix().as_str().len() == depth;
        while !range.is_empty() && ends(range.start) {
            if nodes[node].rate == NONE {
                nodes[node].rate = dense(range.start)?;
            }
            range.start += 1;
        }
        nodes[node].first_child = dense(nodes.len())?;
        while !range.is_empty() {
            let digit = rates[range.start].prefix().as_str().as_bytes()[depth];
            let same = rates[range.clone()]
                .partition_point(|rate| rate.prefix().as_str().as_bytes()[depth] <= digit);
            nodes[node].children |= 1 << (digit - b'0');
            waiting.push_back((nodes.len(), range.start..range.start + same, depth + 1));
            nodes.push(Node::EMPTY);
            range.start += same;
        }
    }
    Ok(nodes)
}

fn dense(index: usize) -> Result<u32, TableError> {
    u32::try_from(index).ok().filter(|index| *index != NONE).ok_or(TableError::TooMany)
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

/// No rate.
const NONE: u32 = u32::MAX;
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

    proptest! {
        #[test]
        fn the_trie_agrees_with_a_search(
            prefixes in prop::collection::btree_set("[0-3]{1,5}", 0..30),
            number in "[0-3]{0,8}",
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
