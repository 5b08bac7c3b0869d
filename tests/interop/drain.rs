//! SIGTERM to an engine with live calls: they finish, nobody new comes in, and a limit ends the wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use load::ng::Client;
use load::{Calls, Traffic};
use serde_json::{Value, json};
use tests::party::{receive, sections, voice};
use tests::{Address, Certificate, Engine, Line, Party, Tls, udp};

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

/// An engine that is asked over one connection from the first offer to the last delete, and drains in between.
fn drains_over(listener: SocketAddr, flags: &[&str], open: impl Fn() -> Line) {
    let at = Address::new();
    let mut engine = Engine::start(at, &[&["--drain-timeout", "600"], flags].concat());
    udp::await_listening(listener);
    let mut line = open();
    let [a, b] = [(); 2].map(|()| Party::new(at));
    let signal = |command: &str, call_id: &str, party: &Party| json!({"command": command, "call-id": call_id, "from-tag": "a", "to-tag": "b", "sdp": party.sdp()});
    let offer =
        |call_id: &str| json!({"command": "offer", "call-id": call_id, "from-tag": "a", "sdp": a.sdp()});
    assert_eq!(line.ask(&offer("live"))["result"], "ok");
    let for_a = sections(&line.ask(&signal("answer", "live", &b)))[0];
    engine.process.signal("TERM");
    engine.process.await_line("drain", |line| line.contains("draining"));

    let mut refused = offer("new");
    assert_eq!(line.ask(&refused)["error-reason"], "Parallel session limit reached");
    refused["supports"] = json!(["load limit"]);
    assert_eq!(line.ask(&refused), json!({"result": "load limit", "message": "Draining"}));
    // The call that is there goes on, may be changed and looked at, and is ended when its parties end it.
    assert_eq!(line.ask(&signal("offer", "live", &a))["result"], "ok");
    assert_eq!(sections(&line.ask(&signal("answer", "live", &b))), [for_a]);
    a.rtp.send_to(&voice(1, 1), for_a).expect("sent");
    assert_eq!(receive(&b.rtp).0, voice(1, 1));
    assert_eq!(
        open().ask(&json!({"command": "ping"})),
        json!({"result": "pong"}),
        "another connection is taken"
    );
    let query = line.ask(&json!({"command": "query", "call-id": "live"}));
    assert_eq!(query["totals"]["RTP"]["packets"], 1, "{query}");
    let end = line.ask(&json!({"command": "delete", "call-id": "live", "from-tag": "a", "delete-delay": 0}));
    assert_eq!(end["result"], "ok", "whoever ends the last call is answered");
    engine.process.await_success();
    assert!(engine.process.said().contains("no call is left"), "{}", engine.process.said());
}

#[test]
fn whoever_asks_over_a_stream_goes_on_while_the_engine_drains_and_is_answered_to_the_last() {
    let at = Address::new();
    let folder = tempfile::tempdir().expect("a folder");
    let [server, client] = ["server", "client"].map(|name| Certificate::write(folder.path(), name, at));
    for _again in 0..2 {
        let (stream, http) = (at.socket(), at.socket());
        drains_over(stream, &["--listen-tcp-ng", &stream.to_string()], || Line::tcp(stream));
        let listen = http.to_string();
        drains_over(http, &["--listen-http", &listen], || Line::websocket(http));
        drains_over(http, &["--listen-http", &listen], || Line::http(http));
        let [cert, key] = [&server.certificate, &server.key].map(|file| file.display().to_string());
        let flags = ["--listen-tls-ng", &stream.to_string(), "--https-cert", &cert, "--https-key", &key];
        let pin = client.pin();
        drains_over(stream, &[&flags[..], &["--ng-pin", &pin]].concat(), || {
            Line::stream(Tls::connect(stream, &server.certificate, Some(&client)))
        });
    }
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
