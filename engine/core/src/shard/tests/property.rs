//! Whatever the order of things, nothing panics, nothing leaks and everything is answered.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Offer {
        call: u8,
        from: u8,
        to: Option<u8>,
        branch: Option<u8>,
        at: u8,
        extra: u8,
    },
    Answer {
        call: u8,
        from: u8,
        to: u8,
        branch: Option<u8>,
        at: u8,
        extra: u8,
    },
    Delete {
        call: u8,
        from: Option<u8>,
        to: Option<u8>,
        delay: Option<u32>,
    },
    Query {
        call: u8,
    },
    Subscribe {
        call: u8,
        to: u8,
        from: Option<u8>,
    },
    Answered {
        call: u8,
        to: u8,
        at: u8,
        extra: u8,
    },
    Unsubscribe {
        call: u8,
        to: u8,
    },
    Publish {
        call: u8,
        from: u8,
        at: u8,
        extra: u8,
    },
    Connect {
        call: u8,
        from: u8,
        other: u8,
        to: u8,
        both: bool,
    },
    /// A call leaves its shard and comes back, to its place or beside another call.
    Moved {
        call: u8,
        beside: Option<u8>,
    },
    Lease {
        call: u8,
        epoch: u64,
        ms: u64,
    },
    Packet {
        socket: usize,
        from: u8,
        bytes: Vec<u8>,
    },
    Pass {
        ms: u64,
    },
    Grant,
    Slow {
        slow: bool,
    },
    Taken {
        port: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (call, tag, at, extra) = (0..3u8, 0..4u8, 0..6u8, 0..7u8);
    let branch = || proptest::option::weighted(0.2, 0..3u8);
    prop_oneof![
        6 => (call.clone(), tag.clone(), proptest::option::of(0..4u8), branch(), at.clone(), extra.clone())
            .prop_map(|(call, from, to, branch, at, extra)| Step::Offer { call, from, to, branch, at, extra }),
        6 => (call.clone(), tag.clone(), tag.clone(), branch(), at.clone(), extra.clone())
            .prop_map(|(call, from, to, branch, at, extra)| Step::Answer { call, from, to, branch, at, extra }),
        3 => (call.clone(), proptest::option::of(0..4u8), proptest::option::of(0..4u8), proptest::option::of(0..3u32))
            .prop_map(|(call, from, to, delay)| Step::Delete { call, from, to, delay }),
        1 => call.clone().prop_map(|call| Step::Query { call }),
        4 => (call.clone(), 0..6u8, proptest::option::of(tag)).prop_map(|(call, to, from)| Step::Subscribe { call, to, from }),
        2 => (call.clone(), 0..6u8, at.clone(), extra.clone()).prop_map(|(call, to, at, extra)| Step::Answered { call, to, at, extra }),
        1 => (call.clone(), 0..6u8).prop_map(|(call, to)| Step::Unsubscribe { call, to }),
        2 => (call.clone(), 0..6u8, at, extra)
            .prop_map(|(call, from, at, extra)| Step::Publish { call, from, at, extra }),
        2 => (call.clone(), 0..4u8, call.clone(), 0..4u8, any::<bool>())
            .prop_map(|(call, from, other, to, both)| Step::Connect { call, from, other, to, both }),
        3 => (call.clone(), proptest::option::of(call.clone())).prop_map(|(call, beside)| Step::Moved { call, beside }),
        2 => (call, 0..3u64, 0..3_000u64).prop_map(|(call, epoch, ms)| Step::Lease { call, epoch, ms }),
        6 => (0..40usize, 0..6u8, proptest::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(socket, from, bytes)| Step::Packet { socket, from, bytes }),
        2 => (0..40_000u64).prop_map(|ms| Step::Pass { ms }),
        3 => Just(Step::Grant),
        1 => any::<bool>().prop_map(|slow| Step::Slow { slow }),
        1 => (20_000..20_040u16).prop_map(|port| Step::Taken { port }),
    ]
}

