//! Parties that are connected without an offer and an answer.
//!
//! rtpengine 10.5.3.5 has no `connect`; what is expected here follows the documentation of its later releases.

use ng::{Connect, Selector, SubscriptionKind};

use super::*;

const C: &str = "198.51.100.3:6000";
const D: &str = "198.51.100.4:7000";

fn connect(from: &str, to: &str, to_call_id: Option<&str>) -> Connect {
    Connect {
        selector: Selector { from_tag: Some(from.into()), ..Selector::default() },
        to_call_id: to_call_id.map(str::to_owned),
        bidirectional: true,
        signal: Box::new(Signal { from_tag: from.into(), to_tag: Some(to.into()), ..from_a(Vec::new()) }),
        ..Connect::default()
    }
}

fn ask(rig: &mut Rig, connect: Connect) -> Reply {
    rig.command(Command::Connect(Box::new(connect)))
}

fn text(reply: Reply) -> String {
    match reply {
        Reply::Error(text) => text,
        other => panic!("{other:?}"),
    }
}

const OK: Reply = Reply::Ok { warning: None };

fn other_call(signal: Signal) -> Signal {
    Signal { call_id: "d".into(), from_tag: "C".into(), ..signal }
}

/// A and B talk in one call, C and D in another; where A, B, C and D are heard.
fn two_calls(rig: &mut Rig) -> [u16; 4] {
    let (toward_b, toward_a) = established(rig);
    let toward_d = rig.offer(other_call(from_a(sdp(C, "")))).port();
    let answer = Signal { to_tag: Some("D".into()), ..from_a(sdp(D, "")) };
    let toward_c = rig.answer(other_call(answer)).port();
    [toward_a, toward_b, toward_c, toward_d]
}

fn heard_by(rig: &mut Rig, from: &str, port: u16) -> Vec<String> {
    rig.copies.clear();
    let first = rig.rtp(from, port).map(|(_, remote)| remote);
    first.into_iter().chain(rig.copies.iter().map(|(_, to, _)| *to)).map(|to| to.to_string()).collect()
}

const NOBODY: [&str; 0] = [];

#[test]
fn parties_of_two_calls_hear_each_other_and_the_calls_are_one() {
    let mut rig = Rig::new();
    let [a, b, c, d] = two_calls(&mut rig);
    assert_eq!(ask(&mut rig, connect("A", "D", Some("d"))), OK);
    assert_eq!(heard_by(&mut rig, A, a), [D]);
    assert_eq!(heard_by(&mut rig, D, d), [A]);
    assert_eq!(heard_by(&mut rig, B, b), NOBODY, "whoever they talked to talks to nobody");
    assert_eq!(heard_by(&mut rig, C, c), NOBODY);
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    assert_eq!(rig.packet("198.51.100.1:4001", a + 1, &report).unwrap().1.port(), 7001);
    assert_eq!(rig.calls(), ["c", "d"], "both names");
    assert_eq!(rig.shard.counters().calls_live, 1, "one call");
    for name in ["c", "d"] {
        let Reply::Report(report) = rig.query(name) else { panic!("a report") };
        assert_eq!(report.tags.iter().map(|tag| tag.tag.as_str()).collect::<Vec<_>>(), ["A", "B", "C", "D"]);
        assert_eq!(
            report.tags[0].subscribers,
            [ng::Subscription { tag: "D".into(), kind: SubscriptionKind::OfferAnswer }]
        );
    }
    let moved = Signal { to_tag: Some("D".into()), ..from_a(sdp("198.51.100.1:4400", "")) };
    rig.offer(moved);
    assert_eq!(heard_by(&mut rig, D, d), ["198.51.100.1:4400"], "they can be renegotiated");
    rig.delete(at_once("d"));
    rig.assert_clean();
    assert_eq!(rig.query("c"), Reply::Error("Unknown call-id".into()));
}

