//! Who hears a party besides the one it talks to, and what a client may forbid.

use super::*;
use crate::{
    io::RecordingId,
    path::{Gate, PathId},
};

const C: &str = "198.51.100.3:6000";

/// A and B talk; C is there and hears what A says too. Where A is heard, and the halves of A and C.
fn overheard(rig: &mut Rig) -> (u16, PathId, PathId) {
    let (_, toward_a) = established(rig);
    rig.answer(Signal { to_tag: Some("C".into()), ..from_a(sdp(C, "")) });
    rig.answer(to_b(sdp(B, "")));
    let call = rig.shard.calls.get(rig.shard.calls.by_name("c").unwrap()).unwrap();
    let half = |tag: &str| call.leg(call.by_tag(tag).unwrap()).medias[0].rtp;
    let (a, c) = (half("A"), half("C"));
    assert!(rig.shard.paths.add_sink(a, c));
    (toward_a, a, c)
}

fn voice() -> Vec<u8> {
    let mut packet = vec![0x80, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend(1..=160);
    packet
}

fn remotes(rig: &mut Rig, to_port: u16) -> (Option<SocketAddr>, Vec<SocketAddr>) {
    rig.copies.clear();
    let first = rig.packet(A, to_port, &voice()).map(|(_, remote)| remote);
    (first, rig.copies.iter().map(|(_, remote, _)| *remote).collect())
}

#[test]
fn a_further_sink_gets_a_copy_and_the_first_one_the_packet() {
    let mut rig = Rig::new();
    let (toward_a, a, c) = overheard(&mut rig);
    let before = rig.shard.counters().clone();
    assert_eq!(remotes(&mut rig, toward_a), (Some(B.parse().unwrap()), vec![C.parse().unwrap()]));
    assert_eq!(rig.copies[0].2, voice());
    let counters = rig.shard.counters();
    assert_eq!(counters.packets_sent - before.packets_sent, 1);
    assert_eq!(counters.copies_sent - before.copies_sent, 1);
    assert_eq!(counters.packets_received, counters.packets_sent + counters.drops_total());
    rig.shard.paths.remove_sink(a, c);
    assert_eq!(remotes(&mut rig, toward_a), (Some(B.parse().unwrap()), vec![]));
}

#[test]
fn a_way_that_is_blocked_or_silenced_says_nothing_about_the_other() {
    let mut rig = Rig::new();
    let (toward_a, a, c) = overheard(&mut rig);
    let on_way = |rig: &mut Rig, path, blocked, silenced| {
        for sink in rig.shard.paths[a].sinks_mut().filter(|sink| sink.path == path) {
            (sink.blocked, sink.silenced) = (blocked, silenced);
        }
    };
    on_way(&mut rig, c, false, true);
    assert_eq!(remotes(&mut rig, toward_a), (Some(B.parse().unwrap()), vec![C.parse().unwrap()]));
    assert_eq!(rig.copies[0].2[12..], [0xd5; 160]);
    on_way(&mut rig, c, true, false);
    assert_eq!(remotes(&mut rig, toward_a), (Some(B.parse().unwrap()), vec![]));
    assert_eq!(rig.shard.counters().sinks_missed, 1);
    let b = rig.shard.paths[a].sinks().next().unwrap().path;
    on_way(&mut rig, b, true, false);
    on_way(&mut rig, c, false, false);
    assert_eq!(remotes(&mut rig, toward_a), (Some(C.parse().unwrap()), vec![]));
    assert_eq!(rig.shard.counters().sinks_missed, 2, "the first sink is no exception");
}

#[test]
fn a_blocked_party_is_not_heard_and_the_drop_has_its_reason() {
    let mut rig = Rig::new();
    let (toward_a, a, _) = overheard(&mut rig);
    let before = rig.drops(DropReason::Blocked);
    rig.shard.paths[a].gate = Gate { blocked: true, silenced: true, dtmf_blocked: false };
    assert_eq!(remotes(&mut rig, toward_a), (None, vec![]));
    assert_eq!(rig.drops(DropReason::Blocked), before + 1);
}

#[test]
fn a_tapped_party_is_recorded_as_it_spoke_even_while_it_is_silenced() {
    let mut rig = Rig::new();
    let (toward_a, a, _) = overheard(&mut rig);
    rig.shard.paths[a].tap = Some(RecordingId(1));
    rig.shard.paths[a].gate.silenced = true;
    remotes(&mut rig, toward_a);
    assert_eq!(rig.recorded.len(), 1);
    assert_eq!((rig.recorded[0].0.port(), rig.recorded[0].1), (toward_a, A.parse().unwrap()));
    assert_eq!(rig.recorded[0].2, voice());
    assert_eq!(rig.copies[0].2[12..], [0xd5; 160]);
}

#[test]
fn a_packet_of_our_own_goes_where_the_party_is_and_nowhere_if_it_is_nowhere() {
    let mut rig = Rig::new();
    let (_, _, c) = overheard(&mut rig);
    assert!(rig.shard.road().originate(c, b"report"));
    rig.drain();
    let (_, remote, packet) = rig.copies.pop().unwrap();
    assert_eq!((remote, &packet[..]), (C.parse().unwrap(), &b"report"[..]));
    let nowhere = rig.shard.paths.insert(crate::path::PathKind::Rtcp);
    assert!(!rig.shard.road().originate(nowhere, b"report"));
    assert_eq!(rig.shard.counters().copies_dropped, 1);
}
