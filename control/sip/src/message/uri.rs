//! URIs: sip, sips, tel, and others kept as they are ([RFC 3261 §19.1], RFC 3966).
//!
//! Supported: user, password, host, port, parameters, headers, escapes, the
//! comparison rules of §19.1.4. Not supported: resolving relative references,
//! looking inside schemes other than these three.
//!
//! [RFC 3261 §19.1]: https://www.rfc-editor.org/rfc/rfc3261#section-19.1

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::host::{Host, HostPort};
use super::params::{PARAMS_MAX, Params};
use super::scan::{escapes_are_whole, is_token_byte, unescape};
use super::typed::HeaderError;

/// A URI. `==` is the comparison of RFC 3261 §19.1.4.
#[derive(Clone, Debug)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other scheme, byte for byte.
    Other(Box<str>),
}

/// A `sip:` or `sips:` URI; all parts keep their escapes.
#[derive(Clone, Debug)]
pub struct SipUri {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part as written, escapes included.
    pub user: Option<String>,
    /// The password as written.
    pub password: Option<String>,
    /// Host and port.
    pub host_port: HostPort,
    /// Parameters after the host.
    pub params: Params,
    /// The text after `?`, as written.
    pub headers: Option<String>,
}

/// A `tel:` URI.
#[derive(Clone, Debug)]
pub struct TelUri {
    /// The number as written, with its visual separators and leading `+`.
    pub number: String,
    /// Parameters such as `phone-context`.
    pub params: Params,
}

impl Uri {
    /// The scheme as written, or in lower case for the known ones.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(uri) if uri.secure => "sips",
            Self::Sip(_) => "sip",
            Self::Tel(_) => "tel",
            Self::Other(text) => text.split(':').next().unwrap_or(""),
        }
    }

    /// The sip or sips URI inside.
    #[must_use]
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// The user part of a SIP URI or the number of a tel URI, unescaped.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Sip(uri) => uri.user.as_deref().map(decoded),
            Self::Tel(uri) => Some(Cow::Borrowed(&uri.number)),
            Self::Other(_) => None,
        }
    }

    /// The host of a SIP URI.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.as_sip().map(|uri| &uri.host_port.host)
    }

    /// Whether this is a `sips` URI.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.as_sip().is_some_and(|uri| uri.secure)
    }

    /// A `sip:` URI of these parts; `user` is escaped where needed.
    #[must_use]
    pub fn sip(user: Option<&str>, host_port: HostPort) -> Self {
        Self::Sip(SipUri {
            secure: false,
            user: user.map(escape_user),
            password: None,
            host_port,
            params: Params::new(),
            headers: None,
        })
    }

    /// Adds or replaces a parameter of a SIP or tel URI.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        match &mut self {
            Self::Sip(uri) => uri.params.set(name, value),
            Self::Tel(uri) => uri.params.set(name, value),
            Self::Other(_) => {}
        }
        self
    }
}

impl SipUri {
    /// The `transport` parameter in lower case.
    #[must_use]
    pub fn transport(&self) -> Option<String> {
        self.params.value("transport").map(|t| t.to_ascii_lowercase())
    }

    /// Whether the `lr` parameter is there (loose routing).
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.params.has("lr")
    }

    fn parse(secure: bool, rest: &str) -> Result<Self, HeaderError> {
        // '@' stands unescaped only between userinfo and host, so the first
        // one decides even though ';' and '?' may occur in the user part.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo {
            Some(userinfo) => {
                let (user, password) = match userinfo.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() || !is_uri_text(userinfo) {
                    return Err(HeaderError::Uri);
                }
                (Some(user.to_owned()), password.map(str::to_owned))
            }
            None => (None, None),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) if is_uri_text(headers) => (rest, Some(headers.to_owned())),
            Some(_) => return Err(HeaderError::Uri),
            None => (rest, None),
        };
        let (host_port, params) = match rest.split_once(';') {
            Some((host_port, params)) => (host_port, parse_uri_params(params)?),
            None => (rest, Params::new()),
        };
        if host_port.bytes().any(|b| b.is_ascii_whitespace()) {
            return Err(HeaderError::Host);
        }
        Ok(Self { secure, user, password, host_port: host_port.parse()?, params, headers })
    }
}

impl FromStr for Uri {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (scheme, rest) = text.split_once(':').ok_or(HeaderError::Uri)?;
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !scheme_ok || rest.is_empty() || !is_uri_text(rest) {
            return Err(HeaderError::Uri);
        }
        if scheme.eq_ignore_ascii_case("sip") {
            return SipUri::parse(false, rest).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return SipUri::parse(true, rest).map(Self::Sip);
        }
        if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = match rest.split_once(';') {
                Some((number, params)) => (number, parse_uri_params(params)?),
                None => (rest, Params::new()),
            };
            let digits = number.strip_prefix('+').unwrap_or(number);
            let ok = digits.bytes().any(|b| b.is_ascii_hexdigit() || b"*#".contains(&b))
                && digits.bytes().all(|b| b.is_ascii_hexdigit() || b"*#-.()".contains(&b));
            if !ok {
                return Err(HeaderError::Uri);
            }
            return Ok(Self::Tel(TelUri { number: number.to_owned(), params }));
        }
        Ok(Self::Other(text.into()))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => {
                f.write_str(if uri.secure { "sips:" } else { "sip:" })?;
                if let Some(user) = &uri.user {
                    f.write_str(user)?;
                    if let Some(password) = &uri.password {
                        write!(f, ":{password}")?;
                    }
                    f.write_str("@")?;
                }
                write!(f, "{}{}", uri.host_port, uri.params)?;
                match &uri.headers {
                    Some(headers) => write!(f, "?{headers}"),
                    None => Ok(()),
                }
            }
            Self::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => sip_equal(a, b),
            (Self::Tel(a), Self::Tel(b)) => {
                digits(&a.number) == digits(&b.number)
                    && shared_params_equal(&a.params, &b.params, &["phone-context", "ext", "isub"])
            }
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Uri {}

