//! The leading digits of a telephone number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// One to fifteen leading digits of an E.164 number, country code first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    digits: [u8; Prefix::DIGITS_MAX],
    length: u8,
}

impl Prefix {
    /// A full E.164 number has at most fifteen digits ([E.164 §6.2.1]).
    pub const DIGITS_MAX: usize = 15;

    /// The digits as ASCII text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.digits[..usize::from(self.length)])
            .expect("a prefix is ASCII digits by construction")
    }

    /// Whether `number` (digits with or without a leading `+`) starts with
    /// this prefix.
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        number.strip_prefix('+').unwrap_or(number).starts_with(self.as_str())
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads digits with or without a leading `+`.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let length = u8::try_from(text.len()).map_err(|_| PrefixError)?;
        let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty() || text.len() > Self::DIGITS_MAX || !all_digits {
            return Err(PrefixError);
        }
        let mut digits = [0; Self::DIGITS_MAX];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Prefix { digits, length })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The text is not one to fifteen digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a prefix of one to fifteen digits")]
pub struct PrefixError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_with_or_without_plus() {
        let prefix: Prefix = "+4930".parse().unwrap();
        assert_eq!(prefix.as_str(), "4930");
        assert_eq!("4930".parse(), Ok(prefix));
        assert!(prefix.matches("+493012345"));
        assert!(prefix.matches("493012345"));
        assert!(!prefix.matches("49"));
    }

    #[test]
    fn anything_but_digits_is_refused() {
        for text in ["", "+", "++4", "4a", "1234567890123456", "٤"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text:?}");
        }
    }
}
