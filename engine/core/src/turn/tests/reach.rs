//! Which addresses are reached: peers, and clients of our own.

use super::*;

#[test]
fn clients_reach_each_other_in_process_if_both_permit_it() {
    let mut server = Server::new();
    let (mut alice, mut bob) = (Asking::new("8.1.1.1:1000", "alice"), Asking::new("8.2.2.2:2000", "bob"));
    let (at_alice, at_bob) = (alice.allocate(&mut server), bob.allocate(&mut server));
    let (alices, bobs) = (at_alice.to_string(), at_bob.to_string());
    assert_eq!(alice.bind(&mut server, 0x4000, &bobs), 0);
    assert_eq!(alice.channel(&mut server, 0x4000, b"hello"), [], "bob has permitted nobody");
    assert_eq!(server.counters().drops(TurnDrop::NoPermission), 1);
    assert_eq!(bob.permit(&mut server, &alices), 0);
    let sent = alice.channel(&mut server, 0x4000, b"hello");
    assert_eq!((sent[0].way, sent[0].to), (Ok(LISTENER), Some(bob.address)));
    assert_eq!(data_of(&sent), (at_alice, b"hello".to_vec()));
    assert_eq!(bob.bind(&mut server, 0x4abc, &alices), 0);
    for payload in [&b""[..], b"hello", &[9; 1200]] {
        let sent = alice.channel(&mut server, 0x4000, payload);
        let expected = Sent { way: Ok(LISTENER), to: Some(bob.address), bytes: on_channel(0x4abc, payload) };
        assert_eq!(sent[..], *std::slice::from_ref(&expected));
        assert_eq!(alice.indicate(&mut server, &bobs, payload), [expected]);
        let sent = bob.indicate(&mut server, &alices, payload);
        assert_eq!(
            sent,
            [Sent { way: Ok(LISTENER), to: Some(alice.address), bytes: on_channel(0x4000, payload) }]
        );
    }
    assert_eq!(bob.refresh(&mut server, 0).code(), 0);
    assert_eq!(alice.channel(&mut server, 0x4000, b"hello"), [], "bob has gone");
    assert_eq!(server.counters().drops(TurnDrop::OwnAddress), 1);
}

#[test]
fn clients_of_two_shards_reach_each_other() {
    let mut shards = [0, 1].map(|shard| Server::shard(live(), &["9.9.9.9"], shard, 2));
    let (mut alice, mut bob) = (Asking::new("8.1.1.1:1000", "alice"), Asking::new("8.2.2.2:2000", "bob"));
    let [one, two] = &mut shards;
    let (at_alice, at_bob) = (alice.allocate(one), bob.allocate(two));
    let mut eve = Asking::new("8.3.3.3:1", "eve");
    eve.learn(one);
    let reserving = |writer: &mut StunWriter<'_>| {
        udp(writer);
        writer.attribute(AttributeKind::EVEN_PORT, &[0x80]).unwrap();
    };
    assert_eq!(eve.ask(one, Method::ALLOCATE, &reserving).code(), 508, "the token may come to the other one");
    assert_eq!((one.open.len(), one.ended.len()), (1, 0));
    assert_eq!(alice.bind(one, 0x4000, &at_bob.to_string()), 0);
    assert_eq!(alice.channel(one, 0x4000, b"hello"), []);
    let (shard, handover) = one.handed_over.pop().unwrap();
    assert_eq!(
        (shard, handover.from, handover.to, &handover.payload[..]),
        (1, at_alice, at_bob, &b"hello"[..])
    );
    let again = |handover: &Handover| {
        let Handover { from, to, payload } = handover;
        Box::new(Handover { from: *from, to: *to, payload: payload.clone() })
    };
    assert_eq!(two.input(Input::Turn(TurnInput::Handover(again(&handover)))), []);
    assert_eq!(two.counters().drops(TurnDrop::NoPermission), 1);
    assert_eq!(bob.bind(two, 0x4001, &at_alice.to_string()), 0);
    let sent = two.input(Input::Turn(TurnInput::Handover(again(&handover))));
    assert_eq!(
        sent,
        [Sent { way: Ok(LISTENER), to: Some(bob.address), bytes: on_channel(0x4001, b"hello") }]
    );
}

