//! Calls that come to nothing: refused before a carrier hears of them, refused by carriers, cancelled.

use serde_json::json;
use tests::{Address, Body, Engine, Plan, Scenario};

use crate::paid_provider::{CREDIT, alice, assert_says, only_record, provider, setup, takes};

fn refused(status: u16) -> Scenario {
    Scenario::caller("caller").invite(Body::Audio).is_refused(status)
}

#[test]
fn without_credit_the_answer_is_402_and_the_carrier_hears_nothing() {
    let at = Address::new();
    let carrier = Plan::new(takes()).start(at);
    let engine = Engine::start(at, &[]);
    // One hundredth of a cent less than the first second costs.
    let node = setup(at, &[&engine], &[&carrier], "0.0520").start();
    let mut caller = alice(&node, refused(402)).start(at);
    caller.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <402 ACK");
    let reason = caller.heard("402").header("Reason").expect("a reason").to_owned();
    assert!(reason.contains("cause=21") && reason.contains("insufficient credit"), "{reason}");
    let record = only_record(&node, "0.052");
    assert_says(
        &record,
        &json!({
            "sip_status": 402, "charge": "0", "held": "0", "billed_seconds": 0, "talk_ms": 0, "answer_at": null,
            "trunk": null, "attempts": [], "route": "refused", "ended_by": "exchange", "account": "alice",
        }),
    );
    assert_eq!(carrier.messages(), "");
}

#[test]
fn a_number_without_a_price_is_404_and_the_carrier_hears_nothing() {
    let at = Address::new();
    let carrier = Plan::new(takes()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let mut caller = Plan::new(refused(404)).to(node.sip).account("alice").number("4830123456").start(at);
    caller.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <404 ACK");
    let record = only_record(&node, CREDIT);
    assert_says(
        &record,
        &json!({"sip_status": 404, "charge": "0", "rate": null, "trunk": null, "attempts": [], "route": "refused"}),
    );
    assert_eq!(carrier.messages(), "");
}

#[test]
fn a_wrong_password_is_asked_for_again_and_leaves_no_record() {
    let at = Address::new();
    let carrier = Plan::new(takes()).start(at);
    let (_engine, mut node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, refused(407)).with("-ap", "guess").start(at);
    caller.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <407 ACK");
    node.control.signal("TERM");
    node.control.await_exit();
    assert_eq!(node.json("cdr list")["cdrs"], json!([]));
    assert_eq!(node.json("account show alice")["balance"], json!(CREDIT));
    assert_eq!(carrier.messages(), "");
}

#[test]
fn when_every_carrier_is_full_the_answer_is_503() {
    let at = Address::new();
    let full = Plan::new(Scenario::carrier("full").answers(503, Body::Empty));
    let (mut first, mut second) = (full.start(at), full.start(at));
    let (_engine, node) = provider(at, &[&first, &second]);
    let mut caller = alice(&node, refused(503)).start(at);
    caller.await_success();
    first.await_success();
    second.await_success();
    assert!(caller.heard("503").header("Retry-After").is_some());
    let record = only_record(&node, CREDIT);
    assert_says(&record, &json!({"sip_status": 503, "charge": "0", "billed_seconds": 0}));
    assert_eq!(tries(&record), [("carrier-0".to_owned(), 503), ("carrier-1".to_owned(), 503)]);
}

#[test]
fn a_call_cancelled_while_it_rings_costs_nothing() {
    let at = Address::new();
    let ringing = Scenario::carrier("carrier").answers(180, Body::Empty).awaits("CANCEL");
    let mut carrier = Plan::new(ringing.answers_last(200, Body::Empty).answers(487, Body::Empty)).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let mut caller =
        alice(&node, Scenario::caller("caller").invite(Body::Audio).hears(180).cancels()).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 CANCEL <200 <487 ACK");
    assert_eq!(carrier.summary(), "<INVITE 180 <CANCEL 200 487 <ACK");
    let record = only_record(&node, CREDIT);
    assert_says(
        &record,
        &json!({
            "sip_status": 487, "charge": "0", "billed_seconds": 0, "answer_at": null, "ended_by": "caller",
            "trunk": "carrier-0",
        }),
    );
    assert!(record["ring_at"].is_string(), "{record:#}");
}

#[test]
fn a_cancel_that_crosses_the_carriers_200_ends_both_legs_and_costs_nothing() {
    let at = Address::new();
    let crossing = Scenario::carrier("carrier").answers(180, Body::Empty).awaits("CANCEL");
    let crossing = crossing.answers_last(200, Body::Empty).answers(200, Body::Audio).is_hung_up_on();
    let mut carrier = Plan::new(crossing).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let mut caller =
        alice(&node, Scenario::caller("caller").invite(Body::Audio).hears(180).cancels()).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 CANCEL <200 <487 ACK");
    assert_eq!(carrier.summary(), "<INVITE 180 <CANCEL 200 200 <ACK <BYE 200");
    let record = only_record(&node, CREDIT);
    assert_says(
        &record,
        &json!({"sip_status": 487, "charge": "0", "billed_seconds": 0, "ended_by": "caller"}),
    );
}

#[test]
fn a_busy_callee_is_busy_at_every_carrier() {
    final_refusal(486, 17);
}

#[test]
fn a_callee_that_declines_is_asked_once() {
    final_refusal(603, 21);
}

/// A status that speaks for the callee is relayed, and no other carrier is tried.
fn final_refusal(status: u16, q850: u8) {
    let at = Address::new();
    let refusing = Scenario::carrier("carrier").answers(180, Body::Empty).answers(status, Body::Empty);
    let mut first = Plan::new(refusing).start(at);
    let second = Plan::new(takes()).start(at);
    let (_engine, node) = provider(at, &[&first, &second]);
    let mut caller = alice(&node, refused(status)).start(at);
    caller.await_success();
    first.await_success();
    assert_eq!(caller.summary(), format!("INVITE <407 ACK INVITE <180 <{status} ACK"));
    let record = only_record(&node, CREDIT);
    assert_says(
        &record,
        &json!({
            "sip_status": status, "q850": q850, "charge": "0", "billed_seconds": 0, "ended_by": "callee",
            "trunk": "carrier-0",
        }),
    );
    assert_eq!(record["attempts"].as_array().map(Vec::len), Some(1), "{record:#}");
    assert_eq!(second.messages(), "");
}

#[test]
fn a_carrier_without_capacity_gives_way_to_the_next_and_the_record_names_who_answered() {
    let at = Address::new();
    let mut first = Plan::new(Scenario::carrier("full").answers(503, Body::Empty)).start(at);
    let mut second = Plan::new(takes().is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&first, &second]);
    let mut caller = alice(&node, crate::paid_provider::calls().pauses().hangs_up()).pause_ms(200).start(at);
    caller.await_success();
    first.await_success();
    second.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK BYE <200");
    assert_ne!(first.heard("INVITE").header("Call-ID"), second.heard("INVITE").header("Call-ID"));
    let record = only_record(&node, "4.9479");
    assert_says(
        &record,
        &json!({"sip_status": 200, "charge": "0.0521", "billed_seconds": 1, "trunk": "carrier-1"}),
    );
    assert_eq!(tries(&record), [("carrier-0".to_owned(), 503), ("carrier-1".to_owned(), 200)]);
}

