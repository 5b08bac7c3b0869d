//! Kamailio with its rtpengine module and an unchanged `rtpengine_manage()` delegates media to our engine.

use load::ng::Client;
use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Body, Engine, Kamailio, Plan, Scenario, udp};

#[test]
fn a_call_through_kamailio_is_relayed_and_its_bye_frees_the_ports() {
    let at = Address::new();
    let engine = Engine::start(at, &["--delete-delay", "0"]);
    let mut callee = Plan::new(
        Scenario::carrier("callee").answers(180, Body::Empty).answers(200, Body::Audio).is_hung_up_on(),
    )
    .start(at);
    let kamailio = Kamailio::start(
        at,
        &[("CALLEE", &format!("\"sip:{}\"", callee.address)), ("ENGINE", &format!("\"udp:{}\"", engine.ng))],
    );

    let mut ng = Client::new(engine.ng).expect("an NG client");
    let calls = Scenario::caller("caller").invite_plainly(Body::Audio).is_answered().ack(Body::Empty);
    let mut caller =
        Plan::new(calls.plays().pauses().hangs_up()).to(kamailio.sip).number("4930").pause_ms(3000).start(at);

    let call_id = await_some("a call", || call_ids(&mut ng).pop());
    await_some("audio both ways", || {
        let call = ng.ask(&json!({"command": "query", "call-id": call_id})).ok()?;
        let received = packets_by_leg(&call);
        (received.len() == 2 && received.iter().all(|packets| *packets >= 50)).then_some(())
    });
    caller.await_success();
    callee.await_success();
    for sdp in caller
        .messages()
        .lines()
        .chain(callee.messages().lines())
        .filter_map(|line| line.strip_prefix("m=audio "))
    {
        assert!(
            sdp.split(' ').next().is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)),
            "{sdp}"
        );
    }
    await_some("an engine without calls", || call_ids(&mut ng).is_empty().then_some(()));
    let mut left = udp::bound_ports(at.ip());
    left.retain(|port| (20_000..32_000).contains(port));
    assert_eq!(left, [0u16; 0], "ports that the BYE did not free");
}

fn call_ids(ng: &mut Client) -> Vec<String> {
    let answer = ng.ask(&json!({"command": "list"})).expect("an answer to list");
    let calls = answer["calls"].as_array().cloned().unwrap_or_default();
    calls.iter().filter_map(|call| call.as_str().map(str::to_owned)).collect()
}

/// Packets received from each leg on its RTP port.
fn packets_by_leg(call: &Value) -> Vec<u64> {
    let legs = call["tags"].as_object().into_iter().flat_map(|tags| tags.values());
    legs.filter_map(|leg| leg["medias"][0]["streams"][0]["stats"]["packets"].as_u64()).collect()
}
