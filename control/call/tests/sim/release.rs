//! How calls end.

use call::*;
use sip::{HeaderName, Method};

use crate::basic::{dialled, talking};
use crate::peer::sdp;
use crate::world::{World, money};

#[test]
fn the_carrier_hangs_up() {
    let mut world = World::new();
    let (pair, _, mut at_carrier) = talking(&mut world);
    world.pass_ms(3000);
    let mut carrier = pair.carrier.clone();
    let mut bye = carrier.within(&mut at_carrier, Method::Bye, None);
    bye.headers.push(HeaderName::Reason, "Q.850;cause=16;text=\"bye bye\"");
    carrier.send(&mut world, bye);
    carrier.expect(&mut world, 200);
    let bye = pair.phone.expect_request(&mut world, Method::Bye);
    assert!(bye.headers.get(&HeaderName::Reason).expect("Reason").contains("bye bye"));
    pair.phone.send(&mut world, pair.phone.response(&bye, 200, None));
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.ended_by, cdr.talk_ms, cdr.billed_seconds), (Side::Callee, 3000, 6));
    assert_eq!(cdr.charge, money("0.11"));
}

#[test]
fn crossing_byes_are_both_answered_and_charged_once() {
    let mut world = World::new();
    let (pair, mut at_phone, mut at_carrier) = talking(&mut world);
    let (mut phone, mut carrier) = (pair.phone, pair.carrier);
    world.pass_ms(7000);
    let from_phone = phone.within(&mut at_phone, Method::Bye, None);
    let from_carrier = carrier.within(&mut at_carrier, Method::Bye, None);
    phone.send(&mut world, from_phone);
    phone.expect(&mut world, 200);
    carrier.send(&mut world, from_carrier);
    carrier.expect_request(&mut world, Method::Bye);
    carrier.expect(&mut world, 200);
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.ended_by, cdr.billed_seconds), (Side::Caller, 7));
}

#[test]
fn used_up_credit_ends_both_legs_and_never_costs_more_than_the_hold() {
    let mut world = World::new();
    // 0.05 and 20 seconds at 0.01.
    world.store.balances.insert("alice".into(), money("0.2599"));
    let (pair, ..) = talking(&mut world);
    let lease = world.engines[0].calls.values().next().expect("a call").lease_ms;
    assert_eq!(lease, 20_000 + 30_000);
    world.pass_ms(19_999);
    pair.phone.expect_nothing(&mut world);
    world.pass_ms(2);
    for peer in [&pair.phone, &pair.carrier] {
        let bye = peer.expect_request(&mut world, Method::Bye);
        let reason = bye.headers.get(&HeaderName::Reason).expect("Reason").into_owned();
        assert!(reason.contains("cause=31") && reason.contains("SIP;cause=402"), "{reason}");
        peer.send(&mut world, peer.response(&bye, 200, None));
    }
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.billed_seconds, cdr.ended_by), (20, Side::Exchange));
    assert_eq!(cdr.charge, money("0.25"));
    assert_eq!(cdr.held, money("0.25"));
    assert_eq!(world.balance("alice"), money("0.0099"));
}

#[test]
fn a_late_timer_does_not_bill_beyond_the_hold() {
    let mut world = World::new();
    world.store.balances.insert("alice".into(), money("0.25"));
    let (pair, ..) = talking(&mut world);
    // The process slept over the deadline.
    world.now += std::time::Duration::from_secs(29);
    world.wall_ms += 29_000;
    world.input(Input::Tick);
    pair.phone.expect_request(&mut world, Method::Bye);
    world.finish();
    assert_eq!(world.cdr().charge, money("0.25"));
}

#[test]
fn a_phone_that_gives_up_cancels_the_carrier() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 180, None));
    pair.phone.expect(&mut world, 180);
    pair.phone.send(&mut world, pair.phone.cancel(&pair.invite));
    pair.phone.expect(&mut world, 200);
    pair.phone.expect(&mut world, 487);
    let cancel = pair.carrier.expect_request(&mut world, Method::Cancel);
    assert_eq!(cancel.top_via().expect("Via"), pair.onward.top_via().expect("Via"));
    pair.carrier.send(&mut world, pair.carrier.response(&cancel, 200, None));
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 487, None));
    pair.carrier.expect_request(&mut world, Method::Ack);
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.sip_status, cdr.charge, cdr.ended_by), (487, money("0"), Side::Caller));
}

