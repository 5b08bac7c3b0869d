//! Carriers that fail, and those that come after them.

use call::*;
use sip::{HeaderName, Method};

use crate::basic::{answered, carrier, dialled, hung_up, phone, talking};
use crate::peer::{Peer, sdp};
use crate::world::{World, money};

fn second() -> Peer {
    Peer::udp("second", "198.51.100.2:5080")
}

#[test]
fn a_busy_callee_is_busy_and_nobody_else_is_asked() {
    for status in [486, 600, 603, 404] {
        let mut world = World::new();
        let pair = dialled(&mut world);
        pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, status, None));
        pair.carrier.expect_request(&mut world, Method::Ack);
        pair.phone.expect(&mut world, status);
        second().expect_nothing(&mut world);
        world.finish();
        let cdr = world.cdr();
        assert_eq!((cdr.sip_status, cdr.charge, cdr.ended_by), (status, money("0"), Side::Callee));
        assert_eq!(cdr.attempts.len(), 1);
    }
}

#[test]
fn a_session_interval_too_small_is_told_with_the_least_one() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    let refused = pair.carrier.response(&pair.onward, 422, None).with_header(HeaderName::MinSe, "600");
    pair.carrier.send(&mut world, refused);
    let heard = pair.phone.expect(&mut world, 422);
    assert_eq!(heard.headers.get(&HeaderName::MinSe).as_deref(), Some("600"));
}

#[test]
fn a_failing_carrier_is_followed_by_the_next_under_another_call_id() {
    for status in [500, 502, 503, 504, 408] {
        let mut world = World::new();
        let pair = dialled(&mut world);
        pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, status, None));
        pair.carrier.expect_request(&mut world, Method::Ack);
        let again = second().expect_request(&mut world, Method::Invite);
        assert_ne!(again.call_id(), pair.onward.call_id());
        second().send(&mut world, second().response(&again, 486, None));
        pair.phone.expect(&mut world, 486);
        world.finish();
        let cdr = world.cdr();
        let tried: Vec<u16> = cdr.attempts.iter().map(|attempt| attempt.sip_status).collect();
        assert_eq!(tried, [status, 486]);
        assert_eq!(cdr.trunk, Some("second".into()));
        assert_eq!(world.engines[0].calls.len(), 0);
    }
}

#[test]
fn a_silent_carrier_is_left_after_its_time_and_its_late_answer_is_ended() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.pass_ms(8_100);
    let again = second().expect_request(&mut world, Method::Invite);
    // The INVITE was repeated in vain; now it is answered after all.
    while pair.carrier.next(&mut world).is_some() {}
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 200, Some(&sdp(6000))));
    pair.carrier.expect_request(&mut world, Method::Ack);
    let bye = pair.carrier.expect_request(&mut world, Method::Bye);
    pair.carrier.send(&mut world, pair.carrier.response(&bye, 200, None));
    second().send(&mut world, second().response(&again, 486, None));
    pair.phone.expect(&mut world, 486);
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn carriers_that_are_all_silent_end_in_408() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    world.pass_ms(16_200);
    pair.phone.expect(&mut world, 408);
    world.finish();
    let cdr = world.cdr();
    assert_eq!(cdr.attempts.iter().map(|a| a.sip_status).collect::<Vec<_>>(), [408, 408]);
    assert_eq!(cdr.charge, money("0"));
}

#[test]
fn a_carrier_that_cannot_be_reached_is_followed_by_the_next() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    let hop = sip::Hop::new(sip::Transport::Udp, pair.carrier.address());
    world.input(Input::SendFailed(hop));
    let again = second().expect_request(&mut world, Method::Invite);
    second().send(&mut world, second().response(&again, 503, None));
    let heard = pair.phone.expect(&mut world, 503);
    assert!(heard.headers.has(&HeaderName::RetryAfter));
    world.finish();
    assert_eq!(world.cdr().attempts[0].sip_status, 0);
}

#[test]
fn a_ringing_carrier_keeps_the_call_past_its_setup_time() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 180, None));
    pair.phone.expect(&mut world, 180);
    world.pass_ms(100_000);
    pair.phone.expect_nothing(&mut world);
    world.pass_ms(81_000);
    pair.phone.expect(&mut world, 480);
    let cancel = pair.carrier.expect_request(&mut world, Method::Cancel);
    pair.carrier.send(&mut world, pair.carrier.response(&cancel, 200, None));
    pair.carrier.send(&mut world, pair.carrier.response(&pair.onward, 487, None));
    world.finish();
    assert_eq!(world.cdr().sip_status, 480);
}

