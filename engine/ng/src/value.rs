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
    Dictionary(Vec<(Cow<'a, [u8]>, Value<'a>)>),
}
