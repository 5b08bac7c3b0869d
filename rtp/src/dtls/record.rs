//! Records and handshake headers as far as they are looked at before a library sees them (RFC 6347 §4.1, RFC 9147 §4).

pub(super) const RECORD_HEADER_BYTES: usize = 13;
pub(super) const HANDSHAKE_HEADER_BYTES: usize = 12;
const CONTENT_CHANGE_CIPHER_SPEC: u8 = 20;
const CONTENT_HANDSHAKE: u8 = 22;
const CONTENT_APPLICATION_DATA: u8 = 23;
const CONTENT_HEARTBEAT: u8 = 24;
const CONTENT_ACK: u8 = 26;
const SERVER_HELLO: u8 = 2;
/// The random that turns a ServerHello into a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Whether a datagram is a row of whole records and nothing else.
///
/// A protected record of DTLS 1.3 may omit its length; it then is the last.
pub(super) fn is_well_formed(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        match record_bytes(rest) {
            Some(bytes) => rest = &rest[bytes..],
            None => return false,
        }
    }
    true
}

/// Whether every record of a well-formed datagram is an unprotected one that is no handshake message.
///
/// After a handshake such a datagram proves nothing and moves nothing.
pub(super) fn is_plain_noise(datagram: &[u8]) -> bool {
    records(datagram).all(|record| {
        let plain = record[0] < 32 && record[3..5] == [0, 0];
        plain && record[0] != CONTENT_HANDSHAKE
    })
}

/// Gives each unprotected record of a datagram of ours the next number of `next`.
///
/// Nothing protects or covers these numbers but the peer's replay window.
pub(super) fn number_plain_records(datagram: &mut [u8], next: &mut u64) {
    let mut rest = datagram;
    while let Some(bytes) = record_bytes(rest).filter(|_| !rest.is_empty()) {
        let (record, behind) = rest.split_at_mut(bytes);
        if record[0] < 32 && record[3..5] == [0, 0] {
            record[5..11].copy_from_slice(&next.to_be_bytes()[2..]);
            *next += 1;
        }
        rest = behind;
    }
}

/// Length of the first record, header included; `None` if it is none.
fn record_bytes(datagram: &[u8]) -> Option<usize> {
    let first = *datagram.first()?;
    if first & 0xe0 == 0x20 {
        // The unified header of RFC 9147 §4: connection ids were not negotiated, so none may be there.
        if first & 0x10 != 0 {
            return None;
        }
        let sequence = if first & 0x08 != 0 { 2 } else { 1 };
        if first & 0x04 == 0 {
            return (datagram.len() > 1 + sequence).then_some(datagram.len());
        }
        let length = datagram.get(1 + sequence..3 + sequence)?;
        let bytes = 3 + sequence + usize::from(u16::from_be_bytes([length[0], length[1]]));
        return (bytes <= datagram.len()).then_some(bytes);
    }
    let header = datagram.get(..RECORD_HEADER_BYTES)?;
    let known = matches!(first, CONTENT_CHANGE_CIPHER_SPEC..=CONTENT_HEARTBEAT | CONTENT_ACK);
    // DTLS 1.0 stands in the header of first flights; 1.2 in all others.
    if !known || header[1] != 0xfe || !matches!(header[2], 0xff | 0xfd) {
        return None;
    }
    let bytes = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([header[11], header[12]]));
    (bytes <= datagram.len()).then_some(bytes)
}

/// Whether a datagram of ours begins with a ServerHello that is no retry request: the peer's hello was taken up.
pub(super) fn takes_up_hello(datagram: &[u8]) -> bool {
    let fragment = records(datagram).next().and_then(handshake_of);
    fragment.is_some_and(|fragment| {
        fragment.kind == SERVER_HELLO && fragment.body.get(2..34) != Some(&RETRY_RANDOM)
    })
}

/// The records of a well-formed datagram.
pub(super) fn records(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (record, behind) = rest.split_at_checked(record_bytes(rest)?)?;
        rest = behind;
        Some(record)
    })
}

/// Whether every record of a datagram is one of DTLS 1.2, and the protected ones have at least `protected_bytes_min`.
pub(super) fn is_of_dtls12(datagram: &[u8], protected_bytes_min: usize) -> bool {
    records(datagram).all(|record| {
        let plain = record.get(3..5) == Some(&[0, 0]);
        (CONTENT_CHANGE_CIPHER_SPEC..=CONTENT_APPLICATION_DATA).contains(&record[0])
            && (plain || record.len() >= RECORD_HEADER_BYTES + protected_bytes_min)
    })
}

