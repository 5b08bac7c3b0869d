//! Parties, and the ports each is shown.

use super::*;

#[test]
fn same_endpoints_see_the_same_ports() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    assert_ne!(toward_b, toward_a);
    assert_eq!(rig.offer(to_b(sdp(A, ""))).port(), toward_b, "a repeated offer");
    assert_eq!(rig.answer(to_b(sdp(B, ""))).port(), toward_a, "a repeated answer");
    let from_b = Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..from_a(sdp(B, "")) };
    assert_eq!(rig.offer(from_b).port(), toward_a, "a re-INVITE from the callee");
    let back = Signal { from_tag: "B".into(), to_tag: Some("A".into()), ..from_a(sdp(A, "")) };
    assert_eq!(rig.answer(back).port(), toward_b);
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn a_changed_endpoint_gets_a_new_pair_and_going_back_the_old_one() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    let moved = rig.offer(to_b(sdp("198.51.100.1:4100", ""))).port();
    assert_ne!(moved, toward_b);
    assert_eq!(rig.answer(to_b(sdp(B, ""))).port(), toward_a, "B has not moved");
    assert_eq!(rig.offer(to_b(sdp(A, ""))).port(), toward_b);
    assert_eq!(rig.rtp(B, toward_b).unwrap().1, A.parse().unwrap());
    let latched = Signal { port_latching: Some(true), ..to_b(sdp("198.51.100.1:4200", "")) };
    assert_eq!(rig.offer(latched).port(), toward_b, "port latching keeps it");
}

#[test]
fn hold_by_the_unspecified_address_goes_by_the_port() {
    let mut rig = Rig::new();
    let (toward_b, _) = established(&mut rig);
    assert_eq!(rig.offer(to_b(sdp("0.0.0.0:4000", ""))).port(), toward_b);
    let other = rig.offer(to_b(sdp("0.0.0.0:4400", ""))).port();
    assert_ne!(other, toward_b);
    assert_eq!(rig.offer(to_b(sdp("198.51.100.9:4400", ""))).port(), other);
}

#[test]
fn endpoints_without_end_do_not_take_ports_without_end() {
    let mut rig = Rig::new();
    established(&mut rig);
    for port in 6_000..6_100 {
        rig.offer(to_b(sdp(&format!("198.51.100.1:{port}"), "")));
    }
    let pairs = rig.open.len() / 2;
    assert!(pairs <= 2 * rig.shard.limits.pairs_max, "{pairs} pairs");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn a_further_to_tag_is_a_party_of_its_own() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    let second = Signal { to_tag: Some("B2".into()), ..from_a(sdp("198.51.100.3:6000", "")) };
    let other = rig.answer(second).port();
    assert_ne!(other, toward_a);
    assert_eq!(rig.answer(to_b(sdp(B, ""))).port(), toward_a, "the first one answers again");
    assert_eq!(rig.rtp(A, toward_a).unwrap().1, B.parse().unwrap());
}

#[test]
fn branches_have_their_own_ports_and_end_alone() {
    let mut rig = Rig::new();
    let branch = |name: &str| Some(name.to_owned());
    let one = rig.offer(Signal { via_branch: branch("v1"), ..from_a(sdp(A, "")) }).port();
    let two = rig.offer(Signal { via_branch: branch("v2"), ..from_a(sdp(A, "")) }).port();
    assert_ne!(one, two);
    let tagged = |tag: &str, via: &str, at| Signal {
        to_tag: Some(tag.into()),
        via_branch: branch(via),
        ..from_a(sdp(at, ""))
    };
    let first = rig.answer(tagged("B1", "v1", "198.51.100.2:5000")).port();
    let second = rig.answer(tagged("B2", "v2", "198.51.100.3:6000")).port();
    assert_ne!(first, second);
    assert!(rig.rtp("198.51.100.2:5000", one).is_some() && rig.rtp("198.51.100.3:6000", two).is_some());
    let gone = Delete { from_tag: Some("A".into()), to_tag: Some("B1".into()), ..at_once("c") };
    assert!(matches!(rig.delete(gone), Reply::Report(_)));
    assert!(rig.rtp("198.51.100.2:5000", one).is_none());
    assert!(rig.rtp("198.51.100.3:6000", two).is_some(), "the other branch talks on");
    rig.delete(Delete { from_tag: Some("A".into()), ..at_once("c") });
    rig.assert_clean();
}

