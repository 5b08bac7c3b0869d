//! Phones that live in a page: no address of their own, one connection, and gone without a word.

use std::time::Duration;

use call::*;
use sip::{Dialog, FlowId, HeaderName, Method, Request};

use crate::basic::{answered, hung_up, phone};
use crate::peer::{Peer, sdp};
use crate::phones::register;
use crate::world::World;

/// Alice calls bob's page and both talk.
fn talking(world: &mut World, alice: &mut Peer, bob: &Peer) -> (Dialog, Request) {
    let invite = alice.invite("bob", Some(&sdp(4000)));
    alice.send(world, invite.clone());
    let onward = bob.expect_request(world, Method::Invite);
    (answered(world, alice, bob, [&invite, &onward], &sdp(6000)), onward)
}

#[test]
fn a_page_is_called_over_the_connection_that_it_registered_on() {
    let mut world = World::new();
    let mut bob = Peer::page("bob", "203.0.113.5:40001", 5);
    register(&mut world, &mut bob);
    let mut alice = phone();
    let (mut dialog, onward) = talking(&mut world, &mut alice, &bob);
    assert_eq!(onward.uri().to_string(), "sip:bob@page5.invalid;transport=ws", "as it registered");
    let via = onward.headers.get(&HeaderName::Via).expect("Via").into_owned();
    assert!(via.starts_with("SIP/2.0/WSS tollgate.test:8443;"), "{via}");
    let contact = onward.headers.get(&HeaderName::Contact).expect("Contact").into_owned();
    assert_eq!(contact, "<sip:tollgate@tollgate.test:8443;transport=ws>");
    hung_up(&mut world, &mut alice, &mut dialog, &bob);
    world.finish();
}

#[test]
fn a_page_that_went_is_not_called_until_it_comes_again_and_then_once() {
    let mut world = World::new();
    let mut bob = Peer::page("bob", "203.0.113.5:40001", 5);
    register(&mut world, &mut bob);
    world.input(Input::FlowClosed(FlowId(5)));
    let mut alice = phone();
    let invite = alice.invite("bob", Some(&sdp(4000)));
    alice.send(&mut world, invite);
    alice.expect(&mut world, 480);
    bob.expect_nothing(&mut world);
    // Loaded again: another connection, another made-up host.
    let mut back = Peer::page("bob", "203.0.113.5:40002", 6);
    register(&mut world, &mut back);
    let (mut dialog, onward) = talking(&mut world, &mut alice, &back);
    assert_eq!(onward.uri().to_string(), "sip:bob@page6.invalid;transport=ws");
    bob.expect_nothing(&mut world);
    // It goes in the midst of the call and comes once more: what it is owed waits for it.
    world.input(Input::FlowClosed(FlowId(6)));
    let bye = alice.within(&mut dialog, Method::Bye, None);
    alice.send(&mut world, bye);
    alice.expect(&mut world, 200);
    let mut again = Peer::page("bob", "203.0.113.5:40003", 7);
    register(&mut world, &mut again);
    let bye = again.expect_request(&mut world, Method::Bye);
    again.send(&mut world, again.response(&bye, 200, None));
    assert_eq!(world.exchange.calls(), 0);
}

#[test]
fn the_call_of_a_page_outlives_a_restart_and_goes_on_over_its_next_connection() {
    let mut world = World::new();
    let mut bob = Peer::page("bob", "203.0.113.5:40001", 5);
    register(&mut world, &mut bob);
    let mut alice = phone();
    let (mut dialog, _) = talking(&mut world, &mut alice, &bob);
    world.restart(Duration::from_secs(1));
    let mut back = Peer::page("bob", "203.0.113.5:40002", 6);
    register(&mut world, &mut back);
    hung_up(&mut world, &mut alice, &mut dialog, &back);
    world.finish();
    assert!(world.cdr().recovered);
}

#[test]
fn a_trusted_address_proves_nothing_for_a_page() {
    let mut world = World::new();
    let mut trusted = phone();
    trusted.request(Method::Options, "another number for the next");
    let invite = trusted.invite("+493055555", Some(&sdp(4000)));
    trusted.send(&mut world, invite);
    crate::basic::carrier().expect_request(&mut world, Method::Invite);
    // A page of anybody's, shown behind the same address.
    let mut page = Peer::page("alice", "192.0.2.1:40001", 5);
    let invite = page.invite("+493055555", Some(&sdp(4000)));
    page.send(&mut world, invite);
    page.expect(&mut world, 407);
}
