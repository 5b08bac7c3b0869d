//! Compound packets: several RTCP packets in one datagram.

use super::{Bye, COMPOUND_PACKETS_MAX, COUNT_MAX, ReceiverReport, ReportBlock, Sdes, SenderReport};
use crate::units::{RtpTime, Ssrc};

/// A well-formed datagram of RTCP packets, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compound<'a> {
    bytes: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks a whole datagram.
    ///
    /// # Errors
    /// See [`RtcpError`]. Beginning with something else than a report is
    /// allowed, for RFC 5506; [`Compound::is_reduced_size`] tells.
    ///
    /// # Cost
    /// One walk over the packets; copies nothing.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = datagram;
        let mut count = 0;
        loop {
            let (_, tail) = split_packet(rest)?;
            count += 1;
            if count > COMPOUND_PACKETS_MAX {
                return Err(RtcpError::TooManyPackets);
            }
            rest = tail;
            if rest.is_empty() {
                return Ok(Self { bytes: datagram });
            }
        }
    }

    /// The packets in order.
    pub const fn packets(&self) -> RtcpPackets<'a> {
        RtcpPackets { rest: self.bytes }
    }

    /// Whether it does not begin with a sender or receiver report (RFC 5506 §3.1).
    pub fn is_reduced_size(&self) -> bool {
        !matches!(self.packets().next(), Some(RtcpPacket::SenderReport(_) | RtcpPacket::ReceiverReport(_)))
    }
}

/// One packet of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// Packet type 200.
    SenderReport(SenderReport<'a>),
    /// Packet type 201.
    ReceiverReport(ReceiverReport<'a>),
    /// Packet type 202.
    Sdes(Sdes<'a>),
    /// Packet type 203.
    Bye(Bye<'a>),
    /// Any other type.
    Other {
        /// The packet type.
        packet_type: u8,
        /// The five bits that count something or name a message, by type.
        count: u8,
        /// What follows the four header bytes, without padding.
        body: &'a [u8],
    },
}

/// Iterator over the packets of a [`Compound`].
#[derive(Debug, Clone)]
pub struct RtcpPackets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RtcpPackets<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<RtcpPacket<'a>> {
        // `Compound::parse` walked the same bytes, so that an error here is their end.
        let (packet, rest) = split_packet(self.rest).ok()?;
        self.rest = rest;
        Some(packet)
    }
}

/// Why a datagram is not RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RtcpError {
    /// A packet ends before its header or its length says.
    #[error("a packet runs past the datagram")]
    Truncated,
    /// A version that is not 2.
    #[error("the version is not 2")]
    BadVersion,
    /// Padding that is not on the last packet, zero, no multiple of four, or longer than its packet.
    #[error("bad padding")]
    BadPadding,
    /// The fields of a known packet type do not fit into it.
    #[error("a packet is too short for what it counts")]
    BadBody,
    /// More than [`COMPOUND_PACKETS_MAX`] packets.
    #[error("more than {COMPOUND_PACKETS_MAX} packets")]
    TooManyPackets,
}

fn split_packet(datagram: &[u8]) -> Result<(RtcpPacket<'_>, &[u8]), RtcpError> {
    let (&[first, packet_type, w0, w1], rest) =
        datagram.split_first_chunk::<4>().ok_or(RtcpError::Truncated)?;
    if first >> 6 != 2 {
        return Err(RtcpError::BadVersion);
    }
    let body_bytes = usize::from(u16::from_be_bytes([w0, w1])) * 4;
    let (mut body, rest) = rest.split_at_checked(body_bytes).ok_or(RtcpError::Truncated)?;
    if first & 0x20 != 0 {
        let padding = body.last().copied().map_or(0, usize::from);
        if !rest.is_empty() || padding == 0 || !padding.is_multiple_of(4) || padding > body.len() {
            return Err(RtcpError::BadPadding);
        }
        body = &body[..body.len() - padding];
    }
    let count = first & 0x1f;
    let packet = match packet_type {
        SenderReport::PACKET_TYPE => {
            SenderReport::parse(usize::from(count), body).map(RtcpPacket::SenderReport)
        }
        ReceiverReport::PACKET_TYPE => {
            ReceiverReport::parse(usize::from(count), body).map(RtcpPacket::ReceiverReport)
        }
        Sdes::PACKET_TYPE => Sdes::parse(usize::from(count), body).map(RtcpPacket::Sdes),
        Bye::PACKET_TYPE => Bye::parse(usize::from(count), body).map(RtcpPacket::Bye),
        _ => Some(RtcpPacket::Other { packet_type, count, body }),
    };
    Ok((packet.ok_or(RtcpError::BadBody)?, rest))
}

