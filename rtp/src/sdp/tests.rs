//! Behaviour of descriptions as a whole; what comes in goes out, edits touch their line alone.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;

/// A phone's offer with lines nobody here knows and spacing of its own.
const OFFER: &str = "v=0\r\n\
    o=alice 2890844526 2890844527 IN IP4 host.example\r\n\
    s= \r\n\
    c=IN IP4 192.0.2.1\r\n\
    t=0 0\r\n\
    a=x-vendor:  spaces  kept \r\n\
    m=audio 49170  RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=sendonly\r\n\
    a=rtcp:53020\r\n\
    m=video 51372/2 RTP/SAVPF 99\r\n\
    c=IN IP6 2001:db8::2\r\n\
    a=rtpmap:99 opus/48000/2\r\n";

fn offer() -> Sdp {
    Sdp::parse(OFFER.as_bytes()).unwrap()
}

fn refused(text: &str) -> (usize, SdpErrorReason) {
    let error = Sdp::parse(text.as_bytes()).unwrap_err();
    (error.line, error.reason)
}

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

#[test]
fn untouched_description_leaves_byte_for_byte() {
    assert_eq!(offer().to_string(), OFFER);
    assert_eq!(offer().lints(), []);
}

#[test]
fn views_read_what_the_lines_say() {
    let sdp = offer();
    assert_eq!(sdp.origin().unwrap().version, "2890844527");
    let audio = &sdp.media[0];
    assert_eq!((audio.media().kind.as_str(), audio.media().port), ("audio", 49170));
    assert_eq!(audio.media().formats, ["0", "8", "101"]);
    assert!(audio.media().is_rtp());
    assert_eq!(audio.section.fmtp("101"), Some("0-15"));
    let opus = sdp.media[1].section.rtpmaps().next().unwrap();
    assert_eq!((opus.encoding.as_str(), opus.clock_rate.hz(), opus.channels), ("opus", 48000, Some(2)));
    assert_eq!(sdp.media[1].media().port_count, Some(2));
}

#[test]
fn media_takes_the_sessions_connection_unless_it_has_its_own() {
    let sdp = offer();
    assert_eq!(sdp.rtp_address(0), Some("192.0.2.1:49170".parse().unwrap()));
    assert_eq!(sdp.rtp_address(1), Some("[2001:db8::2]:51372".parse().unwrap()));
    assert_eq!(sdp.rtp_address(2), None);
}

#[test]
fn rtcp_goes_where_its_attribute_says_else_to_the_next_port() {
    let mut sdp = offer();
    assert_eq!(sdp.rtcp_address(0), Some("192.0.2.1:53020".parse().unwrap()));
    assert_eq!(sdp.rtcp_address(1), Some("[2001:db8::2]:51373".parse().unwrap()));
    let index = sdp.media[0].section.find_attribute("rtcp").unwrap();
    sdp.media[0].section.replace(index, line("a=rtcp:53020 IN IP4 198.51.100.7"));
    assert_eq!(sdp.rtcp_address(0), Some("198.51.100.7:53020".parse().unwrap()));
    sdp.media[0].section.remove(index);
    sdp.media[0].set_port(65535);
    assert_eq!(sdp.rtcp_address(0), None);
}

#[test]
fn own_lines_change_in_place_and_own_attributes_come_last() {
    let mut sdp = offer();
    let address = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5));
    let mut origin = sdp.origin().unwrap();
    origin.set_ip(address);
    origin.version = origin.next_version().unwrap();
    sdp.set_origin(&origin).unwrap();
    sdp.session.set_connection(&Connection::new(address)).unwrap();
    sdp.media[0].set_port(20000);
    sdp.media[0].section.remove_attributes("rtcp");
    sdp.media[0].section.append_attribute("rtcp", Some("20001")).unwrap();
    let expected = OFFER
        .replace(
            "alice 2890844526 2890844527 IN IP4 host.example",
            "alice 2890844526 2890844528 IN IP4 203.0.113.5",
        )
        .replace("c=IN IP4 192.0.2.1", "c=IN IP4 203.0.113.5")
        .replace("m=audio 49170  RTP", "m=audio 20000 RTP")
        .replace("a=rtcp:53020", "a=rtcp:20001");
    assert_eq!(sdp.to_string(), expected);
}

