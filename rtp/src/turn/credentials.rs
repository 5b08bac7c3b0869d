//! Who a client is: long-term keys, and passwords that a shared secret gives to names with an end.

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

/// The key of the long-term mechanism with MD5 (RFC 8489 §9.2.2). Zeroed when dropped.
pub type LongTermKey = Zeroizing<[u8; 16]>;

/// MD5 of `username:realm:password`.
pub fn long_term_key(username: &[u8], realm: &str, password: &str) -> LongTermKey {
    let mut hash = Md5::new();
    for part in [username, b":", realm.as_bytes(), b":", password.as_bytes()] {
        hash.update(part);
    }
    Zeroizing::new(hash.finalize().into())
}

/// The password that a shared secret gives to a user name: Base64 of HMAC-SHA1, as every server of this kind computes it.
pub fn timed_password(secret: &[u8], username: &[u8]) -> Zeroizing<String> {
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), username);
    Zeroizing::new(BASE64_STANDARD.encode(tag.as_ref()))
}

/// A user name of the form `expiry:user`, or `expiry` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedUsername<'a> {
    /// Seconds since the Unix epoch from which on it is good for nothing.
    pub expiry_s: u64,
    /// Whose it is: what stands behind the first colon, or the whole name where there is none.
    pub user: &'a [u8],
}

impl<'a> TimedUsername<'a> {
    /// Reads a name; `None` if it does not begin with a time.
    pub fn parse(username: &'a [u8]) -> Option<Self> {
        let colon = username.iter().position(|byte| *byte == b':');
        let (digits, user) = match colon {
            Some(colon) if colon + 1 < username.len() => (&username[..colon], &username[colon + 1..]),
            Some(colon) => (&username[..colon], username),
            None => (username, username),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let expiry_s = str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { expiry_s, user })
    }
}
