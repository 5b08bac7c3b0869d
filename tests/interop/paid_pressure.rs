//! Calls when something is short: acknowledgements, credit for many at once, patience, disk, ports, engines.

use serde_json::json;
use tests::process::await_some;
use tests::{Address, Body, Engine, Plan, Scenario, Sipp, udp};

use crate::paid_provider::{
    CREDIT, NUMBER, alice, assert_says, calls, only_record, provider, records, setup, takes, with_carriers,
};

#[test]
fn an_answer_that_the_phone_never_acknowledges_ends_both_legs_and_is_charged() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    // 64 times 34 ms are 2.176 s.
    let node = setup(at, &[&engine], &[&carrier], CREDIT).config("[sip]\nt1_ms = 34\n").start();
    let deaf = Scenario::caller("deaf").invite(Body::Audio).is_answered().is_hung_up_on();
    let mut caller = alice(&node, deaf).start(at);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <200 <BYE 200");
    let repeats = caller.messages().matches("SIP/2.0 200 OK").count();
    assert!(repeats > 4, "the answer was repeated until its time was over, and came {repeats} times");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    let record = only_record(&node, "4.9438");
    assert_says(
        &record,
        &json!({"sip_status": 200, "billed_seconds": 3, "charge": "0.0562", "ended_by": "exchange", "cause": "no ACK"}),
    );
}

#[test]
fn of_ten_calls_at_once_an_account_that_affords_three_has_three() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).calls(3).start(at);
    let engine = Engine::start(at, &[]);
    // A hold is for 10 s at most: 0.01 a second and 0.05 for being answered.
    let node = with_carriers(tests::Setup::new(at, &[engine.ng]), &[&carrier])
        .account_with("alice", "0.45", "--max-call-seconds 10")
        .command("rate add 49 --price 0.01 --per 1 --connection-fee 0.05")
        .start();
    let some = Scenario::caller("crowd")
        .invite(Body::Audio)
        .unless_refused(402, |accepted| accepted.is_answered().ack(Body::Empty).pauses().hangs_up());
    let mut callers = alice(&node, some).calls(10).pause_ms(2_200).with("-r", "100").start(at);
    callers.await_success();
    carrier.await_success();
    let heard = callers.seen();
    let count = |what: &str, method: &str| {
        let mut found = heard.iter().filter(|seen| seen.received && seen.what() == what).collect::<Vec<_>>();
        found.retain(|seen| seen.header("CSeq").is_some_and(|cseq| cseq.ends_with(method)));
        found.len()
    };
    assert_eq!((count("200", "INVITE"), count("402", "INVITE")), (3, 7));
    // 3 s each: 0.08, three times.
    let records = records(&node, 10, "0.21");
    let charges: Vec<_> = records.iter().map(|record| record["charge"].as_str().expect("a charge")).collect();
    assert_eq!(charges.iter().filter(|charge| **charge == "0.08").count(), 3, "{charges:?}");
    assert_eq!(charges.iter().filter(|charge| **charge == "0").count(), 7, "{charges:?}");
}

#[test]
fn a_flood_from_one_source_is_turned_away_and_calls_of_others_go_on() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).calls(2).start(at);
    let engine = Engine::start(at, &[]);
    let limits = "[call]\nrequests_per_second = 20\nrequests_burst = 20\nretry_after_s = 7\n";
    let mut node = setup(at, &[&engine], &[&carrier], CREDIT).config(limits).start();
    let flood = Scenario::caller("flood").invite_plainly(Body::Audio).is_refused_with_either(407, 503);
    let mut flood =
        Plan::new(flood).to(node.sip).number(NUMBER).calls(200).with("-r", "200").with("-l", "200").start(at);
    await_some("a refusal", || flood.messages().contains("SIP/2.0 503").then_some(()));
    let mut elsewhere = alice(&node, calls().pauses().hangs_up()).pause_ms(200).start(Address::new());
    elsewhere.await_success();
    flood.await_success();
    let heard = flood.seen();
    let refused: Vec<_> = heard.iter().filter(|seen| seen.received && seen.what() == "503").collect();
    assert!(refused.len() >= 150, "{} of 200", refused.len());
    assert!(refused.iter().all(|seen| seen.header("Retry-After") == Some("7")));

    // The source itself, when it has calmed down.
    let mut calm =
        Scenario::caller("calm").pauses_for(500).invite(Body::Audio).is_answered().ack(Body::Empty);
    calm = calm.pauses().hangs_up();
    let mut again = alice(&node, calm).pause_ms(200).start(at);
    again.await_success();
    carrier.await_success();
    let records = records(&node, 2, "4.8958");
    assert!(records.iter().all(|record| record["charge"] == json!("0.0521")), "{records:#?}");
    node.control.signal("TERM");
    let counted = node.control.await_line("count of the refused", |line| line.contains("flooded: "));
    let (_, counted) = counted.split_once("flooded: ").expect("it was looked for");
    let counted = counted.split(',').next().and_then(|number| number.parse::<usize>().ok());
    // Who is not heard at once asks again, which counts again.
    assert!(counted.is_some_and(|counted| counted >= refused.len()), "{counted:?} of {}", refused.len());
}

#[test]
fn a_database_that_cannot_be_written_lets_no_call_through_and_recovers() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (_engine, mut node) = provider(at, &[&carrier]);
    node.fill_disk(true);
    let refused = Scenario::caller("refused").invite(Body::Audio).is_refused(503);
    let mut caller = alice(&node, refused).start(at);
    caller.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <503 ACK");
    assert!(caller.heard("503").header("Retry-After").is_some());
    node.control.await_line("store failure", |line| line.contains("store failed"));
    assert_eq!(carrier.messages(), "");

    node.fill_disk(false);
    let record = only_record(&node, CREDIT);
    assert_says(&record, &json!({"sip_status": 503, "charge": "0", "billed_seconds": 0, "attempts": []}));
    let mut caller = alice(&node, calls().pauses().hangs_up()).pause_ms(200).start(at);
    caller.await_success();
    carrier.await_success();
    let records = records(&node, 2, "4.9479");
    assert_says(&records[1], &json!({"sip_status": 200, "charge": "0.0521"}));
}