#[test]
fn a_cancel_before_any_18x_waits_for_the_carrier_to_speak() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.phone.send(&mut world, pair.phone.cancel(&pair.invite));
    pair.phone.expect(&mut world, 200);
    pair.phone.expect(&mut world, 487);
    pair.carrier.expect_nothing(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 100, None));
    pair.carrier.expect_request(&mut world, Method::Cancel);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 487, None));
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_cancel_that_crosses_the_200_costs_nothing_and_ends_the_carrier() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 180, None));
    pair.phone.expect(&mut world, 180);
    pair.phone.send(&mut world, pair.phone.cancel(&pair.invite));
    pair.phone.expect(&mut world, 200);
    pair.phone.expect(&mut world, 487);
    pair.carrier.expect_request(&mut world, Method::Cancel);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    let cdr = world.cdr();
    assert!(cdr.answer_at.is_some(), "the record says that it was answered");
    assert_eq!((cdr.sip_status, cdr.charge, cdr.talk_ms), (487, money("0"), 0));
}

#[test]
fn a_cancel_while_the_answer_becomes_durable_pays_for_the_time_to_our_bye() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.hold_store = true;
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    world.pass_ms(40);
    pair.phone.expect_nothing(&mut world);
    pair.phone.send(&mut world, pair.phone.cancel(&pair.invite));
    pair.phone.expect(&mut world, 200);
    pair.phone.expect(&mut world, 487);
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.release_store();
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.sip_status, cdr.talk_ms, cdr.charge), (487, 40, money("0.11")));
}

#[test]
fn an_answer_that_cannot_be_recorded_is_no_answer() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.store.failing.insert("journal");
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.phone.expect(&mut world, 503);
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_carrier_that_answers_and_hangs_up_at_once_costs_nothing() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.hold_store = true;
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    let mut at_carrier = sip::Dialog::uas(&pair.onward, "carrier-tag").expect("a dialog");
    let mut carrier = pair.carrier.clone();
    let bye = carrier.within(&mut at_carrier, Method::Bye, None);
    carrier.send(&mut world, bye);
    carrier.expect(&mut world, 200);
    pair.phone.expect(&mut world, 480);
    world.release_store();
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_200_that_the_phone_never_acknowledges_ends_both_legs() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.phone.expect(&mut world, 200);
    pair.carrier.expect_request(&mut world, Method::Ack);
    world.pass_ms(31_900);
    let mut repeats = 0;
    while let Some(sip::Message::Response(response)) = pair.phone.next(&mut world) {
        assert_eq!(response.status().code(), 200);
        repeats += 1;
    }
    assert!(repeats > 5, "the 200 is repeated");
    world.pass_ms(200);
    pair.phone.expect_request(&mut world, Method::Bye);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.ended_by, cdr.talk_ms), (Side::Exchange, 32_000));
    assert_eq!(cdr.charge, money("0.37"));
}

#[test]
fn a_carrier_that_hangs_up_before_the_phones_ack_reaches_it_after() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    let answer = pair.phone.expect(&mut world, 200);
    pair.carrier.expect_request(&mut world, Method::Ack);
    let mut at_carrier = sip::Dialog::uas(&pair.onward, "carrier-tag").expect("a dialog");
    let mut carrier = pair.carrier.clone();
    let bye = carrier.within(&mut at_carrier, Method::Bye, None);
    carrier.send(&mut world, bye);
    carrier.expect(&mut world, 200);
    pair.phone.expect_nothing(&mut world);
    let at_phone = sip::Dialog::uac(&pair.invite, &answer).expect("a dialog");
    let mut phone = pair.phone.clone();
    let ack = phone.ack(&at_phone, at_phone.local_cseq, None);
    phone.send(&mut world, ack);
    let bye = phone.expect_request(&mut world, Method::Bye);
    phone.send(&mut world, phone.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().ended_by, Side::Callee);
}

