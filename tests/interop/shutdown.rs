//! SIGTERM, and a configuration that is refused before anything starts.

use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tests::process::tollgate;
use tests::{Address, Plan, Watch};

use crate::books::only_record_by_length;
use crate::paid_provider::{alice, assert_says, calls, provider, takes};

#[test]
fn control_leaves_on_sigterm_without_ending_its_calls_and_takes_them_up_again() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (engine, mut node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().plays().pauses().hangs_up()).pause_ms(3_000).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);
    let asked = Instant::now();
    node.control.signal("TERM");
    node.control.await_success();
    assert!(asked.elapsed().as_millis() < 2_500, "{:?}", asked.elapsed());
    watch.await_packets(&call, 25);
    node.restart();
    caller.await_success();
    carrier.await_success();
    assert_eq!(carrier.summary(), "<INVITE 180 200 <ACK <BYE 200");
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "caller", "sip_status": 200, "recovered": true}));
    watch.await_none();
}

#[test]
fn an_engine_leaves_on_a_second_signal_and_its_calls_are_hung_up_and_charged() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (mut engine, node) = provider(at, &[&carrier]);
    let mut caller = alice(&node, calls().plays().is_hung_up_on()).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_reports(&call, 2);
    engine.process.signal("TERM");
    engine.process.await_line("drain", |line| line.contains("draining"));
    // The call goes on meanwhile.
    watch.await_packets(&call, 25);
    engine.process.signal("TERM");
    let asked = Instant::now();
    engine.process.await_success();
    caller.await_success();
    carrier.await_success();
    assert!(asked.elapsed().as_millis() < 3_500, "{:?}", asked.elapsed());
    let record = only_record_by_length(&node);
    assert_says(&record, &json!({"ended_by": "exchange", "q850": 41, "sip_status": 200}));
}

#[test]
fn an_unknown_key_is_refused_by_check_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("control.toml");
    let text = "[node]\ndomain = \"provider.example\"\n[[listener]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
                [call]\ncals_max = 5\n";
    std::fs::write(&file, text).expect("a file in a new folder");
    let output = Command::new(tollgate()).args(["control", "--check", "--config"]).arg(&file).output();
    let output = output.expect("tollgate runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("cals_max") && said.contains(":7"), "{said}");
}
