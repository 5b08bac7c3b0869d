//! Calls that move from one shard to another.

use ng::{Connect, Reply, Selector, Signal};

use super::*;
use crate::{
    io::RecordingId,
    moved::{MovedCall, NotPut},
};

const C: &str = "198.51.100.3:6000";
const D: &str = "198.51.100.4:7000";
const OK: Reply = Reply::Ok { warning: None };

/// One of the two shards of an engine.
fn rig(shard: u16, edit: impl FnOnce(&mut ShardConfig)) -> Rig {
    Rig::with(|config| {
        config.ports = PortRange { min: 20_000, max: 20_399, shard, shards: 2, seed: 7 };
        config.limits.recordings_max = 4;
        edit(config);
    })
}

fn rigs() -> [Rig; 2] {
    [0, 1].map(|shard| rig(shard, |_| {}))
}

/// A call `d` between C and D; where C and D are heard.
fn other_call(rig: &mut Rig, edit: impl Fn(Signal) -> Signal) -> [u16; 2] {
    let named = |signal: Signal| edit(Signal { call_id: "d".into(), from_tag: "C".into(), ..signal });
    let toward_d = rig.offer(named(from_a(sdp(C, "")))).port();
    let answer = Signal { to_tag: Some("D".into()), ..from_a(sdp(D, "")) };
    [rig.answer(named(answer)).port(), toward_d]
}

fn connect_with(to: &str, to_call_id: &str) -> Connect {
    Connect {
        selector: Selector { from_tag: Some("A".into()), ..Selector::default() },
        to_call_id: Some(to_call_id.to_owned()),
        bidirectional: true,
        signal: Box::new(Signal { to_tag: Some(to.into()), ..from_a(Vec::new()) }),
        ..Connect::default()
    }
}

/// Takes a call out and puts it in beside another; its sockets go with it.
pub(super) fn carry(from: &mut Rig, to: &mut Rig, call: &str, beside: &str) {
    let moved = from.shard.take_out(call).expect("it may leave");
    let locals: Vec<SocketAddr> =
        moved.sockets().map(|id| from.open.remove(&id).expect("it is open")).collect();
    let put = put_in(to, moved, beside).expect("there is room");
    assert_eq!(put.sockets.len(), locals.len());
    for (id, local) in put.sockets.into_iter().zip(locals) {
        assert_eq!(to.shard.local_address(id), Some(local), "it is bound where it was");
        assert!(to.open.insert(id, local).is_none(), "{id:?} has one socket");
    }
    from.shard.take_ports(&put.ports);
}

fn put_in(to: &mut Rig, moved: Box<MovedCall>, beside: &str) -> Result<crate::moved::PutIn, NotPut> {
    to.shard.put_in(Instant::from_millis(to.now_ms), EPOCH_MS + to.now_ms, moved, beside)
}

/// A call that found no place goes back to where it was.
fn carry_back(from: &mut Rig, not: NotPut) -> String {
    let NotPut { moved, reason } = not;
    let locals: Vec<SocketAddr> =
        moved.sockets().map(|id| from.open.remove(&id).expect("it is open")).collect();
    let sockets = from.shard.put_back(Instant::from_millis(from.now_ms), EPOCH_MS + from.now_ms, moved);
    from.open.extend(sockets.into_iter().zip(locals));
    reason
}

