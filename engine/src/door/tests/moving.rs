//! Calls that move from one worker to another, as the door sees them.

use engine_core::{FreePort, Input, Instant, Interfaces, Output, PortRange, Shard, ShardConfig};
use ng::{Connect, Signal};

use super::*;
use crate::worker::{MoveNews, Parcel};

/// The names of two calls of different workers, and where these are.
fn apart(rig: &Rig) -> ([String; 2], [usize; 2]) {
    let named = |number: usize| format!("call-{number}");
    let first = rig.door.home_of(&named(0));
    let other = (1..).map(named).find(|name| rig.door.home_of(name) != first).expect("somewhere else");
    let home = rig.door.home_of(&other);
    ([named(0), other], [first, home])
}

fn connect(one: &str, other: &str) -> Command {
    let (from_tag, to_tag) = ("F".to_owned(), Some("T".to_owned()));
    let signal = Signal { call_id: one.to_owned(), from_tag, to_tag, ..Signal::default() };
    Command::Connect(Box::new(Connect {
        to_call_id: Some(other.to_owned()),
        signal: Box::new(signal),
        ..Connect::default()
    }))
}

fn query(call_id: &str) -> Command {
    Command::Query(ng::Query { call_id: call_id.to_owned(), ..ng::Query::default() })
}

/// A call of this name that has been taken out of a shard.
fn parcel(call_id: &str) -> Box<Parcel> {
    let interfaces = Interfaces::new(vec!["127.0.0.1".parse().expect("an interface")]).expect("one");
    let mut shard = Shard::new(
        ShardConfig::new(interfaces, PortRange::whole(20_000, 20_099, 1), std::time::Instant::now()),
        1,
    );
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let offer = Signal {
        call_id: call_id.to_owned(),
        from_tag: "F".to_owned(),
        sdp: sdp.as_bytes().to_vec(),
        ..Signal::default()
    };
    let mut inputs = VecDeque::from([Input::Command { id: 1, command: Command::Offer(Box::new(offer)) }]);
    while let Some(input) = inputs.pop_front() {
        shard.handle_input(Instant::from_millis(1), 1, input);
        while let Some(output) = shard.poll_output() {
            if let Output::OpenSocket { socket, .. } = output {
                inputs.push_back(Input::SocketOpened { socket, result: Ok(()) });
            }
        }
    }
    Box::new(Parcel::new(shard.take_out(call_id).expect("it is there"), Vec::new()))
}

/// The one thing that is to be done about a call that moves.
fn the_move(rig: &mut Rig) -> (usize, MoveMail) {
    assert_eq!(rig.moves.len(), 1, "{:?}", rig.moves);
    rig.moves.remove(0)
}

/// Asks for a connection of calls of two workers; the command's number.
fn begin(rig: &mut Rig, cookie: &str, names: &[String; 2], shards: [usize; 2]) -> u64 {
    rig.command(cookie, &connect(&names[0], &names[1]));
    assert_eq!(rig.outputs(), (vec![], vec![]));
    match the_move(rig) {
        (shard, MoveMail::TakeOut { id, .. }) => {
            assert_eq!(shard, shards[1], "the second call leaves");
            id
        }
        other => panic!("{other:?}"),
    }
}

const PORT: FreePort = FreePort { address: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), rtp_port: 20_000 };

