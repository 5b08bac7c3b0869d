//! AES in Galois/counter mode (RFC 7714): one pass that encrypts and authenticates.

use aes::cipher::{
    BlockCipherEncrypt, BlockSizeUser, KeyInit,
    consts::{U12, U16},
};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::derivation::{Label, derive};
use super::keys::RTCP_HEADER_BYTES;
use super::transform::{RtcpIndex, RtpIndex, Transform};
use super::{KEY_BYTES_MAX, MasterKey, hmac};
use crate::units::Ssrc;

/// Bytes of a tag.
pub(super) const TAG_BYTES: usize = 16;

/// Session keys of one master key; `C` is the block cipher of its length.
///
/// The context of RTP lies on the heap of aws-lc, some 600 bytes. Another for RTCP, of which there is a packet
/// in seconds, would double what a call takes: its key is kept as bytes and expanded for each packet.
pub(super) struct Gcm<C> {
    rtp: LessSafeKey,
    salt: Zeroizing<[u8; SALT_BYTES]>,
    /// Key, padded with zeros, and salt.
    rtcp: Zeroizing<[u8; KEY_BYTES_MAX + SALT_BYTES]>,
    cipher: std::marker::PhantomData<C>,
}

impl<C: KeyInit> Gcm<C> {
    /// Derives the session keys.
    pub(super) fn derive(master: &MasterKey) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES_MAX]);
        derive(master, Label::RtpEncryption, &mut key[..C::key_size()]);
        let mut salt = [0; SALT_BYTES];
        derive(master, Label::RtpSalt, &mut salt);
        let mut rtcp = [0; KEY_BYTES_MAX + SALT_BYTES];
        let (rtcp_key, rtcp_salt) = rtcp.split_at_mut(KEY_BYTES_MAX);
        derive(master, Label::RtcpEncryption, &mut rtcp_key[..C::key_size()]);
        derive(master, Label::RtcpSalt, rtcp_salt);
        Self::new(&key[..C::key_size()], Zeroizing::new(salt), Zeroizing::new(rtcp))
    }

    /// Keys that are the same for RTP and RTCP, as in the vectors.
    #[cfg(test)]
    pub(super) fn of_session(key: &[u8], salt: &[u8; SALT_BYTES]) -> Self {
        let mut rtcp = [0; KEY_BYTES_MAX + SALT_BYTES];
        rtcp[..key.len()].copy_from_slice(key);
        rtcp[KEY_BYTES_MAX..].copy_from_slice(salt);
        Self::new(key, Zeroizing::new(*salt), Zeroizing::new(rtcp))
    }

    fn new(
        key: &[u8],
        salt: Zeroizing<[u8; SALT_BYTES]>,
        rtcp: Zeroizing<[u8; KEY_BYTES_MAX + SALT_BYTES]>,
    ) -> Self {
        let algorithm = if C::key_size() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = UnboundKey::new(algorithm, key).expect("the slice has the cipher's length");
        Self { rtp: LessSafeKey::new(key), salt, rtcp, cipher: std::marker::PhantomData }
    }

    fn rtcp_salt(&self) -> &[u8; SALT_BYTES] {
        self.rtcp.last_chunk().expect("the salt is last")
    }
}

impl<C> Gcm<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    fn rtcp_cipher(&self) -> AesGcm<C, U12> {
        AesGcm::new_from_slice(&self.rtcp[..C::key_size()]).expect("the slice has the cipher's length")
    }
}

impl<C> Transform for Gcm<C>
where
    C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send + Sync,
{
    fn open_rtp(&self, packet: &mut [u8], header_bytes: usize, tag: &[u8], at: RtpIndex) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce(&self.salt, at.ssrc, at.index));
        let (header, body) = packet.split_at_mut(header_bytes);
        self.rtp.open_in_place_separate_tag(nonce, Aad::from(&*header), tag, body).is_ok()
    }

    fn seal_rtp(&self, packet: &mut [u8], header_bytes: usize, at: RtpIndex) -> [u8; hmac::TAG_BYTES] {
        let nonce = Nonce::assume_unique_for_key(nonce(&self.salt, at.ssrc, at.index));
        let (header, body) = packet.split_at_mut(header_bytes);
        let tag = self
            .rtp
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), body)
            .expect("a datagram is far shorter than what one nonce may cover");
        whole(tag.as_ref())
    }

    fn open_rtcp(&self, packet: &mut [u8], plain_bytes: usize, tag: &[u8], at: RtcpIndex) -> bool {
        let nonce = nonce(self.rtcp_salt(), at.ssrc, at.index.into()).into();
        let Ok(tag) = <[u8; TAG_BYTES]>::try_from(tag) else { return false };
        let (aad, body) = rtcp_parts(packet, plain_bytes, at);
        // Looks at the tag before it decrypts, so that `packet` can be tried again under other keys.
        self.rtcp_cipher().decrypt_inout_detached(&nonce, aad.bytes(), body.into(), &tag.into()).is_ok()
    }

    fn seal_rtcp(&self, packet: &mut [u8], plain_bytes: usize, at: RtcpIndex) -> [u8; hmac::TAG_BYTES] {
        let nonce = nonce(self.rtcp_salt(), at.ssrc, at.index.into()).into();
        let (aad, body) = rtcp_parts(packet, plain_bytes, at);
        let tag = self
            .rtcp_cipher()
            .encrypt_inout_detached(&nonce, aad.bytes(), body.into())
            .expect("a datagram is far shorter than what one nonce may cover");
        whole(&tag)
    }

    fn secrets(&self) -> &[u8] {
        &*self.rtcp
    }
}

/// What is authenticated and not encrypted.
enum Authenticated<'a> {
    Header([u8; RTCP_HEADER_BYTES + 4]),
    Packet(&'a [u8]),
}

impl Authenticated<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Header(bytes) => bytes,
            Self::Packet(bytes) => bytes,
        }
    }
}

/// Header and index word before the encrypted rest, or the whole packet and the word (RFC 7714 §9.2 and §9.3).
fn rtcp_parts(packet: &mut [u8], plain_bytes: usize, at: RtcpIndex) -> (Authenticated<'_>, &mut [u8]) {
    if at.encrypted {
        let (header, body) = packet[..plain_bytes].split_at_mut(RTCP_HEADER_BYTES);
        let mut bytes = [0; RTCP_HEADER_BYTES + 4];
        bytes[..RTCP_HEADER_BYTES].copy_from_slice(header);
        bytes[RTCP_HEADER_BYTES..].copy_from_slice(&at.word());
        return (Authenticated::Header(bytes), body);
    }
    let packet = &mut packet[..plain_bytes + 4];
    packet[plain_bytes..].copy_from_slice(&at.word());
    (Authenticated::Packet(packet), &mut [])
}

/// Source and index over the salt (RFC 7714 §8.1 and §9.1).
fn nonce(salt: &[u8; SALT_BYTES], ssrc: Ssrc, index: u64) -> [u8; SALT_BYTES] {
    let mut nonce = *salt;
    let numbers = u128::from(ssrc.0) << 48 | u128::from(index);
    for (byte, number) in nonce.iter_mut().zip(&numbers.to_be_bytes()[4..]) {
        *byte ^= number;
    }
    nonce
}

fn whole(tag: &[u8]) -> [u8; hmac::TAG_BYTES] {
    let mut bytes = [0; hmac::TAG_BYTES];
    bytes[..tag.len()].copy_from_slice(tag);
    bytes
}

const SALT_BYTES: usize = 12;
