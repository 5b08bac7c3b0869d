//! Kill -9 at every step, and what the next process makes of it.

use std::time::Duration;

use call::*;
use ng::{EndReason, Ended};
use sip::{Dialog, HeaderName, Message, Method};

use crate::basic::{Pair, carrier, dialled, phone, talking};
use crate::peer::{Peer, sdp};
use crate::world::{World, money};

#[test]
fn a_conversation_goes_on_and_is_charged_from_its_200_to_the_bye() {
    for from_phone in [true, false] {
        let mut world = World::new();
        let (pair, at_phone, at_carrier) = talking(&mut world);
        let Pair { phone, carrier, .. } = pair;
        world.pass_ms(10_000);
        world.restart(Duration::from_secs(3));
        phone.expect_nothing(&mut world);
        carrier.expect_nothing(&mut world);
        let lease = world.engines[0].calls.values().next().expect("a call").lease_ms;
        assert!(lease > 900_000, "the lease was renewed");
        world.pass_ms(7_000);
        let (mut asking, mut dialog, other, before) = if from_phone {
            (phone, at_phone, carrier, at_carrier.remote_cseq.unwrap_or(0))
        } else {
            (carrier, at_carrier, phone, 0)
        };
        let bye = asking.within(&mut dialog, Method::Bye, None);
        asking.send(&mut world, bye);
        asking.expect(&mut world, 200);
        let bye = other.expect_request(&mut world, Method::Bye);
        assert!(bye.cseq().expect("CSeq").number > before);
        other.send(&mut world, other.response(&bye, 200, None));
        world.finish();
        let cdr = world.cdr();
        assert_eq!((cdr.talk_ms, cdr.billed_seconds), (20_000, 20));
        assert!(cdr.recovered && cdr.wall_clock);
        assert_eq!(cdr.charge, money("0.25"));
        assert_eq!(world.engines[0].calls.len(), 0);
    }
}

#[test]
fn a_call_that_ended_at_the_engine_meanwhile_is_charged_to_that_instant() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    world.pass_ms(10_000);
    let at = world.wall_ms + 4_000;
    let ended = Ended { reason: EndReason::LeaseEnded, wall_ms: at, lifetime_ms: 0 };
    world.engines[0].calls.values_mut().next().expect("a call").ended = Some(ended);
    world.restart(Duration::from_secs(60));
    for peer in [&pair.phone, &pair.carrier] {
        let bye = peer.expect_request(&mut world, Method::Bye);
        peer.send(&mut world, peer.response(&bye, 200, None));
    }
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.talk_ms, cdr.media.caller.packets_received), (14_000, 50));
    assert_eq!(world.engines[0].calls.len(), 0, "the report was acknowledged");
}

#[test]
fn a_call_whose_engine_died_too_is_ended() {
    let mut world = World::new();
    let (pair, ..) = talking(&mut world);
    world.pass_ms(10_000);
    world.engines[0] = crate::engine::ModelEngine::new("reborn");
    world.restart(Duration::from_secs(1));
    pair.phone.expect_request(&mut world, Method::Bye);
    pair.carrier.expect_request(&mut world, Method::Bye);
    world.finish();
    assert_eq!(world.cdr().billed_seconds, 6, "nobody knows of more than the first increment");
}

#[test]
fn credit_still_ends_a_recovered_call() {
    let mut world = World::new();
    world.store.balances.insert("alice".into(), money("0.25"));
    let (pair, ..) = talking(&mut world);
    world.pass_ms(10_000);
    world.restart(Duration::from_secs(1));
    world.pass_ms(8_900);
    pair.phone.expect_nothing(&mut world);
    world.pass_ms(200);
    pair.phone.expect_request(&mut world, Method::Bye);
    world.finish();
    assert_eq!(world.cdr().charge, money("0.25"));
}

#[test]
fn a_recovered_call_counts_among_its_accounts_calls() {
    let mut world = World::new();
    world.directory.accounts.get_mut(&AccountId::from("alice")).expect("alice").max_calls = 1;
    world.publish();
    let (pair, ..) = talking(&mut world);
    world.restart(Duration::from_secs(1));
    let mut phone = pair.phone;
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);
}

