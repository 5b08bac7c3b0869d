//! The scenarios themselves, between two SIPps: what the other tests build on is proven first.

use tests::{Address, Body, Plan, Scenario};

fn play(caller: Scenario, carrier: Scenario) {
    let at = Address::new();
    let mut carrier = Plan::new(carrier).start(at);
    let mut caller = Plan::new(caller).to(carrier.address).number("4930").pause_ms(100).start(at);
    caller.await_success();
    carrier.await_success();
}

#[test]
fn a_call_is_answered_changed_by_both_and_hung_up() {
    let caller =
        Scenario::caller("caller").invite_plainly(Body::Audio).is_answered().ack(Body::Empty).plays();
    let carrier = Scenario::carrier("carrier").answers(180, Body::Empty).answers(200, Body::Audio);
    play(
        caller.reinvites(Body::Hold).is_asked("INVITE", 200, Body::Moved).updates(Body::Audio).hangs_up(),
        carrier
            .is_asked("INVITE", 200, Body::Audio)
            .reinvites(Body::Moved)
            .is_asked("UPDATE", 200, Body::Audio)
            .is_hung_up_on(),
    );
}

#[test]
fn the_carrier_hangs_up() {
    let caller = Scenario::caller("caller").invite_plainly(Body::Audio).is_answered().ack(Body::Empty);
    play(caller.is_hung_up_on(), Scenario::carrier("carrier").answers(200, Body::Audio).pauses().hangs_up());
}

#[test]
fn a_ringing_call_is_cancelled() {
    let caller = Scenario::caller("caller").invite_plainly(Body::Audio).hears(180).cancels();
    let carrier = Scenario::carrier("carrier")
        .answers(180, Body::Empty)
        .awaits("CANCEL")
        .answers_last(200, Body::Empty);
    play(caller, carrier.answers(487, Body::Empty));
}

#[test]
fn a_busy_carrier_refuses() {
    let caller = Scenario::caller("caller").invite_plainly(Body::Audio).is_refused(486);
    play(caller, Scenario::carrier("carrier").answers(486, Body::Empty));
}