#[test]
fn a_carrier_that_asks_for_a_digest_gets_it_once() {
    let mut world = World::new();
    let pair = dialled(&mut world);
    let challenge = "Digest realm=\"carrier\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";
    let asked =
        pair.carrier.response(&pair.onward, 407, None).with_header(HeaderName::ProxyAuthenticate, challenge);
    pair.carrier.send(&mut world, asked);
    pair.carrier.expect_request(&mut world, Method::Ack);
    let again = pair.carrier.expect_request(&mut world, Method::Invite);
    assert_eq!(again.call_id(), pair.onward.call_id());
    assert_eq!(again.cseq().expect("CSeq").number, 2);
    assert!(
        again.headers.get(&HeaderName::ProxyAuthorization).expect("credentials").contains("username=\"us\"")
    );
    assert_eq!(again.headers.count(&HeaderName::Via), 1);
    let refused =
        pair.carrier.response(&again, 407, None).with_header(HeaderName::ProxyAuthenticate, challenge);
    pair.carrier.send(&mut world, refused);
    // Refused credentials are a failure of the trunk, not of the phone.
    second().expect_request(&mut world, Method::Invite);
}

#[test]
fn a_carrier_that_asks_for_a_digest_at_the_end_is_ended_all_the_same() {
    let mut world = World::new();
    let (pair, mut at_phone, _) = talking(&mut world);
    let (mut phone, carrier) = (pair.phone, pair.carrier);
    let bye = phone.within(&mut at_phone, Method::Bye, None);
    phone.send(&mut world, bye);
    phone.expect(&mut world, 200);
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let bye = carrier.expect_request(&mut world, Method::Bye);
        numbers.push((bye.cseq().expect("CSeq").number, bye.headers.has(&HeaderName::ProxyAuthorization)));
        let challenge = "Digest realm=\"carrier\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";
        let asked = carrier.response(&bye, 407, None).with_header(HeaderName::ProxyAuthenticate, challenge);
        carrier.send(&mut world, asked);
    }
    assert_eq!((numbers[0].1, numbers[1].1), (false, true));
    assert_eq!(numbers[1].0, numbers[0].0 + 1);
    carrier.expect_nothing(&mut world);
    world.finish();
    world.cdr();
}

#[test]
fn a_full_trunk_is_passed_over() {
    let mut world = World::new();
    world.directory.trunks[0].max_calls = 1;
    world.store.balances.insert("alice".into(), money("100"));
    world.publish();
    dialled(&mut world);
    let mut phone = phone();
    let mut invite = phone.invite("+493055555", Some(&sdp(4000)));
    invite.headers.set(HeaderName::CallId, "another");
    let via = invite.headers.get(&HeaderName::Via).expect("Via").replace("alice", "other");
    invite.headers.set(HeaderName::Via, &via);
    phone.send(&mut world, invite);
    carrier().expect_nothing(&mut world);
    second().expect_request(&mut world, Method::Invite);
}

#[test]
fn a_trunk_that_would_be_told_its_keys_in_clear_is_not_dialled() {
    for with_offer in [true, false] {
        let mut world = World::new();
        for trunk in &mut world.directory.trunks {
            trunk.media = TrunkMedia::Srtp;
        }
        world.publish();
        let mut phone = phone();
        let body = sdp(4000);
        let invite = phone.invite("+493055555", with_offer.then_some(body.as_str()));
        phone.send(&mut world, invite);
        let refused = phone.expect(&mut world, 503);
        let why = refused.headers.get(&HeaderName::Reason).expect("a reason").into_owned();
        assert!(why.contains("trunk first would be told the keys of its media in clear"), "{why}");
        carrier().expect_nothing(&mut world);
        world.finish();
        assert_eq!((world.cdr().q850, world.cdr().held), (79, money("0")), "nothing was held for it");

        // Another trunk takes its calls.
        world.directory.trunks[1].media = TrunkMedia::Plain;
        world.publish();
        let invite = phone.invite("+493055555", with_offer.then_some(body.as_str()));
        phone.send(&mut world, invite);
        second().expect_request(&mut world, Method::Invite);
        carrier().expect_nothing(&mut world);
    }
}

/// The first trunk is reached by TLS and encrypted.
fn encrypted(world: &mut World) -> Peer {
    let trunk = &mut world.directory.trunks[0];
    (trunk.media, trunk.transport) = (TrunkMedia::Srtp, TrunkTransport::Tls);
    world.publish();
    Peer::tls("carrier", "198.51.100.1:5070", 70)
}

/// The profiles that the engine was asked for.
fn profiles(world: &World) -> Vec<Option<ng::TransportProtocol>> {
    let call = world.engines[0].calls.values().next().expect("a call");
    call.signals.iter().map(|signal| signal.transport_protocol).collect()
}

fn savp(port: u16) -> String {
    sdp(port).replace("RTP/AVP", "RTP/SAVP")
}

