//! The keys of a policy, and where their tags, indexes and identifiers lie in a packet.

use std::ops::Range;

use super::policy::{RTCP_PACKETS_MAX, RTP_PACKETS_MAX};
use super::transform::{Transform, transform};
use super::{KeyParameters, Mki, Policy, PolicyError};
use crate::packet::RtpError;
use crate::units::Ssrc;
use subtle::ConstantTimeEq;

/// Bytes of an RTCP header with its source, which are never encrypted (RFC 3711 §3.4).
pub(super) const RTCP_HEADER_BYTES: usize = 8;

/// The source that an RTCP packet begins with.
pub(super) fn rtcp_source(packet: &[u8]) -> Result<Ssrc, RtpError> {
    if packet.len() < RTCP_HEADER_BYTES {
        return Err(RtpError::Truncated);
    }
    if packet[0] >> 6 != 2 {
        return Err(RtpError::BadVersion);
    }
    Ok(ssrc_at(packet, 4))
}

/// The source whose number lies at `at`.
pub(super) fn ssrc_at(packet: &[u8], at: usize) -> Ssrc {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&packet[at..at + 4]);
    Ssrc(u32::from_be_bytes(bytes))
}

/// All keys of one policy.
pub(super) struct Keys {
    pub(super) shape: Shape,
    pub(super) list: Vec<Key>,
}

impl Keys {
    pub(super) fn new(policy: &Policy) -> Result<Self, PolicyError> {
        policy.check()?;
        let list = policy.keys.iter().map(|key| Key::new(policy, key)).collect();
        Ok(Self { shape: Shape::of(policy), list })
    }

    /// Whether the master keys are those of `other`, in the same order.
    pub(super) fn same_keys(&self, other: &Self) -> bool {
        let secrets = |key: &Key, other: &Key| -> bool {
            key.transform.secrets().ct_eq(other.transform.secrets()).into()
        };
        self.list.len() == other.list.len()
            && self.list.iter().zip(&other.list).all(|(key, other)| secrets(key, other))
    }

    /// Takes over how much of each key is left, from the same keys.
    pub(super) fn take_over_use(&mut self, used: &Self) {
        for (key, used) in self.list.iter_mut().zip(&used.list) {
            key.rtp_used = used.rtp_used;
            key.rtcp_used = used.rtcp_used;
        }
    }

    /// The key that the identifier in `field` names; the only one, if there are no identifiers.
    pub(super) fn named(&mut self, field: &[u8]) -> Option<&mut Key> {
        self.list.iter_mut().find(|key| key.mki.is_none_or(|mki| mki.is(field)))
    }
}

/// One master key in use.
pub(super) struct Key {
    pub(super) mki: Option<Mki>,
    pub(super) transform: Box<dyn Transform>,
    rtp_used: u64,
    rtcp_used: u64,
    lifetime: u64,
}

impl Key {
    fn new(policy: &Policy, key: &KeyParameters) -> Self {
        let lifetime = key.lifetime.unwrap_or(RTP_PACKETS_MAX);
        Self { mki: key.mki, transform: transform(policy, key), rtp_used: 0, rtcp_used: 0, lifetime }
    }

    /// Whether it may protect no further RTP packet.
    pub(super) const fn rtp_is_exhausted(&self) -> bool {
        self.rtp_used >= self.lifetime
    }

    /// Whether it may protect no further RTCP packet.
    pub(super) const fn rtcp_is_exhausted(&self) -> bool {
        self.rtcp_used >= self.lifetime || self.rtcp_used >= RTCP_PACKETS_MAX
    }

    /// Counts an RTP packet.
    pub(super) const fn use_for_rtp(&mut self) {
        self.rtp_used += 1;
    }

    /// Counts an RTCP packet.
    pub(super) const fn use_for_rtcp(&mut self) {
        self.rtcp_used += 1;
    }
}

/// What follows a packet: in counter mode the index of RTCP, the key's identifier and the tag (RFC 3711 §3.1 and
/// §3.4); in AES-GCM the tag, the index and the identifier (RFC 7714 §8.2 and §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    rtp_tag_bytes: u8,
    rtcp_tag_bytes: u8,
    mki_bytes: u8,
    tag_is_last: bool,
    pub(super) encrypts_rtcp: bool,
}

impl Shape {
    #[expect(clippy::cast_possible_truncation, reason = "tags have 16 bytes at most, identifiers 128")]
    fn of(policy: &Policy) -> Self {
        let tagged = !policy.parameters.unauthenticated_srtp;
        Self {
            rtp_tag_bytes: if tagged { policy.suite.rtp_tag_bytes() as u8 } else { 0 },
            rtcp_tag_bytes: policy.suite.rtcp_tag_bytes() as u8,
            mki_bytes: policy.mki_bytes() as u8,
            tag_is_last: !policy.suite.is_aead(),
            encrypts_rtcp: !policy.parameters.unencrypted_srtcp,
        }
    }

    /// Bytes that RTP gains.
    pub(super) const fn rtp_overhead_bytes(self) -> usize {
        self.rtp_tag_bytes as usize + self.mki_bytes as usize
    }

    /// Bytes that RTCP gains.
    pub(super) const fn rtcp_overhead_bytes(self) -> usize {
        WORD_BYTES + self.rtcp_tag_bytes as usize + self.mki_bytes as usize
    }

    /// Where tag and identifier of an RTP packet lie behind its `plain_bytes`.
    pub(super) const fn rtp_trailer(self, plain_bytes: usize) -> Trailer {
        let (tag, mki) = (self.rtp_tag_bytes as usize, self.mki_bytes as usize);
        if self.tag_is_last {
            Trailer::new(plain_bytes + mki, tag, plain_bytes, plain_bytes, mki)
        } else {
            Trailer::new(plain_bytes, tag, plain_bytes, plain_bytes + tag, mki)
        }
    }

    /// Where tag, index and identifier of an RTCP packet lie behind its `plain_bytes`.
    pub(super) const fn rtcp_trailer(self, plain_bytes: usize) -> Trailer {
        let (tag, mki) = (self.rtcp_tag_bytes as usize, self.mki_bytes as usize);
        if self.tag_is_last {
            let behind = plain_bytes + WORD_BYTES;
            Trailer::new(behind + mki, tag, plain_bytes, behind, mki)
        } else {
            let behind = plain_bytes + tag;
            Trailer::new(plain_bytes, tag, behind, behind + WORD_BYTES, mki)
        }
    }
}

/// Where things lie behind a packet.
#[derive(Debug, Clone)]
pub(super) struct Trailer {
    pub(super) tag: Range<usize>,
    /// Where the word with the index of RTCP begins.
    pub(super) word_at: usize,
    pub(super) mki: Range<usize>,
}

impl Trailer {
    const fn new(tag_at: usize, tag_bytes: usize, word_at: usize, mki_at: usize, mki_bytes: usize) -> Self {
        Self { tag: tag_at..tag_at + tag_bytes, word_at, mki: mki_at..mki_at + mki_bytes }
    }
}

/// Bytes of the word with E flag and index.
pub(super) const WORD_BYTES: usize = 4;
