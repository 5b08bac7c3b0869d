//! A datagram that is a message is written and read back as the same, and every header view of it answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::dialog::DialogId;
use sip::message::{Contact, HeaderName, Limits, Message, Screen};

fuzz_target!(|data: &[u8]| {
    let message = match Message::parse_datagram(data) {
        Ok(message) => message,
        Err(refusal) => {
            if let Some(response) = refusal.response {
                let bytes = response.to_bytes();
                assert!(bytes.starts_with(b"SIP/2.0 "));
            }
            return;
        }
    };
    let written = message.to_bytes();
    let again = Message::parse_datagram(&written).expect("what is written can be read");
    assert_eq!(again, message);
    let alone = Message::parse_alone(written, &Limits::default());
    assert_eq!(alone.expect("nothing follows what is written"), message);
    for header in message.headers().iter() {
        let _ = (header.value().len(), header.line().len(), header.raw_value().len());
    }
    let _ = message.headers().all::<Contact>();
    let _ = message.headers().values(&HeaderName::Via);
    match message {
        Message::Request(request) => {
            let _ = (request.call_id().len(), request.contact(), DialogId::of_request(&request));
            request.cseq().expect("checked when parsed");
            request.from().expect("checked when parsed");
            request.to_header().expect("checked when parsed");
            request.top_via().expect("checked when parsed");
            let _ = Screen::forwards_left(&request);
        }
        Message::Response(response) => {
            let _ = (response.reason().len(), response.contact(), DialogId::of_response(&response));
            response.cseq().expect("checked when parsed");
            response.top_via().expect("checked when parsed");
        }
    }
});
