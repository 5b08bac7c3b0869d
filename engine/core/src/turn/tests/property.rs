//! Anything in any order: nothing panics, nothing is relayed to who may not be, and nothing is left behind.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Learn(usize),
    Allocate(usize, u8),
    Refresh(usize, u32),
    Permit(usize, usize),
    Bind(usize, u16, usize),
    Indicate(usize, usize),
    Channel(usize, u16),
    Peer(usize, usize),
    Bytes(usize, Vec<u8>),
    FlowEnds(usize),
    Wait(u16),
    FailNext,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    let (client, peer) = (0..4usize, 0..PEERS.len());
    prop_oneof![
        client.clone().prop_map(Step::Learn),
        (client.clone(), any::<u8>()).prop_map(|(client, kind)| Step::Allocate(client, kind)),
        (client.clone(), prop_oneof![Just(0), any::<u32>()])
            .prop_map(|(client, time)| Step::Refresh(client, time)),
        (client.clone(), peer.clone()).prop_map(|(client, peer)| Step::Permit(client, peer)),
        (client.clone(), 0x3fff..0x4004u16, peer.clone())
            .prop_map(|(client, number, peer)| Step::Bind(client, number, peer)),
        (client.clone(), peer.clone()).prop_map(|(client, peer)| Step::Indicate(client, peer)),
        (client.clone(), 0x3fff..0x4004u16).prop_map(|(client, number)| Step::Channel(client, number)),
        (0..8usize, peer).prop_map(|(relay, peer)| Step::Peer(relay, peer)),
        (client.clone(), prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(client, bytes)| Step::Bytes(client, bytes)),
        client.prop_map(Step::FlowEnds),
        (0..700u16).prop_map(Step::Wait),
        Just(Step::FailNext),
        Just(Step::Reload),
    ]
}

const PEERS: [&str; 8] = [
    "8.8.8.8:5",
    "8.8.4.4:5",
    "[2a00::1]:5",
    "127.0.0.1:5",
    "[::ffff:10.0.0.1]:5",
    "169.254.169.254:80",
    "9.9.9.9:20000",
    "9.9.9.9:20100",
];

fn check(sent: &[Sent]) {
    for Sent { way, to, .. } in sent {
        let Some(to) = to else { continue };
        if *way != Ok(LISTENER) {
            let public = ["8.8.8.8:5", "8.8.4.4:5", "[2a00::1]:5"].map(address);
            assert!(public.contains(to), "relayed to {to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_sequence_breaks_the_server(steps in prop::collection::vec(step(), 1..80)) {
        let mut server = Server::with(live(), &["9.9.9.9", "2a00::9"]);
        let mut clients: [Asking; 4] = std::array::from_fn(|index| {
            let mut client = Asking::new(&format!("8.1.1.1:{}", 1000 + index), ["alice", "bob"][index % 2]);
            client.flow = (index == 3).then_some(FlowId(3));
            client.sha256 = index == 1;
            client
        });
        for step in steps {
            match step {
                Step::Learn(client) => drop(clients[client].learn(&mut server)),
                Step::Allocate(client, kind) => {
                    clients[client].try_ask(&mut server, Method::ALLOCATE, &|writer| {
                        udp(writer);
                        match kind % 4 {
                            0 => writer.attribute(AttributeKind::EVEN_PORT, &[kind]).unwrap(),
                            1 => writer.attribute(AttributeKind::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]).unwrap(),
                            2 => writer.attribute(AttributeKind::REQUESTED_ADDRESS_FAMILY, &[kind % 3, 0, 0, 0]).unwrap(),
                            _ => {}
                        }
                    });
                }
                Step::Refresh(client, time) => drop(clients[client].refresh(&mut server, time)),
                Step::Permit(client, peer) => drop(clients[client].permit(&mut server, PEERS[peer])),
                Step::Bind(client, number, peer) => drop(clients[client].bind(&mut server, number, PEERS[peer])),
                Step::Indicate(client, peer) => check(&clients[client].indicate(&mut server, PEERS[peer], b"data")),
                Step::Channel(client, number) => check(&clients[client].channel(&mut server, number, b"data")),
                Step::Peer(relay, peer) => {
                    let socket = server.open.keys().nth(relay).copied();
                    if let Some(socket) = socket {
                        for sent in server.datagram(socket, address(PEERS[peer]), b"data") {
                            prop_assert!(matches!(sent.way, Ok(LISTENER) | Err(FlowId(3))));
                        }
                    }
                }
                Step::Bytes(client, bytes) => check(&clients[client].send(&mut server, &bytes)),
                Step::FlowEnds(client) => {
                    let remote = clients[client].address;
                    server.input(Input::Turn(TurnInput::FlowEnded { flow: FlowId(3), remote }));
                }
                Step::Wait(seconds) => server.seconds(seconds.into()),
                Step::FailNext => server.results.push_back(Err(OpenError::InUse)),
                Step::Reload => server.reload(live(), &["9.9.9.9", "2a00::9"]),
            }
            prop_assert_eq!(server.shard.counters().faults, 0);
            let turn = server.shard.turn_server();
            prop_assert_eq!(turn.relays.len(), server.open.len());
            prop_assert_eq!(turn.allocations.len(), turn.clients.len());
        }
        server.results.clear();
        server.seconds(4000);
        server.assert_empty(200);
        prop_assert_eq!(server.counters().allocations_begun, server.ended.len() as u64);
    }
}
