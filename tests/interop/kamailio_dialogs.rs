//! Kamailio with its rtpengine module before our engine: forks, changes within a dialog, late offers, given-up calls, and
//! one of two engines that goes away.

use std::net::SocketAddr;

use load::ng::Client;
use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Body, Engine, Kamailio, Plan, Scenario, Sipp, Watch, udp};

/// The proxy of this folder in front of one engine, or of several whose addresses are parted by blanks.
fn proxy(at: Address, engines: &str, callee: &Sipp, defines: &[(&str, &str)]) -> Kamailio {
    let callee = format!("\"sip:{}\"", callee.address);
    let engines = format!("\"{engines}\"");
    let common = [("CALLEE", callee.as_str()), ("ENGINE", engines.as_str())];
    Kamailio::start(at, &[common.as_slice(), defines].concat())
}

fn udp_of(engine: &Engine) -> String {
    format!("udp:{}", engine.ng)
}

fn calls(name: &str) -> Scenario {
    Scenario::caller(name).invite_plainly(Body::Audio).is_answered().ack(Body::Empty)
}

fn takes(name: &str) -> Scenario {
    Scenario::carrier(name).answers(180, Body::Empty).answers(200, Body::Audio)
}

/// Rings until the call is given up.
fn rings(name: &str) -> Scenario {
    let ringing = Scenario::carrier(name).answers(180, Body::Empty).awaits("CANCEL");
    ringing.answers_last(200, Body::Empty).answers(487, Body::Empty)
}

/// A caller that plays its audio, hangs up after so long, and is on its way.
fn talks(scenario: Scenario, pause_ms: u32, kamailio: &Kamailio, at: Address) -> Sipp {
    Plan::new(scenario.plays().pauses().hangs_up())
        .to(kamailio.sip)
        .number("4930")
        .pause_ms(pause_ms)
        .start(at)
}

/// The ports of the audio in the descriptions that came to this peer, in their order, refused ones too.
fn ports(peer: &Sipp) -> Vec<u16> {
    let seen = peer.seen().into_iter().filter(|seen| seen.received);
    seen.filter_map(|seen| seen.sdp("m")?.split(' ').nth(1)?.parse().ok()).collect()
}

/// Waits until the engine has neither a call nor a media port.
fn await_clean(engine: &Engine, at: Address) {
    Watch::new(engine.ng).await_none();
    await_some("media ports that are free again", || {
        let mut left = udp::bound_ports(at.ip());
        left.retain(|port| (20_000..32_000).contains(port));
        left.is_empty().then_some(())
    });
}

