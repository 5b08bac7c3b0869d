//! Telling RTCP from RTP on one socket.

/// Whether a datagram on a multiplexed socket is RTCP (RFC 5761 §4): version 2, and the second
/// byte is one of the packet types 192 to 223.
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, ..] if first >> 6 == 2)
}

/// Whether a datagram can be RTP or RTCP: version 2, and long enough for RTCP's header.
pub(crate) fn is_version_2(packet: &[u8]) -> bool {
    packet.len() >= 8 && packet[0] >> 6 == 2
}

/// The synchronisation source of an RTP packet, `None` if it is too short for one.
pub(crate) fn rtp_ssrc(packet: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(packet.get(..12)?.last_chunk().copied()?))
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
        assert_eq!(rtp_ssrc(&packet(0)), Some(0x0102_0304));
        assert_eq!(rtp_ssrc(&[0x80; 11]), None);
        assert!(!is_version_2(&[0x80; 7]) && is_version_2(&[0x80; 8]) && !is_version_2(&[0; 8]));
    }
}
