//! Calls of different workers that are connected: one of them moves, and no packet of either is lost.

mod rig;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use load::ng::Client;
use load::{Relay, Traffic};
use serde_json::{Value, json};
use tests::process::await_some;

use self::rig::{Ends, Rig, Until, packets, sdp, tags, voice};
use crate::recording::files;

/// Pairs of calls. That the hash puts both calls of every pair on one of three workers happens once in 3^16.
const PAIRS: usize = 16;

/// Calls `p` (A and B) and `q` (C and D), of which A and D are connected while both send. Whom they are connected to
/// listens where whom they talked to did, so that every packet has to arrive, before, during and after.
fn calls_of_any_workers_are_connected(driver: &str) {
    let mut rig = Rig::start(&["--workers", "3", "--driver", driver, "--drain-timeout", "600"]);
    let traffic = Traffic::open(rig.at.ip()).expect("two ends");
    let (caller, callee) = traffic.addresses().expect("two addresses");
    let mut relays = Vec::new();
    for pair in 0..PAIRS {
        let p = rig.call(&format!("p-{pair}"), [caller, callee], ["A", "B"]).expect("a call");
        let q = rig.call(&format!("q-{pair}"), [caller, callee], ["C", "D"]).expect("a call");
        relays.push(Relay { for_caller: p.for_caller, for_callee: q.for_callee });
    }
    let asked_until = AtomicBool::new(false);
    let (tally, answers) = thread::scope(|scope| {
        let media = scope.spawn(|| traffic.run(&relays, Duration::from_secs(4)));
        let packets = |rig: &mut Rig| rig.query("q-0")["totals"]["RTP"]["packets"].as_u64();
        await_some("packets of a call that is to move", || packets(&mut rig).filter(|count| *count > 10));
        // Somebody asks about calls all the while, and finds each of them.
        let mut other = Client::new(rig.ng).expect("a client");
        let asked_until = &asked_until;
        let until_here = Until(asked_until);
        let asking = scope.spawn(move || {
            let mut answers = 0;
            while !asked_until.load(Ordering::Relaxed) {
                for pair in 0..PAIRS {
                    let query = json!({"command": "query", "call-id": format!("q-{pair}")});
                    let answer = other.answer(&query).expect("an answer");
                    assert!(tags(&answer).contains(&"D"), "{answer}");
                    answers += 1;
                }
                let list = other.answer(&json!({"command": "list", "limit": 1000})).expect("an answer");
                assert_eq!(list["calls"].as_array().map(Vec::len), Some(2 * PAIRS), "{list}");
            }
            answers
        });
        for pair in 0..PAIRS {
            let [p, q] = ["p", "q"].map(|call| format!("{call}-{pair}"));
            for _repeat in 0..2 {
                let answer = rig.connect(&p, "A", &q, "D");
                assert_eq!(answer["result"], "ok", "{answer}");
            }
            for name in [&p, &q] {
                assert_eq!(tags(&rig.query(name)), ["A", "B", "C", "D"]);
            }
        }
        drop(until_here);
        let answers = asking.join().expect("every call was found all the while");
        (media.join().expect("no panic").expect("traffic"), answers)
    });
    assert!(answers >= PAIRS);
    let each = 2 * 50 * 4 * u64::try_from(PAIRS).expect("few");
    assert_eq!((tally.sent, tally.intact, tally.broken), (each, each, 0), "{tally:?}");
    assert!(rig.moved() <= u64::try_from(PAIRS).expect("few"));
    for nothing in
        ["tollgate_engine_late_total", "tollgate_engine_drops_total", "tollgate_ng_calls_sent_back_total"]
    {
        assert_eq!(rig.counted(nothing), 0, "{nothing}");
    }
    for pair in 0..PAIRS {
        let report = rig.query(&format!("p-{pair}"));
        assert_eq!(
            report["totals"]["RTP"]["packets"], 400,
            "what was counted before the move is counted still"
        );
    }

    // A drain waits for the calls that moved, whichever name ends them.
    rig.engine.signal("TERM");
    rig.engine.await_line("drain", |line| line.contains("draining"));
    for pair in 0..PAIRS {
        let [one, other] =
            if pair % 2 == 0 { ["p", "q"] } else { ["q", "p"] }.map(|call| format!("{call}-{pair}"));
        let deleted = rig.delete(&one);
        assert_eq!(deleted["result"], "ok", "{deleted}");
        if pair + 1 < PAIRS {
            assert_eq!(rig.query(&other)["error-reason"], "Unknown call-id");
        }
    }
    rig.engine.await_success();
    assert!(rig.engine.said().contains("no call is left"), "{}", rig.engine.said());
}

