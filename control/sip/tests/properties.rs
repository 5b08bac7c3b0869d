//! What holds for any bytes and any sequence of inputs.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use sip::auth::{Challenge, Credentials};
use sip::message::{Frame, Framer, Limits, Message, NameAddr, RefusalReason, TypedHeader, Uri, Via};
use sip::{Event, FlowId, Hop, LayerConfig, StatusCode, TransactionLayer, Transport};

/// Pieces messages are made of, so that random ones come close to valid ones.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\r\n".to_owned()),
        Just("\r\n ".to_owned()),
        Just("INVITE sip:a@b SIP/2.0".to_owned()),
        Just("SIP/2.0 200 OK".to_owned()),
        Just("Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\n".to_owned()),
        Just("From: <sip:a@b>;tag=1\r\n".to_owned()),
        Just("To: <sip:a@b>\r\n".to_owned()),
        Just("Call-ID: x\r\n".to_owned()),
        Just("CSeq: 1 INVITE\r\n".to_owned()),
        Just("l: 3\r\n".to_owned()),
        Just("m: \"q\\\"\" <sip:[::1]>;x, *\r\n".to_owned()),
        "[ -~]{0,12}",
        "[<>\";:,=@%?\\\\ ]{1,4}",
    ]
}

fn valid_message() -> impl Strategy<Value = Vec<u8>> {
    let name = "[A-Za-z][A-Za-z0-9-]{0,10}";
    let value = "[ -~é]{0,30}";
    let extra = prop::collection::vec((name, "[ \t]{0,2}", value, any::<bool>()), 0..6);
    (extra, prop::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(extra, body, length)| {
        let mut text = String::from(
            "OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKa\r\nf: <sip:a@b>;tag=1\r\n\
             t: <sip:c@d>\r\ni: x\r\nCSeq: 1 OPTIONS\r\n",
        );
        for (name, space, value, fold) in extra {
            text.push_str(&format!("X-{name}{space}:{value}\r\n"));
            if fold {
                text.push_str(" folded\r\n");
            }
        }
        if length {
            text.push_str(&format!("l : {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        [text.into_bytes(), body].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_message_alone_is_a_message_that_nothing_follows(
        bytes in valid_message(),
        more in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let limits = Limits::default();
        let both = Bytes::from([bytes, more].concat());
        let (Ok(loose), alone) = (Message::parse(both.clone(), &limits), Message::parse_alone(both.clone(), &limits))
        else { panic!("a valid message") };
        let rest = &both[loose.to_bytes().len()..];
        match alone {
            Ok(alone) => {
                prop_assert_eq!(alone.to_bytes(), loose.to_bytes());
                prop_assert!(rest.iter().all(|byte| b"\r\n".contains(byte)), "{rest:?} is lost");
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.reason, RefusalReason::BodyLong);
                prop_assert_eq!(refusal.response.map(|answer| answer.status().code()), Some(400));
                prop_assert!(rest.iter().any(|byte| !b"\r\n".contains(byte)));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::parse_datagram(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = text.parse::<Uri>();
        let _ = NameAddr::parse(&text);
        let _ = Via::parse(&text);
        let _ = Challenge::parse(&text);
        let _ = Credentials::parse(&text);
    }

    #[test]
    fn what_is_accepted_is_written_back(pieces in prop::collection::vec(piece(), 0..16)) {
        let text = pieces.concat();
        if let Ok(message) = Message::parse_datagram(text.as_bytes()) {
            let written = message.to_bytes();
            let at = text.find(|c| c != '\r' && c != '\n').unwrap_or(0);
            prop_assert!(text.as_bytes()[at..].starts_with(&written));
            prop_assert_eq!(Message::parse_datagram(&written), Ok(message));
        }
    }

    #[test]
    fn parse_and_write_are_inverse(bytes in valid_message()) {
        let message = Message::parse_datagram(&bytes);
        prop_assert!(message.is_ok(), "{:?}", message);
        prop_assert_eq!(message.map(|m| m.to_bytes().to_vec()), Ok(bytes));
    }

    #[test]
    fn uris_and_addresses_survive_writing(text in "(sip|sips|tel|x):[a-zA-Z0-9+%;=@.?&:\\[\\]-]{1,30}") {
        if let Ok(uri) = text.parse::<Uri>() {
            let again = uri.to_string().parse::<Uri>();
            prop_assert_eq!(again.as_ref(), Ok(&uri));
            let address = NameAddr::new(uri);
            prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
        }
    }

    #[test]
    fn a_stream_gives_the_same_frames_however_it_is_cut(
        messages in prop::collection::vec(valid_message(), 1..4),
        cuts in prop::collection::vec(1_usize..50, 1..20),
    ) {
        let with_length: Vec<_> = messages
            .into_iter()
            .filter(|m| m.windows(4).any(|w| w == b"l : "))
            .collect();
        let stream = with_length.concat();
        let mut framer = Framer::new(Limits::default());
        let mut frames = Vec::new();
        let mut rest = &stream[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = (*cuts.next().unwrap_or(&1)).min(rest.len());
            framer.push(&rest[..cut]);
            rest = &rest[cut..];
            while let Some(frame) = framer.poll().expect("well-formed stream") {
                if let Frame::Message(bytes) = frame {
                    frames.push(bytes.to_vec());
                }
            }
        }
        prop_assert_eq!(frames, with_length);
    }

    #[test]
    fn any_bytes_of_a_stream_stay_within_the_limits(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..30)) {
        let limits = Limits { head_bytes_max: 256, header_lines_max: 16, body_bytes_max: 64 };
        let mut framer = Framer::new(limits);
        for chunk in chunks {
            framer.push(&chunk);
            while let Ok(Some(_)) = framer.poll() {}
            prop_assert!(framer.buffered_bytes() <= 256 + 64);
        }
    }

    /// Whatever is received and answered, in any order: no panic, the tables
    /// empty themselves, and no transaction outlives its timers.
    #[test]
    fn the_transaction_layer_always_comes_to_rest(
        steps in prop::collection::vec((0_u8..6, 0_u8..3, 0_u64..40_000, any::<bool>()), 1..60),
        seed in any::<u64>(),
    ) {
        let config = LayerConfig::new("h".parse().expect("host"));
        let mut layer = TransactionLayer::new(config, seed);
        let start = Instant::now();
        let mut now = start;
        let mut open = Vec::new();
        for (kind, branch, ms, reliable) in steps {
            let transport = if reliable { Transport::Tcp } else { Transport::Udp };
            let hop = Hop::over(transport, "192.0.2.1:5060".parse().expect("address"), FlowId(1));
            let method = ["INVITE", "ACK", "CANCEL", "OPTIONS", "INVITE", "BYE"][usize::from(kind)];
            let text = format!(
                "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\n\
                 From: <sip:a@b>;tag={branch}\r\nTo: <sip:c@d>\r\nCall-ID: {branch}\r\n\
                 CSeq: 1 {method}\r\n\r\n"
            );
            let message = Message::parse_datagram(text.as_bytes()).expect("valid");
            if kind == 4 {
                if let Message::Request(request) = message {
                    let key = layer.send_request(now, request, hop);
                    if reliable {
                        layer.cancel(now, key, &[]);
                    }
                }
            } else {
                layer.receive(now, &hop, message);
            }
            while let Some(event) = layer.poll_event() {
                if let Event::Request { key, request, .. } = event {
                    open.push((key, request));
                }
            }
            if ms % 3 == 0 && let Some((key, request)) = open.pop() {
                let status = StatusCode::new([180, 200, 486][usize::from(branch)]).expect("valid");
                layer.respond(now, key, sip::Response::to(&request, status));
                if status.is_provisional() {
                    open.push((key, request));
                }
            }
            now += Duration::from_millis(ms);
            layer.handle_timeout(now);
            while layer.poll_transmit().is_some() {}
        }
        for (key, request) in open {
            layer.respond(now, key, sip::Response::to(&request, StatusCode::BUSY_HERE));
        }
        let mut fired = 0;
        while let Some(at) = layer.next_deadline() {
            layer.handle_timeout(at);
            now = now.max(at);
            fired += 1;
            prop_assert!(fired < 10_000);
        }
        prop_assert!(now - start <= Duration::from_secs(40 * 60 + 64));
        prop_assert!(layer.is_empty(), "{:?} left", layer.len());
    }
}
