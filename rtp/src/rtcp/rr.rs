//! Receiver report: what arrived, from one who sends nothing.

use super::ReportBlocks;
use crate::units::Ssrc;

/// A receiver report (RFC 3550 §6.4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// What it says of the streams it receives; empty keeps a compound packet valid.
    pub reports: ReportBlocks<'a>,
}

impl<'a> ReceiverReport<'a> {
    /// RTCP packet type.
    pub const PACKET_TYPE: u8 = 201;

    /// Reads what follows the four header bytes. Bytes after the blocks are a profile's extension, skipped.
    pub(super) fn parse(count: usize, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = body.split_first_chunk::<4>()?;
        let (reports, _) = ReportBlocks::split(rest, count)?;
        Some(Self { ssrc: Ssrc(u32::from_be_bytes(*ssrc)), reports })
    }
}
