//! Master keys and what names them.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

/// Most bytes of a master key.
pub const KEY_BYTES_MAX: usize = 32;
/// Most bytes of a master salt.
pub const SALT_BYTES_MAX: usize = 14;

/// A master key with its salt (RFC 3711 §3.2.1): inline, never printed, zeroed when dropped, compared in constant time.
#[derive(Clone)]
pub struct MasterKey {
    key: [u8; KEY_BYTES_MAX],
    salt: [u8; SALT_BYTES_MAX],
    key_bytes: u8,
    salt_bytes: u8,
}

impl MasterKey {
    /// A key and a salt, or `None` if either is longer than any suite's. A policy checks them against its suite.
    pub fn new(key: &[u8], salt: &[u8]) -> Option<Self> {
        let mut master = Self {
            key: [0; KEY_BYTES_MAX],
            salt: [0; SALT_BYTES_MAX],
            key_bytes: u8::try_from(key.len()).ok()?,
            salt_bytes: u8::try_from(salt.len()).ok()?,
        };
        master.key.get_mut(..key.len())?.copy_from_slice(key);
        master.salt.get_mut(..salt.len())?.copy_from_slice(salt);
        Some(master)
    }

    /// A key followed by its salt, as SDES writes them; `None` unless `bytes` has the length of `suite`.
    pub fn from_concatenation(suite: super::Suite, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != suite.master_bytes() {
            return None;
        }
        let (key, salt) = bytes.split_at(suite.key_bytes());
        Self::new(key, salt)
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.key[..self.key_bytes.into()]
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt[..self.salt_bytes.into()]
    }
}

impl Zeroize for MasterKey {
    fn zeroize(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
        self.key_bytes = 0;
        self.salt_bytes = 0;
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ConstantTimeEq for MasterKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        let lengths = self.key_bytes.ct_eq(&other.key_bytes) & self.salt_bytes.ct_eq(&other.salt_bytes);
        lengths & self.key.ct_eq(&other.key) & self.salt.ct_eq(&other.salt)
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({} + {} bytes)", self.key_bytes, self.salt_bytes)
    }
}

/// A master key identifier (RFC 3711 §3.1): a number, and the bytes it takes in every packet (RFC 4568 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mki {
    value: u64,
    bytes: u8,
}

impl Mki {
    /// Most bytes of an identifier (RFC 4568 §9.2).
    pub const BYTES_MAX: usize = 128;

    /// The identifier `value` in `bytes` bytes; `None` if it does not fit, or for none or more than 128 bytes.
    pub fn new(value: u64, bytes: usize) -> Option<Self> {
        let fits = bytes >= 8 || value >> (8 * bytes) == 0;
        let bounded = (1..=Self::BYTES_MAX).contains(&bytes) && fits;
        Some(Self { value, bytes: u8::try_from(bytes).ok().filter(|_| bounded)? })
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.value
    }

    /// The bytes it takes in a packet.
    pub const fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// Whether `field` of a packet, as long as the identifier, holds it.
    pub(super) fn is(self, field: &[u8]) -> bool {
        let (zeros, low) = field.split_at(field.len().saturating_sub(8));
        let value = low.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        zeros.iter().all(|byte| *byte == 0) && value == self.value
    }

    /// Writes it into `field` of a packet, as long as the identifier.
    pub(super) fn write(self, field: &mut [u8]) {
        field.fill(0);
        for (to, from) in field.iter_mut().rev().zip(self.value.to_le_bytes()) {
            *to = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Suite;

    #[test]
    fn a_key_is_never_printed() {
        let key = MasterKey::new(&[0xab; 16], &[0xcd; 14]).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(16 + 14 bytes)");
    }

    #[test]
    fn keys_are_equal_in_bytes_and_in_length() {
        let key = |key: &[u8], salt: &[u8]| MasterKey::new(key, salt).unwrap();
        assert_eq!(key(&[1; 16], &[2; 14]), key(&[1; 16], &[2; 14]));
        assert_ne!(key(&[1; 16], &[2; 14]), key(&[1; 16], &[3; 14]));
        assert_ne!(key(&[0; 16], &[0; 14]), key(&[0; 24], &[0; 14]));
        assert_eq!(MasterKey::new(&[0; 33], &[]), None);
        assert_eq!(MasterKey::new(&[], &[0; 15]), None);
        assert_eq!(MasterKey::new(&[0; 300], &[]), None);
    }

    #[test]
    fn key_and_salt_of_sdes_are_cut_by_the_suite() {
        let bytes: Vec<u8> = (0..30).collect();
        let key = MasterKey::from_concatenation(Suite::AesCm128HmacSha1_80, &bytes).unwrap();
        assert_eq!((key.key(), key.salt()), (&bytes[..16], &bytes[16..]));
        assert_eq!(MasterKey::from_concatenation(Suite::AeadAes128Gcm, &bytes), None);
    }

    #[test]
    fn zeroing_leaves_no_byte() {
        let mut key = MasterKey::new(&[0xab; 32], &[0xcd; 14]).unwrap();
        key.zeroize();
        assert_eq!((key.key, key.salt, key.key_bytes), ([0; 32], [0; 14], 0));
    }

    #[test]
    fn an_identifier_is_a_number_of_fixed_length() {
        let mut field = [0xff; 10];
        let mki = Mki::new(0x0102_0304_0506_0708, 10).unwrap();
        mki.write(&mut field);
        assert_eq!(field, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(mki.is(&field));
        field[0] = 1;
        assert!(!mki.is(&field));
        let mut short = [0; 1];
        Mki::new(7, 1).unwrap().write(&mut short);
        assert_eq!(short, [7]);
        assert_eq!((Mki::new(256, 1), Mki::new(1, 0), Mki::new(1, 129)), (None, None, None));
        assert!(Mki::new(u64::MAX, 8).is_some() && Mki::new(1, 128).is_some());
    }
}
