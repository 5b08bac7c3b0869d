//! `kill -9`: of control in mid-call and while ringing, and of the engine. Nothing is lost but what was not paid for.

use serde_json::json;
use tests::process::await_some;
use tests::{Address, Body, Engine, Plan, Scenario, Watch};

use crate::books::only_record_by_length;
use crate::paid_provider::{alice, assert_says, calls, only_record, provider, setup, takes};

#[test]
fn a_call_outlives_control_and_its_callers_bye_is_relayed_by_the_next_one() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().plays().pauses().hangs_up()).pause_ms(4_000).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);

    node.control.kill();
    // Audio goes on each way while nobody is in control.
    watch.await_packets(&call, 25);
    node.restart();
    watch.await_packets(&call, 25);

    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK BYE <200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    assert!(cseq(&carrier.heard("BYE")) > cseq(&carrier.heard("INVITE")));
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "caller", "sip_status": 200, "q850": 16, "recovered": true}));
    let talk_ms = record["talk_ms"].as_u64().expect("a duration");
    assert!((4_000..5_500).contains(&talk_ms), "{record:#}");
    watch.await_none();
}

#[test]
fn a_call_outlives_control_and_its_carriers_bye_is_relayed_by_the_next_one() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().pauses().hangs_up()).pause_ms(4_000).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().plays().is_hung_up_on()).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);
    node.control.kill();
    watch.await_packets(&call, 25);
    node.restart();

    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK <BYE 200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK BYE <200");
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "callee", "sip_status": 200, "q850": 16, "recovered": true}));
    let talk_ms = record["talk_ms"].as_u64().expect("a duration");
    assert!((4_000..5_500).contains(&talk_ms), "{record:#}");
    watch.await_none();
}

#[test]
fn a_call_that_rang_when_control_died_is_cancelled_by_the_next_one_and_costs_nothing() {
    let at = Address::new();
    let ringing = Scenario::carrier("carrier").answers(180, Body::Empty);
    let cancelled = ringing.awaits("CANCEL").answers_last(200, Body::Empty).answers(487, Body::Empty);
    let mut carrier = Plan::new(cancelled).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, Scenario::caller("caller").invite(Body::Audio).is_refused(503)).start(at);
    await_some("ringing", || caller.summary().ends_with("<180").then_some(()));
    node.control.kill();
    let held = node.json("account show alice")["held"].clone();
    assert_ne!(held, "0.00");
    node.restart();

    caller.await_success();
    carrier.await_success();
    assert_eq!(carrier.summary(), "<INVITE 180 <CANCEL 200 487 <ACK");
    let record = only_record(&node, "5.00");
    let expected = json!({
        "sip_status": 503, "ended_by": "exchange", "billed_seconds": 0, "charge": "0", "answer_at": null,
        "recovered": true,
    });
    assert_says(&record, &expected);
    Watch::new(engine.ng).await_none();
}

#[test]
fn a_carrier_that_answers_a_call_of_a_dead_control_is_acknowledged_and_hung_up_on() {
    let at = Address::new();
    let ringing = Scenario::carrier("carrier").answers(180, Body::Empty);
    let answered = ringing.awaits("CANCEL").answers_last(200, Body::Empty).answers(200, Body::Audio);
    let mut carrier = Plan::new(answered.is_hung_up_on()).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, Scenario::caller("caller").invite(Body::Audio).is_refused(503)).start(at);
    await_some("ringing", || caller.summary().ends_with("<180").then_some(()));
    node.control.kill();
    node.restart();

    caller.await_success();
    carrier.await_success();
    assert_eq!(carrier.summary(), "<INVITE 180 <CANCEL 200 200 <ACK <BYE 200");
    let record = only_record(&node, "5.00");
    assert_says(&record, &json!({"sip_status": 503, "billed_seconds": 0, "charge": "0", "recovered": true}));
    Watch::new(engine.ng).await_none();
}

#[test]
fn a_dead_engine_ends_its_calls_within_three_seconds_billed_to_its_last_report() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (mut engine, node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().plays().is_hung_up_on()).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_reports(&call, 2);
    engine.process.kill();
    let killed = std::time::Instant::now();
    caller.await_success();
    carrier.await_success();
    let took = killed.elapsed();
    assert!(took.as_millis() < 3_000, "{took:?}");
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK <BYE 200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "exchange", "cause": "media engine lost", "q850": 41}));
    let talk_ms = record["talk_ms"].as_u64().expect("a duration");
    // A report a second; the second one may have been on its way.
    assert!((900..2_300).contains(&talk_ms), "{record:#}");

    let mut caller = alice(&node, Scenario::caller("caller").invite(Body::Audio).is_refused(503)).start(at);
    caller.await_success();
    assert!(caller.heard("503").header("Retry-After").is_some());
}

#[test]
fn new_calls_use_the_engine_that_is_left() {
    let at = Address::new();
    let mut first = Engine::start(at, &[]);
    let second = Engine::start(at, &["--port-min", "10000", "--port-max", "19999"]);
    let mut carrier = Plan::new(takes().is_hung_up_on()).calls(4).start(at);
    let node = setup(at, &[&first, &second], &[&carrier], "5.00").start();
    first.process.kill();
    // Until the loss is noticed a call may be offered to the dead one first; it must go through all the same.
    for _ in 0..4 {
        let mut caller = alice(&node, calls().plays().pauses().hangs_up()).pause_ms(200).start(at);
        caller.await_success();
    }
    carrier.await_success();
    Watch::new(second.ng).await_none();
    let records = await_some("four records", || {
        let records = node.records();
        (records.len() == 4).then_some(records)
    });
    for record in &records {
        assert_says(record, &json!({"sip_status": 200, "billed_seconds": 1, "ended_by": "caller"}));
    }
}

fn cseq(seen: &tests::trace::Seen) -> u32 {
    let header = seen.header("CSeq").expect("every message has one");
    let number = header.split(' ').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("CSeq: {header}"))
}
