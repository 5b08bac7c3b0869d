//! The peers that a guard must let through: behind NATs, moving, sending early or from elsewhere.

use ng::{Event, EventKind, LearningOutcome};

use super::{spray::rtp, *};

const PRIVATE: &str = "10.0.0.9:4000";
const NAT: &str = "203.0.113.1:31000";
const STRANGER: &str = "192.0.2.66:7000";

/// From A on the public side, behind a NAT of which the proxy tells the address.
fn behind_nat(sdp: Vec<u8>) -> Signal {
    Signal { received_from: Some("203.0.113.1".parse().unwrap()), ..unplaced(sdp) }
}

/// The same, and the proxy tells nothing.
fn unplaced(sdp: Vec<u8>) -> Signal {
    Signal { direction: vec!["pub".to_owned(); 2], ..from_a(sdp) }
}

/// B's answer to A, in the same manner.
fn answer(sdp: Vec<u8>) -> Signal {
    Signal { to_tag: Some("B".into()), ..unplaced(sdp) }
}

/// The ports that B and A are shown.
fn call(rig: &mut Rig, offer: Signal) -> (u16, u16) {
    let toward_b = rig.offer(offer).port();
    (toward_b, rig.answer(answer(sdp(B, ""))).port())
}

fn to(address: &str) -> Option<SocketAddr> {
    Some(address.parse().unwrap())
}

impl Rig {
    /// Where a packet went, 20 ms after the one before.
    fn goes(&mut self, from: &str, port: u16) -> Option<SocketAddr> {
        self.pass(20);
        self.rtp(from, port).map(|(_, to)| to)
    }

    /// A stream of packets, 20 ms apart; which of them was the first to be passed on.
    fn stream(&mut self, from: &str, port: u16, packets: u16) -> Option<u16> {
        let mut first = None;
        for index in 0..packets {
            self.pass(20);
            let sent = self.packet(from, port, &rtp(0, 60_000_u16.wrapping_add(index), 7));
            first = first.or_else(|| sent.map(|_| index));
        }
        first
    }
}

#[test]
fn a_nat_that_rebinds_in_mid_call_is_followed_within_what_is_known() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = call(&mut rig, behind_nat(sdp(PRIVATE, "")));
    assert_eq!(rig.goes(NAT, toward_a), to(B));
    rig.pass(1_000);
    assert_eq!(rig.goes("203.0.113.2:31001", toward_a), None, "another host");
    assert_eq!(rig.goes("203.0.113.1:31001", toward_a), to(B));
    assert_eq!(rig.goes(B, toward_b), to("203.0.113.1:31001"));
    let told = rig.events.iter().find_map(|event| match &event.kind {
        EventKind::Learning { tag, media, rtcp, outcome, address } => {
            Some((tag, *media, *rtcp, *outcome, *address))
        }
        _ => None,
    });
    assert_eq!(told, Some((&"A".to_owned(), 1, false, LearningOutcome::Moved, to("203.0.113.1:31001"))));
}

#[test]
fn rtcp_of_a_peer_behind_a_nat_has_a_port_of_its_own() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = call(&mut rig, behind_nat(sdp(PRIVATE, "")));
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    assert_eq!(rig.packet("192.0.2.66:45001", toward_a + 1, &report), None);
    assert!(rig.packet("203.0.113.1:45001", toward_a + 1, &report).is_some());
    rig.pass(10_000);
    assert_eq!(
        rig.packet("203.0.113.1:45002", toward_a + 1, &report),
        None,
        "two reports missed are no silence"
    );
    let back = rig.packet("198.51.100.2:5001", toward_b + 1, &report);
    assert_eq!(back.map(|(_, to)| to), to("203.0.113.1:45001"));
}

#[test]
fn a_peer_that_moves_by_a_new_offer_is_followed_and_its_old_network_is_not() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = call(&mut rig, behind_nat(sdp(PRIVATE, "")));
    assert_eq!(rig.goes(NAT, toward_a), to(B));
    let elsewhere = Signal {
        received_from: Some("203.0.113.200".parse().unwrap()),
        to_tag: Some("B".into()),
        ..behind_nat(sdp("192.168.1.5:4000", ""))
    };
    rig.offer(elsewhere);
    assert_eq!(rig.goes(NAT, toward_a), None);
    assert_eq!(rig.goes("203.0.113.200:9000", toward_a), to(B));
    assert_eq!(rig.goes(B, toward_b), to("203.0.113.200:9000"));
}

