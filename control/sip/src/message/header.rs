//! Header lines kept byte for byte, in order, found by name ([RFC 3261 §7.3]).
//!
//! [RFC 3261 §7.3]: https://www.rfc-editor.org/rfc/rfc3261#section-7.3

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::scan::{is_space, split_top};
use super::typed::{HeaderError, TypedHeader};

macro_rules! header_names {
    ($($variant:ident $text:literal $($compact:literal)?),* $(,)?) => {
        /// A header name; names compare without case, compact forms are the same name.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum HeaderName {
            $(#[doc = $text] $variant,)*
            /// Any other name, in lower case.
            Other(Box<str>),
        }

        impl HeaderName {
            /// The name written as `text`, in any case, long or compact.
            #[must_use]
            pub fn from_text(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($text) $(|| text.eq_ignore_ascii_case($compact))? {
                    return Self::$variant;
                })*
                Self::Other(text.to_ascii_lowercase().into())
            }

            /// The name in its usual long spelling.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }
    };
}

header_names! {
    Via "Via" "v",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    Contact "Contact" "m",
    MaxForwards "Max-Forwards",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    ContentEncoding "Content-Encoding" "e",
    ContentDisposition "Content-Disposition",
    Route "Route",
    RecordRoute "Record-Route",
    Path "Path",
    ServiceRoute "Service-Route",
    Expires "Expires",
    MinExpires "Min-Expires",
    Authorization "Authorization",
    ProxyAuthorization "Proxy-Authorization",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthenticate "Proxy-Authenticate",
    AuthenticationInfo "Authentication-Info",
    Allow "Allow",
    Supported "Supported" "k",
    Require "Require",
    ProxyRequire "Proxy-Require",
    Unsupported "Unsupported",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    UserAgent "User-Agent",
    Server "Server",
    Subject "Subject" "s",
    Date "Date",
    Timestamp "Timestamp",
    Warning "Warning",
    Reason "Reason",
    RetryAfter "Retry-After",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Privacy "Privacy",
    Diversion "Diversion",
    HistoryInfo "History-Info",
    SessionExpires "Session-Expires" "x",
    MinSe "Min-SE",
    RSeq "RSeq",
    RAck "RAck",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    Replaces "Replaces",
    Event "Event" "o",
    AllowEvents "Allow-Events" "u",
    SubscriptionState "Subscription-State",
    Identity "Identity" "y",
    ErrorInfo "Error-Info",
    Organization "Organization",
    PEarlyMedia "P-Early-Media",
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    /// The whole line with its folds, without the last CRLF.
    line: Bytes,
    value: Range<usize>,
}

impl Header {
    /// A new line `Name: value`; line breaks in `value` become spaces.
    #[must_use]
    pub fn new(name: HeaderName, value: &str) -> Self {
        let mut line = format!("{}: ", name.as_str());
        let start = line.len();
        line.extend(value.trim().chars().map(|c| match c {
            // Otherwise a value taken from a peer could add a header.
            '\r' | '\n' | '\0' => ' ',
            c => c,
        }));
        let value = start..line.len();
        Self { name, line: Bytes::from(line), value }
    }

