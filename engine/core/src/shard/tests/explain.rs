//! Why lines of a description were changed, and sections over TCP.

use ng::{Explained, Ice, Replace, RtcpMux, SignalReply, TransportProtocol};
use proptest::prelude::*;
use rtp::sdp::Sdp;

use super::*;

fn reply(rig: &mut Rig, command: Command) -> SignalReply {
    match rig.command(command) {
        Reply::Signal(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn asking(signal: Signal) -> Box<Signal> {
    Box::new(Signal { explain: true, ..signal })
}

/// The lines of each place, sorted: the session, then every section with its `m=`.
fn places(sdp: &[u8]) -> Vec<Vec<String>> {
    let sdp = Sdp::parse(sdp).unwrap();
    let text = |line: &rtp::sdp::Line| String::from_utf8_lossy(line.bytes()).into_owned();
    let mut places = vec![sdp.session.lines().iter().map(text).collect::<Vec<_>>()];
    for media in &sdp.media {
        places.push(std::iter::once(media.line()).chain(media.section.lines()).map(text).collect());
    }
    places.iter_mut().for_each(|lines| lines.sort());
    places
}

/// What is in `these` and not in `those`, as often as it is.
fn missing(these: &[Vec<String>], those: &[Vec<String>]) -> Vec<String> {
    let mut found = Vec::new();
    for (these, those) in these.iter().zip(those) {
        let mut those = those.clone();
        for line in these {
            match those.iter().position(|other| other == line) {
                Some(index) => drop(those.remove(index)),
                None => found.push(line.clone()),
            }
        }
    }
    found.sort();
    found
}

/// Every line that differs has its reason, no other has one, and the numbers lead to the lines.
fn assert_explained(came: &[u8], reply: &SignalReply) {
    let (before, after) = (places(came), places(&reply.sdp));
    let told = |which: fn(&Explained) -> &Option<String>| {
        let mut lines: Vec<String> = reply.explain.iter().filter_map(|line| which(line).clone()).collect();
        lines.sort();
        lines
    };
    assert_eq!(told(|line| &line.was), missing(&before, &after), "gone or changed");
    assert_eq!(told(|line| &line.now), missing(&after, &before), "new");
    let lines =
        |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect() };
    let (came, goes) = (lines(came), lines(&reply.sdp));
    for line in &reply.explain {
        assert!(!line.why.is_empty());
        assert_ne!(line.was, line.now);
        let (text, lines) = match (&line.was, &line.now) {
            (Some(was), _) => (was, &came),
            (None, now) => (now.as_ref().unwrap(), &goes),
        };
        assert_eq!(&lines[line.line as usize - 1], text, "line {}", line.line);
    }
}

#[test]
fn the_reasons_of_a_plain_offer() {
    let mut rig = Rig::new();
    let came = sdp(A, "a=sendonly\r\na=ptime:20\r\na=setup:actpass\r\n");
    let reply = reply(&mut rig, Command::Offer(asking(from_a(came.clone()))));
    assert_explained(&came, &reply);
    let told: Vec<(u32, &str)> = reply.explain.iter().map(|line| (line.line, line.why.as_str())).collect();
    let [address, port, setup, pcmu, pcma, rtcp] = told[..] else { panic!("{told:?}") };
    assert_eq!(address, (4, "media comes to our address on the reader's side"));
    assert_eq!(port, (6, "media comes to a port of ours"));
    assert_eq!(setup, (10, "a handshake (DTLS) is made with each side apart"));
    let described = "a static payload type is described too";
    assert_eq!((pcmu, pcma), ((7, described), (8, described)));
    assert_eq!(rtcp.1, "RTCP comes to a port of ours (full-rtcp-attribute adds the address)");
}

#[test]
fn nothing_is_explained_unasked() {
    let mut rig = Rig::new();
    let plain = reply(&mut rig, Command::Offer(Box::new(from_a(sdp(A, "")))));
    assert_eq!(plain.explain, []);
    let asked = reply(&mut rig, Command::Offer(asking(from_a(sdp(A, "")))));
    assert_eq!(asked.sdp, plain.sdp, "asking changes nothing");
}

const MSRP: &str =
    "m=message 7777 TCP/MSRP *\r\na=accept-types:text/plain\r\na=path:msrp://10.0.0.1:7777/x;tcp\r\n";

#[test]
fn a_section_over_tcp_passes_byte_for_byte_with_a_warning() {
    let mut rig = Rig::new();
    let passed = reply(&mut rig, Command::Offer(asking(from_a(sdp(A, MSRP)))));
    let text = String::from_utf8(passed.sdp.clone()).unwrap();
    assert!(text.contains("m=message 7777 TCP/MSRP *\r\nc=IN IP4 198.51.100.1\r\na=accept-types"), "{text}");
    let warning = "TCP/MSRP passes as it came, addresses included (tcp-media=reject refuses it)";
    assert_eq!(passed.warning.as_deref(), Some(warning));
    assert_explained(&sdp(A, MSRP), &passed);
}

#[test]
fn a_section_over_tcp_is_rejected_on_demand_and_leaves_no_address() {
    let mut rig = Rig::new();
    let reject = |signal| asking(Signal { tcp_media_reject: true, ..signal });
    let rejected = reply(&mut rig, Command::Offer(reject(from_a(sdp(A, MSRP)))));
    let text = String::from_utf8(rejected.sdp.clone()).unwrap();
    assert!(text.ends_with("m=message 0 TCP/MSRP *\r\n"), "{text}");
    assert!(!text.contains("10.0.0.1") && !text.contains("c=IN IP4 198.51.100.1"), "{text}");
    assert_eq!(rejected.warning, None);
    assert_explained(&sdp(A, MSRP), &rejected);
    // Alone in its description too.
    let alone = b"v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n";
    let alone = [alone, MSRP.as_bytes()].concat();
    let signal = Signal { call_id: "d".into(), ..from_a(alone.clone()) };
    let rejected = reply(&mut rig, Command::Offer(reject(signal)));
    assert!(!String::from_utf8_lossy(&rejected.sdp).contains("c=IN IP4 198.51.100.9"));
    assert_explained(&alone, &rejected);
    let answer = sdp(B, "m=message 0 TCP/MSRP *\r\n");
    let answered = reply(&mut rig, Command::Answer(reject(to_b(answer.clone()))));
    assert_explained(&answer, &answered);
}

/// Session lines, then lines of a section, as peers send them and as they should not.
const SESSION: [&str; 7] = [
    "a=group:BUNDLE 0 1\r\n",
    "a=sendonly\r\n",
    "a=ice-lite\r\n",
    "a=tool:x\r\n",
    "b=AS:64\r\n",
    "a=inactive\r\n",
    "a=rtcp-xr:voip-metrics\r\n",
];
const SECTION: [&str; 24] = [
    "c=IN IP4 198.51.100.7\r\n",
    "c=IN IP4 198.51.100.8\r\n",
    "c=IN IP4 0.0.0.0\r\n",
    "a=rtpmap:8 PCMA/8000\r\n",
    "a=rtpmap:8 PCMA/8000/1\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=rtpmap:55 odd/8000\r\n",
    "a=fmtp:101 0-16\r\n",
    "a=fmtp:101 0-11\r\n",
    "a=rtcp-fb:* nack\r\n",
    "a=rtcp-fb:8 nack\r\n",
    "a=sendrecv\r\n",
    "a=sendonly\r\n",
    "a=inactive\r\n",
    "a=rtcp:4001\r\n",
    "a=rtcp-mux\r\n",
    "a=mid:0\r\n",
    "a=mid:x\r\n",
    "a=ptime:20\r\n",
    "a=ptime:30\r\n",
    "a=setup:active\r\n",
    "a=end-of-candidates\r\n",
    "a=candidate:1 1 UDP 1 10.0.0.1 1 typ host\r\n",
    "a=x-unknown:1\r\n",
];
const MEDIA: [&str; 8] = [
    "m=audio 4000 RTP/AVP 0 8 101\r\n",
    "m=audio 4000 RTP/AVP 8\r\n",
    "m=audio 0 RTP/AVP 0 8\r\n",
    "m=audio 4000 RTP/AVPF 8 8\r\n",
    "m=video 4002 RTP/AVP 31\r\n",
    "m=image 4004 udptl t38\r\n",
    "m=message 7777 TCP/MSRP *\r\n",
    "m=message 0 TCP/MSRP *\r\n",
];

prop_compose! {
    fn description()(
        session in proptest::sample::subsequence(SESSION.to_vec(), 0..4),
        sections in proptest::collection::vec(
            (proptest::sample::select(MEDIA.to_vec()), proptest::collection::vec(proptest::sample::select(SECTION.to_vec()), 0..10)),
            1..4,
        ),
        version in 1..3_u8,
        name in proptest::sample::select(vec!["a", "b"]),
    ) -> Vec<u8> {
        let mut text = format!(
            "v=0\r\no={name} 7 {version} IN IP4 198.51.100.1\r\ns={name}\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{}", session.concat()
        );
        for (media, lines) in sections {
            text += media;
            // Where it belongs before the attributes.
            let (first, rest): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.starts_with("c="));
            text += &(first.concat() + &rest.concat());
        }
        text.into_bytes()
    }
}

prop_compose! {
    fn options()(flags in any::<[bool; 14]>(), rtcp in proptest::option::of(any::<bool>()), profile in 0..3_u8) -> Signal {
        let [origin, origin_full, session_name, sdp_version, force, username, zero_address, mid, original, mark, reject, mux, demux, media] = flags;
        Signal {
            replace: Replace {
                origin, origin_full, session_name, sdp_version,
                force_increment_sdp_version: force, username, zero_address,
            },
            ice: Some(Ice::Remove),
            generate_mid: mid,
            original_sendrecv: original,
            loop_protect: mark,
            tcp_media_reject: reject,
            rtcp_mux: RtcpMux { offer: mux, demux, ..RtcpMux::default() },
            media_address: media.then(|| "192.0.2.77".parse().unwrap()),
            rtcp_attribute: rtcp,
            transport_protocol: [None, Some(TransportProtocol::RtpAvp), Some(TransportProtocol::RtpAvpf)][usize::from(profile)],
            explain: true,
            ..Signal::default()
        }
    }
}

proptest! {
    #[test]
    fn every_line_that_differs_has_a_reason_and_no_other_has(
        offers in proptest::collection::vec((description(), options()), 1..3),
        (answer, with) in (description(), options()),
    ) {
        let mut rig = Rig::new();
        for (sdp, options) in offers {
            let signal = Signal { call_id: "c".into(), from_tag: "A".into(), sdp: sdp.clone(), ..options };
            // Whatever is refused is not explained.
            if let Reply::Signal(reply) = rig.command(Command::Offer(Box::new(signal))) {
                assert_explained(&sdp, &reply);
            }
        }
        let tags = ("A".to_owned(), Some("B".to_owned()));
        let signal = Signal { call_id: "c".into(), from_tag: tags.0, to_tag: tags.1, sdp: answer.clone(), ..with };
        if let Reply::Signal(reply) = rig.command(Command::Answer(Box::new(signal))) {
            assert_explained(&answer, &reply);
        }
    }
}
