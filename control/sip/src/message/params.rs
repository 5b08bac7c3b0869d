//! Ordered `;name=value` parameters of headers and URIs.

use std::borrow::Cow;
use std::fmt;

use super::scan::{is_token, is_token_byte, quote, split_top, unquote};
use super::typed::HeaderError;

/// Parameters in their order; names compare without case.
///
/// Values are kept as written, quotes and escapes included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// No parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Parses header parameters, the text after the first `;`.
    ///
    /// # Errors
    /// [`HeaderError`] for an empty name, a name that is no token, a value with
    /// spaces or an open quote, or more than [`PARAMS_MAX`] parameters.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let parts = split_top(text, b';').ok_or(HeaderError::OpenQuote)?;
        if parts.len() > PARAMS_MAX {
            return Err(HeaderError::TooMany);
        }
        let mut params = Vec::with_capacity(parts.len());
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (part, None),
            };
            if !is_token(name) || value.is_some_and(|v| !is_header_value(v)) {
                return Err(HeaderError::Parameter);
            }
            params.push((name.to_owned(), value.map(str::to_owned)));
        }
        Ok(Self(params))
    }

    /// The raw value of the first parameter called `name`; `Some(None)` when it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        let (_, value) = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value.as_deref())
    }

    /// The value of `name` with quotes taken off, when there is one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).flatten().map(unquote)
    }

    /// Whether `name` is present.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets `name` to `value` as written, in its old place if it was there.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets `name` to the quoted string of `value`.
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.set(name, Some(&quote(value)));
    }

    /// Removes every parameter called `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Names and raw values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_deref()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push_raw(&mut self, name: &str, value: Option<&str>) {
        self.0.push((name.to_owned(), value.map(str::to_owned)));
    }
}

/// The most parameters one value may carry.
pub const PARAMS_MAX: usize = 64;

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

/// A token, host or quoted string. Wider than the grammar by the characters
/// phones put into tags and instance ids without quoting them.
fn is_header_value(value: &str) -> bool {
    if let Some(inner) = value.strip_prefix('"') {
        return super::scan::quoted_end(value.as_bytes(), 0) == Some(inner.len());
    }
    !value.is_empty()
        && value.bytes().all(|b| is_token_byte(b) || b"[]:/@&$?#=^{}|()".contains(&b) || !b.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_around_separators_are_not_part_of_names_or_values() {
        let params = Params::parse("tag    = 1918181833n ; lr;x=\"a;b\"").expect("valid");
        assert_eq!(params.get("TAG"), Some(Some("1918181833n")));
        assert_eq!(params.get("lr"), Some(None));
        assert_eq!(params.value("x").as_deref(), Some("a;b"));
        assert_eq!(params.to_string(), ";tag=1918181833n;lr;x=\"a;b\"");
    }

    #[test]
    fn empty_names_and_open_quotes_are_errors() {
        assert_eq!(Params::parse(""), Err(HeaderError::Parameter));
        assert_eq!(Params::parse("a;;b"), Err(HeaderError::Parameter));
        assert_eq!(Params::parse("a="), Err(HeaderError::Parameter));
        assert_eq!(Params::parse("a=\"x"), Err(HeaderError::OpenQuote));
        assert_eq!(Params::parse("a=x y"), Err(HeaderError::Parameter));
    }
}