impl Serialize for Uri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `user` with every byte escaped that may not stand in a user part.
#[must_use]
pub fn escape_user(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(&unescape(text)).into_owned())
}

/// No spaces, controls, quotes or brackets, and whole escapes.
fn is_uri_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b)) && escapes_are_whole(text)
}

fn parse_uri_params(text: &str) -> Result<Params, HeaderError> {
    let mut params = Params::new();
    for (count, part) in text.split(';').enumerate() {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        let name_ok = !name.is_empty() && name.bytes().all(|b| is_token_byte(b) || b"[]/:&+$()".contains(&b));
        if !name_ok || value == Some("") || count >= PARAMS_MAX {
            return Err(HeaderError::Parameter);
        }
        params.push_raw(name, value);
    }
    Ok(params)
}

//= RFC 3261 §19.1.4
// Components are equal only where both have them; user, password and headers
// with case, everything else without; an escape equals the character it names.
fn sip_equal(a: &SipUri, b: &SipUri) -> bool {
    let same = |a: &Option<String>, b: &Option<String>| match (a, b) {
        (Some(a), Some(b)) => unescape(a) == unescape(b),
        (None, None) => true,
        _ => false,
    };
    a.secure == b.secure
        && same(&a.user, &b.user)
        && same(&a.password, &b.password)
        && a.host_port == b.host_port
        && shared_params_equal(&a.params, &b.params, &["user", "ttl", "method", "maddr", "transport"])
        && uri_headers(a) == uri_headers(b)
}

/// Parameters in both must agree; those in `always` must be in both or neither.
fn shared_params_equal(a: &Params, b: &Params, always: &[&str]) -> bool {
    let agree = |name: &str| match (a.get(name), b.get(name)) {
        (Some(a), Some(b)) => {
            let fold = |v: Option<&str>| v.map(|v| unescape(v).to_ascii_lowercase());
            fold(a) == fold(b)
        }
        (None, None) => true,
        _ => !always.iter().any(|n| n.eq_ignore_ascii_case(name)),
    };
    a.iter().all(|(name, _)| agree(name)) && b.iter().all(|(name, _)| agree(name))
}

fn uri_headers(uri: &SipUri) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut headers: Vec<_> = uri
        .headers
        .iter()
        .flat_map(|headers| headers.split('&'))
        .map(|header| {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            (unescape(name).to_ascii_lowercase(), unescape(value))
        })
        .collect();
    headers.sort();
    headers
}

fn digits(number: &str) -> String {
    number.chars().filter(|c| !"-.()".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn parse_and_write_are_inverse() {
        for text in [
            "sip:alice@atlanta.com",
            "sip:alice:secretword@atlanta.com;transport=tcp",
            "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:+1-212-555-1212:1234@gateway.com;user=phone",
            "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
            "sip:alice;day=tuesday@atlanta.com",
            "sip:[2001:db8::10]:5070;lr",
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            "tel:+49-30-123456",
            "tel:7042;phone-context=example.com",
            "soap.beep://192.0.2.103:3002",
        ] {
            assert_eq!(uri(text).to_string(), text);
        }
    }

    #[test]
    fn broken_uris_are_errors() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:@host",
            "sip:a@",
            "sip:a b@host",
            "sip:a@host;",
            "sip:a@host:x",
            "<sip:a@host>",
            "sip:a%4@host",
            "tel:",
            "tel:abc!x",
            ":x",
            "1a:x",
            "sip:a@host;x=",
        ] {
            assert!(text.parse::<Uri>().is_err(), "{text}");
        }
    }

    mod rfc3261_section_19_1_4 {
        use super::*;

        #[test]
        fn equivalent_uris() {
            for (a, b) in [
                ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
                ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
                ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
                (
                    "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                    "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
                ),
                (
                    "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                    "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
                ),
            ] {
                assert_eq!(uri(a), uri(b));
            }
        }

        #[test]
        fn different_uris() {
            for (a, b) in [
                ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
                ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
                ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
                ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
                ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
                ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
                ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
                ("sip:a@h", "sips:a@h"),
            ] {
                assert_ne!(uri(a), uri(b));
            }
        }
    }

    #[test]
    fn a_user_is_escaped_and_read_back() {
        let built = Uri::sip(Some("a b@c#"), "h".parse().expect("host"));
        assert_eq!(built.to_string(), "sip:a%20b%40c%23@h");
        assert_eq!(built.user().as_deref(), Some("a b@c#"));
    }

    #[test]
    fn tel_numbers_compare_without_visual_separators() {
        assert_eq!(uri("tel:+1-201-555-0123"), uri("tel:+12015550123"));
        assert_ne!(uri("tel:7042;phone-context=a"), uri("tel:7042"));
    }
}
