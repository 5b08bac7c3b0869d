//! Silence in place of a payload, without a decoder.

/// Bytes of an RTP header without contributing sources (RFC 3550 §5.1).
const HEADER_BYTES: usize = 12;

/// Replaces the payload of an RTP packet by silence of its codec; a packet of another codec than
/// G.711 and G.722 (RFC 3551 §6: payload types 0, 8, 9) is left as it is.
pub(crate) fn silence(packet: &mut [u8]) {
    let Some(pattern) = packet.get(1).and_then(|second| pattern(second & 0x7f)) else { return };
    if let Some(payload) = payload(packet) {
        payload.fill(pattern);
    }
}

/// One byte of silence: the smallest step of G.711, both halves of G.722 at rest.
const fn pattern(payload_type: u8) -> Option<u8> {
    match payload_type {
        0 => Some(0xff),
        8 => Some(0xd5),
        9 => Some(0xfa),
        _ => None,
    }
}

/// The payload, without header, contributing sources, extension and padding.
fn payload(packet: &mut [u8]) -> Option<&mut [u8]> {
    let first = *packet.first()?;
    let mut start = HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        let words: [u8; 2] = packet.get(start + 2..start + 4)?.try_into().ok()?;
        start += 4 + usize::from(u16::from_be_bytes(words)) * 4;
    }
    let padding = if first & 0x20 != 0 { usize::from(*packet.last()?) } else { 0 };
    let end = packet.len().checked_sub(padding)?;
    packet.get_mut(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, second, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend(rest);
        packet
    }

    #[test]
    fn only_the_payload_falls_silent() {
        for (payload_type, pattern) in [(0, 0xff), (8, 0xd5), (9, 0xfa)] {
            let mut plain = packet(0x80, payload_type, &[1, 2, 3]);
            silence(&mut plain);
            assert_eq!(plain, packet(0x80, payload_type, &[pattern; 3]));
        }
        let mut marked = packet(0x80, 0x88, &[1, 2]);
        silence(&mut marked);
        assert_eq!(marked, packet(0x80, 0x88, &[0xd5; 2]), "the marker stays");
        let mut extended = packet(0xb1, 0, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7, 1, 1, 0, 2]);
        silence(&mut extended);
        assert_eq!(extended, packet(0xb1, 0, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7, 0xff, 0xff, 0, 2]));
    }

    #[test]
    fn other_codecs_are_left_alone() {
        for payload_type in [18, 96, 101] {
            let mut other = packet(0x80, payload_type, &[1, 2, 3]);
            silence(&mut other);
            assert_eq!(other, packet(0x80, payload_type, &[1, 2, 3]));
        }
    }

    proptest! {
        #[test]
        fn no_packet_is_too_strange(mut bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let header: Vec<u8> = bytes.iter().take(HEADER_BYTES).copied().collect();
            silence(&mut bytes);
            prop_assert_eq!(&bytes[..header.len()], &header[..]);
        }
    }
}