#[test]
fn one_way_is_heard_besides_what_was() {
    let mut rig = Rig::new();
    let [a, b, c, d] = two_calls(&mut rig);
    ask(&mut rig, Connect { bidirectional: false, ..connect("A", "D", Some("d")) });
    assert_eq!(heard_by(&mut rig, A, a), [B, D]);
    assert_eq!(heard_by(&mut rig, B, b), [A]);
    assert_eq!(heard_by(&mut rig, D, d), [C], "it is heard where it was");
    assert_eq!(heard_by(&mut rig, C, c), NOBODY, "D hears A now");
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    let d = report.tags.iter().find(|tag| tag.tag == "D").unwrap();
    assert_eq!(d.subscriptions, [ng::Subscription { tag: "A".into(), kind: SubscriptionKind::PubSub }]);
    rig.delete(Delete { from_tag: Some("A".into()), ..at_once("c") });
    assert_eq!(rig.calls(), ["c", "d"], "C and D are still there");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn branches_of_one_call_are_connected_in_place() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    rig.answer(Signal { to_tag: Some("C".into()), ..from_a(sdp(C, "")) });
    assert_eq!(heard_by(&mut rig, A, toward_a), [C]);
    assert_eq!(ask(&mut rig, connect("A", "B", None)), OK);
    assert_eq!(heard_by(&mut rig, A, toward_a), [B]);
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn what_cannot_be_connected_says_why_and_stays_as_it_was() {
    let mut rig = Rig::new();
    let [a, _, _, d] = two_calls(&mut rig);
    let own = "v=0\r\no=- 1 1 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 198.51.100.5\r\nt=0 0\r\n";
    let lone = |call: &str, media: &str| Signal {
        call_id: call.into(),
        from_tag: "E".into(),
        ..from_a(format!("{own}{media}").into_bytes())
    };
    rig.offer(lone("g722", "m=audio 4000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
    rig.offer(lone("video", "m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"));
    rig.offer(Signal { from_tag: "A".into(), ..lone("twin", "m=audio 4000 RTP/AVP 0\r\n") });
    let several = Connect { from_tags: vec!["B".into()], ..connect("A", "D", Some("d")) };
    for (asked, reason) in [
        (connect("A", "D", Some("nowhere")), "Unknown call-ID"),
        (connect("X", "D", Some("d")), "From-tag given, but no such tag exists"),
        (connect("A", "X", Some("d")), "To-tag not found"),
        (connect("A", "A", None), "Invalid dialogue association"),
        (
            connect("A", "E", Some("g722")),
            "Not supported: transcoding, and the audio of both has no codec in common",
        ),
        (connect("A", "E", Some("video")), "The parties have no media of one kind"),
        (connect("A", "A", Some("twin")), "Both calls have a party of the same tag"),
        (several, "Not supported: several parties connected to one, for nothing mixes their voices"),
    ] {
        assert_eq!(text(ask(&mut rig, asked)), reason);
    }
    assert_eq!(heard_by(&mut rig, A, a), [B]);
    assert_eq!(heard_by(&mut rig, D, d), [C]);
    assert_eq!(rig.shard.counters().calls_live, 5);
}

#[test]
fn owners_agree_and_the_first_lease_to_end_ends_both() {
    let mut rig = Rig::new();
    let owned = |signal: Signal, owner: &str, lease_ms| Signal {
        owner: Some(owner.into()),
        epoch: Some(1),
        lease_ms: Some(lease_ms),
        keep_report: true,
        ..signal
    };
    rig.offer(owned(from_a(sdp(A, "")), "one", 60_000));
    rig.answer(to_b(sdp(B, "")));
    rig.offer(owned(other_call(from_a(sdp(C, ""))), "two", 5_000));
    assert_eq!(text(ask(&mut rig, connect("A", "C", Some("d")))), "Call has another owner");
    rig.delete(at_once("d"));
    rig.offer(owned(other_call(from_a(sdp(C, ""))), "one", 5_000));
    assert_eq!(ask(&mut rig, connect("A", "C", Some("d"))), OK);
    rig.pass(5_000);
    assert_eq!(rig.calls(), [] as [&str; 0]);
    for name in ["c", "d"] {
        assert!(matches!(rig.query(name), Reply::Report(_)), "{name} has its report");
    }
    assert_eq!(rig.open.len(), 0);
}

#[test]
fn a_connection_waits_for_either_call() {
    for (slow, then) in [("c", "d"), ("d", "c")] {
        let mut rig = Rig::new();
        let [a, ..] = two_calls(&mut rig);
        rig.slow = true;
        let from = if slow == "c" { "A" } else { "C" };
        let moved = Signal {
            call_id: slow.into(),
            from_tag: from.into(),
            to_tag: None,
            ..from_a(sdp("198.51.100.8:4400", ""))
        };
        let offer = rig.ask(Command::Offer(Box::new(Signal { via_branch: Some("v".into()), ..moved })));
        let asked = rig.ask(Command::Connect(Box::new(connect("A", "D", Some("d")))));
        assert!(rig.replies.is_empty(), "{slow} is busy, {then} is not");
        while !rig.asked.is_empty() {
            rig.grant_asked();
        }
        assert!(matches!(rig.replies.remove(&offer), Some(Reply::Signal(_))));
        assert_eq!(rig.replies.remove(&asked), Some(OK));
        if slow == "d" {
            assert_eq!(heard_by(&mut rig, A, a), [D]);
        }
        rig.slow = false;
        rig.delete(at_once("c"));
        rig.assert_clean();
    }
}

#[test]
fn whoever_was_recorded_still_is_and_nobody_else() {
    let taps = |rig: &Rig| -> Vec<bool> {
        let call = rig.shard.calls.get(rig.shard.calls.by_name("c").unwrap()).unwrap();
        call.parties().map(|(_, leg)| rig.shard.paths[leg.medias[0].rtp].tap.is_some()).collect()
    };
    for (recorded, expected) in [
        (&["c"][..], [true, true, false, false]),
        (&["d"], [false, false, true, true]),
        (&["c", "d"], [true; 4]),
    ] {
        let mut rig = Rig::with(|config| config.limits.recordings_max = 4);
        two_calls(&mut rig);
        for call in recorded {
            let recording = ng::Recording { call_id: (*call).to_owned(), ..ng::Recording::default() };
            assert_eq!(rig.command(Command::StartRecording(Box::new(recording))), OK);
        }
        assert_eq!(ask(&mut rig, connect("A", "D", Some("d"))), OK);
        assert_eq!(taps(&rig), expected, "{recorded:?}");
        assert_eq!(rig.shard.recordings.len(), 1);
        rig.delete(at_once("c"));
        assert_eq!(rig.shard.recordings.len(), 0);
        rig.assert_clean();
    }
}

#[test]
fn a_call_has_a_bounded_number_of_names() {
    let mut rig = Rig::new();
    established(&mut rig);
    let mut merged = 0;
    for number in 0..40 {
        let (call, tag) = (format!("n{number}"), format!("T{number}"));
        rig.offer(Signal { call_id: call.clone(), from_tag: tag.clone(), ..from_a(sdp(C, "")) });
        let reply = ask(&mut rig, connect("A", &tag, Some(&call)));
        if reply != OK {
            assert_eq!(text(reply), "Too many calls are one already");
            rig.delete(at_once(&call));
            continue;
        }
        merged += 1;
        rig.delete(Delete { from_tag: Some(tag), ..at_once("c") });
    }
    assert_eq!(merged, 32);
    rig.delete(at_once("n3"));
    rig.assert_clean();
}