#[test]
fn a_carrier_that_repeats_its_200_gets_the_same_ack() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let forked = pair.carrier.response(&pair.onward, 200, Some(&sdp(6000)));
    let mut other = sip::Response::to(&pair.onward, sip::StatusCode::OK).with_to_tag("another");
    other.headers.copy(&forked.headers, &HeaderName::Contact);
    pair.carrier.send(&mut world, other);
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    assert_eq!(bye.to_tag().as_deref(), Some("another"));
    assert_eq!(world.store.cdrs.len(), 0, "the call goes on");
}

#[test]
fn a_settlement_is_repeated_until_the_store_works() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    world.store.failing.insert("settle");
    let mut phone = pair.phone.clone();
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    world.pass_ms(120_000);
    assert!(world.store.cdrs.is_empty());
    assert_eq!(world.engines[0].calls.len(), 1, "the report is kept until the record is durable");
    world.store.failing.clear();
    world.finish();
    assert_eq!(world.cdr().charge, money("0.11"));
    assert_eq!(world.engines[0].calls.len(), 0);
}

#[test]
fn a_carrier_that_acknowledges_no_change_is_ended_with_the_credit_all_the_same() {
    let mut world = World::new();
    world.store.balances.insert("alice".into(), money("0.15"));
    let (pair, _, mut at_carrier) = talking(&mut world);
    let (phone, mut carrier) = (pair.phone, pair.carrier);
    world.pass_ms(9_000);
    let again = carrier.within(&mut at_carrier, Method::Invite, Some(&sdp(6001)));
    carrier.send(&mut world, again);
    let onward = phone.expect_request(&mut world, Method::Invite);
    phone.send(&mut world, phone.response(&onward, 200, Some(&sdp(4001))));
    phone.expect_request(&mut world, Method::Ack);
    carrier.expect(&mut world, 200);
    world.pass_ms(1_000);
    let second = carrier.expect(&mut world, 200);
    assert_eq!(second.cseq().expect("CSeq").method, Method::Invite);
    carrier.expect_request(&mut world, Method::Bye);
    phone.expect_request(&mut world, Method::Bye);
}

#[test]
fn a_cause_in_words_is_cut_before_it_goes_on() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    let mut phone = pair.phone;
    let mut bye = phone.within(&mut at_phone, Method::Bye, None);
    let text = format!("Q.850;cause=16;text=\"{}\"", "long \\\" ".repeat(500));
    bye.headers.push(HeaderName::Reason, &text);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    let why = bye.headers.get(&HeaderName::Reason).expect("a reason").into_owned();
    assert!(why.starts_with("Q.850;cause=16;text=\"long") && why.len() < 300, "{why}");
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().cause.chars().count(), 120);
}

#[test]
fn a_carrier_that_does_not_answer_a_bye_keeps_nobody_from_the_next_call() {
    let mut world = World::new();
    world.directory.accounts.get_mut(&"alice".into()).expect("alice").max_calls = 1;
    world.directory.trunks.truncate(1);
    world.directory.trunks[0].max_calls = 1;
    world.publish();
    let (pair, mut at_phone, _) = talking(&mut world);
    let mut phone = pair.phone;
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    pair.carrier.expect_request(&mut world, Method::Bye);
    let next = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, next);
    pair.carrier.expect_request(&mut world, Method::Invite);
}

#[test]
fn a_cancel_while_the_store_decides_frees_the_hold_and_dials_nobody() {
    let mut world = World::new();
    world.hold_store = true;
    let mut phone = crate::basic::phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite.clone());
    phone.send(&mut world, phone.cancel(&invite));
    phone.expect(&mut world, 200);
    phone.expect(&mut world, 487);
    world.release_store();
    world.finish();
    crate::basic::carrier().expect_nothing(&mut world);
    assert!(world.cdr().held > money("0"), "the hold had come into being");
    assert_eq!(world.cdr().charge, money("0"));
    assert_eq!(world.store.available(&"alice".into()), money("10"));
}
