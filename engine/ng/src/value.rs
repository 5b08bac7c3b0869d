//! The tree that both encodings share.

use std::borrow::Cow;

/// A value of a document; text and keys borrow from the datagram where they can.
///
/// Dictionaries keep the order of the document, since it is part of what peers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A signed integer.
    Integer(i64),
    /// A byte string.
    Text(Cow<'a, [u8]>),
    /// A list.
    List(Vec<Value<'a>>),
    /// Keys and values in order of the document.
    Dictionary(Vec<Entry<'a>>),
}

/// A key of a dictionary and what stands under it.
pub type Entry<'a> = (Cow<'a, [u8]>, Value<'a>);

impl<'a> Value<'a> {
    /// Containers within containers, the outermost counted; a deeper document is refused.
    pub const DEPTH_MAX: usize = 16;
    /// Values of one document, keys not counted; a document with more is refused.
    pub const VALUES_MAX: usize = 16_384;

    /// Text that borrows.
    pub fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    /// Text that was made on the spot.
    pub fn owned(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }

    /// An integer; what does not fit becomes the largest that does.
    pub fn integer(number: impl TryInto<i64>) -> Self {
        Self::Integer(number.try_into().unwrap_or(i64::MAX))
    }

    /// The entries, if this is a dictionary.
    pub fn entries(&self) -> Option<&[Entry<'a>]> {
        match self {
            Self::Dictionary(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn items(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The first value under `key`, if this is a dictionary that has one.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.entries()?.iter().find(|(name, _)| name.as_ref() == key.as_bytes()).map(|(_, value)| value)
    }

    /// The bytes, if this is text.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The characters, if this is text in UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The number, whether written as one or as text.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(_) => self.as_str()?.trim().parse().ok(),
            _ => None,
        }
    }

    /// The number if it is not negative, whether written as one or as text.
    pub fn as_unsigned(&self) -> Option<u64> {
        self.as_integer()?.try_into().ok()
    }
}

/// A dictionary under construction, in the order of its writing.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(Vec<Entry<'a>>);

impl<'a> Fields<'a> {
    pub(crate) fn put(&mut self, key: &'a str, value: Value<'a>) -> &mut Self {
        self.put_key(Cow::Borrowed(key), value)
    }

    pub(crate) fn put_key(&mut self, key: Cow<'a, str>, value: Value<'a>) -> &mut Self {
        let key = match key {
            Cow::Borrowed(key) => Cow::Borrowed(key.as_bytes()),
            Cow::Owned(key) => Cow::Owned(key.into_bytes()),
        };
        self.0.push((key, value));
        self
    }

    pub(crate) fn put_text(&mut self, key: &'a str, text: &'a str) -> &mut Self {
        self.put(key, Value::text(text))
    }

    pub(crate) fn put_some(&mut self, key: &'a str, text: Option<&'a str>) -> &mut Self {
        if let Some(text) = text {
            self.put_text(key, text);
        }
        self
    }

    pub(crate) fn put_number(&mut self, key: &'a str, number: impl TryInto<i64>) -> &mut Self {
        self.put(key, Value::integer(number))
    }

    pub(crate) fn done(self) -> Value<'a> {
        Value::Dictionary(self.0)
    }
}
