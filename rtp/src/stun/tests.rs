//! The vectors of RFC 5769 and RFC 8489 appendix B.1, and what must hold for any bytes.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| u8::try_from(digit).unwrap()).collect();
    digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
}

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae
    802200105354554e207465737420636c69656e74 002400046e0001ff 80290008932ff9b151263b36
    000600096576746a3a68367659202020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf";

#[test]
fn rfc5769_section_2_1_request() {
    let bytes = hex(REQUEST);
    let message = StunMessage::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id().0, bytes[8..20]);
    assert_eq!(message.value(AttributeKind::SOFTWARE), Some(b"STUN test client".as_slice()));
    assert_eq!(
        (message.priority(), message.ice_controlled()),
        (Some(0x6e00_01ff), Some(0x932f_f9b1_5126_3b36))
    );
    assert_eq!((message.ice_controlling(), message.use_candidate()), (None, false));
    assert_eq!(message.username(), Some(b"evtj:h6vY".as_slice()));
    assert_eq!(
        (message.check_integrity(PASSWORD), message.check_fingerprint()),
        (Check::Valid, Check::Valid)
    );
    assert_eq!(message.check_integrity(b"another"), Check::Invalid);
    assert_eq!(message.check_integrity(b""), Check::Invalid);
    assert_eq!(message.check_integrity_sha256(PASSWORD), Check::Absent);
    let known = [AttributeKind::USERNAME, AttributeKind::MESSAGE_INTEGRITY];
    assert_eq!(message.unknown(&known).collect::<Vec<_>>(), [AttributeKind::PRIORITY]);
}

fn assert_response(text: &str, address: &str) {
    let bytes = hex(text);
    let message = StunMessage::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
    assert_eq!(message.xor_mapped_address(), Some(address.parse().unwrap()));
    assert_eq!(
        (message.check_integrity(PASSWORD), message.check_fingerprint()),
        (Check::Valid, Check::Valid)
    );
    // Written again it is the same, but for the spaces that pad the name of the software there.
    let mut buffer = [0; 200];
    let mut writer =
        StunWriter::new(&mut buffer, Class::Success, Method::BINDING, message.transaction_id()).unwrap();
    writer.attribute(AttributeKind::SOFTWARE, b"test vector").unwrap();
    writer.xor_mapped_address(address.parse().unwrap()).unwrap();
    let written = writer.written();
    let padding = 20 + 4 + 11;
    assert_eq!(buffer[20..padding], bytes[20..padding]);
    assert_eq!(buffer[padding + 1..written], bytes[padding + 1..written]);
}

#[test]
fn rfc5769_section_2_2_ipv4_response() {
    assert_response(
        "0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000080001a147e112a643
         000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96",
        "192.0.2.1:32853",
    );
}

#[test]
fn rfc5769_section_2_3_ipv6_response() {
    assert_response(
        "010100482112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
         002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9
         00080014a382954e4be67bf11784c97c8292c275bfe3ed41 80280004c8fb0b4c",
        "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
    );
}

