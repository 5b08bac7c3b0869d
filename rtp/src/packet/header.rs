//! Changing the fixed header of a packet in its own bytes.

use super::FIXED_HEADER_BYTES;
use crate::units::{PayloadType, RtpTime, SeqNo, Ssrc};

/// The fixed header of a packet, writable in place.
#[derive(Debug)]
pub struct RtpHeaderMut<'a>(&'a mut [u8; FIXED_HEADER_BYTES]);

impl<'a> RtpHeaderMut<'a> {
    /// The header of `packet`; `None` if it is too short or not version 2.
    pub fn new(packet: &'a mut [u8]) -> Option<Self> {
        let header = packet.first_chunk_mut::<FIXED_HEADER_BYTES>()?;
        (header[0] >> 6 == 2).then_some(Self(header))
    }

    /// Writes the payload type, keeping the marker.
    pub fn set_payload_type(&mut self, payload_type: PayloadType) {
        self.0[1] = self.0[1] & 0x80 | payload_type.get();
    }

    /// Writes the marker.
    pub fn set_marker(&mut self, marker: bool) {
        self.0[1] = self.0[1] & 0x7f | u8::from(marker) << 7;
    }

    /// Writes the sequence number.
    pub fn set_seq(&mut self, seq: SeqNo) {
        self.0[2..4].copy_from_slice(&seq.0.to_be_bytes());
    }

    /// Writes the timestamp.
    pub fn set_timestamp(&mut self, timestamp: RtpTime) {
        self.0[4..8].copy_from_slice(&timestamp.0.to_be_bytes());
    }

    /// Writes the SSRC.
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.0[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::RtpPacket;

    #[test]
    fn each_field_changes_alone() {
        let mut packet = [0x80, 0x88, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xaa];
        let mut header = RtpHeaderMut::new(&mut packet).unwrap();
        header.set_payload_type(PayloadType::PCMU);
        header.set_seq(SeqNo(0x1234));
        header.set_timestamp(RtpTime(0x0102_0304));
        header.set_ssrc(Ssrc(0xdead_beef));
        let view = RtpPacket::parse(&packet).unwrap();
        assert!(view.marker());
        assert_eq!(view.payload_type(), PayloadType::PCMU);
        assert_eq!((view.seq(), view.timestamp()), (SeqNo(0x1234), RtpTime(0x0102_0304)));
        assert_eq!((view.ssrc(), view.payload()), (Ssrc(0xdead_beef), [0xaa].as_slice()));
        RtpHeaderMut::new(&mut packet).unwrap().set_marker(false);
        assert_eq!(packet[1], 0);
    }

    #[test]
    fn short_or_foreign_bytes_have_no_header() {
        assert!(RtpHeaderMut::new(&mut [0x80; 11]).is_none());
        assert!(RtpHeaderMut::new(&mut [0x40; 12]).is_none());
    }
}
