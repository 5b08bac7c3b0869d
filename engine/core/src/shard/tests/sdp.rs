//! What a description becomes. The expectations were measured on rtpengine 10.5.3.5.

use super::*;

const HEAD: &str = "v=0\no=alice 123 456 IN IP4 198.51.100.1\ns=call\nc=IN IP4 198.51.100.1\nt=0 0\n";

/// What an offer becomes; ports are P, and P+1 for RTCP.
fn offered(description: &str, edit: impl FnOnce(&mut Signal)) -> String {
    let mut rig = Rig::new();
    let mut signal = from_a(description.replace('\n', "\r\n").into_bytes());
    edit(&mut signal);
    match rig.offer(signal) {
        Shown::Error(text) => text,
        shown => {
            let mut text = shown.sdp().replace("\r\n", "\n");
            let mut ports: Vec<u16> =
                rig.open.values().map(SocketAddr::port).filter(|port| port % 2 == 0).collect();
            ports.sort_unstable();
            ports.dedup();
            for port in ports {
                text = text.replace(&(port + 1).to_string(), "P+1").replace(&port.to_string(), "P");
            }
            text
        }
    }
}

#[test]
fn own_lines_are_written_anew_at_the_end_and_others_stay() {
    let description = format!(
        "{HEAD}a=sendonly\na=group:BUNDLE 0\na=x-session:1\nm=audio 4000 RTP/AVP 0 8 101 96\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-16\na=fmtp:8 x=1\na=rtcp-fb:* nack\na=rtcp-fb:0 nack\nb=AS:64\na=mid:0\na=rtpmap:96 opus/48000/2\na=rtpmap:9 G722/8000\n\
         a=ptime:20\na=rtcp:4007\na=setup:actpass\na=maxptime:40\n"
    );
    let expected = "v=0\no=alice 123 456 IN IP4 198.51.100.1\ns=call\nc=IN IP4 127.0.0.1\nt=0 0\na=x-session:1\n\
                    m=audio P RTP/AVP 0 8 101 96\na=rtcp-fb:* nack\nb=AS:64\na=maxptime:40\na=mid:0\na=rtpmap:0 PCMU/8000\n\
                    a=rtcp-fb:0 nack\na=rtpmap:8 PCMA/8000\na=fmtp:8 x=1\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n\
                    a=rtpmap:96 opus/48000/2\na=sendonly\na=rtcp:P+1\na=ptime:20\n";
    assert_eq!(offered(&description, |_| {}), expected);
}

#[test]
fn a_payload_type_named_again_and_again_is_described_once() {
    let formats = "0 ".repeat(10_000) + "8";
    let long = "x".repeat(30_000);
    let shown = offered(&format!("{HEAD}m=audio 4000 RTP/AVP {formats}\na=fmtp:0 {long}\n"), |_| {});
    assert_eq!(shown.matches("a=fmtp:0 ").count(), 1);
    assert_eq!(shown.matches("a=rtpmap:0 ").count(), 1);
    assert!(shown.contains("a=rtpmap:8 PCMA/8000"));
}

#[test]
fn static_payload_types_get_their_rtpmap() {
    let shown = offered(&format!("{HEAD}m=audio 4000 RTP/AVP 0 3 4 8 9 18 13 5 34\n"), |_| {});
    let maps: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")).collect();
    let expected = [
        "0 PCMU/8000",
        "3 GSM/8000",
        "4 G723/8000",
        "8 PCMA/8000",
        "9 G722/8000",
        "18 G729/8000",
        "13 CN/8000",
        "5 DVI4/8000",
        "34 H263/90000",
    ];
    assert_eq!(maps, expected);
}

#[test]
fn refused_foreign_and_opaque_sections_are_treated_as_what_they_are() {
    let description = format!(
        "{HEAD}m=audio 4000 RTP/AVP 0\nm=video 0 RTP/AVP 96\nc=IN IP4 10.0.0.1\na=x-y:1\na=rtpmap:96 VP8/90000\na=sendrecv\na=mid:1\n\
         m=image 4002 udptl t38\na=T38FaxVersion:0\na=rtcp:4003\nm=message 7777 TCP/MSRP *\nc=IN IP4 10.0.0.3\na=path:msrp://x\n"
    );
    let expected = "m=audio P RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=sendrecv\na=rtcp:P+1\n\
                    m=video 0 RTP/AVP 96\nc=IN IP4 127.0.0.1\na=x-y:1\na=mid:1\n\
                    m=image P udptl t38\na=T38FaxVersion:0\na=sendrecv\n\
                    m=message 7777 TCP/MSRP *\nc=IN IP4 10.0.0.3\na=path:msrp://x\n";
    assert!(offered(&description, |_| {}).ends_with(expected));
}