#[test]
fn calls_of_any_workers_are_connected_on_io_uring() {
    calls_of_any_workers_are_connected("auto");
}

#[test]
fn calls_of_any_workers_are_connected_on_epoll() {
    calls_of_any_workers_are_connected("epoll");
}

#[test]
fn a_call_that_finds_no_room_stays_where_it_was_and_talks_on() {
    // One call for each worker.
    let mut rig = Rig::start(&["--workers", "2", "--max-sessions", "2"]);
    let ends = Ends::new(rig.at);
    let addresses = ends.addresses();
    let p = rig.call("p", addresses, ["A", "B"]).expect("the first call");
    let (q, relay) = (0..)
        .map(|number| format!("q-{number}"))
        .find_map(|name| Some((name.clone(), rig.call(&name, addresses, ["C", "D"]).ok()?)))
        .expect("the other worker has room for a call");
    for round in 0..20 {
        ends.talk(p, round);
        ends.talk(relay, round);
        let refused = rig.connect("p", "A", &q, "D");
        let reason = refused["error-reason"].as_str().expect("a reason");
        assert!(reason.contains("raise max-sessions, or try again later"), "{reason}");
        for name in ["p", &q] {
            assert_eq!(tags(&rig.query(name)).len(), 2);
        }
    }
    ends.talk(p, 20);
    ends.talk(relay, 20);
    let packets = |report: &Value| report["totals"]["RTP"]["packets"].as_u64();
    assert_eq!((packets(&rig.query("p")), packets(&rig.query(&q))), (Some(42), Some(42)));
    // Whatever is wrong with the second call is said before it moves.
    assert_eq!(rig.connect("p", "A", &q, "X")["error-reason"], "To-tag not found");
    for name in ["p", &q] {
        let deleted = rig.delete(name);
        assert_eq!(deleted["result"], "ok", "{deleted}");
    }
    rig.await_no_media();
    assert_eq!(
        await_some("moves that came to nothing", || {
            Some(rig.counted("tollgate_ng_calls_sent_back_total")).filter(|count| *count == 20)
        }),
        20
    );
    assert_eq!(rig.counted("tollgate_engine_drops_total"), 0);
}

#[test]
fn a_call_whose_sockets_find_no_room_has_each_of_them_back() {
    // Eight media sockets for each of two workers: two calls each.
    let mut rig = Rig::start_by(&["prlimit", "--nofile=144:144"], &["--workers", "2"]);
    let ends = Ends::new(rig.at);
    let mut calls = Vec::new();
    for name in (0..1_000).map(|number| format!("call-{number}")) {
        // Of the first one alone the payload type is G.711's.
        let payload_type = if calls.is_empty() { 0 } else { 9 };
        match rig.call_in(payload_type, &name, ends.addresses(), ["A", &format!("B-{name}")]) {
            Ok(relay) => calls.push((name, relay)),
            Err(refusal) => assert_eq!(refusal["error-reason"], "Ran out of ports"),
        }
        if calls.len() == 4 {
            break;
        }
    }
    assert_eq!(calls.len(), 4, "two on each worker");
    for round in 0..20 {
        let mut reasons = [0, 0];
        for (name, _) in &calls[1..] {
            let answer = rig.connect(&calls[0].0, "A", name, &format!("B-{name}"));
            let reason = answer["error-reason"].as_str().expect("a refusal");
            // The one on the same worker has no codec in common; the two others do not come that far.
            reasons[0] += usize::from(reason.contains("no codec in common"));
            reasons[1] += usize::from(reason.contains("raise LimitNOFILE, or try again later"));
        }
        assert_eq!(reasons, [1, 2]);
        calls.iter().for_each(|(_, relay)| ends.talk(*relay, round));
    }
    // Each worker has as much room as before.
    for (name, _) in &calls[1..] {
        rig.delete(name);
        assert!(rig.call(name, ends.addresses(), ["C", "D"]).is_ok());
    }
    for (name, _) in &calls {
        rig.delete(name);
    }
    rig.await_no_media();
    assert_eq!(rig.counted("tollgate_engine_faults_total") + rig.counted("tollgate_engine_drops_total"), 0);
}