#[test]
fn a_carrier_that_fails_after_early_media_gives_way_and_the_phone_has_another_dialog() {
    let at = Address::new();
    let failing =
        Scenario::carrier("failing").answers(183, Body::Audio).pauses_for(200).answers(503, Body::Empty);
    let mut first = Plan::new(failing).start(at);
    let mut second = Plan::new(takes().is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&first, &second]);
    let caller = Scenario::caller("caller").invite(Body::Audio).hears(183).is_answered().ack(Body::Empty);
    let mut caller = alice(&node, caller.pauses().hangs_up()).pause_ms(200).start(at);
    caller.await_success();
    first.await_success();
    second.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <183 <180 <200 ACK BYE <200");
    assert_ne!(caller.heard("183").header("To"), caller.heard("200").header("To"));
    assert_eq!(caller.heard("180").header("To"), caller.heard("200").header("To"));
    let record = only_record(&node, "4.9479");
    assert_says(&record, &json!({"sip_status": 200, "charge": "0.0521", "trunk": "carrier-1"}));
    assert_eq!(tries(&record), [("carrier-0".to_owned(), 503), ("carrier-1".to_owned(), 200)]);
}

#[test]
fn an_answer_without_a_description_is_no_answer() {
    let at = Address::new();
    let mute = Scenario::carrier("mute").answers(200, Body::Empty).is_hung_up_on();
    let mut carrier = Plan::new(mute).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, refused(502)).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <502 ACK");
    assert_eq!(carrier.summary(), "<INVITE 200 <ACK <BYE 200");
    let record = only_record(&node, CREDIT);
    assert_says(&record, &json!({"sip_status": 502, "charge": "0", "billed_seconds": 0}));
}

#[test]
fn a_silent_carrier_gives_way_to_the_next() {
    let at = Address::new();
    let silent = Plan::new(Scenario::carrier("silent").pauses_for(60_000)).start(at);
    let mut second = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    // 64 times 20 ms: what the silent one may still say is waited for that long.
    let node = setup(at, &[&engine], &[&silent, &second], CREDIT).config("[sip]\nt1_ms = 20\n").start();
    let mut caller = alice(&node, crate::paid_provider::calls().pauses().hangs_up()).pause_ms(200).start(at);
    caller.await_success();
    second.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK BYE <200");
    assert_eq!(silent.summary(), "<INVITE", "nothing is cancelled that never showed that it is there");
    let record = only_record(&node, "4.9479");
    assert_says(&record, &json!({"sip_status": 200, "charge": "0.0521", "trunk": "carrier-1"}));
    assert_eq!(tries(&record), [("carrier-0".to_owned(), 408), ("carrier-1".to_owned(), 200)]);
}

#[test]
fn when_every_carrier_is_silent_the_answer_is_408() {
    let at = Address::new();
    let silent = Plan::new(Scenario::carrier("silent").pauses_for(60_000)).start(at);
    let engine = Engine::start(at, &[]);
    let node = setup(at, &[&engine], &[&silent], CREDIT).config("[sip]\nt1_ms = 20\n").start();
    let mut caller = alice(&node, refused(408)).start(at);
    caller.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <408 ACK");
    let record = only_record(&node, CREDIT);
    assert_says(&record, &json!({"sip_status": 408, "charge": "0", "billed_seconds": 0, "ring_at": null}));
    assert_eq!(tries(&record), [("carrier-0".to_owned(), 408)]);
}

/// Every try at a carrier with its status.
fn tries(record: &serde_json::Value) -> Vec<(String, u64)> {
    let tries = record["attempts"].as_array().expect("a list of tries").iter();
    tries
        .map(|attempt| {
            let trunk = attempt["trunk"].as_str().expect("a trunk").to_owned();
            (trunk, attempt["sip_status"].as_u64().expect("a status"))
        })
        .collect()
}
