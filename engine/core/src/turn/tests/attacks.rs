use super::*;

#[test]
fn peers_that_are_not_public_are_refused_in_every_spelling_and_counted() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.allocate_with(&mut server, &|writer| {
        udp(writer);
        writer.attribute(AttributeKind::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]).unwrap();
    });
    let peers = [
        "127.0.0.1:80",
        "[::1]:80",
        "[::ffff:10.0.0.1]:80",
        "[::ffff:127.0.0.1]:80",
        "[::127.0.0.1]:80",
        "169.254.169.254:80",
        "[::ffff:169.254.169.254]:80",
        "[64:ff9b::169.254.169.254]:80",
        "[2002:a9fe:a9fe::1]:80",
        "[fd00:ec2::254]:80",
        "[fe80::1]:80",
        "0.0.0.0:80",
        "[::]:80",
        "255.255.255.255:80",
        "224.0.0.1:80",
        "[ff02::1]:80",
        "10.0.0.1:80",
        "192.168.0.1:80",
        "172.16.0.1:80",
        "100.64.0.1:80",
        "[::ffff:9.9.9.9]:80",
        "[64:ff9b::9.9.9.9]:80",
        "[2002:909:909::1]:80",
    ];
    for (number, peer) in (0x4000..).zip(peers) {
        assert_eq!(
            (alice.permit(&mut server, peer), alice.bind(&mut server, number, peer)),
            (403, 403),
            "{peer}"
        );
        assert_eq!(alice.indicate(&mut server, peer, b"x"), [], "{peer}");
        assert_eq!(alice.channel(&mut server, number, b"x"), [], "{peer}");
    }
    assert_eq!(server.counters().errors(TurnError::Forbidden), 2 * peers.len() as u64);
    assert_eq!(server.counters().drops(TurnDrop::NoPermission), peers.len() as u64);
    // One bad peer among good ones spoils the request.
    let mixed = |writer: &mut StunWriter<'_>| {
        writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, address("8.8.8.8:1")).unwrap();
        writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, address("127.0.0.1:1")).unwrap();
    };
    assert_eq!(alice.ask(&mut server, Method::CREATE_PERMISSION, &mixed).code(), 403);
    assert_eq!(alice.indicate(&mut server, "8.8.8.8:1", b"x"), []);
}

/// Everything a stranger can say without a nonce that was sent to it.
#[test]
fn nobody_who_may_not_be_there_is_sent_three_times_what_came() {
    let mut server = Server::new();
    let alice = Asking::new("8.1.1.1:1000", "alice");
    let total = std::cell::Cell::new((0, 0));
    let tell = |server: &mut Server, bytes: &[u8]| {
        let answers = alice.send(server, bytes);
        let answered: usize = answers.iter().map(|answer| answer.bytes.len()).sum();
        assert!(answered <= 3 * bytes.len(), "{answered} for {}", bytes.len());
        let (received, sent) = total.get();
        total.set((received + bytes.len(), sent + answered));
        answered
    };
    let methods =
        [Method::BINDING, Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND];
    for method in methods {
        for seal in [false, true] {
            for many in [0, 1, 5, 20] {
                let bytes = alice.message(
                    Class::Request,
                    method,
                    &|writer| {
                        for kind in 0..many {
                            writer.attribute(AttributeKind(0x7000 + kind), b"").unwrap();
                        }
                    },
                    seal,
                );
                tell(&mut server, &bytes);
            }
        }
    }
    let binding = alice.message(Class::Request, Method::BINDING, &|_| (), false);
    let answered = tell(&mut server, &binding);
    assert_eq!((binding.len(), answered), (20, 32), "44 bytes at most");
    let allocate = alice.message(Class::Request, Method::ALLOCATE, &udp, false);
    assert!(tell(&mut server, &allocate) > 0, "the least request that makes sense is answered");
    let (received, sent) = total.get();
    assert!(sent <= 3 * received);
    assert!(server.counters().drops(TurnDrop::Amplification) > 0);
    // The longest realm that may be.
    let mut long = live();
    long.realm = "r".repeat(TurnLive::REALM_BYTES_MAX);
    let mut server = Server::with(long, &["9.9.9.9"]);
    assert!(tell(&mut server, &allocate) > 0);
}