#[test]
fn an_answer_that_cannot_be_written_reaches_no_phone() {
    let at = Address::new();
    let ringing = Scenario::carrier("carrier").answers(180, Body::Empty).pauses_for(1_000);
    let mut carrier = Plan::new(ringing.answers(200, Body::Audio).is_hung_up_on()).start(at);
    let (_engine, node) = provider(at, &[&carrier]);
    let refused = Scenario::caller("refused").invite(Body::Audio).is_refused(503);
    let mut caller = alice(&node, refused).start(at);
    await_some("ringing", || caller.messages().contains("SIP/2.0 180").then_some(()));
    node.fill_disk(true);
    caller.await_success();
    carrier.await_success();
    assert_eq!(caller.summary(), "INVITE <407 ACK INVITE <180 <503 ACK");
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    node.fill_disk(false);
    let record = only_record(&node, CREDIT);
    assert_says(
        &record,
        &json!({"sip_status": 503, "charge": "0", "billed_seconds": 0, "ended_by": "exchange"}),
    );
}

#[test]
fn when_the_engines_ports_are_used_up_the_answer_is_503_until_they_are_free() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).calls(2).start(at);
    // Two legs of RTP and RTCP.
    let engine = Engine::start(at, &["--port-min", "20000", "--port-max", "20003"]);
    let mut node = setup(at, &[&engine], &[&carrier], CREDIT).start();
    let mut first = alice(&node, calls().pauses().hangs_up()).pause_ms(2_200).start(at);
    await_some("an answer", || is_answered(&first).then_some(()));
    let refused = Scenario::caller("refused").invite(Body::Audio).is_refused(503);
    let mut second = alice(&node, refused).start(at);
    second.await_success();
    assert!(second.heard("503").header("Retry-After").is_some());
    node.control.await_line("reason", |line| line.contains("engine failed") && line.contains("out of ports"));
    first.await_success();
    let mut third = alice(&node, calls().pauses().hangs_up()).pause_ms(200).start(at);
    third.await_success();
    carrier.await_success();
    let records = records(&node, 3, "4.8917");
    let mut outcomes: Vec<_> =
        records.iter().map(|record| (&record["sip_status"], &record["charge"])).collect();
    outcomes.sort_by_key(|(_, charge)| charge.to_string());
    assert_eq!(
        outcomes,
        [(&json!(503), &json!("0")), (&json!(200), &json!("0.0521")), (&json!(200), &json!("0.0562"))]
    );
}

#[test]
fn without_an_engine_the_answer_is_503_and_the_carrier_hears_nothing() {
    let at = Address::new();
    let carrier = Plan::new(takes()).start(at);
    let (mut engine, node) = provider(at, &[&carrier]);
    engine.process.kill();
    let refused = Scenario::caller("refused").invite(Body::Audio).is_refused(503);
    let mut caller = alice(&node, refused).start(at);
    caller.await_success();
    assert!(caller.heard("503").header("Retry-After").is_some());
    let record = only_record(&node, CREDIT);
    assert_says(&record, &json!({"sip_status": 503, "charge": "0", "billed_seconds": 0, "attempts": []}));
    assert_eq!(carrier.messages(), "");
}

#[test]
fn when_one_engine_is_gone_the_other_one_is_used() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).calls(2).start(at);
    let (mut gone, there) =
        (Engine::start(at, &[]), Engine::start(at, &["--port-min", "40000", "--port-max", "49999"]));
    let node = setup(at, &[&gone, &there], &[&carrier], CREDIT).start();
    gone.process.kill();
    // Two calls, since engines take turns.
    let mut caller = alice(&node, calls().plays().pauses().hangs_up()).calls(2).pause_ms(200).start(at);
    caller.await_success();
    carrier.await_success();
    let records = records(&node, 2, "4.8958");
    for record in &records {
        assert_says(record, &json!({"sip_status": 200, "charge": "0.0521"}));
        assert!(record["media"]["callee"]["packets_received"].as_u64().is_some_and(|packets| packets > 2));
    }
}

fn is_answered(caller: &Sipp) -> bool {
    caller.summary().contains("<200")
}

#[test]
fn a_hundred_calls_on_top_of_each_other_are_charged_one_by_one() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).calls(100).start(at);
    let engine = Engine::start(at, &[]);
    let node = with_carriers(tests::Setup::new(at, &[engine.ng]), &[&carrier])
        .account_with("alice", "20.00", "--max-call-seconds 60 --max-calls 100")
        .command("rate add 49 --price 0.1234 --connection-fee 0.05")
        .start();
    let mut callers =
        alice(&node, calls().pauses().hangs_up()).calls(100).pause_ms(1_200).with("-r", "50").start(at);
    callers.await_success();
    carrier.await_success();
    let records = records(&node, 100, "14.58");
    for record in &records {
        assert_says(record, &json!({"sip_status": 200, "billed_seconds": 2, "charge": "0.0542"}));
    }
    let calls: std::collections::HashSet<_> = records.iter().map(|record| record["call"].as_str()).collect();
    assert_eq!(calls.len(), 100, "every record is another call's");
    await_some("an engine without media ports", || {
        (!udp::bound(at.ip()).iter().any(|port| (20_000..32_000).contains(port))).then_some(())
    });
}
