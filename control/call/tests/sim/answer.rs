//! Early media, delayed offers, and answers that are none.

use sip::{Dialog, HeaderName, Method};

use crate::basic::{carrier, dialled, phone};
use crate::peer::{Peer, body, sdp};
use crate::world::{World, money};

#[test]
fn early_media_passes_the_engine_once_per_description() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    for status in [183, 183, 180] {
        pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, status, Some(&sdp(6000))));
        let heard = pair.phone.expect(&mut world, status);
        assert!(body(heard.body()).contains("m=audio 6000"));
        assert!(body(heard.body()).ends_with("a=engine\r\n"));
    }
    assert_eq!(world.engines[0].calls.values().next().expect("a call").sources.len(), 2);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    assert!(body(pair.phone.expect(&mut world, 200).body()).ends_with("a=engine\r\n"));
    let early = &world.engines[0].calls.values().next().expect("a call").early;
    assert_eq!(*early, [false, true, false], "the engine waits for nobody's media before the answer");
}

#[test]
fn an_offer_that_the_engine_refuses_is_488() {
    let mut world = World::new();
    world.engines[0].refusing = Some("SAVP is not built");
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 488);
    carrier().expect_nothing(&mut world);
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_delayed_offer_is_answered_in_the_ack() {
    let mut world = World::new();
    let (mut phone, carrier) = (phone(), carrier());
    let invite = phone.invite("+493055555", None);
    phone.send(&mut world, invite.clone());
    let onward = carrier.expect_request(&mut world, Method::Invite);
    assert!(onward.body().is_empty());
    carrier.send(&mut world, carrier.response(&onward, 200, Some(&sdp(6000))));
    let offer = phone.expect(&mut world, 200);
    assert!(body(offer.body()).contains("m=audio 6000"));
    carrier.expect_nothing(&mut world);
    let mut at_phone = Dialog::uac(&invite, &offer).expect("a dialog");
    let ack = phone.ack(&at_phone, at_phone.local_cseq, Some(&sdp(4000)));
    phone.send(&mut world, ack);
    let ack = carrier.expect_request(&mut world, Method::Ack);
    assert!(body(ack.body()).contains("m=audio 4000"));
    assert!(body(ack.body()).ends_with("a=engine\r\n"));
    world.pass_ms(6_500);
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    world.finish();
    assert_eq!(world.cdr().billed_seconds, 7);
}

#[test]
fn a_delayed_offer_acknowledged_without_an_answer_ends_at_once() {
    let mut world = World::new();
    let (mut phone, carrier) = (phone(), carrier());
    let invite = phone.invite("+493055555", None);
    phone.send(&mut world, invite.clone());
    let onward = carrier.expect_request(&mut world, Method::Invite);
    carrier.send(&mut world, carrier.response(&onward, 200, Some(&sdp(6000))));
    let offer = phone.expect(&mut world, 200);
    let at_phone = Dialog::uac(&invite, &offer).expect("a dialog");
    let ack = phone.ack(&at_phone, at_phone.local_cseq, None);
    phone.send(&mut world, ack);
    phone.expect_request(&mut world, Method::Bye);
    carrier.expect_request(&mut world, Method::Ack);
    carrier.expect_request(&mut world, Method::Bye);
    world.finish();
    assert_eq!(world.cdr().billed_seconds, 6);
}

#[test]
fn a_200_without_any_description_is_ended() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, None));
    pair.phone.expect(&mut world, 502);
    pair.carrier.expect_request(&mut world, Method::Ack);
    pair.carrier.expect_request(&mut world, Method::Bye);
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn further_answers_are_each_ended_once_and_a_storm_of_them_is_not_heard() {
    let mut world = World::new();
    let (pair, ..) = crate::basic::talking(&mut world);
    let fork = |world: &mut World, number: usize| {
        let mut answer = pair.carrier.response(&pair.onward, 200, Some(&sdp(7000)));
        let to = format!("<sip:x@carrier.test>;tag=fork{number}");
        answer.headers.remove(&HeaderName::To);
        answer.headers.push(HeaderName::To, &to);
        pair.carrier.send(world, answer);
    };
    for number in 0..8 {
        fork(&mut world, number);
        pair.carrier.expect_request(&mut world, Method::Ack);
        let bye = pair.carrier.expect_request(&mut world, Method::Bye);
        assert_eq!(bye.to_tag(), Some(format!("fork{number}")));
        pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
        // Its ACK was lost.
        fork(&mut world, number);
        pair.carrier.expect_request(&mut world, Method::Ack);
        pair.carrier.expect_nothing(&mut world);
    }
    for number in 8..100 {
        fork(&mut world, number);
    }
    pair.carrier.expect_nothing(&mut world);
    assert_eq!(world.exchange.counters().stray_responses, 92);
}

#[test]
fn a_fork_that_answers_too_is_ended_where_it_is() {
    let mut world = World::new();
    let (pair, ..) = crate::basic::talking(&mut world);
    let fork = Peer::udp("fork", "198.51.100.9:5090");
    pair.carrier.send(&mut world, fork.response(&pair.onward, 200, Some(&sdp(7000))));
    fork.expect_request(&mut world, Method::Ack);
    let bye = fork.expect_request(&mut world, Method::Bye);
    assert_eq!(bye.to_tag().as_deref(), Some("fork-tag"));
    pair.carrier.expect_nothing(&mut world);
}

#[test]
fn forks_ring_one_after_the_other_and_the_end_of_one_is_not_passed_on() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    let fork = Peer::udp("fork", "198.51.100.9:5090");
    for (peer, port) in [(&pair.carrier, 6000), (&fork, 7000)] {
        pair.carrier.send(&mut world, peer.response(&pair.onward, 183, Some(&sdp(port))));
        let early = pair.phone.expect(&mut world, 183);
        assert!(body(early.body()).contains(&format!("m=audio {port}")));
    }
    pair.carrier.send(&mut world, fork.response(&pair.onward, 199, None));
    pair.phone.expect_nothing(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 181, None));
    assert!(pair.phone.expect(&mut world, 181).body().is_empty());
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    assert!(body(pair.phone.expect(&mut world, 200).body()).contains("m=audio 6000"));
}