#[test]
fn rfc5769_section_2_4_request_with_long_term_authentication() {
    let bytes = hex("000100602112a44278ad3433c6ad72c029da412e
         00060012e3839ee38388e383aae38383e382afe382b90000
         0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700
         00080014f67024656dd64a3e02b8e0712e85c9a28ca89666");
    let message = StunMessage::parse(&bytes).unwrap();
    // MD5 of user, realm and password.
    assert_eq!(message.check_integrity(&hex("e8ca7ad59d5eb0518e312911d2dab2a9")), Check::Valid);
    assert_eq!(message.value(AttributeKind::REALM), Some(b"example.org".as_slice()));
    assert_eq!(message.value(AttributeKind::NONCE), Some(b"f//499k954d6OL34oL9FSTvy64sA".as_slice()));
    assert_eq!(message.check_fingerprint(), Check::Absent);
}

/// As erratum 6268 corrects it.
#[test]
fn rfc8489_appendix_b1_request_with_sha256() {
    let bytes = hex("000100902112a44278ad3433c6ad72c029da412e
         001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
         001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c3946535476793634734100 0000
         0014000b6578616d706c652e6f726700 001d000400020000
         001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65");
    let message = StunMessage::parse(&bytes).unwrap();
    // SHA-256 of user, realm and password.
    let key = hex("dd295a613b9058c3c23d6dc7165bda072304d989c9d0af3a8c7e184b4f9bb4a1");
    assert_eq!(message.check_integrity_sha256(&key), Check::Valid);
    assert_eq!(message.check_integrity_sha256(b"another"), Check::Invalid);
    assert_eq!(message.check_integrity(&key), Check::Absent);
}

const ID: TransactionId = TransactionId([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

fn write(class: Class, work: impl FnOnce(&mut StunWriter<'_>)) -> Vec<u8> {
    let mut buffer = [0xff; 400];
    let mut writer = StunWriter::new(&mut buffer, class, Method::BINDING, ID).unwrap();
    work(&mut writer);
    let length = writer.written();
    buffer[..length].to_vec()
}

#[test]
fn a_connectivity_check_is_read_as_it_was_written() {
    let bytes = write(Class::Request, |writer| {
        writer.username(b"a:b").unwrap();
        writer.priority(7).unwrap();
        writer.ice_controlling(9).unwrap();
        writer.use_candidate().unwrap();
        writer.integrity(b"key").unwrap();
        writer.integrity_sha256(b"key").unwrap();
        writer.fingerprint().unwrap();
    });
    let message = StunMessage::parse(&bytes).unwrap();
    assert_eq!(
        (message.priority(), message.ice_controlling(), message.use_candidate()),
        (Some(7), Some(9), true)
    );
    assert_eq!(
        (message.check_integrity(b"key"), message.check_integrity_sha256(b"key")),
        (Check::Valid, Check::Valid)
    );
    assert_eq!(message.check_fingerprint(), Check::Valid);
    for at in 20..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        if let Ok(message) = StunMessage::parse(&forged) {
            assert_ne!(message.check_fingerprint(), Check::Valid, "{at}");
        }
    }
}

#[test]
fn a_success_response_without_software_takes_no_more_than_44_bytes() {
    for address in ["192.0.2.1:1", "[2001:db8::1]:1"] {
        let address: SocketAddr = address.parse().unwrap();
        let bytes = write(Class::Success, |writer| writer.xor_mapped_address(address).unwrap());
        assert!(bytes.len() <= 44);
        assert_eq!(StunMessage::parse(&bytes).unwrap().xor_mapped_address(), Some(address));
    }
}

#[test]
fn an_error_has_its_number_and_its_reason() {
    let bytes = write(Class::Error, |writer| writer.error_code(438, &"ä".repeat(100)).unwrap());
    let message = StunMessage::parse(&bytes).unwrap();
    assert_eq!(message.class(), Class::Error);
    assert_eq!(message.error_code(), Some((438, "ä".repeat(64).as_bytes())));
    let absurd =
        write(Class::Error, |writer| writer.attribute(AttributeKind::ERROR_CODE, &[0, 0, 7, 1]).unwrap());
    assert_eq!(StunMessage::parse(&absurd).unwrap().error_code(), None);
}

#[test]
fn what_stands_behind_the_integrity_does_not_count() {
    let bytes = write(Class::Request, |writer| {
        writer.integrity(b"key").unwrap();
        writer.use_candidate().unwrap();
        writer.username(b"forged").unwrap();
        writer.fingerprint().unwrap();
    });
    let message = StunMessage::parse(&bytes).unwrap();
    assert_eq!((message.use_candidate(), message.username()), (false, None));
    assert_eq!((message.check_integrity(b"key"), message.check_fingerprint()), (Check::Valid, Check::Valid));
}

#[test]
fn every_class_and_method_comes_back() {
    for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
        for number in 0..0x1000 {
            let mut buffer = [0; HEADER_BYTES];
            let method = Method::new(number).unwrap();
            StunWriter::new(&mut buffer, class, method, ID).unwrap();
            let message = StunMessage::parse(&buffer).unwrap();
            assert_eq!((message.class(), message.method()), (class, method));
        }
    }
    assert_eq!(Method::new(0x1000), None);
}

#[test]
fn malformed_messages_are_refused_by_reason() {
    let good = write(Class::Request, |writer| writer.username(b"abc").unwrap());
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        StunMessage::parse(&bytes).err()
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|bytes| bytes.truncate(19)), Some(StunError::Truncated));
    assert_eq!(with(|bytes| bytes[0] = 0x80), Some(StunError::NotStun));
    assert_eq!(with(|bytes| bytes[4] = 0), Some(StunError::NotStun));
    assert_eq!(with(|bytes| bytes.push(0)), Some(StunError::BadLength));
    assert_eq!(with(|bytes| bytes[3] = 7), Some(StunError::BadLength));
    assert_eq!(with(|bytes| bytes[23] = 5), Some(StunError::BadAttribute));
}

#[test]
fn a_buffer_without_room_is_said_and_leaves_a_whole_message() {
    let mut buffer = [0; 32];
    assert_eq!(StunWriter::new(&mut buffer[..19], Class::Request, Method::BINDING, ID).err(), Some(NoRoom));
    let mut writer = StunWriter::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    writer.username(b"abcd").unwrap();
    assert_eq!(writer.integrity(b"key"), Err(NoRoom));
    assert_eq!(writer.attribute(AttributeKind::SOFTWARE, &[0; 70_000]), Err(NoRoom));
    let length = writer.written();
    assert_eq!(StunMessage::parse(&buffer[..length]).unwrap().username(), Some(b"abcd".as_slice()));
}

proptest! {
    #[test]
    fn no_bytes_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        kinds in prop::collection::vec(0usize..14, 0..6),
    ) {
        const KINDS: [u16; 14] = [6, 8, 9, 10, 20, 21, 28, 32, 36, 37, 0x8022, 0x8028, 0x8029, 0x802a];
        let body = bytes.len() / 4 * 4;
        bytes.truncate(body);
        let mut message = [&[0, 1, 0, 0][..], &MAGIC_COOKIE, &ID.0, &bytes].concat();
        message[3] = u8::try_from(body).unwrap();
        let mut at = 20;
        for kind in kinds {
            if at + 4 > message.len() {
                break;
            }
            let length = usize::from(message[at + 3]) % (message.len() - at - 3);
            message[at..at + 2].copy_from_slice(&KINDS[kind].to_be_bytes());
            message[at + 2..at + 4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            at += 4 + length.next_multiple_of(4);
        }
        if let Ok(message) = StunMessage::parse(&message) {
            let _ = (message.priority(), message.ice_controlled(), message.ice_controlling(), message.error_code());
            let _ = (message.xor_mapped_address(), message.username(), message.unknown(&[]).count());
            let checks = [
                message.check_integrity(b"key"),
                message.check_integrity_sha256(b"key"),
                message.check_fingerprint(),
            ];
            prop_assert!(!checks.contains(&Check::Valid));
            prop_assert!(message.attributes().count() <= body / 4);
        }
    }

    #[test]
    fn addresses_come_back(address in any::<SocketAddr>(), id in any::<[u8; 12]>()) {
        let mut buffer = [0; 64];
        let id = TransactionId(id);
        let mut writer = StunWriter::new(&mut buffer, Class::Success, Method::BINDING, id).unwrap();
        writer.xor_mapped_address(address).unwrap();
        let length = writer.written();
        let read = StunMessage::parse(&buffer[..length]).unwrap().xor_mapped_address().unwrap();
        prop_assert_eq!((read.ip(), read.port()), (address.ip(), address.port()));
    }
}
