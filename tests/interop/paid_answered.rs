//! Calls that are answered: audio, who hangs up, what it costs.

use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Body, Engine, Plan, Scenario};

use crate::paid_provider::{alice, assert_says, calls, only_record, provider, setup, takes};

#[test]
fn a_call_with_audio_both_ways_is_charged_to_the_second_when_the_caller_hangs_up() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().plays().pauses().hangs_up()).pause_ms(2_200).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK BYE <200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    assert_ne!(caller.heard("200").header("Call-ID"), carrier.heard("INVITE").header("Call-ID"));
    // The caller's port is not the carrier's to know, and the other way round.
    assert_ne!(caller.heard("200").sdp("m"), carrier.seen()[2].sdp("m"));

    // 3 s at 0.1234 a minute are 0.00617, and 0.05 for being answered: 0.0562 after rounding up.
    let record = only_record(&node, "4.9438");
    assert_says(
        &record,
        &json!({
            "account": "alice", "caller": "alice", "callee": "4930123456", "route": "trunk", "trunk": "carrier-0",
            "sip_status": 200, "q850": 16, "ended_by": "caller", "billed_seconds": 3, "charge": "0.0562",
            "currency": "EUR", "recovered": false, "wall_clock": false,
        }),
    );
    assert_says(&record["rate"], &json!({"prefix": "49", "price": "0.1234", "connection_fee": "0.05"}));
    for leg in ["caller", "callee"] {
        let media = &record["media"][leg];
        assert!(media["packets_received"].as_u64().is_some_and(|packets| packets > 50), "{leg}: {media}");
        assert!(media["bytes_received"].as_u64().is_some_and(|bytes| bytes > 50 * 160), "{leg}: {media}");
    }
    let times = ["setup_at", "ring_at", "answer_at", "end_at"].map(|key| milliseconds(&record[key]));
    assert!(times.is_sorted(), "{record:#}");
    let talk_ms = record["talk_ms"].as_u64().expect("a duration");
    assert!((2_200..3_000).contains(&talk_ms), "{talk_ms}");
    // The wall clock may be set meanwhile, but a test may rely on it that it is not.
    assert!((times[3] - times[2]).abs_diff(talk_ms) < 50, "{record:#}");
}

#[test]
fn a_call_is_charged_to_the_second_when_the_carrier_hangs_up() {
    let at = Address::new();
    // This time it is the carrier that speaks and the phone that echoes.
    let mut carrier = Plan::new(takes().plays().pauses().hangs_up()).pause_ms(1_200).echoes(false).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().is_hung_up_on()).echoes(true).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK <BYE 200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK BYE <200");
    let record = only_record(&node, "4.9458");
    assert_says(
        &record,
        &json!({"ended_by": "callee", "billed_seconds": 2, "charge": "0.0542", "sip_status": 200}),
    );
    for leg in ["caller", "callee"] {
        let packets = record["media"][leg]["packets_received"].as_u64();
        assert!(packets.is_some_and(|packets| packets > 30), "{leg}: {record:#}");
    }
}

#[test]
fn the_longest_prefix_and_its_increments_set_the_price() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    let node = setup(at, &[&engine], &[&carrier], "5.00")
        .command("rate add 4930 --price 0.07 --initial 30 --next 6")
        .command("rate add 49301235 --price 9.99")
        .start();
    let mut caller = alice(&node, calls().pauses().hangs_up()).pause_ms(200).start(at);
    caller.await_success();
    carrier.await_success();
    // A fifth of a second begins the first increment of 30 s, for half the price of a minute.
    let record = only_record(&node, "4.965");
    assert_says(&record, &json!({"billed_seconds": 30, "charge": "0.035"}));
    assert_says(&record["rate"], &json!({"prefix": "4930", "initial_seconds": 30, "next_seconds": 6}));
}

#[test]
fn credit_that_is_used_up_ends_the_call_and_no_more_than_the_hold_is_charged() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    // 3 s cost 0.0562, and a fourth one would cost 0.0021 more.
    let node = setup(at, &[&engine], &[&carrier], "0.0581").start();
    let mut caller = alice(&node, calls().is_hung_up_on()).start(at);
    let held = await_some("a hold", || {
        let account = node.json("account show alice");
        (account["held"] != json!("0.00")).then_some(account)
    });
    assert_says(&held, &json!({"balance": "0.0581", "held": "0.0562", "available": "0.0019"}));
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 ACK <BYE 200");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    for side in [&caller, &carrier] {
        let reason = side.heard("BYE").header("Reason").expect("a reason").to_owned();
        assert!(reason.contains("credit used up"), "{reason}");
    }
    let record = only_record(&node, "0.0019");
    assert_says(
        &record,
        &json!({"ended_by": "exchange", "billed_seconds": 3, "charge": "0.0562", "held": "0.0562", "sip_status": 200}),
    );
    assert!(
        record["talk_ms"].as_u64().is_some_and(|talk_ms| (3_000..3_500).contains(&talk_ms)),
        "{record:#}"
    );
}

#[test]
fn early_media_is_passed_on_and_not_charged() {
    let at = Address::new();
    let early =
        Scenario::carrier("carrier").answers(183, Body::Audio).pauses_for(1_500).answers(200, Body::Audio);
    let mut carrier = Plan::new(early.is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let early =
        Scenario::caller("caller").invite(Body::Audio).hears(183).plays().is_answered().ack(Body::Empty);
    let mut caller = alice(&node, early.pauses().hangs_up()).pause_ms(200).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <183 <200 ACK BYE <200");
    let (early, answer) = (caller.heard("183"), caller.heard("200"));
    assert!(early.sdp("m").is_some(), "{}", early.text);
    assert_eq!((early.sdp("m"), early.sdp("c")), (answer.sdp("m"), answer.sdp("c")));
    let record = only_record(&node, "4.9479");
    assert_says(&record, &json!({"ended_by": "caller", "billed_seconds": 1, "charge": "0.0521"}));
    // Some of them can only have passed before the answer.
    let packets = record["media"]["callee"]["packets_received"].as_u64();
    assert!(packets.is_some_and(|packets| packets > 40), "{record:#}");
}

#[test]
fn an_offer_may_come_with_the_answer() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let late = Scenario::caller("caller").invite(Body::Empty).is_answered().ack(Body::Audio);
    let mut caller = alice(&node, late.plays().pauses().hangs_up()).pause_ms(1_200).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    assert_eq!(carrier.heard("INVITE").sdp("m"), None);
    assert!(carrier.heard("ACK").sdp("m").is_some());
    assert!(caller.heard("200").sdp("m").is_some());
    let record = only_record(&node, "4.9458");
    assert_says(&record, &json!({"ended_by": "caller", "billed_seconds": 2, "charge": "0.0542"}));
    for leg in ["caller", "callee"] {
        let packets = record["media"][leg]["packets_received"].as_u64();
        assert!(packets.is_some_and(|packets| packets > 30), "{leg}: {record:#}");
    }
}

/// The instant within its day, of a time like `2026-01-02T03:04:05.678Z`.
fn milliseconds(time: &Value) -> u64 {
    let text = time.as_str().expect("a time is a string");
    let clock = text.split_once('T').and_then(|(_, clock)| clock.strip_suffix('Z'));
    let numbers = clock.expect("UTC").split([':', '.']).map(|part| part.parse::<u64>().expect("digits"));
    let [hour, minute, second, millisecond] =
        numbers.collect::<Vec<_>>().try_into().expect("milliseconds are there");
    ((hour * 60 + minute) * 60 + second) * 1_000 + millisecond
}