const EXTRAS: [&str; 7] = [
    "",
    "a=sendonly\r\n",
    "a=rtcp-mux\r\n",
    "m=video 7000 RTP/AVP 96\r\n",
    "m=image 7002 udptl t38\r\n",
    "m=video 0 RTP/AVP 96\r\n",
    "a=rtcp:9\r\nm=message 7777 TCP/MSRP *\r\n",
];

fn description(at: u8, extra: u8) -> Vec<u8> {
    let ip = if at == 5 { "0.0.0.0".to_owned() } else { format!("198.51.100.{at}") };
    sdp(&format!("{ip}:{}", 4_000 + u16::from(at)), EXTRAS[usize::from(extra)])
}

fn run(steps: Vec<Step>) {
    let mut rig = Rig::with(|config| {
        config.ports = PortRange::whole(20_000, 20_039, 9);
        config.limits.pairs_max = 3;
        config.limits.legs_max = 4;
    });
    for step in steps {
        match step {
            Step::Offer { call, from, to, branch, at, extra } => {
                let signal = Signal {
                    call_id: call.to_string(),
                    from_tag: from.to_string(),
                    to_tag: to.map(|tag| tag.to_string()),
                    via_branch: branch.map(|branch| branch.to_string()),
                    owner: (call == 0).then(|| "owner".to_owned()),
                    lease_ms: (call == 0).then_some(5_000),
                    keep_report: call == 0,
                    epoch: (call == 0).then_some(1),
                    ..from_a(description(at, extra))
                };
                rig.ask(Command::Offer(Box::new(signal)));
            }
            Step::Answer { call, from, to, branch, at, extra } => {
                let signal = Signal {
                    call_id: call.to_string(),
                    from_tag: from.to_string(),
                    to_tag: Some(to.to_string()),
                    via_branch: branch.map(|branch| branch.to_string()),
                    ..from_a(description(at, extra))
                };
                rig.ask(Command::Answer(Box::new(signal)));
            }
            Step::Delete { call, from, to, delay } => {
                let delete = Delete {
                    from_tag: from.map(|tag| tag.to_string()),
                    to_tag: to.map(|tag| tag.to_string()),
                    delay: delay.map_or(DeleteDelay::Default, DeleteDelay::Seconds),
                    ..at_once(&call.to_string())
                };
                rig.ask(Command::Delete(Box::new(delete)));
            }
            Step::Query { call } => {
                rig.ask(Command::Query(ng::Query { call_id: call.to_string(), ..ng::Query::default() }));
            }
            Step::Subscribe { call, to, from } => {
                let selector = ng::Selector {
                    from_tag: from.map(|tag| tag.to_string()),
                    all: if from.is_none() { ng::All::Everyone } else { ng::All::Unsaid },
                    ..ng::Selector::default()
                };
                let signal =
                    Signal { call_id: call.to_string(), to_tag: Some(to.to_string()), ..from_a(Vec::new()) };
                let request =
                    ng::SubscribeRequest { selector, from_tags: Vec::new(), signal: Box::new(signal) };
                rig.ask(Command::SubscribeRequest(Box::new(request)));
            }
            Step::Answered { call, to, at, extra } => {
                let signal = Signal {
                    call_id: call.to_string(),
                    to_tag: Some(to.to_string()),
                    ..from_a(description(at, extra))
                };
                let answer = ng::SubscribeAnswer { signal: Box::new(signal), allow_transcoding: false };
                rig.ask(Command::SubscribeAnswer(answer));
            }
            Step::Unsubscribe { call, to } => {
                rig.ask(Command::Unsubscribe(ng::Unsubscribe {
                    call_id: call.to_string(),
                    to_tag: to.to_string(),
                }));
            }
            Step::Publish { call, from, at, extra } => {
                let signal = Signal {
                    call_id: call.to_string(),
                    from_tag: from.to_string(),
                    ..from_a(description(at, extra))
                };
                let publish = ng::Publish { signal: Box::new(signal), accept: Vec::new() };
                rig.ask(Command::Publish(publish));
            }
            Step::Connect { call, from, other, to, both } => {
                let signal = Signal {
                    call_id: call.to_string(),
                    from_tag: from.to_string(),
                    to_tag: Some(to.to_string()),
                    ..from_a(Vec::new())
                };
                let selector = ng::Selector { from_tag: Some(from.to_string()), ..ng::Selector::default() };
                let connect = ng::Connect {
                    selector,
                    to_call_id: Some(other.to_string()),
                    bidirectional: both,
                    signal: Box::new(signal),
                    ..ng::Connect::default()
                };
                rig.ask(Command::Connect(Box::new(connect)));
            }
            Step::Moved { call, beside } => {
                moved(&mut rig, &call.to_string(), beside.map(|call| call.to_string()))
            }
            Step::Lease { call, epoch, ms } => {
                let lease =
                    ng::Lease { call_id: call.to_string(), owner: "owner".into(), epoch, lease_ms: ms };
                rig.ask(Command::Lease(lease));
            }
            Step::Packet { socket, from, bytes } => {
                let mut ids: Vec<(SocketId, u16)> =
                    rig.open.iter().map(|(&id, at)| (id, at.port())).collect();
                ids.sort_unstable();
                let port = ids.get(socket).map_or(1, |&(_, port)| port);
                rig.packet(&format!("198.51.100.{from}:{}", 4_000 + u16::from(from)), port, &bytes);
            }
            Step::Pass { ms } => rig.pass(ms),
            Step::Grant => rig.grant_asked(),
            Step::Slow { slow } => rig.slow = slow,
            Step::Taken { port } => {
                rig.taken.insert(port);
            }
        }
        assert_eq!(rig.shard.counters().faults, 0);
    }
    rig.slow = false;
    // Granting a socket may make the next command ask for more.
    while !rig.asked.is_empty() {
        rig.grant_asked();
    }
    assert_eq!(rig.replies.len() as u64, rig.next_id, "every command is answered");
    rig.input(Input::Shutdown);
    assert!(rig.open.is_empty());
    assert_eq!(rig.shard.sockets.live(), 0);
    assert_eq!(rig.shard.paths.live(), 0);
    assert_eq!(rig.shard.next_deadline(), None);
    assert_eq!(rig.shard.free_port_pairs(), 3 * 20);
}

