//! Writing an RTP packet into a buffer.

use super::view::{EXTENSION, PADDING};
use super::{Extension, FIXED_HEADER_BYTES};
use crate::units::{PayloadType, RtpTime, SeqNo, Ssrc};

/// The fields of a packet to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpWriter<'a> {
    /// The marker bit.
    pub marker: bool,
    /// The payload type.
    pub payload_type: PayloadType,
    /// The sequence number.
    pub seq: SeqNo,
    /// The timestamp.
    pub timestamp: RtpTime,
    /// The synchronisation source.
    pub ssrc: Ssrc,
    /// Contributing sources, at most 15.
    pub csrcs: &'a [Ssrc],
    /// Header extension; its data is a multiple of four bytes.
    pub extension: Option<Extension<'a>>,
    /// Bytes of padding after the payload, their count included; 0 for none.
    pub padding_bytes: u8,
}

impl RtpWriter<'_> {
    /// A packet without marker, contributing sources, extension and padding.
    pub const fn new(payload_type: PayloadType, seq: SeqNo, timestamp: RtpTime, ssrc: Ssrc) -> Self {
        Self {
            marker: false,
            payload_type,
            seq,
            timestamp,
            ssrc,
            csrcs: &[],
            extension: None,
            padding_bytes: 0,
        }
    }

    /// Writes the packet at the start of `out` and returns its length in bytes.
    ///
    /// `None`, with `out` in any state, if it does not fit, there are more
    /// than 15 contributing sources, or the extension's data is not a multiple
    /// of four bytes or longer than 65535 words.
    pub fn write(&self, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        let csrc_count = u8::try_from(self.csrcs.len()).ok().filter(|&count| count <= 15)?;
        let mut first = 0x80 | csrc_count;
        if self.padding_bytes > 0 {
            first |= PADDING;
        }
        if self.extension.is_some() {
            first |= EXTENSION;
        }
        let mut cursor = Cursor { out, at: 0 };
        cursor.put(&[first, u8::from(self.marker) << 7 | self.payload_type.get()])?;
        cursor.put(&self.seq.0.to_be_bytes())?;
        cursor.put(&self.timestamp.0.to_be_bytes())?;
        cursor.put(&self.ssrc.0.to_be_bytes())?;
        debug_assert_eq!(cursor.at, FIXED_HEADER_BYTES);
        for csrc in self.csrcs {
            cursor.put(&csrc.0.to_be_bytes())?;
        }
        if let Some(extension) = self.extension {
            if !extension.data.len().is_multiple_of(4) {
                return None;
            }
            cursor.put(&extension.profile.to_be_bytes())?;
            cursor.put(&u16::try_from(extension.data.len() / 4).ok()?.to_be_bytes())?;
            cursor.put(extension.data)?;
        }
        cursor.put(payload)?;
        if let Some(zeros) = self.padding_bytes.checked_sub(1) {
            cursor.put(&[0; 254][..usize::from(zeros)])?;
            cursor.put(&[self.padding_bytes])?;
        }
        Some(cursor.at)
    }
}

/// A place in a buffer that may run out.
struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at + bytes.len();
        self.out.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::RtpPacket;

    #[test]
    fn packet_that_does_not_fit_or_has_too_many_sources_is_not_written() {
        let writer = RtpWriter::new(PayloadType::PCMU, SeqNo(1), RtpTime(2), Ssrc(3));
        let mut out = [0; 172];
        assert_eq!(writer.write(&[0xff; 160], &mut out), Some(172));
        assert_eq!(writer.write(&[0xff; 161], &mut out), None);
        let crowded = RtpWriter { csrcs: &[Ssrc(0); 16], ..writer };
        assert_eq!(crowded.write(&[], &mut out), None);
        let uneven = RtpWriter { extension: Some(Extension { profile: 0, data: &[0; 3] }), ..writer };
        assert_eq!(uneven.write(&[], &mut out), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            (marker, payload_type, seq, timestamp, ssrc) in any::<(bool, u8, u16, u32, u32)>(),
            csrcs in proptest::collection::vec(any::<u32>().prop_map(Ssrc), 0..=15),
            extension in proptest::option::of((any::<u16>(), proptest::collection::vec(any::<[u8; 4]>(), 0..8))),
            padding_bytes in any::<u8>(),
            payload in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let extension = extension.as_ref()
                .map(|(profile, words)| Extension { profile: *profile, data: words.as_flattened() });
            let writer = RtpWriter {
                marker,
                payload_type: PayloadType::from_header_byte(payload_type),
                seq: SeqNo(seq),
                timestamp: RtpTime(timestamp),
                ssrc: Ssrc(ssrc),
                csrcs: &csrcs,
                extension,
                padding_bytes,
            };
            let mut out = [0xee; 1000];
            let written = writer.write(&payload, &mut out).unwrap();
            let view = RtpPacket::parse(&out[..written]).unwrap();
            let read_csrcs: Vec<_> = view.csrcs().collect();
            prop_assert_eq!(view.payload(), &payload[..]);
            let read = RtpWriter {
                marker: view.marker(),
                payload_type: view.payload_type(),
                seq: view.seq(),
                timestamp: view.timestamp(),
                ssrc: view.ssrc(),
                csrcs: &read_csrcs,
                extension: view.extension(),
                padding_bytes: view.padding_bytes(),
            };
            prop_assert_eq!(read, writer);
        }

        #[test]
        fn random_bytes_never_panic_and_parts_fill_the_datagram(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Ok(view) = RtpPacket::parse(&bytes) {
                let header = crate::packet::header_bytes(&bytes).unwrap();
                prop_assert_eq!(header + view.payload().len() + usize::from(view.padding_bytes()), bytes.len());
                let _ = view.extension().map(|extension| extension.elements().count());
            }
        }
    }
}
