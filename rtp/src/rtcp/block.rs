//! The reception report block that sender and receiver reports share.

use crate::units::Ssrc;

/// What one receiver says about one stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative if duplicates outnumber losses. 24 bits, saturated when written.
    pub cumulative_lost: i32,
    /// Extended highest sequence number received: cycles, then sequence number.
    pub highest_seq: u32,
    /// Interarrival jitter in timestamp ticks.
    pub jitter_ticks: u32,
    /// Middle 32 bits of the NTP timestamp of the last sender report, 0 for none.
    pub last_sr: u32,
    /// Time since that report arrived, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Bytes of a block.
    pub const BYTES: usize = 24;

    fn read(bytes: &[u8; Self::BYTES]) -> Self {
        let words: &[[u8; 4]] = bytes.as_chunks().0;
        let word = |index: usize| u32::from_be_bytes(words[index]);
        let [fraction_lost, ..] = words[1];
        Self {
            ssrc: Ssrc(word(0)),
            fraction_lost,
            // Shifted up and down again to carry the sign of 24 bits into 32.
            cumulative_lost: (word(1) << 8).cast_signed() >> 8,
            highest_seq: word(2),
            jitter_ticks: word(3),
            last_sr: word(4),
            delay_since_last_sr: word(5),
        }
    }

    /// The block as sent.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let lost = self.cumulative_lost.clamp(LOST_MIN, LOST_MAX).cast_unsigned() & 0x00ff_ffff;
        let words = [
            self.ssrc.0,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_seq,
            self.jitter_ticks,
            self.last_sr,
            self.delay_since_last_sr,
        ];
        let mut bytes = [0; Self::BYTES];
        for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *chunk = word.to_be_bytes();
        }
        bytes
    }
}

/// Iterator over the blocks of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [[u8; ReportBlock::BYTES]]);

impl<'a> ReportBlocks<'a> {
    /// The first `count` blocks of `bytes`, and what follows them; `None` if there are fewer.
    pub(super) fn split(bytes: &'a [u8], count: usize) -> Option<(Self, &'a [u8])> {
        let (blocks, rest) = bytes.split_at_checked(count * ReportBlock::BYTES)?;
        Some((Self(blocks.as_chunks().0), rest))
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(ReportBlock::read(first))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for ReportBlocks<'_> {}

const LOST_MAX: i32 = 0x007f_ffff;
const LOST_MIN: i32 = -0x0080_0000;
