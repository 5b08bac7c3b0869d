//! Parties that hear others without being heard.

use ng::{All, Selector, SubscribeAnswer, SubscribeRequest, SubscriptionKind, Unsubscribe};

use super::*;

const REC: &str = "198.51.100.9:7000";

fn of(selector: Selector, to_tag: Option<&str>) -> SubscribeRequest {
    let signal = Signal { to_tag: to_tag.map(str::to_owned), ..from_a(Vec::new()) };
    SubscribeRequest { selector, from_tags: Vec::new(), signal: Box::new(signal) }
}

fn to(tag: &str) -> SubscribeRequest {
    of(Selector { from_tag: Some(tag.to_owned()), ..Selector::default() }, Some("rec"))
}

fn to_all() -> SubscribeRequest {
    of(Selector { all: All::Everyone, ..Selector::default() }, Some("rec"))
}

fn request(rig: &mut Rig, request: SubscribeRequest) -> ng::SignalReply {
    match rig.command(Command::SubscribeRequest(Box::new(request))) {
        Reply::Signal(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn refused(rig: &mut Rig, request: SubscribeRequest) -> String {
    match rig.command(Command::SubscribeRequest(Box::new(request))) {
        Reply::Error(text) => text,
        other => panic!("{other:?}"),
    }
}

fn answer(rig: &mut Rig, tag: &str, sdp: Vec<u8>) -> Reply {
    let signal = Signal { to_tag: Some(tag.to_owned()), from_tag: String::new(), ..from_a(sdp) };
    rig.command(Command::SubscribeAnswer(SubscribeAnswer {
        signal: Box::new(signal),
        allow_transcoding: false,
    }))
}

fn unsubscribe(rig: &mut Rig, tag: &str) -> Reply {
    rig.command(Command::Unsubscribe(Unsubscribe { call_id: "c".into(), to_tag: tag.into() }))
}

const OK: Reply = Reply::Ok { warning: None };

/// The ports of the sections.
fn ports(reply: &ng::SignalReply) -> Vec<u16> {
    let text = String::from_utf8(reply.sdp.clone()).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("m="));
    lines.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
}

/// Everybody who gets what `from` sends to `port`: of the packet, then of its copies.
fn hearers(rig: &mut Rig, from: &str, port: u16) -> Vec<String> {
    rig.copies.clear();
    let first = rig.rtp(from, port).map(|(_, remote)| remote);
    first.into_iter().chain(rig.copies.iter().map(|(_, to, _)| *to)).map(|to| to.to_string()).collect()
}

/// A call of A and B that `rec` hears; the ports where B and A are heard, and those of `rec`.
fn recorded(rig: &mut Rig, whom: SubscribeRequest) -> (u16, u16, Vec<u16>) {
    let (toward_b, toward_a) = established(rig);
    let ports = ports(&request(rig, whom));
    let sections = ports.len();
    let more = format!(
        "a=recvonly\r\n{}",
        "m=audio 7100 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n".repeat(sections - 1)
    );
    assert_eq!(answer(rig, "rec", sdp(REC, &more)), OK);
    (toward_b, toward_a, ports)
}

#[test]
fn a_subscriber_is_shown_what_a_party_sends_and_hears_it_once_it_has_answered() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    let reply = request(&mut rig, to("A"));
    assert_eq!((reply.from_tags.as_slice(), reply.to_tag.as_deref()), (&["A".to_owned()][..], Some("rec")));
    let shown = Shown::of(Reply::Signal(reply));
    assert!(![toward_a, toward_b].contains(&shown.port()));
    assert_eq!(shown.lines("o="), ["o=alice 123 456 IN IP4 198.51.100.1"]);
    assert_eq!(shown.lines("c="), ["c=IN IP4 127.0.0.1"]);
    assert_eq!(shown.lines("a=send"), ["a=sendonly"]);
    assert_eq!(hearers(&mut rig, A, toward_a), [B], "it has not answered");
    assert_eq!(answer(&mut rig, "rec", sdp(REC, "a=recvonly\r\n")), OK);
    assert_eq!(hearers(&mut rig, A, toward_a), [B, REC]);
    assert_eq!(hearers(&mut rig, B, toward_b), [A], "B was not asked for");
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    rig.copies.clear();
    assert_eq!(rig.packet("198.51.100.1:4001", toward_a + 1, &report).unwrap().1.port(), 5001);
    assert_eq!(rig.copies[0].1, "198.51.100.9:7001".parse().unwrap());
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn what_a_subscriber_sends_is_heard_by_nobody() {
    let mut rig = Rig::new();
    let (.., ports) = recorded(&mut rig, to("A"));
    let before = rig.drops(DropReason::NoSink);
    assert_eq!(hearers(&mut rig, REC, ports[0]), [] as [&str; 0]);
    assert!(rig.packet("198.51.100.9:7001", ports[0] + 1, &[0x80, 201, 0, 1, 0, 0, 0, 1]).is_none());
    assert_eq!(rig.drops(DropReason::NoSink), before + 2);
    assert!(rig.rtp("203.0.113.5:7000", ports[0]).is_none());
    assert_eq!(rig.drops(DropReason::UnknownSource), 1, "a stranger is none the less one");
}

#[test]
fn several_parties_are_heard_each_in_its_own_section() {
    for whom in [
        to_all(),
        SubscribeRequest {
            from_tags: vec!["A".into(), "B".into(), "X".into()],
            ..of(Selector::default(), Some("rec"))
        },
    ] {
        let mut rig = Rig::new();
        let (toward_b, toward_a) = established(&mut rig);
        let reply = request(&mut rig, whom.clone());
        assert_eq!(reply.from_tags, ["A", "B"]);
        let text = String::from_utf8(reply.sdp.clone()).unwrap();
        let [one, two] = ports(&reply)[..] else { panic!("{text}") };
        assert!(!text.contains("198.51.100."), "{text}");
        assert_eq!(text.matches("a=sendonly\r\n").count(), 2);
        let section = "RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=recvonly\r\n";
        let both = sdp(REC, &format!("m=audio 7100 {section}"));
        assert_eq!(answer(&mut rig, "rec", both), OK);
        assert_eq!(hearers(&mut rig, A, toward_a), [B, REC]);
        assert_eq!(rig.copies[0].0.port(), one);
        assert_eq!(hearers(&mut rig, B, toward_b), [A, "198.51.100.9:7100"]);
        assert_eq!(rig.copies[0].0.port(), two);
        let again = request(&mut rig, whom);
        assert_eq!(again.sdp, reply.sdp, "the same session, unchanged");
    }
}

#[test]
fn a_party_is_chosen_by_label_or_address_and_one_without_a_tag_gets_one() {
    let mut rig = Rig::new();
    rig.offer(Signal { label: Some("caller".into()), ..from_a(sdp(A, "")) });
    rig.answer(to_b(sdp(B, "")));
    let label = Selector { label: Some("caller".into()), ..Selector::default() };
    assert_eq!(request(&mut rig, of(label, Some("one"))).from_tags, ["A"]);
    let address = Selector { address: "198.51.100.2".parse().ok(), ..Selector::default() };
    let [first, second] = [(); 2].map(|()| request(&mut rig, of(address.clone(), None)));
    assert_eq!(first.from_tags, ["B"]);
    let tags = [first.to_tag.unwrap(), second.to_tag.unwrap()];
    assert!(tags.iter().all(|tag| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())));
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn whoever_cannot_be_heard_is_refused_with_the_reason() {
    let mut rig = Rig::new();
    established(&mut rig);
    let elsewhere = Signal { call_id: "other".into(), ..from_a(Vec::new()) };
    let elsewhere = SubscribeRequest { signal: Box::new(elsewhere), ..to("A") };
    for (asked, text) in [
        (to("X"), "From-tag given, but no such tag exists"),
        (elsewhere, "Unknown call-ID"),
        (of(Selector::default(), Some("rec")), "No monologues matched"),
        (
            of(Selector { label: Some("x".into()), ..Selector::default() }, None),
            "No monologue matching the given label",
        ),
        (
            SubscribeRequest { signal: Box::new(to_b(Vec::new())), ..to("A") },
            "To-tag belongs to a party that is no subscriber",
        ),
    ] {
        assert_eq!(refused(&mut rig, asked), text);
    }
    request(&mut rig, to("A"));
    let chain = of(Selector { from_tag: Some("rec".into()), ..Selector::default() }, Some("rec2"));
    assert_eq!(refused(&mut rig, chain), "The party to be heard has sent no description");
    let secure =
        Signal { transport_protocol: Some(ng::TransportProtocol::UdpTlsRtpSavp), ..to_b(Vec::new()) };
    let secure = SubscribeRequest { signal: Box::new(secure), ..to("A") };
    assert_eq!(refused(&mut rig, secure), "Not supported: transport-protocol=UDP/TLS/RTP/SAVP");
}

#[test]
fn a_repeat_hears_whom_it_names_and_nobody_else() {
    let mut rig = Rig::new();
    let (toward_b, toward_a, ports_before) = recorded(&mut rig, to("A"));
    assert_eq!(ports(&request(&mut rig, to("B"))), ports_before, "the same ports");
    assert_eq!(hearers(&mut rig, A, toward_a), [B]);
    assert_eq!(hearers(&mut rig, B, toward_b), [A, REC]);
    request(&mut rig, to_all());
    assert_eq!(hearers(&mut rig, A, toward_a), [B, REC]);
    assert_eq!(hearers(&mut rig, B, toward_b), [A], "its section has no answer yet");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn the_version_of_a_session_of_ours_rises_when_it_changes() {
    let mut rig = Rig::new();
    established(&mut rig);
    let version = |reply: ng::SignalReply| {
        let shown = Shown::of(Reply::Signal(reply));
        let origin: Vec<u64> = shown.lines("o=")[0].split(' ').filter_map(|word| word.parse().ok()).collect();
        (origin[0], origin[1])
    };
    let first = version(request(&mut rig, to_all()));
    assert_eq!(first.0, first.1);
    assert_eq!(version(request(&mut rig, to_all())), first);
    rig.offer(to_b(sdp(A, "a=sendonly\r\n")));
    rig.answer(to_b(sdp(B, "a=recvonly\r\n")));
    assert_eq!(version(request(&mut rig, to_all())), (first.0, first.1 + 1));
}

#[test]
fn an_answer_without_an_offered_codec_is_refused_and_changes_nothing() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    request(&mut rig, to("A"));
    let only = |media: &str| {
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n{media}")
            .into_bytes()
    };
    const FEWER: &str = "m=audio 7000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let failed = || Reply::Error("Failed to process subscription answer".into());
    for media in [
        FEWER.to_owned(),
        "m=audio 7000 RTP/AVP 0 8 110\r\na=rtpmap:110 telephone-event/8000\r\n".into(),
        "m=video 7000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n".into(),
        "m=audio 7000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=audio 7100 RTP/AVP 0\r\n"
            .into(),
    ] {
        assert_eq!(answer(&mut rig, "rec", only(&media)), failed(), "{media}");
    }
    let signal = Signal { to_tag: Some("rec".into()), ..from_a(only(FEWER)) };
    let transcoded = SubscribeAnswer { signal: Box::new(signal), allow_transcoding: true };
    let text = "Not supported: transcoding for a subscriber that does not accept pcma/8000";
    assert_eq!(rig.command(Command::SubscribeAnswer(transcoded)), Reply::Error(text.into()));
    assert_eq!(hearers(&mut rig, A, toward_a), [B]);
    for (tag, text) in
        [("nobody", "To-tag not found"), ("B", "To-tag belongs to a party that is no subscriber")]
    {
        assert_eq!(answer(&mut rig, tag, sdp(REC, "")), Reply::Error(text.into()));
    }
    assert_eq!(answer(&mut rig, "rec", b"hello".to_vec()), Reply::Error("Failed to parse SDP".into()));
    assert_eq!(answer(&mut rig, "rec", only("m=audio 0 RTP/AVP 0\r\n")), OK);
    assert_eq!(hearers(&mut rig, A, toward_a), [B], "it does not want to hear");
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    rig.copies.clear();
    assert!(rig.packet("198.51.100.1:4001", toward_a + 1, &report).is_some(), "B is told");
    assert!(rig.copies.is_empty(), "RTCP goes to a refused section neither");
    assert_eq!(answer(&mut rig, "rec", sdp(REC, "a=inactive\r\n")), OK);
    assert_eq!(hearers(&mut rig, A, toward_a), [B], "nor now");
    assert_eq!(answer(&mut rig, "rec", sdp(REC, "")), OK);
    assert_eq!(hearers(&mut rig, A, toward_a), [B, REC]);
}

#[test]
fn an_end_gives_the_ports_back_and_the_call_goes_on() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    let free = rig.shard.free_port_pairs();
    request(&mut rig, to_all());
    assert_eq!(rig.shard.free_port_pairs(), free - 2);
    assert_eq!(unsubscribe(&mut rig, "rec"), OK);
    assert_eq!(rig.shard.free_port_pairs(), free);
    assert_eq!(hearers(&mut rig, A, toward_a), [B]);
    assert_eq!(unsubscribe(&mut rig, "rec"), Reply::Ok { warning: Some("To-tag not found".into()) });
    let no_subscriber = Reply::Error("To-tag belongs to a party that is no subscriber".into());
    assert_eq!(unsubscribe(&mut rig, "B"), no_subscriber);
    let elsewhere = Unsubscribe { call_id: "other".into(), to_tag: "rec".into() };
    assert_eq!(rig.command(Command::Unsubscribe(elsewhere)), Reply::Error("Unknown call-ID".into()));
    for _ in 0..2 * rig.shard.limits.legs_max {
        request(&mut rig, to("A"));
        assert_eq!(unsubscribe(&mut rig, "rec"), OK);
    }
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn a_subscriber_goes_with_the_last_party_it_hears_and_keeps_nobody() {
    let mut rig = Rig::new();
    recorded(&mut rig, to_all());
    rig.delete(Delete { from_tag: Some("rec".into()), ..at_once("c") });
    assert_eq!(rig.calls(), ["c"], "the call goes on without its recorder");
    request(&mut rig, to("A"));
    rig.delete(Delete { from_tag: Some("B".into()), ..at_once("c") });
    rig.assert_clean();

    let branch = |name: &str, tag: &str, at| Signal {
        to_tag: Some(tag.into()),
        via_branch: Some(name.into()),
        ..from_a(sdp(at, ""))
    };
    for name in ["v1", "v2"] {
        rig.offer(Signal { via_branch: Some(name.into()), ..from_a(sdp(A, "")) });
    }
    rig.answer(branch("v1", "B1", B));
    rig.answer(branch("v2", "B2", "198.51.100.3:6000"));
    let sockets = rig.open.len();
    request(&mut rig, to("B1"));
    let gone = Delete { from_tag: Some("A".into()), to_tag: Some("B1".into()), ..at_once("c") };
    rig.delete(Delete { delay: DeleteDelay::Seconds(1), ..gone });
    assert!(rig.open.len() > sockets);
    rig.pass(2_000);
    assert_eq!(rig.open.len(), sockets - 2, "B1 and its recorder");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn a_query_says_who_hears_whom_by_what() {
    let mut rig = Rig::new();
    recorded(
        &mut rig,
        SubscribeRequest {
            signal: Box::new(Signal {
                set_label: Some("siprec".into()),
                to_tag: Some("rec".into()),
                ..from_a(Vec::new())
            }),
            ..to("A")
        },
    );
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    let heard = |list: &[ng::Subscription]| -> Vec<(String, SubscriptionKind)> {
        list.iter().map(|entry| (entry.tag.clone(), entry.kind)).collect()
    };
    let [a, b, rec] =
        ["A", "B", "rec"].map(|tag| report.tags.iter().find(|status| status.tag == tag).unwrap());
    let talk = |tag: &str| (tag.to_owned(), SubscriptionKind::OfferAnswer);
    let listen = |tag: &str| (tag.to_owned(), SubscriptionKind::PubSub);
    assert_eq!(
        (heard(&a.subscriptions), heard(&a.subscribers)),
        (vec![talk("B")], vec![talk("B"), listen("rec")])
    );
    assert_eq!((heard(&b.subscriptions), heard(&b.subscribers)), (vec![talk("A")], vec![talk("A")]));
    assert_eq!((heard(&rec.subscriptions), heard(&rec.subscribers)), (vec![listen("A")], vec![]));
    assert_eq!(rec.label.as_deref(), Some("siprec"));
    assert_eq!(rec.medias[0].flags, ["initialized", "send"]);
}

#[test]
fn a_subscriber_neither_holds_a_call_nor_keeps_it_alive() {
    let mut rig = Rig::new();
    let (.., ports) = recorded(&mut rig, to("A"));
    rig.pass(59_000);
    assert!(rig.rtp(REC, ports[0]).is_none());
    assert_eq!(rig.calls(), ["c"]);
    rig.pass(2_000);
    assert_eq!(rig.calls(), [] as [&str; 0], "a minute without a packet of those who talk");
    rig.assert_clean();
}

#[test]
fn a_subscriber_neither_offers_nor_answers() {
    let mut rig = Rig::new();
    recorded(&mut rig, to("A"));
    let text = "Tag belongs to a party that neither offers nor answers";
    let offered = Signal { from_tag: "rec".into(), ..from_a(sdp(REC, "")) };
    assert_eq!(rig.offer(offered).error(), text);
    let answered = Signal { to_tag: Some("rec".into()), ..from_a(sdp(REC, "")) };
    assert_eq!(rig.answer(answered).error(), text);
}

#[test]
fn without_ports_there_is_no_subscriber_and_the_call_goes_on() {
    let mut rig = Rig::with(|config| config.ports = PortRange::whole(20_000, 20_005, 1));
    let (toward_b, toward_a) = established(&mut rig);
    assert_eq!(refused(&mut rig, to_all()), "Ran out of ports");
    assert_eq!(hearers(&mut rig, A, toward_a), [B]);
    assert_eq!(hearers(&mut rig, B, toward_b), [A]);
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    assert_eq!(report.tags.len(), 2);
    assert_eq!(ports(&request(&mut rig, to("A"))).len(), 1, "for one there are");
    assert_eq!(refused(&mut rig, to_all()), "Ran out of ports");
    assert_eq!(answer(&mut rig, "rec", sdp(REC, "")), OK, "what was there stays");
    assert_eq!(hearers(&mut rig, A, toward_a), [B, REC]);
}

#[test]
fn a_port_in_use_is_passed_over_and_an_answer_waits_for_its_request() {
    let mut rig = Rig::new();
    established(&mut rig);
    rig.taken = (20_000..20_999).filter(|port| port % 8 < 4).collect();
    rig.slow = true;
    let asked = rig.ask(Command::SubscribeRequest(Box::new(to("A"))));
    let signal = Signal { to_tag: Some("rec".into()), ..from_a(sdp(REC, "")) };
    let answered = rig.ask(Command::SubscribeAnswer(SubscribeAnswer {
        signal: Box::new(signal),
        allow_transcoding: false,
    }));
    let ended = rig.ask(Command::Unsubscribe(Unsubscribe { call_id: "c".into(), to_tag: "rec".into() }));
    assert!(rig.replies.is_empty());
    while !rig.asked.is_empty() {
        rig.grant_asked();
    }
    let Some(Reply::Signal(reply)) = rig.replies.remove(&asked) else { panic!("a description") };
    assert!(ports(&reply)[0] % 8 >= 4);
    assert_eq!([answered, ended].map(|id| rig.replies.remove(&id)), [Some(OK), Some(OK)]);
    rig.slow = false;
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn parties_and_sections_are_bounded() {
    let mut rig = Rig::with(|config| (config.limits.legs_max, config.limits.medias_max) = (3, 2));
    rig.offer(from_a(sdp(A, "m=audio 4100 RTP/AVP 0\r\n")));
    rig.answer(to_b(sdp(B, "m=audio 5100 RTP/AVP 0\r\n")));
    assert_eq!(refused(&mut rig, to_all()), "Too many media sections in one description");
    request(&mut rig, to("A"));
    let another = of(Selector { from_tag: Some("A".into()), ..Selector::default() }, Some("rec2"));
    assert_eq!(refused(&mut rig, another), "Too many parties in this call");
}

#[test]
fn rtcp_shares_the_port_where_it_was_offered_and_answered_so() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    let mut asked = to("A");
    asked.signal.rtcp_mux.offer = true;
    let shown = Shown::of(Reply::Signal(request(&mut rig, asked)));
    assert_eq!(shown.lines("a=rtcp-mux").len(), 1);
    assert_eq!(answer(&mut rig, "rec", sdp(REC, "a=rtcp-mux\r\n")), OK);
    rig.copies.clear();
    rig.packet("198.51.100.1:4001", toward_a + 1, &[0x80, 200, 0, 1, 0, 0, 0, 1]).unwrap();
    assert_eq!(rig.copies[0].1, REC.parse().unwrap());
    assert_eq!(answer(&mut rig, "rec", sdp(REC, "")), OK);
    rig.copies.clear();
    rig.packet("198.51.100.1:4001", toward_a + 1, &[0x80, 200, 0, 1, 0, 0, 0, 1]).unwrap();
    assert_eq!(rig.copies[0].1, "198.51.100.9:7001".parse().unwrap());
}

#[test]
fn sections_that_nobody_can_hear_are_rejected_and_tell_no_address() {
    let mut rig = Rig::new();
    let more = "m=video 0 RTP/AVP 96\r\nm=message 4555 TCP/MSRP *\r\na=path:msrp://198.51.100.1:4555/x\r\nm=image 4200 udptl t38\r\na=T38FaxVersion:0\r\n";
    rig.offer(from_a(sdp(A, more)));
    let toward_a = rig.answer(to_b(sdp(B, more)));
    for whom in [to("A"), to_all()] {
        let reply = request(&mut rig, whom);
        let rejected = ports(&reply).iter().map(|&port| port == 0).collect::<Vec<_>>();
        assert_eq!(rejected[..4], [false, true, true, false]);
        let shown = Shown::of(Reply::Signal(reply));
        assert!(shown.lines("a=path").is_empty() && !shown.lines("a=T38FaxVersion:0").is_empty());
        assert!(shown.lines("c=").iter().all(|line| *line == "c=IN IP4 127.0.0.1"));
    }
    let fax: u16 = toward_a.lines("m=image")[0].split(' ').nth(1).unwrap().parse().unwrap();
    let answered = "m=video 0 RTP/AVP 96\r\nm=message 0 TCP/MSRP *\r\nm=image 7200 udptl t38\r\n";
    request(&mut rig, to("A"));
    assert_eq!(answer(&mut rig, "rec", sdp(REC, answered)), OK);
    rig.copies.clear();
    rig.packet("198.51.100.1:4200", fax, b"fax").unwrap();
    assert_eq!(rig.copies[0].1, "198.51.100.9:7200".parse().unwrap());
}

#[test]
fn the_options_of_an_offer_shape_the_description() {
    let mut rig = Rig::new();
    established(&mut rig);
    let signal = Signal {
        to_tag: Some("rec".into()),
        interface: Some("pub".into()),
        transport_protocol: Some(ng::TransportProtocol::RtpAvpf),
        generate_mid: true,
        replace: ng::Replace { origin: true, ..ng::Replace::default() },
        ..from_a(Vec::new())
    };
    let shown =
        Shown::of(Reply::Signal(request(&mut rig, SubscribeRequest { signal: Box::new(signal), ..to("A") })));
    assert_eq!(shown.lines("c="), ["c=IN IP4 203.0.113.9"]);
    assert_eq!(shown.lines("o="), ["o=alice 123 456 IN IP4 203.0.113.9"]);
    assert!(shown.lines("m=")[0].contains(" RTP/AVPF "));
    assert_eq!(shown.lines("a=mid"), ["a=mid:1"]);
}
