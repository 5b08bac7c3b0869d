//! Packets: who is heard, where they go, and when silence ends a call.

use super::*;

fn local(port: u16) -> SocketAddr {
    SocketAddr::new("127.0.0.1".parse().unwrap(), port)
}

#[test]
fn rtp_flows_both_ways_from_the_port_that_the_reader_was_shown() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    assert_eq!(rig.rtp(A, toward_a), Some((local(toward_b), B.parse().unwrap())));
    assert_eq!(rig.rtp(B, toward_b), Some((local(toward_a), A.parse().unwrap())));
    assert_eq!(rig.shard.counters().packets_sent, 2);
    assert_eq!(rig.shard.counters().bytes_sent, 344);
}

#[test]
fn rtcp_flows_on_the_odd_ports() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    let sent = rig.packet("198.51.100.1:4001", toward_a + 1, &report);
    assert_eq!(sent, Some((local(toward_b + 1), "198.51.100.2:5001".parse().unwrap())));
}

#[test]
fn multiplexed_rtcp_is_told_apart_and_sent_on_its_own_port_to_who_does_not_multiplex() {
    let mut rig = Rig::new();
    let offer = Signal {
        rtcp_mux: ng::RtcpMux { demux: true, ..ng::RtcpMux::default() },
        ..from_a(sdp(A, "a=rtcp-mux\r\n"))
    };
    let toward_b = rig.offer(offer).port();
    let shown = rig.answer(to_b(sdp(B, "")));
    let toward_a = shown.port();
    assert_eq!(shown.lines("a=rtcp"), [format!("a=rtcp:{toward_a}"), "a=rtcp-mux".into()]);
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    let sent = rig.packet(A, toward_a, &report);
    assert_eq!(sent, Some((local(toward_b + 1), "198.51.100.2:5001".parse().unwrap())));
    let sent = rig.packet("198.51.100.2:5001", toward_b + 1, &report);
    assert_eq!(sent, Some((local(toward_a), A.parse().unwrap())), "and back on the shared port");
    let Reply::Report(status) = rig.query("c") else { panic!("no report") };
    assert_eq!((status.totals.rtp.packets, status.totals.rtcp.packets), (0, 2));
}

#[test]
fn a_spray_from_elsewhere_neither_gets_in_nor_gets_anything() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(from_a(sdp(A, ""))).port();
    let attacker = "203.0.113.66:7000";
    let ports: Vec<u16> = rig.open.values().map(SocketAddr::port).collect();
    let spray = |rig: &mut Rig, ports: &[u16]| {
        for &port in ports {
            assert_eq!(rig.rtp(attacker, port), None);
        }
    };
    spray(&mut rig, &ports);
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    spray(&mut rig, &ports);
    assert!(rig.rtp(A, toward_a).is_some());
    spray(&mut rig, &ports);
    rig.offer(to_b(sdp(A, "")));
    spray(&mut rig, &ports);
    assert_eq!(rig.rtp(B, toward_b).unwrap().1, A.parse().unwrap(), "nothing was learned from it");
    assert_eq!(rig.drops(DropReason::UnknownSource), 4 * ports.len() as u64);
    let offenders = rig.offenders("c");
    assert_eq!(
        offenders.iter().map(|offender| offender.packets).collect::<Vec<_>>(),
        [4 * ports.len() as u64]
    );
    assert_eq!(offenders[0].address, attacker.parse().unwrap());
}

#[test]
fn a_peer_behind_a_nat_is_followed_to_where_its_sip_came_from() {
    let mut rig = Rig::new();
    let offer =
        Signal { received_from: Some("203.0.113.1".parse().unwrap()), ..from_a(sdp("10.0.0.9:4000", "")) };
    let toward_b = rig.offer(offer).port();
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    assert_eq!(rig.rtp("203.0.113.2:31000", toward_a), None);
    assert!(rig.rtp("203.0.113.1:31000", toward_a).is_some());
    assert_eq!(rig.rtp(B, toward_b).unwrap().1, "203.0.113.1:31000".parse().unwrap());
    assert_eq!(rig.shard.counters().addresses_learned, 2);
}

#[test]
fn sip_source_address_replaces_the_one_of_the_description() {
    let mut rig = Rig::new();
    let offer = Signal {
        received_from: Some("203.0.113.1".parse().unwrap()),
        trust: ng::Trust::SipSource,
        ..from_a(sdp("10.0.0.9:4000", ""))
    };
    let toward_b = rig.offer(offer).port();
    rig.answer(to_b(sdp(B, "")));
    assert_eq!(rig.rtp(B, toward_b).unwrap().1, "203.0.113.1:4000".parse().unwrap());
}

