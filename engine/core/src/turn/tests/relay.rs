use super::*;

fn alice(server: &mut Server) -> (Asking, SocketAddr) {
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    let relayed = alice.allocate(server);
    (alice, relayed)
}

#[test]
fn payloads_go_both_ways_on_a_channel_and_in_indications() {
    let mut server = Server::new();
    let (mut alice, relayed) = alice(&mut server);
    assert_eq!(alice.permit(&mut server, "8.8.8.8:1"), 0);
    assert_eq!(alice.bind(&mut server, 0x4001, "8.8.4.4:40"), 0);
    for length in [0, 1, 2, 3, 4, 160, 1400] {
        let payload = vec![7; length];
        assert_eq!(
            alice.channel(&mut server, 0x4001, &payload),
            [to_peer(&server, relayed, "8.8.4.4:40", &payload)]
        );
        assert_eq!(
            alice.indicate(&mut server, "8.8.8.8:77", &payload),
            [to_peer(&server, relayed, "8.8.8.8:77", &payload)]
        );
        let sent = server.peer(relayed, "8.8.4.4:40", &payload);
        assert_eq!(
            sent,
            [Sent { way: Ok(LISTENER), to: Some(alice.address), bytes: on_channel(0x4001, &payload) }]
        );
        // Not the channel's port, but its permission.
        let sent = server.peer(relayed, "8.8.4.4:41", &payload);
        assert_eq!((sent[0].way, sent[0].to), (Ok(LISTENER), Some(alice.address)));
        assert_eq!(data_of(&sent), (address("8.8.4.4:41"), payload));
    }
    // A datagram may have padding behind its payload.
    let padded = [on_channel(0x4001, b"abcde"), vec![0; 3]].concat();
    assert_eq!(alice.send(&mut server, &padded), [to_peer(&server, relayed, "8.8.4.4:40", b"abcde")]);
    assert_eq!(alice.refresh(&mut server, 0).code(), 0);
    let ended = server.ended.pop().unwrap();
    assert_eq!(ended.to_peers, TurnTraffic { packets: 15, bytes: 2 * 1570 + 5 });
    assert_eq!(ended.to_clients, TurnTraffic { packets: 14, bytes: 2 * 1570 });
    assert_eq!(
        (server.counters().to_peers, server.counters().to_clients),
        (ended.to_peers, ended.to_clients)
    );
    assert_eq!(TurnDrop::ALL.map(|reason| server.counters().drops(reason)), [0; TurnDrop::ALL.len()]);
}

#[test]
fn nobody_is_heard_without_a_permission_and_none_lasts() {
    let mut server = Server::new();
    let (mut alice, relayed) = alice(&mut server);
    assert_eq!(server.peer(relayed, "8.8.8.8:1", b"x"), []);
    assert_eq!(alice.indicate(&mut server, "8.8.8.8:1", b"x"), []);
    assert_eq!(alice.channel(&mut server, 0x4000, b"x"), []);
    assert_eq!(server.counters().drops(TurnDrop::NoPermission), 2);
    assert_eq!(server.counters().drops(TurnDrop::NoChannel), 1);
    assert_eq!(alice.permit(&mut server, "8.8.8.8:1"), 0);
    assert_eq!(alice.bind(&mut server, 0x4000, "8.8.4.4:1"), 0);
    assert_eq!(server.peer(relayed, "8.8.8.9:1", b"x"), []);
    server.seconds(299);
    assert_eq!(server.peer(relayed, "8.8.8.8:1", b"x").len(), 1);
    assert_eq!(alice.permit(&mut server, "8.8.8.8:2"), 0);
    server.seconds(1);
    assert_eq!(server.peer(relayed, "8.8.4.4:1", b"x"), [], "a channel is no permission");
    assert_eq!(server.peer(relayed, "8.8.8.8:1", b"x").len(), 1);
    assert_eq!(alice.channel(&mut server, 0x4000, b"x").len(), 1);
    alice.learn(&mut server);
    assert_eq!(alice.refresh(&mut server, 600).code(), 0);
    server.seconds(299);
    assert_eq!(server.peer(relayed, "8.8.8.8:1", b"x"), []);
    server.seconds(1);
    assert_eq!(alice.channel(&mut server, 0x4000, b"x"), [], "ten minutes");
}