#[test]
fn media_line_with_no_changed_field_keeps_its_spacing() {
    let mut sdp = offer();
    sdp.media[0].set_port(49170);
    assert_eq!(sdp.to_string(), OFFER);
}

#[test]
fn appended_line_goes_before_the_blank_ones_that_end_the_body() {
    let mut sdp = Sdp::parse(b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=x\r\n\r\n").unwrap();
    sdp.media[0].section.append(line("a=y"));
    assert_eq!(sdp.to_string(), "v=0\r\nm=audio 1 RTP/AVP 0\r\na=x\r\na=y\r\n\r\n");
}

#[test]
fn inserted_connection_stands_where_the_rfc_wants_it() {
    let mut sdp = Sdp::parse(b"v=0\ns=-\nt=0 0\nm=audio 1 RTP/AVP 0\ni=x\nb=AS:64\na=y\n").unwrap();
    let connection = Connection::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
    sdp.session.set_connection(&connection).unwrap();
    sdp.media[0].section.set_connection(&connection).unwrap();
    assert_eq!(
        sdp.to_string(),
        "v=0\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 1 RTP/AVP 0\ni=x\nc=IN IP4 127.0.0.1\nb=AS:64\na=y\n"
    );
}

#[test]
fn direction_replaces_the_first_and_drops_the_rest() {
    let mut sdp = Sdp::parse(b"v=0\nm=audio 1 RTP/AVP 0\na=sendonly\na=x\na=inactive\na=y\n").unwrap();
    assert_eq!(sdp.direction(0), Direction::SendOnly);
    assert!(sdp.lints().contains(&Lint::RepeatedDirection));
    sdp.media[0].section.set_direction(Direction::RecvOnly);
    assert_eq!(sdp.to_string(), "v=0\nm=audio 1 RTP/AVP 0\na=recvonly\na=x\na=y\n");
}

#[test]
fn sessions_direction_holds_for_media_without_one() {
    let sdp = Sdp::parse(b"v=0\na=inactive\nm=audio 1 RTP/AVP 0\nm=audio 3 RTP/AVP 0\na=recvonly\n").unwrap();
    assert_eq!(sdp.direction(0), Direction::Inactive);
    assert_eq!(sdp.direction(1), Direction::RecvOnly);
    assert_eq!(offer().direction(1), Direction::SendRecv);
}

#[test]
fn direction_seen_from_the_other_end() {
    let table = [
        (Direction::SendRecv, Direction::SendRecv),
        (Direction::SendOnly, Direction::RecvOnly),
        (Direction::RecvOnly, Direction::SendOnly),
        (Direction::Inactive, Direction::Inactive),
    ];
    for (from, to) in table {
        assert_eq!(from.reversed(), to);
        assert_eq!(Direction::from_name(from.name()), Some(from));
        assert_eq!(Direction::from_flags(from.sends(), from.receives()), from);
    }
}

#[test]
fn hold_is_said_in_three_ways() {
    let with = |connection: &str, attribute: &str, port: u16| {
        let text = format!("v=0\nc=IN IP4 {connection}\nm=audio {port} RTP/AVP 0\na={attribute}\n");
        Sdp::parse(text.as_bytes()).unwrap().is_all_on_hold()
    };
    assert!(with("192.0.2.1", "sendonly", 4000));
    assert!(with("192.0.2.1", "inactive", 4000));
    assert!(with("0.0.0.0", "sendrecv", 4000));
    assert!(!with("192.0.2.1", "recvonly", 4000));
    assert!(!with("192.0.2.1", "sendrecv", 4000));
    assert!(!with("192.0.2.1", "inactive", 0), "a refused media is not a held one");
}

#[test]
fn bare_line_feeds_leave_as_they_came_and_a_mixture_leaves_as_crlf() {
    let sdp = Sdp::parse(b"v=0\ns=-\nm=audio 1 RTP/AVP 0").unwrap();
    assert_eq!(sdp.to_string(), "v=0\ns=-\nm=audio 1 RTP/AVP 0\n");
    assert_eq!(
        sdp.lints(),
        [Lint::BareLineFeed, Lint::UnendedLine, Lint::NoOrigin, Lint::NoTiming, Lint::NoConnection]
    );
    let mixed = Sdp::parse(b"v=0\r\ns=-\nt=0 0\r\n").unwrap();
    assert_eq!(mixed.to_string(), "v=0\r\ns=-\r\nt=0 0\r\n");
}

#[test]
fn session_id_and_version_beyond_64_bits_are_kept_and_counted() {
    let text = "v=0\r\no=Some Phone 1 99999999999999999999999 IN IP4 192.0.2.9\r\n";
    let sdp = Sdp::parse(text.as_bytes()).unwrap();
    let origin = sdp.origin().unwrap();
    assert_eq!(origin.username, "Some Phone");
    assert_eq!(origin.next_version().as_deref(), Some("100000000000000000000000"));
    assert_eq!(Origin { version: "x".into(), ..origin }.next_version(), None);
}

#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let text = b"v=0\r\ns=caf\xe9\r\na=\xff:\xfe\r\n";
    assert_eq!(Sdp::parse(text).unwrap().to_bytes(), text);
}