#[test]
fn an_address_of_ours_is_no_peer_but_where_a_client_has_it() {
    let mut open = live();
    open.own = vec![address("7.7.7.7:1").ip()];
    open.allow_peers =
        vec!["9.9.9.9/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap(), "7.7.7.7".parse().unwrap()];
    let mut server = Server::with(open, &["10.9.9.9!9.9.9.9"]);
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    let relayed = alice.allocate(&mut server);
    let media = relayed.port() ^ 2;
    let peers = [format!("9.9.9.9:{media}"), "9.9.9.9:2223".into(), "9.9.9.9:22".into()];
    for (number, peer) in (0x4000..).zip(&peers) {
        // A permission is for an address, and the address may be another client's.
        assert_eq!((alice.permit(&mut server, peer), alice.bind(&mut server, number, peer)), (0, 0));
        assert_eq!(alice.channel(&mut server, number, b"x"), [], "{peer}");
        assert_eq!(alice.indicate(&mut server, peer, b"x"), [], "{peer}");
    }
    assert_eq!(server.counters().drops(TurnDrop::OwnAddress), 2 * peers.len() as u64);
    assert_eq!(server.handed_over.len(), 0);
    // What no client is ever lent is not even permitted, listed or not.
    for peer in ["7.7.7.7:22".to_owned(), format!("10.9.9.9:{}", relayed.port())] {
        assert_eq!(
            (alice.permit(&mut server, &peer), alice.bind(&mut server, 0x4010, &peer)),
            (403, 403),
            "{peer}"
        );
    }
    // To itself a client may speak: it has permitted itself.
    let own = relayed.to_string();
    let sent = alice.indicate(&mut server, &own, b"me");
    assert_eq!(data_of(&sent), (relayed, b"me".to_vec()));
}

/// Calls get no number of a listener or a relayed socket, as full as their table may be.
#[test]
fn calls_and_relays_have_numbers_of_their_own() {
    let mut sockets = Sockets::new(interfaces(&["9.9.9.9"]), &PortRange::whole(20_000, 20_199, 5));
    sockets.number_below(5);
    let mut outputs = VecDeque::new();
    let mut pair = |sockets: &mut Sockets| sockets.open_pair(crate::call::CallKey(1), 0, 0, &mut outputs);
    let first = pair(&mut sockets).unwrap();
    assert!(pair(&mut sockets).is_some() && pair(&mut sockets).is_none());
    let mut closed = VecDeque::new();
    for socket in sockets.of_pair(first).unwrap() {
        sockets.opened(socket, true, &mut closed);
    }
    sockets.release(first, &mut closed);
    assert!(pair(&mut sockets).is_some());
    assert_eq!(sockets.free_pairs(), 98);
}

#[test]
fn a_list_opens_peers_and_closes_them_again() {
    let mut open = live();
    open.allow_peers = vec!["127.0.0.2/32".parse().unwrap()];
    let mut server = Server::with(open, &["9.9.9.9"]);
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    let relayed = alice.allocate(&mut server);
    assert_eq!(alice.permit(&mut server, "127.0.0.1:5"), 403);
    assert_eq!(alice.bind(&mut server, 0x4000, "127.0.0.2:5"), 0);
    assert_eq!(alice.channel(&mut server, 0x4000, b"x").len(), 1);
    server.reload(live(), &["9.9.9.9"]);
    assert_eq!(alice.channel(&mut server, 0x4000, b"x"), []);
    assert_eq!(server.peer(relayed, "127.0.0.2:5", b"x"), []);
    assert_eq!(alice.permit(&mut server, "127.0.0.2:5"), 403);
    // What has become ours is reached no more by the wire.
    assert_eq!(alice.bind(&mut server, 0x4000, "8.8.8.8:5"), 0);
    server.reload(live(), &["9.9.9.9", "8.8.8.8"]);
    assert_eq!(alice.channel(&mut server, 0x4000, b"x"), []);
    assert_eq!(server.counters().drops(TurnDrop::OwnAddress), 1);
    // Secrets change too.
    let mut turned = live();
    turned.secrets = vec![TurnSecret::new(b"east")];
    server.reload(turned, &["9.9.9.9"]);
    assert_eq!(alice.refresh(&mut server, 600).code(), 0, "what was made with the old one goes on");
    let mut bob = Asking::new("8.2.2.2:2000", "bob");
    bob.learn(&mut server);
    assert_eq!(bob.ask(&mut server, Method::ALLOCATE, &udp).code(), 401);
    let mut carol = Asking::named("8.2.2.2:2001", &format!("{}:carol", WALL_S + 60), b"east");
    carol.allocate(&mut server);
}

/// Whatever the call answers, in which the caller has this address among its candidates; the port that it is shown.
fn call_of(server: &mut Server, candidate: SocketAddr) -> u16 {
    let sdp = |extra: &str| {
        let head =
            "v=0\r\no=- 1 1 IN IP4 8.8.8.8\r\ns=-\r\nc=IN IP4 8.8.8.8\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        format!("{head}{extra}").into_bytes()
    };
    let ip = candidate.ip();
    let ice = format!(
        "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=candidate:1 1 UDP 16777215 {ip} {} typ relay raddr \
         8.8.8.8 rport 4000\r\n",
        candidate.port()
    );
    let signal = |sdp| ng::Signal {
        call_id: "call".to_owned(),
        from_tag: "a".to_owned(),
        ice: Some(ng::Ice::Default),
        sdp,
        ..ng::Signal::default()
    };
    let answer = ng::Signal { to_tag: Some("b".to_owned()), ..signal(sdp("")) };
    let mut shown = 0;
    for (id, command) in
        [(1, ng::Command::Offer(Box::new(signal(sdp(&ice))))), (2, ng::Command::Answer(Box::new(answer)))]
    {
        let (now, wall_ms) = (server.now, server.wall_ms());
        server.shard.handle_input(now, wall_ms, Input::Command { id, command });
        while let Some(output) = server.shard.poll_output() {
            match output {
                Output::OpenSocket { socket, .. } => {
                    let input = Input::SocketOpened { socket, result: Ok(()) };
                    server.shard.handle_input(now, wall_ms, input);
                }
                Output::Reply { reply, .. } => {
                    let ng::Reply::Signal(reply) = *reply else { panic!("{reply:?}") };
                    let sdp = String::from_utf8(reply.sdp).unwrap();
                    let port = sdp.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next());
                    shown = port.unwrap().parse().unwrap();
                }
                _ => {}
            }
        }
    }
    shown
}

