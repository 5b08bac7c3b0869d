use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::stun::{AttributeKind, Class, Method, StunMessage, StunWriter, TransactionId};
use crate::units::Instant;

fn client(address: &str, way: u64) -> Client {
    Client { address: address.parse().unwrap(), way }
}

fn after(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

/// RFC 8489 §9.2.2 gives this example.
#[test]
fn a_long_term_key_is_that_of_the_rfc() {
    let key = long_term_key(b"user", "realm", "pass");
    assert_eq!(key.map(|byte| format!("{byte:02x}")).concat(), "8493fbc53ba582fb4c044c456bdc40eb");
}

/// As Python's hmac and base64 compute it.
#[test]
fn a_secret_gives_a_password_to_a_name() {
    let password = timed_password(b"north", b"1700000000:alice");
    assert_eq!(*password, "Cd/49soE35ICqcJF/bCTn8Z4OyE=");
    let key = long_term_key(b"1700000000:alice", "example.org", &password);
    assert_eq!(key.map(|byte| format!("{byte:02x}")).concat(), "d9a6a3d964467baeffd2fce41704a913");
}

#[test]
fn a_timed_name_is_a_time_and_a_user() {
    let parse = |name: &'static str| {
        TimedUsername::parse(name.as_bytes()).map(|name| (name.expiry_s, str::from_utf8(name.user).unwrap()))
    };
    assert_eq!(parse("1700000000:alice"), Some((1_700_000_000, "alice")));
    assert_eq!(parse("1700000000:a:b"), Some((1_700_000_000, "a:b")));
    assert_eq!(parse("1700000000"), Some((1_700_000_000, "1700000000")));
    assert_eq!(parse("17:"), Some((17, "17:")));
    for name in ["", ":alice", "alice:1700000000", "-1:a", "+1:a", "18446744073709551616:a", " 1:a"] {
        assert_eq!(parse(name), None, "{name}");
    }
}

#[test]
fn a_nonce_is_good_for_its_client_and_a_while() {
    let nonces = Nonces::new([7; 32]);
    let alice = client("192.0.2.1:1000", 1);
    let nonce = nonces.issue(after(599), alice);
    assert!(nonce.starts_with(b"obMatJos2AAAA"));
    for (seconds, good) in [(599, true), (600, true), (1199, true), (1200, false)] {
        assert_eq!(nonces.check(after(seconds), alice, &nonce), good, "{seconds}");
    }
    for other in [client("192.0.2.1:1001", 1), client("192.0.2.2:1000", 1), client("192.0.2.1:1000", 2)] {
        assert!(!nonces.check(after(599), other, &nonce), "{other:?}");
    }
    assert!(!Nonces::new([8; 32]).check(after(599), alice, &nonce));
    for at in 0..nonce.len() {
        let mut forged = nonce;
        forged[at] ^= 1;
        assert!(!nonces.check(after(599), alice, &forged), "{at}");
    }
    assert!(!nonces.check(after(599), alice, &nonce[..NONCE_BYTES - 1]));
}

#[test]
fn channel_data_is_read_where_it_lies() {
    let message = b"\x40\x07\x00\x03abc\0";
    let read = ChannelData::parse(message).unwrap();
    assert_eq!((read.number, &message[read.payload()]), (0x4007, &b"abc"[..]));
    assert_eq!(ChannelData::header(0x4007, 3), message[..4]);
    for bad in [&b"\x40\x07\x00"[..], b"\x40\x07\x00\x05abcd", b"\x3f\xff\x00\x00", b"\x80\x00\x00\x00"] {
        assert_eq!(ChannelData::parse(bad), None);
    }
    assert_eq!([peek(b"\x03"), peek(b"\x7f"), peek(b"\x80"), peek(b"")], {
        [Peeked::Stun, Peeked::Channel, Peeked::Other, Peeked::Other]
    });
}

#[test]
fn a_stream_is_cut_where_its_messages_end() {
    assert_eq!(frame(b""), Ok(None));
    assert_eq!(frame(b"\x40\x00\x00"), Ok(None));
    assert_eq!(frame(b"\x40\x00\x00\x05"), Ok(Some(Frame { message_bytes: 9, stream_bytes: 12 })));
    assert_eq!(frame(b"\x00\x01\x00\x08"), Ok(Some(Frame { message_bytes: 28, stream_bytes: 28 })));
    for bad in [&b"\x04"[..], b"\x00\x01\x00\x07", b"\x16\x03", b"\x80"] {
        assert_eq!(frame(bad), Err(FrameError));
    }
}

#[test]
fn every_peer_of_a_request_is_read_and_a_value_found_in_its_message() {
    let (one, two) = ("192.0.2.7:9".parse().unwrap(), "[2001:db8::7]:9".parse().unwrap());
    let mut buffer = [0; 200];
    let id = TransactionId([3; 12]);
    let mut writer = StunWriter::new(&mut buffer, Class::Indication, Method::SEND, id).unwrap();
    writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, one).unwrap();
    writer.attribute(AttributeKind::DATA, b"hello").unwrap();
    writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, two).unwrap();
    writer.attribute(AttributeKind::XOR_PEER_ADDRESS, b"odd").unwrap();
    let length = writer.written();
    let message = StunMessage::parse(&buffer[..length]).unwrap();
    let peers: Vec<_> = message.xor_addresses(AttributeKind::XOR_PEER_ADDRESS).collect();
    assert_eq!(peers, [Some(one), Some(two), None]);
    assert_eq!(buffer[message.value_range(AttributeKind::DATA).unwrap()], *b"hello");
    assert_eq!(message.value_range(AttributeKind::LIFETIME), None);
}

#[test]
fn a_data_indication_is_a_header_and_the_payload_with_its_padding() {
    for peer in ["192.0.2.7:9", "[2001:db8::7]:9"] {
        let peer = peer.parse().unwrap();
        for payload in [&b""[..], b"abc", b"abcd"] {
            let mut header = [0xff; DATA_HEADER_BYTES_MAX];
            let id = TransactionId([5; 12]);
            let length = data_header(&mut header, id, peer, u16::try_from(payload.len()).unwrap());
            let mut message = [&header[..length], payload].concat();
            message.resize(message.len().next_multiple_of(4), 0);
            let message = StunMessage::parse(&message).unwrap();
            assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
            assert_eq!(message.xor_address(AttributeKind::XOR_PEER_ADDRESS), Some(peer));
            assert_eq!(message.value(AttributeKind::DATA), Some(payload));
        }
    }
}

#[test]
fn families_have_numbers() {
    assert_eq!(Family::read(&[1, 0, 0, 0]), Some(Some(Family::Ipv4)));
    assert_eq!(Family::read(&[2, 9, 9, 9]), Some(Some(Family::Ipv6)));
    assert_eq!(Family::read(&[3, 0, 0, 0]), Some(None));
    assert_eq!(Family::read(&[1]), None);
    assert_eq!([Family::Ipv4, Family::Ipv6].map(Family::number), [1, 2]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(read) = ChannelData::parse(&bytes) {
            prop_assert!(read.payload().end <= bytes.len());
            prop_assert_eq!(peek(&bytes), Peeked::Channel);
        }
        if let Ok(Some(frame)) = frame(&bytes) {
            prop_assert!(frame.stream_bytes >= frame.message_bytes && frame.stream_bytes % 4 == 0);
        }
        let _ = TimedUsername::parse(&bytes);
        let _ = Family::read(&bytes);
    }
}
