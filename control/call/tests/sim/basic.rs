//! The paid call as it should go.

use call::*;
use sip::{Dialog, HeaderName, Method, Request};

use crate::peer::{Peer, body, sdp};
use crate::world::{World, money};

/// Both ends of a call.
pub(crate) struct Pair {
    pub(crate) phone: Peer,
    pub(crate) carrier: Peer,
    pub(crate) invite: Request,
    /// The INVITE at the carrier.
    pub(crate) onward: Request,
}

pub(crate) fn phone() -> Peer {
    Peer::udp("alice", "192.0.2.1:5061")
}

pub(crate) fn carrier() -> Peer {
    Peer::udp("carrier", "198.51.100.1:5070")
}

/// The callee answers what it heard of, and both talk; the caller's dialog.
pub(crate) fn answered(
    world: &mut World,
    caller: &mut Peer,
    callee: &Peer,
    [invite, onward]: [&Request; 2],
    sdp: &str,
) -> Dialog {
    callee.send(world, callee.response(onward, 200, Some(sdp)));
    let answer = caller.expect(world, 200);
    callee.expect_request(world, Method::Ack);
    let dialog = Dialog::uac(invite, &answer).expect("a dialog");
    let ack = caller.ack(&dialog, dialog.local_cseq, None);
    caller.send(world, ack);
    dialog
}

/// The caller hangs up, and the callee hears it.
pub(crate) fn hung_up(world: &mut World, caller: &mut Peer, dialog: &mut Dialog, callee: &Peer) {
    let bye = caller.within(dialog, Method::Bye, None);
    caller.send(world, bye);
    caller.expect(world, 200);
    let bye = callee.expect_request(world, Method::Bye);
    callee.send(world, callee.response(&bye, 200, None));
}

/// A call that the carrier has heard of.
pub(crate) fn dialled(world: &mut World) -> Pair {
    let (mut phone, carrier) = (phone(), carrier());
    let mut invite = phone.invite("+493055555", Some(&sdp(4000)));
    // The address suffices, but a phone may say more; nobody is to be told what.
    invite.headers.push(HeaderName::ProxyAuthorization, "Digest username=\"alice\"");
    phone.send(world, invite.clone());
    let onward = carrier.expect_request(world, Method::Invite);
    assert!(!onward.headers.has(&HeaderName::ProxyAuthorization));
    Pair { phone, carrier, invite, onward }
}

/// A conversation: phone and carrier with their dialogs.
pub(crate) fn talking(world: &mut World) -> (Pair, Dialog, Dialog) {
    let mut pair = dialled(world);
    world.pass_ms(300);
    pair.carrier.send(world, pair.carrier.response(&pair.onward, 180, None));
    pair.phone.expect(world, 180);
    world.pass_ms(2000);
    let Pair { phone, carrier, invite, onward } = &mut pair;
    let at_phone = answered(world, phone, carrier, [invite, onward], &sdp(6000));
    let mut at_carrier = Dialog::uas(onward, "carrier-tag").expect("a dialog");
    at_carrier.confirm();
    (pair, at_phone, at_carrier)
}

#[test]
fn a_paid_call_is_held_dialled_charged_and_recorded_once() {
    let mut world = World::new();
    let (mut pair, mut at_phone, _) = talking(&mut world);
    assert!(body(pair.onward.body()).ends_with("a=engine\r\n"));
    assert_eq!(pair.onward.uri().user().as_deref(), Some("+493055555"));
    assert_ne!(pair.onward.call_id(), pair.invite.call_id());

    world.pass_ms(9_500);
    hung_up(&mut world, &mut pair.phone, &mut at_phone, &pair.carrier);
    world.finish();

    let cdr = world.cdr();
    assert_eq!(cdr.talk_ms, 9_500);
    assert_eq!(cdr.billed_seconds, 10);
    assert_eq!(cdr.charge, money("0.15"));
    assert_eq!(world.balance("alice"), money("9.85"));
    assert_eq!(cdr.ended_by, Side::Caller);
    assert_eq!((cdr.sip_status, cdr.q850), (200, 16));
    assert_eq!(cdr.trunk, Some("first".into()));
    assert_eq!(cdr.post_dial_ms, Some(300));
    assert_eq!(cdr.wait_ms, 2300);
    assert_eq!(cdr.media.caller.packets_received, 50);
    assert_eq!(cdr.media.callee.packets_received, 49);
    let quality = cdr.media.callee.quality.as_ref().expect("both voices have their quality");
    assert_eq!((quality.codec.as_str(), quality.mos_x100, quality.packets_lost), ("PCMA/8000", Some(430), 1));
    assert_eq!((quality.delay_ms, quality.buffer_ms), (100, 60));
    assert!(cdr.media.caller.quality.is_some());
    assert_eq!(world.engines[0].calls.len(), 0, "the report was acknowledged");
    pair.phone.expect_nothing(&mut world);
    pair.carrier.expect_nothing(&mut world);
}

#[test]
fn nobody_hears_of_a_step_before_it_is_durable() {
    let mut world = World::new();
    talking(&mut world);
    assert!(world.at("store authorize") < world.at("media offer"));
    assert!(world.at("media offer") < world.at("store journal dialling"));
    assert!(world.at("store journal dialling") < world.at("send 5070 INVITE"));
    assert!(world.at("media answer") < world.at("store journal answered"));
    assert!(world.at("store journal answered") < world.at("send 5070 ACK"));
    assert!(world.at("store journal answered") < world.at("send 5061 200 INVITE"));
}
