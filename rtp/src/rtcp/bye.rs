//! Goodbye: sources that leave.

use crate::units::Ssrc;

/// A goodbye packet (RFC 3550 §6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [[u8; 4]],
    /// Why, if the sender says so.
    pub reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    /// RTCP packet type.
    pub const PACKET_TYPE: u8 = 203;

    /// Reads what follows the four header bytes.
    pub(super) fn parse(count: usize, body: &'a [u8]) -> Option<Self> {
        let (sources, rest) = body.split_at_checked(count * 4)?;
        let reason = match rest.split_first() {
            Some((&text_bytes, text)) => Some(text.get(..usize::from(text_bytes))?),
            None => None,
        };
        Some(Self { sources: sources.as_chunks().0, reason })
    }

    /// The sources that leave.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        self.sources.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }
}
