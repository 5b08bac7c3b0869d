//! Bencode, read without copying and written (`adr/0001-own-bencode.md`).
//!
//! Supported: dictionaries with keys in any order, byte strings, signed 64-bit integers,
//! lists. A length is checked against what is left before anything is taken; nesting and the
//! number of values are bounded by [`Value::DEPTH_MAX`] and [`Value::VALUES_MAX`].
//!
//! Not supported: integers wider than 64 bits, and leading zeros (both are errors).

use std::borrow::Cow;

use thiserror::Error;

use crate::value::Value;

/// Why a document is no bencode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum BencodeError {
    /// It ends inside a value.
    #[error("truncated")]
    Truncated,
    /// A byte that opens no value, or a key that is no text.
    #[error("unexpected byte")]
    UnexpectedByte,
    /// An integer or a length that is empty, has leading zeros or does not fit.
    #[error("bad number")]
    BadNumber,
    /// Containers nest deeper than [`Value::DEPTH_MAX`].
    #[error("nested too deeply")]
    TooDeep,
    /// More values than [`Value::VALUES_MAX`].
    #[error("too many values")]
    TooMany,
}

/// Reads one value and returns it with the number of bytes it took; what follows is not looked
/// at.
///
/// The tree borrows text from `document`. Cost: one pass, one allocation per container.
///
/// # Errors
/// See [`BencodeError`].
pub fn parse(document: &[u8]) -> Result<(Value<'_>, usize), BencodeError> {
    let mut parser = Parser { document, position: 0, values: 0 };
    let value = parser.value(0)?;
    Ok((value, parser.position))
}

struct Parser<'a> {
    document: &'a [u8],
    position: usize,
    values: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Result<u8, BencodeError> {
        self.document.get(self.position).copied().ok_or(BencodeError::Truncated)
    }

    /// Takes the end mark of a container if it is next.
    fn ends(&mut self) -> Result<bool, BencodeError> {
        let ends = self.peek()? == b'e';
        self.position += usize::from(ends);
        Ok(ends)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, BencodeError> {
        self.values += 1;
        if self.values > Value::VALUES_MAX {
            return Err(BencodeError::TooMany);
        }
        let first = self.peek()?;
        if matches!(first, b'd' | b'l') && depth == Value::DEPTH_MAX {
            return Err(BencodeError::TooDeep);
        }
        match first {
            b'0'..=b'9' => Ok(Value::Text(Cow::Borrowed(self.text()?))),
            b'i' => {
                self.position += 1;
                self.integer().map(Value::Integer)
            }
            b'l' => {
                self.position += 1;
                let mut items = Vec::new();
                while !self.ends()? {
                    items.push(self.value(depth + 1)?);
                }
                Ok(Value::List(items))
            }
            b'd' => {
                self.position += 1;
                // Room for a whole message at once; a flood of empty dictionaries gets none.
                let mut entries = Vec::with_capacity(if depth == 0 { 12 } else { 0 });
                while !self.ends()? {
                    let key = self.text()?;
                    entries.push((Cow::Borrowed(key), self.value(depth + 1)?));
                }
                Ok(Value::Dictionary(entries))
            }
            _ => Err(BencodeError::UnexpectedByte),
        }
    }

    fn text(&mut self) -> Result<&'a [u8], BencodeError> {
        if !self.peek()?.is_ascii_digit() {
            return Err(BencodeError::UnexpectedByte);
        }
        let length = usize::try_from(self.digits(b':')?).map_err(|_| BencodeError::Truncated)?;
        let end = self.position.checked_add(length).ok_or(BencodeError::Truncated)?;
        let text = self.document.get(self.position..end).ok_or(BencodeError::Truncated)?;
        self.position = end;
        Ok(text)
    }

    fn integer(&mut self) -> Result<i64, BencodeError> {
        let negative = self.peek()? == b'-';
        self.position += usize::from(negative);
        let magnitude = i128::from(self.digits(b'e')?);
        i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| BencodeError::BadNumber)
    }

    /// Decimal digits up to and including `end`.
    fn digits(&mut self, end: u8) -> Result<u64, BencodeError> {
        let start = self.position;
        let mut number = 0_u64;
        loop {
            let byte = self.peek()?;
            self.position += 1;
            if byte == end {
                break;
            }
            if !byte.is_ascii_digit() {
                return Err(BencodeError::BadNumber);
            }
            number = number
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(u64::from(byte - b'0')))
                .ok_or(BencodeError::BadNumber)?;
        }
        let digits = &self.document[start..self.position - 1];
        if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
            return Err(BencodeError::BadNumber);
        }
        Ok(number)
    }
}

