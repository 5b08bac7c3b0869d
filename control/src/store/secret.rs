//! What is kept of a password.

use std::fmt::Write as _;

use call::DigestAlgorithm;
use md5::Md5;
use sha2::{Digest, Sha256};

/// H(user:realm:password) in lower-case hexadecimal (RFC 7616 §3.4.2), which is all that checking a digest needs.
///
/// It serves whoever reads it as the password would, within this realm.
#[must_use]
pub fn ha1(algorithm: DigestAlgorithm, user: &str, realm: &str, password: &str) -> String {
    let text = format!("{user}:{realm}:{password}");
    match algorithm {
        DigestAlgorithm::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        DigestAlgorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
    }
}

/// The algorithm's name in a challenge and in the tables.
pub(super) fn name(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Sha256 => "SHA-256",
        DigestAlgorithm::Md5 => "MD5",
    }
}

/// The algorithm with that name.
pub(super) fn from_name(text: &str) -> Option<DigestAlgorithm> {
    [DigestAlgorithm::Sha256, DigestAlgorithm::Md5].into_iter().find(|algorithm| name(*algorithm) == text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod rfc7616_section_3_9 {
    use super::*;

    // The RFC's example gives the response; these are the hashes it is computed from.
    #[test]
    fn the_hash_is_of_user_realm_and_password() {
        let of = |algorithm| ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(of(DigestAlgorithm::Md5), "3d78807defe7de2157e2b0b6573a855f");
        assert_eq!(
            of(DigestAlgorithm::Sha256),
            "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"
        );
    }
}