#[test]
fn a_nonce_is_nobody_elses_and_not_for_ever() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.learn(&mut server);
    alice.count += 1;
    let captured = alice.message(Class::Request, Method::ALLOCATE, &udp, true);
    for elsewhere in ["8.1.1.1:1001", "8.1.1.2:1000"] {
        let thief = Asking::new(elsewhere, "alice");
        let answer = thief.ask_raw(&mut server, &captured).unwrap();
        assert_eq!(answer.code(), 438);
        assert_ne!(answer.message().value(AttributeKind::NONCE), Some(&alice.nonce[..]));
    }
    let mut stripped = Asking::new("8.1.1.1:1000", "alice");
    stripped.nonce = alice.nonce[13..].to_vec();
    assert_eq!(stripped.ask(&mut server, Method::ALLOCATE, &udp).code(), 438, "without its cookie");
    server.seconds(1200);
    assert_eq!(alice.ask_raw(&mut server, &captured).unwrap().code(), 438);
    assert_eq!(server.counters().errors(TurnError::StaleNonce), 4);
    server.assert_empty(200);
}

#[test]
fn what_is_forged_in_any_byte_is_refused() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.allocate(&mut server);
    for sha256 in [false, true] {
        alice.sha256 = sha256;
        alice.count += 1;
        let good = alice.message(
            Class::Request,
            Method::REFRESH,
            &|writer| {
                writer.attribute(AttributeKind::LIFETIME, &[0; 4]).unwrap();
            },
            true,
        );
        for at in (0..4).chain(8..good.len()) {
            let mut forged = good.clone();
            forged[at] ^= 1;
            for answer in alice.send(&mut server, &forged) {
                let code = StunMessage::parse(&answer.bytes).unwrap().error_code().map(|(code, _)| code);
                assert!(matches!(code, Some(400 | 401 | 420 | 438)), "{at}: {code:?}");
            }
            assert_eq!(server.open.len(), 1, "{at}");
        }
        assert_eq!(alice.ask(&mut server, Method::REFRESH, &|_| ()).code(), 0);
    }
    // Both are there: the stronger one counts.
    let mut buffer = [0; 300];
    let mut writer =
        StunWriter::new(&mut buffer, Class::Request, Method::REFRESH, TransactionId([9; 12])).unwrap();
    writer.username(alice.username.as_bytes()).unwrap();
    writer.attribute(AttributeKind::REALM, REALM.as_bytes()).unwrap();
    writer.attribute(AttributeKind::NONCE, &alice.nonce).unwrap();
    writer.integrity(&alice.key[..]).unwrap();
    writer.integrity_sha256(b"another key").unwrap();
    let length = writer.written();
    assert_eq!(alice.ask_raw(&mut server, &buffer[..length]).unwrap().code(), 401);
}

#[test]
fn credentials_are_a_users_own_and_have_an_end() {
    let mut server = Server::new();
    let far = WALL_S + 60;
    for (name, secret, code) in [
        (format!("{far}:alice"), &b"north"[..], 0),
        (format!("{far}:alice"), b"south", 0),
        (format!("{far}:alice"), b"west", 401),
        (format!("{WALL_S}:alice"), b"north", 401),
        (format!("{}:alice", WALL_S + 1), b"north", 0),
        (far.to_string(), b"north", 0),
        ("alice".to_owned(), b"north", 401),
        (format!("{far}:{}", "a".repeat(128)), b"north", 0),
        (format!("{far}:{}", "a".repeat(129)), b"north", 401),
    ] {
        let mut alice = Asking::named("8.1.1.1:1000", &name, secret);
        alice.learn(&mut server);
        assert_eq!(alice.ask(&mut server, Method::ALLOCATE, &udp).code(), code, "{name}");
        if code == 0 {
            assert_eq!(alice.refresh(&mut server, 0).code(), 0);
        }
        server.assert_empty(200);
    }
    // Another user behind the same address.
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.allocate(&mut server);
    let mut mallory = Asking { nonce: alice.nonce.clone(), ..Asking::new("8.1.1.1:1000", "mallory") };
    mallory.count = 50;
    assert_eq!(mallory.refresh(&mut server, 0).code(), 441);
    assert_eq!(mallory.permit(&mut server, "8.8.8.8:1"), 441);
    assert_eq!(mallory.bind(&mut server, 0x4000, "8.8.8.8:1"), 441);
    assert_eq!(mallory.ask(&mut server, Method::ALLOCATE, &udp).code(), 437);
    assert_eq!(server.open.len(), 1);
    // A realm of its own does not make a key fit.
    alice.realm = "elsewhere.org".to_owned();
    alice.key = long_term_key(
        alice.username.as_bytes(),
        "elsewhere.org",
        &timed_password(SECRET, alice.username.as_bytes()),
    );
    assert_eq!(alice.refresh(&mut server, 0).code(), 401);
}

