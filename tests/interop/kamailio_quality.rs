//! Kamailio's `mos_*` variables are filled from our answer to `delete`.

use load::ng::Client;
use serde_json::json;
use tests::process::await_some;
use tests::{Address, Body, Engine, Kamailio, Plan, Scenario};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/kamailio/quality.cfg");

#[test]
fn kamailio_reads_the_quality_of_a_call_and_of_its_labelled_sides() {
    let at = Address::new();
    let engine = Engine::start(at, &["--delete-delay", "0"]);
    let carrier = Scenario::carrier("callee").answers(180, Body::Empty).answers(200, Body::Audio);
    let mut callee = Plan::new(carrier.is_hung_up_on()).start(at);
    let mut kamailio = Kamailio::start_by(
        CONFIG,
        at,
        &[("CALLEE", &format!("\"sip:{}\"", callee.address)), ("ENGINE", &format!("\"udp:{}\"", engine.ng))],
    );
    let calls = Scenario::caller("caller").invite_plainly(Body::Audio).is_answered().ack(Body::Empty);
    let mut caller =
        Plan::new(calls.plays().pauses().hangs_up()).to(kamailio.sip).number("4930").pause_ms(3000).start(at);
    let mut ng = Client::new(engine.ng).expect("an NG client");
    await_some("labelled sides", || {
        let list = ng.ask(&json!({"command": "list"})).ok()?;
        let call_id = list["calls"][0].as_str()?;
        let call = ng.ask(&json!({"command": "query", "call-id": call_id})).ok()?;
        let tags: Vec<_> = call["tags"].as_object()?.values().map(|tag| tag["label"].clone()).collect();
        (tags.contains(&json!("caller")) && tags.contains(&json!("callee"))).then_some(())
    });
    caller.await_success();
    callee.await_success();

    let line = kamailio.process.await_line("the quality of the call", |line| line.contains("quality min="));
    let text = |name: &str| -> &str {
        let text = line.split_once(&format!(" {name}=")).map(|(_, rest)| rest.split(' ').next());
        text.flatten().unwrap_or_else(|| panic!("no {name} in {line}"))
    };
    let value = |name: &str| -> f64 {
        let text = text(name);
        text.parse().unwrap_or_else(|error| panic!("{name} is {text}: {error}: {line}"))
    };
    // G.711 over loopback; a busy machine may let a packet come too late to be played.
    for name in ["min", "max", "average", "A", "A_min", "A_max", "B"] {
        let mos = value(name);
        assert!((3.5..=4.5).contains(&mos), "{name} is {mos}: {line}");
    }
    assert!(value("min") <= value("average") && value("average") <= value("max"), "{line}");
    assert!(value("samples") >= 1.0, "{line}");
    assert!(value("loss") <= 5.0 && value("min_loss") <= 5.0, "{line}");
    // Neither end sends RTCP, so that nobody knows a round trip.
    assert!(value("roundtrip").abs() < f64::EPSILON, "{line}");
    assert!(value("jitter") < 100.0, "{line}");
    // Minutes and seconds since the call began.
    assert!(text("min_at").starts_with("0:0"), "{line}");
}
