//! The same NG messages to Debian's rtpengine and to our engine: the same answers but for ports, clocks and whatever
//! [`DEVIATIONS`] names with its reason.

mod compare;
mod messages;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tests::{Address, Engine, Process, udp};

use compare::{Normaliser, difference};
use messages::{Message, SCENARIOS};

/// Where we answer otherwise, and why: the message's name (`scenario/message`), the reason.
const DEVIATIONS: &[(&str, &str)] = &[];

/// Anything that answers NG over UDP.
struct NgPeer {
    _process: Process,
    socket: UdpSocket,
    asked: u32,
}

impl NgPeer {
    /// Debian's daemon, in user space, on ports that the engine does not use.
    fn rtpengine(at: Address, ports: (u16, u16)) -> NgPeer {
        let ng = at.socket();
        let mut command = Command::new("rtpengine");
        command
            .args(["--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=2"])
            .args(["--num-threads=1", "--delete-delay=30"])
            .args([format!("--interface={at}"), format!("--listen-ng={ng}")])
            .args([format!("--port-min={}", ports.0), format!("--port-max={}", ports.1)]);
        let process = Process::start("rtpengine", &mut command);
        udp::await_bound(ng);
        NgPeer::new(process, ng)
    }

    /// Ours.
    fn tollgate(at: Address) -> NgPeer {
        let engine = Engine::start(at, &["--delete-delay", "30"]);
        NgPeer::new(engine.process, engine.ng)
    }

    fn new(process: Process, ng: SocketAddr) -> NgPeer {
        let socket = UdpSocket::bind((ng.ip(), 0)).expect("a port");
        socket.connect(ng).expect("a local address");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        NgPeer { _process: process, socket, asked: 0 }
    }

    /// The document that answers this one; repeated with the same cookie as a proxy would.
    fn ask(&mut self, document: &[u8]) -> Vec<u8> {
        self.asked += 1;
        let cookie = format!("{}_{}", std::process::id(), self.asked);
        let datagram = [cookie.as_bytes(), b" ", document].concat();
        let mut reply = vec![0; 65_536];
        for _ in 0..5 {
            self.socket.send(&datagram).expect("the peer is there");
            while let Ok(length) = self.socket.recv(&mut reply) {
                let (answered, document) = ng::split_cookie(&reply[..length]).expect("a reply has a cookie");
                if answered == cookie.as_bytes() {
                    return document.to_vec();
                }
            }
        }
        panic!("no reply to {}", String::from_utf8_lossy(document));
    }
}

/// Every message to both peers in the same order; the names of those that were answered otherwise, with the difference.
fn differences(theirs: &mut NgPeer, ours: &mut NgPeer) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (scenario, messages) in SCENARIOS.iter().map(|scenario| (scenario.name, (scenario.messages)())) {
        let mut calls: BTreeMap<String, [Normaliser; 2]> = BTreeMap::new();
        for Message { name, call_id, document } in messages {
            let [expected, actual] = [&mut *theirs, &mut *ours].map(|peer| peer.ask(&document));
            let [first, second] = calls.entry(call_id).or_default();
            let (expected, actual) = (first.lines(&expected), second.lines(&actual));
            if expected != actual {
                let name = format!("{scenario}/{name}");
                let text = format!(
                    "{name}\n  asked {}\n{}",
                    String::from_utf8_lossy(&document).escape_debug(),
                    difference(&expected, &actual)
                );
                let before = found.insert(name, text);
                assert!(before.is_none(), "two messages of one name");
            }
        }
    }
    found
}

#[test]
fn the_engine_answers_as_rtpengine_does() {
    let at = Address::new();
    let mut theirs = NgPeer::rtpengine(at, (40_000, 49_999));
    let mut ours = NgPeer::tollgate(at);
    let mut found = differences(&mut theirs, &mut ours);
    let gone: Vec<_> = DEVIATIONS.iter().filter(|(name, _)| found.remove(*name).is_none()).collect();
    assert!(found.is_empty(), "{} answers differ:\n\n{}", found.len(), join(&found));
    assert!(gone.is_empty(), "listed as deviations, but alike: {gone:?}");
}

/// Two daemons of one kind must agree, or the comparison itself is wrong.
#[test]
fn rtpengine_answers_as_rtpengine_does() {
    let at = Address::new();
    let mut first = NgPeer::rtpengine(at, (40_000, 44_999));
    let mut second = NgPeer::rtpengine(at, (45_000, 49_999));
    let found = differences(&mut first, &mut second);
    assert!(found.is_empty(), "{} answers differ:\n\n{}", found.len(), join(&found));
}

fn join(found: &BTreeMap<String, String>) -> String {
    found.values().cloned().collect::<Vec<_>>().join("\n")
}