#[test]
fn a_recording_goes_on_where_its_call_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().display().to_string();
    let mut rig = Rig::start(&["--workers", "3", "--recording-dir", &directory]);
    let ends = Ends::new(rig.at);
    let mut callees = Vec::new();
    for pair in 0..PAIRS {
        let [p, q] = ["p", "q"].map(|call| format!("{call}-{pair}"));
        let first = rig.call(&p, ends.addresses(), ["A", "B"]).expect("a call");
        let second = rig.call(&q, ends.addresses(), ["C", "D"]).expect("a call");
        let recording = rig.ask(json!({"command": "start recording", "call-id": q}));
        assert_eq!(recording["result"], "ok", "{recording}");
        let relay = Relay { for_caller: first.for_caller, for_callee: second.for_callee };
        (0..20).for_each(|number| ends.talk(relay, number));
        assert_eq!(rig.connect(&p, "A", &q, "D")["result"], "ok");
        (20..40).for_each(|number| ends.talk(relay, number));
        rig.delete(&q);
        callees.push(second.for_callee);
    }
    assert!(rig.moved() > 0);
    await_some("sheets", || (files(folder.path(), "metadata", ".txt").len() == PAIRS).then_some(()));
    let callee = ends.addresses()[1].port();
    let mut recorded: Vec<_> =
        files(folder.path(), "pcaps", ".pcap").iter().map(|path| packets(path)).collect();
    recorded.sort();
    callees.sort();
    assert_eq!(recorded.len(), PAIRS);
    for (packets, at) in recorded.into_iter().zip(callees) {
        let expected: Vec<_> = (0..40).map(|number| (at.port(), callee, voice(number))).collect();
        assert_eq!(
            packets, expected,
            "of who was recorded everything is there, in order, and of nobody else"
        );
    }
}

#[test]
fn calls_that_end_while_they_move_leave_nothing_behind() {
    let mut rig = Rig::start(&["--workers", "3", "--drain-timeout", "600"]);
    let ends = Ends::new(rig.at).addresses();
    let ports = |rig: &mut Rig| {
        let answer = rig.ask(json!({"command": "statistics"}));
        let interface = &answer["statistics"]["interfaces"][0]["ports"];
        (interface["used"].clone(), interface["free"].clone())
    };
    let before = ports(&mut rig);
    let over = AtomicBool::new(false);
    let mut connected = 0;
    thread::scope(|scope| {
        let until_here = Until(&over);
        let (over, ng) = (&over, rig.ng);
        // Somebody deletes calls of the same names all the while; every command is answered.
        scope.spawn(move || {
            let mut other = Client::new(ng).expect("a client");
            for number in (0..5).cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let delete =
                    json!({"command": "delete", "call-id": format!("q-{number}"), "delete-delay": 0});
                other.answer(&delete).expect("an answer");
                other.answer(&json!({"command": "list", "limit": 100})).expect("an answer");
            }
        });
        for round in 0..300 {
            let [p, q] = ["p", "q"].map(|call| format!("{call}-{}", round % 5));
            // Either may be deleted at any moment, and the second is not driven for longer than a few milliseconds.
            let _maybe_gone = rig.call(&p, ends, ["A", "B"]);
            let leased = json!({"command": "offer", "call-id": q, "from-tag": "C", "sdp": sdp(ends[0], 0), "owner": "o",
                "epoch": 1, "lease-ms": round % 7 + 1});
            rig.ask(leased);
            let answer = rig.connect(&p, "A", &q, "C");
            match answer["error-reason"].as_str() {
                None => connected += 1,
                Some("Unknown call-ID" | "To-tag not found" | "From-tag given, but no such tag exists") => {}
                Some(other) => panic!("round {round}: {other}"),
            }
            if round % 3 == 0 {
                rig.delete(&p);
            }
        }
        drop(until_here);
    });
    assert!(connected > 0 && rig.moved() > 0);
    for number in 0..5 {
        rig.delete(&format!("p-{number}"));
        rig.delete(&format!("q-{number}"));
    }
    rig.await_no_media();
    assert_eq!(ports(&mut rig), before);
    assert_eq!(rig.counted("tollgate_engine_faults_total"), 0);
    let calls = rig.ask(json!({"command": "list"}));
    assert_eq!(calls["calls"], json!([]));
    // And the end does not wait for calls that still move.
    let ng = rig.ng;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut other = Client::new(ng).expect("a client");
            let connect = |round: usize| {
                json!({"command": "connect", "call-id": "p", "from-tag": "A", "to-call-id": format!("q-{round}"),
                    "to-tag": "C"})
            };
            // Until nobody answers any more.
            (0..10_000).find(|round| other.answer(&connect(*round)).is_err());
        });
        let _p = rig.call("p", ends, ["A", "B"]);
        rig.engine.signal("TERM");
        rig.engine.await_line("drain", |line| line.contains("draining"));
        rig.engine.signal("TERM");
        rig.engine.await_success();
    });
}
