//! What an operator asks about a shard as a whole.

use super::*;

#[test]
fn a_census_counts_calls_parties_and_ports_and_names_no_more_than_asked() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    rig.rtp(A, toward_a);
    let census = rig.shard.census(9);
    assert_eq!((census.calls, census.legs, census.medias), (1, 2, 2));
    assert_eq!((census.calls_ipv4, census.calls_ipv6, census.calls_mixed), (1, 0, 0));
    let [ipv4, ipv6, _] = census.ports.as_slice() else { panic!("three addresses") };
    assert_eq!((ipv4.used, ipv4.free, ipv6.used, ipv6.free), (4, 996, 0, 1000));
    let [session] = census.sessions.as_slice() else { panic!("one call") };
    assert_eq!((session.call_id.as_str(), session.packets, session.deleted), ("c", 1, false));
    assert!(rig.shard.census(0).sessions.is_empty());
}

#[test]
fn calls_that_ended_are_counted_by_how_long_they_were_and_who_was_heard() {
    let mut rig = Rig::new();
    let delete = || Delete { call_id: "c".into(), delay: DeleteDelay::Seconds(0), ..Delete::default() };
    for heard in 0..3 {
        let (toward_b, toward_a) = established(&mut rig);
        let ways = [(A, toward_a), (B, toward_b)];
        for (from, port) in &ways[..heard] {
            assert!(rig.rtp(from, *port).is_some());
        }
        rig.pass(2_000);
        rig.delete(delete());
    }
    let ended = rig.shard.counters().ended;
    assert_eq!((ended.calls, ended.unheard, ended.one_way), (3, 1, 1));
    assert!(ended.lifetime_ms >= 6_000 && ended.lifetime_ms2 >= 12_000_000, "{ended:?}");
}

#[test]
fn limits_hold_from_the_moment_they_are_set() {
    let mut rig = Rig::new();
    established(&mut rig);
    let second = std::time::Duration::from_secs(1);
    let limits = Input::Limits { calls_max: 1, media_timeout: second, silent_timeout: second };
    rig.shard.handle_input(Instant::from_millis(rig.now_ms), EPOCH_MS, limits);
    let refused = rig.offer(Signal { call_id: "d".into(), ..from_a(sdp(A, "")) });
    assert_eq!(refused.error(), Reply::PARALLEL_SESSION_LIMIT);
}
