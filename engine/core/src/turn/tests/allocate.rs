use super::*;

const EVEN: AttributeKind = AttributeKind::EVEN_PORT;
const FAMILY: AttributeKind = AttributeKind::REQUESTED_ADDRESS_FAMILY;
const ADDITIONAL: AttributeKind = AttributeKind::ADDITIONAL_ADDRESS_FAMILY;

#[test]
fn a_client_is_lent_an_address_and_gives_it_back() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    let relayed = alice.allocate(&mut server);
    assert_eq!((relayed.ip(), relayed.port() % 2), (address("9.9.9.9:1").ip(), 0));
    assert_eq!(
        server.open.values().copied().collect::<Vec<_>>(),
        [SocketAddr::new([10, 9, 9, 9].into(), relayed.port())]
    );
    assert_eq!((server.counters().allocations_live, server.counters().granted), (1, 1));
    let answer = alice.refresh(&mut server, 0);
    assert_eq!((answer.code(), answer.lifetime()), (0, 0));
    server.assert_empty(200);
    let ended = server.ended.pop().unwrap();
    assert_eq!(
        (&ended.user[..], ended.relayed, ended.reason),
        (&b"alice"[..], relayed, AllocationEnd::Deleted)
    );
    assert_eq!(alice.refresh(&mut server, 600).code(), 437);
}

#[test]
fn an_allocation_lasts_as_long_as_it_is_refreshed() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    let lifetime = |seconds: u32| {
        move |writer: &mut StunWriter<'_>| {
            udp(writer);
            writer.attribute(AttributeKind::LIFETIME, &seconds.to_be_bytes()).unwrap();
        }
    };
    for (asked, granted) in [(0, 600), (599, 600), (777, 777), (u32::MAX, 3600)] {
        alice.learn(&mut server);
        assert_eq!(alice.ask(&mut server, Method::ALLOCATE, &lifetime(asked)).lifetime(), granted);
        assert_eq!(alice.refresh(&mut server, asked.max(1)).lifetime(), granted);
        server.seconds(granted.into());
        server.assert_empty(200);
    }
    assert!(server.ended.iter().all(|ended| ended.reason == AllocationEnd::Expired));
    assert_eq!(server.ended[3].lifetime, Duration::from_secs(3600));
    // Credentials are old by now, but not those with which it was made.
    let mut late = Asking::named("8.1.1.1:1000", &format!("{}:late", server.wall_ms() / 1000 + 60), SECRET);
    late.allocate(&mut server);
    server.seconds(590);
    assert_eq!(late.refresh(&mut server, 600).code(), 0);
}

#[test]
fn the_same_request_again_is_answered_as_before() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.learn(&mut server);
    alice.count += 1;
    let request = alice.message(Class::Request, Method::ALLOCATE, &udp, true);
    server.asked = Some(Vec::new());
    assert!(alice.ask_raw(&mut server, &request).is_none() && alice.ask_raw(&mut server, &request).is_none());
    let asked = server.asked.take().unwrap();
    assert_eq!(asked.len(), 1, "opened once");
    let first = server.opened(asked[0], address("10.9.9.9:20000")).pop().unwrap().bytes;
    for _again in 0..3 {
        assert_eq!(alice.ask_raw(&mut server, &request).unwrap().bytes, first);
    }
    assert_eq!((server.open.len(), server.counters().allocations_begun), (1, 1));
    // Another request of the same client is another thing.
    assert_eq!(alice.ask(&mut server, Method::ALLOCATE, &udp).code(), 437);
    for number in [0x4000, 0x4000] {
        assert_eq!(alice.bind(&mut server, number, "8.8.8.8:5"), 0);
        assert_eq!(alice.permit(&mut server, "8.8.8.8:5"), 0);
        assert_eq!(alice.refresh(&mut server, 600).code(), 0);
    }
}

