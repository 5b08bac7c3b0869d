//! The 49 torture messages of [RFC 4475], each with its verdict.
//!
//! The files under `rfc4475/` are the messages of the RFC with its line folding
//! and bytes; where the RFC prints only what matters of a message, the rest is
//! filled in. The verdicts are ours: where the RFC lets an element be liberal,
//! we reject what we would have to guess about and flag what no call needs.
//!
//! [RFC 4475]: https://www.rfc-editor.org/rfc/rfc4475

use std::path::PathBuf;

use sip::auth::Credentials;
use sip::message::{
    Contact, Contacts, Date, HeaderError, HeaderName, Message, Method, Refusal, Request, Screen, Uri,
};

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475").join(format!("{name}.dat"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn parse(name: &str) -> Result<Message, Refusal> {
    Message::parse_datagram(&bytes(name))
}

fn request(name: &str) -> Request {
    match parse(name) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

/// What a server of calls and registrations says before looking at the content.
fn screened(name: &str) -> u16 {
    let screen = Screen {
        allow: vec![
            Method::Invite,
            Method::Ack,
            Method::Bye,
            Method::Cancel,
            Method::Options,
            Method::Register,
        ],
        supported: Vec::new(),
    };
    screen.check(&request(name)).map_or_else(|response| response.status().code(), |()| 0)
}

/// The status a refused message is answered with; `None` is a drop.
fn refused(name: &str) -> Option<u16> {
    let refusal = parse(name).err().unwrap_or_else(|| panic!("{name} was accepted"));
    refusal.response.map(|response| response.status().code())
}

#[test]
fn section_3_1_1_valid_messages_are_accepted_and_written_back() {
    for name in [
        "wsinv",
        "intmeth",
        "esc01",
        "escnull",
        "esc02",
        "lwsdisp",
        "longreq",
        "semiuri",
        "transports",
        "mpart01",
        "unreason",
        "noreason",
    ] {
        let original = bytes(name);
        let message = parse(name).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(message.to_bytes(), original, "{name}");
    }
    // 3.1.1.8: what follows the first request is no part of it.
    let original = bytes("dblreq");
    let first = request("dblreq").to_bytes();
    assert!(original.starts_with(&first));
    assert!(
        original[first.len()..].starts_with(b"\r\nINVITE ")
            || original[first.len()..].starts_with(b"INVITE ")
    );
}

#[test]
fn section_3_1_1_1_short_tortuous_invite() {
    let request = request("wsinv");
    assert_eq!(request.to_tag().as_deref(), Some("1918181833n"));
    assert_eq!(request.from_tag().as_deref(), Some("98asjd8"));
    assert_eq!(request.cseq().map(|c| c.to_string()).as_deref(), Ok("9 INVITE"));
    let from = request.from().expect("From");
    assert_eq!(from.display_name().as_deref(), Some("J Rosenberg \\\""));
    let vias = request.headers.values(&HeaderName::Via).expect("Via");
    assert_eq!(vias.len(), 3);
    assert_eq!(request.headers.get(&HeaderName::Subject).as_deref(), Some(""));
    assert_eq!(
        request.headers.get(&HeaderName::from_text("newfangledheader")).as_deref(),
        Some("newfangled value continued newfangled value")
    );
    let contact = request.contact().expect("Contact");
    assert_eq!(contact.params.value("newparam").as_deref(), Some("newvalue"));
    assert_eq!(contact.q_thousandths(), 330);
    assert_eq!(request.body().len(), 150);
}

#[test]
fn section_3_1_1_2_to_13_details() {
    let intmeth = request("intmeth");
    let uri = intmeth.uri().as_sip().expect("sip");
    assert_eq!(uri.password.as_deref(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(intmeth.from_tag().as_deref(), Some("_token~1'+`*%!-."));
    let to = intmeth.to_header().expect("To");
    assert_eq!(to.display_name().as_deref(), Some("BEL:\u{7} NUL:\u{0} DEL:\u{7f}"));

    let esc01 = request("esc01");
    assert_eq!(esc01.uri().user().as_deref(), Some("sips:user@example.com"));
    assert_eq!(esc01.to_header().expect("To").uri, "sip:user@example.com".parse().expect("uri"));

    // An escape in a method or header name stands for itself.
    let esc02 = request("esc02");
    assert_eq!(*esc02.method(), Method::Other("RE%47IST%45R".into()));
    assert_eq!(esc02.headers.count(&HeaderName::Contact), 2);

    let Ok(Contacts::List(contacts)) = request("escnull").contacts() else {
        panic!("contacts");
    };
    assert_ne!(contacts[0].uri, contacts[1].uri);

    assert_eq!(request("longreq").headers.values(&HeaderName::Via).expect("Via").len(), 34);
    assert_eq!(request("semiuri").uri().user().as_deref(), Some("user;par=u@example.net"));
    assert_eq!(request("mpart01").body().len(), 553);

    let Ok(Message::Response(unreason)) = parse("unreason") else {
        panic!("response");
    };
    assert_eq!(unreason.reason(), "= 2**3 * 5**2 но сто девяносто девять - простое");
    let Ok(Message::Response(noreason)) = parse("noreason") else {
        panic!("response");
    };
    assert_eq!(noreason.reason(), "");
}

#[test]
fn section_3_1_2_invalid_messages_are_refused() {
    // The Via of badinv01 cannot be read, so there is nowhere to answer.
    assert_eq!(refused("badinv01"), None);
    for name in [
        "clerr",
        "ncl",
        "scalar02",
        "quotbal",
        "ltgtruri",
        "lwsruri",
        "lwsstart",
        "trws",
        "escruri",
        "regbadct",
        "badaspec",
        "baddn",
        "mismatch01",
        "mismatch02",
    ] {
        assert_eq!(refused(name), Some(400), "{name}");
    }
    assert_eq!(refused("badvers"), Some(505));
    // Responses are dropped.
    assert_eq!(refused("scalarlg"), None);
    assert_eq!(refused("bigcode"), None);
}

#[test]
fn section_3_1_2_12_a_bad_date_is_flagged_to_whoever_reads_it() {
    let request = request("baddate");
    assert_eq!(request.headers.typed::<Date>(), Err(HeaderError::Value));
}

#[test]
fn section_3_2_1_a_branch_of_the_cookie_alone_is_not_unique() {
    let via = request("badbranch").top_via().expect("Via");
    assert_eq!(via.unique_branch(), None);
}

#[test]
fn section_3_3_application_layer() {
    // Without From, To and Call-ID no client could match an answer.
    assert_eq!(refused("insuf"), None);
    assert_eq!(screened("unkscm"), 416);
    assert_eq!(screened("novelsc"), 416);
    assert!(matches!(request("unksm2").to_header().expect("To").0.uri, Uri::Other(_)));
    assert_eq!(screened("bext01"), 420);
    assert_eq!(
        request("invut").headers.get(&HeaderName::ContentType).as_deref(),
        Some("application/unknownformat")
    );
    let authorization = request("regaut01").headers.get(&HeaderName::Authorization).map(|v| v.into_owned());
    assert!(Credentials::parse(&authorization.expect("Authorization")).is_err());
    assert_eq!(refused("multi01"), Some(400));
    assert_eq!(refused("mcl01"), Some(400));
    // The broadcast address stands in a second Via: no transaction takes it.
    assert_eq!(parse("bcast").expect("valid").headers().count(&HeaderName::Via), 2);
    let zero = Screen::forwards_left(&request("zeromf")).map_err(|r| r.status().code());
    assert_eq!(zero, Err(483));
    assert_eq!(screened("zeromf"), 0, "an OPTIONS for us is served all the same");
    assert_eq!(request("sdp01").headers.get(&HeaderName::Accept).as_deref(), Some("text/nobodyKnowsThis"));
}

#[test]
fn section_3_3_12_to_14_contacts() {
    let contact = |name: &str| -> Contact { request(name).contact().expect("Contact") };
    let outside = contact("cparam01");
    assert!(outside.params.has("unknownparam"));
    assert_eq!(outside.uri.to_string(), "sip:+19725552222@gw1.example.net");
    let inside = contact("cparam02");
    assert!(!inside.params.has("unknownparam"));
    assert_eq!(inside.uri.to_string(), "sip:+19725552222@gw1.example.net;unknownparam");
    let escaped = contact("regescrt");
    assert_eq!(
        escaped.uri.as_sip().and_then(|uri| uri.headers.as_deref()),
        Some("Route=%3Csip:sip.example.com%3E")
    );
}

#[test]
fn section_3_4_1_an_invite_of_rfc_2543_is_accepted() {
    let request = request("inv2543");
    assert_eq!(request.from_tag(), None);
    assert_eq!(request.top_via().expect("Via").branch(), None);
    assert_eq!(request.to_bytes(), bytes("inv2543"), "no Content-Length is invented");
}

#[test]
fn every_message_cut_short_is_refused_or_read_but_never_a_panic() {
    for entry in
        std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475")).expect("fixtures")
    {
        let original = std::fs::read(entry.expect("entry").path()).expect("file");
        for end in (0..original.len()).step_by(7) {
            let _ = Message::parse_datagram(&original[..end]);
        }
    }
}
