//! Calls that never reach a carrier, and requests that are no calls.

use call::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sip::auth::DigestClient;
use sip::message::CSeq;
use sip::{HeaderName, Method};

use crate::basic::{carrier, phone};
use crate::peer::{Peer, sdp};
use crate::world::{World, money};

#[test]
fn an_unrated_number_is_404_with_its_reason_once_the_record_is_durable() {
    let mut world = World::new();
    let mut phone = phone();
    let invite = phone.invite("+15551234567", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    let response = phone.expect(&mut world, 404);
    assert!(response.headers.get(&HeaderName::Reason).expect("Reason").contains("unrated number"));
    assert!(world.at("store settle 0") < world.at("send 5061 404"));
    carrier().expect_nothing(&mut world);
    let cdr = world.cdr();
    assert_eq!((cdr.sip_status, cdr.route), (404, CdrRoute::Refused));
}

#[test]
fn too_little_credit_is_402_with_its_reason_once_the_record_is_durable() {
    let mut world = World::new();
    // The connection fee and six seconds cost 0.11.
    world.store.balances.insert("alice".into(), money("0.109999999"));
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    let response = phone.expect(&mut world, 402);
    assert!(response.headers.get(&HeaderName::Reason).expect("Reason").contains("insufficient credit"));
    assert!(world.at("store settle 0") < world.at("send 5061 402"));
    carrier().expect_nothing(&mut world);
    assert_eq!(world.cdr().sip_status, 402);
    assert_eq!(world.balance("alice"), money("0.109999999"));
}

#[test]
fn a_store_that_fails_is_503_and_the_record_follows_when_it_works_again() {
    let mut world = World::new();
    world.store.failing.extend(["authorize", "settle"]);
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    let response = phone.expect(&mut world, 503);
    assert!(response.headers.has(&HeaderName::RetryAfter));
    world.pass_ms(60_000);
    assert_eq!(world.store.cdrs.len(), 0);
    world.store.failing.clear();
    world.finish();
    assert_eq!(world.cdr().sip_status, 503);
}

#[test]
fn a_refusal_that_cannot_be_recorded_is_503() {
    let mut world = World::new();
    world.store.balances.insert("alice".into(), money("0"));
    world.store.failing.insert("settle");
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);
    world.store.failing.clear();
    world.finish();
    assert_eq!(world.cdr().sip_status, 402);
}

#[test]
fn a_store_that_says_nothing_is_503() {
    let mut world = World::new();
    world.hold_store = true;
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    world.pass_ms(4_900);
    phone.expect_nothing(&mut world);
    world.pass_ms(200);
    phone.expect(&mut world, 503);
    world.release_store();
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn a_journal_that_fails_before_dialling_keeps_the_carrier_out() {
    let mut world = World::new();
    world.store.failing.insert("journal");
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);
    carrier().expect_nothing(&mut world);
    world.finish();
    assert_eq!(world.cdr().charge, money("0"));
}

#[test]
fn without_an_engine_a_call_is_503_before_anything_is_held() {
    let mut world = World::new();
    world.input(Input::EngineDown { engine: EngineId(0) });
    let mut phone = phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    assert!(phone.expect(&mut world, 503).headers.has(&HeaderName::RetryAfter));
    world.finish();
    assert_eq!(world.cdr().sip_status, 503);
    assert!(!world.trace.iter().any(|line| line.contains("authorize")));
}

#[test]
fn known_unknown_and_wrong_users_get_the_same_challenge() {
    let mut world = World::new();
    let mut shapes = Vec::new();
    for name in ["bob", "nobody"] {
        let mut peer = Peer::udp(name, "203.0.113.5:5060");
        let invite = peer.invite("+493055555", Some(&sdp(4000)));
        peer.send(&mut world, invite);
        let response = peer.expect(&mut world, 407);
        let challenges = response.headers.iter().filter(|h| *h.name() == HeaderName::ProxyAuthenticate);
        let algorithms: Vec<bool> = challenges.map(|h| h.value().contains("SHA-256")).collect();
        shapes.push((algorithms, response.reason().into_owned()));
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0].0, [true], "MD5 is not offered in clear");
    assert_eq!(world.store.executed, 0);

    let mut tls = Peer::tls("bob", "203.0.113.5:40000", 9);
    let register = tls.request(Method::Register, "bob");
    tls.send(&mut world, register);
    let response = tls.expect(&mut world, 401);
    assert_eq!(response.headers.count(&HeaderName::WwwAuthenticate), 2, "SHA-256 and MD5 inside TLS");
}

#[test]
fn a_wrong_password_is_asked_again_and_the_right_one_calls() {
    let mut world = World::new();
    let mut rng = StdRng::seed_from_u64(1);
    let mut peer = Peer::udp("bob", "203.0.113.5:5060");
    for (password, status) in [("wrong", 407), ("secret", 180)] {
        let mut invite = peer.invite("+493055555", Some(&sdp(4000)));
        peer.send(&mut world, invite.clone());
        let asked = peer.expect(&mut world, 407);
        let mut digest = DigestClient::new("bob", password);
        digest.take_challenge(&asked, false).expect("a challenge");
        digest.authorize(&mut invite, &mut rng);
        invite.headers.set_typed(&CSeq { number: 9, method: Method::Invite });
        let via = invite.headers.get(&HeaderName::Via).expect("Via").replace("bob", "again");
        invite.headers.set(HeaderName::Via, &via);
        peer.send(&mut world, invite);
        if status == 180 {
            let onward = carrier().expect_request(&mut world, Method::Invite);
            carrier().send(&mut world, carrier().response(&onward, 180, None));
        }
        peer.expect(&mut world, status);
    }
    assert_eq!(world.exchange.counters().unauthenticated, 1);
}