/// A handshake message or a part of one, in an unprotected record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment<'a> {
    /// Message type.
    pub(super) kind: u8,
    /// Message number.
    pub(super) number: u16,
    /// Length of the whole message.
    pub(super) total: usize,
    /// Where the part begins in it.
    pub(super) offset: usize,
    /// The part.
    pub(super) body: &'a [u8],
}

/// The first handshake message of an unprotected record; `None` if there is none that lies within itself.
pub(super) fn handshake_of(record: &[u8]) -> Option<Fragment<'_>> {
    if record.first() != Some(&CONTENT_HANDSHAKE) || record.get(3..5) != Some(&[0, 0]) {
        return None;
    }
    let (header, rest) = record.get(RECORD_HEADER_BYTES..)?.split_at_checked(HANDSHAKE_HEADER_BYTES)?;
    let three = |at: usize| {
        usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2])
    };
    let (total, offset, body) = (three(1), three(6), rest.get(..three(9))?);
    let number = u16::from_be_bytes([header[4], header[5]]);
    (offset + body.len() <= total).then_some(Fragment { kind: header[0], number, total, offset, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9];
        record.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn a_datagram_is_a_row_of_whole_records() {
        let one = record(22, 0, &[1; 20]);
        let two = [one.clone(), record(23, 1, &[2; 30])].concat();
        assert!(is_well_formed(&one) && is_well_formed(&two));
        assert!(!is_well_formed(&[]));
        for bytes in (1..two.len()).filter(|bytes| *bytes != one.len()) {
            assert!(!is_well_formed(&two[..bytes]), "{bytes}");
        }
        assert!(!is_well_formed(&record(19, 0, &[])) && !is_well_formed(&record(27, 0, &[])));
        let mut tls = one.clone();
        tls[1..3].copy_from_slice(&[3, 3]);
        assert!(!is_well_formed(&tls));
        assert_eq!(records(&two).map(<[u8]>::len).collect::<Vec<_>>(), [33, 43]);
        assert!(is_of_dtls12(&two, 30) && !is_of_dtls12(&two, 31) && is_of_dtls12(&one, 31));
        assert!(!is_of_dtls12(&record(26, 1, &[0; 60]), 30), "acknowledgements are of 1.3");
        assert!(!is_of_dtls12(&[0b0010_0010, 1, 7, 7], 1));
    }

    /// RFC 9147 §4: 001CSLEE, connection id, sequence number of one or two bytes, length if told.
    #[test]
    fn unified_headers_are_read() {
        assert!(is_well_formed(&[0b0010_1110, 0, 1, 0, 3, 7, 7, 7]));
        assert!(!is_well_formed(&[0b0010_1110, 0, 1, 0, 4, 7, 7, 7]));
        assert!(is_well_formed(&[0b0010_0010, 1, 7, 7]), "without a length it is the last");
        assert!(!is_well_formed(&[0b0010_0010, 1]));
        assert!(!is_well_formed(&[0b0011_1110, 0, 1, 0, 3, 7, 7, 7]), "a connection id");
    }

    #[test]
    fn noise_is_what_is_plain_and_no_handshake() {
        assert!(is_plain_noise(&record(21, 0, &[2, 40])));
        assert!(is_plain_noise(&record(20, 0, &[1])));
        assert!(!is_plain_noise(&record(22, 0, &[1])));
        assert!(!is_plain_noise(&record(21, 1, &[2, 40])));
        assert!(!is_plain_noise(&[record(20, 0, &[1]), record(22, 1, &[0; 40])].concat()));
    }

    #[test]
    fn only_plain_records_are_numbered_anew() {
        let mut datagram = [record(22, 0, &[1]), record(22, 1, &[1]), record(20, 0, &[1])].concat();
        let mut next = 0x0102_0304_0506;
        number_plain_records(&mut datagram, &mut next);
        let numbers: Vec<&[u8]> = records(&datagram).map(|record| &record[5..11]).collect();
        assert_eq!(numbers, [&[1, 2, 3, 4, 5, 6], &[0, 0, 0, 0, 0, 9], &[1, 2, 3, 4, 5, 7]]);
    }

    #[test]
    fn a_retry_request_takes_nothing_up() {
        let hello = |random: &[u8; 32]| {
            let body = [&[0xfe, 0xfd][..], random, &[0; 6]].concat();
            let length = [0, 0, u8::try_from(body.len()).unwrap()];
            record(22, 0, &[&[2][..], &length, &[0, 0, 0, 0, 0], &length, &body].concat())
        };
        assert!(takes_up_hello(&hello(&[7; 32])));
        assert!(!takes_up_hello(&hello(&RETRY_RANDOM)));
        assert!(!takes_up_hello(&record(22, 0, &[3; 47])));
    }
}
