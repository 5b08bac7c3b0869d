//! Parties that only send, and those who subscribe to them.

use ng::{All, Publish, Selector, SubscribeAnswer, SubscribeRequest};

use super::*;

const PUB: &str = "198.51.100.7:4000";
const REC: &str = "198.51.100.9:7000";

fn publication(sdp: Vec<u8>) -> Publish {
    let signal = Signal { from_tag: "pub".into(), ..from_a(sdp) };
    Publish { signal: Box::new(signal), accept: Vec::new() }
}

fn publish(rig: &mut Rig, publication: Publish) -> Shown {
    Shown::of(rig.command(Command::Publish(publication)))
}

fn subscribe(rig: &mut Rig, selector: Selector) -> Shown {
    let signal = Signal { to_tag: Some("rec".into()), ..from_a(Vec::new()) };
    let request = SubscribeRequest { selector, from_tags: Vec::new(), signal: Box::new(signal) };
    Shown::of(rig.command(Command::SubscribeRequest(Box::new(request))))
}

fn to_publisher() -> Selector {
    Selector { from_tag: Some("pub".into()), ..Selector::default() }
}

/// One section with these codecs and lines.
fn media(formats: &str, more: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=pub 5 6 IN IP4 198.51.100.7\r\ns=show\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP {formats}\r\n{more}"
    )
    .into_bytes()
}

#[test]
fn a_publication_is_answered_by_us_with_one_codec_and_heard_by_its_subscribers() {
    let mut rig = Rig::new();
    let shown = publish(&mut rig, publication(media("9 0 8", "a=ptime:20\r\na=foo:bar\r\na=sendonly\r\n")));
    assert_eq!(
        shown
            .sdp()
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with("m=") && !line.starts_with("a=rtcp"))
            .collect::<Vec<_>>(),
        ["s=-", "t=0 0", "c=IN IP4 127.0.0.1", "a=rtpmap:9 G722/8000", "a=recvonly", "a=ptime:20"]
    );
    assert!(shown.lines("m=")[0].ends_with(" RTP/AVP 9"));
    let port = shown.port();
    assert!(rig.rtp(PUB, port).is_none());
    assert_eq!(rig.drops(DropReason::NoSink), 1, "nobody hears it yet");

    let offered = subscribe(&mut rig, to_publisher());
    assert_eq!(offered.lines("o="), ["o=pub 5 6 IN IP4 198.51.100.7"]);
    assert!(offered.lines("m=")[0].ends_with(" RTP/AVP 9"));
    assert_eq!(offered.lines("a=send"), ["a=sendonly"]);
    let answer = format!(
        "{}m=audio 7000 RTP/AVP 9\r\na=recvonly\r\n",
        "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n"
    );
    let signal = Signal { to_tag: Some("rec".into()), ..from_a(answer.into_bytes()) };
    let answer = SubscribeAnswer { signal: Box::new(signal), allow_transcoding: false };
    assert_eq!(rig.command(Command::SubscribeAnswer(answer)), Reply::Ok { warning: None });
    assert_eq!(rig.rtp(PUB, port).unwrap().1, REC.parse().unwrap());

    let moved = "v=0\r\no=pub 5 7 IN IP4 198.51.100.7\r\ns=show\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4444 RTP/AVP 9\r\na=sendonly\r\n";
    assert_eq!(publish(&mut rig, publication(moved.into())).port(), port, "the port stays");
    assert_eq!(rig.rtp("198.51.100.7:4444", port).unwrap().1, REC.parse().unwrap());
    rig.delete(Delete { from_tag: Some("rec".into()), ..at_once("c") });
    assert_eq!(rig.calls(), ["c"], "a publisher does not go with its subscribers");
    subscribe(&mut rig, to_publisher());
    rig.delete(Delete { from_tag: Some("pub".into()), ..at_once("c") });
    rig.assert_clean();
}

#[test]
fn the_codec_is_the_first_wish_that_is_offered_else_the_first_voice() {
    const NAMED: &str = "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:97 FOO/16000\r\n";
    for (formats, accept, chosen) in [
        ("9 0 8", &["PCMA", "PCMU"][..], "8"),
        ("9 0 8", &["opus", "pcmu/8000"], "0"),
        ("9 0 8", &["opus"], "9"),
        ("97 0", &["any"], "97"),
        ("97 0", &["PCMU/16000", "foo"], "97"),
        ("101 0", &[], "0"),
        ("101 13", &[], "101"),
        ("101 0", &["telephone-event"], "101"),
    ] {
        let mut rig = Rig::new();
        let accept = accept.iter().map(|&wish| wish.to_owned()).collect();
        let shown = publish(&mut rig, Publish { accept, ..publication(media(formats, NAMED)) });
        assert!(shown.lines("m=")[0].ends_with(&format!(" RTP/AVP {chosen}")), "{formats}: {shown:?}");
    }
}

