//! What shows that a message is whole and whose it is.

use aws_lc_rs::hmac::{Algorithm, Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, Tag};

use super::HEADER_BYTES;

/// What looking at an integrity attribute or a fingerprint gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// There is none.
    Absent,
    /// It fits.
    Valid,
    /// It does not fit.
    Invalid,
}

impl Check {
    pub(super) fn of(fits: Option<bool>) -> Self {
        match fits {
            None => Self::Absent,
            Some(true) => Self::Valid,
            Some(false) => Self::Invalid,
        }
    }
}

/// HMAC-SHA1 of `message` as if it ended `tail_bytes` behind it (RFC 8489 §14.5).
pub(super) fn sha1(key: &[u8], message: &[u8], tail_bytes: usize) -> Tag {
    hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, message, tail_bytes)
}

/// HMAC-SHA256 of `message` as if it ended `tail_bytes` behind it (RFC 8489 §14.6).
pub(super) fn sha256(key: &[u8], message: &[u8], tail_bytes: usize) -> Tag {
    hmac(HMAC_SHA256, key, message, tail_bytes)
}

fn hmac(algorithm: Algorithm, key: &[u8], message: &[u8], tail_bytes: usize) -> Tag {
    let mut context = Context::with_key(&Key::new(algorithm, key));
    context.update(&header(message, tail_bytes));
    context.update(&message[HEADER_BYTES..]);
    context.sign()
}

/// The value of FINGERPRINT for `message` as if it ended behind that attribute (RFC 8489 §14.7).
pub(super) fn fingerprint(message: &[u8]) -> [u8; 4] {
    let crc = crc32(crc32(!0, &header(message, 8)), &message[HEADER_BYTES..]);
    (!crc ^ u32::from_be_bytes(*b"STUN")).to_be_bytes()
}

/// The header with the length that the message has then.
fn header(message: &[u8], tail_bytes: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header.copy_from_slice(&message[..HEADER_BYTES]);
    let length = u16::try_from(message.len() - HEADER_BYTES + tail_bytes).unwrap_or(u16::MAX);
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header
}

/// The check sum of ISO 3309.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| crc >> 8 ^ REMAINDERS[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

/// What each byte leaves.
static REMAINDERS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};
