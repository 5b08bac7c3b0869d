//! The contract of typed headers, and the small ones: numbers, CSeq, lists, Reason ([RFC 3261 §20]).
//!
//! [RFC 3261 §20]: https://www.rfc-editor.org/rfc/rfc3261#section-20

use std::fmt;

use super::header::HeaderName;
use super::method::Method;
use super::params::Params;
use super::scan::{is_token, split_top};

/// A header value with a grammar of its own.
///
/// `Display` writes a value that `parse` reads back as the same value.
pub trait TypedHeader: Sized + fmt::Display {
    /// The header it stands in.
    const NAME: HeaderName;
    /// Whether one line may hold several values separated by commas.
    const LIST: bool;

    /// Parses one unfolded value.
    ///
    /// # Errors
    /// [`HeaderError`] saying what is wrong.
    fn parse(value: &str) -> Result<Self, HeaderError>;
}

/// Why a header, or a part of one, does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderError {
    /// The message has no such header.
    #[error("missing")]
    Missing,
    /// The line has no colon, or its name is no token.
    #[error("bad header name")]
    Name,
    /// A quoted string or an angle bracket is not closed.
    #[error("open quote or bracket")]
    OpenQuote,
    /// More values or parameters than the limit.
    #[error("too many values")]
    TooMany,
    /// A parameter is malformed.
    #[error("bad parameter")]
    Parameter,
    /// A URI is malformed.
    #[error("bad URI")]
    Uri,
    /// A host is malformed.
    #[error("bad host")]
    Host,
    /// A port is malformed.
    #[error("bad port")]
    Port,
    /// A display name holds characters it would have to quote.
    #[error("bad display name")]
    DisplayName,
    /// A number is malformed or outside its range.
    #[error("bad number")]
    Number,
    /// Anything else.
    #[error("bad value")]
    Value,
}

/// Digits only, at most `max`; leading zeros are allowed.
pub(crate) fn parse_number(text: &str, max: u64) -> Result<u64, HeaderError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HeaderError::Number);
    }
    let digits = text.trim_start_matches('0');
    if digits.len() > 19 {
        return Err(HeaderError::Number);
    }
    let number = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| HeaderError::Number)? };
    if number > max {
        return Err(HeaderError::Number);
    }
    Ok(number)
}

fn parse_u32(text: &str, max: u32) -> Result<u32, HeaderError> {
    let number = parse_number(text, u64::from(max))?;
    u32::try_from(number).map_err(|_| HeaderError::Number)
}

