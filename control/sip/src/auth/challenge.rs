//! The two headers of a digest: challenge and credentials ([RFC 7616 §3.3, §3.4]).
//!
//! [RFC 7616 §3.3, §3.4]: https://www.rfc-editor.org/rfc/rfc7616#section-3.3

use std::fmt;

use super::hash::{Algorithm, Qop};
use crate::message::scan::{is_token, quote, split_top, unquote};
use crate::message::{HeaderError, PARAMS_MAX};

/// A `WWW-Authenticate` or `Proxy-Authenticate` value of scheme Digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The realm.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// To be sent back as it is.
    pub opaque: Option<String>,
    /// `None` when the algorithm is one we do not know.
    pub algorithm: Option<Algorithm>,
    /// Offered protections we know, in order; empty when none was offered.
    pub qop: Vec<Qop>,
    /// Whether a `qop` was offered at all.
    pub qop_offered: bool,
    /// The old nonce expired, the password was right.
    pub stale: bool,
}

impl Challenge {
    /// Parses one header value.
    ///
    /// # Errors
    /// [`HeaderError`], also for schemes other than Digest.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        let fields = Fields::parse(value)?;
        let qop = fields.get("qop");
        Ok(Self {
            realm: fields.required("realm")?,
            nonce: fields.required("nonce")?,
            opaque: fields.get("opaque"),
            algorithm: match fields.get("algorithm") {
                Some(name) => Algorithm::from_text(&name),
                None => Some(Algorithm::Md5),
            },
            qop: qop.iter().flat_map(|list| list.split(',')).filter_map(|name| qop_of(name.trim())).collect(),
            qop_offered: qop.is_some(),
            stale: fields.get("stale").is_some_and(|v| v.eq_ignore_ascii_case("true")),
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", quote(&self.realm), quote(&self.nonce))?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={algorithm}")?;
        }
        if !self.qop.is_empty() {
            let names: Vec<_> = self.qop.iter().map(|qop| qop.as_str()).collect();
            write!(f, ", qop=\"{}\"", names.join(","))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        Ok(())
    }
}

/// An `Authorization` or `Proxy-Authorization` value of scheme Digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The realm.
    pub realm: String,
    /// The nonce of the challenge.
    pub nonce: String,
    /// The digest URI, as written.
    pub uri: String,
    /// The proof.
    pub response: String,
    /// `None` when the algorithm is one we do not know.
    pub algorithm: Option<Algorithm>,
    /// The opaque of the challenge.
    pub opaque: Option<String>,
    /// The protection, and with it `nc` and `cnonce`.
    pub qop: Option<(Qop, String, String)>,
}

impl Credentials {
    /// Parses one header value.
    ///
    /// # Errors
    /// [`HeaderError`], also for schemes other than Digest, an unknown `qop`, and
    /// an `nc` that is not eight hexadecimal digits.
    pub fn parse(value: &str) -> Result<Self, HeaderError> {
        let fields = Fields::parse(value)?;
        let qop = match fields.get("qop") {
            Some(name) => {
                let qop = qop_of(&name).ok_or(HeaderError::Value)?;
                let nc = fields.required("nc")?;
                if nc.len() != 8 || !nc.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(HeaderError::Number);
                }
                Some((qop, nc, fields.required("cnonce")?))
            }
            None => None,
        };
        Ok(Self {
            username: fields.required("username")?,
            realm: fields.required("realm")?,
            nonce: fields.required("nonce")?,
            uri: fields.required("uri")?,
            response: fields.required("response")?,
            algorithm: match fields.get("algorithm") {
                Some(name) => Algorithm::from_text(&name),
                None => Some(Algorithm::Md5),
            },
            opaque: fields.get("opaque"),
            qop,
        })
    }

    /// The nonce count.
    #[must_use]
    pub fn nonce_count(&self) -> Option<u32> {
        let (_, nc, _) = self.qop.as_ref()?;
        u32::from_str_radix(nc, 16).ok()
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quote(&self.username),
            quote(&self.realm),
            quote(&self.nonce),
            quote(&self.uri),
            self.response
        )?;
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={algorithm}")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        if let Some((qop, nc, cnonce)) = &self.qop {
            write!(f, ", qop={}, nc={nc}, cnonce={}", qop.as_str(), quote(cnonce))?;
        }
        Ok(())
    }
}

fn qop_of(name: &str) -> Option<Qop> {
    [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| name.eq_ignore_ascii_case(qop.as_str()))
}

/// `name=value` pairs after the scheme.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(value: &'a str) -> Result<Self, HeaderError> {
        let (scheme, rest) = value.trim().split_once([' ', '\t']).ok_or(HeaderError::Value)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(HeaderError::Value);
        }
        let parts = split_top(rest, b',').ok_or(HeaderError::OpenQuote)?;
        if parts.len() > PARAMS_MAX {
            return Err(HeaderError::TooMany);
        }
        let mut fields: Vec<(&str, &str)> = Vec::with_capacity(parts.len());
        for part in parts {
            let (name, value) = part.split_once('=').ok_or(HeaderError::Parameter)?;
            let (name, value) = (name.trim_end(), value.trim_start());
            // A field twice is an attempt to be read differently by two readers.
            let twice = fields.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name));
            if !is_token(name) || value.is_empty() || twice {
                return Err(HeaderError::Parameter);
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(unquote(value).into_owned())
    }

    fn required(&self, name: &str) -> Result<String, HeaderError> {
        self.get(name).ok_or(HeaderError::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_write_what_they_read() {
        let challenge = "Digest realm=\"a \\\"b\\\"\", nonce=\"n,1\", opaque=\"o\", algorithm=SHA-256, qop=\"auth,auth-int\", stale=true";
        assert_eq!(Challenge::parse(challenge).expect("valid").to_string(), challenge);
        let credentials = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:a@b\", response=\"00\", algorithm=MD5, qop=auth, nc=0000000a, cnonce=\"c\"";
        let parsed = Credentials::parse(credentials).expect("valid");
        assert_eq!(parsed.to_string(), credentials);
        assert_eq!(parsed.nonce_count(), Some(10), "nc is hexadecimal");
    }

    #[test]
    fn unknown_algorithms_are_kept_apart_from_the_default() {
        let parse = |text: &str| Challenge::parse(text).expect("valid").algorithm;
        assert_eq!(parse("Digest realm=\"r\", nonce=\"n\""), Some(Algorithm::Md5));
        assert_eq!(parse("digest realm=\"r\",nonce=\"n\",algorithm=SHA-512-256"), None);
    }

    #[test]
    fn broken_values_are_errors() {
        for bad in [
            "",
            "NoOneKnowsThisScheme opaque-data=here",
            "Digest realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n",
            "Digest realm=\"r\", realm=\"s\", nonce=\"n\"",
            "Digest realm, nonce=\"n\"",
        ] {
            assert!(Challenge::parse(bad).is_err(), "{bad}");
        }
        let nc = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"0\", qop=auth, cnonce=\"c\", nc=";
        assert!(Credentials::parse(&format!("{nc}1")).is_err());
        assert!(Credentials::parse(&format!("{nc}0000000g")).is_err());
        assert!(Credentials::parse(&format!("{nc}ffffffff")).is_ok());
    }
}