#[test]
fn what_an_allocation_cannot_be_is_said_by_number() {
    let mut server = Server::with(live(), &["9.9.9.9"]);
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.learn(&mut server);
    let with = |transport: &'static [u8], more: &'static [(AttributeKind, &'static [u8])]| {
        move |writer: &mut StunWriter<'_>| {
            if !transport.is_empty() {
                writer.attribute(AttributeKind::REQUESTED_TRANSPORT, transport).unwrap();
            }
            for (kind, value) in more {
                writer.attribute(*kind, value).unwrap();
            }
        }
    };
    const TOKEN: AttributeKind = AttributeKind::RESERVATION_TOKEN;
    const UDP: &[u8] = &[17, 0, 0, 0];
    type More = &'static [(AttributeKind, &'static [u8])];
    let cases: [(&'static [u8], More, u16); 19] = [
        (b"", &[], 400),
        (b"\x11", &[], 400),
        (b"\x06\0\0\0", &[], 442),
        (UDP, &[(AttributeKind::DONT_FRAGMENT, b"")], 420),
        (UDP, &[(AttributeKind(0x7777), b"")], 420),
        (UDP, &[(AttributeKind(0xf777), b""), (EVEN, b"")], 400),
        (UDP, &[(TOKEN, &[1; 8])], 508),
        (UDP, &[(TOKEN, &[1; 7])], 400),
        (UDP, &[(TOKEN, &[1; 8]), (EVEN, b"\0")], 400),
        (UDP, &[(TOKEN, &[1; 8]), (FAMILY, b"\x01\0\0\0")], 400),
        (UDP, &[(TOKEN, &[1; 8]), (ADDITIONAL, b"\x02\0\0\0")], 400),
        (UDP, &[(FAMILY, b"\x02\0\0\0")], 440),
        (UDP, &[(FAMILY, b"\x03\0\0\0")], 440),
        (UDP, &[(FAMILY, b"\x02")], 400),
        (UDP, &[(FAMILY, b"\x01\0\0\0"), (ADDITIONAL, b"\x02\0\0\0")], 400),
        (UDP, &[(ADDITIONAL, b"\x01\0\0\0")], 400),
        (UDP, &[(ADDITIONAL, b"\x02\0\0\0"), (EVEN, b"\x80")], 400),
        (UDP, &[(AttributeKind::LIFETIME, b"\0")], 400),
        (UDP, &[(EVEN, b"\0"), (FAMILY, b"\x01\0\0\0")], 0),
    ];
    for (transport, more, code) in cases {
        let answer = alice.ask(&mut server, Method::ALLOCATE, &with(transport, more));
        assert_eq!(answer.code(), code, "{more:x?}");
        if code == 420 {
            let unknown = answer.message().value(AttributeKind::UNKNOWN_ATTRIBUTES);
            assert_eq!(unknown, Some(&more[0].0.0.to_be_bytes()[..]));
        }
        if code != 0 {
            server.assert_empty(100);
        }
    }
    assert_eq!(server.counters().errors(TurnError::UnknownAttribute), 2);
    assert_eq!(server.counters().errors(TurnError::InsufficientCapacity), 1);
}

