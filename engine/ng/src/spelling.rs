//! How keys, flags and lists may be spelt.
//!
//! Blank, hyphen and underscore are one character, upper and lower case are two; a list is a
//! list or one text with commas.

use crate::{request::Request, value::Value};

/// Keys and words with hyphens wherever the protocol allows blanks and underscores.
pub(crate) fn normal(word: &str) -> String {
    word.trim().chars().map(|letter| if matches!(letter, ' ' | '_') { '-' } else { letter }).collect()
}

/// The words of a list or of a text with commas, as they were spelt; whatever is no text is left out.
pub(crate) fn words<'v>(value: &'v Value<'_>) -> impl Iterator<Item = &'v str> {
    let items = value.items().unwrap_or_default().iter().filter_map(Value::as_str);
    let text = value.as_str().unwrap_or_default().split(',');
    items.chain(text).map(str::trim).filter(|word| !word.is_empty())
}

/// Whether a value says yes: a number that is not 0, or a word such as `yes`.
pub(crate) fn is_yes(value: &Value<'_>) -> bool {
    match value.as_integer() {
        Some(number) => number != 0,
        None => matches!(value.as_str(), Some("yes" | "true" | "on")),
    }
}

/// What was ignored, bounded in number and length.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    pub(crate) fn push(&mut self, what: &str, word: &str) {
        if self.0.len() < Request::WARNINGS_MAX {
            self.0.push(format!("{what} '{}'", clip(word)));
        }
    }

    pub(crate) fn done(self) -> Vec<String> {
        self.0
    }
}

/// At most 64 characters of a peer's text.
pub(crate) fn clip(text: &str) -> &str {
    text.char_indices().nth(64).map_or(text, |(end, _)| &text[..end])
}
