//! Who hears whom over real sockets: subscribers, publications, and parties that are connected. The tones are played and
//! heard by ffmpeg.

use std::net::SocketAddr;

use serde_json::json;
use tests::party::{describe, is_quiet, receive, rtcp, sections, voice};
use tests::process::await_some;
use tests::{Address, Daemon, Listener, Party, Player, udp};

/// Sends `count` packets one after the other; each arrives as it was at every hearer, from where that was told.
fn heard(from: &Party, to: SocketAddr, hearers: &[(&Party, SocketAddr)], count: u16) {
    for number in 1..=count {
        let packet = voice(u32::from(from.address().port()), number);
        from.rtp.send_to(&packet, to).expect("sent");
        for (hearer, shown) in hearers {
            assert_eq!(receive(&hearer.rtp), (packet.clone(), *shown));
        }
    }
    let report = [&[0x80, 201, 0, 1, 0, 0][..], &from.address().port().to_be_bytes()].concat();
    from.rtcp.send_to(&report, rtcp(to)).expect("sent");
    for (hearer, shown) in hearers {
        assert_eq!(receive(&hearer.rtcp), (report.clone(), rtcp(*shown)));
    }
}

fn quiet(parties: &[&Party]) -> bool {
    parties.iter().all(|party| is_quiet(&party.rtp) && is_quiet(&party.rtcp))
}

fn subscribers_hear_whom_they_asked_for_until_they_are_gone(peer: &mut Daemon, at: Address) {
    let [a, b, one, all, other] = [(); 5].map(|()| Party::new(at));
    let [for_a, for_b] = peer.call("c", ["a", "b"], [&a.sdp(), &b.sdp()]);
    heard(&a, for_a, &[(&b, for_b)], 3);

    let only = peer.subscribe("c", "one", json!({"from-tag": "a"}), &one.sdp());
    let [only] = only[..] else { panic!("{only:?}") };
    let both = describe(&[all.address(), other.address()], "8", "a=recvonly\r\n");
    let each = peer.subscribe("c", "all", json!({"flags": ["all"]}), &both);
    let [of_a, of_b] = each[..] else { panic!("{each:?}") };
    heard(&a, for_a, &[(&b, for_b), (&one, only), (&all, of_a)], 5);
    heard(&b, for_b, &[(&a, for_a), (&other, of_b)], 5);
    assert!(quiet(&[&a, &b, &one, &all, &other]), "each packet once, and nobody else's");

    // Whoever listens is not heard.
    one.rtp.send_to(&voice(9, 1), only).expect("sent");
    heard(&a, for_a, &[(&b, for_b), (&one, only), (&all, of_a)], 2);
    assert!(quiet(&[&a, &b, &all, &other]));

    peer.ask("unsubscribe", "c", json!({"to-tag": "one"}));
    heard(&a, for_a, &[(&b, for_b), (&all, of_a)], 5);
    peer.ask("unsubscribe", "c", json!({"to-tag": "all"}));
    heard(&a, for_a, &[(&b, for_b)], 5);
    heard(&b, for_b, &[(&a, for_a)], 5);
    assert!(quiet(&[&a, &b, &one, &all, &other]), "nothing after the end");
}

#[test]
fn subscribers_hear_one_party_or_all_and_nothing_after_their_end_as_at_rtpengine() {
    let at = Address::new();
    subscribers_hear_whom_they_asked_for_until_they_are_gone(&mut Daemon::rtpengine(at), at);
    subscribers_hear_whom_they_asked_for_until_they_are_gone(&mut Daemon::tollgate(at), at);
}

#[test]
fn what_ffmpeg_plays_is_heard_by_ffmpeg_through_a_subscription() {
    let at = Address::new();
    let mut peer = Daemon::tollgate(at);
    let [a, b] = [(); 2].map(|()| SocketAddr::new(at.ip(), at.media_port()));
    let [for_a, for_b] =
        peer.call("c", ["a", "b"], [a, b].map(|at| describe(&[at], "8", "")).each_ref().map(String::as_str));
    let mut listener = Listener::start(at, 2);
    peer.subscribe("c", "recorder", json!({"flags": ["all"]}), &listener.sdp());
    let _playing = [Player::start(a, for_a, 440), Player::start(b, for_b, 1000)];
    listener.await_tone(0, 440);
    listener.await_tone(1, 1000);
}

