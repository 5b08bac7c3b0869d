//! Limits on load, to Debian's rtpengine and to our engine: new calls are refused in the same words, known ones are served.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use load::ng::Client;
use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Engine, Process, Rtpengine};

/// An engine, whichever it is, and a client of it.
struct Peer {
    _process: Process,
    ng: Client,
    at: Address,
}

impl Peer {
    /// Debian's.
    fn rtpengine(at: Address, flags: &[&str]) -> Peer {
        let daemon = Rtpengine::start(at, flags);
        Peer { _process: daemon.process, ng: Client::new(daemon.ng).expect("a client"), at }
    }

    /// Ours.
    fn tollgate(at: Address, flags: &[&str]) -> Peer {
        let engine = Engine::start(at, flags);
        Peer { _process: engine.process, ng: Client::new(engine.ng).expect("a client"), at }
    }

    /// The answer to an offer or answer, without the description.
    fn signal(&mut self, command: &str, call_id: &str, supports: bool) -> Value {
        let mut request =
            json!({"command": command, "call-id": call_id, "from-tag": "a", "sdp": sdp(self.at, 5000)});
        if supports {
            request["supports"] = json!(["load limit"]);
        }
        if command == "answer" {
            request["to-tag"] = json!("b");
        }
        let mut answer = self.ng.answer(&request).expect("an answer");
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("sdp");
        }
        answer
    }

    /// Whether a new call is taken; it ends at once if so, since a known one always is.
    fn takes_calls(&mut self) -> bool {
        let taken = self.signal("offer", "probe", true)["result"] == "ok";
        if taken {
            let delete = json!({"command": "delete", "call-id": "probe", "from-tag": "a", "delete-delay": 0});
            self.ng.ask(&delete).expect("a known call is deleted");
        }
        taken
    }

    /// Every kind of client asks for a new call, and goes on with the call `known`.
    fn answers(&mut self, known: &str) -> Vec<Value> {
        let mut answers =
            vec![self.signal("offer", "plain", false), self.signal("offer", "supporting", true)];
        answers.extend([false, true].map(|supports| self.signal("offer", known, supports)));
        answers.push(self.signal("answer", known, false));
        answers.push(self.ng.answer(&json!({"command": "ping"})).expect("a pong"));
        answers
    }
}

fn sdp(at: Address, port: u16) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n")
}

/// What both must answer when new calls are refused with `text`.
fn refusals(text: &str) -> Vec<Value> {
    let ok = json!({"result": "ok"});
    vec![
        json!({"result": "error", "error-reason": "Parallel session limit reached"}),
        json!({"result": "load limit", "message": text}),
        ok.clone(),
        ok.clone(),
        ok,
        json!({"result": "pong"}),
    ]
}

/// Says at its end, a failure's too, that a thread may end.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn both(flags: &[&str]) -> [Peer; 2] {
    [Peer::rtpengine(Address::new(), flags), Peer::tollgate(Address::new(), flags)]
}

#[test]
fn a_full_engine_refuses_as_rtpengine_does() {
    for mut peer in both(&["--max-sessions=1"]) {
        assert_eq!(peer.signal("offer", "known", true), json!({"result": "ok"}));
        assert_eq!(peer.answers("known"), refusals("Parallel session limit reached"));
    }
}

#[test]
fn an_engine_without_ports_refuses_as_rtpengine_does() {
    let mut rtpengine = Peer::rtpengine(Address::new(), &["--port-min=20000", "--port-max=20003"]);
    let mut tollgate = Peer::tollgate(Address::new(), &["--port-min", "20000", "--port-max", "20003"]);
    let mut expected = refusals("");
    let none = json!({"result": "error", "error-reason": "Ran out of ports"});
    (expected[0], expected[1]) = (none.clone(), none);
    for peer in [&mut rtpengine, &mut tollgate] {
        assert_eq!(peer.signal("offer", "known", true), json!({"result": "ok"}));
        assert_eq!(peer.answers("known"), expected);
    }
}

#[test]
fn busy_processors_refuse_as_at_rtpengine() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _done = Done(&done);
        // So that the machine is busy whatever else it has to do.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        for mut peer in both(&["--max-cpu=0.01"]) {
            // Nothing is known of the processors before the first second is over.
            assert_eq!(peer.signal("offer", "known", true), json!({"result": "ok"}));
            await_some("a refusal", || (!peer.takes_calls()).then_some(()));
            assert_eq!(peer.answers("known"), refusals("CPU usage limit exceeded"));
        }
    });
}

#[test]
fn too_many_bytes_a_second_refuse_as_at_rtpengine_until_they_are_fewer() {
    for mut peer in both(&["--max-bandwidth=1000"]) {
        let caller = UdpSocket::bind((peer.at.ip(), 5000)).expect("a port of the test's own address");
        let offer =
            json!({"command": "offer", "call-id": "known", "from-tag": "a", "sdp": sdp(peer.at, 5000)});
        peer.ng.ask(&offer).expect("an offer is answered");
        let mut answer = offer.clone();
        (answer["command"], answer["to-tag"]) = (json!("answer"), json!("b"));
        let answer = peer.ng.ask(&answer).expect("an answer is answered");
        let port = answer["sdp"]
            .as_str()
            .and_then(|sdp| sdp.split("m=audio ").nth(1)?.split(' ').next()?.parse().ok());
        let relay = SocketAddr::new(peer.at.ip(), port.expect("a port"));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let _done = Done(&done);
            scope.spawn(|| {
                let mut packet = [0; 172];
                (packet[0], packet[1]) = (0x80, 8);
                for number in 0u16.. {
                    packet[2..4].copy_from_slice(&number.to_be_bytes());
                    if done.load(Ordering::Relaxed) || caller.send_to(&packet, relay).is_err() {
                        break;
                    }
                    thread::park_timeout(Duration::from_millis(20));
                }
            });
            await_some("a refusal", || (!peer.takes_calls()).then_some(()));
            assert_eq!(peer.answers("known"), refusals("Bandwidth limit exceeded"));
        });
        await_some("room again", || peer.takes_calls().then_some(()));
    }
}
