//! What a cipher does to one packet whose index is known; which index, and whether it is new, is decided elsewhere.

use super::counter_mode::CounterMode;
use super::gcm::Gcm;
use super::hmac;
use super::{KeyParameters, Policy, Suite};
use crate::units::Ssrc;
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};

/// The session keys of one master key, and the transform they are for.
///
/// Tags are whole here; the caller cuts them to what the suite sends.
pub(super) trait Transform: Send + Sync {
    /// Decrypts `packet` behind its header, if `tag` fits; otherwise nothing changes.
    fn open_rtp(&self, packet: &mut [u8], header_bytes: usize, tag: &[u8], at: RtpIndex) -> bool;

    /// Encrypts `packet` behind its header and returns the tag.
    fn seal_rtp(&self, packet: &mut [u8], header_bytes: usize, at: RtpIndex) -> [u8; hmac::TAG_BYTES];

    /// Decrypts `packet`, if it is encrypted and `tag` fits; otherwise nothing changes.
    fn open_rtcp(&self, packet: &mut [u8], tag: &[u8], at: RtcpIndex) -> bool;

    /// Encrypts `packet`, if it is to be, and returns the tag.
    fn seal_rtcp(&self, packet: &mut [u8], at: RtcpIndex) -> [u8; hmac::TAG_BYTES];

    /// Secrets that two transforms share only if they come from the same master key.
    fn secrets(&self) -> &[u8];
}

/// Which RTP packet: its source and its 48 bits of rollover counter and sequence number (RFC 3711 §3.3.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct RtpIndex {
    pub(super) ssrc: Ssrc,
    pub(super) index: u64,
}

impl RtpIndex {
    /// The rollover counter as it is authenticated.
    #[expect(clippy::cast_possible_truncation, reason = "an index has 48 bits")]
    pub(super) const fn rollover(self) -> [u8; 4] {
        ((self.index >> 16) as u32).to_be_bytes()
    }
}

/// Which RTCP packet: its source, its 31 bits of index, and whether it is encrypted (RFC 3711 §3.4).
#[derive(Debug, Clone, Copy)]
pub(super) struct RtcpIndex {
    pub(super) ssrc: Ssrc,
    pub(super) index: u32,
    pub(super) encrypted: bool,
}

impl RtcpIndex {
    /// Of the word that a packet carries.
    pub(super) const fn from_word(ssrc: Ssrc, word: [u8; 4]) -> Self {
        let word = u32::from_be_bytes(word);
        Self { ssrc, index: word & !ENCRYPTED, encrypted: word & ENCRYPTED != 0 }
    }

    /// The word that the packet carries.
    pub(super) const fn word(self) -> [u8; 4] {
        let flag = if self.encrypted { ENCRYPTED } else { 0 };
        (self.index | flag).to_be_bytes()
    }
}

/// The E flag.
const ENCRYPTED: u32 = 1 << 31;

/// Derives the session keys of one of a policy's keys.
pub(super) fn transform(policy: &Policy, key: &KeyParameters) -> Box<dyn Transform> {
    let (master, parameters) = (&key.key, policy.parameters);
    match policy.suite {
        Suite::AeadAes128Gcm => Box::new(Gcm::<Aes128Enc>::derive(master)),
        Suite::AeadAes256Gcm => Box::new(Gcm::<Aes256Enc>::derive(master)),
        Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
            Box::new(CounterMode::<Aes128Enc>::derive(master, parameters))
        }
        Suite::Aes192CmHmacSha1_80 | Suite::Aes192CmHmacSha1_32 => {
            Box::new(CounterMode::<Aes192Enc>::derive(master, parameters))
        }
        Suite::Aes256CmHmacSha1_80 | Suite::Aes256CmHmacSha1_32 => {
            Box::new(CounterMode::<Aes256Enc>::derive(master, parameters))
        }
    }
}