/// `CSeq`: sequence number and method (§20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// The number, below 2^31.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl TypedHeader for CSeq {
    const NAME: HeaderName = HeaderName::CSeq;
    const LIST: bool = false;

    fn parse(value: &str) -> Result<Self, HeaderError> {
        let mut parts = value.split_ascii_whitespace();
        let (Some(number), Some(method), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(HeaderError::Value);
        };
        if !is_token(method) {
            return Err(HeaderError::Value);
        }
        Ok(Self { number: parse_u32(number, CSEQ_MAX)?, method: Method::from_token(method) })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// The largest sequence number (§8.1.1.5: below 2^31).
pub const CSEQ_MAX: u32 = (1 << 31) - 1;

macro_rules! number_header {
    ($(#[$doc:meta])* $type:ident, $name:ident, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $type(pub u32);

        impl TypedHeader for $type {
            const NAME: HeaderName = HeaderName::$name;
            const LIST: bool = false;

            fn parse(value: &str) -> Result<Self, HeaderError> {
                parse_u32(value, $max).map(Self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_header!(
    /// `Max-Forwards`: hops left, 0 to 255 (§20.22).
    MaxForwards, MaxForwards, 255
);
number_header!(
    /// `Expires` in seconds (§20.19).
    Expires, Expires, u32::MAX
);
number_header!(
    /// `Min-Expires` in seconds (§20.23).
    MinExpires, MinExpires, u32::MAX
);
number_header!(
    /// `Content-Length` in bytes (§20.14).
    ContentLength, ContentLength, u32::MAX
);
number_header!(
    /// `RSeq` (RFC 3262 §7.1).
    RSeq, RSeq, u32::MAX
);

macro_rules! text_header {
    ($(#[$doc:meta])* $type:ident, $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type(pub String);

        impl TypedHeader for $type {
            const NAME: HeaderName = HeaderName::$name;
            const LIST: bool = false;

            fn parse(value: &str) -> Result<Self, HeaderError> {
                let check: fn(&str) -> bool = $check;
                if !check(value) {
                    return Err(HeaderError::Value);
                }
                Ok(Self(value.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_header!(
    /// `Call-ID`, compared byte for byte (§20.8).
    CallId, CallId, |v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_graphic() && b != b',')
);
text_header!(
    /// `Date`, checked to be an RFC 1123 date in GMT (§20.17).
    Date, Date, |v| v.len() == 29 && v.is_ascii() && v.ends_with(" GMT")
        && v.bytes().zip(b"aaa, 00 aaa 0000 00:00:00 GMT").all(|(b, &p)| match p {
            b'a' => b.is_ascii_alphabetic(),
            b'0' => b.is_ascii_digit(),
            p => b == p,
        })
);

/// `Content-Type`: a media type with parameters (§20.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` as written.
    pub media_type: String,
    /// Parameters such as `boundary`.
    pub params: Params,
}

impl ContentType {
    /// Whether this is `media_type`, without case and parameters.
    #[must_use]
    pub fn is(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type)
    }
}

impl TypedHeader for ContentType {
    const NAME: HeaderName = HeaderName::ContentType;
    const LIST: bool = false;

    fn parse(value: &str) -> Result<Self, HeaderError> {
        let (media_type, params) = split_params(value)?;
        let (kind, subtype) = media_type.split_once('/').ok_or(HeaderError::Value)?;
        let (kind, subtype) = (kind.trim(), subtype.trim());
        if !is_token(kind) || !is_token(subtype) {
            return Err(HeaderError::Value);
        }
        Ok(Self { media_type: format!("{kind}/{subtype}"), params })
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.media_type, self.params)
    }
}

/// `Reason`: why a request was sent (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another protocol.
    pub protocol: String,
    /// `cause` and `text`, and extensions.
    pub params: Params,
}

impl Reason {
    /// `Q.850;cause=n;text="…"`.
    #[must_use]
    pub fn q850(cause: u8, text: &str) -> Self {
        Self::new("Q.850", u16::from(cause), text)
    }

    /// `SIP;cause=n;text="…"`.
    #[must_use]
    pub fn sip(cause: u16, text: &str) -> Self {
        Self::new("SIP", cause, text)
    }

    /// The `cause` number.
    #[must_use]
    pub fn cause(&self) -> Option<u16> {
        self.params.value("cause")?.parse().ok()
    }

    /// The `text`, without quotes.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.params.value("text").map(|t| t.into_owned())
    }

    fn new(protocol: &str, cause: u16, text: &str) -> Self {
        let mut params = Params::new();
        params.set("cause", Some(&cause.to_string()));
        if !text.is_empty() {
            params.set_quoted("text", text);
        }
        Self { protocol: protocol.to_owned(), params }
    }
}

impl TypedHeader for Reason {
    const NAME: HeaderName = HeaderName::Reason;
    const LIST: bool = true;

    fn parse(value: &str) -> Result<Self, HeaderError> {
        let (protocol, params) = split_params(value)?;
        if !is_token(protocol) {
            return Err(HeaderError::Value);
        }
        Ok(Self { protocol: protocol.to_owned(), params })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}

/// `Retry-After` in seconds; a comment after it is dropped (§20.33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Seconds to wait.
    pub seconds: u32,
    /// `duration` and extensions.
    pub params: Params,
}

impl RetryAfter {
    /// `seconds` without parameters.
    #[must_use]
    pub const fn seconds(seconds: u32) -> Self {
        Self { seconds, params: Params::new() }
    }
}

impl TypedHeader for RetryAfter {
    const NAME: HeaderName = HeaderName::RetryAfter;
    const LIST: bool = false;

    fn parse(value: &str) -> Result<Self, HeaderError> {
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let (number, mut rest) = value.split_at(digits);
        let seconds = parse_u32(number, u32::MAX)?;
        rest = rest.trim_start();
        if rest.starts_with('(') {
            let end = rest.find(')').ok_or(HeaderError::OpenQuote)?;
            rest = rest[end + 1..].trim_start();
        }
        let params = match rest.strip_prefix(';') {
            Some(params) => Params::parse(params)?,
            None if rest.is_empty() => Params::new(),
            None => return Err(HeaderError::Value),
        };
        Ok(Self { seconds, params })
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, self.params)
    }
}

macro_rules! interval_header {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type {
            /// Seconds.
            pub seconds: u32,
            /// `refresher` and extensions.
            pub params: Params,
        }

        impl TypedHeader for $type {
            const NAME: HeaderName = HeaderName::$name;
            const LIST: bool = false;

            fn parse(value: &str) -> Result<Self, HeaderError> {
                let (number, params) = split_params(value)?;
                Ok(Self {
                    seconds: parse_u32(number, u32::MAX)?,
                    params,
                })
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.seconds, self.params)
            }
        }
    };
}

interval_header!(
    /// `Session-Expires` (RFC 4028 §4).
    SessionExpires, SessionExpires
);
interval_header!(
    /// `Min-SE` (RFC 4028 §5).
    MinSe, MinSe
);

/// The text before the first `;` outside quotes, and the parameters after it.
pub(crate) fn split_params(value: &str) -> Result<(&str, Params), HeaderError> {
    let parts = split_top(value, b';').ok_or(HeaderError::OpenQuote)?;
    let head = parts[0];
    if parts.len() == 1 {
        return Ok((head, Params::new()));
    }
    let rest_at = parts[1].as_ptr() as usize - value.as_ptr() as usize;
    Ok((head, Params::parse(&value[rest_at..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_takes_leading_zeros_and_stops_below_2_31() {
        let cseq = CSeq::parse("0009  INVITE").expect("valid");
        assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
        assert!(CSeq::parse("2147483647 ACK").is_ok());
        for bad in ["2147483648 ACK", "36893488147419103232 REGISTER", "-1 ACK", "1", "1 ACK x", "1 A@K"] {
            assert!(CSeq::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        assert_eq!(MaxForwards::parse("0068"), Ok(MaxForwards(68)));
        assert!(MaxForwards::parse("300").is_err());
        assert_eq!(Expires::parse("4294967295"), Ok(Expires(u32::MAX)));
        assert!(Expires::parse("10000000000000000000000000").is_err());
        assert!(ContentLength::parse("-999").is_err());
        assert!(ContentLength::parse("+9").is_err());
    }

    #[test]
    fn typed_values_write_what_they_read() {
        for text in ["SIP;cause=200;text=\"Call completed elsewhere\"", "Q.850;cause=16"] {
            assert_eq!(Reason::parse(text).expect("valid").to_string(), text);
        }
        assert_eq!(Reason::q850(31, "a \"b\"").text().as_deref(), Some("a \"b\""));
        let retry = RetryAfter::parse("18000 (in a meeting);duration=3600").expect("valid");
        assert_eq!(retry.to_string(), "18000;duration=3600");
        assert_eq!(SessionExpires::parse("1800;refresher=uac").expect("valid").seconds, 1800);
        assert!(ContentType::parse("application/sdp").expect("valid").is("Application/SDP"));
        assert!(ContentType::parse("sdp").is_err());
    }

    #[test]
    fn a_date_is_gmt_or_no_date() {
        assert!(Date::parse("Fri, 01 Jan 2010 16:00:00 GMT").is_ok());
        assert!(Date::parse("Fri, 01 Jan 2010 16:00:00 EST").is_err());
    }
}