#[test]
fn what_is_not_understood_is_said() {
    let mut world = World::new();
    let mut phone = phone();
    let mut ask = |world: &mut World, method: Method, header: Option<(HeaderName, &str)>, status| {
        let mut request = phone.request(method, "+493055555");
        if let Some((name, value)) = header {
            request.headers.set(name, value);
        }
        phone.send(world, request);
        phone.expect(world, status)
    };
    let options = ask(&mut world, Method::Options, None, 200);
    assert!(options.headers.lists(&HeaderName::Allow, "INVITE"));
    ask(&mut world, Method::Subscribe, None, 405);
    ask(&mut world, Method::Other("DANCE".into()), None, 501);
    ask(&mut world, Method::Bye, None, 481);
    let refused = ask(&mut world, Method::Invite, Some((HeaderName::Require, "100rel")), 420);
    assert!(refused.headers.lists(&HeaderName::Unsupported, "100rel"));
    ask(&mut world, Method::Invite, Some((HeaderName::MaxForwards, "0")), 483);
    assert_eq!(world.store.executed, 0);
}

#[test]
fn a_flood_is_met_with_503_and_others_are_served() {
    let mut world = World::new();
    let mut noisy = Peer::udp("noisy", "203.0.113.66:5060");
    let mut refused = 0;
    for _ in 0..300 {
        let request = noisy.request(Method::Options, "x");
        noisy.send(&mut world, request);
        match noisy.next(&mut world) {
            Some(sip::Message::Response(response)) if response.status().code() == 503 => {
                assert!(response.headers.has(&HeaderName::RetryAfter));
                refused += 1;
            }
            Some(sip::Message::Response(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 100);
    assert_eq!(world.exchange.counters().flooded, 100);
    let mut phone = phone();
    let request = phone.request(Method::Options, "x");
    phone.send(&mut world, request);
    phone.expect(&mut world, 200);
}

#[test]
fn a_flood_with_made_up_dialogs_is_a_flood() {
    let mut world = World::new();
    let mut noisy = Peer::udp("noisy", "203.0.113.66:5060");
    for _ in 0..300 {
        let mut request = noisy.request(Method::Bye, "x");
        request.headers.remove(&HeaderName::To);
        request.headers.push(HeaderName::To, "<sip:x@tollgate.test>;tag=made-up");
        noisy.send(&mut world, request);
    }
    assert_eq!(world.exchange.counters().flooded, 100);
    // Who is in a call is heard all the same.
    let (mut pair, mut at_phone, _) = crate::basic::talking(&mut world);
    for _ in 0..300 {
        let request = pair.phone.request(Method::Options, "x");
        pair.phone.send(&mut world, request);
        pair.phone.next(&mut world);
    }
    let bye = pair.phone.within(&mut at_phone, Method::Bye, None);
    pair.phone.send(&mut world, bye);
    pair.phone.expect(&mut world, 200);
}

#[test]
fn a_flood_that_pretends_to_be_inside_a_dialog_takes_no_room() {
    let mut world = World::new();
    let mut noisy = Peer::udp("noisy", "203.0.113.66:5060");
    for method in [Method::Bye, Method::Cancel] {
        for round in 0..300 {
            let mut request = noisy.request(method.clone(), "x");
            let to = format!("<sip:x@tollgate.test>;tag={round}");
            request.headers.set(HeaderName::To, &to);
            noisy.send(&mut world, request);
        }
    }
    assert_eq!(world.exchange.counters().flooded, 100);
    assert_eq!(world.exchange.transactions(), (0, 200), "the BYEs that were let in");
}

#[test]
fn our_own_invite_that_comes_back_is_482() {
    let mut world = World::new();
    world.directory.accounts.get_mut(&AccountId::from("alice")).expect("alice").trusted =
        vec!["192.0.2.1".parse().expect("address"), "198.51.100.1".parse().expect("address")];
    world.publish();
    let pair = crate::basic::dialled(&mut world);
    let mut back = pair.onward.clone();
    let via = "SIP/2.0/UDP 198.51.100.1:5070;branch=z9hG4bKproxy";
    back.headers.push_front(HeaderName::Via, via);
    pair.carrier.send(&mut world, back);
    pair.carrier.expect(&mut world, 482);
    assert_eq!(world.exchange.calls(), 1);
    assert_eq!(world.exchange.counters().loops, 1);
}

#[test]
fn a_phone_that_no_dialog_can_be_had_with_is_400_before_anybody_rings() {
    for (name, value) in [(HeaderName::RecordRoute, "nonsense"), (HeaderName::Contact, "<tel:+4930>")] {
        let mut world = World::new();
        let mut phone = phone();
        let mut invite = phone.invite("+493055555", Some(&sdp(4000)));
        invite.headers.set(name, value);
        phone.send(&mut world, invite);
        phone.expect(&mut world, 400);
        assert_eq!(world.store.executed, 0);
    }
}

#[test]
fn a_draining_or_full_exchange_refuses_new_calls() {
    let mut world = World::new();
    world.directory.accounts.get_mut(&AccountId::from("alice")).expect("alice").max_calls = 1;
    world.publish();
    let (pair, ..) = crate::basic::talking(&mut world);
    let mut phone = pair.phone.clone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);

    let mut world = World::new();
    world.input(Input::Drain);
    let mut phone = crate::basic::phone();
    let invite = phone.invite("+493055555", Some(&sdp(4000)));
    phone.send(&mut world, invite);
    phone.expect(&mut world, 503);
    assert_eq!(world.exchange.counters().overloaded, 1);
}
