//! Requests inside the dialog, from both sides.

use call::*;
use sip::{Dialog, HeaderName, Method};

use crate::basic::talking;
use crate::peer::{Peer, body, sdp};
use crate::world::World;

/// One side's view: who asks, its dialog, who answers.
struct Ends {
    asking: Peer,
    dialog: Dialog,
    other: Peer,
}

/// A conversation seen from the caller, and one seen from the callee.
fn both(act: impl Fn(&mut World, Ends)) {
    let mut world = World::new();
    let (pair, at_phone, _) = talking(&mut world);
    act(&mut world, Ends { asking: pair.phone, dialog: at_phone, other: pair.carrier });
    let mut world = World::new();
    let (pair, _, at_carrier) = talking(&mut world);
    act(&mut world, Ends { asking: pair.carrier, dialog: at_carrier, other: pair.phone });
}

#[test]
fn a_re_invite_moves_the_media_through_the_engine_from_either_side() {
    both(|world, mut ends| {
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again.clone());
        let onward = ends.other.expect_request(world, Method::Invite);
        assert!(body(onward.body()).contains("m=audio 4444"));
        assert!(body(onward.body()).ends_with("a=engine\r\n"));
        assert!(onward.headers.has(&HeaderName::Contact));
        ends.other.send(world, ends.other.response(&onward, 200, Some(&sdp(6666))));
        let ack = ends.other.expect_request(world, Method::Ack);
        assert!(
            !ack.headers.has(&HeaderName::ProxyAuthorization),
            "nobody's credentials go to somebody else"
        );
        let answer = ends.asking.expect(world, 200);
        assert!(body(answer.body()).contains("m=audio 6666"));
        let number = again.cseq().expect("CSeq").number;
        let ack = ends.asking.ack(&ends.dialog, number, None);
        ends.asking.send(world, ack);
        world.pass_ms(40_000);
        ends.asking.expect_nothing(world);
        assert!(world.store.cdrs.is_empty());
    });
}

#[test]
fn a_re_invite_without_offer_is_answered_in_its_ack() {
    both(|world, mut ends| {
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, None);
        ends.asking.send(world, again.clone());
        let onward = ends.other.expect_request(world, Method::Invite);
        assert!(onward.body().is_empty());
        ends.other.send(world, ends.other.response(&onward, 200, Some(&sdp(6666))));
        let offer = ends.asking.expect(world, 200);
        assert!(body(offer.body()).contains("m=audio 6666"));
        ends.other.expect_nothing(world);
        let number = again.cseq().expect("CSeq").number;
        let ack = ends.asking.ack(&ends.dialog, number, Some(&sdp(4444)));
        ends.asking.send(world, ack);
        let ack = ends.other.expect_request(world, Method::Ack);
        assert!(body(ack.body()).contains("m=audio 4444"));
        // And the next one is not in its way.
        let third = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4445)));
        ends.asking.send(world, third);
        ends.other.expect_request(world, Method::Invite);
    });
}

#[test]
fn an_update_with_and_without_offer_is_passed_on() {
    both(|world, mut ends| {
        let update = ends.asking.within(&mut ends.dialog, Method::Update, Some(&sdp(4444)));
        ends.asking.send(world, update);
        let onward = ends.other.expect_request(world, Method::Update);
        ends.other.send(world, ends.other.response(&onward, 200, Some(&sdp(6666))));
        assert!(body(ends.asking.expect(world, 200).body()).contains("m=audio 6666"));

        let mut refresh = ends.asking.within(&mut ends.dialog, Method::Update, None);
        refresh.headers.push(HeaderName::SessionExpires, "1800;refresher=uac");
        ends.asking.send(world, refresh);
        let onward = ends.other.expect_request(world, Method::Update);
        assert_eq!(onward.headers.get(&HeaderName::SessionExpires).as_deref(), Some("1800;refresher=uac"));
        ends.other.send(world, ends.other.response(&onward, 200, None));
        ends.asking.expect(world, 200);
    });
}

#[test]
fn a_refused_re_invite_leaves_the_call_alone() {
    for status in [488, 491, 500, 603] {
        both(|world, mut ends| {
            let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
            ends.asking.send(world, again);
            let onward = ends.other.expect_request(world, Method::Invite);
            ends.other.send(world, ends.other.response(&onward, status, None));
            ends.other.expect_request(world, Method::Ack);
            ends.asking.expect(world, status);
            assert!(world.store.cdrs.is_empty());
            let bye = ends.asking.within(&mut ends.dialog, Method::Bye, None);
            ends.asking.send(world, bye);
            ends.asking.expect(world, 200);
        });
    }
}

#[test]
fn crossing_re_invites_are_491_and_a_second_one_is_500() {
    let mut world = World::new();
    let (pair, mut at_phone, mut at_carrier) = talking(&mut world);
    let (mut phone, mut carrier) = (pair.phone, pair.carrier);
    let first = phone.within(&mut at_phone, Method::Invite, Some(&sdp(4444)));
    phone.send(&mut world, first);
    carrier.expect_request(&mut world, Method::Invite);
    let crossing = carrier.within(&mut at_carrier, Method::Invite, Some(&sdp(6666)));
    carrier.send(&mut world, crossing);
    carrier.expect(&mut world, 491);
    let impatient = phone.within(&mut at_phone, Method::Update, Some(&sdp(4445)));
    phone.send(&mut world, impatient);
    assert!(phone.expect(&mut world, 500).headers.has(&HeaderName::RetryAfter));
}