#[test]
fn early_media_flows_from_the_first_answer_on() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(behind_nat(sdp(PRIVATE, ""))).port();
    assert_eq!(rig.goes(B, toward_b), None, "nobody has said where B is");
    rig.answer(answer(sdp(B, "")));
    assert_eq!(rig.goes(B, toward_b), to(PRIVATE), "A has not sent yet");
    let toward_a = rig.answer(answer(sdp(B, ""))).port();
    assert_eq!(rig.goes(NAT, toward_a), to(B));
    assert_eq!(rig.goes(B, toward_b), to(NAT));
}

#[test]
fn an_asymmetric_peer_sends_from_elsewhere_and_hears_where_it_said() {
    let mut rig = Rig::new();
    let offer = Signal { asymmetric: true, ..from_a(sdp(A, "")) };
    let toward_b = rig.offer(offer).port();
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    assert_eq!(rig.goes("198.51.100.1:9000", toward_a), to(B));
    assert_eq!(rig.goes(B, toward_b), to(A));
}

#[test]
fn one_forged_packet_from_the_signalled_address_moves_nothing() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = call(&mut rig, behind_nat(sdp(PRIVATE, "")));
    assert_eq!(rig.goes(NAT, toward_a), to(B));
    rig.goes(PRIVATE, toward_a);
    assert_eq!(rig.goes(B, toward_b), to(NAT));
}

#[test]
fn a_repeated_offer_opens_nothing_while_the_peer_is_alive() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = call(&mut rig, behind_nat(sdp(PRIVATE, "")));
    assert_eq!(rig.goes(NAT, toward_a), to(B));
    rig.offer(Signal { to_tag: Some("B".into()), ..behind_nat(sdp(PRIVATE, "")) });
    assert_eq!(rig.goes("203.0.113.1:44444", toward_a), None);
    assert_eq!(rig.goes(B, toward_b), to(NAT));
}

#[test]
fn a_phone_that_nobody_can_place_is_found_by_its_stream_and_its_rtcp_and_video_with_it() {
    let mut rig = Rig::new();
    let video = "m=video 4002 RTP/AVP 96\r\n";
    let offered = rig.offer(unplaced(sdp(PRIVATE, video)));
    let shown = rig.answer(answer(sdp(B, "m=video 5002 RTP/AVP 96\r\n")));
    let (toward_b, toward_a) = (offered.port(), shown.port());
    let video_port = shown.lines("m=video")[0].split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(rig.goes("203.0.113.1:9002", video_port), None);
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    assert_eq!(rig.packet("203.0.113.1:9001", toward_a + 1, &report), None);
    assert_eq!(rig.goes(B, toward_b), to(PRIVATE), "nothing goes to a candidate");
    assert_eq!(rig.stream(NAT, toward_a, 40), Some(25), "half a second is lost");
    assert_eq!(rig.drops(DropReason::Undecided), 25);
    assert_eq!(rig.goes(B, toward_b), to(NAT));
    assert_eq!(rig.goes("203.0.113.1:9002", video_port), to("198.51.100.2:5002"));
    assert!(rig.packet("203.0.113.1:9001", toward_a + 1, &report).is_some());
    assert_eq!(rig.goes("203.0.113.2:9002", video_port), None);
    let counters = rig.shard.counters();
    assert_eq!((counters.streams_taken, counters.streams_missed), (1, 0));
    rig.offer(Signal { to_tag: Some("B".into()), ..unplaced(sdp("10.0.0.9:4444", video)) });
    assert_eq!(rig.goes("203.0.113.1:32000", toward_a), to(B), "its host stays known");
}

#[test]
fn two_streams_end_in_nobody_and_both_are_named() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = call(&mut rig, unplaced(sdp(PRIVATE, "")));
    for index in 0..520_u16 {
        rig.pass(20);
        for (from, ssrc) in [(NAT, 1), (STRANGER, 2)] {
            assert_eq!(rig.packet(from, toward_a, &rtp(0, index, ssrc)), None);
        }
    }
    assert_eq!(rig.goes(B, toward_b), to(PRIVATE));
    assert_eq!(rig.shard.counters().streams_missed, 1);
    let undecided = rig.drops(DropReason::Undecided);
    assert_eq!(undecided + rig.drops(DropReason::UnknownSource), 2 * 520);
    let offenders = rig.offenders("c");
    assert_eq!(offenders.iter().map(|offender| offender.packets).sum::<u64>(), 2 * 520);
    let outcomes: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Learning { outcome, address, .. } => Some((*outcome, *address)),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [(LearningOutcome::Nobody, None)]);
    // A description is cause to look again, and the other has gone.
    rig.offer(Signal { to_tag: Some("B".into()), ..unplaced(sdp(PRIVATE, "")) });
    assert_eq!(rig.stream(NAT, toward_a, 40), Some(25));
}