#[test]
fn an_encrypted_trunk_is_offered_srtp_and_the_record_names_the_suite() {
    let mut world = World::new();
    let carrier = encrypted(&mut world);
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite.clone());
    let onward = carrier.expect_request(&mut world, Method::Invite);
    let mut dialog = answered(&mut world, &mut phone, &carrier, [&invite, &onward], &savp(6000));
    assert_eq!(profiles(&world), [Some(ng::TransportProtocol::RtpSavp), None]);
    world.pass_ms(5_000);
    hung_up(&mut world, &mut phone, &mut dialog, &carrier);
    world.finish();
    let media = world.cdr().media;
    assert_eq!(media.callee.crypto_suite.as_deref(), Some("AES_CM_128_HMAC_SHA1_80"));
    assert_eq!(media.caller.crypto_suite, None);
}

#[test]
fn an_encrypted_trunk_that_answers_in_clear_gets_no_call_and_no_money() {
    let mut world = World::new();
    let carrier = encrypted(&mut world);
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    let onward = carrier.expect_request(&mut world, Method::Invite);
    carrier.send(&mut world, carrier.response(&onward, 183, Some(&sdp(6000))));
    let early = phone.expect(&mut world, 183);
    assert!(early.body().is_empty(), "it rings without its media");
    carrier.send(&mut world, carrier.response(&onward, 200, Some(&sdp(6000))));
    phone.expect(&mut world, 488);
    carrier.expect_request(&mut world, Method::Ack);
    let bye = carrier.expect_request(&mut world, Method::Bye);
    carrier.send(&mut world, carrier.response(&bye, 200, None));
    world.finish();
    assert_eq!((world.cdr().sip_status, world.cdr().charge), (488, money("0")));
}

#[test]
fn an_encrypted_trunk_does_not_go_on_in_clear_by_a_re_invite_or_in_the_answer_to_one() {
    let mut world = World::new();
    let mut carrier = encrypted(&mut world);
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite.clone());
    let onward = carrier.expect_request(&mut world, Method::Invite);
    let mut at_phone = answered(&mut world, &mut phone, &carrier, [&invite, &onward], &savp(6000));
    let mut at_carrier = sip::Dialog::uas(&onward, "carrier-tag").expect("a dialog");
    at_carrier.confirm();

    let asked = world.engines[0].calls.values().next().expect("a call").signals.len();
    let again = carrier.within(&mut at_carrier, Method::Invite, Some(&sdp(6666)));
    carrier.send(&mut world, again);
    carrier.expect(&mut world, 488);
    phone.expect_nothing(&mut world);
    assert_eq!(profiles(&world).len(), asked, "the engine hears nothing of it");

    let again = phone.within(&mut at_phone, Method::Invite, Some(&sdp(4444)));
    phone.send(&mut world, again);
    let onward = carrier.expect_request(&mut world, Method::Invite);
    assert_eq!(profiles(&world).last(), Some(&Some(ng::TransportProtocol::RtpSavp)));
    carrier.send(&mut world, carrier.response(&onward, 200, Some(&sdp(6667))));
    carrier.expect_request(&mut world, Method::Ack);
    phone.expect(&mut world, 488);
    hung_up(&mut world, &mut phone, &mut at_phone, &carrier);
    world.finish();
    assert_eq!(world.cdr().media.callee.crypto_suite.as_deref(), Some("AES_CM_128_HMAC_SHA1_80"));
}

#[test]
fn an_encrypted_carrier_that_offers_late_is_a_plain_offer_to_the_caller() {
    for (offer, passes) in [(savp(6000), true), (sdp(6000), false)] {
        let mut world = World::new();
        let carrier = encrypted(&mut world);
        let mut phone = phone();
        let invite = phone.invite("+493055555", None);
        phone.send(&mut world, invite);
        let onward = carrier.expect_request(&mut world, Method::Invite);
        carrier.send(&mut world, carrier.response(&onward, 200, Some(&offer)));
        phone.expect(&mut world, if passes { 200 } else { 488 });
        if passes {
            assert_eq!(profiles(&world), [Some(ng::TransportProtocol::RtpAvp)]);
        }
    }
}

#[test]
fn who_dials_a_sips_address_gets_an_encrypted_trunk_or_no_call() {
    let call = |world: &mut World| {
        let mut phone = phone();
        let mut invite = phone.invite("+493055555", Some(&sdp(4000)));
        let secure = invite.uri().to_string().replacen("sip:", "sips:", 1);
        invite.set_uri(secure.parse().expect("a URI"));
        phone.send(world, invite);
        phone
    };
    let mut world = World::new();
    let refused = call(&mut world).expect(&mut world, 503);
    let why = refused.headers.get(&HeaderName::Reason).expect("a reason").into_owned();
    assert!(why.contains("the call is to be encrypted, and no trunk is"), "{why}");
    carrier().expect_nothing(&mut world);
    let mut world = World::new();
    let carrier = encrypted(&mut world);
    world.directory.trunks.reverse();
    world.publish();
    call(&mut world);
    carrier.expect_request(&mut world, Method::Invite);
    second().expect_nothing(&mut world);
}