    pub(super) fn from_line(line: Bytes) -> Result<Self, HeaderError> {
        let colon = line.iter().position(|&b| b == b':').ok_or(HeaderError::Name)?;
        let name_end = line[..colon].iter().rposition(|&b| b != b' ' && b != b'\t').map_or(0, |i| i + 1);
        let name = std::str::from_utf8(&line[..name_end]).map_err(|_| HeaderError::Name)?;
        // RFC 4475 §3.1.1.2 has a name of UTF-8 bytes after the colon only, so
        // names stay tokens.
        if !super::scan::is_token(name) {
            return Err(HeaderError::Name);
        }
        let name = HeaderName::from_text(name);
        let start =
            line[colon + 1..].iter().position(|&b| !is_space(b)).map_or(line.len(), |i| colon + 1 + i);
        let end = line.iter().rposition(|&b| !is_space(b)).map_or(start, |i| (i + 1).max(start));
        Ok(Self { name, line, value: start..end })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The value without outer space, folds still in it.
    #[must_use]
    pub fn raw_value(&self) -> &[u8] {
        &self.line[self.value.clone()]
    }

    /// The value as text: folds are one space, bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn value(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(self.raw_value());
        if !text.contains("\r\n") {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        for (index, part) in text.split("\r\n").enumerate() {
            if index > 0 {
                out.truncate(out.trim_end_matches([' ', '\t']).len());
                out.push(' ');
            }
            out.push_str(if index > 0 { part.trim_start_matches([' ', '\t']) } else { part });
        }
        Cow::Owned(out)
    }

    /// The line as it is written, without its CRLF.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// All headers of a message in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a line at the end.
    pub fn push(&mut self, name: HeaderName, value: &str) {
        self.0.push(Header::new(name, value));
    }

    /// Adds a line at the end as it is.
    pub fn push_header(&mut self, header: Header) {
        self.0.push(header);
    }

    /// Adds a line before all others (the place of a new Via).
    pub fn push_front(&mut self, name: HeaderName, value: &str) {
        self.0.insert(0, Header::new(name, value));
    }

    /// Puts one line in the place of every line called `name`, or at the end.
    pub fn set(&mut self, name: HeaderName, value: &str) {
        let header = Header::new(name, value);
        match self.0.iter().position(|h| h.name == header.name) {
            Some(at) => {
                let mut index = 0;
                self.0.retain(|h| {
                    index += 1;
                    index - 1 <= at || h.name != header.name
                });
                self.0[at] = header;
            }
            None => self.0.push(header),
        }
    }

    /// [`Headers::set`] with a typed value.
    pub fn set_typed<H: TypedHeader>(&mut self, header: &H) {
        self.set(H::NAME, &header.to_string());
    }

    /// [`Headers::push`] with a typed value.
    pub fn push_typed<H: TypedHeader>(&mut self, header: &H) {
        self.push(H::NAME, &header.to_string());
    }

    /// Removes every line called `name`.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|h| h.name != *name);
    }

    /// Copies every line called `name` from `other`, byte for byte.
    pub fn copy(&mut self, other: &Self, name: &HeaderName) {
        self.0.extend(other.0.iter().filter(|h| h.name == *name).cloned());
    }

    /// Replaces the first of the comma-separated values called `name`.
    ///
    /// The rest of its line stays after it. Does nothing when there is none.
    pub fn replace_first(&mut self, name: &HeaderName, value: &str) {
        let Some(at) = self.0.iter().position(|h| h.name == *name) else {
            return;
        };
        let rest = self.rest_of_line(at);
        self.0[at] = match rest {
            Some(rest) => Header::new(name.clone(), &format!("{value}, {rest}")),
            None => Header::new(name.clone(), value),
        };
    }

    /// Removes the first of the comma-separated values called `name`.
    pub fn pop_first(&mut self, name: &HeaderName) {
        let Some(at) = self.0.iter().position(|h| h.name == *name) else {
            return;
        };
        match self.rest_of_line(at) {
            Some(rest) => self.0[at] = Header::new(name.clone(), &rest),
            None => {
                self.0.remove(at);
            }
        }
    }

