//! What is left of two calls that became one.

use ng::{Connect, Selector};

use super::*;

const C: &str = "198.51.100.3:6000";
const D: &str = "198.51.100.4:7000";
const OK: Reply = Reply::Ok { warning: None };

/// A party of call `c` is connected with one of call `d`.
fn connect(from: &str, to: &str) -> Command {
    Command::Connect(Box::new(Connect {
        selector: Selector { from_tag: Some(from.into()), ..Selector::default() },
        to_call_id: Some("d".into()),
        bidirectional: true,
        signal: Box::new(Signal { from_tag: from.into(), to_tag: Some(to.into()), ..from_a(Vec::new()) }),
        ..Connect::default()
    }))
}

fn in_d(from: &str, to: Option<&str>, at: &str) -> Signal {
    let to_tag = to.map(str::to_owned);
    Signal { call_id: "d".into(), from_tag: from.into(), to_tag, ..from_a(sdp(at, "")) }
}

#[test]
fn whom_somebody_was_last_in_an_offer_with_is_the_same_one_as_before() {
    let mut rig = Rig::new();
    rig.offer(in_d("C", None, C));
    rig.offer(Signal { via_branch: Some("1".into()), ..in_d("C", None, C) });
    established(&mut rig);
    assert_eq!(rig.command(connect("A", "C")), OK);
    // The untagged one that C was offered to last is meant, and not whoever had its place in the other call.
    rig.delete(Delete { from_tag: Some("C".into()), to_tag: Some("X".into()), ..at_once("d") });
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    let tags: Vec<&str> = report.tags.iter().map(|tag| tag.tag.as_str()).collect();
    assert!(!tags.contains(&"C"), "{tags:?}");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn whatever_waited_behind_the_connection_is_answered() {
    let mut rig = Rig::new();
    established(&mut rig);
    rig.offer(in_d("C", None, C));
    rig.answer(in_d("C", Some("D"), D));
    rig.slow = true;
    let ids = [
        Command::Offer(Box::new(Signal {
            via_branch: Some("v".into()),
            ..in_d("C", None, "198.51.100.3:6600")
        })),
        connect("A", "D"),
        Command::Answer(Box::new(in_d("C", Some("D"), D))),
        Command::Delete(Box::new(at_once("d"))),
    ]
    .map(|command| rig.ask(command));
    while !rig.asked.is_empty() {
        rig.grant_asked();
    }
    let answered = ids.map(|id| rig.replies.contains_key(&id));
    assert_eq!(answered, [true; 4]);
    rig.assert_clean();
}

#[test]
fn reports_of_our_own_go_on_whichever_call_asked_for_them() {
    let mut rig = Rig::new();
    established(&mut rig);
    rig.offer(Signal { generate_rtcp: true, ..in_d("C", None, C) });
    let d = rig.answer(in_d("C", Some("D"), D)).port();
    assert_eq!(rig.command(connect("A", "D")), OK);
    assert_eq!(rig.packet("198.51.100.3:6001", d + 1, &[0x80, 201, 0, 1, 0, 0, 0, 1]), None);
    rig.copies.clear();
    rig.pass(8_000);
    let mut told: Vec<String> = rig.copies.iter().map(|(_, to, _)| to.to_string()).collect();
    told.sort();
    told.dedup();
    let everybody = ["198.51.100.1:4001", "198.51.100.2:5001", "198.51.100.3:6001", "198.51.100.4:7001"];
    assert_eq!(told, everybody);
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn places_of_parties_that_went_are_taken_again() {
    let mut rig = Rig::with(|config| config.limits.legs_max = 4);
    established(&mut rig);
    for round in 0..6 {
        let tag = format!("C{round}");
        let call = format!("n{round}");
        rig.offer(Signal { call_id: call.clone(), ..in_d(&tag, None, C) });
        let Command::Connect(mut connect) = connect("A", &tag) else { unreachable!("it is made so") };
        connect.to_call_id = Some(call);
        assert_eq!(rig.command(Command::Connect(connect)), OK, "{round}");
        rig.delete(Delete { from_tag: Some(tag), ..at_once("c") });
        let key = rig.shard.calls.by_name("c").unwrap();
        assert!(rig.shard.calls.get(key).unwrap().legs.len() <= 4, "{round}");
    }
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn who_sent_to_either_call_without_leave_is_told_of_the_one() {
    let mut rig = Rig::new();
    let (toward_b, _) = established(&mut rig);
    rig.offer(in_d("C", None, C));
    let d = rig.answer(in_d("C", Some("D"), D)).port();
    for (from, port, packets) in
        [("203.0.113.1:9", toward_b, 3), ("203.0.113.1:9", d, 2), ("203.0.113.2:9", d, 7)]
    {
        (0..packets).for_each(|_| assert_eq!(rig.rtp(from, port), None));
    }
    assert_eq!(rig.command(connect("A", "D")), OK);
    let told: Vec<_> = rig.offenders("c").iter().map(|one| (one.address.to_string(), one.packets)).collect();
    assert_eq!(told, [("203.0.113.2:9".to_owned(), 7), ("203.0.113.1:9".to_owned(), 5)]);
}