fn report(rig: &mut Rig, call: &str) -> ng::CallReport {
    match rig.query(call) {
        Reply::Report(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn stream(rig: &mut Rig, from: &str, port: u16, sequences: std::ops::Range<u16>) -> usize {
    let heard = sequences.filter(|sequence| {
        let mut packet = [0_u8; 172];
        packet[0] = 0x80;
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(*sequence) * 160).to_be_bytes());
        packet[11] = 7;
        rig.now_ms += 20;
        rig.packet(from, port, &packet).is_some()
    });
    heard.count()
}

fn nothing_is_left(rig: &Rig) {
    assert_eq!((rig.open.len(), rig.shard.sockets.live(), rig.shard.paths.live()), (0, 0, 0));
    assert_eq!((rig.shard.calls.len(), rig.shard.recordings.len()), (0, 0));
    assert_eq!(rig.shard.next_deadline(), None);
    assert_eq!(rig.shard.free_port_pairs(), 3 * 100);
}

#[test]
fn whatever_is_known_of_a_call_moves_with_it_and_nothing_stays() {
    let [mut one, mut two] = rigs();
    established(&mut one);
    let owned = |signal: Signal| Signal {
        owner: Some("control".into()),
        epoch: Some(7),
        lease_ms: Some(60_000),
        keep_report: true,
        ..signal
    };
    let [c, d] = other_call(&mut two, owned);
    let recording = ng::Recording { call_id: "d".into(), ..ng::Recording::default() };
    assert_eq!(two.command(Command::StartRecording(Box::new(recording))), OK);
    // A fork shares D's port; somebody listens in; a stranger tries; both sides talk, with a hole in one stream.
    let fork =
        Signal { call_id: "d".into(), from_tag: "C".into(), to_tag: Some("E".into()), ..from_a(sdp(B, "")) };
    two.answer(owned(fork));
    let listen = ng::SubscribeRequest {
        selector: Selector { from_tag: Some("C".into()), ..Selector::default() },
        signal: Box::new(Signal { call_id: "d".into(), ..Signal::default() }),
        ..ng::SubscribeRequest::default()
    };
    assert!(matches!(two.command(Command::SubscribeRequest(Box::new(listen))), Reply::Signal(_)));
    two.rtp("203.0.113.66:9", c);
    assert_eq!(stream(&mut two, C, c, 1..40) + stream(&mut two, C, c, 43..60), 56);
    assert_eq!(stream(&mut two, B, d, 1..30), 29);
    one.now_ms = two.now_ms;
    let before = report(&mut two, "d");
    assert!(before.offenders.len() == 1 && before.recording && before.tags.len() == 4, "{before:#?}");
    let due = two.shard.next_deadline();
    let copied = |rig: &Rig| rig.copies.len() + rig.recorded.len();

    carry(&mut two, &mut one, "d", "c");
    nothing_is_left(&two);
    assert_eq!(two.query("d"), Reply::Error("Unknown call-id".into()));
    assert!(!two.shard.knows("d") && one.shard.knows("d"));
    assert_eq!(report(&mut one, "d"), before);
    assert!(one.shard.next_deadline() <= due, "its deadlines are among those of the other call");
    let heard = copied(&one);
    assert_eq!(stream(&mut one, B, d, 30..40), 10, "its media flows, to whom it did");
    assert_eq!(copied(&one) - heard, 10, "and is recorded");
    assert_eq!(one.sent.len(), 0);
    assert_eq!(stream(&mut one, C, c, 60..70), 10);
    assert!(one.rtp("203.0.113.66:9", c).is_none(), "strangers stay strangers");
    let after = report(&mut one, "d");
    assert_eq!(after.offenders[0].packets, before.offenders[0].packets + 1);
    assert_eq!(one.recorded.len(), 20);
    // The epoch of its owner came along.
    let stale = ng::Lease { call_id: "d".into(), owner: "control".into(), epoch: 6, lease_ms: 1_000 };
    assert_eq!(one.command(Command::Lease(stale)), Reply::Error(Reply::STALE_EPOCH.into()));
    one.pass(70_000);
    assert_eq!(one.calls(), [] as [&str; 0], "its lease ended it, and no packet came in the other");
    assert!(one.events.iter().any(|event| event.call_id == "d"
        && matches!(
            &event.kind,
            ng::EventKind::Ended { ended, .. } if ended.reason == ng::EndReason::LeaseEnded
        )));
    assert!(matches!(one.query("d"), Reply::Report(_)), "its report is kept where it ended");
    assert!(one.notes.iter().any(|(id, note)| *id == RecordingId((1 << 48) + 1)
        && matches!(note, crate::recording::RecordingNote::Ended { .. })));
    nothing_is_left(&one);
}

#[test]
fn a_call_that_has_moved_is_connected_like_any_other() {
    let [mut one, mut two] = rigs();
    let (b, a) = established(&mut one);
    let [c, d] = other_call(&mut two, |signal| signal);
    let asked = connect_with("D", "d");
    assert_eq!(two.shard.leaving(&asked).map(|sockets| sockets.len()), Ok(4));
    carry(&mut two, &mut one, "d", "c");
    assert_eq!(one.command(Command::Connect(Box::new(asked))), OK);
    assert_eq!(one.rtp(A, a).map(|(_, to)| to.to_string()).as_deref(), Some(D));
    assert_eq!(one.rtp(D, d).map(|(_, to)| to.to_string()).as_deref(), Some(A));
    assert_eq!((one.rtp(B, b), one.rtp(C, c)), (None, None));
    assert_eq!(one.calls(), ["c", "d"]);
    // Both leave under either name, and come back.
    established(&mut two);
    two.delete(at_once("c"));
    let moved = one.shard.take_out("d").expect("it may leave");
    assert_eq!(moved.names().collect::<Vec<_>>(), ["c", "d"]);
    carry_back(&mut one, NotPut { moved, reason: String::new() });
    assert_eq!(one.rtp(A, a).map(|(_, to)| to.to_string()).as_deref(), Some(D));
    one.delete(at_once("d"));
    nothing_is_left(&one);
    nothing_is_left(&two);
}

#[test]
fn a_call_that_finds_no_place_goes_back_and_says_what_to_do() {
    type Edit = fn(&mut ShardConfig);
    let full: [(Edit, &str); 4] = [
        (|config| config.limits.calls_max = 1, "as many calls as it may have; raise max-sessions"),
        (|config| config.limits.recordings_max = 0, "as many recordings as it may have; stop some"),
        (
            |config| config.ports = PortRange { min: 20_000, max: 20_011, shard: 0, shards: 2, seed: 7 },
            "not as many free ports as the other call brings along; widen the range",
        ),
        (
            |config| config.interfaces = Interfaces::new(vec!["a/127.0.0.1".parse().unwrap()]).unwrap(),
            "it has the interface default/127.0.0.1 no more",
        ),
    ];
    for (edit, reason) in full {
        let (mut one, mut two) = (rig(0, edit), rig(1, |_| {}));
        established(&mut one);
        let [c, d] = other_call(&mut two, |signal| signal);
        let recording = ng::Recording { call_id: "d".into(), ..ng::Recording::default() };
        assert_eq!(two.command(Command::StartRecording(Box::new(recording))), OK);
        stream(&mut two, C, c, 1..20);
        let (before, due) = (report(&mut two, "d"), two.shard.next_deadline());
        let free = one.shard.free_port_pairs();
        let moved = two.shard.take_out("d").expect("it may leave");
        let not = put_in(&mut one, moved, "c").expect_err("there is no room");
        assert!(not.reason.starts_with("The calls lie on different workers"), "{}", not.reason);
        assert!(not.reason.contains(reason), "{}", not.reason);
        carry_back(&mut two, not);
        assert_eq!((report(&mut two, "d"), two.shard.next_deadline()), (before, due));
        assert_eq!((one.calls(), one.shard.free_port_pairs()), (vec!["c".to_owned()], free));
        assert_eq!(stream(&mut two, C, c, 20..30) + stream(&mut two, D, d, 1..10), 19);
        one.delete(at_once("c"));
        two.delete(at_once("d"));
        nothing_is_left(&two);
        assert_eq!((one.shard.paths.live(), one.shard.sockets.live()), (0, 0));
    }
}

#[test]
fn nothing_moves_for_a_connection_that_cannot_come_about() {
    let [mut one, mut two] = rigs();
    other_call(&mut two, |signal| Signal { owner: Some("one".into()), ..signal });
    for (asked, reason) in [
        (connect_with("D", "nowhere"), "Unknown call-ID"),
        (connect_with("X", "d"), "To-tag not found"),
        (
            Connect {
                signal: Box::new(Signal {
                    owner: Some("two".into()),
                    to_tag: Some("D".into()),
                    ..from_a(Vec::new())
                }),
                ..connect_with("D", "d")
            },
            "Call has another owner",
        ),
    ] {
        assert_eq!(two.shard.leaving(&asked).err(), Some(reason));
    }
    let moved = two.shard.take_out("d").expect("it may leave");
    let not = put_in(&mut one, moved, "c").expect_err("the call beside it has ended meanwhile");
    assert_eq!(carry_back(&mut two, not), "Unknown call-ID");
    // While its sockets open a call stays, whoever asks.
    two.slow = true;
    let fork =
        Signal { call_id: "d".into(), from_tag: "C".into(), to_tag: Some("E".into()), ..from_a(sdp(B, "")) };
    let offer = Signal { via_branch: Some("v".into()), to_tag: None, ..fork };
    two.ask(Command::Offer(Box::new(offer)));
    assert!(two.shard.leaving(&connect_with("D", "d")).unwrap_err().contains("busy"));
    assert!(two.shard.take_out("d").unwrap_err().contains("busy"));
    two.grant_asked();
    two.slow = false;
    two.delete(at_once("d"));
    nothing_is_left(&two);
}

#[test]
fn a_call_on_which_we_fail_ends_alone() {
    let [mut one, mut two] = rigs();
    let (_, a) = established(&mut one);
    other_call(&mut two, |signal| signal);
    let mut moved = two.shard.take_out("d").expect("it may leave");
    two.open.clear();
    moved.paths.pop();
    let put = put_in(&mut one, moved, "c").expect("there is room");
    assert_eq!((put.sockets.len(), put.ports.len()), (0, 2));
    two.shard.take_ports(&put.ports);
    while let Some(output) = one.shard.poll_output() {
        assert!(matches!(output, Output::CloseSocket { .. }), "{output:?}");
    }
    assert_eq!(one.shard.counters().faults, 1);
    assert_eq!(one.calls(), ["c"]);
    assert!(one.rtp(A, a).is_some());
    one.delete(at_once("c"));
    nothing_is_left(&one);
    nothing_is_left(&two);
}

#[test]
fn a_table_of_so_many_sockets_has_a_place_for_each() {
    let mut rig = rig(0, |_| {});
    let names: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    let begin = |rig: &mut Rig, name: &String| {
        rig.offer(Signal { call_id: name.clone(), ..from_a(sdp(A, "")) });
    };
    names.iter().for_each(|name| begin(&mut rig, name));
    // Whatever order they end in, the next have numbers below as many as there are.
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]] {
        for index in order {
            rig.delete(at_once(&names[index]));
        }
        for (index, name) in names.iter().enumerate() {
            begin(&mut rig, name);
            let most = rig.open.keys().map(|id| id.0).max();
            assert_eq!(most, Some(u32::try_from(index * 4 + 3).unwrap()));
        }
    }
}

#[test]
fn ports_change_hands_one_for_one_and_none_is_anybodys_twice() {
    let [mut one, mut two] = rigs();
    established(&mut one);
    for round in 0..250 {
        // Each takes the ports of 25 calls away from its neighbour, if nothing came in exchange.
        other_call(&mut two, |signal| signal);
        carry(&mut two, &mut one, "d", "c");
        assert_eq!(two.shard.free_port_pairs(), 300, "round {round}");
        assert_eq!(one.shard.free_port_pairs(), 296, "round {round}");
        one.delete(at_once("d"));
    }
    one.delete(at_once("c"));
    let mut all = HashSet::new();
    for rig in [&mut one, &mut two] {
        let pairs: Vec<_> = std::iter::from_fn(|| rig.shard.sockets.any_port()).collect();
        assert_eq!(pairs.len(), 300);
        pairs.into_iter().for_each(|pair| assert!(all.insert(pair), "{pair:?} is of both"));
    }
}