#[test]
fn a_ringing_carrier_is_cancelled_and_the_phone_told() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 180, None));
    pair.phone.expect(&mut world, 180);
    world.restart(Duration::from_secs(1));
    let failed = pair.phone.expect(&mut world, 503);
    assert_eq!(failed.top_via().expect("Via").branch(), pair.invite.top_via().expect("Via").branch());
    let cancel = pair.carrier.expect_request(&mut world, Method::Cancel);
    assert_eq!(cancel.top_via().expect("Via"), pair.onward.top_via().expect("Via"));
    pair.carrier.send(&mut world, pair.carrier.response(&cancel, 200, None));
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 487, None));
    let ack = pair.carrier.expect_request(&mut world, Method::Ack);
    assert_eq!(ack.top_via().expect("Via"), pair.onward.top_via().expect("Via"));
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.charge, cdr.sip_status), (money("0"), 503));
    assert_eq!(world.engines[0].live(), 0);
}

#[test]
fn a_carrier_that_answers_the_dead_is_acknowledged_and_ended() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.restart(Duration::from_secs(1));
    pair.carrier.expect_request(&mut world, Method::Cancel);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_carrier_that_never_heard_of_the_call_is_waited_for_as_long_as_a_200_is_repeated() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.restart(Duration::from_secs(1));
    let cancel = pair.carrier.expect_request(&mut world, Method::Cancel);
    pair.carrier.send(&mut world, pair.carrier.response(&cancel, 481, None));
    world.pass_ms(4_500);
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_carrier_that_had_answered_the_dead_and_forgot_the_invite_is_ended_too() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.restart(Duration::from_secs(1));
    let cancel = pair.carrier.expect_request(&mut world, Method::Cancel);
    // RFC 3261 §17.2.1: its transaction ended with the 2xx, which it repeats all the same.
    pair.carrier.send(&mut world, pair.carrier.response(&cancel, 481, None));
    world.pass_ms(3_900);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn no_number_is_used_twice_over_two_restarts_or_many_digits() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    let (mut phone, carrier) = (pair.phone, pair.carrier);
    let mut last = 0;
    for round in 0..3 {
        for _ in 0..130 {
            let mut info = phone.within(&mut at_phone, Method::Info, None);
            info.set_body("application/dtmf-relay", "Signal=5\r\n".into());
            phone.send(&mut world, info);
            let onward = carrier.expect_request(&mut world, Method::Info);
            let number = onward.cseq().expect("CSeq").number;
            assert!(number > last, "{number} after {last}");
            last = number;
            carrier.send(&mut world, carrier.response(&onward, 200, None));
            phone.expect(&mut world, 200);
            if round == 1 {
                break;
            }
        }
        world.restart(Duration::from_secs(1));
    }
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    let bye = carrier.expect_request(&mut world, Method::Bye);
    assert!(bye.cseq().expect("CSeq").number > last);
    carrier.send(&mut world, carrier.response(&bye, 200, None));
    world.finish();
    world.cdr();
}

#[test]
fn a_200_that_the_phone_had_not_acknowledged_is_sent_again() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.phone.expect(&mut world, 200);
    pair.carrier.expect_request(&mut world, Method::Ack);
    world.restart(Duration::from_secs(1));
    let answer = pair.phone.expect(&mut world, 200);
    // The carrier lost the ACK, too.
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let mut at_phone = Dialog::uac(&pair.invite, &answer).expect("a dialog");
    let mut phone = pair.phone.clone();
    let ack = phone.ack(&at_phone, at_phone.local_cseq, None);
    phone.send(&mut world, ack);
    world.pass_ms(40_000);
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    world.finish();
    assert_eq!(world.cdr().talk_ms, 41_000);
}

#[test]
fn a_delayed_offer_is_answered_by_the_next_process() {
    let mut world = World::new();
    let (mut phone, carrier) = (phone(), carrier());
    let invite = phone.invite("+493055555", None);
    phone.send(&mut world, invite.clone());
    let onward = carrier.expect_request(&mut world, Method::Invite);
    carrier.send(&mut world, carrier.response(&onward, 200, Some(&sdp(6000))));
    phone.expect(&mut world, 200);
    world.restart(Duration::from_secs(1));
    let offer = phone.expect(&mut world, 200);
    carrier.send(&mut world, carrier.response(&onward, 200, Some(&sdp(6000))));
    carrier.expect_nothing(&mut world);
    let at_phone = Dialog::uac(&invite, &offer).expect("a dialog");
    let ack = phone.ack(&at_phone, at_phone.local_cseq, Some(&sdp(4000)));
    phone.send(&mut world, ack);
    let ack = carrier.expect_request(&mut world, Method::Ack);
    assert!(crate::peer::body(ack.body()).contains("m=audio 4000"));
    world.pass_ms(40_000);
    assert!(world.store.cdrs.is_empty(), "the call goes on");
}

