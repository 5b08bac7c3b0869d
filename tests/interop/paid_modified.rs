//! Calls that change while they last: hold, another address, both at once.

use serde_json::json;
use tests::{Address, Body, Node, Plan};

use crate::paid_provider::{alice, assert_says, calls, only_record, provider, takes};

#[test]
fn both_sides_hold_and_move_by_reinvite() {
    let at = Address::new();
    let carrier = takes().is_asked("INVITE", 200, Body::Audio).is_asked("INVITE", 200, Body::Audio);
    // Time for the caller's ACK, without which a change of ours would cross its own.
    let carrier = carrier.pauses_for(200).reinvites(Body::Hold).pauses_for(200).reinvites(Body::Moved);
    let mut carrier = Plan::new(carrier.is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let caller = calls().reinvites(Body::Hold).reinvites(Body::Moved);
    let caller = caller.is_asked("INVITE", 200, Body::Moved).is_asked("INVITE", 200, Body::Moved);
    let mut caller = alice(&node, caller.plays().pauses().hangs_up()).pause_ms(1_700).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(
        caller.summary(),
        "INVITE <407 ACK INVITE <180 <200 ACK INVITE <200 ACK INVITE <200 ACK <INVITE 200 <ACK <INVITE 200 <ACK BYE <200"
    );
    assert_eq!(
        carrier.summary(),
        "<INVITE 180 200 <ACK <INVITE 200 <ACK <INVITE 200 <ACK INVITE <200 ACK INVITE <200 ACK <BYE 200"
    );
    assert!(caller.seen().iter().all(|seen| !seen.received || seen.header("Proxy-Authorization").is_none()));
    assert_eq!(directions(&caller), ["sendonly", "sendrecv"]);
    assert_eq!(directions(&carrier), ["sendrecv", "sendonly", "sendrecv"]);
    versions_rise(&caller);
    versions_rise(&carrier);
    // All of it was played after the last change, to where the carrier had moved, and came back from there.
    heard_for_three_seconds(&node);
}

#[test]
fn both_sides_hold_and_move_by_update() {
    let at = Address::new();
    let carrier = takes().is_asked("UPDATE", 200, Body::Audio).is_asked("UPDATE", 200, Body::Audio);
    let carrier = carrier.pauses_for(200).updates(Body::Hold).pauses_for(200).updates(Body::Moved);
    let mut carrier = Plan::new(carrier.is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let caller = calls().updates(Body::Hold).updates(Body::Moved);
    let caller = caller.is_asked("UPDATE", 200, Body::Moved).is_asked("UPDATE", 200, Body::Moved);
    let mut caller = alice(&node, caller.plays().pauses().hangs_up()).pause_ms(1_700).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(
        caller.summary(),
        "INVITE <407 ACK INVITE <180 <200 ACK UPDATE <200 UPDATE <200 <UPDATE 200 <UPDATE 200 BYE <200"
    );
    assert_eq!(
        carrier.summary(),
        "<INVITE 180 200 <ACK <UPDATE 200 <UPDATE 200 UPDATE <200 UPDATE <200 <BYE 200"
    );
    assert_eq!(directions(&carrier), ["sendrecv", "sendonly", "sendrecv"]);
    versions_rise(&caller);
    versions_rise(&carrier);
    heard_for_three_seconds(&node);
}

#[test]
fn either_side_may_ask_the_other_for_an_offer() {
    let at = Address::new();
    let carrier = takes().is_asked("INVITE", 200, Body::Audio).pauses_for(200);
    let mut carrier = Plan::new(carrier.reinvites_for_an_offer(Body::Audio).is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let caller = calls().reinvites_for_an_offer(Body::Moved).is_asked("INVITE", 200, Body::Moved);
    let mut caller = alice(&node, caller.plays().pauses().hangs_up()).pause_ms(1_200).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(
        caller.summary(),
        "INVITE <407 ACK INVITE <180 <200 ACK INVITE <200 ACK <INVITE 200 <ACK BYE <200"
    );
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <INVITE 200 <ACK INVITE <200 ACK <BYE 200");
    for side in [&caller, &carrier] {
        let seen = side.seen();
        let asked = seen.iter().rfind(|seen| seen.received && seen.what() == "INVITE").expect("a re-INVITE");
        let answered = seen.iter().rfind(|seen| seen.received && seen.what() == "ACK").expect("its ACK");
        assert_eq!(
            (asked.sdp("m").is_some(), answered.sdp("m").is_some()),
            (false, true),
            "{asked:?} {answered:?}"
        );
    }
    let record = only_record(&node, "4.9458");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 2, "charge": "0.0542", "ended_by": "caller"}),
    );
    for leg in ["caller", "callee"] {
        let packets = record["media"][leg]["packets_received"].as_u64();
        assert!(packets.is_some_and(|packets| packets > 20), "{leg}: {record:#}");
    }
}

