//! The arithmetic of digests ([RFC 7616 §3.4]).
//!
//! [RFC 7616 §3.4]: https://www.rfc-editor.org/rfc/rfc7616#section-3.4

use std::fmt;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A digest algorithm, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// `MD5`.
    #[serde(rename = "MD5")]
    Md5,
    /// `MD5-sess`.
    #[serde(rename = "MD5-sess")]
    Md5Sess,
    /// `SHA-256`.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// `SHA-256-sess`.
    #[serde(rename = "SHA-256-sess")]
    Sha256Sess,
}

impl Algorithm {
    /// The name in headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// The algorithm of this name, without case.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess]
            .into_iter()
            .find(|algorithm| text.eq_ignore_ascii_case(algorithm.as_str()))
    }

    pub(super) const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }

    const fn is_md5(self) -> bool {
        matches!(self, Self::Md5 | Self::Md5Sess)
    }

    /// The hash in lower-case hexadecimal.
    pub(super) fn hash(self, parts: &[&[u8]]) -> String {
        if self.is_md5() { hex_of::<Md5>(parts) } else { hex_of::<Sha256>(parts) }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI are protected.
    Auth,
    /// The body too.
    AuthInt,
}

impl Qop {
    /// The name in headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// What a server knows of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// H(user:realm:password), hexadecimal, for the algorithms it was stored for.
    Ha1 {
        /// With MD5.
        md5: Option<String>,
        /// With SHA-256.
        sha256: Option<String>,
    },
}

impl Secret {
    pub(super) fn ha1(&self, algorithm: Algorithm, user: &str, realm: &str) -> Option<String> {
        match self {
            Self::Password(password) => Some(ha1(algorithm, user, realm, password)),
            Self::Ha1 { md5, .. } if algorithm.is_md5() => md5.as_deref().map(str::to_ascii_lowercase),
            Self::Ha1 { sha256, .. } => sha256.as_deref().map(str::to_ascii_lowercase),
        }
    }
}

/// H(user:realm:password) in hexadecimal, the form to store instead of a password.
#[must_use]
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// Everything a response value is computed from besides HA1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digestible<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
    pub(super) qop: Option<Qop>,
    pub(super) body: &'a [u8],
}

impl Digestible<'_> {
    /// The response value; `ha1` is without session.
    pub(super) fn response(&self, ha1: &str) -> String {
        let algorithm = self.algorithm;
        let (nonce, cnonce) = (self.nonce.as_bytes(), self.cnonce.as_bytes());
        let ha1 = if algorithm.is_session() {
            algorithm.hash(&[ha1.as_bytes(), nonce, cnonce])
        } else {
            ha1.to_owned()
        };
        let (method, uri) = (self.method.as_bytes(), self.uri.as_bytes());
        let ha2 = if self.qop == Some(Qop::AuthInt) {
            let body = algorithm.hash(&[self.body]);
            algorithm.hash(&[method, uri, body.as_bytes()])
        } else {
            algorithm.hash(&[method, uri])
        };
        match self.qop {
            Some(qop) => algorithm.hash(&[
                ha1.as_bytes(),
                nonce,
                self.nc.as_bytes(),
                cnonce,
                qop.as_str().as_bytes(),
                ha2.as_bytes(),
            ]),
            None => algorithm.hash(&[ha1.as_bytes(), nonce, ha2.as_bytes()]),
        }
    }
}

/// HMAC-SHA-256 ([RFC 2104]).
///
/// [RFC 2104]: https://www.rfc-editor.org/rfc/rfc2104
pub(super) fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut inner = Sha256::new();
    let mut outer = Sha256::new();
    let mut pads = [[0x36_u8; 64], [0x5c_u8; 64]];
    for pad in &mut pads {
        for (byte, key) in pad.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    inner.update(pads[0]);
    inner.update(message);
    outer.update(pads[1]);
    outer.update(inner.finalize());
    outer.finalize().into()
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// The hash of the parts with a colon between them.
fn hex_of<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hash = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    to_hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    mod rfc7616_section_3_9_1 {
        use super::*;

        fn response(algorithm: Algorithm) -> String {
            let ha1 = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            Digestible {
                algorithm,
                method: "GET",
                uri: "/dir/index.html",
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                nc: "00000001",
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                qop: Some(Qop::Auth),
                body: b"",
            }
            .response(&ha1)
        }

        #[test]
        fn md5_and_sha_256() {
            assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
            assert_eq!(
                response(Algorithm::Sha256),
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
            );
        }
    }

    #[test]
    fn rfc2617_section_3_5() {
        let ha1 = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(ha1, "939e7578ed9e3c518a452acee763bce9");
        let response = Digestible {
            algorithm: Algorithm::Md5,
            method: "GET",
            uri: "/dir/index.html",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            nc: "00000001",
            cnonce: "0a4f113b",
            qop: Some(Qop::Auth),
            body: b"",
        }
        .response(&ha1);
        assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn rfc4231_test_case_1() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            to_hex(&hmac_sha256(&key, b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}
