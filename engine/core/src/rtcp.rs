//! Telling RTCP from RTP on one socket.

use rtp::rtcp::{Compound, RtcpPacket};

/// Whether a datagram on a multiplexed socket is RTCP (RFC 5761 §4): version 2, and the second
/// byte is one of the packet types 192 to 223.
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, ..] if first >> 6 == 2)
}

/// Whether a datagram can be RTP or RTCP: version 2, and long enough for RTCP's header.
pub(crate) fn is_version_2(packet: &[u8]) -> bool {
    packet.len() >= 8 && packet[0] >> 6 == 2
}

/// Whether a compound packet holds reports and names and nothing else, so that whoever reports in its place takes
/// nothing away.
pub(crate) fn is_reports_only(packet: &[u8]) -> bool {
    let plain = |packet| {
        matches!(packet, RtcpPacket::SenderReport(_) | RtcpPacket::ReceiverReport(_) | RtcpPacket::Sdes(_))
    };
    Compound::parse(packet).is_ok_and(|compound| compound.packets().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5761_section_4_packet_types_are_told_apart() {
        let packet = |second| [0x80, second, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        assert!(is_rtcp(&packet(200)) && is_rtcp(&packet(223)) && is_rtcp(&packet(192)));
        assert!(!is_rtcp(&packet(0)) && !is_rtcp(&packet(191)) && !is_rtcp(&packet(224)));
        assert!(!is_rtcp(&[0x40, 200]) && !is_rtcp(&[]));
        assert!(!is_version_2(&[0x80; 7]) && is_version_2(&[0x80; 8]) && !is_version_2(&[0; 8]));
    }
}
