use super::*;

fn on_stream(flow: u64, at: &str, user: &str) -> Asking {
    Asking { flow: Some(FlowId(flow)), ..Asking::new(at, user) }
}

#[test]
fn a_client_on_a_stream_is_served_like_any_other() {
    let mut server = Server::new();
    let mut alice = on_stream(1, "8.1.1.1:1000", "alice");
    let relayed = alice.allocate(&mut server);
    assert_eq!(alice.bind(&mut server, 0x4000, "8.8.8.8:1"), 0);
    for payload in [&b""[..], b"a", b"abcd", &[9; 1201]] {
        assert_eq!(
            alice.channel(&mut server, 0x4000, payload),
            [to_peer(&server, relayed, "8.8.8.8:1", payload)]
        );
        assert_eq!(
            alice.indicate(&mut server, "8.8.8.8:2", payload),
            [to_peer(&server, relayed, "8.8.8.8:2", payload)]
        );
        // On a stream what is shorter than a multiple of four is filled up.
        let mut bytes = on_channel(0x4000, payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        assert_eq!(
            server.peer(relayed, "8.8.8.8:1", payload),
            [Sent { way: Err(FlowId(1)), to: None, bytes }]
        );
        assert_eq!(
            data_of(&server.peer(relayed, "8.8.8.8:2", payload)),
            (address("8.8.8.8:2"), payload.to_vec())
        );
    }
    let remote = alice.address;
    server.input(Input::Turn(TurnInput::FlowEnded { flow: FlowId(2), remote }));
    assert_eq!(server.open.len(), 1, "another's");
    server.input(Input::Turn(TurnInput::FlowEnded { flow: FlowId(1), remote }));
    server.assert_empty(200);
    assert_eq!(server.ended[0].reason, AllocationEnd::FlowEnded);
}

#[test]
fn the_same_address_on_two_streams_and_a_socket_is_three_clients() {
    let mut server = Server::new();
    let mut clients = [
        on_stream(1, "8.1.1.1:1000", "alice"),
        on_stream(2, "8.1.1.1:1000", "alice"),
        Asking::new("8.1.1.1:1000", "alice"),
    ];
    for client in &mut clients {
        client.allocate(&mut server);
    }
    assert_eq!(server.open.len(), 3);
    let nonce = clients[0].nonce.clone();
    clients[1].nonce = nonce;
    assert_eq!(clients[1].refresh(&mut server, 600).code(), 438, "a nonce is one stream's");
}

#[test]
fn clients_on_streams_and_on_datagrams_reach_each_other() {
    let mut server = Server::new();
    let (mut alice, mut bob) = (on_stream(1, "8.1.1.1:1000", "alice"), Asking::new("8.2.2.2:2000", "bob"));
    let (at_alice, at_bob) = (alice.allocate(&mut server), bob.allocate(&mut server));
    assert_eq!(alice.bind(&mut server, 0x4000, &at_bob.to_string()), 0);
    assert_eq!(bob.bind(&mut server, 0x4001, &at_alice.to_string()), 0);
    let sent = alice.channel(&mut server, 0x4000, b"abc");
    assert_eq!(sent, [Sent { way: Ok(LISTENER), to: Some(bob.address), bytes: on_channel(0x4001, b"abc") }]);
    let sent = bob.channel(&mut server, 0x4001, b"abc");
    assert_eq!(
        sent,
        [Sent { way: Err(FlowId(1)), to: None, bytes: [on_channel(0x4000, b"abc"), vec![0]].concat() }]
    );
}

#[test]
fn a_stream_that_ends_while_its_socket_opens_leaves_nothing() {
    let mut server = Server::new();
    let mut alice = on_stream(1, "8.1.1.1:1000", "alice");
    alice.learn(&mut server);
    for result in [Ok(()), Err(OpenError::InUse)] {
        server.asked = Some(Vec::new());
        assert!(alice.try_ask(&mut server, Method::ALLOCATE, &udp).is_none());
        server.input(Input::Turn(TurnInput::FlowEnded { flow: FlowId(1), remote: alice.address }));
        let asked = server.asked.take().unwrap();
        server.results.push_back(result);
        assert_eq!(server.opened(asked[0], address("10.9.9.9:20000")), []);
        server.assert_empty(200);
    }
    assert_eq!(server.ended, []);
}