/// Appends `value` to `out`, keys in the order they stand in.
pub fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => {
            out.push(b'i');
            out.extend_from_slice(number.to_string().as_bytes());
            out.push(b'e');
        }
        Value::Text(text) => write_text(text, out),
        Value::List(items) => {
            out.push(b'l');
            for item in items {
                write(item, out);
            }
            out.push(b'e');
        }
        Value::Dictionary(entries) => {
            out.push(b'd');
            for (key, value) in entries {
                write_text(key, out);
                write(value, out);
            }
            out.push(b'e');
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(text);
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn values() -> impl Strategy<Value = Value<'static>> {
        let text = prop::collection::vec(any::<u8>(), 0..12).prop_map(Cow::Owned);
        let leaf = prop_oneof![any::<i64>().prop_map(Value::Integer), text.clone().prop_map(Value::Text)];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                prop::collection::vec((text.clone(), inner), 0..6).prop_map(Value::Dictionary),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in values()) {
            let mut out = Vec::new();
            write(&value, &mut out);
            prop_assert_eq!(parse(&out), Ok((value, out.len())));
        }

        #[test]
        fn what_is_read_is_written_back(document in "(d|l|e|i-?[0-9]{1,3}e|1:[a-z]|2:ab|0:){0,20}") {
            if let Ok((value, used)) = parse(document.as_bytes()) {
                let mut out = Vec::new();
                write(&value, &mut out);
                if !document.contains("-0") {
                    prop_assert_eq!(&document.as_bytes()[..used], &out[..]);
                }
            }
        }

        #[test]
        fn random_bytes_never_panic(document in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&document);
        }

        #[test]
        fn every_prefix_of_a_document_is_truncated(value in values()) {
            let mut out = Vec::new();
            write(&value, &mut out);
            for end in 0..out.len() {
                prop_assert_eq!(parse(&out[..end]), Err(BencodeError::Truncated));
            }
        }
    }

    #[test]
    fn a_nesting_bomb_is_refused_at_the_cap() {
        for byte in [b"l".as_slice(), b"d1:a"] {
            let bomb = byte.repeat(65_536 / byte.len());
            assert_eq!(parse(&bomb), Err(BencodeError::TooDeep));
        }
        let mut fits = vec![b'l'; Value::DEPTH_MAX];
        fits.extend(vec![b'e'; Value::DEPTH_MAX]);
        assert!(parse(&fits).is_ok());
    }

    #[test]
    fn lengths_are_checked_before_use() {
        for document in ["9999999999:x", "18446744073709551615:x", "5:abcd"] {
            assert_eq!(parse(document.as_bytes()), Err(BencodeError::Truncated), "{document}");
        }
        assert_eq!(parse(b"99999999999999999999:x"), Err(BencodeError::BadNumber));
    }

    #[test]
    fn numbers_without_digits_or_with_leading_zeros_are_refused() {
        for document in ["ie", "i-e", "i00e", "i012e", "i1", "07:command", "i9223372036854775808e", "i1-e"] {
            assert!(parse(document.as_bytes()).is_err(), "{document}");
        }
        assert_eq!(parse(b"i-9223372036854775808e").map(|(value, _)| value), Ok(Value::Integer(i64::MIN)));
    }

    #[test]
    fn a_flood_of_values_is_refused() {
        let mut flood = b"l".to_vec();
        flood.extend(b"0:".repeat(Value::VALUES_MAX));
        flood.push(b'e');
        assert_eq!(parse(&flood), Err(BencodeError::TooMany));
    }

    #[test]
    fn keys_that_are_no_text_are_refused() {
        assert_eq!(parse(b"di5e4:pinge"), Err(BencodeError::UnexpectedByte));
    }

    #[test]
    fn unsorted_and_repeated_keys_are_kept_in_order() {
        let (value, _) = parse(b"d1:b1:x1:a1:y1:b1:ze").expect("well formed");
        assert_eq!(value.get("b"), Some(&Value::text("x")));
        assert_eq!(value.entries().map(<[_]>::len), Some(3));
    }
}