#[test]
fn a_side_that_knows_no_such_call_ends_it() {
    both(|world, mut ends| {
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again);
        let onward = ends.other.expect_request(world, Method::Invite);
        ends.other.send(world, ends.other.response(&onward, 481, None));
        ends.asking.expect(world, 481);
        ends.asking.expect_request(world, Method::Bye);
        world.finish();
        world.cdr();
    });
}

#[test]
fn info_is_passed_on_with_its_body_and_others_are_refused() {
    both(|world, mut ends| {
        let mut info = ends.asking.within(&mut ends.dialog, Method::Info, None);
        info.set_body("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n".into());
        ends.asking.send(world, info);
        let onward = ends.other.expect_request(world, Method::Info);
        assert_eq!(body(onward.body()), "Signal=5\r\nDuration=160\r\n");
        ends.other.send(world, ends.other.response(&onward, 200, None));
        ends.asking.expect(world, 200);

        let refer = ends.asking.within(&mut ends.dialog, Method::Refer, None);
        ends.asking.send(world, refer);
        ends.asking.expect(world, 405);
        let options = ends.asking.within(&mut ends.dialog, Method::Options, None);
        ends.asking.send(world, options);
        ends.asking.expect(world, 200);
        assert!(world.store.cdrs.is_empty());
    });
}

#[test]
fn a_stranger_cannot_give_up_an_early_dialog() {
    let mut world = World::new();
    let pair = crate::basic::dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 180, None));
    let ringing = pair.phone.expect(&mut world, 180);
    let mut dialog = Dialog::uac(&pair.invite, &ringing).expect("an early dialog");
    let mut stranger = Peer::udp("mallory", "203.0.113.9:5060");
    let mine = dialog.local.clone();
    dialog.local = mine.replace("tag=from", "tag=guess");
    let bye = stranger.within(&mut dialog, Method::Bye, None);
    stranger.send(&mut world, bye);
    stranger.expect(&mut world, 481);
    pair.carrier.expect_nothing(&mut world);

    dialog.local = mine;
    let mut phone = pair.phone;
    let bye = phone.within(&mut dialog, Method::Bye, None);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    phone.expect(&mut world, 487);
    pair.carrier.expect_request(&mut world, Method::Cancel);
}

#[test]
fn a_stranger_with_another_tag_is_not_the_peer() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    let mut stranger = Peer::udp("mallory", "203.0.113.9:5060");
    at_phone.local = at_phone.local.replace("tag=from", "tag=guess");
    let bye = stranger.within(&mut at_phone, Method::Bye, None);
    stranger.send(&mut world, bye);
    stranger.expect(&mut world, 481);
    pair.carrier.expect_nothing(&mut world);
}

#[test]
fn an_extension_nobody_knows_is_420_inside_the_dialog_too() {
    both(|world, mut ends| {
        let mut again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        again.headers.push(HeaderName::Require, "100rel, timer");
        ends.asking.send(world, again);
        let refused = ends.asking.expect(world, 420);
        assert_eq!(refused.headers.get(&HeaderName::Unsupported).as_deref(), Some("100rel"));
        ends.other.expect_nothing(world);
    });
}

#[test]
fn a_request_out_of_order_is_500() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    let mut phone = pair.phone;
    at_phone.local_cseq -= 1;
    let old = phone.within(&mut at_phone, Method::Update, None);
    phone.send(&mut world, old);
    phone.expect(&mut world, 500);
}

#[test]
fn a_bye_during_a_re_invite_ends_both() {
    both(|world, mut ends| {
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again);
        let onward = ends.other.expect_request(world, Method::Invite);
        let bye = ends.asking.within(&mut ends.dialog, Method::Bye, None);
        ends.asking.send(world, bye);
        ends.asking.expect(world, 200);
        ends.asking.expect(world, 487);
        ends.other.expect_request(world, Method::Bye);
        // Its answer to the re-INVITE crosses our BYE.
        ends.other.send(world, ends.other.response(&onward, 200, Some(&sdp(6666))));
        let ack = ends.other.expect_request(world, Method::Ack);
        assert_eq!(ack.cseq().expect("CSeq").number, onward.cseq().expect("CSeq").number);
        world.finish();
        world.cdr();
    });
}

#[test]
fn an_engine_that_refuses_a_change_leaves_the_call_as_it_was() {
    both(|world, mut ends| {
        world.engines[0].refusing = Some("no");
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again);
        ends.asking.expect(world, 488);
        ends.other.expect_nothing(world);
        assert!(world.store.cdrs.is_empty());
    });
}