#[test]
fn both_families_are_lent_at_once_or_it_is_said_that_one_is_not() {
    let both = |writer: &mut StunWriter<'_>| {
        udp(writer);
        writer.attribute(ADDITIONAL, &[2, 0, 0, 0]).unwrap();
    };
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.learn(&mut server);
    let answer = alice.ask(&mut server, Method::ALLOCATE, &both);
    let relayed: Vec<_> =
        answer.message().xor_addresses(AttributeKind::XOR_RELAYED_ADDRESS).flatten().collect();
    assert_eq!(
        relayed.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
        ["9.9.9.9:1", "[2a00::9]:1"].map(|text| address(text).ip())
    );
    assert_eq!((alice.permit(&mut server, "8.8.8.8:1"), alice.permit(&mut server, "[2a00::1]:1")), (0, 0));
    assert_eq!(
        data_of(&server.peer(relayed[1], "[2a00::1]:1", b"six")),
        (address("[2a00::1]:1"), b"six".to_vec())
    );
    let sent = alice.indicate(&mut server, "[2a00::1]:1", b"six");
    assert_eq!(sent, [to_peer(&server, relayed[1], "[2a00::1]:1", b"six")]);
    // One of the two goes, and its peers with it.
    let less = |family: u8, seconds: u32| {
        move |writer: &mut StunWriter<'_>| {
            writer.attribute(FAMILY, &[family, 0, 0, 0]).unwrap();
            writer.attribute(AttributeKind::LIFETIME, &seconds.to_be_bytes()).unwrap();
        }
    };
    assert_eq!(alice.ask(&mut server, Method::REFRESH, &less(2, 0)).code(), 0);
    assert_eq!((server.open.len(), alice.permit(&mut server, "[2a00::1]:1")), (1, 443));
    assert_eq!(alice.ask(&mut server, Method::REFRESH, &less(2, 600)).code(), 443);
    assert_eq!(alice.ask(&mut server, Method::REFRESH, &less(1, 600)).code(), 0);
    assert_eq!(alice.ask(&mut server, Method::REFRESH, &less(1, 0)).code(), 0);
    server.assert_empty(200);

    for (interface, results) in
        [(&["9.9.9.9"][..], vec![]), (&["9.9.9.9", "2a00::9"], vec![Ok(()), Err(OpenError::NotAvailable)])]
    {
        let mut server = Server::with(live(), interface);
        server.results.extend(results);
        alice.learn(&mut server);
        let answer = alice.ask(&mut server, Method::ALLOCATE, &both);
        let code = if interface.len() == 1 { [2, 0, 4, 40] } else { [2, 0, 5, 8] };
        assert_eq!(answer.message().value(AttributeKind::ADDRESS_ERROR_CODE), Some(&code[..]));
        assert_eq!((answer.code(), server.open.len()), (0, 1));
        assert_eq!(alice.refresh(&mut server, 0).code(), 0);
        server.assert_empty(100 * interface.len());
    }
}

#[test]
fn a_port_is_set_aside_for_whoever_shows_its_token() {
    let mut server = Server::with(live(), &["9.9.9.9"]);
    let reserving = |writer: &mut StunWriter<'_>| {
        udp(writer);
        writer.attribute(EVEN, &[0x80]).unwrap();
    };
    let (mut rtp, mut rtcp) = (Asking::new("8.1.1.1:1000", "alice"), Asking::new("8.1.1.1:1001", "alice"));
    rtp.learn(&mut server);
    let answer = rtp.ask(&mut server, Method::ALLOCATE, &reserving);
    let token = answer.message().value(AttributeKind::RESERVATION_TOKEN).unwrap().to_vec();
    let redeeming = move |writer: &mut StunWriter<'_>| {
        udp(writer);
        writer.attribute(AttributeKind::RESERVATION_TOKEN, &token).unwrap();
    };
    assert_eq!(rtcp.allocate_with(&mut server, &redeeming).port(), answer.relayed().port() + 1);
    let mut thief = Asking::new("8.1.1.1:1002", "thief");
    thief.learn(&mut server);
    assert_eq!(thief.ask(&mut server, Method::ALLOCATE, &redeeming).code(), 508);
    // The pair of ports is free when nobody has either of them.
    assert_eq!((rtp.refresh(&mut server, 0).code(), server.shard.free_port_pairs()), (0, 99));
    assert_eq!(rtcp.refresh(&mut server, 0).code(), 0);
    server.assert_empty(100);

    // Nobody comes for it.
    let answer = rtp.ask(&mut server, Method::ALLOCATE, &reserving);
    let token = answer.message().value(AttributeKind::RESERVATION_TOKEN).unwrap().to_vec();
    assert_eq!(rtp.refresh(&mut server, 0).code(), 0);
    assert_eq!(server.shard.free_port_pairs(), 99);
    server.seconds(30);
    server.assert_empty(100);
    let late = move |writer: &mut StunWriter<'_>| {
        udp(writer);
        writer.attribute(AttributeKind::RESERVATION_TOKEN, &token).unwrap();
    };
    assert_eq!(rtcp.ask(&mut server, Method::ALLOCATE, &late).code(), 508);
}

