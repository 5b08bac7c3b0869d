//! Bytes that rtpengine 10.5.3.5 sent, read and written again: not one may differ, since proxies
//! find their variables by name and place.

use ng::{Encoding, Envelope, Reply};

macro_rules! fixtures {
    ($($name:ident = $file:literal,)*) => {$(
        #[test]
        fn $name() {
            written_back_unchanged(
                include_bytes!(concat!("fixtures/", $file, ".bencode")),
                include_bytes!(concat!("fixtures/", $file, ".json")),
            );
        }
    )*};
}

fixtures! {
    ping = "ping",
    offer = "offer",
    answer = "answer",
    query_before_the_answer_with_an_untagged_party = "query-early",
    query_with_packets_and_codec = "query",
    query_with_quality_from_rtcp = "query-quality",
    query_with_a_rejected_section_and_ipv6 = "query-rejected-section",
    list = "list",
    delete_with_statistics = "delete",
    delete_of_an_unknown_call = "delete-unknown",
    query_of_an_unknown_call = "query-unknown",
}

fn written_back_unchanged(bencode: &[u8], json: &[u8]) {
    let from_bencode = written_back(bencode, Encoding::Bencode);
    let from_json = written_back(json, Encoding::Json);
    // A repeated offer of one call is answered alike, so both encodings carry one reply.
    assert_eq!(from_bencode, from_json);
}

fn written_back(document: &[u8], encoding: Encoding) -> Reply {
    let reply = Reply::parse(document).expect("rtpengine's reply is understood");
    let mut written = Vec::new();
    reply.encode(encoding, &mut written);
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(document));
    reply
}

/// What rtpengine 10.5.3.5 answered to each of these documents, where we answer the same.
const REFUSALS: &[(&str, &str)] = &[
    ("", "d6:result5:error12:error-reason25:Invalid data (no payload)e"),
    ("x", "d6:result5:error12:error-reason22:Invalid NG data formate"),
    ("[]", "d6:result5:error12:error-reason22:Invalid NG data formate"),
    ("l4:pinge", "d6:result5:error12:error-reason22:Invalid NG data formate"),
    ("de", "d6:result5:error12:error-reason36:Dictionary contains no key \"command\"e"),
    ("d7:commandi5ee", "d6:result5:error12:error-reason36:Dictionary contains no key \"command\"e"),
    ("d7:command3:xxxe", "d6:result5:error12:error-reason20:Unrecognized commande"),
    ("d7:command4:Pinge", "d6:result5:error12:error-reason20:Unrecognized commande"),
    ("d7:command9999999999:xe", "d6:result5:error12:error-reason35:Could not decode bencode dictionarye"),
    ("d7:command4:ping1:ai12", "d6:result5:error12:error-reason35:Could not decode bencode dictionarye"),
    ("di5e4:pinge", "d6:result5:error12:error-reason35:Could not decode bencode dictionarye"),
    ("d7:command04:pinge", "d6:result5:error12:error-reason35:Could not decode bencode dictionarye"),
    ("d7:command5:offere", "d6:result5:error12:error-reason22:No SDP body in messagee"),
    ("d7:command5:offer3:sdpi7ee", "d6:result5:error12:error-reason22:No SDP body in messagee"),
    ("d7:command5:offer3:sdp1:xe", "d6:result5:error12:error-reason21:No call-id in messagee"),
    ("d7:command5:offer3:sdp1:x7:call-idi7ee", "d6:result5:error12:error-reason21:No call-id in messagee"),
    ("d7:command5:offer3:sdp1:x7:call-id1:ce", "d6:result5:error12:error-reason22:No from-tag in messagee"),
    (
        "d7:command6:answer3:sdp1:x7:call-id1:c8:from-tag1:fe",
        "d6:result5:error12:error-reason20:No to-tag in messagee",
    ),
    ("d7:command6:deletee", "d6:result5:error12:error-reason21:No call-id in messagee"),
    ("d7:command5:querye", "d6:result5:error12:error-reason21:No call-id in messagee"),
    ("{", r#"{"result":"error","error-reason":"Failed to parse JSON document"}"#),
    (r#"{"command":"ping"} x"#, r#"{"result":"error","error-reason":"Failed to parse JSON document"}"#),
    ("{}", r#"{"result":"error","error-reason":"Dictionary contains no key \"command\""}"#),
    (r#"{"command":5}"#, r#"{"result":"error","error-reason":"Dictionary contains no key \"command\""}"#),
    (r#"{"command":null}"#, r#"{"result":"error","error-reason":"Could not decode bencode dictionary"}"#),
    (
        r#"{"command":"ping","x":1.5}"#,
        r#"{"result":"error","error-reason":"Could not decode bencode dictionary"}"#,
    ),
    (r#"{"command":"offer","call-id":1}"#, r#"{"result":"error","error-reason":"No SDP body in message"}"#),
];

#[test]
fn refusals_have_rtpengines_words_and_encoding() {
    for (document, answer) in REFUSALS {
        let envelope = Envelope::parse(format!("cookie {document}").as_bytes()).expect("a cookie");
        let error = envelope.request.expect_err(document);
        let datagram = Reply::from(error).datagram(&envelope.cookie, envelope.encoding);
        assert_eq!(String::from_utf8_lossy(&datagram), format!("cookie {answer}"), "{document}");
    }
}

/// Documents that rtpengine 10.5.3.5 takes as a ping, and so do we.
#[test]
fn oddities_that_rtpengine_accepts_are_accepted() {
    for document in [
        "d7:command4:pingetrail",
        "d7:command4:ping7:command5:offere",
        "d7:command4:ping3:abci-0ee",
        r#"{"command":"xxx","command":"ping"}"#,
        r#"{"command":"p\u0069ng","x":true}"#,
    ] {
        let envelope = Envelope::parse(format!("1 {document}").as_bytes()).expect("a cookie");
        let request = envelope.request.expect(document);
        assert!(matches!(request.command, ng::Command::Ping(_)), "{document}");
    }
}

/// rtpengine takes a dictionary whose end is missing; half a datagram must not start a call here.
#[test]
fn an_unfinished_dictionary_is_refused() {
    let envelope = Envelope::parse(b"1 d7:command4:ping").expect("a cookie");
    assert_eq!(envelope.request, Err(ng::RequestError::Bencode));
}