#[test]
fn a_media_port_takes_what_comes_from_a_relayed_address_among_its_partys_candidates_and_nothing_else() {
    let mut server = Server::with(live(), &["10.9.9.9!9.9.9.9"]);
    let (mut alice, mut eve) = (Asking::new("8.1.1.1:1000", "alice"), Asking::new("8.2.2.2:2000", "eve"));
    let relayed = alice.allocate(&mut server);
    eve.allocate(&mut server);
    let port = call_of(&mut server, relayed);
    let packet = [&[0x80, 0][..], &[1; 170]].concat();
    for port in [port, port + 1] {
        let media = format!("9.9.9.9:{port}");
        assert_eq!(alice.bind(&mut server, 0x4000 + (port & 1), &media), 0);
        assert_eq!(eve.bind(&mut server, 0x4000 + (port & 1), &media), 0);
        let before = server.shard.counters().packets_received;
        assert_eq!(eve.channel(&mut server, 0x4000 + (port & 1), &packet), []);
        assert_eq!(server.shard.counters().packets_received, before, "nobody expects her");
        assert_eq!(alice.channel(&mut server, 0x4000 + (port & 1), &packet), []);
        assert_eq!(server.shard.counters().packets_received, before + 1, "her own call decides");
    }
    assert_eq!(server.counters().drops(TurnDrop::OwnAddress), 2);
}