#[test]
fn malformed_lines_are_refused_by_number_and_reason() {
    use LineError::*;
    let v = "v=0\r\n";
    let cases = [
        ("", 1, SdpErrorReason::NoVersion),
        ("garbage", 1, SdpErrorReason::Line(NotALine)),
        ("s=-\r\n", 1, SdpErrorReason::NoVersion),
        ("v=1\r\n", 1, SdpErrorReason::NoVersion),
        ("v=0\r\nv=0\r\n", 2, SdpErrorReason::SecondVersion),
        ("v=0\r\ns=-\r\nx\r\n", 3, SdpErrorReason::Line(NotALine)),
        ("v=0\r\n =x\r\n", 2, SdpErrorReason::Line(NotALine)),
        ("v=0\r\na=x\ra=y\r\n", 2, SdpErrorReason::Line(ControlCharacter)),
        ("v=0\r\na=x\0\r\n", 2, SdpErrorReason::Line(ControlCharacter)),
    ];
    for (text, number, reason) in cases {
        assert_eq!(refused(text), (number, reason), "{text:?}");
    }
    let fields = [
        ("o=alice 1 2 IN IP4", BadOrigin),
        ("c=IN IP4 2001:db8::1", BadConnection),
        ("c=IN IP4 300.0.0.1", BadConnection),
        ("c=IN IP6 192.0.2.1", BadConnection),
        ("c=TN RFC2543 123", BadConnection),
        ("c=IN IP4 192.0.2.1 x", BadConnection),
        ("m=audio 65536 RTP/AVP 0", BadMedia),
        ("m=audio -1 RTP/AVP 0", BadMedia),
        ("m=audio 1/0 RTP/AVP 0", BadMedia),
        ("m=audio 1", BadMedia),
    ];
    for (text, reason) in fields {
        assert_eq!(refused(&format!("{v}{text}\r\n")), (2, SdpErrorReason::Line(reason)), "{text}");
    }
    assert_eq!(Sdp::parse(b"v=0\nx").unwrap_err().to_string(), "SDP line 2: not of the form letter=value");
}

#[test]
fn size_lines_and_media_have_their_limits() {
    let lines = |count: usize| format!("v=0\n{}", "a=x\n".repeat(count - 1));
    assert!(Sdp::parse(lines(LINES_MAX).as_bytes()).is_ok());
    assert_eq!(refused(&lines(LINES_MAX + 1)), (LINES_MAX + 1, SdpErrorReason::TooManyLines));
    let media = |count: usize| format!("v=0\n{}", "m=audio 0 RTP/AVP 0\n".repeat(count));
    assert!(Sdp::parse(media(MEDIA_MAX).as_bytes()).is_ok());
    assert_eq!(refused(&media(MEDIA_MAX + 1)), (MEDIA_MAX + 2, SdpErrorReason::TooManyMedia));
    let bytes = |count: usize| format!("v=0\na={}", "x".repeat(count - 6));
    assert!(Sdp::parse(bytes(SDP_BYTES_MAX).as_bytes()).is_ok());
    assert_eq!(refused(&bytes(SDP_BYTES_MAX + 1)), (1, SdpErrorReason::TooLong));
}