#[test]
fn strict_learning_of_the_engine_or_of_a_call_never_looks_for_anybody() {
    let mut engine = Rig::with(|config| config.learn_strict = true);
    let (_, toward_a) = call(&mut engine, unplaced(sdp(PRIVATE, "")));
    assert_eq!(engine.stream(NAT, toward_a, 100), None);
    let mut rig = Rig::new();
    let (_, toward_a) = call(&mut rig, Signal { learn_strict: true, ..unplaced(sdp(PRIVATE, "")) });
    assert_eq!(rig.stream(NAT, toward_a, 100), None);
    assert_eq!(rig.drops(DropReason::UnknownSource), 100);
}

#[test]
fn media_networks_are_those_of_the_call_else_of_the_interface() {
    let listed = |config: &mut ShardConfig| {
        config.media_networks = crate::MediaNetworks::parse(&["pub=192.0.2.0/24".into()]).unwrap();
    };
    let mut rig = Rig::with(listed);
    let (_, toward_a) = call(&mut rig, unplaced(sdp(A, "")));
    assert_eq!(rig.goes("192.0.3.1:9", toward_a), None);
    assert_eq!(rig.goes("192.0.2.9:9", toward_a), to(B));
    let mut rig = Rig::with(listed);
    let media_networks = vec!["203.0.113.0/24".parse().unwrap()];
    let (_, toward_a) = call(&mut rig, Signal { media_networks, ..unplaced(sdp(A, "")) });
    assert_eq!(rig.goes("192.0.2.9:9", toward_a), None, "in place of the interface's");
    assert_eq!(rig.goes("203.0.113.9:9", toward_a), to(B));
    let mut rig = Rig::with(listed);
    let (_, toward_a) = established(&mut rig);
    assert_eq!(rig.goes("192.0.2.9:9", toward_a), None, "another interface");
    let wide = Signal { media_networks: vec!["0.0.0.0/0".parse().unwrap()], ..from_a(sdp(A, "")) };
    assert_eq!(rig.offer(wide).error(), "Not supported: media-networks=0.0.0.0/0, which is half the world");
}

#[test]
fn strangers_are_told_at_their_first_packet_and_at_the_end_and_reported_between() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    for _ in 0..300 {
        assert_eq!(rig.goes(STRANGER, toward_a), None);
        assert_eq!(rig.packet("192.0.2.67:7000", toward_a, &[0; 20]), None, "no RTP either");
        assert_eq!(rig.goes("192.0.2.66:7001", toward_a), None);
        assert_eq!(rig.goes("192.0.2.66:7001", toward_a), None);
    }
    assert_eq!(rig.shard.counters().calls_intruded, 1);
    let Reply::Report(report) = rig.delete(at_once("c")) else { panic!("no report") };
    let named: Vec<_> = report.offenders.iter().map(|one| (one.address.to_string(), one.packets)).collect();
    let expected = [("192.0.2.66:7001", 600), ("192.0.2.66:7000", 300), ("192.0.2.67:7000", 300)];
    assert_eq!(named, expected.map(|(address, packets)| (address.to_owned(), packets)));
    assert_eq!(report.offenders[0].first_ms, EPOCH_MS + 1_040);
    let told: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Strangers { packets, offenders, last } => Some((*packets, offenders.len(), *last)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, 1, false), (1_200, 3, true)]);
    rig.assert_clean();
}

#[test]
fn events_of_a_peer_that_moves_all_the_time_are_bounded() {
    let mut rig = Rig::new();
    let offer = Signal { media_handover: true, ..from_a(sdp(A, "")) };
    rig.offer(offer);
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    for port in 10_000..11_000 {
        assert_eq!(rig.goes(&format!("198.51.100.1:{port}"), toward_a), to(B));
    }
    let learning = |event: &&Event| matches!(event.kind, EventKind::Learning { .. });
    assert_eq!(rig.events.iter().filter(learning).count(), 16);
}

#[test]
fn a_fork_behind_the_same_nat_is_told_apart_by_its_port() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(from_a(sdp(A, ""))).port();
    rig.answer(to_b(sdp(B, "")));
    rig.answer(Signal { to_tag: Some("C".into()), ..to_b(sdp("198.51.100.2:6000", "")) });
    assert_eq!(rig.goes(B, toward_b), to(A));
    assert_eq!(
        rig.goes("198.51.100.2:6000", toward_b),
        to(A),
        "the other branch, at its own signalled address"
    );
}