#[test]
fn options_change_the_lines_they_are_about() {
    let audio = format!("{HEAD}m=audio 4000 RTP/AVP 0\na=recvonly\n");
    let tail = |edit: fn(&mut Signal)| {
        offered(&audio, edit).split_once("a=rtpmap:0 PCMU/8000\n").unwrap().1.to_owned()
    };
    assert_eq!(tail(|_| {}), "a=recvonly\na=rtcp:P+1\n");
    assert_eq!(tail(|signal| signal.rtcp_attribute = Some(false)), "a=recvonly\n");
    assert_eq!(
        tail(|signal| signal.rtcp_attribute = Some(true)),
        "a=recvonly\na=rtcp:P+1 IN IP4 127.0.0.1\n"
    );
    assert_eq!(tail(|signal| signal.rtcp_mux.offer = true), "a=recvonly\na=rtcp:P+1\na=rtcp-mux\n");
    assert_eq!(tail(|signal| signal.rtcp_mux.require = true), "a=recvonly\na=rtcp:P\na=rtcp-mux\n");
    assert_eq!(tail(|signal| signal.original_sendrecv = true), "a=rtcp:P+1\n");
    let all = |edit: fn(&mut Signal)| offered(&audio, edit);
    assert!(all(|signal| signal.generate_mid = true).contains("\na=mid:1\na=rtpmap:0"));
    assert!(
        all(|signal| signal.media_address = Some("9.9.9.9".parse().unwrap()))
            .contains("\nc=IN IP4 9.9.9.9\n")
    );
    assert!(all(|signal| signal.replace.origin = true).contains("\no=alice 123 456 IN IP4 127.0.0.1\n"));
    let avpf = |signal: &mut Signal| signal.transport_protocol = Some(ng::TransportProtocol::RtpAvpf);
    assert!(offered(&audio, avpf).contains("\nm=audio P RTP/AVPF 0\n"));
}

