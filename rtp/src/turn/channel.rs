//! ChannelData: a payload behind four bytes (RFC 8656 §12.4).

use std::ops::{Range, RangeInclusive};

/// Numbers that channels may have: those of RFC 8656 §12, which ends at 0x4fff, and those that RFC 5766 allowed besides
/// and its clients still choose. On a socket of a TURN server nothing else begins so.
pub const CHANNELS: RangeInclusive<u16> = 0x4000..=0x7fff;

/// What a datagram from a client is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// A STUN message.
    Stun,
    /// ChannelData.
    Channel,
    /// Nothing that belongs here.
    Other,
}

/// Looks at the first byte (RFC 5766 §11).
pub const fn peek(datagram: &[u8]) -> Peeked {
    match datagram {
        [0..=3, ..] => Peeked::Stun,
        [0x40..=0x7f, ..] => Peeked::Channel,
        _ => Peeked::Other,
    }
}

/// A ChannelData message: its number, and where its payload lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelData {
    /// The channel.
    pub number: u16,
    /// Bytes of the payload, which begins behind [`HEADER_BYTES`](Self::HEADER_BYTES).
    pub length: u16,
}

impl ChannelData {
    /// Bytes before the payload.
    pub const HEADER_BYTES: usize = 4;

    /// Reads a message; `None` if it is none, or shorter than it says. What lies behind the payload is padding.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (&[n0, n1, l0, l1], rest) = message.split_first_chunk::<4>()?;
        let (number, length) = (u16::from_be_bytes([n0, n1]), u16::from_be_bytes([l0, l1]));
        (CHANNELS.contains(&number) && usize::from(length) <= rest.len()).then_some(Self { number, length })
    }

    /// Where the payload lies in the message.
    pub fn payload(&self) -> Range<usize> {
        Self::HEADER_BYTES..Self::HEADER_BYTES + usize::from(self.length)
    }

    /// The four bytes before a payload of so many.
    pub const fn header(number: u16, length: u16) -> [u8; Self::HEADER_BYTES] {
        let ([n0, n1], [l0, l1]) = (number.to_be_bytes(), length.to_be_bytes());
        [n0, n1, l0, l1]
    }
}