/// Writes packets one after the other into a buffer.
///
/// Each method returns `None`, and leaves the compound as it was, if the
/// packet does not fit the buffer or exceeds the counts of its format.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    written: usize,
}

impl<'a> CompoundWriter<'a> {
    /// An empty compound at the start of `out`.
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, written: 0 }
    }

    /// Adds a sender report; the fields are those of [`SenderReport`].
    pub fn sender_report(
        &mut self,
        ssrc: Ssrc,
        ntp: u64,
        timestamp: RtpTime,
        (packets, payload_bytes): (u32, u32),
        reports: &[ReportBlock],
    ) -> Option<()> {
        self.packet(SenderReport::PACKET_TYPE, reports.len(), |packet| {
            packet.put(&ssrc.0.to_be_bytes())?;
            packet.put(&ntp.to_be_bytes())?;
            packet.put(&timestamp.0.to_be_bytes())?;
            packet.put(&packets.to_be_bytes())?;
            packet.put(&payload_bytes.to_be_bytes())?;
            reports.iter().try_for_each(|report| packet.put(&report.to_bytes()))
        })
    }

    /// Adds a receiver report.
    pub fn receiver_report(&mut self, ssrc: Ssrc, reports: &[ReportBlock]) -> Option<()> {
        self.packet(ReceiverReport::PACKET_TYPE, reports.len(), |packet| {
            packet.put(&ssrc.0.to_be_bytes())?;
            reports.iter().try_for_each(|report| packet.put(&report.to_bytes()))
        })
    }

    /// Adds a source description of one source with its canonical name, at most 255 bytes.
    pub fn sdes_cname(&mut self, ssrc: Ssrc, cname: &[u8]) -> Option<()> {
        let text_bytes = u8::try_from(cname.len()).ok()?;
        self.packet(Sdes::PACKET_TYPE, 1, |packet| {
            packet.put(&ssrc.0.to_be_bytes())?;
            packet.put(&[Sdes::CNAME, text_bytes])?;
            packet.put(cname)?;
            packet.put(&[0])?;
            packet.pad()
        })
    }

    /// Adds a goodbye of these sources, with a reason of at most 255 bytes.
    pub fn bye(&mut self, sources: &[Ssrc], reason: Option<&[u8]>) -> Option<()> {
        self.packet(Bye::PACKET_TYPE, sources.len(), |packet| {
            sources.iter().try_for_each(|ssrc| packet.put(&ssrc.0.to_be_bytes()))?;
            if let Some(reason) = reason {
                packet.put(&[u8::try_from(reason.len()).ok()?])?;
                packet.put(reason)?;
            }
            packet.pad()
        })
    }

    /// Bytes written so far: the datagram to send.
    pub const fn written(&self) -> usize {
        self.written
    }

    fn packet(
        &mut self,
        packet_type: u8,
        count: usize,
        body: impl FnOnce(&mut Body<'_>) -> Option<()>,
    ) -> Option<()> {
        let count = u8::try_from(count).ok().filter(|&count| usize::from(count) <= COUNT_MAX)?;
        let (head, rest) = self.out[self.written..].split_first_chunk_mut::<4>()?;
        let mut packet = Body { out: rest, at: 0 };
        body(&mut packet)?;
        let body_bytes = packet.at;
        let [w0, w1] = u16::try_from(body_bytes / 4).ok()?.to_be_bytes();
        *head = [0x80 | count, packet_type, w0, w1];
        self.written += 4 + body_bytes;
        Some(())
    }
}

/// The body of a packet being written.
struct Body<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Body<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at + bytes.len();
        self.out.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    /// Zeros up to the next multiple of four.
    fn pad(&mut self) -> Option<()> {
        let zeros = self.at.next_multiple_of(4) - self.at;
        self.put(&[0; 3][..zeros])
    }
}

#[cfg(test)]
mod tests;