#[test]
fn a_port_that_somebody_else_has_is_passed_over() {
    let mut server = Server::with(live(), &["9.9.9.9"]);
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    server.results.extend([Err(OpenError::InUse); 8]);
    let relayed = alice.allocate(&mut server);
    assert_eq!((server.open.len(), server.shard.free_port_pairs()), (1, 99));
    assert!(server.open.values().any(|local| local.port() == relayed.port()));
    assert_eq!(alice.refresh(&mut server, 0).code(), 0);
    for results in [vec![Err(OpenError::InUse); 9], vec![Err(OpenError::NoDescriptor)]] {
        server.results.extend(results);
        assert_eq!(alice.ask(&mut server, Method::ALLOCATE, &udp).code(), 508);
        server.assert_empty(100);
        assert!(server.results.is_empty());
    }
    assert_eq!(server.ended.len(), 1, "what never was is not told");
}

#[test]
fn quotas_are_those_of_a_user_and_of_all() {
    let mut few = live();
    few.limits.user_allocations_max = 2;
    few.limits.allocations_max = 4;
    let mut server = Server::with(few, &["9.9.9.9"]);
    let client = |server: &mut Server, port: u16, user: &str| {
        let mut client = Asking::new(&format!("8.1.1.1:{port}"), user);
        client.learn(server);
        let code = client.ask(server, Method::ALLOCATE, &udp).code();
        (client, code)
    };
    let (mut first, code) = client(&mut server, 1, "alice");
    assert_eq!((code, client(&mut server, 2, "alice").1, client(&mut server, 3, "alice").1), (0, 0, 486));
    assert_eq!((client(&mut server, 4, "bob").1, client(&mut server, 5, "carol").1), (0, 0));
    assert_eq!(client(&mut server, 6, "dave").1, 508);
    assert_eq!(first.refresh(&mut server, 0).code(), 0);
    assert_eq!(client(&mut server, 7, "alice").1, 0);
    assert_eq!(server.counters().errors(TurnError::AllocationQuotaReached), 1);
    // A user name with another time is the same user's.
    let mut again = Asking::named("8.1.1.1:8", &format!("{}:alice", WALL_S + 60), SECRET);
    again.learn(&mut server);
    assert_eq!(again.ask(&mut server, Method::ALLOCATE, &udp).code(), 486);
}

#[test]
fn no_allocation_is_begun_while_the_engine_is_left() {
    let mut server = Server::with(live(), &["9.9.9.9"]);
    let (mut alice, mut bob) = (Asking::new("8.1.1.1:1000", "alice"), Asking::new("8.1.1.1:1001", "bob"));
    alice.allocate(&mut server);
    bob.learn(&mut server);
    server.input(Input::Admission(Some(ng::Refusal::Draining)));
    assert_eq!(bob.ask(&mut server, Method::ALLOCATE, &udp).code(), 508);
    assert_eq!(alice.refresh(&mut server, 600).code(), 0);
    server.input(Input::Admission(None));
    assert_eq!(bob.ask(&mut server, Method::ALLOCATE, &udp).code(), 0);
    server.input(Input::Shutdown);
    server.assert_empty(100);
    assert!(server.ended.iter().all(|ended| ended.reason == AllocationEnd::Shutdown));
}

/// Every port is used before it is said that there is none.
#[test]
fn ports_run_out_and_come_back() {
    let mut many = live();
    many.limits.user_allocations_max = 1000;
    let mut server = Server::with(many, &["9.9.9.9"]);
    let mut clients = Vec::new();
    for port in 1..=41 {
        let mut client = Asking::new(&format!("8.1.1.1:{port}"), "alice");
        client.learn(&mut server);
        let code = client.ask(&mut server, Method::ALLOCATE, &udp).code();
        assert_eq!(code, if port <= 40 { 0 } else { 508 }, "relayed sockets are bounded");
        clients.push(client);
    }
    assert_eq!(server.shard.free_port_pairs(), 60);
    for client in &mut clients[..40] {
        assert_eq!(client.refresh(&mut server, 0).code(), 0);
    }
    server.assert_empty(100);
}
