//! How carriers and phones are reached, and what happens when they fall silent.

use serde_json::json;
use tests::{Address, Body, Engine, Plan, Scenario, udp};

use crate::paid_provider::{CREDIT, alice, assert_says, calls, only_record, setup, takes};

#[test]
fn a_carrier_that_asks_for_a_digest_gets_it() {
    let at = Address::new();
    let asking = Scenario::carrier("asking").challenges("tollgate").answers(180, Body::Empty);
    let mut carrier = Plan::new(asking.answers(200, Body::Audio).is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    let trunk = format!("trunk add carrier-0 sip:{};transport=udp --media plain", carrier.address);
    let node = setup(at, &[&engine], &[], CREDIT)
        .command(&format!("{trunk} --user tollgate --password-file password"))
        .start();
    let mut caller = alice(&node, calls().pauses().hangs_up()).pause_ms(200).start(at);
    carrier.await_success();
    caller.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK BYE <200");
    assert_eq!(carrier.summary(), "<INVITE 401 <ACK <INVITE 180 200 <ACK <BYE 200");
    let record = only_record(&node, "4.9479");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 1, "charge": "0.0521", "trunk": "carrier-0"}),
    );
}

#[test]
fn a_trusted_address_needs_no_digest_and_any_other_does() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    let exchange = Address::new();
    let node = setup(at, &[&engine], &[&carrier], CREDIT)
        .command(&format!("account trust alice {exchange}"))
        .start();
    let stranger = Scenario::caller("stranger").invite_plainly(Body::Audio).is_refused(407);
    let mut stranger = alice(&node, stranger).start(at);
    stranger.await_success();
    let trusted = Scenario::caller("trusted").invite_plainly(Body::Audio).is_answered().ack(Body::Empty);
    let mut caller = alice(&node, trusted.pauses().hangs_up()).pause_ms(200).start(exchange);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <180 <200 ACK BYE <200");
    let record = only_record(&node, "4.9479");
    assert_says(&record, &json!({"account": "alice", "sip_status": 200, "charge": "0.0521"}));
}

#[test]
fn phone_and_carrier_may_speak_tcp() {
    let at = Address::new();
    let mut carrier =
        Plan::new(takes().is_asked("INVITE", 200, Body::Audio).is_hung_up_on()).over_tcp().start(at);
    let engine = Engine::start(at, &[]);
    let listener = at.socket();
    let node = setup(at, &[&engine], &[], CREDIT)
        .command(&format!("trunk add carrier-0 sip:{};transport=tcp --media plain", carrier.address))
        .config(&format!("[[listener]]\ntransport = \"tcp\"\naddress = \"{listener}\"\n"))
        .start();
    udp::await_listening(listener);
    let caller = alice(&node, calls().reinvites(Body::Hold).pauses().hangs_up()).pause_ms(200);
    let mut caller = caller.to(listener).over_tcp().start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK INVITE <200 ACK BYE <200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <INVITE 200 <ACK <BYE 200");
    assert!(carrier.heard("INVITE").header("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP ")));
    let record = only_record(&node, "4.9479");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 1, "charge": "0.0521", "ended_by": "caller"}),
    );
}

#[test]
fn a_call_that_falls_silent_is_ended_and_not_charged_for_the_silence() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &["--timeout", "3"]);
    let node = setup(at, &[&engine], &[&carrier], CREDIT).start();
    // One digit: its packets take less than half a second, and nothing comes after them.
    let digit = calls().plays_digit().is_hung_up_on();
    let mut caller = alice(&node, digit).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK <BYE 200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    let record = only_record(&node, "4.9479");
    assert_says(
        &record,
        &json!({
            "sip_status": 200, "billed_seconds": 1, "charge": "0.0521", "ended_by": "exchange", "cause": "media timeout",
        }),
    );
    assert!(
        record["media"]["caller"]["packets_received"].as_u64().is_some_and(|packets| packets > 3),
        "{record:#}"
    );
}
