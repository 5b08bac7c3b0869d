//! Names of calls, accounts, trunks and engines.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// One call: a ULID in its 26 characters of Crockford base 32.
///
/// It sorts by the wall clock of the call's beginning, and keys the hold, the journal row, the charge and
/// the CDR, so that each of them happens at most once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(String);

impl CallId {
    /// A new identifier out of milliseconds since the Unix epoch and 80 random bits.
    pub fn new<R: Rng + ?Sized>(wall_ms: u64, rng: &mut R) -> Self {
        let mut value = u128::from(wall_ms & 0xffff_ffff_ffff) << 80;
        value |= rng.random::<u128>() >> 48;
        let text = (0..26).map(|index| ALPHABET[((value >> (5 * (25 - index))) & 31) as usize] as char);
        Self(text.collect())
    }

    /// The identifier as it was written before. Any text serves, since only equality matters.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The 26 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

name! {
    /// An account, by the name its operator gave it.
    AccountId
}
name! {
    /// A trunk to a carrier, by the name its operator gave it.
    TrunkId
}
name! {
    /// A tariff, by the name its operator gave it.
    TariffId
}

/// A media engine, as its place in the configured list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineId(pub u16);

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn call_ids_sort_by_their_wall_clock() {
        let mut rng = StdRng::seed_from_u64(1);
        let early = CallId::new(1_700_000_000_000, &mut rng);
        let late = CallId::new(1_700_000_000_001, &mut rng);
        assert!(early < late);
        assert_eq!(early.as_str().len(), 26);
        // 2023-11-14T22:13:20Z, as any ULID library prints it.
        assert_eq!(&early.as_str()[..10], "01HF7YAT00");
    }

    #[test]
    fn two_calls_of_one_millisecond_differ() {
        let mut rng = StdRng::seed_from_u64(2);
        assert_ne!(CallId::new(5, &mut rng), CallId::new(5, &mut rng));
    }
}
