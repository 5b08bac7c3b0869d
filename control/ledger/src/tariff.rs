//! All rates of one price list, found by the longest prefix.

use thiserror::Error;

use crate::{Currency, Prefix, Rate};

/// An immutable set of rates in one currency.
///
/// Built once, then only read: shared between threads behind an `Arc`
/// without a lock, and replaced as a whole.
#[derive(Clone, Debug)]
pub struct Tariff {
    currency: Currency,
    rates: Vec<Rate>,
    nodes: Vec<Node>,
}

impl Tariff {
    /// Builds the prefix trie.
    ///
    /// # Errors
    /// A prefix that is there twice, or more than [`Tariff::RATES_MAX`] rates.
    ///
    /// # Cost
    /// One node of 44 bytes for each distinct leading digit string.
    pub fn new(currency: Currency, rates: impl IntoIterator<Item = Rate>) -> Result<Self, TariffError> {
        let mut tariff = Tariff { currency, rates: Vec::new(), nodes: vec![Node::EMPTY] };
        for rate in rates {
            tariff.insert(rate)?;
        }
        Ok(tariff)
    }

    /// The most rates one tariff holds.
    pub const RATES_MAX: usize = 2_000_000;

    /// The currency of every rate in it.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// All rates, in the order they were given.
    #[must_use]
    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// The rate with the longest prefix of `number`, which is digits with or
    /// without a leading `+`; nothing when none matches or when `number` has
    /// other characters or more than [`Tariff::NUMBER_DIGITS_MAX`] digits.
    ///
    /// # Cost
    /// One array index for each digit of the longest prefix.
    #[must_use]
    pub fn rate_for(&self, number: &str) -> Option<&Rate> {
        let digits = number.strip_prefix('+').unwrap_or(number).as_bytes();
        if digits.len() > Self::NUMBER_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut node = &self.nodes[ROOT];
        let mut found = None;
        for digit in digits {
            let next = node.children[usize::from(digit - b'0')];
            if next == NONE {
                break;
            }
            node = &self.nodes[next as usize];
            if node.rate != NONE {
                found = Some(&self.rates[node.rate as usize]);
            }
        }
        found
    }

    /// The longest number that is looked up; anything longer is no number.
    pub const NUMBER_DIGITS_MAX: usize = 32;

    fn insert(&mut self, rate: Rate) -> Result<(), TariffError> {
        if self.rates.len() >= Self::RATES_MAX {
            return Err(TariffError::TooMany);
        }
        let mut index = ROOT;
        for digit in rate.prefix().as_str().bytes() {
            let digit = usize::from(digit - b'0');
            if self.nodes[index].children[digit] == NONE {
                self.nodes[index].children[digit] = dense(self.nodes.len())?;
                self.nodes.push(Node::EMPTY);
            }
            index = self.nodes[index].children[digit] as usize;
        }
        if self.nodes[index].rate != NONE {
            return Err(TariffError::Duplicate(rate.prefix()));
        }
        self.nodes[index].rate = dense(self.rates.len())?;
        self.rates.push(rate);
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Node {
    children: [u32; 10],
    rate: u32,
}

impl Node {
    const EMPTY: Node = Node { children: [NONE; 10], rate: NONE };
}

fn dense(index: usize) -> Result<u32, TariffError> {
    u32::try_from(index).ok().filter(|index| *index != NONE).ok_or(TariffError::TooMany)
}

/// Why rates make no tariff.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TariffError {
    /// Two rates have the same prefix.
    #[error("prefix {0} has two rates")]
    Duplicate(Prefix),
    /// More rates than [`Tariff::RATES_MAX`].
    #[error("too many rates")]
    TooMany,
}

const ROOT: usize = 0;
/// No child, no rate.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Amount;

    fn tariff(prefixes: &[&str]) -> Result<Tariff, TariffError> {
        let rates = prefixes
            .iter()
            .map(|prefix| Rate::per_minute(prefix.parse().unwrap(), Amount::from_nanos(1)).unwrap());
        Tariff::new("EUR".parse().unwrap(), rates)
    }

    fn found(tariff: &Tariff, number: &str) -> Option<String> {
        tariff.rate_for(number).map(|rate| rate.prefix().to_string())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let tariff = tariff(&["49", "4930", "4915", "1"]).unwrap();
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
            assert_eq!(found(&tariff, number).as_deref(), prefix, "{number}");
        }
    }

    #[test]
    fn what_is_no_number_has_no_rate() {
        let tariff = tariff(&["49"]).unwrap();
        for number in ["49a", "++49", "49 30", "alice", "٤٩"] {
            assert_eq!(found(&tariff, number), None, "{number}");
        }
        assert_eq!(found(&tariff, &"49".repeat(17)), None);
    }

    #[test]
    fn a_prefix_has_one_rate() {
        let twice = tariff(&["49", "49"]).unwrap_err();
        assert_eq!(twice, TariffError::Duplicate("49".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_a_search(
            prefixes in prop::collection::btree_set("[1-3]{1,5}", 0..30),
            number in "[1-3]{0,8}",
        ) {
            let listed: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let tariff = tariff(&listed).unwrap();
            let longest = prefixes
                .iter()
                .filter(|prefix| number.starts_with(prefix.as_str()))
                .max_by_key(|prefix| prefix.len())
                .cloned();
            prop_assert_eq!(found(&tariff, &number), longest);
        }
    }
}
