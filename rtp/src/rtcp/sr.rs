//! Sender report: what was sent, and when that was by the wall clock.

use super::ReportBlocks;
use crate::units::{RtpTime, Ssrc};

/// A sender report (RFC 3550 §6.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Who sends.
    pub ssrc: Ssrc,
    /// Wall-clock time of the report, NTP format.
    pub ntp: u64,
    /// The same moment on the stream's own clock.
    pub timestamp: RtpTime,
    /// RTP packets sent since the beginning.
    pub packets: u32,
    /// Payload bytes sent since the beginning.
    pub payload_bytes: u32,
    /// What the sender says of the streams it receives.
    pub reports: ReportBlocks<'a>,
}

impl<'a> SenderReport<'a> {
    /// RTCP packet type.
    pub const PACKET_TYPE: u8 = 200;

    /// Reads what follows the four header bytes. Bytes after the blocks are a profile's extension, skipped.
    pub(super) fn parse(count: usize, body: &'a [u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<24>()?;
        let (reports, _) = ReportBlocks::split(rest, count)?;
        let words: &[[u8; 4]] = head.as_chunks().0;
        let word = |index: usize| u32::from_be_bytes(words[index]);
        Some(Self {
            ssrc: Ssrc(word(0)),
            ntp: u64::from(word(1)) << 32 | u64::from(word(2)),
            timestamp: RtpTime(word(3)),
            packets: word(4),
            payload_bytes: word(5),
            reports,
        })
    }

    /// The middle 32 bits of the NTP timestamp, which reports on this stream quote back.
    #[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits are what is asked for")]
    pub const fn ntp_middle(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}
