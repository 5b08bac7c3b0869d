//! AES in Galois/counter mode (RFC 7714, NIST SP 800-38D): encrypted and authenticated under one key.

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use ghash::{Block, GHash, universal_hash::UniversalHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::counter_mode::apply_keystream;
use super::derivation::{Label, derive};
use super::keys::RTCP_HEADER_BYTES;
use super::transform::{RtcpIndex, RtpIndex, Transform};
use super::{KEY_BYTES_MAX, MasterKey, hmac};
use crate::units::Ssrc;

/// Session keys of one master key. As in [counter mode](super::counter_mode), those of RTP are ready for use, and
/// those of RTCP are expanded for each packet.
pub(super) struct Gcm<C> {
    rtp: Keyed<C>,
    salt: Zeroizing<[u8; SALT_BYTES]>,
    /// Key, padded with zeros, and salt.
    rtcp: Zeroizing<[u8; KEY_BYTES_MAX + SALT_BYTES]>,
}

impl<C: Cipher> Gcm<C> {
    /// Derives the session keys.
    pub(super) fn derive(master: &MasterKey) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES_MAX]);
        let key = &mut key[..C::key_size()];
        derive(master, Label::RtpEncryption, key);
        let mut salt = Zeroizing::new([0; SALT_BYTES]);
        derive(master, Label::RtpSalt, &mut *salt);
        let mut rtcp = Zeroizing::new([0; KEY_BYTES_MAX + SALT_BYTES]);
        let (rtcp_key, rtcp_salt) = rtcp.split_at_mut(KEY_BYTES_MAX);
        derive(master, Label::RtcpEncryption, &mut rtcp_key[..C::key_size()]);
        derive(master, Label::RtcpSalt, rtcp_salt);
        Self { rtp: Keyed::new(key), salt, rtcp }
    }

    /// Keys that are the same for RTP and RTCP, as in the vectors.
    #[cfg(test)]
    pub(super) fn of_session(key: &[u8], salt: &[u8; SALT_BYTES]) -> Self {
        let mut rtcp = Zeroizing::new([0; KEY_BYTES_MAX + SALT_BYTES]);
        rtcp[..key.len()].copy_from_slice(key);
        rtcp[KEY_BYTES_MAX..].copy_from_slice(salt);
        Self { rtp: Keyed::new(key), salt: Zeroizing::new(*salt), rtcp }
    }

    fn rtcp(&self) -> Keyed<C> {
        Keyed::new(&self.rtcp[..C::key_size()])
    }

    fn rtcp_nonce(&self, at: RtcpIndex) -> [u8; SALT_BYTES] {
        nonce(self.rtcp.last_chunk().expect("the salt is last"), at.ssrc, at.index.into())
    }
}

impl<C: Cipher + Send + Sync> Transform for Gcm<C> {
    fn open_rtp(&self, packet: &mut [u8], header_bytes: usize, tag: &[u8], at: RtpIndex) -> bool {
        let (header, body) = packet.split_at_mut(header_bytes);
        self.rtp.open(nonce(&self.salt, at.ssrc, at.index), [header, &[]], body, tag)
    }

    fn seal_rtp(&self, packet: &mut [u8], header_bytes: usize, at: RtpIndex) -> [u8; hmac::TAG_BYTES] {
        let (header, body) = packet.split_at_mut(header_bytes);
        self.rtp.seal(nonce(&self.salt, at.ssrc, at.index), [header, &[]], body)
    }

    fn open_rtcp(&self, packet: &mut [u8], tag: &[u8], at: RtcpIndex) -> bool {
        let (clear, body) = packet.split_at_mut(clear_bytes(packet, at));
        self.rtcp().open(self.rtcp_nonce(at), [clear, &at.word()], body, tag)
    }

    fn seal_rtcp(&self, packet: &mut [u8], at: RtcpIndex) -> [u8; hmac::TAG_BYTES] {
        let (clear, body) = packet.split_at_mut(clear_bytes(packet, at));
        self.rtcp().seal(self.rtcp_nonce(at), [clear, &at.word()], body)
    }

    fn secrets(&self) -> &[u8] {
        &*self.rtcp
    }
}