#[test]
fn all_that_answer_one_offer_are_heard_at_the_ports_it_showed() {
    const B2: &str = "198.51.100.3:6000";
    let mut rig = Rig::new();
    let (toward_b, _) = established(&mut rig);
    rig.answer(Signal { to_tag: Some("B2".into()), ..from_a(sdp(B2, "")) });
    rig.answer(Signal { to_tag: Some("B3".into()), ..from_a(sdp("198.51.100.4:7000", "")) });
    for from in [B, B2, "198.51.100.4:7000"] {
        assert_eq!(rig.rtp(from, toward_b).map(|(_, to)| to), Some(A.parse().unwrap()), "{from}");
    }
    assert!(rig.rtp("198.51.100.3:6004", toward_b).is_none(), "B2 has been learned");
    assert!(rig.rtp("198.51.100.5:6000", toward_b).is_none());
    assert_eq!(rig.offenders("c").iter().map(|offender| offender.packets).sum::<u64>(), 2);
    rig.delete(Delete { from_tag: Some("A".into()), to_tag: Some("B2".into()), ..at_once("c") });
    assert!(rig.rtp(B2, toward_b).is_none());
    assert!(rig.rtp("198.51.100.4:7000", toward_b).is_some() && rig.rtp(B, toward_b).is_some());
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn who_answered_is_heard_again_when_another_branch_that_did_is_deleted() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    rig.answer(Signal { to_tag: Some("B2".into()), ..from_a(sdp("198.51.100.3:6000", "")) });
    assert_eq!(rig.rtp(A, toward_a).expect("relayed").1, "198.51.100.3:6000".parse().unwrap());
    rig.delete(Delete { from_tag: Some("A".into()), to_tag: Some("B2".into()), ..at_once("c") });
    assert_eq!(rig.rtp(A, toward_a).expect("relayed").1, B.parse().unwrap());
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn tags_that_match_nobody_delete_nothing() {
    let mut rig = Rig::new();
    established(&mut rig);
    let warning = Reply::Ok { warning: Some(Reply::DELETE_NOT_FOUND.into()) };
    assert_eq!(rig.delete(Delete { from_tag: Some("X".into()), ..at_once("c") }), warning);
    assert_eq!(rig.delete(at_once("other")), warning);
    let fatal = Delete { fatal: true, ..at_once("other") };
    assert_eq!(rig.delete(fatal), Reply::Error(Reply::DELETE_NOT_FOUND.into()));
    assert_eq!(rig.calls(), ["c"]);
}

/// rtpengine 10.5.3.5 does not know the flag; what is expected follows the documentation of later releases.
#[test]
fn a_fast_delete_ends_the_call_and_is_answered_without_statistics() {
    let mut rig = Rig::new();
    established(&mut rig);
    assert_eq!(rig.delete(Delete { fast: true, ..at_once("c") }), Reply::Ok { warning: None });
    assert_eq!(rig.calls(), [] as [&str; 0]);
    rig.assert_clean();
    established(&mut rig);
    assert!(matches!(rig.delete(at_once("c")), Reply::Report(_)));
    let nobody = Delete { fast: true, ..at_once("c") };
    assert_eq!(rig.delete(nobody), Reply::Ok { warning: Some(Reply::DELETE_NOT_FOUND.into()) });
}

#[test]
fn a_deleted_call_can_be_revived_until_its_delay_is_over() {
    let mut rig = Rig::new();
    let (toward_b, _) = established(&mut rig);
    let delete = Delete { call_id: "c".into(), ..Delete::default() };
    assert!(matches!(rig.delete(delete.clone()), Reply::Report(_)));
    rig.pass(29_000);
    assert!(matches!(rig.query("c"), Reply::Report(_)), "still there");
    assert_eq!(rig.offer(to_b(sdp(A, ""))).port(), toward_b);
    rig.pass(29_000);
    assert_eq!(rig.calls(), ["c"], "revived");
    rig.delete(delete);
    rig.pass(30_000);
    assert_eq!(rig.calls(), [] as [&str; 0]);
    assert_eq!(rig.query("c"), Reply::Error("Unknown call-id".into()));
    rig.assert_clean();
}

#[test]
fn refusals_have_the_texts_that_proxies_compare() {
    let mut rig = Rig::new();
    assert_eq!(rig.answer(to_b(sdp(A, ""))).error(), "Unknown call-id");
    assert_eq!(rig.offer(from_a(b"hello".to_vec())).error(), "Failed to parse SDP");
    assert_eq!(rig.offer(from_a(Vec::new())).error(), "No SDP body in message");
    let no_media = b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\n".to_vec();
    assert_eq!(rig.offer(from_a(no_media)).error(), "Error rewriting SDP");
    let nowhere = b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n".to_vec();
    assert_eq!(rig.offer(from_a(nowhere)).error(), "Incomplete SDP specification");
    let itself = Signal { to_tag: Some("A".into()), ..from_a(sdp(A, "")) };
    assert_eq!(rig.offer(itself).error(), "Invalid dialogue association");
    rig.assert_clean();
}

#[test]
fn used_up_ports_refuse_and_leave_nothing_behind() {
    let mut rig = Rig::with(|config| config.ports = PortRange::whole(20_000, 20_005, 1));
    rig.offer(from_a(sdp(A, "")));
    let other = |sdp| Signal { call_id: "d".into(), ..from_a(sdp) };
    assert_eq!(rig.offer(other(sdp(A, ""))).error(), "Ran out of ports");
    assert_eq!(rig.calls(), ["c"]);
    assert_eq!(rig.shard.counters().refusals(ng::Refusal::Ports), 1);
    rig.delete(at_once("c"));
    assert_eq!(rig.open.len(), 0);
    assert!(rig.offer(other(sdp(A, ""))).port() > 0, "ports come back");
}

#[test]
fn a_re_offer_without_ports_leaves_the_call_as_it_was() {
    let mut rig = Rig::with(|config| config.ports = PortRange::whole(20_000, 20_003, 1));
    let (toward_b, toward_a) = established(&mut rig);
    assert_eq!(rig.offer(to_b(sdp("198.51.100.1:4100", ""))).error(), "Ran out of ports");
    assert!(rig.rtp(A, toward_a).is_some() && rig.rtp(B, toward_b).is_some());
}

#[test]
fn a_branch_without_ports_leaves_no_party_behind() {
    let mut rig = Rig::with(|config| config.ports = PortRange::whole(20_000, 20_003, 1));
    established(&mut rig);
    let branch = Signal { via_branch: Some("v2".into()), ..from_a(sdp(A, "")) };
    assert_eq!(rig.offer(branch).error(), "Ran out of ports");
    rig.delete(Delete { from_tag: Some("A".into()), ..at_once("c") });
    assert_eq!(rig.calls(), [] as [&str; 0]);
    assert_eq!(rig.shard.next_deadline(), None);
}

#[test]
fn a_port_that_somebody_else_has_is_passed_over() {
    let mut rig = Rig::new();
    rig.taken = (20_000..20_999).filter(|port| port % 8 < 4).collect();
    for call in 0..20 {
        let shown = rig.offer(Signal { call_id: call.to_string(), ..from_a(sdp(A, "")) });
        assert!(shown.port() % 8 >= 4);
        rig.delete(at_once(&call.to_string()));
    }
    rig.taken = (20_000..=20_999).collect();
    assert_eq!(rig.offer(from_a(sdp(A, ""))).error(), "Ran out of ports");
    rig.assert_clean();
}

#[test]
fn commands_wait_in_order_while_sockets_open() {
    let mut rig = Rig::new();
    rig.slow = true;
    let offer = rig.ask(Command::Offer(Box::new(from_a(sdp(A, "")))));
    let answer = rig.ask(Command::Answer(Box::new(to_b(sdp(B, "")))));
    let delete = rig.ask(Command::Delete(Box::new(at_once("c"))));
    assert!(rig.replies.is_empty());
    rig.grant_asked();
    for (id, name) in [(offer, "offer"), (answer, "answer"), (delete, "delete")] {
        assert!(matches!(rig.replies.remove(&id), Some(Reply::Signal(_) | Reply::Report(_))), "{name}");
    }
    rig.assert_clean();
}

#[test]
fn a_call_that_ends_while_sockets_open_closes_them_when_they_are() {
    let mut rig = Rig::new();
    rig.slow = true;
    let offer = rig.ask(Command::Offer(Box::new(from_a(sdp(A, "")))));
    rig.input(Input::Shutdown);
    assert!(matches!(rig.replies.remove(&offer), Some(Reply::Error(_))));
    assert_eq!(rig.open.len(), 4);
    rig.grant_asked();
    rig.assert_clean();
}

#[test]
fn a_full_shard_refuses_new_calls_only() {
    let mut rig = Rig::with(|config| config.limits.calls_max = 1);
    rig.offer(from_a(sdp(A, "")));
    let other = Signal { call_id: "d".into(), ..from_a(sdp(A, "")) };
    assert_eq!(rig.offer(other.clone()).error(), "Parallel session limit reached");
    let knowing = Signal { supports_load_limit: true, ..other };
    let reply = rig.command(Command::Offer(Box::new(knowing)));
    assert_eq!(reply, Reply::LoadLimit("Parallel session limit reached".into()));
    assert!(rig.answer(to_b(sdp(B, ""))).port() > 0);
}

#[test]
fn interfaces_are_chosen_by_the_first_offer() {
    let mut rig = Rig::new();
    let shown = rig.offer(Signal { direction: vec!["default".into(), "pub".into()], ..from_a(sdp(A, "")) });
    assert_eq!(shown.lines("c="), ["c=IN IP4 203.0.113.9"]);
    assert_eq!(rig.answer(to_b(sdp(B, ""))).lines("c="), ["c=IN IP4 127.0.0.1"]);
    let again = rig.offer(to_b(sdp(A, "")));
    assert_eq!(again.lines("c="), ["c=IN IP4 203.0.113.9"], "remembered");
    let six = Signal { call_id: "6".into(), address_family: Some(ng::Family::Ip6), ..from_a(sdp(A, "")) };
    assert_eq!(rig.offer(six).lines("c="), ["c=IN IP6 ::1"]);
}

/// rtpengine 10.5.3.5 has no such key; what is expected follows the documentation of later releases.
#[test]
fn a_new_tag_is_an_alias_where_the_description_or_the_address_is_known() {
    for (key, at, same) in [
        (ng::AliasKey::Sdp, A, true),
        (ng::AliasKey::Sdp, "198.51.100.1:4444", false),
        (ng::AliasKey::Address, A, true),
        (ng::AliasKey::Address, "198.51.100.1:4444", false),
    ] {
        let mut rig = Rig::new();
        let (toward_b, _) = established(&mut rig);
        let again = Signal { from_tag: "A2".into(), alias_key: Some(key), ..to_b(sdp(at, "")) };
        assert_eq!(rig.offer(again).port() == toward_b, same, "{key:?} {at}");
        let Reply::Report(report) = rig.query("c") else { panic!("a report") };
        let tags: Vec<_> = report.tags.iter().map(|tag| (tag.tag.as_str(), tag.aliases.len())).collect();
        let expected = if same { vec![("A", 1), ("B", 0)] } else { vec![("A", 0), ("B", 0), ("A2", 0)] };
        assert_eq!(tags, expected);
        let known = rig.command(Command::Query(ng::Query {
            call_id: "c".into(),
            from_tag: Some("A2".into()),
            to_tag: None,
        }));
        let Reply::Report(known) = known else { panic!("a report") };
        assert_eq!(known.tags[0].tag, if same { "A" } else { "B" });
        rig.delete(Delete { from_tag: Some("A2".into()), ..at_once("c") });
        rig.delete(at_once("c"));
        rig.assert_clean();
    }
}

#[test]
fn aliases_of_one_party_are_bounded_and_never_the_other_side() {
    let mut rig = Rig::new();
    established(&mut rig);
    let named =
        |tag: String| Signal { from_tag: tag, alias_key: Some(ng::AliasKey::Sdp), ..to_b(sdp(A, "")) };
    for number in 0..12 {
        rig.offer(named(format!("A{number}")));
    }
    let Reply::Report(report) = rig.query("c") else { panic!("a report") };
    assert_eq!(report.tags[0].aliases.len(), 8);
    let itself = Signal { to_tag: Some("A".into()), ..named("new".into()) };
    assert!(rig.offer(itself).port() > 0, "a party of its own, for it cannot talk to itself");
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn an_offer_can_say_how_long_its_call_is_revivable() {
    let mut rig = Rig::new();
    rig.offer(Signal { delete_delay: DeleteDelay::Seconds(5), ..from_a(sdp(A, "")) });
    rig.answer(to_b(sdp(B, "")));
    let delete = Delete { call_id: "c".into(), ..Delete::default() };
    rig.delete(delete.clone());
    rig.pass(4_000);
    assert_eq!(rig.calls(), ["c"]);
    rig.pass(1_000);
    assert_eq!(rig.calls(), [] as [&str; 0]);
    rig.offer(Signal { delete_delay: DeleteDelay::Seconds(5), ..from_a(sdp(A, "")) });
    rig.delete(Delete { delay: DeleteDelay::Seconds(0), ..delete });
    assert_eq!(rig.calls(), [] as [&str; 0], "the delete says it itself");
    rig.assert_clean();
}

#[test]
fn what_waits_when_the_engine_stops_is_refused_and_begins_nothing_anew() {
    let mut rig = Rig::new();
    rig.slow = true;
    let ids = [(); 3].map(|()| rig.ask(Command::Offer(Box::new(from_a(sdp(A, ""))))));
    rig.input(Input::Shutdown);
    for id in ids {
        assert_eq!(rig.replies[&id], Reply::Error("The call ended meanwhile".to_owned()));
    }
    rig.grant_asked();
    rig.assert_clean();
}
