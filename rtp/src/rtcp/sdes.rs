//! Source description: names for sources.

use crate::units::Ssrc;

/// A source description packet (RFC 3550 §6.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdes<'a> {
    /// One chunk a source.
    pub chunks: SdesChunks<'a>,
}

impl<'a> Sdes<'a> {
    /// RTCP packet type.
    pub const PACKET_TYPE: u8 = 202;
    /// Item type of the canonical name.
    pub const CNAME: u8 = 1;

    /// Reads what follows the four header bytes; `None` if a chunk runs past the end.
    pub(super) fn parse(count: usize, body: &'a [u8]) -> Option<Self> {
        let chunks = SdesChunks { left: count, rest: body };
        // Walked once here, so that a view handed out has all the chunks it counts.
        (chunks.clone().count() == count).then_some(Self { chunks })
    }
}

/// A source and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: Ssrc,
    /// Its items.
    pub items: SdesItems<'a>,
}

/// One item of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// Item type, [`Sdes::CNAME`] for instance.
    pub item_type: u8,
    /// The text, UTF-8 by the RFC's word, bytes by the sender's.
    pub text: &'a [u8],
}

/// Iterator over chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdesChunks<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for SdesChunks<'a> {
    type Item = SdesChunk<'a>;

    fn next(&mut self) -> Option<SdesChunk<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (ssrc, body) = self.rest.split_first_chunk::<4>()?;
        let mut items = SdesItems(body);
        while items.next().is_some() {}
        // The list ends with a zero byte, and then to the next multiple of four (RFC 3550 §6.5).
        let used = body.len() - items.0.len();
        if items.0.first() != Some(&0) {
            self.left = 0;
            return None;
        }
        let padded = (used / 4 + 1) * 4;
        let (list, rest) = body.split_at_checked(padded)?;
        self.rest = rest;
        Some(SdesChunk { ssrc: Ssrc(u32::from_be_bytes(*ssrc)), items: SdesItems(list) })
    }
}

/// Iterator over the items of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdesItems<'a>(&'a [u8]);

impl<'a> Iterator for SdesItems<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        let (&[item_type, text_bytes], rest) = self.0.split_first_chunk::<2>()?;
        if item_type == 0 {
            return None;
        }
        let (text, rest) = rest.split_at_checked(usize::from(text_bytes))?;
        self.0 = rest;
        Some(SdesItem { item_type, text })
    }
}
