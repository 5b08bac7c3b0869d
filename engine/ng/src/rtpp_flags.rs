//! `rtpp-flags`: all options in one text, as newer proxies send them unparsed.
//!
//! Items are separated by blanks: `word`, `key=value` or `key=[ … ]` with the same items inside.
//! A bracket whose items all have keys is a dictionary, any other is a list.

use std::borrow::Cow;

use crate::value::Value;

/// One item of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Word(&'a str),
    Keyed(&'a str, Value<'a>),
    Nested(Value<'a>),
}

/// Brackets within brackets; what lies deeper is left out.
const DEPTH_MAX: usize = 8;
/// Items of one text, nested ones counted; what follows is left out.
const ITEMS_MAX: usize = 1024;

/// The items of the outermost level. Never fails: what makes no sense is skipped.
pub(crate) fn parse(text: &str) -> Vec<Item<'_>> {
    let mut parser = Parser { rest: text, items: 0 };
    let mut items = Vec::new();
    loop {
        items.extend(parser.items(0));
        // A bracket that closes nothing ends no text.
        match parser.rest.strip_prefix(']') {
            Some(rest) => parser.rest = rest,
            None => return items,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    items: usize,
}

impl<'a> Parser<'a> {
    /// Items up to a closing bracket or the end, neither of which is taken.
    fn items(&mut self, depth: usize) -> Vec<Item<'a>> {
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(']') {
                return items;
            }
            self.items += 1;
            if self.items > ITEMS_MAX {
                self.rest = "";
                return items;
            }
            if self.rest.starts_with('[') {
                let nested = self.bracket(depth);
                items.extend(nested.map(Item::Nested));
                continue;
            }
            let word = self.take(|letter| matches!(letter, ' ' | '\t' | '\r' | '\n' | '=' | ']'));
            let Some(rest) = self.rest.strip_prefix('=') else {
                items.push(Item::Word(word));
                continue;
            };
            self.rest = rest;
            let value = if rest.starts_with('[') {
                self.bracket(depth)
            } else {
                Some(Value::text(
                    self.take(|letter| letter.is_ascii_whitespace() || (depth > 0 && letter == ']')),
                ))
            };
            items.extend(value.map(|value| Item::Keyed(word, value)));
        }
    }

    /// A bracket with what is in it; `None` if it lies too deep.
    fn bracket(&mut self, depth: usize) -> Option<Value<'a>> {
        self.rest = &self.rest[1..];
        if depth == DEPTH_MAX {
            return None;
        }
        let items = self.items(depth + 1);
        self.rest = self.rest.strip_prefix(']').unwrap_or(self.rest);
        let keyed = !items.is_empty() && items.iter().all(|item| matches!(item, Item::Keyed(..)));
        if keyed {
            let entries = items.into_iter().filter_map(|item| match item {
                Item::Keyed(key, value) => Some((Cow::Borrowed(key.as_bytes()), value)),
                _ => None,
            });
            return Some(Value::Dictionary(entries.collect()));
        }
        let values = items.into_iter().map(|item| match item {
            Item::Word(word) => Value::text(word),
            Item::Nested(value) => value,
            Item::Keyed(key, value) => Value::owned(format!("{key}={}", value.as_str().unwrap_or_default())),
        });
        Some(Value::List(values.collect()))
    }

    fn take(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_values_lists_and_dictionaries() {
        let items = parse("trust-address  ICE=remove direction=[int ext] codec=[strip=[all] offer=[PCMA]]");
        assert_eq!(
            items,
            vec![
                Item::Word("trust-address"),
                Item::Keyed("ICE", Value::text("remove")),
                Item::Keyed("direction", Value::List(vec![Value::text("int"), Value::text("ext")])),
                Item::Keyed(
                    "codec",
                    Value::Dictionary(vec![
                        (Cow::Borrowed(b"strip"), Value::List(vec![Value::text("all")])),
                        (Cow::Borrowed(b"offer"), Value::List(vec![Value::text("PCMA")])),
                    ])
                ),
            ]
        );
    }

    #[test]
    fn stray_and_missing_brackets_lose_nothing_else() {
        assert_eq!(parse("] a ] b"), vec![Item::Word("a"), Item::Word("b")]);
        assert_eq!(parse("x=[a"), vec![Item::Keyed("x", Value::List(vec![Value::text("a")]))]);
    }

    #[test]
    fn a_bracket_bomb_stays_shallow() {
        let bomb = "[".repeat(65_536);
        assert!(parse(&bomb).len() <= 1);
        let keyed = "a=[".repeat(20_000);
        assert!(parse(&keyed).len() <= 1);
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text in "[\\[\\]= a-zé,]{0,80}") {
            parse(&text);
        }
    }
}