#[test]
fn hold_by_the_unspecified_address_stays_unless_replaced() {
    let held =
        format!("{}m=audio 4000 RTP/AVP 0\n", HEAD.replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0"));
    let kept = offered(&held, |_| {});
    assert!(kept.contains("\nc=IN IP4 0.0.0.0\n") && kept.contains("\na=sendonly\n"), "{kept}");
    let replaced = offered(&held, |signal| signal.replace.zero_address = true);
    assert!(replaced.contains("\nc=IN IP4 127.0.0.1\n") && replaced.contains("\na=sendonly\n"), "{replaced}");
}

#[test]
fn an_answer_restores_the_profile_that_was_offered() {
    let mut rig = Rig::new();
    let avpf = String::from_utf8(sdp(A, "")).unwrap().replace("RTP/AVP", "RTP/AVPF").into_bytes();
    let offer = Signal { transport_protocol: Some(ng::TransportProtocol::RtpAvp), ..from_a(avpf) };
    assert!(rig.offer(offer).lines("m=")[0].contains(" RTP/AVP 0"));
    assert!(rig.answer(to_b(sdp(B, ""))).lines("m=")[0].contains(" RTP/AVPF 0"));
}

#[test]
fn an_answer_in_another_profile_is_passed_on_where_it_is_accepted() {
    let answered = |protocol, answer: &str| {
        let mut rig = Rig::new();
        rig.offer(from_a(sdp(A, "")));
        let text = String::from_utf8(sdp(B, "")).unwrap().replace("RTP/AVP", answer);
        let signal = Signal { transport_protocol: protocol, ..to_b(text.into_bytes()) };
        rig.answer(signal).lines("m=")[0].split(' ').nth(2).unwrap().to_owned()
    };
    let accept = Some(ng::TransportProtocol::Accept);
    assert_eq!(answered(None, "RTP/AVPF"), "RTP/AVP", "what was offered");
    assert_eq!(answered(accept, "RTP/AVPF"), "RTP/AVPF");
    assert_eq!(answered(accept, "RTP/AVP"), "RTP/AVP");
}

/// `a=rtcp` relative to the port, and `a=rtcp-mux`, in the offer and in the answer.
#[test]
fn rtcp_mux_is_negotiated_with_each_side() {
    let mux = |name: &str| ng::RtcpMux {
        offer: name == "offer",
        require: name == "require",
        demux: name == "demux",
        accept: name == "accept",
        reject: name == "reject",
    };
    let line = "a=rtcp-mux\r\n";
    // offered, answered, flag; then what each is shown: "own" is a port of its own, "mux" the shared one.
    let table = [
        ("", "", "", "own", "own"),
        ("", "", "offer", "own+mux", "own"),
        ("", "", "require", "mux", "own"),
        (line, line, "", "own+mux", "mux"),
        (line, line, "demux", "own", "mux"),
        (line, line, "accept", "own+mux", "mux"),
        (line, line, "offer", "own+mux", "mux"),
        (line, line, "require", "mux", "mux"),
        (line, line, "reject", "own+mux", "own"),
        (line, "", "", "own+mux", "own"),
        (line, "", "demux", "own", "mux"),
        (line, "", "accept", "own+mux", "mux"),
        (line, "", "require", "mux", "own"),
    ];
    for (offered, answered, flag, in_offer, in_answer) in table {
        let mut rig = Rig::new();
        let word = |shown: &Shown| {
            let rtcp: u16 = shown.lines("a=rtcp:")[0].strip_prefix("a=rtcp:").unwrap().parse().unwrap();
            match (rtcp - shown.port(), shown.lines("a=rtcp-mux").len()) {
                (1, 0) => "own",
                (1, 1) => "own+mux",
                (0, 1) => "mux",
                other => panic!("{other:?}"),
            }
        };
        let offer = rig.offer(Signal { rtcp_mux: mux(flag), ..from_a(sdp(A, offered)) });
        let answer = rig.answer(to_b(sdp(B, answered)));
        assert_eq!((word(&offer), word(&answer)), (in_offer, in_answer), "{offered:?} {answered:?} {flag:?}");
    }
}

#[test]
fn what_a_party_says_of_itself_can_be_held_stable() {
    let mut rig = Rig::new();
    let mut offer = |name: &str, user: &str, version: u32, port: u16, replace| {
        let text = format!(
            "v=0\r\no={user} 7 {version} IN IP4 198.51.100.1\r\ns={name}\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let shown = rig.offer(Signal { replace, ..from_a(text.into_bytes()) });
        format!("{} {}", shown.lines("o=")[0], shown.lines("s=")[0])
    };
    let none = ng::Replace::default();
    let version = ng::Replace { sdp_version: true, ..none };
    assert_eq!(offer("one", "alice", 456, 4000, version), "o=alice 7 456 IN IP4 198.51.100.1 s=one");
    assert_eq!(
        offer("one", "alice", 900, 4100, version),
        "o=alice 7 457 IN IP4 198.51.100.1 s=one",
        "changed"
    );
    assert_eq!(
        offer("one", "alice", 901, 4100, version),
        "o=alice 7 457 IN IP4 198.51.100.1 s=one",
        "not changed"
    );
    let force = ng::Replace { force_increment_sdp_version: true, ..none };
    assert_eq!(offer("one", "alice", 3, 4100, force), "o=alice 7 458 IN IP4 198.51.100.1 s=one");
    assert_eq!(offer("one", "alice", 500, 4100, force), "o=alice 7 500 IN IP4 198.51.100.1 s=one");
    let names = ng::Replace { session_name: true, username: true, ..none };
    assert_eq!(offer("two", "bob", 600, 4100, names), "o=alice 7 600 IN IP4 198.51.100.1 s=one");
    assert_eq!(offer("two", "bob", 600, 4100, none), "o=bob 7 600 IN IP4 198.51.100.1 s=two");
}

/// rtpengine 10.5.3.5 has no such word; what is expected follows the documentation of later releases.
#[test]
fn the_whole_origin_of_the_first_description_is_kept_but_for_its_version() {
    let mut rig = Rig::new();
    let mut origin = |said: &str, replace| {
        let text =
            format!("v=0\r\no={said}\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
        rig.offer(Signal { replace, ..from_a(text.into_bytes()) }).lines("o=")[0].to_owned()
    };
    let none = ng::Replace::default();
    let whole = ng::Replace { origin_full: true, ..none };
    assert_eq!(origin("alice 7 1 IN IP4 198.51.100.1", whole), "o=alice 7 1 IN IP4 198.51.100.1");
    let other = "bob 8 2 IN IP6 2001:db8::1";
    assert_eq!(origin(other, whole), "o=alice 7 2 IN IP4 198.51.100.1");
    assert_eq!(origin(other, none), format!("o={other}"));
    let with_address = ng::Replace { origin: true, ..whole };
    assert_eq!(origin(other, with_address), "o=alice 7 2 IN IP4 127.0.0.1");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    type Case = (&'static str, fn(&mut Signal), &'static str);
    let audio = format!("{HEAD}m=audio 4000 RTP/AVP 0\n");
    let cases: [Case; 6] = [
        ("a=ice-ufrag:x\n", |signal| signal.ice = Some(ng::Ice::Optional), "ICE=optional"),
        ("a=fingerprint:sha-256 00\n", |_| {}, "fingerprint"),
        ("m=audio 4002 RTP/SAVP 0\n", |_| {}, "RTP/SAVP"),
        ("m=audio 4002 UDP/TLS/RTP/SAVPF 0\n", |_| {}, "UDP/TLS/RTP/SAVPF"),
        ("", |signal| signal.ice = Some(ng::Ice::ForceRelay), "ICE=force-relay"),
        ("", |signal| signal.unsupported.push("transcode=PCMA".into()), "transcode=PCMA"),
    ];
    for (extra, edit, name) in cases {
        let text = offered(&format!("{audio}{extra}"), edit);
        assert!(text.starts_with("Not supported: ") && text.contains(name), "{text}");
    }
    let mut rig = Rig::new();
    let reply = rig.command(Command::Unsupported { name: "play media".into(), call_id: None });
    assert_eq!(reply, Reply::Error("Not supported: command play media".into()));
}

#[test]
fn ice_is_stripped_where_asked() {
    let ice = format!(
        "{HEAD}a=ice-lite\na=ice-options:trickle\nm=audio 4000 RTP/AVP 0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n\
         a=candidate:1 1 UDP 2130706431 198.51.100.1 4000 typ host\na=remote-candidates:1 1.2.3.4 5\na=x:1\n"
    );
    let shown = offered(&ice, |signal| signal.ice = Some(ng::Ice::Remove));
    assert!(!shown.contains("a=ice") && !shown.contains("candidate") && shown.contains("a=x:1\n"), "{shown}");
}

#[test]
fn answers_may_have_more_or_fewer_sections() {
    let video = "m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    for (offer, answer) in [("", video), (video, "")] {
        let mut rig = Rig::new();
        rig.offer(from_a(sdp(A, offer)));
        let shown = rig.answer(to_b(sdp(B, answer)));
        assert_eq!(shown.lines("m=").len(), 1 + usize::from(!answer.is_empty()));
        rig.delete(at_once("c"));
        rig.assert_clean();
    }
}

#[test]
fn a_description_that_comes_back_in_a_circle_is_left_alone_where_asked() {
    let mut rig = Rig::new();
    let protected = |sdp: Vec<u8>| Signal { loop_protect: true, ..from_a(sdp) };
    let shown = rig.offer(protected(sdp(A, ""))).sdp().to_owned();
    let mark = shown.find("a=rtpengine:tollgate\r\n").expect("a mark");
    assert!(mark < shown.find("m=").unwrap(), "of the session: {shown}");
    let back = Signal { call_id: "further".into(), ..protected(shown.clone().into_bytes()) };
    assert_eq!(rig.offer(back).sdp(), shown);
    assert_eq!(rig.query("further"), Reply::Error("Unknown call-id".into()), "no call was made of it");
    let unasked = Signal { call_id: "unasked".into(), ..from_a(shown.clone().into_bytes()) };
    assert_ne!(rig.offer(unasked).sdp(), shown);
    let foreign = Signal { call_id: "foreign".into(), ..protected(sdp(A, "a=rtpengine:other\r\n")) };
    let shown = rig.offer(foreign);
    assert_eq!(shown.lines("a=rtpengine:"), ["a=rtpengine:tollgate", "a=rtpengine:other"]);
}
