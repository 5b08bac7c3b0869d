//! SIGTERM to an engine with live calls: they finish, nobody new comes in, and a limit ends the wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use load::ng::Client;
use load::{Calls, Traffic};
use serde_json::{Value, json};
use tests::{Address, Engine, udp};

fn offer(ng: &mut Client, at: Address, supports: bool) -> Value {
    let sdp =
        format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n");
    let mut offer = json!({"command": "offer", "call-id": "new", "from-tag": "a", "sdp": sdp});
    if supports {
        offer["supports"] = json!(["load limit"]);
    }
    ng.answer(&offer).expect("an answer")
}

/// What a load balancer is told.
fn ready(http: SocketAddr) -> String {
    udp::await_listening(http);
    let mut stream = TcpStream::connect(http).expect("a listener");
    let request = format!("GET /ready HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn live_calls_finish_while_new_ones_are_sent_elsewhere_and_the_last_one_ends_the_engine() {
    let at = Address::new();
    let http = at.socket();
    let mut engine = Engine::start(at, &["--drain-timeout", "600", "--listen-http", &http.to_string()]);
    assert!(ready(http).starts_with("HTTP/1.1 200"));
    let traffic = Traffic::open(at.ip()).expect("two ends");
    let (caller, callee) = traffic.addresses().expect("two addresses");
    let calls = Calls::set_up(engine.ng, 3, caller, callee).expect("calls");
    engine.process.signal("TERM");
    engine.process.await_line("drain", |line| line.contains("draining"));
    let mut ng = Client::new(engine.ng).expect("a client");
    let tally = traffic.run(&calls.relays, Duration::from_secs(1)).expect("traffic");
    assert_eq!((tally.sent, tally.intact), (300, 300));
    let refused = json!({"result": "load limit", "message": "Draining"});
    assert_eq!(offer(&mut ng, at, true), refused);
    let refused = json!({"result": "error", "error-reason": "Parallel session limit reached"});
    assert_eq!(offer(&mut ng, at, false), refused);
    assert_eq!(ng.ask(&json!({"command": "ping"})).expect("a pong"), json!({"result": "pong"}));
    assert!(ready(http).starts_with("HTTP/1.1 503"));
    calls.delete().expect("the calls are known to the last");
    engine.process.await_success();
    assert!(engine.process.said().contains("no call is left"), "{}", engine.process.said());
}

#[test]
fn the_limit_ends_the_wait_for_a_call_that_goes_on() {
    let at = Address::new();
    let mut engine = Engine::start(at, &["--drain-timeout", "1"]);
    let mut ng = Client::new(engine.ng).expect("a client");
    assert_eq!(offer(&mut ng, at, true)["result"], "ok");
    let asked = Instant::now();
    engine.process.signal("TERM");
    engine.process.await_success();
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(engine.process.said().contains("drain-timeout"), "{}", engine.process.said());
}

#[test]
fn an_engine_without_calls_ends_at_once() {
    for signal in ["TERM", "INT"] {
        let mut engine = Engine::start(Address::new(), &["--drain-timeout", "600"]);
        engine.process.signal(signal);
        engine.process.await_success();
    }
}
