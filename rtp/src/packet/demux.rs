//! What a datagram on a media port is, told by its first bytes.

/// The protocols that share a media port (RFC 7983 §7, RFC 5761 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// First byte 0 to 3.
    Stun,
    /// First byte 16 to 19.
    Zrtp,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 64 to 79.
    TurnChannel,
    /// First byte 128 to 191, and a payload type outside 64 to 95.
    Rtp,
    /// First byte 128 to 191, and a packet type of 192 to 223.
    Rtcp,
    /// Anything else, an empty datagram included.
    Unknown,
}

/// Sorts a datagram by its first two bytes. Says nothing about the rest of it.
///
/// # Cost
/// Two loads and two compares; no state.
pub fn kind_of(datagram: &[u8]) -> DatagramKind {
    let Some(&first) = datagram.first() else { return DatagramKind::Unknown };
    match first {
        0..=3 => DatagramKind::Stun,
        16..=19 => DatagramKind::Zrtp,
        20..=63 => DatagramKind::Dtls,
        64..=79 => DatagramKind::TurnChannel,
        128..=191 => match datagram.get(1) {
            // The marker bit is the top bit of RTCP's packet type: 64..=95 with it set is 192..=223.
            Some(second) if (64..=95).contains(&(second & 0x7f)) => DatagramKind::Rtcp,
            Some(_) => DatagramKind::Rtp,
            None => DatagramKind::Unknown,
        },
        _ => DatagramKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture of RFC 7983 §7, as runs of the first byte.
    #[test]
    fn first_byte_table_is_that_of_rfc7983() {
        let mut runs: Vec<(u8, u8, DatagramKind)> = Vec::new();
        for first in 0..=255 {
            let kind = kind_of(&[first, 0]);
            match runs.last_mut() {
                Some(run) if run.2 == kind => run.1 = first,
                _ => runs.push((first, first, kind)),
            }
        }
        let expected = [
            (0, 3, DatagramKind::Stun),
            (4, 15, DatagramKind::Unknown),
            (16, 19, DatagramKind::Zrtp),
            (20, 63, DatagramKind::Dtls),
            (64, 79, DatagramKind::TurnChannel),
            (80, 127, DatagramKind::Unknown),
            (128, 191, DatagramKind::Rtp),
            (192, 255, DatagramKind::Unknown),
        ];
        assert_eq!(runs, expected);
    }

    #[test]
    fn payload_types_64_to_95_are_rtcp_with_or_without_marker() {
        for second in 0..=255u8 {
            let expected =
                if (64..=95).contains(&(second & 0x7f)) { DatagramKind::Rtcp } else { DatagramKind::Rtp };
            assert_eq!(kind_of(&[0x80, second]), expected, "{second}");
        }
    }

    #[test]
    fn too_short_to_tell_is_unknown() {
        assert_eq!(kind_of(&[]), DatagramKind::Unknown);
        assert_eq!(kind_of(&[0x80]), DatagramKind::Unknown);
    }
}