#[test]
fn sections_are_answered_each_for_itself() {
    let mut rig = Rig::new();
    let more = "a=mid:a\r\na=rtcp-mux\r\na=sendonly\r\nm=video 0 RTP/AVP 96\r\nm=video 4010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\nm=image 4020 udptl t38\r\na=T38FaxVersion:0\r\n";
    let shown = publish(&mut rig, publication(media("0", more)));
    let ports: Vec<u16> =
        shown.lines("m=").iter().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(ports.iter().map(|&port| port == 0).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(shown.lines("a=mid"), ["a=mid:a"]);
    assert_eq!(shown.lines("a=rtcp:")[0], format!("a=rtcp:{}", ports[0]));
    assert_eq!(shown.lines("a=rtcp-mux").len(), 1);
    assert_eq!(shown.lines("a=inactive").len(), 1, "who does not send is not received");
    assert!(rig.rtp("198.51.100.7:4010", ports[2]).is_none());
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn who_publishes_neither_offers_nor_answers_and_the_other_way_round() {
    let mut rig = Rig::new();
    established(&mut rig);
    let of_a = Publish { signal: Box::new(from_a(sdp(A, ""))), accept: Vec::new() };
    assert_eq!(publish(&mut rig, of_a).error(), "From-tag belongs to a party that does not publish");
    publish(&mut rig, publication(media("0", "a=sendonly\r\n")));
    let offered = Signal { from_tag: "pub".into(), ..from_a(sdp(PUB, "")) };
    assert_eq!(rig.offer(offered).error(), "Tag belongs to a party that neither offers nor answers");
    let everyone = Selector { all: All::Everyone, ..Selector::default() };
    assert_eq!(subscribe(&mut rig, everyone).lines("m=").len(), 2, "those who talk");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn a_publication_that_falls_silent_ends_and_one_without_ports_never_was() {
    let mut rig = Rig::new();
    publish(&mut rig, publication(media("0", "a=sendonly\r\n")));
    rig.pass(59_000);
    assert_eq!(rig.calls(), ["c"]);
    rig.pass(2_000);
    assert_eq!(rig.calls(), [] as [&str; 0]);
    rig.assert_clean();

    let mut rig = Rig::with(|config| config.ports = PortRange::whole(20_000, 20_001, 1));
    let two = media("0", "m=audio 4010 RTP/AVP 0\r\n");
    assert_eq!(publish(&mut rig, publication(two)).error(), "Ran out of ports");
    assert_eq!(rig.calls(), [] as [&str; 0]);
    assert_eq!(publish(&mut rig, publication(b"hello".to_vec())).error(), "Failed to parse SDP");
    assert_eq!(rig.open.len(), 0);
}

#[test]
fn a_full_shard_takes_no_publication() {
    let mut rig = Rig::with(|config| config.limits.calls_max = 1);
    publish(&mut rig, publication(media("0", "")));
    let mut another = publication(media("0", ""));
    another.signal.call_id = "d".into();
    assert_eq!(publish(&mut rig, another).error(), "Parallel session limit reached");
    publish(&mut rig, publication(media("0", "")));
}

#[test]
fn what_comes_too_late_for_its_call_is_refused_and_leaves_no_report() {
    let late = |command: fn(Signal) -> Command| {
        let mut rig =
            Rig::with(|config| config.limits.final_timeout = Some(std::time::Duration::from_secs(5)));
        rig.slow = true;
        let owner = Some("me".to_owned());
        let id = rig.ask(command(Signal { owner, keep_report: true, ..from_a(sdp(A, "")) }));
        rig.now_ms += 6_000;
        rig.grant_asked();
        assert_eq!(rig.replies.remove(&id), Some(Reply::Error("The call ended meanwhile".into())));
        assert_eq!(rig.query("c"), Reply::Error("Unknown call-id".into()));
        rig.assert_clean();
    };
    late(|signal| Command::Offer(Box::new(signal)));
    late(|signal| Command::Publish(Publish { signal: Box::new(signal), accept: Vec::new() }));
}

#[test]
fn the_owner_of_a_publication_hears_its_counters() {
    let mut rig = Rig::new();
    let owned = Signal { owner: Some("me".into()), ..from_a(sdp(A, "")) };
    publish(&mut rig, Publish { signal: Box::new(owned), accept: Vec::new() });
    rig.pass(1_000);
    assert!(rig.events.iter().any(|event| matches!(event.kind, ng::EventKind::CallReport { .. })));
}

#[test]
fn how_well_a_publisher_is_heard_is_told_like_that_of_any_party() {
    let mut rig = Rig::new();
    let port = publish(&mut rig, publication(media("8", "a=sendonly\r\n"))).port();
    for number in 0..500_u16 {
        rig.pass(20);
        let mut packet = [0x55; 172];
        packet[..12].copy_from_slice(&[0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        packet[2..4].copy_from_slice(&number.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
        if number % 50 != 0 {
            rig.packet(PUB, port, &packet);
        }
    }
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    let media = &report.tags[0].medias[0];
    let quality = media.quality.as_ref().expect("it was heard");
    assert_eq!((media.codec.as_deref(), quality.lost), (Some("PCMA/8000"), 9));
    assert!(quality.mos_x100.is_some_and(|mos| (300..440).contains(&mos)), "{quality:?}");
}

#[test]
fn a_publication_of_nothing_is_refused() {
    let mut rig = Rig::new();
    let rejected = String::from_utf8(media("8", "")).unwrap().replace("audio 4000", "audio 0");
    assert_eq!(publish(&mut rig, publication(rejected.into_bytes())).error(), "Failed to create SDP");
    rig.assert_clean();
}