#[test]
fn changes_from_both_sides_at_once_are_491_for_both_and_the_call_goes_on() {
    let at = Address::new();
    // The carrier asks for a change of its own while the caller's is before it, and refuses that one in turn.
    let glare = takes().awaits_reinvite().reinvites_in_vain(Body::Moved, 491).answers(491, Body::Empty);
    let mut carrier = Plan::new(glare.is_asked("INVITE", 200, Body::Audio).is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let caller = calls().reinvites_in_vain(Body::Hold, 491).reinvites(Body::Moved);
    let mut caller = alice(&node, caller.pauses().hangs_up()).pause_ms(1_100).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(
        caller.summary(),
        "INVITE <407 ACK INVITE <180 <200 ACK INVITE <491 ACK INVITE <200 ACK BYE <200"
    );
    assert_eq!(
        carrier.summary(),
        "<INVITE 180 200 <ACK <INVITE INVITE <491 ACK 491 <ACK <INVITE 200 <ACK <BYE 200"
    );
    let record = only_record(&node, "4.9458");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 2, "charge": "0.0542", "ended_by": "caller"}),
    );
}

#[test]
fn a_carrier_that_hangs_up_instead_of_answering_a_change_ends_the_call() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().awaits_reinvite().hangs_up().answers(487, Body::Empty)).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let caller = calls().reinvites_in_vain(Body::Hold, 487).is_hung_up_on();
    let mut caller = alice(&node, caller).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK INVITE <487 ACK <BYE 200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <INVITE BYE <200 487 <ACK");
    let record = only_record(&node, "4.9479");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 1, "charge": "0.0521", "ended_by": "callee"}),
    );
}

#[test]
fn both_sides_may_hang_up_at_once() {
    let at = Address::new();
    let mut carrier =
        Plan::new(takes().is_asked("INFO", 200, Body::Empty).hangs_up_at_the_same_time()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let caller = calls().asks("INFO", Body::Empty, 200).pauses().hangs_up();
    let mut caller = alice(&node, caller).pause_ms(200).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK INFO <200 BYE <200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <INFO 200 <BYE BYE <200 200");
    let record = only_record(&node, "4.9479");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 1, "charge": "0.0521", "ended_by": "caller"}),
    );
}

/// The direction of each offer that came.
fn directions(side: &tests::Sipp) -> Vec<String> {
    let offers = side.seen().into_iter().filter(|seen| {
        seen.received && matches!(seen.what(), "INVITE" | "UPDATE") && seen.sdp("m").is_some()
    });
    offers
        .map(|offer| {
            let known = ["sendrecv", "sendonly", "recvonly", "inactive"];
            let found = known.iter().find(|direction| offer.text.contains(&format!("a={direction}\n")));
            (*found.unwrap_or(&"none")).to_owned()
        })
        .collect()
}

/// RFC 3264 §8: whoever sees a description change sees its version rise, and its origin stay.
fn versions_rise(side: &tests::Sipp) {
    let seen = side.seen();
    let described = seen.iter().filter(|seen| seen.received && seen.sdp("m").is_some());
    let mut last: Option<(Vec<&str>, u64, &str)> = None;
    for message in described {
        let origin: Vec<_> = message.sdp("o").expect("an origin").split(' ').collect();
        let version = origin[2].parse().expect("a version");
        let (_, body) = message.text.split_once("v=0").expect("a description");
        let identity = [&origin[..2], &origin[3..]].concat();
        if let Some((before, old, text)) = last {
            assert_eq!(identity, before, "{}", message.text);
            assert!(version > old || (version == old && body == text), "{old}: {text}\n{}", message.text);
        }
        last = Some((identity, version, body));
    }
}

/// The caller's three seconds are charged, and audio came from both ends.
fn heard_for_three_seconds(node: &Node) {
    let record = only_record(node, "4.9438");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 3, "charge": "0.0562", "ended_by": "caller"}),
    );
    for leg in ["caller", "callee"] {
        let packets = record["media"][leg]["packets_received"].as_u64();
        assert!(packets.is_some_and(|packets| packets > 40), "{leg}: {record:#}");
    }
}
