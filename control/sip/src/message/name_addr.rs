//! Addresses with display name and parameters: From, To, Contact, Route and their like ([RFC 3261 §20.10]).
//!
//! [RFC 3261 §20.10]: https://www.rfc-editor.org/rfc/rfc3261#section-20.10

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::header::HeaderName;
use super::params::Params;
use super::scan::{is_token_byte, quote, quoted_end, unquote};
use super::typed::{HeaderError, TypedHeader};
use super::uri::Uri;

/// `"Display" <uri>;params`, or a bare `uri;params`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name as written, quotes included; empty means none.
    display: String,
    /// The URI.
    pub uri: Uri,
    /// Header parameters (not those of the URI).
    pub params: Params,
}

impl NameAddr {
    /// `<uri>` without display name or parameters.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { display: String::new(), uri, params: Params::new() }
    }

    /// With this display name, quoted.
    #[must_use]
    pub fn with_display(mut self, name: &str) -> Self {
        self.display = quote(name);
        self
    }

    /// With this `tag`.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The display name without quotes; `None` when there is none.
    #[must_use]
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        (!self.display.is_empty()).then(|| unquote(&self.display))
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").flatten()
    }

    /// Parses one address.
    ///
    /// # Errors
    /// [`HeaderError`] for an open quote, a display name with characters it
    /// would have to quote, space inside `<>`, a bad URI, and a bare URI with
    /// `?` or `,` (§20: such a URI needs its brackets).
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        let value = value.trim();
        let (display, rest) = if value.starts_with('"') {
            let end = quoted_end(value.as_bytes(), 0).ok_or(HeaderError::OpenQuote)?;
            let rest = value[end + 1..].trim_start();
            if !rest.starts_with('<') {
                return Err(HeaderError::DisplayName);
            }
            (&value[..=end], rest)
        } else {
            match first_bracket(value) {
                Some(at) => {
                    let display = value[..at].trim_end();
                    let ok =
                        display.bytes().all(|b| is_token_byte(b) || b == b' ' || b == b'\t' || !b.is_ascii());
                    if !ok {
                        return Err(HeaderError::DisplayName);
                    }
                    (display, &value[at..])
                }
                None => return Self::parse_bare(value),
            }
        };
        let (uri, rest) = rest[1..].split_once('>').ok_or(HeaderError::OpenQuote)?;
        let rest = rest.trim_start();
        let params = match rest.strip_prefix(';') {
            Some(params) => Params::parse(params)?,
            None if rest.is_empty() => Params::new(),
            None => return Err(HeaderError::Value),
        };
        Ok(Self { display: display.to_owned(), uri: uri.parse()?, params })
    }

    fn parse_bare(value: &str) -> Result<Self, HeaderError> {
        //= RFC 3261 §20
        // "If the URI contains a comma, question mark or semicolon, the URI MUST
        // be enclosed in angle brackets": so every ';' here ends the URI.
        let (uri, params) = match value.split_once(';') {
            Some((uri, params)) => (uri.trim_end(), Params::parse(params)?),
            None => (value, Params::new()),
        };
        if uri.contains(['?', ',']) {
            return Err(HeaderError::Uri);
        }
        Ok(Self { display: String::new(), uri: uri.parse()?, params })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(f, "{} ", self.display)?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// The first `<` outside quotes.
fn first_bracket(value: &str) -> Option<usize> {
    let bytes = value.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = quoted_end(bytes, at)?,
            b'<' => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

macro_rules! address_header {
    ($($(#[$doc:meta])* $type:ident $list:literal),* $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $type(pub NameAddr);

            impl TypedHeader for $type {
                const NAME: HeaderName = HeaderName::$type;
                const LIST: bool = $list;

                fn parse(value: &str) -> Result<Self, HeaderError> {
                    NameAddr::parse(value).map(Self)
                }
            }

            impl Deref for $type {
                type Target = NameAddr;

                fn deref(&self) -> &NameAddr {
                    &self.0
                }
            }

            impl DerefMut for $type {
                fn deref_mut(&mut self) -> &mut NameAddr {
                    &mut self.0
                }
            }

            impl fmt::Display for $type {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

address_header! {
    /// `From` (§20.20).
    From false,
    /// `To` (§20.39).
    To false,
    /// `Contact`, one address of it; `*` is no address, see [`Contacts`].
    Contact true,
    /// `Route` (§20.34).
    Route true,
    /// `Record-Route` (§20.30).
    RecordRoute true,
    /// `P-Asserted-Identity` (RFC 3325).
    PAssertedIdentity true,
    /// `P-Preferred-Identity` (RFC 3325).
    PPreferredIdentity true,
    /// `Diversion` (RFC 5806).
    Diversion true,
}

impl Contact {
    /// The `expires` parameter in seconds.
    ///
    /// # Errors
    /// [`HeaderError::Number`] when it is no number of 32 bits.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        let Some(value) = self.params.value("expires") else {
            return Ok(None);
        };
        let number = super::typed::parse_number(&value, u64::from(u32::MAX))?;
        u32::try_from(number).map(Some).map_err(|_| HeaderError::Number)
    }

    /// The `q` parameter in thousandths; 1000 when absent or malformed.
    #[must_use]
    pub fn q_thousandths(&self) -> u16 {
        let parse = |text: &str| -> Option<u16> {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            if fraction.len() > 3 {
                return None;
            }
            let fraction = if fraction.is_empty() { 0 } else { format!("{fraction:0<3}").parse().ok()? };
            match whole {
                "0" | "" => Some(fraction),
                "1" if fraction == 0 => Some(1000),
                _ => None,
            }
        };
        self.params.value("q").and_then(|q| parse(&q)).unwrap_or(1000)
    }
}

/// All Contact values of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// The single value `*`: every binding (§10.2.2).
    All,
    /// Addresses, perhaps none.
    List(Vec<Contact>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn semicolons_after_a_bare_uri_are_header_parameters() {
        let bare = parse("sip:a@b;tag=x");
        assert_eq!(bare.tag(), Some("x"));
        assert_eq!(bare.uri.to_string(), "sip:a@b");
        let bracketed = parse("<sip:a@b;lr>;tag=x");
        assert_eq!(bracketed.uri.to_string(), "sip:a@b;lr");
        assert_eq!(bracketed.to_string(), "<sip:a@b;lr>;tag=x");
    }

    #[test]
    fn display_names_are_tokens_or_quoted() {
        assert_eq!(parse("caller<sip:c@e>;tag=3").display_name().as_deref(), Some("caller"));
        assert_eq!(parse("<sip:c@e>").display_name(), None);
        let quoted = parse(r#""J Rosenberg \\\""       <sip:jdrosen@example.com>"#);
        assert_eq!(quoted.display_name().as_deref(), Some(r#"J Rosenberg \""#));
        for bad in [
            "Bell, Alexander <sip:a@b>",
            "\"Watson, Thomas\" < sip:t.watson@example.org >",
            "\"Mr. J. User <sip:j.user@example.com>",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<sip:a@b> x",
            "<sip:a@b>;;",
            "<sip:a@b",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_set_by_us_survives_writing() {
        let named = NameAddr::new("sip:a@b".parse().expect("uri")).with_display("A \"B\", C");
        let again = parse(&named.to_string());
        assert_eq!(again.display_name().as_deref(), Some("A \"B\", C"));
    }

    #[test]
    fn q_values_are_thousandths() {
        let q = |text: &str| Contact(parse(text)).q_thousandths();
        assert_eq!(q("<sip:a@b>"), 1000);
        assert_eq!(q("<sip:a@b>;q=0.7"), 700);
        assert_eq!(q("<sip:a@b>;q=1.0"), 1000);
        assert_eq!(q("<sip:a@b>;q=7"), 1000);
    }
}
