//! HMAC-SHA1 (RFC 2104) over a packet and four bytes after it.
//!
//! Two chaining values of 20 bytes instead of two hashers with their buffers:
//! the key's state takes 40 bytes, and whole blocks are hashed where they lie.

use sha1::block_api::compress;
use zeroize::Zeroize;

/// Bytes of the whole tag, before it is cut.
pub(super) const TAG_BYTES: usize = 20;
/// Bytes of a session authentication key (RFC 3711 §5.2).
pub(super) const KEY_BYTES: usize = 20;

/// A key, as the hash stands after the inner and after the outer pad.
pub(super) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK_BYTES];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = INITIAL;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// The tag over `packet` and then `trailer`: the rollover counter, or the word with the index.
    pub(super) fn tag(&self, packet: &[u8], trailer: [u8; 4]) -> [u8; TAG_BYTES] {
        let (blocks, rest) = packet.as_chunks::<BLOCK_BYTES>();
        let mut state = self.inner;
        compress(&mut state, blocks);
        let mut last = [[0; BLOCK_BYTES]; 2];
        let bytes = last.as_flattened_mut();
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()..][..4].copy_from_slice(&trailer);
        let ends = rest.len() + 4;
        bytes[ends] = 0x80;
        let count = if ends + 9 <= BLOCK_BYTES { 1 } else { 2 };
        let bits = 8 * (BLOCK_BYTES + packet.len() + 4) as u64;
        bytes[count * BLOCK_BYTES - 8..count * BLOCK_BYTES].copy_from_slice(&bits.to_be_bytes());
        compress(&mut state, &last[..count]);

        let mut block = [0; BLOCK_BYTES];
        block[..TAG_BYTES].copy_from_slice(&bytes_of(state));
        block[TAG_BYTES] = 0x80;
        block[BLOCK_BYTES - 8..].copy_from_slice(&(8 * (BLOCK_BYTES + TAG_BYTES) as u64).to_be_bytes());
        let mut state = self.outer;
        compress(&mut state, &[block]);
        bytes_of(state)
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

fn bytes_of(state: [u32; 5]) -> [u8; TAG_BYTES] {
    let mut bytes = [0; TAG_BYTES];
    for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    bytes
}

const BLOCK_BYTES: usize = 64;
/// Where SHA-1 starts (RFC 3174 §6.1).
const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 §3, case 1: its eight bytes are four of packet and four of trailer.
    #[test]
    fn rfc2202_case_1() {
        let tag = HmacSha1::new(&[0x0b; 20]).tag(b"Hi T", *b"here");
        let wanted = [
            0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b, 0xc0, 0xb6, 0xfb, 0x37, 0x8c, 0x8e,
            0xf1, 0x46, 0xbe, 0x00,
        ];
        assert_eq!(tag, wanted);
    }

    /// RFC 2202 §3, case 3: fifty bytes of 0xdd.
    #[test]
    fn rfc2202_case_3() {
        let tag = HmacSha1::new(&[0xaa; 20]).tag(&[0xdd; 46], [0xdd; 4]);
        let wanted = [
            0x12, 0x5d, 0x73, 0x42, 0xb9, 0xac, 0x11, 0xcd, 0x91, 0xa3, 0x9a, 0xf4, 0x8a, 0xa1, 0x7b, 0x4f,
            0x63, 0xf1, 0x75, 0xd3,
        ];
        assert_eq!(tag, wanted);
    }

    /// At every length around a block's end, as another implementation computes it.
    #[test]
    fn every_length_agrees_with_the_hash_of_the_whole() {
        let key = [0x5a; 20];
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..200 {
            let (packet, trailer) = (&bytes[..length], [1, 2, 3, 4]);
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
            let mut whole = aws_lc_rs::hmac::Context::with_key(&key);
            whole.update(packet);
            whole.update(&trailer);
            assert_eq!(HmacSha1::new(&[0x5a; 20]).tag(packet, trailer), whole.sign().as_ref(), "{length}");
        }
    }
}
