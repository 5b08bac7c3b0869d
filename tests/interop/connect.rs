//! Calls of different workers that are connected: one of them moves, and no packet of either is lost.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use load::ng::Client;
use load::{Relay, Traffic};
use serde_json::{Value, json};
use tests::process::{await_some, tollgate};
use tests::{Address, Process, udp};

/// Pairs of calls. That the hash puts both calls of every pair on one of three workers happens once in 3^16.
const PAIRS: usize = 16;

struct Rig {
    engine: Process,
    at: Address,
    ng: SocketAddr,
    http: SocketAddr,
    client: Client,
}

impl Rig {
    fn start(flags: &[&str]) -> Rig {
        let at = Address::new();
        let (ng, http) = (at.socket(), at.socket());
        let mut command = Command::new(tollgate());
        command
            .args(["engine", "--port-min", "20000", "--port-max", "31999"])
            .args([format!("--interface={at}"), format!("--listen-ng={ng}"), format!("--listen-http={http}")])
            .args(flags);
        let engine = Process::start("tollgate engine", &mut command);
        udp::await_bound(ng);
        udp::await_listening(http);
        Rig { engine, at, ng, http, client: Client::new(ng).expect("a client") }
    }

    fn ask(&mut self, request: Value) -> Value {
        self.client.answer(&request).expect("an answer")
    }

    /// Sets a call up between a caller and a callee; where each of them sends to, or why not.
    fn call(&mut self, call_id: &str, ends: [SocketAddr; 2], tags: [&str; 2]) -> Result<Relay, Value> {
        let about = |command: &str, sdp: String| {
            let mut request =
                json!({"command": command, "call-id": call_id, "from-tag": tags[0], "sdp": sdp});
            if command == "answer" {
                request["to-tag"] = json!(tags[1]);
            }
            request
        };
        let [for_callee, for_caller] = [("offer", ends[0]), ("answer", ends[1])].map(|(command, end)| {
            let answer = self.ask(about(command, sdp(end)));
            media(&answer).map(|port| SocketAddr::new(self.at.ip(), port)).ok_or(answer)
        });
        Ok(Relay { for_callee: for_callee?, for_caller: for_caller? })
    }

    fn query(&mut self, call_id: &str) -> Value {
        self.ask(json!({"command": "query", "call-id": call_id}))
    }

    fn connect(&mut self, one: &str, from_tag: &str, other: &str, to_tag: &str) -> Value {
        self.ask(json!({"command": "connect", "call-id": one, "from-tag": from_tag, "to-call-id": other,
            "to-tag": to_tag}))
    }

    /// The sum of a counter over all workers, once the page has been written anew.
    fn counted(&self, name: &str) -> u64 {
        let output = Command::new("curl")
            .args(["--silent", "--fail", &format!("http://{}/metrics", self.http)])
            .output();
        let output = output.expect("curl starts; tests/run installs it");
        let page = String::from_utf8(output.stdout).expect("text");
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// Says so when it is over, however that comes.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn sdp(at: SocketAddr) -> String {
    let (ip, port) = (at.ip(), at.port());
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
}

/// The port of the section of a description.
fn media(answer: &Value) -> Option<u16> {
    let line = answer["sdp"].as_str()?.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    line.split(' ').next()?.parse().ok()
}

fn tags(report: &Value) -> Vec<&str> {
    let mut tags: Vec<&str> =
        report["tags"].as_object().into_iter().flatten().map(|(tag, _)| &**tag).collect();
    tags.sort_unstable();
    tags
}

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
    let moved = await_some("a page that tells of moves", || {
        Some(rig.counted("tollgate_ng_calls_moved_total")).filter(|moved| *moved > 0)
    });
    assert!(moved <= u64::try_from(PAIRS).expect("few"));
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
        let deleted = rig.ask(json!({"command": "delete", "call-id": one, "delete-delay": 0}));
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
    let ends = [(); 2].map(|()| UdpSocket::bind((rig.at.ip(), 0)).expect("a port"));
    for end in &ends {
        end.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    }
    let addresses = ends.each_ref().map(|end| end.local_addr().expect("it is bound"));
    let p = rig.call("p", addresses, ["A", "B"]).expect("the first call");
    let (q, relay) = (0..)
        .map(|number| format!("q-{number}"))
        .find_map(|name| Some((name.clone(), rig.call(&name, addresses, ["C", "D"]).ok()?)))
        .expect("the other worker has room for a call");
    let mut number = 0;
    let mut talk = |relay: Relay| {
        for (from, to, hears) in [(0, relay.for_caller, 1), (1, relay.for_callee, 0)] {
            number += 1;
            let mut packet = vec![0x80, 0, 0, number, 0, 0, number, 0, 0, 0, 0, 7];
            packet.resize(172, number);
            ends[from].send_to(&packet, to).expect("sent");
            let mut heard = [0; 2048];
            let length = ends[hears].recv(&mut heard).expect("relayed");
            assert_eq!(heard[..length], packet);
        }
    };
    for _round in 0..20 {
        talk(p);
        talk(relay);
        let refused = rig.connect("p", "A", &q, "D");
        let reason = refused["error-reason"].as_str().expect("a reason");
        assert!(reason.contains("raise max-sessions, or try again later"), "{reason}");
        for name in ["p", &q] {
            assert_eq!(tags(&rig.query(name)).len(), 2);
        }
    }
    talk(p);
    talk(relay);
    let packets = |report: &Value| report["totals"]["RTP"]["packets"].as_u64();
    assert_eq!((packets(&rig.query("p")), packets(&rig.query(&q))), (Some(42), Some(42)));
    // Whatever is wrong with the second call is said before it moves.
    assert_eq!(rig.connect("p", "A", &q, "X")["error-reason"], "To-tag not found");
    for name in ["p", &q] {
        let deleted = rig.ask(json!({"command": "delete", "call-id": name, "delete-delay": 0}));
        assert_eq!(deleted["result"], "ok", "{deleted}");
    }
    await_some("closed sockets", || {
        let media = |port: &u16| (20_000..32_000).contains(port);
        (!udp::bound(rig.at.ip()).iter().any(media)).then_some(())
    });
    assert_eq!(
        await_some("moves that came to nothing", || {
            Some(rig.counted("tollgate_ng_calls_sent_back_total")).filter(|count| *count == 20)
        }),
        20
    );
    assert_eq!(rig.counted("tollgate_engine_drops_total"), 0);
}
