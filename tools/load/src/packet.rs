//! The packets of a load: RTP whose payload says when it was sent and can be checked to the last byte.

/// RTP header and 20 ms of G.711.
pub const PACKET_BYTES: usize = 172;

const HEADER_BYTES: usize = 12;
const STAMP_BYTES: usize = 8;

/// Writes packet number `number` of the stream `ssrc`, sent at `sent_ns` of the caller's clock.
pub fn write(packet: &mut [u8; PACKET_BYTES], ssrc: u32, number: u32, sent_ns: u64) {
    let sequence = number.to_be_bytes();
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence[2..]);
    packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet[HEADER_BYTES..HEADER_BYTES + STAMP_BYTES].copy_from_slice(&sent_ns.to_be_bytes());
    for (place, byte) in packet.iter_mut().enumerate().skip(HEADER_BYTES + STAMP_BYTES) {
        *byte = pattern(ssrc, number, place);
    }
}

/// A receiver report of nothing ([RFC 3550 §6.4.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.4.2)).
pub fn report(ssrc: u32) -> [u8; 8] {
    let [a, b, c, d] = ssrc.to_be_bytes();
    [0x80, 201, 0, 1, a, b, c, d]
}

/// The stream and the send time of an intact packet; `None` for anything else.
pub fn read(packet: &[u8]) -> Option<(u32, u64)> {
    if packet.len() != PACKET_BYTES || packet[..2] != [0x80, 0] {
        return None;
    }
    let word = |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
    let ssrc = word(8);
    let number = word(4) / 160;
    let low = u16::from_be_bytes([packet[2], packet[3]]);
    let body = packet.iter().enumerate().skip(HEADER_BYTES + STAMP_BYTES);
    let intact = number.to_be_bytes()[2..] == low.to_be_bytes()
        && body.into_iter().all(|(place, byte)| *byte == pattern(ssrc, number, place));
    intact.then(|| (ssrc, u64::from(word(12)) << 32 | u64::from(word(16))))
}

fn pattern(ssrc: u32, number: u32, place: usize) -> u8 {
    let [_, _, _, low] = ssrc.wrapping_mul(31).wrapping_add(number).to_be_bytes();
    low ^ place.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intact_packet_is_read_back_and_a_changed_one_is_not() {
        let mut packet = [0; PACKET_BYTES];
        write(&mut packet, 7, 70_000, 123_456_789_012);
        assert_eq!(read(&packet), Some((7, 123_456_789_012)));
        for place in [1, 3, 11, 20, PACKET_BYTES - 1] {
            let mut changed = packet;
            changed[place] ^= 1;
            assert_ne!(read(&changed), Some((7, 123_456_789_012)), "byte {place}");
        }
        assert_eq!(read(&packet[..100]), None);
    }
}