/// What stays readable: the header, or all of it (RFC 7714 §9.2 and §9.3).
fn clear_bytes(packet: &[u8], at: RtcpIndex) -> usize {
    if at.encrypted { RTCP_HEADER_BYTES } else { packet.len() }
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

/// A block cipher of any of AES's key lengths.
pub(super) trait Cipher: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> {}

impl<C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Cipher for C {}

/// One session key, ready for use.
struct Keyed<C> {
    cipher: C,
    hash: GHash,
}

impl<C: Cipher> Keyed<C> {
    fn new(key: &[u8]) -> Self {
        let cipher = C::new_from_slice(key).expect("the slice has the cipher's length");
        let mut hash_key = Zeroizing::new([0; BLOCK_BYTES]);
        cipher.encrypt_block((&mut *hash_key).into());
        let hash = GHash::new((&*hash_key).into());
        Self { cipher, hash }
    }

    /// Decrypts `body` if `tag` is that of it and of `clear`; otherwise nothing changes.
    fn open(&self, nonce: [u8; SALT_BYTES], clear: [&[u8]; 2], body: &mut [u8], tag: &[u8]) -> bool {
        let keystream = self.keystream(nonce, body.len());
        if !bool::from(self.tag(&keystream, clear, body).ct_eq(tag)) {
            return false;
        }
        self.cover(&keystream, nonce, body);
        true
    }

    /// Encrypts `body`; returns the tag of it and of `clear`, and zeros behind it.
    fn seal(&self, nonce: [u8; SALT_BYTES], clear: [&[u8]; 2], body: &mut [u8]) -> [u8; hmac::TAG_BYTES] {
        let keystream = self.keystream(nonce, body.len());
        self.cover(&keystream, nonce, body);
        let mut whole = [0; hmac::TAG_BYTES];
        whole[..TAG_BYTES].copy_from_slice(&self.tag(&keystream, clear, body));
        whole
    }

    /// The block that covers the tag, and behind it what covers `body_bytes`, as far as there is room: all at once,
    /// because the cipher works on many blocks in the time of one.
    #[inline]
    fn keystream(&self, nonce: [u8; SALT_BYTES], body_bytes: usize) -> [Block; BLOCKS_AT_ONCE] {
        let mut blocks = [Block::default(); BLOCKS_AT_ONCE];
        let count = BLOCKS_AT_ONCE.min(1 + body_bytes.div_ceil(BLOCK_BYTES));
        for (block, counter) in blocks[..count].iter_mut().zip(counter(nonce, 1)..) {
            *block = counter.to_be_bytes().into();
        }
        self.cipher.encrypt_blocks(&mut blocks[..count]);
        blocks
    }

    /// Adds the keystream to `body`.
    #[inline]
    fn cover(&self, keystream: &[Block; BLOCKS_AT_ONCE], nonce: [u8; SALT_BYTES], body: &mut [u8]) {
        let ready = Block::slice_as_flattened(&keystream[1..]);
        for (byte, key) in body.iter_mut().zip(ready) {
            *byte ^= key;
        }
        if let Some(rest) = body.get_mut(ready.len()..) {
            apply_keystream(&self.cipher, counter(nonce, BLOCKS_AT_ONCE + 1), rest);
        }
    }

    #[inline]
    fn tag(&self, keystream: &[Block; BLOCKS_AT_ONCE], clear: [&[u8]; 2], body: &[u8]) -> [u8; TAG_BYTES] {
        let mut input = Input::new(self.hash.clone());
        clear.iter().for_each(|part| input.push(part));
        input.pad();
        input.push(body);
        input.pad();
        let mut tag = input.hash(clear[0].len() + clear[1].len(), body.len());
        for (byte, key) in tag.iter_mut().zip(&keystream[0]) {
            *byte ^= key;
        }
        tag
    }
}

impl<C> Drop for Keyed<C> {
    fn drop(&mut self) {
        // The cipher zeroes itself. The hash has no method for it, but one under a key of zeros takes its place.
        self.hash = GHash::new(&Block::default());
        std::hint::black_box(&self.hash);
    }
}

/// Where the keystream of the block `number` begins.
fn counter(nonce: [u8; SALT_BYTES], number: usize) -> u128 {
    let mut counter = [0; BLOCK_BYTES];
    counter[..SALT_BYTES].copy_from_slice(&nonce);
    u128::from_be_bytes(counter) | number as u128
}

/// What is hashed, gathered so that many blocks are multiplied at once: in pieces it costs twice as much.
struct Input {
    hash: GHash,
    blocks: [Block; BLOCKS_AT_ONCE],
    bytes: usize,
}

impl Input {
    fn new(hash: GHash) -> Self {
        Self { hash, blocks: [Block::default(); BLOCKS_AT_ONCE], bytes: 0 }
    }

    #[inline]
    fn push(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            if self.bytes == size_of_val(&self.blocks) {
                self.hash.update(&self.blocks);
                self.bytes = 0;
            }
            let room = &mut Block::slice_as_flattened_mut(&mut self.blocks)[self.bytes..];
            let (now, later) = part.split_at(part.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.bytes += now.len();
            part = later;
        }
    }

    /// Fills the last block with zeros.
    #[inline]
    fn pad(&mut self) {
        let end = self.bytes.next_multiple_of(BLOCK_BYTES);
        Block::slice_as_flattened_mut(&mut self.blocks)[self.bytes..end].fill(0);
        self.bytes = end;
    }

    /// Ends with the lengths of what is clear and of the body.
    #[inline]
    fn hash(mut self, clear_bytes: usize, body_bytes: usize) -> [u8; TAG_BYTES] {
        let mut count = self.bytes / BLOCK_BYTES;
        if count == BLOCKS_AT_ONCE {
            self.hash.update(&self.blocks);
            count = 0;
        }
        let lengths = u128::from(8 * clear_bytes as u64) << 64 | u128::from(8 * body_bytes as u64);
        self.blocks[count] = lengths.to_be_bytes().into();
        self.hash.update(&self.blocks[..=count]);
        self.hash.finalize().into()
    }
}

/// Bytes of a tag.
const TAG_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;
const SALT_BYTES: usize = 12;
/// Header, 20 ms of G.711 and the lengths are twelve; the block over the tag and that keystream eleven.
const BLOCKS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use aes::{Aes128Enc, Aes256Enc};
    use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};

    use super::*;

    /// Around every length at which blocks, the room for them and the room for keystream end.
    fn assert_every_length<C: Cipher>(algorithm: &'static Algorithm) {
        let key: Vec<u8> = (0..C::key_size()).map(|at| u8::try_from(at).unwrap() ^ 0x5a).collect();
        let (ours, theirs) =
            (Keyed::<C>::new(&key), LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap()));
        let bytes: Vec<u8> = (0..1000).map(|at: u32| at.to_le_bytes()[0]).collect();
        let nonce = [0xff; SALT_BYTES];
        for clear_bytes in [0, 1, 12, 16, 28, 240, 255, 256, 257, 300] {
            for body_bytes in 0..560 {
                let (clear, plain) = (&bytes[..clear_bytes], &bytes[400..400 + body_bytes]);
                let mut wanted = plain.to_vec();
                let tag = theirs
                    .seal_in_place_separate_tag(
                        Nonce::assume_unique_for_key(nonce),
                        Aad::from(clear),
                        &mut wanted,
                    )
                    .unwrap();
                let mut body = plain.to_vec();
                let (first, second) = clear.split_at(clear_bytes / 2);
                assert_eq!(ours.seal(nonce, [first, second], &mut body)[..TAG_BYTES], *tag.as_ref());
                assert_eq!(body, wanted, "{clear_bytes} {body_bytes}");
                assert!(ours.open(nonce, [clear, &[]], &mut body, tag.as_ref()));
                assert_eq!(body, plain, "{clear_bytes} {body_bytes}");
            }
        }
    }

    #[test]
    fn every_length_agrees_with_another_implementation() {
        assert_every_length::<Aes128Enc>(&AES_128_GCM);
        assert_every_length::<Aes256Enc>(&AES_256_GCM);
    }

    #[test]
    fn what_cannot_be_opened_stays_as_it_was() {
        let keyed = Keyed::<Aes128Enc>::new(&[1; 16]);
        let mut body = [7; 300];
        let mut tag = keyed.seal([2; SALT_BYTES], [b"clear", b""], &mut body);
        tag[15] ^= 1;
        let before = body;
        assert!(!keyed.open([2; SALT_BYTES], [b"clear", b""], &mut body, &tag[..TAG_BYTES]));
        assert!(!keyed.open([2; SALT_BYTES], [b"clear", b""], &mut body, &tag[..0]));
        assert_eq!(body, before);
    }
}