/// Takes a call out and puts it in again; whatever is known of it is the same as before.
fn moved(rig: &mut Rig, call: &str, beside: Option<String>) {
    let report = |rig: &mut Rig| {
        let query = ng::Query { call_id: call.to_owned(), ..ng::Query::default() };
        let id = rig.ask(Command::Query(query));
        format!("{:?}", rig.replies[&id])
    };
    let before = report(rig);
    let Ok(moved) = rig.shard.take_out(call) else { return assert_eq!(report(rig), before) };
    let locals: Vec<_> = moved.sockets().map(|id| rig.open.remove(&id).expect("it is open")).collect();
    let (now, wall_ms) = (Instant::from_millis(rig.now_ms), EPOCH_MS + rig.now_ms);
    let put = match beside {
        Some(beside) => rig.shard.put_in(now, wall_ms, moved, &beside).map_err(|not| not.moved),
        None => Err(moved),
    };
    let sockets = match put {
        Ok(put) => {
            rig.shard.take_ports(&put.ports);
            put.sockets
        }
        Err(moved) => rig.shard.put_back(now, wall_ms, moved),
    };
    assert_eq!(sockets.len(), locals.len());
    for (id, local) in sockets.into_iter().zip(locals) {
        assert_eq!(rig.shard.local_address(id), Some(local));
        assert!(rig.open.insert(id, local).is_none(), "{id:?} has one socket");
    }
    assert_eq!(report(rig), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_things_ends_clean(steps in proptest::collection::vec(step(), 0..60)) {
        run(steps);
    }
}