#[test]
fn every_drop_has_its_reason() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(from_a(sdp(A, ""))).port();
    assert_eq!(rig.rtp(B, toward_b), None, "nobody has said yet that B is there");
    assert_eq!(rig.drops(DropReason::UnknownSource), 1);
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    assert_eq!(rig.packet(A, toward_a, &[0; 20]), None);
    assert_eq!(rig.packet(A, toward_a, &[0x80; 3]), None);
    assert_eq!(rig.drops(DropReason::NotRtp), 2);
    assert_eq!(rig.packet(A, toward_a, &[]), None);
    assert_eq!(rig.drops(DropReason::Size), 1);
    assert_eq!(rig.rtp(A, 1), None);
    assert_eq!(rig.drops(DropReason::NoSocket), 1);
    assert_eq!(rig.shard.counters().drops_total(), 5);
}

#[test]
fn held_media_is_silent_and_its_rtcp_is_not() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    rig.offer(to_b(sdp(A, "a=sendonly\r\n")));
    rig.answer(to_b(sdp(B, "a=recvonly\r\n")));
    assert!(rig.rtp(A, toward_a).is_some(), "music on hold");
    assert_eq!(rig.rtp(B, toward_b), None);
    assert_eq!(rig.drops(DropReason::Held), 1);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    assert!(rig.packet("198.51.100.2:5001", toward_b + 1, &report).is_some());
}

#[test]
fn the_old_port_still_works_after_a_move() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    rig.offer(to_b(sdp("198.51.100.9:4100", "")));
    assert_eq!(rig.rtp(B, toward_b).unwrap().1, "198.51.100.9:4100".parse().unwrap());
    assert_eq!(rig.rtp(A, toward_a), None, "A is not there any more");
}

#[test]
fn silence_ends_an_answered_call_after_the_media_timeout() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    rig.pass(50_000);
    rig.rtp(A, toward_a);
    rig.pass(59_000);
    assert_eq!(rig.calls(), ["c"]);
    rig.pass(1_000);
    assert_eq!(rig.shard.counters().calls_timed_out, 1);
    rig.assert_clean();
}

#[test]
fn ringing_and_hold_may_be_silent_for_longer() {
    let mut rig = Rig::new();
    rig.offer(from_a(sdp(A, "")));
    rig.pass(600_000);
    assert_eq!(rig.calls(), ["c"], "ringing");
    rig.answer(to_b(sdp(B, "")));
    rig.offer(to_b(sdp(A, "a=inactive\r\n")));
    rig.answer(to_b(sdp(B, "a=inactive\r\n")));
    rig.pass(3_599_000);
    assert_eq!(rig.calls(), ["c"], "held");
    rig.pass(1_000);
    rig.assert_clean();
}

#[test]
fn a_socket_error_ends_nothing() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    let socket = *rig.open.keys().next().unwrap();
    rig.input(Input::SocketError { socket });
    assert!(rig.rtp(A, toward_a).is_some());
    assert_eq!(rig.shard.counters().socket_errors, 1);
}

#[test]
fn the_report_counts_what_each_side_sent() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    for _ in 0..3 {
        rig.rtp(A, toward_a);
    }
    rig.rtp(B, toward_b);
    let Reply::Report(report) = rig.delete(at_once("c")) else { panic!("no report") };
    let packets: Vec<(&str, u64)> =
        report.tags.iter().map(|tag| (tag.tag.as_str(), tag.medias[0].streams[0].stats.packets)).collect();
    assert_eq!(packets, [("A", 3), ("B", 1)]);
    assert_eq!((report.totals.rtp.packets, report.totals.rtp.bytes), (4, 4 * 172));
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_one_of_ipv4() {
    let mut rig = Rig::new();
    let mapped = String::from_utf8(sdp(A, "")).unwrap().replace("c=IN IP4 ", "c=IN IP6 ::ffff:");
    rig.offer(from_a(mapped.into_bytes()));
    let toward_a = rig.answer(to_b(sdp(B, "")));
    assert_eq!(toward_a.lines("c="), ["c=IN IP4 127.0.0.1"]);
    assert!(rig.rtp(A, toward_a.port()).is_some());
}

#[test]
fn nobody_is_sent_to_from_a_port_of_the_other_family() {
    let mut rig = Rig::new();
    rig.offer(from_a(sdp(A, "")));
    let six = String::from_utf8(sdp(B, "")).unwrap().replace("IP4 198.51.100.2", "IP6 2001:db8::2");
    let toward_a = rig.answer(to_b(six.clone().into_bytes())).port();
    assert!(rig.rtp(A, toward_a).is_some_and(|(local, remote)| local.is_ipv6() && remote.is_ipv6()));
    // The client has B shown a port of IPv4, and B has no address of it.
    let toward_b = Signal { address_family: Some(ng::Family::Ip4), ..to_b(sdp(A, "")) };
    assert_eq!(rig.offer(toward_b).lines("c="), ["c=IN IP4 127.0.0.1"]);
    assert_eq!(rig.rtp(A, toward_a), None);
    assert_eq!(rig.drops(DropReason::NoDestination), 1);
}