#[test]
fn a_cancelled_re_invite_is_cancelled_on_the_other_side() {
    both(|world, mut ends| {
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again.clone());
        let onward = ends.other.expect_request(world, Method::Invite);
        ends.other.send(world, ends.other.response(&onward, 180, None));
        ends.asking.send(world, ends.asking.cancel(&again));
        ends.asking.expect(world, 200);
        let cancel = ends.other.expect_request(world, Method::Cancel);
        ends.other.send(world, ends.other.response(&cancel, 200, None));
        ends.other.send(world, ends.other.response(&onward, 487, None));
        ends.other.expect_request(world, Method::Ack);
        ends.asking.expect(world, 487);
        assert!(world.store.cdrs.is_empty());
    });
}

#[test]
fn a_change_goes_to_the_address_the_other_side_moved_to() {
    let mut world = World::new();
    let (pair, mut at_phone, mut at_carrier) = talking(&mut world);
    let (mut phone, mut carrier) = (pair.phone, pair.carrier);
    let moved = Peer::udp("carrier", "198.51.100.77:5099");
    let mut update = carrier.within(&mut at_carrier, Method::Update, None);
    update.headers.set(HeaderName::Contact, &moved.contact());
    carrier.send(&mut world, update);
    let onward = phone.expect_request(&mut world, Method::Update);
    phone.send(&mut world, phone.response(&onward, 200, None));
    carrier.expect(&mut world, 200);
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    let bye = moved.expect_request(&mut world, Method::Bye);
    moved.send(&mut world, moved.response(&bye, 200, None));
    world.finish();
    assert_eq!(world.cdr().ended_by, Side::Caller);
}

#[test]
fn a_bye_while_the_engine_has_the_answer_of_a_re_invite_leaves_nobody_waiting() {
    both(|world, mut ends| {
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again);
        let onward = ends.other.expect_request(world, Method::Invite);
        world.hold_media = true;
        ends.other.send(world, ends.other.response(&onward, 200, Some(&sdp(6666))));
        let bye = ends.asking.within(&mut ends.dialog, Method::Bye, None);
        ends.asking.send(world, bye);
        ends.asking.expect(world, 200);
        ends.asking.expect(world, 487);
        ends.other.expect_request(world, Method::Ack);
        ends.other.expect_request(world, Method::Bye);
        world.release_media();
        world.finish();
        world.cdr();
        world.pass_ms(600_000);
        assert_eq!(world.exchange.transactions(), (0, 0));
    });
}

#[test]
fn a_digit_on_its_way_does_not_refuse_a_hold() {
    both(|world, mut ends| {
        let mut info = ends.asking.within(&mut ends.dialog, Method::Info, None);
        info.set_body("application/dtmf-relay", "Signal=5\r\n".into());
        ends.asking.send(world, info);
        ends.other.expect_request(world, Method::Info);
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again);
        ends.other.expect_request(world, Method::Invite);
    });
}

#[test]
fn a_refused_change_leaves_the_media_where_it_was() {
    for status in [488, 491, 480] {
        both(|world, mut ends| {
            let before = world.engines[0].calls.values().next().expect("a call").heard.len();
            let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
            ends.asking.send(world, again);
            let onward = ends.other.expect_request(world, Method::Invite);
            ends.other.send(world, ends.other.response(&onward, status, None));
            ends.asking.expect(world, status);
            let heard = &world.engines[0].calls.values().next().expect("a call").heard[before..];
            assert_eq!(heard, [(false, sdp(4444)), (false, sdp(4000)), (true, sdp(6000))]);
        });
    }
}

#[test]
fn a_refused_change_goes_back_to_the_last_one_that_was_taken() {
    both(|world, mut ends| {
        let first = ends.asking.within(&mut ends.dialog, Method::Update, Some(&sdp(4444)));
        ends.asking.send(world, first);
        let onward = ends.other.expect_request(world, Method::Update);
        ends.other.send(world, ends.other.response(&onward, 200, Some(&sdp(6666))));
        ends.asking.expect(world, 200);
        let second = ends.asking.within(&mut ends.dialog, Method::Update, Some(&sdp(4445)));
        ends.asking.send(world, second);
        let onward = ends.other.expect_request(world, Method::Update);
        ends.other.send(world, ends.other.response(&onward, 488, None));
        ends.asking.expect(world, 488);
        let heard = &world.engines[0].calls.values().next().expect("a call").heard;
        assert_eq!(heard[heard.len() - 2..], [(false, sdp(4444)), (true, sdp(6666))]);
    });
}

#[test]
fn a_carrier_does_not_learn_from_a_refusal_where_the_phone_is() {
    both(|world, mut ends| {
        let asked_by_carrier = ends.asking.name == "carrier";
        let again = ends.asking.within(&mut ends.dialog, Method::Invite, Some(&sdp(4444)));
        ends.asking.send(world, again);
        let onward = ends.other.expect_request(world, Method::Invite);
        let refused = ends
            .other
            .response(&onward, 488, None)
            .with_header(HeaderName::Warning, "304 10.0.0.7 \"no common codec\"");
        ends.other.send(world, refused);
        let heard = ends.asking.expect(world, 488);
        assert_eq!(heard.headers.has(&HeaderName::Warning), !asked_by_carrier);
    });
}