#[test]
fn what_is_missing_or_no_request_is_told_or_dropped() {
    let mut server = Server::new();
    let mut alice = Asking::new("8.1.1.1:1000", "alice");
    alice.learn(&mut server);
    let mut buffer = [0; 300];
    let mut writer =
        StunWriter::new(&mut buffer, Class::Request, Method::ALLOCATE, TransactionId([9; 12])).unwrap();
    writer.username(alice.username.as_bytes()).unwrap();
    writer.integrity(&alice.key[..]).unwrap();
    let length = writer.written();
    assert_eq!(alice.ask_raw(&mut server, &buffer[..length]).unwrap().code(), 400);
    let mut drops = |bytes: &[u8], reason: TurnDrop| {
        let before = server.counters().drops(reason);
        assert_eq!(alice.send(&mut server, bytes), []);
        assert_eq!(server.counters().drops(reason), before + 1, "{reason:?}");
    };
    drops(b"", TurnDrop::NotTurn);
    drops(&[0x80; 40], TurnDrop::NotTurn);
    drops(&[22; 40], TurnDrop::NotTurn);
    drops(&[0; 19], TurnDrop::Malformed);
    drops(&[0x40, 0, 0, 9, 1], TurnDrop::Malformed);
    drops(&[0x40, 0, 0, 1, 1], TurnDrop::NoAllocation);
    for (class, method, reason) in [
        (Class::Success, Method::BINDING, TurnDrop::NotForServer),
        (Class::Error, Method::ALLOCATE, TurnDrop::NotForServer),
        (Class::Request, Method::SEND, TurnDrop::NotForServer),
        (Class::Request, Method::new(0x0ab).unwrap(), TurnDrop::NotForServer),
        (Class::Indication, Method::DATA, TurnDrop::NotForServer),
        (Class::Indication, Method::SEND, TurnDrop::Malformed),
    ] {
        drops(&alice.message(class, method, &|_| (), false), reason);
    }
    let peer = |writer: &mut StunWriter<'_>| {
        writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, address("8.8.8.8:1")).unwrap();
        writer.attribute(AttributeKind::DATA, b"x").unwrap();
    };
    drops(&alice.message(Class::Indication, Method::SEND, &peer, false), TurnDrop::NoAllocation);
    let whole = |writer: &mut StunWriter<'_>| {
        peer(writer);
        writer.attribute(AttributeKind::DONT_FRAGMENT, b"").unwrap();
    };
    drops(&alice.message(Class::Indication, Method::SEND, &whole, false), TurnDrop::Malformed);
    let odd = |writer: &mut StunWriter<'_>| writer.attribute(AttributeKind::FINGERPRINT, &[0; 4]).unwrap();
    drops(&alice.message(Class::Request, Method::BINDING, &odd, false), TurnDrop::Fingerprint);
    assert_eq!(
        alice.send(&mut server, &alice.message(Class::Indication, Method::BINDING, &|_| (), false)),
        []
    );
    assert_eq!(server.counters().keepalives, 1);
    // Nobody's relayed socket, and a number beyond them all.
    for socket in [RELAYED, RELAYED + 39] {
        assert_eq!(server.datagram(SocketId(socket), address("8.8.8.8:1"), b"x"), []);
    }
    assert_eq!(server.counters().drops(TurnDrop::NoSocket), 2);
    server.datagram(SocketId(RELAYED + 40), address("8.8.8.8:1"), b"x");
    assert_eq!(server.shard.counters().drops(crate::DropReason::NoSocket), 1);
}
