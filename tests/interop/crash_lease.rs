//! What ends a call that nobody can end any more: its lease at the engine, its credit, its hold's own end.

use serde_json::json;
use tests::process::await_some;
use tests::{Address, Engine, Node, Phone, Plan, Setup, Sipp, Watch};

use crate::books::only_record_by_length;
use crate::paid_provider::{NUMBER, RATE, alice, assert_says, calls, provider, takes, with_carriers};

/// A provider whose times are so short that a test can wait for their end.
fn hasty_provider(at: Address, engine: &Engine, carrier: &Sipp, max_call_seconds: u32) -> Node {
    let times = "[call]\nringing_timeout_s = 5\nsetup_timeout_s = 1\nattempts_max = 1\n";
    let options = format!("--max-call-seconds {max_call_seconds} --grace-seconds 1");
    let setup = Setup::new(at, &[engine.ng]).config(times).account_with("alice", "5.00", &options);
    with_carriers(setup.command(RATE), &[carrier]).start()
}

#[test]
fn without_control_the_engine_ends_the_call_by_its_lease_and_the_hold_ends_by_itself() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let mut node = hasty_provider(at, &engine, &carrier, 2);
    let _caller = alice(&node, calls().plays().is_hung_up_on()).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);
    node.control.kill();
    watch.await_packets(&call, 25);
    // Two seconds held, one of grace.
    watch.await_none();
    let account = node.json("account show alice");
    assert_says(&account, &json!({"balance": "5.00", "held": "0.0542", "available": "4.9458"}));
    // Nobody runs who could free it.
    await_some("the hold's own end", || (node.json("account show alice")["held"] == "0.00").then_some(()));
    assert_eq!(node.json("account show alice")["available"], "5.00");
    assert_eq!(node.json("ledger verify")["ok"], json!(true));
}

#[test]
fn a_call_whose_phone_never_comes_back_ends_with_its_hold() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let mut node = hasty_provider(at, &engine, &carrier, 4);
    let mut phone = Phone::new("alice").start(at, node.tls, &node.certificate());
    phone.dial(NUMBER);
    phone.await_event("CALL_ESTABLISHED");
    phone.process.kill();
    node.control.kill();
    node.restart();
    carrier.await_success();
    let record = only_record_by_length(&node);
    let expected = json!({"billed_seconds": 4, "ended_by": "exchange", "recovered": true, "sip_status": 200});
    assert_says(&record, &expected);
    Watch::new(engine.ng).await_none();
}

#[test]
fn a_phone_hangs_up_over_a_new_connection_after_control_was_killed() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut phone = Phone::new("alice").start(at, node.tls, &node.certificate());
    phone.dial(NUMBER);
    phone.await_event("CALL_ESTABLISHED");
    node.control.kill();
    phone.await_tone(440);
    node.restart();
    phone.hang_up();
    carrier.await_success();
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "caller", "recovered": true, "sip_status": 200, "q850": 16}));
    Watch::new(engine.ng).await_none();
}

#[test]
fn a_phone_that_registers_anew_is_hung_up_on_over_its_new_connection() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().pauses().hangs_up()).pause_ms(2_000).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut phone = Phone::new("alice").start(at, node.tls, &node.certificate());
    phone.dial(NUMBER);
    phone.await_event("CALL_ESTABLISHED");
    node.control.kill();
    node.restart();
    // The carrier hangs up while the phone cannot be reached.
    carrier.await_success();
    phone.register_again();
    phone.await_event("CALL_CLOSED");
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "callee", "recovered": true, "sip_status": 200}));
    Watch::new(engine.ng).await_none();
}
