//! AES in counter mode with HMAC-SHA1 (RFC 3711 §4.1.1 and §4.2.1, RFC 6188).

use aes::cipher::StreamCipher;
use aes::cipher::{
    BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipherCoreWrapper, consts::U16,
};
use ctr::{CtrCore, flavors::Ctr128BE};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::derivation::{Label, derive};
use super::hmac::{self, HmacSha1};
use super::transform::{RtcpIndex, RtpIndex, Transform};
use super::{KEY_BYTES_MAX, MasterKey, SALT_BYTES_MAX, SessionParameters};
use crate::units::Ssrc;

/// Session keys of one master key. Those of RTP are ready for use; those of RTCP, of which there is a packet
/// in seconds, are expanded for each packet: that costs 0.2 µs and spares some 200 bytes a direction.
pub(super) struct CounterMode<C> {
    cipher: C,
    hmac: HmacSha1,
    salt: Zeroizing<[u8; SALT_BYTES_MAX]>,
    encrypts_rtp: bool,
    authenticates_rtp: bool,
    /// Encryption key, padded with zeros, authentication key and salt.
    rtcp: Zeroizing<[u8; RTCP_SECRETS_BYTES]>,
}

impl<C: KeyInit> CounterMode<C> {
    /// Derives the session keys.
    pub(super) fn derive(master: &MasterKey, parameters: SessionParameters) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES_MAX]);
        let key = &mut key[..C::key_size()];
        derive(master, Label::RtpEncryption, key);
        let mut authentication = Zeroizing::new([0; hmac::KEY_BYTES]);
        derive(master, Label::RtpAuthentication, &mut *authentication);
        let mut salt = Zeroizing::new([0; SALT_BYTES_MAX]);
        derive(master, Label::RtpSalt, &mut *salt);
        let mut rtcp = Zeroizing::new([0; RTCP_SECRETS_BYTES]);
        let (rtcp_key, rest) = rtcp.split_at_mut(KEY_BYTES_MAX);
        let (rtcp_authentication, rtcp_salt) = rest.split_at_mut(hmac::KEY_BYTES);
        derive(master, Label::RtcpEncryption, &mut rtcp_key[..C::key_size()]);
        derive(master, Label::RtcpAuthentication, rtcp_authentication);
        derive(master, Label::RtcpSalt, rtcp_salt);
        Self {
            cipher: C::new_from_slice(key).expect("the slice has the cipher's length"),
            hmac: HmacSha1::new(&authentication),
            salt,
            encrypts_rtp: !parameters.unencrypted_srtp,
            authenticates_rtp: !parameters.unauthenticated_srtp,
            rtcp,
        }
    }

    fn rtcp_cipher(&self) -> C {
        C::new_from_slice(&self.rtcp[..C::key_size()]).expect("the slice has the cipher's length")
    }

    fn rtcp_hmac(&self) -> HmacSha1 {
        let key = self.rtcp[KEY_BYTES_MAX..].first_chunk().expect("there are twenty bytes behind the key");
        HmacSha1::new(key)
    }

    fn rtcp_salt(&self) -> &[u8; SALT_BYTES_MAX] {
        self.rtcp.last_chunk().expect("the salt is last")
    }
}

impl<C> Transform for CounterMode<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send + Sync,
{
    fn open_rtp(&self, packet: &mut [u8], header_bytes: usize, tag: &[u8], at: RtpIndex) -> bool {
        if self.authenticates_rtp && !equal(&self.hmac.tag(packet, at.rollover()), tag) {
            return false;
        }
        if self.encrypts_rtp {
            apply_keystream(
                &self.cipher,
                counter(&self.salt, at.ssrc, at.index),
                &mut packet[header_bytes..],
            );
        }
        true
    }

    fn seal_rtp(&self, packet: &mut [u8], header_bytes: usize, at: RtpIndex) -> [u8; hmac::TAG_BYTES] {
        if self.encrypts_rtp {
            apply_keystream(
                &self.cipher,
                counter(&self.salt, at.ssrc, at.index),
                &mut packet[header_bytes..],
            );
        }
        if self.authenticates_rtp { self.hmac.tag(packet, at.rollover()) } else { [0; hmac::TAG_BYTES] }
    }

    fn open_rtcp(&self, packet: &mut [u8], tag: &[u8], at: RtcpIndex) -> bool {
        if !equal(&self.rtcp_hmac().tag(packet, at.word()), tag) {
            return false;
        }
        if at.encrypted {
            let counter = counter(self.rtcp_salt(), at.ssrc, at.index.into());
            apply_keystream(&self.rtcp_cipher(), counter, &mut packet[super::keys::RTCP_HEADER_BYTES..]);
        }
        true
    }

    fn seal_rtcp(&self, packet: &mut [u8], at: RtcpIndex) -> [u8; hmac::TAG_BYTES] {
        if at.encrypted {
            let counter = counter(self.rtcp_salt(), at.ssrc, at.index.into());
            apply_keystream(&self.rtcp_cipher(), counter, &mut packet[super::keys::RTCP_HEADER_BYTES..]);
        }
        self.rtcp_hmac().tag(packet, at.word())
    }

    fn secrets(&self) -> &[u8] {
        &*self.rtcp
    }
}

/// Whether `whole`, cut to the length of `tag`, is `tag`; in constant time.
fn equal(whole: &[u8; hmac::TAG_BYTES], tag: &[u8]) -> bool {
    whole[..tag.len()].ct_eq(tag).into()
}

/// Where the counter starts: salt, source and index above 16 bits that count blocks (RFC 3711 §4.1.1).
pub(super) fn counter(salt: &[u8; SALT_BYTES_MAX], ssrc: Ssrc, index: u64) -> u128 {
    let mut block = [0; 16];
    block[..SALT_BYTES_MAX].copy_from_slice(salt);
    u128::from_be_bytes(block) ^ u128::from(ssrc.0) << 64 ^ u128::from(index) << 16
}

/// Adds the keystream that begins at `counter` to `bytes`.
pub(super) fn apply_keystream<C>(cipher: &C, counter: u128, bytes: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = CtrCore::<&C, Ctr128BE>::inner_iv_init(cipher, &counter.to_be_bytes().into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(bytes);
}

const RTCP_SECRETS_BYTES: usize = KEY_BYTES_MAX + hmac::KEY_BYTES + SALT_BYTES_MAX;
