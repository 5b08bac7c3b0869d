//! What the engine is asked to make of descriptions, by who reads them.

use call::*;
use ng::{Ice, Signal, TransportProtocol};
use sip::Method;

use crate::basic::{answered, carrier, hung_up, phone};
use crate::peer::{Peer, sdp};
use crate::phones::register;
use crate::world::World;

/// What an offer asks for: the profile, what becomes of ICE, best effort, and RTCP of its own port or on that of RTP.
type Shape = (Option<TransportProtocol>, Option<Ice>, bool, &'static str);

const ALIKE: Shape = (None, Some(Ice::Remove), false, "apart");
const PLAIN: Shape = (Some(TransportProtocol::RtpAvp), Some(Ice::Remove), false, "apart");
const BEST_EFFORT: Shape = (Some(TransportProtocol::RtpAvp), Some(Ice::Remove), true, "apart");
const SRTP: Shape = (Some(TransportProtocol::RtpSavp), Some(Ice::Remove), false, "apart");
const DTLS: Shape = (Some(TransportProtocol::UdpTlsRtpSavp), Some(Ice::Remove), false, "apart");
const BROWSER: Shape = (Some(TransportProtocol::UdpTlsRtpSavpf), Some(Ice::Force), false, "together");
/// Answers are made by the engine as the offer was.
const ANSWER: Shape = (None, None, false, "");

fn shape(signal: &Signal) -> Shape {
    let mux = signal.rtcp_mux;
    let mux = match (mux.demux, mux.require) {
        (true, _) => "apart",
        (_, true) => "together",
        _ => "",
    };
    (signal.transport_protocol, signal.ice, signal.osrtp.offer, mux)
}

fn shapes(world: &World) -> Vec<Shape> {
    world.engines[0].calls.values().flat_map(|call| call.signals.iter().map(shape)).collect()
}

/// A browser's.
fn webrtc(port: u16) -> String {
    sdp(port).replace("RTP/AVP", "UDP/TLS/RTP/SAVPF") + "a=ice-ufrag:abcd\r\n"
}

#[test]
fn whoever_is_called_is_offered_what_it_speaks() {
    let page = || Peer::page("bob", "203.0.113.5:40001", 5);
    let softphone = || Peer::tls("bob", "203.0.113.5:40001", 5);
    use PhoneMedia::*;
    let cases = [
        (softphone(), Auto, sdp(4000), ALIKE),
        (softphone(), Auto, sdp(4000).replace("RTP/AVP", "RTP/SAVP"), ALIKE),
        (softphone(), Auto, webrtc(4000), BEST_EFFORT),
        (softphone(), Plain, webrtc(4000), PLAIN),
        (softphone(), Srtp, sdp(4000), SRTP),
        (softphone(), Dtls, sdp(4000), DTLS),
        (softphone(), Webrtc, sdp(4000), BROWSER),
        (page(), Auto, sdp(4000), BROWSER),
        (page(), Auto, webrtc(4000), BROWSER),
        (page(), Plain, webrtc(4000), PLAIN),
    ];
    for (mut bob, media, offer, wanted) in cases {
        let mut world = World::new();
        world.directory.accounts.get_mut(&"bob".into()).expect("bob").media = media;
        world.publish();
        register(&mut world, &mut bob);
        let mut alice = phone();
        let invite = alice.invite("bob", Some(&offer));
        alice.send(&mut world, invite.clone());
        let onward = bob.expect_request(&mut world, Method::Invite);
        let mut dialog = answered(&mut world, &mut alice, &bob, [&invite, &onward], &sdp(6000));
        let case = format!("{media:?} over {:?}, offered {offer}", bob.hop.transport);
        assert_eq!(shapes(&world), [wanted, ANSWER], "{case}");
        // Whichever way a change of the call goes, it is understood.
        let again = alice.within(&mut dialog, Method::Invite, Some(&offer));
        alice.send(&mut world, again);
        let onward = bob.expect_request(&mut world, Method::Invite);
        bob.send(&mut world, bob.response(&onward, 200, Some(&sdp(6000))));
        alice.expect(&mut world, 200);
        bob.expect_request(&mut world, Method::Ack);
        let ack = alice.ack(&dialog, dialog.local_cseq, None);
        alice.send(&mut world, ack);
        assert_eq!(shapes(&world)[2..], [wanted, ANSWER], "{case}");
        hung_up(&mut world, &mut alice, &mut dialog, &bob);
    }
}

#[test]
fn a_browser_that_calls_a_carrier_is_a_plain_call_to_it_and_asked_again_as_a_browser() {
    let mut world = World::new();
    let (mut alice, carrier) = (phone(), carrier());
    let invite = alice.invite("+493055555", Some(&webrtc(4000)));
    alice.send(&mut world, invite.clone());
    let onward = carrier.expect_request(&mut world, Method::Invite);
    let mut dialog = answered(&mut world, &mut alice, &carrier, [&invite, &onward], &sdp(6000));
    assert_eq!(shapes(&world), [PLAIN, ANSWER]);
    let mut theirs = sip::Dialog::uas(&onward, "carrier-tag").expect("a dialog");
    let mut asking = carrier;
    let again = asking.within(&mut theirs, Method::Invite, Some(&sdp(6002)));
    asking.send(&mut world, again);
    let onward = alice.expect_request(&mut world, Method::Invite);
    alice.send(&mut world, alice.response(&onward, 200, Some(&webrtc(4000))));
    asking.expect(&mut world, 200);
    alice.expect_request(&mut world, Method::Ack);
    let ack = asking.ack(&theirs, theirs.local_cseq, None);
    asking.send(&mut world, ack);
    assert_eq!(shapes(&world)[2..], [BROWSER, ANSWER]);
    hung_up(&mut world, &mut alice, &mut dialog, &asking);
}
