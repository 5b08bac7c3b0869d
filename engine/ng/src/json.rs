//! JSON, read into the same tree as bencode and written from it.
//!
//! Supported: objects, arrays, strings, integers; `true` and `false` as 1 and 0. Of repeated
//! keys the last one counts. Not supported: `null` and numbers that are no 64-bit integers
//! (refused as values the protocol has not); text that is no UTF-8 is written with U+FFFD.

use std::{borrow::Cow, cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use crate::value::{Entry, Value};

/// Why a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum JsonError {
    /// It is no JSON.
    #[error("malformed")]
    Malformed,
    /// It is JSON with a value that the protocol has not, or beyond our bounds.
    #[error("value out of range")]
    Value,
}

/// Reads a whole document; only white space may follow.
///
/// # Errors
/// See [`JsonError`]. Nesting beyond [`Value::DEPTH_MAX`] and more values than
/// [`Value::VALUES_MAX`] are [`JsonError::Value`].
pub fn parse(document: &[u8]) -> Result<Value<'_>, JsonError> {
    let budget = Budget { values: Cell::new(0), refused: Cell::new(false) };
    let mut reader = serde_json::Deserializer::from_slice(document);
    let parsed = Seed { budget: &budget, depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|_| if budget.refused.get() { JsonError::Value } else { JsonError::Malformed })
}

/// Keys of one object: repeated keys are looked for one by one.
const KEYS_MAX: usize = 1024;

struct Budget {
    values: Cell<usize>,
    refused: Cell<bool>,
}

impl Budget {
    fn refuse<E: serde::de::Error>(&self) -> E {
        self.refused.set(true);
        E::custom("refused")
    }
}

#[derive(Clone, Copy)]
struct Seed<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl Seed<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == Value::DEPTH_MAX {
            return Err(self.budget.refuse());
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        let values = self.budget.values.get() + 1;
        self.budget.values.set(values);
        if values > Value::VALUES_MAX {
            return Err(self.budget.refuse());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object, a list, text or an integer")
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<Value<'de>, E> {
        Ok(Value::Integer(i64::from(truth)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value<'de>, E> {
        i64::try_from(number).map(Value::Integer).map_err(|_| self.budget.refuse())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value<'de>, E> {
        Err(self.budget.refuse())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value<'de>, E> {
        Err(self.budget.refuse())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::text(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::owned(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let seed = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value<'de>, A::Error> {
        let seed = self.inner()?;
        let mut entries: Vec<Entry<'de>> = Vec::new();
        while let Some(key) = access.next_key_seed(Key)? {
            let value = access.next_value_seed(seed)?;
            match entries.iter().position(|(name, _)| *name == key) {
                Some(index) => entries[index].1 = value,
                None if entries.len() == KEYS_MAX => return Err(seed.budget.refuse()),
                None => entries.push((key, value)),
            }
        }
        Ok(Value::Dictionary(entries))
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, [u8]>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_vec()))
    }
}

/// Appends `value` to `out`, keys in the order they stand in, without white space.
pub fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Text(text) => write_text(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Dictionary(entries) => {
            out.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    serde_json::to_writer(out, &String::from_utf8_lossy(text)).expect("a vector takes every write");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![any::<i64>().prop_map(Value::Integer), any::<String>().prop_map(Value::owned)];
        leaf.prop_recursive(5, 64, 6, |inner| {
            let keys = prop::collection::btree_map("[a-z \\\\\"é]{0,5}", inner.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::List),
                keys.prop_map(|map| {
                    let entries = map.into_iter().map(|(key, value)| (Cow::Owned(key.into_bytes()), value));
                    Value::Dictionary(entries.collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in values()) {
            let mut out = Vec::new();
            write(&value, &mut out);
            prop_assert_eq!(parse(&out), Ok(value));
        }

        #[test]
        fn random_bytes_never_panic(document in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&document);
        }
    }

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_not() {
        let Ok(Value::List(items)) = parse(br#"["plain","a\nb"]"#) else { panic!("a list") };
        assert!(matches!(items[0], Value::Text(Cow::Borrowed(b"plain"))));
        assert!(matches!(items[1], Value::Text(Cow::Owned(_))));
    }

    #[test]
    fn nesting_bombs_are_refused() {
        assert_eq!(parse("[".repeat(65_536).as_bytes()), Err(JsonError::Value));
        assert_eq!(parse("{\"a\":".repeat(13_000).as_bytes()), Err(JsonError::Value));
    }

    #[test]
    fn values_the_protocol_has_not_are_told_from_broken_documents() {
        for document in ["null", "1.5", "1e400", "[99999999999999999999]"] {
            assert!(parse(document.as_bytes()).is_err(), "{document}");
        }
        assert_eq!(parse(br#"{"a":null}"#), Err(JsonError::Value));
        assert_eq!(parse(br#"{"a":1.5}"#), Err(JsonError::Value));
        for document in ["{", "{}x", "{\"a\"", "{a:1}", "", "{\"a\":\"\\ud800\"}"] {
            assert_eq!(parse(document.as_bytes()), Err(JsonError::Malformed), "{document}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err(JsonError::Malformed));
    }

    #[test]
    fn the_last_of_repeated_keys_counts() {
        let value = parse(br#"{"command":"xxx","command":"ping"}"#).expect("well formed");
        assert_eq!(value.get("command"), Some(&Value::text("ping")));
    }

    #[test]
    fn floods_are_refused() {
        let keys: String = (0..=KEYS_MAX).map(|n| format!("\"{n}\":1,")).collect();
        assert_eq!(parse(format!("{{{keys}\"x\":1}}").as_bytes()), Err(JsonError::Value));
        let items = "1,".repeat(Value::VALUES_MAX);
        assert_eq!(parse(format!("[{items}1]").as_bytes()), Err(JsonError::Value));
    }
}