#[test]
fn a_tls_phone_of_a_dead_process_is_reached_when_it_reconnects() {
    let mut world = World::new();
    let mut alice = Peer::tls("alice", "192.0.2.1:40001", 5);
    let invite = alice.invite("+493055555", Some(&sdp(4000)));
    alice.send(&mut world, invite.clone());
    let onward = carrier().expect_request(&mut world, Method::Invite);
    carrier().send(&mut world, carrier().response(&onward, 200, Some(&sdp(6000))));
    let answer = alice.expect(&mut world, 200);
    let dialog = Dialog::uac(&invite, &answer).expect("a dialog");
    let ack = alice.ack(&dialog, dialog.local_cseq, None);
    alice.send(&mut world, ack);
    carrier().expect_request(&mut world, Method::Ack);
    world.restart(Duration::from_secs(1));
    let mut at_carrier = Dialog::uas(&onward, "carrier-tag").expect("a dialog");
    let mut carrier = carrier();
    let bye = carrier.within(&mut at_carrier, Method::Bye, None);
    carrier.send(&mut world, bye);
    carrier.expect(&mut world, 200);
    alice.expect_nothing(&mut world);
    assert_eq!(world.cdr().ended_by, Side::Callee);
    let mut back = Peer::tls("alice", "192.0.2.1:40002", 1);
    crate::phones::register(&mut world, &mut back);
    let bye = back.expect_request(&mut world, Method::Bye);
    assert!(bye.headers.has(&HeaderName::Reason));
}

/// Plays a whole call with peers that answer whatever they hear, and kills the exchange after `outputs`.
fn crash_after(outputs: usize) -> World {
    let mut world = World::new();
    world.dies_after = Some(world.outputs + outputs);
    let (mut phone, carrier) = (phone(), carrier());
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite.clone());
    let mut dialog = None;
    let mut restarted = false;
    for second in 0..200 {
        if world.dead() && !restarted {
            restarted = true;
            world.restart(Duration::from_secs(2));
        }
        while let Some(message) = carrier.next(&mut world) {
            let Message::Request(request) = message else { continue };
            match request.method() {
                Method::Invite => {
                    carrier.send(&mut world, carrier.response(&request, 180, None));
                    carrier.send(&mut world, carrier.response(&request, 200, Some(&sdp(6000))));
                }
                Method::Ack => {}
                _ => carrier.send(&mut world, carrier.response(&request, 200, None)),
            }
        }
        while let Some(message) = phone.next(&mut world) {
            match message {
                Message::Request(request) if *request.method() != Method::Ack => {
                    phone.send(&mut world, phone.response(&request, 200, None));
                }
                Message::Response(response)
                    if response.status().code() == 200
                        && response.cseq().expect("CSeq").method == Method::Invite =>
                {
                    let fresh = Dialog::uac(&invite, &response).expect("a dialog");
                    let ack = phone.ack(&fresh, fresh.local_cseq, None);
                    phone.send(&mut world, ack);
                    dialog.get_or_insert(fresh);
                }
                _ => {}
            }
        }
        // A phone repeats a BYE that nobody answers.
        if (second == 30 || second == 60)
            && let Some(dialog) = &mut dialog
        {
            let bye = phone.within(dialog, Method::Bye, None);
            phone.send(&mut world, bye);
        }
        world.pass_ms(1000);
    }
    world
}

#[test]
fn a_crash_after_any_output_leaves_one_record_and_no_hold() {
    let mut answered = 0;
    for outputs in 0..60 {
        let mut world = crash_after(outputs);
        world.finish();
        let begun = world.trace.iter().any(|line| line == "store authorize");
        if !begun {
            assert!(world.store.cdrs.is_empty());
            continue;
        }
        let cdr = world.cdr();
        assert_eq!(world.balance("alice"), money("10").checked_sub(cdr.charge).expect("enough"));
        assert!(cdr.charge <= cdr.held, "after {outputs}");
        assert_eq!(world.engines[0].calls.len(), 0, "after {outputs}\n{}", world.story());
        answered += usize::from(cdr.sip_status == 200);
    }
    assert!(answered > 10, "some of them were conversations");
}
