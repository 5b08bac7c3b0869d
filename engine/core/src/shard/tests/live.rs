//! What changes while calls go on: interfaces that come and go, other limits.

use super::*;

/// The rig's configuration with these interfaces.
fn live(interfaces: &[&str], edit: impl FnOnce(&mut Limits)) -> Input<'static> {
    let interfaces = interfaces.iter().map(|text| text.parse().unwrap()).collect();
    let mut limits = Limits::default();
    edit(&mut limits);
    let interfaces = Interfaces::new(interfaces).unwrap();
    Input::Live(Box::new(crate::LiveConfig {
        interfaces,
        tos: 7,
        media_networks: crate::MediaNetworks::parse(&["192.0.2.0/24".to_owned()]).unwrap(),
        learn_strict: true,
        providers: None,
        limits,
        turn: None,
    }))
}

fn new_call(rig: &mut Rig, name: &str, direction: &[&str]) -> Shown {
    let direction = direction.iter().map(ToString::to_string).collect();
    rig.offer(Signal { call_id: name.into(), direction, ..from_a(sdp(A, "")) })
}

/// The address that a description shows.
fn address(shown: &Shown) -> &str {
    shown.lines("c=")[0].rsplit(' ').next().unwrap()
}

#[test]
fn a_call_keeps_its_ports_on_an_interface_that_went_and_new_calls_go_elsewhere() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    rig.input(live(&["new/127.0.0.9"], |_| {}));
    assert!(rig.rtp(A, toward_a).is_some() && rig.rtp(B, toward_b).is_some(), "media goes on");
    assert_eq!(rig.offer(to_b(sdp(A, ""))).port(), toward_b, "the same endpoint sees the same port");
    let shown = new_call(&mut rig, "d", &[]);
    assert_eq!(address(&shown), "127.0.0.9");
    let moved = rig.offer(to_b(sdp("198.51.100.1:4444", "")));
    assert_eq!(address(&moved), "127.0.0.9", "what is new is on an interface that is there");
    rig.delete(at_once("c"));
    rig.delete(at_once("d"));
    assert_eq!((rig.open.len(), rig.shard.free_port_pairs()), (0, 500));
}

#[test]
fn sections_at_several_addresses_say_so() {
    let mut rig = Rig::new();
    established(&mut rig);
    rig.input(live(&["new/127.0.0.9"], |_| {}));
    let shown = rig.offer(to_b(sdp(A, "m=video 7000 RTP/AVP 96\r\n")));
    assert_eq!(shown.lines("c="), ["c=IN IP4 127.0.0.1", "c=IN IP4 127.0.0.9"]);
}

#[test]
fn interfaces_come_with_ports_of_their_own_and_in_the_order_of_preference() {
    let mut rig = Rig::new();
    rig.input(live(&["pub/127.0.0.2!203.0.113.9", "127.0.0.1", "extra/127.0.0.7"], |_| {}));
    let shown = new_call(&mut rig, "c", &["extra", "pub"]);
    assert_eq!(address(&shown), "203.0.113.9");
    let addresses: HashSet<_> = rig.open.values().map(|local| local.ip().to_string()).collect();
    assert_eq!(addresses, ["127.0.0.7", "127.0.0.2"].map(str::to_owned).into());
    assert_eq!(
        address(&new_call(&mut rig, "d", &[])),
        "203.0.113.9",
        "the first one is the one nobody names"
    );
    rig.delete(at_once("c"));
    rig.delete(at_once("d"));
    assert_eq!((rig.open.len(), rig.shard.free_port_pairs()), (0, 3 * 500));
}

#[test]
fn an_address_keeps_its_ports_when_only_what_peers_are_told_changes() {
    let mut rig = Rig::new();
    let shown = new_call(&mut rig, "c", &["default", "pub"]);
    let port = shown.port();
    rig.input(live(&["127.0.0.1", "pub/127.0.0.2!198.51.100.77"], |_| {}));
    let mut ports = HashSet::from([port]);
    for number in 0..100 {
        let shown = new_call(&mut rig, &number.to_string(), &["default", "pub"]);
        assert_eq!(address(&shown), "198.51.100.77");
        assert!(ports.insert(shown.port()), "a port is given to one call only");
    }
}

#[test]
fn interfaces_that_change_for_ever_do_not_take_memory_for_ever() {
    let mut rig = Rig::new();
    established(&mut rig);
    for number in 0..1_000u32 {
        let text = format!("127.1.{}.{}", number / 250, number % 250 + 1);
        rig.input(live(&[&text], |_| {}));
    }
    assert!(rig.shard.sockets.interfaces().len() <= 4, "two of the call, one in use, one to spare");
    rig.delete(at_once("c"));
    assert_eq!(rig.shard.free_port_pairs(), 500);
}

#[test]
fn other_limits_are_in_force_at_once_for_calls_that_are_there_too() {
    let mut rig = Rig::new();
    established(&mut rig);
    rig.input(live(&["127.0.0.1"], |limits| {
        limits.calls_max = 1;
        limits.media_timeout = Duration::from_secs(5);
    }));
    assert_eq!(new_call(&mut rig, "d", &[]).error(), "Parallel session limit reached");
    rig.pass(4_999);
    assert_eq!(rig.calls(), ["c"]);
    rig.pass(1);
    assert!(rig.calls().is_empty());
}

#[test]
fn media_networks_and_strict_learning_hold_for_what_is_described_from_then_on() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    rig.input(live(&["127.0.0.1", "::1", "pub/127.0.0.2!203.0.113.9"], |_| {}));
    assert_eq!(rig.rtp("192.0.2.7:9", toward_a), None, "described before");
    rig.offer(to_b(sdp(A, "")));
    assert!(rig.rtp("192.0.2.7:9", toward_a).is_some());
    assert!(rig.shard.learn_strict);
}