#[test]
fn of_two_branches_one_answers_and_is_heard_and_each_had_ports_of_its_own() {
    let at = Address::new();
    let engine = Engine::start(at, &["--delete-delay", "0"]);
    let mut loser = Plan::new(rings("loser")).start(at);
    // Later than the other one rings, so that there is something to cancel.
    let answers =
        Scenario::carrier("winner").answers(180, Body::Empty).pauses_for(500).answers(200, Body::Audio);
    let mut winner = Plan::new(answers.is_hung_up_on()).start(at);
    let second = format!("\"sip:{}\"", winner.address);
    let kamailio = proxy(at, &udp_of(&engine), &loser, &[("SECOND", &second)]);
    let mut caller = talks(calls("caller"), 3_000, &kamailio, at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    await_some("audio of the caller and of who answered, and of nobody else", || {
        let mut packets = watch.packets(&call);
        packets.sort_unstable_by(|one, other| other.cmp(one));
        (packets.len() == 3 && packets[1] >= 25 && packets[2] == 0).then_some(())
    });
    caller.await_success();
    winner.await_success();
    loser.await_success();
    let [shown_loser, shown_winner] = [ports(&loser), ports(&winner)].map(|ports| ports[0]);
    assert_ne!(shown_loser, shown_winner, "branches have ports of their own");
    assert_eq!(loser.summary(), "<INVITE 180 <CANCEL 200 487 <ACK");
    await_clean(&engine, at);
}

#[test]
fn a_dialog_is_held_moved_and_resumed_and_its_ports_follow_the_rules() {
    let at = Address::new();
    let engine = Engine::start(at, &["--delete-delay", "0"]);
    let callee = (0..3).fold(takes("callee"), |callee, _| callee.is_asked("INVITE", 200, Body::Audio));
    let mut callee = Plan::new(callee.is_hung_up_on()).start(at);
    let kamailio = proxy(at, &udp_of(&engine), &callee, &[]);
    let changes = [Body::Hold, Body::Moved, Body::Audio];
    let caller = changes.into_iter().fold(calls("caller"), Scenario::reinvites);
    let mut caller = talks(caller, 3_000, &kamailio, at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);
    caller.await_success();
    callee.await_success();
    let [first, held, moved, resumed] = ports(&callee)[..] else { panic!("{}", callee.messages()) };
    assert_eq!((held, resumed), (first, first), "the same endpoint is shown the same port");
    assert_ne!(moved, first, "another endpoint is shown another one");
    let directions: Vec<_> = callee
        .seen()
        .iter()
        .filter(|seen| seen.what() == "INVITE")
        .filter_map(|seen| seen.text.lines().find(|line| line.starts_with("a=send")).map(str::to_owned))
        .collect();
    assert_eq!(directions, ["a=sendrecv", "a=sendonly", "a=sendrecv", "a=sendrecv"]);
    let shown = ports(&caller);
    assert!(
        shown.len() == 4 && shown.iter().all(|port| *port == shown[0]),
        "the callee never moved: {shown:?}"
    );
    await_clean(&engine, at);
}

#[test]
fn an_offer_in_the_answer_is_answered_in_the_ack() {
    let at = Address::new();
    let engine = Engine::start(at, &["--delete-delay", "0"]);
    let mut callee = Plan::new(takes("callee").is_hung_up_on()).start(at);
    let kamailio = proxy(at, &udp_of(&engine), &callee, &[]);
    let caller = Scenario::caller("caller").invite_plainly(Body::Empty).is_answered().ack(Body::Audio);
    let mut caller = talks(caller, 3_000, &kamailio, at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);
    caller.await_success();
    callee.await_success();
    for peer in [&caller, &callee] {
        assert!(matches!(ports(peer)[..], [port] if (20_000..32_000).contains(&port)), "{}", peer.messages());
    }
    await_clean(&engine, at);
}

#[test]
fn a_call_that_is_given_up_leaves_no_port_behind() {
    let at = Address::new();
    let engine = Engine::start(at, &["--delete-delay", "0"]);
    let mut callee = Plan::new(rings("callee")).start(at);
    let kamailio = proxy(at, &udp_of(&engine), &callee, &[]);
    let caller = Scenario::caller("caller").invite_plainly(Body::Audio).hears(180).cancels();
    let mut caller = Plan::new(caller).to(kamailio.sip).number("4930").start(at);
    caller.await_success();
    callee.await_success();
    assert_eq!(ports(&callee).len(), 1, "it was offered media");
    await_clean(&engine, at);
}

/// Who refused how many calls, and why.
fn refused(engine: SocketAddr) -> Vec<Value> {
    let mut ng = Client::new(engine).expect("a client");
    let told = ng.ask(&json!({"command": "events", "since": 0, "wait-ms": 0})).expect("events");
    let events = told["events"].as_array().cloned().unwrap_or_default();
    events.into_iter().filter(|event| event["event"] == "refused").collect()
}

#[test]
fn an_engine_that_drains_and_then_is_gone_is_passed_over_for_new_calls() {
    let at = Address::new();
    let mut first = Engine::start(at, &["--delete-delay", "0", "--drain-timeout", "600"]);
    let second = Engine::start(at, &["--delete-delay", "0", "--port-min", "10000", "--port-max", "19999"]);
    let mut callee = Plan::new(takes("callee").is_hung_up_on()).calls(3).start(at);
    // By its weight the first one is chosen while it may be.
    let engines = format!("{}=1000000 {}=1", udp_of(&first), udp_of(&second));
    let kamailio = proxy(at, &engines, &callee, &[]);
    let call = |pause_ms| talks(calls("caller"), pause_ms, &kamailio, at);
    let (mut at_first, mut at_second) = (Watch::new(first.ng), Watch::new(second.ng));

    let mut long = call(8_000);
    let long_call = at_first.await_call();
    at_first.await_packets(&long_call, 25);
    first.process.signal("TERM");
    first.process.await_line("drain", |line| line.contains("draining"));

    let mut while_draining = call(2_000);
    let short_call = at_second.await_call();
    at_second.await_packets(&short_call, 25);
    assert_eq!(refused(first.ng)[0]["reason"], "draining");
    at_first.await_packets(&long_call, 25);
    while_draining.await_success();
    long.await_success();
    first.process.await_success();

    let mut without = call(2_000);
    let call = at_second.await_call();
    at_second.await_packets(&call, 25);
    without.await_success();
    callee.await_success();
    at_second.await_none();
}

#[test]
fn an_engine_that_was_killed_is_passed_over_for_new_calls() {
    let at = Address::new();
    let mut first = Engine::start(at, &["--delete-delay", "0"]);
    let second = Engine::start(at, &["--delete-delay", "0", "--port-min", "10000", "--port-max", "19999"]);
    let mut callee = Plan::new(takes("callee").is_hung_up_on()).calls(2).start(at);
    let engines = format!("{}=1000000 {}=1", udp_of(&first), udp_of(&second));
    let kamailio = proxy(at, &engines, &callee, &[]);
    let call = || talks(calls("caller"), 2_000, &kamailio, at);
    let mut before = call();
    let mut watch = Watch::new(first.ng);
    let name = watch.await_call();
    watch.await_packets(&name, 25);
    // The media of this call is lost; its BYE finds the engine gone, and the next call another one.
    first.process.kill();
    before.await_success();
    let mut after = call();
    let mut watch = Watch::new(second.ng);
    let name = watch.await_call();
    watch.await_packets(&name, 25);
    after.await_success();
    callee.await_success();
    watch.await_none();
}
