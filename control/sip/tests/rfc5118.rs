//! IPv6 torture cases of [RFC 5118 §4].
//!
//! [RFC 5118 §4]: https://www.rfc-editor.org/rfc/rfc5118#section-4

use std::net::IpAddr;

use sip::message::{Host, Message, Refusal, Request, Via};

fn parse(uri: &str, via: &str) -> Result<Message, Refusal> {
    let text = format!(
        "REGISTER {uri} SIP/2.0\r\nTo: sip:user@example.com\r\nFrom: sip:user@example.com;tag=81x2\r\n\
         Via: SIP/2.0/UDP {via};branch=z9hG4bKas3-111\r\nCall-ID: SSG9559905523997077@hlau_4100\r\n\
         Max-Forwards: 70\r\nContact: \"Caller\" <sip:caller@[2001:db8::1]>\r\nCSeq: 98176 REGISTER\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let message = Message::parse_datagram(text.as_bytes())?;
    assert_eq!(message.to_bytes(), text.as_bytes());
    Ok(message)
}

fn request(uri: &str, via: &str) -> Request {
    match parse(uri, via) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

#[test]
fn section_4_1_and_4_2_a_reference_needs_its_brackets() {
    let request = request("sip:[2001:db8::10]", "[2001:db8::9:1]");
    assert_eq!(request.uri().host().and_then(Host::ip), Some(ip("2001:db8::10")));
    let refusal = parse("sip:2001:db8::10", "[2001:db8::9:1]").expect_err("no brackets");
    assert_eq!(refusal.response.map(|r| r.status().code()), Some(400));
}

#[test]
fn section_4_3_and_4_4_a_port_stands_outside_the_brackets() {
    let inside = request("sip:[2001:db8::10:5070]", "[2001:db8::9:1]");
    let inside = &inside.uri().as_sip().expect("sip").host_port;
    assert_eq!((inside.host.ip(), inside.port), (Some(ip("2001:db8::10:5070")), None));
    let outside = request("sip:[2001:db8::10]:5070", "[2001:db8::9:1]");
    let outside = &outside.uri().as_sip().expect("sip").host_port;
    assert_eq!((outside.host.ip(), outside.port), (Some(ip("2001:db8::10")), Some(5070)));
}

#[test]
fn section_4_5_received_with_and_without_brackets() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let request = request("sip:[2001:db8::10]", &format!("[2001:db8::9:1];received={received}"));
        let via: Via = request.top_via().expect("Via");
        assert_eq!(via.received(), Some(ip("2001:db8::9:255")));
    }
}

#[test]
fn section_4_10_mapped_addresses_and_three_colons() {
    let mapped = request("sip:user@[::ffff:192.0.2.10]", "[2001:db8::9:1]");
    assert_eq!(mapped.uri().host().and_then(Host::ip), Some(ip("::ffff:192.0.2.10")));
    assert!(parse("sip:[2001:db8:::192.0.2.1]", "[2001:db8::9:1]").is_err());
}