    /// The lines in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a line called `name` exists.
    #[must_use]
    pub fn has(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|h| h.name == *name)
    }

    /// How many lines are called `name`.
    #[must_use]
    pub fn count(&self, name: &HeaderName) -> usize {
        self.0.iter().filter(|h| h.name == *name).count()
    }

    /// The value of the first line called `name`.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<Cow<'_, str>> {
        self.0.iter().find(|h| h.name == *name).map(Header::value)
    }

    /// Every comma-separated value called `name`, over all lines, in order.
    ///
    /// # Errors
    /// [`HeaderError::OpenQuote`] when a quote or bracket is left open,
    /// [`HeaderError::TooMany`] past [`VALUES_MAX`].
    pub fn values(&self, name: &HeaderName) -> Result<Vec<String>, HeaderError> {
        let mut values = Vec::new();
        for header in self.0.iter().filter(|h| h.name == *name) {
            let value = header.value();
            for part in split_top(&value, b',').ok_or(HeaderError::OpenQuote)? {
                if values.len() >= VALUES_MAX {
                    return Err(HeaderError::TooMany);
                }
                values.push(part.to_owned());
            }
        }
        Ok(values)
    }

    /// The first value of a typed header.
    ///
    /// # Errors
    /// [`HeaderError::Missing`], or why it does not parse.
    pub fn typed<H: TypedHeader>(&self) -> Result<H, HeaderError> {
        let value = self.get(&H::NAME).ok_or(HeaderError::Missing)?;
        if H::LIST {
            let parts = split_top(&value, b',').ok_or(HeaderError::OpenQuote)?;
            return H::parse(parts[0]);
        }
        H::parse(&value)
    }

    /// Every value of a typed header; empty when there is none.
    ///
    /// # Errors
    /// The error of the first value that does not parse.
    pub fn all<H: TypedHeader>(&self) -> Result<Vec<H>, HeaderError> {
        if H::LIST {
            return self.values(&H::NAME)?.iter().map(|v| H::parse(v)).collect();
        }
        self.0.iter().filter(|h| h.name == H::NAME).map(|h| H::parse(&h.value())).collect()
    }

    /// Whether the list header `name` (Supported, Require, Allow …) holds `token`, without case.
    #[must_use]
    pub fn lists(&self, name: &HeaderName, token: &str) -> bool {
        self.values(name).is_ok_and(|values| values.iter().any(|v| v.eq_ignore_ascii_case(token)))
    }

    fn rest_of_line(&self, at: usize) -> Option<String> {
        let value = self.0[at].value();
        let parts = split_top(&value, b',')?;
        (parts.len() > 1).then(|| parts[1..].join(", "))
    }
}

/// The most comma-separated values read from one header name.
pub const VALUES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> Headers {
        Headers(
            lines
                .iter()
                .map(|l| Header::from_line(Bytes::from_static(l.as_bytes())).expect("valid"))
                .collect(),
        )
    }

    #[test]
    fn compact_long_and_odd_case_are_one_name() {
        let all = headers(&["v: a", "VIA : b", "Via:\tc"]);
        assert_eq!(all.values(&HeaderName::Via).expect("values"), ["a", "b", "c"]);
    }

    #[test]
    fn a_folded_header_line_is_one_value() {
        let all = headers(&["Subject:  one \r\n   two\r\n\tthree "]);
        assert_eq!(all.get(&HeaderName::Subject).as_deref(), Some("one two three"));
    }

    #[test]
    fn first_values_are_replaced_and_popped_without_touching_the_rest() {
        let mut all = headers(&["Via: a;x, b", "To: t", "Via: c"]);
        all.replace_first(&HeaderName::Via, "n");
        assert_eq!(all.values(&HeaderName::Via).expect("values"), ["n", "b", "c"]);
        all.pop_first(&HeaderName::Via);
        all.pop_first(&HeaderName::Via);
        assert_eq!(all.values(&HeaderName::Via).expect("values"), ["c"]);
        all.pop_first(&HeaderName::Via);
        assert!(!all.has(&HeaderName::Via));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn set_leaves_one_line_in_the_first_place() {
        let mut all = headers(&["A: 1", "To: t", "a: 2", "B: 3"]);
        all.set(HeaderName::from_text("A"), "9");
        let lines: Vec<_> = all.iter().map(|h| h.value().into_owned()).collect();
        assert_eq!(lines, ["9", "t", "3"]);
    }

    #[test]
    fn a_value_cannot_smuggle_a_second_header() {
        let header = Header::new(HeaderName::Reason, "x\r\nEvil: y");
        assert_eq!(header.line(), b"Reason: x  Evil: y");
    }
}