#[test]
fn what_ffmpeg_publishes_is_heard_by_each_that_subscribes() {
    let at = Address::new();
    let mut peer = Daemon::tollgate(at);
    let publisher = SocketAddr::new(at.ip(), at.media_port());
    let sdp = describe(&[publisher], "8 0", "a=sendonly\r\n");
    let answer = peer.ask("publish", "show", json!({"from-tag": "stage", "sdp": sdp}));
    let _playing = Player::start(publisher, sections(&answer)[0], 620);
    let [mut first, mut second] = [(); 2].map(|()| Listener::start(at, 1));
    let from = json!({"from-tag": "stage"});
    peer.subscribe("show", "first", from.clone(), &first.sdp());
    first.await_tone(0, 620);
    peer.subscribe("show", "second", from, &second.sdp());
    second.await_tone(0, 620);
}

#[test]
fn a_publication_reaches_its_subscribers_byte_for_byte_until_it_ends_as_at_rtpengine() {
    for start in [Daemon::rtpengine, Daemon::tollgate] {
        let at = Address::new();
        let mut peer = start(at);
        let [stage, one, two] = [(); 3].map(|()| Party::new(at));
        let sdp = describe(&[stage.address()], "8", "a=sendonly\r\n");
        let to = sections(&peer.ask("publish", "show", json!({"from-tag": "stage", "sdp": sdp})))[0];
        let from = json!({"from-tag": "stage"});
        let [for_one, for_two] = [("one", &one), ("two", &two)]
            .map(|(tag, party)| peer.subscribe("show", tag, from.clone(), &party.sdp())[0]);
        heard(&stage, to, &[(&one, for_one), (&two, for_two)], 5);
        peer.ask("unsubscribe", "show", json!({"to-tag": "one"}));
        heard(&stage, to, &[(&two, for_two)], 5);
        assert!(quiet(&[&stage, &one, &two]));
        peer.ask("delete", "show", json!({"from-tag": "stage", "delete-delay": 0}));
        stage.rtp.send_to(&voice(1, 9), to).expect("sent");
        await_some("a closed port", || (!udp::is_bound(to)).then_some(()));
        assert!(quiet(&[&stage, &one, &two]));
    }
}

#[test]
fn parties_of_two_calls_that_are_connected_hear_each_other_and_nobody_else() {
    let at = Address::new();
    let mut peer = Daemon::tollgate(at);
    let [a, b, c, d] = [(); 4].map(|()| Party::new(at));
    let [for_a, for_b] = peer.call("one", ["a", "b"], [&a.sdp(), &b.sdp()]);
    let [for_c, for_d] = peer.call("two", ["c", "d"], [&c.sdp(), &d.sdp()]);
    heard(&a, for_a, &[(&b, for_b)], 2);
    heard(&d, for_d, &[(&c, for_c)], 2);
    peer.ask("connect", "one", json!({"from-tag": "a", "to-tag": "d", "to-call-id": "two"}));
    heard(&a, for_a, &[(&d, for_d)], 5);
    heard(&d, for_d, &[(&a, for_a)], 5);
    for (party, to) in [(&b, for_b), (&c, for_c)] {
        party.rtp.send_to(&voice(9, 1), to).expect("sent");
    }
    heard(&a, for_a, &[(&d, for_d)], 2);
    assert!(quiet(&[&a, &b, &c, &d]), "whoever they talked to hears nobody and is heard by nobody");
}

#[test]
fn what_ffmpeg_plays_is_heard_by_whom_its_party_is_connected_to() {
    let at = Address::new();
    let mut peer = Daemon::tollgate(at);
    let [a, b, c] = [(); 3].map(|()| SocketAddr::new(at.ip(), at.media_port()));
    let mut listener = Listener::start(at, 1);
    let sdp = [a, b, c].map(|at| describe(&[at], "8", ""));
    let [for_a, _] = peer.call("one", ["a", "b"], [&sdp[0], &sdp[1]]);
    peer.call("two", ["c", "d"], [&sdp[2], &listener.sdp()]);
    let _playing = Player::start(a, for_a, 440);
    peer.ask("connect", "one", json!({"from-tag": "a", "to-tag": "d", "to-call-id": "two"}));
    listener.await_tone(0, 440);
}