#[test]
fn a_channel_is_one_peer_and_a_peer_one_channel() {
    let mut server = Server::new();
    let (mut alice, _) = alice(&mut server);
    assert_eq!(alice.bind(&mut server, 0x4000, "8.8.8.8:1"), 0);
    for (number, peer, code) in [
        (0x4000, "8.8.8.8:1", 0),
        (0x4000, "8.8.8.8:2", 400),
        (0x4001, "8.8.8.8:1", 400),
        (0x4fff, "8.8.8.8:2", 0),
        (0x3fff, "8.8.8.8:3", 400),
        (0x7fff, "8.8.8.8:4", 0),
        (0x8000, "8.8.8.8:3", 400),
        (0x4002, "8.8.8.8:0", 400),
        (0x4002, "[2a00::1]:1", 443),
        (0x4002, "127.0.0.1:1", 403),
    ] {
        assert_eq!(alice.bind(&mut server, number, peer), code, "{number:x} {peer}");
    }
    let channel = |writer: &mut StunWriter<'_>| {
        writer.attribute(AttributeKind::CHANNEL_NUMBER, &[0x40, 9, 0, 0]).unwrap()
    };
    assert_eq!(alice.ask(&mut server, Method::CHANNEL_BIND, &channel).code(), 400);
    assert_eq!(alice.ask(&mut server, Method::CREATE_PERMISSION, &|_| ()).code(), 400);
    server.seconds(600);
}

#[test]
fn permissions_and_channels_are_bounded() {
    let mut server = Server::new();
    let (mut alice, relayed) = alice(&mut server);
    for last in 0..64 {
        let code = alice.bind(&mut server, 0x4000 + last, &format!("8.8.8.8:{}", last + 1));
        assert_eq!(code, 0);
    }
    assert_eq!(alice.bind(&mut server, 0x4100, "8.8.8.8:100"), 508);
    let many = |count: u8, third: u8| {
        move |writer: &mut StunWriter<'_>| {
            for last in 0..count {
                let peer = SocketAddr::from(([8, 8, third, last], 1));
                writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, peer).unwrap();
            }
        }
    };
    assert_eq!(alice.ask(&mut server, Method::CREATE_PERMISSION, &many(64, 7)).code(), 508, "one is there");
    assert_eq!(server.peer(relayed, "8.8.7.0:1", b"x"), [], "all or none");
    assert_eq!(alice.ask(&mut server, Method::CREATE_PERMISSION, &many(63, 7)).code(), 0);
    assert_eq!(alice.ask(&mut server, Method::CREATE_PERMISSION, &many(63, 7)).code(), 0);
    assert_eq!(alice.permit(&mut server, "8.8.6.1:1"), 508);
    assert_eq!(alice.ask(&mut server, Method::CREATE_PERMISSION, &many(100, 7)).code(), 508);
    server.seconds(301);
    alice.learn(&mut server);
    assert_eq!(alice.permit(&mut server, "8.8.6.1:1"), 0);
}

#[test]
fn a_user_gets_no_more_than_its_bandwidth() {
    let mut slow = live();
    slow.limits.user_bytes_per_second_max = Some(1000);
    let mut server = Server::with(slow, &["9.9.9.9"]);
    let (mut alice, relayed) = alice(&mut server);
    let mut other = Asking::new("8.1.1.1:1001", "alice");
    other.allocate(&mut server);
    let mut bob = Asking::new("8.1.1.1:1002", "bob");
    bob.allocate(&mut server);
    for client in [&mut alice, &mut other, &mut bob] {
        assert_eq!(client.bind(&mut server, 0x4000, "8.8.8.8:1"), 0);
    }
    let sent = |client: &Asking, server: &mut Server| client.channel(server, 0x4000, &[0; 100]).len();
    assert_eq!((0..9).map(|_| sent(&alice, &mut server)).sum::<usize>(), 9);
    assert_eq!((0..9).map(|_| sent(&other, &mut server)).sum::<usize>(), 1, "the same user");
    assert_eq!((0..12).map(|_| sent(&bob, &mut server)).sum::<usize>(), 10);
    assert_eq!((0..12).map(|_| server.peer(relayed, "8.8.8.8:1", &[0; 100]).len()).sum::<usize>(), 10);
    assert_eq!(server.counters().drops(TurnDrop::Bandwidth), 12);
    server.after(Duration::from_millis(500));
    assert_eq!((0..12).map(|_| sent(&alice, &mut server)).sum::<usize>(), 5);
}

#[test]
fn a_slot_without_room_for_a_header_is_said_so() {
    let mut server = Server::new();
    let (mut alice, relayed) = alice(&mut server);
    assert_eq!(alice.permit(&mut server, "8.8.8.8:1"), 0);
    let socket = server.socket_of(relayed);
    let mut packet = [7; 100];
    let (now, wall_ms) = (server.now, server.wall_ms());
    server.shard.handle_input(now, wall_ms, Input::datagram(socket, address("8.8.8.8:1"), &mut packet));
    assert_eq!(server.drain(&packet), []);
    assert_eq!(server.counters().drops(TurnDrop::NoRoom), 1);
}
