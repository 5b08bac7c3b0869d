//! Reading an RTP packet where it lies.

use super::{Extension, FIXED_HEADER_BYTES};
use crate::units::{PayloadType, RtpTime, SeqNo, Ssrc};

/// A well-formed RTP packet (RFC 3550 §5.1), borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    fixed: &'a [u8; FIXED_HEADER_BYTES],
    csrcs: &'a [[u8; 4]],
    extension: Option<Extension<'a>>,
    payload: &'a [u8],
    padding_bytes: u8,
}

impl<'a> RtpPacket<'a> {
    /// Reads a whole datagram as one packet.
    ///
    /// For plain RTP, or SRTP after decryption: padding is looked at.
    ///
    /// # Errors
    /// See [`RtpError`].
    ///
    /// # Cost
    /// Constant; copies nothing.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtpError> {
        let (header, extension, body) = split(datagram)?;
        let padding_bytes = match header.fixed[0] & PADDING {
            0 => 0,
            _ => *body.last().ok_or(RtpError::BadPadding)?,
        };
        let padded = header.fixed[0] & PADDING != 0;
        if padded && (padding_bytes == 0 || usize::from(padding_bytes) > body.len()) {
            return Err(RtpError::BadPadding);
        }
        let payload = &body[..body.len() - usize::from(padding_bytes)];
        Ok(Self { fixed: header.fixed, csrcs: header.csrcs, extension, payload, padding_bytes })
    }

    /// Whether the marker bit is set; what it marks is the payload's affair.
    pub const fn marker(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// The payload type.
    pub const fn payload_type(&self) -> PayloadType {
        PayloadType::from_header_byte(self.fixed[1])
    }

    /// The sequence number.
    pub const fn seq(&self) -> SeqNo {
        SeqNo(u16::from_be_bytes([self.fixed[2], self.fixed[3]]))
    }

    /// The timestamp.
    pub const fn timestamp(&self) -> RtpTime {
        RtpTime(u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]]))
    }

    /// The synchronisation source.
    pub const fn ssrc(&self) -> Ssrc {
        Ssrc(u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]]))
    }

    /// The contributing sources, at most 15.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        self.csrcs.iter().map(|bytes| Ssrc(u32::from_be_bytes(*bytes)))
    }

    /// The header extension, if there is one.
    pub const fn extension(&self) -> Option<Extension<'a>> {
        self.extension
    }

    /// The payload without padding.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of padding after the payload, their count included; 0 for none.
    pub const fn padding_bytes(&self) -> u8 {
        self.padding_bytes
    }
}

/// Why a datagram is not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtpError {
    /// Ends inside the header, CSRC list or extension.
    #[error("the packet ends inside its header")]
    Truncated,
    /// The version is not 2.
    #[error("the version is not 2")]
    BadVersion,
    /// The padding count is zero or exceeds what follows the header.
    #[error("the padding is longer than the payload, or zero")]
    BadPadding,
}

/// Bytes of the header with CSRC list and extension: where the payload starts, encrypted or not.
///
/// # Errors
/// [`RtpError::Truncated`] or [`RtpError::BadVersion`]; padding is not looked at.
pub fn header_bytes(datagram: &[u8]) -> Result<usize, RtpError> {
    let (_, _, body) = split(datagram)?;
    Ok(datagram.len() - body.len())
}

/// Header without its extension.
struct Head<'a> {
    fixed: &'a [u8; FIXED_HEADER_BYTES],
    csrcs: &'a [[u8; 4]],
}

type Split<'a> = (Head<'a>, Option<Extension<'a>>, &'a [u8]);

fn split(datagram: &[u8]) -> Result<Split<'_>, RtpError> {
    let (fixed, rest) = datagram.split_first_chunk::<FIXED_HEADER_BYTES>().ok_or(RtpError::Truncated)?;
    if fixed[0] >> 6 != 2 {
        return Err(RtpError::BadVersion);
    }
    let csrc_bytes = usize::from(fixed[0] & 0x0f) * 4;
    let (csrcs, rest) = rest.split_at_checked(csrc_bytes).ok_or(RtpError::Truncated)?;
    let head = Head { fixed, csrcs: csrcs.as_chunks().0 };
    if fixed[0] & EXTENSION == 0 {
        return Ok((head, None, rest));
    }
    let (&[p0, p1, w0, w1], rest) = rest.split_first_chunk::<4>().ok_or(RtpError::Truncated)?;
    let data_bytes = usize::from(u16::from_be_bytes([w0, w1])) * 4;
    let (data, body) = rest.split_at_checked(data_bytes).ok_or(RtpError::Truncated)?;
    Ok((head, Some(Extension { profile: u16::from_be_bytes([p0, p1]), data }), body))
}

/// The P bit of the first byte.
pub(super) const PADDING: u8 = 0x20;
/// The X bit of the first byte.
pub(super) const EXTENSION: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: [u8; 12] = [0x80, 0x80 | 8, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];

    fn with(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut packet = FIXED.to_vec();
        packet[0] = first;
        packet.extend_from_slice(tail);
        packet
    }

    #[test]
    fn fixed_header_fields_of_rfc3550_section_5_1() {
        let packet = with(0x80, &[1, 2, 3]);
        let view = RtpPacket::parse(&packet).unwrap();
        assert!(view.marker());
        assert_eq!(view.payload_type(), PayloadType::PCMA);
        assert_eq!((view.seq(), view.timestamp()), (SeqNo(0x1234), RtpTime(160)));
        assert_eq!(view.ssrc(), Ssrc(0xdead_beef));
        assert_eq!((view.payload(), view.padding_bytes()), ([1, 2, 3].as_slice(), 0));
        assert_eq!((view.csrcs().len(), view.extension()), (0, None));
    }

    #[test]
    fn csrcs_extension_and_padding_surround_the_payload() {
        let tail = [0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0, 42, 43, 0, 0, 3];
        let packet = with(0xb2, &tail);
        let view = RtpPacket::parse(&packet).unwrap();
        assert_eq!(view.csrcs().collect::<Vec<_>>(), [Ssrc(1), Ssrc(2)]);
        let extension = view.extension().unwrap();
        assert_eq!(extension.elements().map(|e| (e.id, e.data)).collect::<Vec<_>>(), [(1, [7].as_slice())]);
        assert_eq!((view.payload(), view.padding_bytes()), ([42, 43].as_slice(), 3));
        assert_eq!(header_bytes(&packet), Ok(28));
    }

    #[test]
    fn malformed_packets_are_refused_by_reason() {
        let cases: [(Vec<u8>, RtpError); 8] = [
            (vec![0x80; 11], RtpError::Truncated),
            (with(0x40, &[]), RtpError::BadVersion),
            (with(0x82, &[0; 7]), RtpError::Truncated),
            (with(0x90, &[0xbe, 0xde, 0]), RtpError::Truncated),
            (with(0x90, &[0xbe, 0xde, 0, 2, 0, 0, 0, 0]), RtpError::Truncated),
            (with(0xa0, &[]), RtpError::BadPadding),
            (with(0xa0, &[9, 0]), RtpError::BadPadding),
            (with(0xa0, &[9, 3]), RtpError::BadPadding),
        ];
        for (packet, error) in cases {
            assert_eq!(RtpPacket::parse(&packet), Err(error), "{packet:02x?}");
        }
    }

    #[test]
    fn packet_of_padding_alone_has_an_empty_payload() {
        let packet = with(0xa0, &[0, 2]);
        assert_eq!(RtpPacket::parse(&packet).unwrap().payload(), b"");
    }
}
