//! Registration, and calls from phone to phone.

use call::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sip::auth::DigestClient;
use sip::message::CSeq;
use sip::{Dialog, FlowId, HeaderName, Method, Request};

use crate::basic::{answered, hung_up, phone};
use crate::peer::{Peer, sdp};
use crate::world::{World, money};

/// Registers over the peer's connection, by digest.
pub(crate) fn register(world: &mut World, peer: &mut Peer) {
    let mut request = peer.request(Method::Register, peer.name);
    peer.send(world, request.clone());
    let asked = peer.expect(world, 401);
    authorize(peer, &mut request, &asked);
    peer.send(world, request);
    let listing = peer.expect(world, 200);
    assert!(listing.contact().is_some());
}

fn authorize(peer: &mut Peer, request: &mut Request, asked: &sip::Response) {
    let mut digest = DigestClient::new(peer.name, "secret");
    digest.take_challenge(asked, false).expect("a challenge");
    digest.authorize(request, &mut StdRng::seed_from_u64(5));
    let number = request.cseq().expect("CSeq").number + 1;
    request.headers.set_typed(&CSeq { number, method: request.method().clone() });
    let via = peer.request(Method::Options, "x").headers.get(&HeaderName::Via).expect("Via").into_owned();
    request.headers.set(HeaderName::Via, &via);
}

#[test]
fn a_registered_phone_is_called_free_over_its_own_connection() {
    let mut world = World::new();
    let mut bob = Peer::tls("bob", "203.0.113.5:40001", 5);
    register(&mut world, &mut bob);
    let mut alice = phone();
    let invite = alice.invite("bob", Some(&sdp(4000)));
    alice.send(&mut world, invite.clone());
    let onward = bob.expect_request(&mut world, Method::Invite);
    bob.send(&mut world, bob.response(&onward, 180, None));
    alice.expect(&mut world, 180);
    let mut dialog = answered(&mut world, &mut alice, &bob, [&invite, &onward], &sdp(6000));
    world.pass_ms(60_000);
    hung_up(&mut world, &mut alice, &mut dialog, &bob);
    world.finish();
    let cdr = world.cdr();
    assert_eq!((cdr.route, cdr.charge, cdr.talk_ms), (CdrRoute::Local, money("0"), 60_000));
    assert_eq!(cdr.trunk, None);
    assert!(!world.trace.iter().any(|line| line.contains("authorize")), "no ledger");
    assert_eq!(world.balance("alice"), money("10"));
}

#[test]
fn a_phone_that_is_not_there_is_480() {
    let mut world = World::new();
    let mut alice = phone();
    let invite = alice.invite("bob", Some(&sdp(4000)));
    alice.send(&mut world, invite);
    alice.expect(&mut world, 480);
    world.finish();
    assert_eq!(world.cdr().sip_status, 480);
}

#[test]
fn a_caller_whose_connection_broke_before_the_answer_has_no_call() {
    let mut world = World::new();
    let mut bob = Peer::tls("bob", "203.0.113.5:40001", 5);
    let mut invite = bob.invite("+493055555", Some(&sdp(4000)));
    bob.send(&mut world, invite.clone());
    let asked = bob.expect(&mut world, 407);
    authorize(&mut bob, &mut invite, &asked);
    bob.send(&mut world, invite);
    let carrier = crate::basic::carrier();
    let onward = carrier.expect_request(&mut world, Method::Invite);
    carrier.send(&mut world, carrier.response(&onward, 180, None));
    bob.expect(&mut world, 180);
    world.input(Input::FlowClosed(FlowId(5)));
    let cancel = carrier.expect_request(&mut world, Method::Cancel);
    carrier.send(&mut world, carrier.response(&cancel, 200, None));
    carrier.send(&mut world, carrier.response(&onward, 487, None));
    world.finish();
    assert_eq!((world.cdr().charge, world.cdr().sip_status), (money("0"), 487));
    assert_eq!(world.balance("bob"), money("10"));
}

#[test]
fn a_phone_registers_only_itself() {
    let mut world = World::new();
    let mut bob = Peer::tls("bob", "203.0.113.5:40001", 5);
    let mut request = bob.request(Method::Register, "alice");
    bob.send(&mut world, request.clone());
    let asked = bob.expect(&mut world, 401);
    authorize(&mut bob, &mut request, &asked);
    bob.send(&mut world, request);
    bob.expect(&mut world, 403);
}

#[test]
fn a_phone_whose_connection_broke_hears_its_bye_over_the_next_one() {
    let mut world = World::new();
    let mut bob = Peer::tls("bob", "203.0.113.5:40001", 5);
    register(&mut world, &mut bob);
    let mut alice = phone();
    let invite = alice.invite("bob", Some(&sdp(4000)));
    alice.send(&mut world, invite.clone());
    let onward = bob.expect_request(&mut world, Method::Invite);
    bob.send(&mut world, bob.response(&onward, 200, Some(&sdp(6000))));
    let answer = alice.expect(&mut world, 200);
    bob.expect_request(&mut world, Method::Ack);
    let mut dialog = Dialog::uac(&invite, &answer).expect("a dialog");
    let ack = alice.ack(&dialog, dialog.local_cseq, None);
    alice.send(&mut world, ack);

    world.input(Input::FlowClosed(FlowId(5)));
    let bye = alice.within(&mut dialog, Method::Bye, None);
    alice.send(&mut world, bye);
    alice.expect(&mut world, 200);
    bob.expect_nothing(&mut world);
    assert_eq!(world.cdr().charge, money("0"), "the record does not wait");

    let mut back = Peer::tls("bob", "203.0.113.5:40002", 6);
    register(&mut world, &mut back);
    let bye = back.expect_request(&mut world, Method::Bye);
    back.send(&mut world, back.response(&bye, 200, None));
    assert_eq!(world.exchange.calls(), 0);
}