#[test]
fn edits_cannot_smuggle_in_another_line() {
    let mut sdp = offer();
    let section = &mut sdp.media[0].section;
    assert_eq!(
        section.append_attribute("x", Some("1\r\nc=IN IP4 0.0.0.0")),
        Err(LineError::ControlCharacter)
    );
    assert_eq!(section.append_attribute("x:y", None), Err(LineError::NotALine));
    let media = sdp.media[0].media().clone();
    let spaced = Media { kind: "audio 9 x".into(), ..media };
    assert_eq!(sdp.media[0].set_media(spaced), Err(LineError::BadMedia));
    let origin = Origin { address: "192.0.2.1 x".into(), ..sdp.origin().unwrap() };
    assert_eq!(sdp.set_origin(&origin), Err(LineError::BadOrigin));
    assert_eq!(sdp.to_string(), OFFER);
}

#[test]
fn built_audio_description_reads_back() {
    let local = "192.0.2.4:4000".parse().unwrap();
    let formats = [AudioFormat::PCMA, AudioFormat::TELEPHONE_EVENT];
    let sdp = audio(7, 1, local, &formats, Direction::SendRecv).unwrap();
    let expected = "v=0\r\no=- 7 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
    assert_eq!(sdp.to_string(), expected);
    let parsed = Sdp::parse(expected.as_bytes()).unwrap();
    assert_eq!((&parsed, parsed.lints()), (&sdp, [].as_slice()));
}

/// Lines as a sender might write them: known types with fields near the edge of validity, and unknown ones.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z]=[ -~]{0,40}",
        "a=[a-z-]{1,12}(:[ -~]{0,30})?",
        "m=(audio|video|image) [0-9]{1,5}(/[0-9])? (RTP/AVP|udptl|UDP/TLS/RTP/SAVPF)( [0-9]{1,3}){0,5}",
        "c=IN IP4 [0-9]{1,3}(\\.[0-9]{1,3}){3}(/[0-9]{1,3})?",
        "o=[ -~]{1,10} [0-9]{1,30} [0-9]{1,30} IN IP4 [a-z0-9.]{1,15}",
        Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn parse_then_write_is_identity(lines in proptest::collection::vec(any_line(), 0..30), crlf in any::<bool>()) {
        let ending = if crlf { "\r\n" } else { "\n" };
        let text: String =
            std::iter::once("v=0".to_owned()).chain(lines).map(|line| line + ending).collect();
        if let Ok(sdp) = Sdp::parse(text.as_bytes()) {
            prop_assert_eq!(sdp.to_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn random_bytes_never_panic_and_what_is_accepted_is_stable(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Sdp::parse(&tail);
        let bytes = [b"v=0\na=".as_slice(), &tail].concat();
        if let Ok(sdp) = Sdp::parse(&bytes) {
            let again = Sdp::parse(&sdp.to_bytes()).unwrap();
            prop_assert_eq!(&again, &sdp);
        }
    }

    #[test]
    fn every_view_of_an_accepted_description_answers(lines in proptest::collection::vec(any_line(), 0..30)) {
        let text = format!("v=0\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(mut sdp) = Sdp::parse(text.as_bytes()) {
            for index in 0..sdp.media.len() {
                let _ = (sdp.rtp_address(index), sdp.rtcp_address(index), sdp.is_on_hold(index));
                let section = &mut sdp.media[index].section;
                let _ = (section.rtpmaps().count(), section.fmtp("0").map(str::len));
                section.set_direction(Direction::Inactive);
                section.append_attribute("x", None).unwrap();
                prop_assert_eq!(sdp.direction(index), Direction::Inactive);
                sdp.media[index].set_port(9);
            }
            let again = Sdp::parse(&sdp.to_bytes()).unwrap();
            prop_assert_eq!(again, sdp);
        }
    }
}
