//! The answer to `statistics`: a tree of names and numbers.

use std::borrow::Cow;

use crate::value::Value;

/// The answer to `statistics`, under rtpengine's names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatisticsReply {
    /// What stands under `statistics`, in order, such as `currentstatistics`, `totalstatistics`.
    pub sections: Vec<(Cow<'static, str>, Stat)>,
}

/// One value of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stat {
    /// A count.
    Number(i64),
    /// A fraction or a duration, as text.
    Text(String),
    /// A list.
    List(Vec<Stat>),
    /// Names and values in order.
    Section(Vec<(Cow<'static, str>, Stat)>),
}

impl Stat {
    /// A count; what does not fit becomes the largest that does.
    pub fn count(count: u64) -> Self {
        Self::Number(count.try_into().unwrap_or(i64::MAX))
    }

    /// A section, in order.
    pub fn section(entries: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Section(entries.into_iter().map(|(name, stat)| (Cow::Borrowed(name), stat)).collect())
    }
}

pub(crate) fn put_stat(stat: &Stat) -> Value<'_> {
    match stat {
        Stat::Number(number) => Value::Integer(*number),
        Stat::Text(text) => Value::text(text),
        Stat::List(items) => Value::List(items.iter().map(put_stat).collect()),
        Stat::Section(entries) => put_sections(entries),
    }
}

pub(crate) fn put_sections<'a>(entries: &'a [(Cow<'static, str>, Stat)]) -> Value<'a> {
    let entry =
        |(name, stat): &'a (Cow<'static, str>, Stat)| (Cow::Borrowed(name.as_bytes()), put_stat(stat));
    Value::Dictionary(entries.iter().map(entry).collect())
}

pub(crate) fn read_stat(value: &Value<'_>) -> Stat {
    match value {
        Value::Integer(number) => Stat::Number(*number),
        Value::Text(text) => Stat::Text(String::from_utf8_lossy(text).into_owned()),
        Value::List(items) => Stat::List(items.iter().map(read_stat).collect()),
        Value::Dictionary(_) => Stat::Section(read_sections(value)),
    }
}

pub(crate) fn read_sections(value: &Value<'_>) -> Vec<(Cow<'static, str>, Stat)> {
    let entries = value.entries().unwrap_or_default().iter();
    entries
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned().into(), read_stat(value)))
        .collect()
}