#[test]
fn the_second_call_moves_and_is_found_where_it_is_for_as_long_as_it_lives() {
    let mut rig = Rig::new(4);
    let (names, [one, two]) = apart(&rig);
    let id = begin(&mut rig, "1", &names, [one, two]);
    // Nothing overtakes it, and what needs no call is answered.
    rig.command("2", &query(&names[1]));
    rig.command("3", &Command::List(List { limit: 9, owner: None }));
    rig.ask(r#"4 {"command":"cli","body":"list totals"}"#);
    rig.command("5", &connect(&names[0], &names[1]));
    rig.command("6", &query(&names[0]));
    assert_eq!(rig.outputs(), (vec![], vec![]));
    rig.ask("7 d7:command4:pinge");
    assert_eq!(rig.outputs().0, ["7 d6:result4:ponge"]);

    rig.door.moved(MoveNews::Out { id, result: Ok(parcel(&names[1])) });
    assert_eq!(rig.outputs(), (vec![], vec![]));
    assert!(matches!(the_move(&mut rig), (shard, MoveMail::PutIn { .. }) if shard == one));
    rig.door.moved(MoveNews::In { id, result: Ok(vec![PORT]) });
    let (sent, commands) = rig.outputs();
    assert!(sent.is_empty());
    let shards: Vec<usize> = commands.iter().map(|(shard, _)| *shard).collect();
    assert_eq!(shards, [&[one][..], &[0, 1, 2, 3], &[0, 1, 2, 3], &[one, one]].concat(), "in order");
    assert!(
        matches!(the_move(&mut rig), (shard, MoveMail::Settled(ports)) if shard == two && ports == [PORT])
    );
    rig.door.reply(id, Reply::Ok { warning: None });
    assert_eq!(rig.sent(), ["1 d6:result2:oke"]);
    assert_eq!(rig.door.counters_mut().calls_moved, 1);

    // The worker is asked now and then whether it is over; what was sent there meanwhile keeps it.
    let asked = |rig: &mut Rig| match the_move(rig) {
        (shard, MoveMail::Known { id, call_ids }) => {
            assert_eq!((shard, &call_ids[..]), (one, &names[1..]));
            id
        }
        other => panic!("{other:?}"),
    };
    let question = asked(&mut rig);
    rig.command("8", &query(&names[1]));
    assert_eq!(rig.outputs().1[0].0, one);
    rig.door.moved(MoveNews::Unknown { id: question, call_ids: names[1..].to_vec() });
    rig.command("9", &query(&names[1]));
    assert_eq!(rig.outputs().1[0].0, one);
    rig.now_ns += 1_000_000_000;
    assert!(rig.door.next_deadline().is_some_and(|at| at <= rig.now_ns));
    rig.sent();
    let question = asked(&mut rig);
    rig.door.moved(MoveNews::Unknown { id: question, call_ids: names[1..].to_vec() });
    rig.command("10", &query(&names[1]));
    assert_eq!(rig.outputs().1[0].0, two);
    rig.now_ns += 10_000_000_000;
    rig.sent();
    assert!(rig.moves.is_empty(), "nobody is asked about calls that are where they belong");
}

#[test]
fn a_call_that_finds_no_room_is_back_before_anything_else_happens() {
    for undelivered in [false, true] {
        let mut rig = Rig::new(4);
        let (names, [one, two]) = apart(&rig);
        let id = begin(&mut rig, "1", &names, [one, two]);
        rig.command("2", &query(&names[1]));
        rig.door.moved(MoveNews::Out { id, result: Ok(parcel(&names[1])) });
        rig.outputs();
        let (shard, mail) = the_move(&mut rig);
        assert_eq!(shard, one);
        if undelivered {
            rig.door.not_sent(shard, mail);
        } else {
            let MoveMail::PutIn { parcel, .. } = mail else { panic!("{mail:?}") };
            rig.door.moved(MoveNews::In { id, result: Err((parcel, "no room, try again".to_owned())) });
        }
        let (sent, commands) = rig.outputs();
        assert!(sent[0].contains("try again") && commands.is_empty(), "{sent:?} {commands:?}");
        // The worker it left has no room for mail either, for a while.
        for _round in 0..3 {
            let (shard, mail) = the_move(&mut rig);
            assert!(shard == two && matches!(mail, MoveMail::PutBack(_)));
            rig.door.not_sent(shard, mail);
            assert!(rig.door.next_deadline().is_some_and(|at| at <= rig.now_ns + 1_000_000));
            rig.now_ns += 1_000_000;
            assert_eq!(rig.sent(), [""; 0]);
        }
        rig.command("3", &query(&names[0]));
        assert_eq!(rig.outputs(), (vec![], vec![]));
        rig.door.sent_back();
        let shards: Vec<usize> = rig.outputs().1.iter().map(|(shard, _)| *shard).collect();
        assert_eq!(shards, [two, one]);
        assert_eq!(rig.door.counters_mut().calls_sent_back, 1);
        assert!(!rig.door.is_moving());
    }
}

#[test]
fn a_call_that_does_not_leave_holds_nobody_up() {
    let mut rig = Rig::new(2);
    let (names, [one, two]) = apart(&rig);
    let id = begin(&mut rig, "1", &names, [one, two]);
    rig.command("2", &query(&names[1]));
    rig.door.moved(MoveNews::Out { id, result: Err("Unknown call-ID".to_owned()) });
    let (sent, commands) = rig.outputs();
    assert!(sent[0].contains("Unknown call-ID"), "{sent:?}");
    assert_eq!(commands.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [two]);
    // A worker without room for the question.
    rig.command("3", &connect(&names[0], &names[1]));
    rig.command("4", &query(&names[1]));
    rig.outputs();
    let (shard, mail) = the_move(&mut rig);
    rig.door.not_sent(shard, mail);
    let (sent, commands) = rig.outputs();
    assert!(sent[0].contains("Parallel session limit reached"), "{sent:?}");
    assert_eq!(commands.len(), 1);
    // And at the end of the engine nothing moves.
    rig.door.end_moves();
    rig.command("5", &connect(&names[0], &names[1]));
    assert!(rig.sent()[0].contains("the engine is ending"));
}

#[test]
fn several_moves_come_one_after_the_other_and_what_waits_is_bounded() {
    let mut rig = Rig::new(2);
    let (names, [one, two]) = apart(&rig);
    let third = (100..).map(|number| format!("call-{number}")).find(|name| rig.door.home_of(name) == two);
    let third = third.expect("somewhere");
    let id = begin(&mut rig, "1", &names, [one, two]);
    rig.command("2", &connect(&names[0], &third));
    rig.command("3", &query(&third));
    rig.door.moved(MoveNews::Out { id, result: Err("no".to_owned()) });
    let (_, commands) = rig.outputs();
    assert!(commands.is_empty(), "the question waits for the second move: {commands:?}");
    assert!(matches!(the_move(&mut rig), (shard, MoveMail::TakeOut { .. }) if shard == two));
    let mut refused = 0;
    for number in 0..5_000_u32 {
        let [.., high, low] = number.to_be_bytes();
        let from = SocketAddr::from(([127, 0, high, low], 9000));
        rig.door.datagram(0, 0, from, &query("c").datagram("9", Encoding::Bencode));
        refused += rig.outputs().0.len();
    }
    assert_eq!(refused, 5_000 - (4096 - 1), "what waits beyond the limit is told to come again");
}
