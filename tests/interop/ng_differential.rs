//! The same NG messages to Debian's rtpengine and to our engine: the same answers but for ports, clocks and whatever
//! [`DEVIATIONS`] names with its reason.

mod ask;
mod body;
mod checks;
mod compare;
mod deviations;
mod dice;
mod generate;
mod generated;
mod hearers;
mod messages;
mod mux;
mod options;
mod parties;
mod secure;
mod secure_body;
mod secure_deviations;
mod tally;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use engine_core::{Input, Interfaces, Output, PortRange, Shard, ShardConfig};
use rtp::units::Instant;
use tests::{Address, Engine, Process, Rtpengine};

use compare::{Normaliser, difference};
use generated::Outcome;
use messages::{Message, SCENARIOS};

/// Where we answer otherwise, and why: the message's name (`scenario/message`), the reason.
const DEVIATIONS: &[(&str, &str)] = &[
    ("broken-sdp/empty", "an offer of nothing is `ok` without SDP there; here it is missing its SDP"),
    ("forked/query-early", FORKED),
    (
        "garbage/unfinished",
        "half a dictionary is taken for a whole one there; half a message must not start a call",
    ),
    (
        "lines/bare-newlines",
        "lines of its own end in CRLF there among others ending in LF; one description, one ending",
    ),
    (
        "latching/kept",
        "the port that is shown now is kept; 10.5 takes the newest of those that it ever showed",
    ),
    ("mismatch/answer-unoffered-codecs", "payload types are not ours to strip while nothing is transcoded"),
    ("mismatch/answer-without-ptime", "the offerer's ptime is not put into the answerer's mouth"),
    ("opensips/delete", DELETED),
    ("query/delete", DELETED),
    ("replace/flattened", "list options as flags with a prefix are understood, as in later releases"),
    (
        "publish/event-first",
        "a publication is a voice or a picture; telephone events alone are not what was meant",
    ),
    ("publish/unknown-codec-first", "what is only relayed need not be a codec that could be transcoded"),
    ("subscribe/unsubscribe-nobody", "that there was nobody is said in a warning"),
    (
        "subscribe-options/sections-of-all",
        "what a party rejected is rejected towards its hearers too; a name stands for one section (RFC 5888)",
    ),
];

const FORKED: &str =
    "the offerer is heard by every branch until one is deleted; 10.5 forgets all but the last";
const DELETED: &str =
    "statistics stand in every reply to a delete; 10.5 leaves them out where no tag was given";

/// Anything that answers NG.
trait NgPeer {
    /// The document that answers this one.
    fn ask(&mut self, document: &[u8]) -> Vec<u8>;
}

/// A daemon behind UDP.
struct Daemon {
    _process: Process,
    /// What it records.
    _folder: tempfile::TempDir,
    socket: UdpSocket,
    asked: u32,
}

impl Daemon {
    /// Debian's, in user space, on ports that the engine does not use.
    fn rtpengine(at: Address, ports: (u16, u16)) -> Daemon {
        Daemon::rtpengine_with(at, ports, &[])
    }

    /// The same with more interfaces.
    fn rtpengine_with(at: Address, ports: (u16, u16), interfaces: &[String]) -> Daemon {
        let mut flags = vec!["--delete-delay=30".to_owned()];
        flags.extend([format!("--port-min={}", ports.0), format!("--port-max={}", ports.1)]);
        flags.extend(interfaces.iter().map(|interface| format!("--interface={interface}")));
        let folder = tempfile::tempdir().expect("a folder");
        flags.push(format!("--recording-dir={}", folder.path().join("recordings").display()));
        flags.push("--recording-method=pcap".to_owned());
        let daemon = Rtpengine::start(at, &flags.iter().map(String::as_str).collect::<Vec<_>>());
        Daemon::new(daemon.process, folder, daemon.ng)
    }

    /// Ours.
    fn tollgate(at: Address) -> Daemon {
        Daemon::tollgate_with(at, &[])
    }

    /// The same with more interfaces.
    fn tollgate_with(at: Address, interfaces: &[String]) -> Daemon {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("recordings").display().to_string();
        let mut flags = vec!["--delete-delay", "30", "--recording-dir", &directory];
        flags.extend(interfaces.iter().flat_map(|interface| ["--interface", interface]));
        let engine = Engine::start(at, &flags);
        Daemon::new(engine.process, folder, engine.ng)
    }

    fn new(process: Process, folder: tempfile::TempDir, ng: SocketAddr) -> Daemon {
        let socket = UdpSocket::bind((ng.ip(), 0)).expect("a port");
        socket.connect(ng).expect("a local address");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        Daemon { _process: process, _folder: folder, socket, asked: 0 }
    }
}

impl NgPeer for Daemon {
    /// Repeats the question with the same cookie, as a proxy would.
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

/// A shard of our engine with nothing around it: every socket it asks for opens.
struct BareShard(Shard);

impl BareShard {
    fn new(at: Address) -> BareShard {
        BareShard::with(at, &[])
    }

    /// The same with more interfaces.
    fn with(at: Address, interfaces: &[String]) -> BareShard {
        let texts = std::iter::once(at.to_string()).chain(interfaces.iter().cloned());
        let interfaces = texts.map(|text| text.parse().expect("an interface")).collect();
        let interfaces = Interfaces::new(interfaces).expect("one is enough");
        let ports = PortRange::whole(20_000, 39_999, 1);
        let mut config = ShardConfig::new(interfaces, ports, std::time::Instant::now());
        config.limits.recordings_max = 10_000;
        BareShard(Shard::new(config, 1))
    }
}

impl NgPeer for BareShard {
    fn ask(&mut self, document: &[u8]) -> Vec<u8> {
        let (encoding, request) = ng::read_document(document);
        let mut replies = Vec::new();
        match request {
            Err(error) => replies.push(ng::Reply::from(error)),
            Ok(request) => {
                self.0.handle_input(Instant::ZERO, 1, Input::Command { id: 1, command: request.command });
                while let Some(output) = self.0.poll_output() {
                    match output {
                        Output::OpenSocket { socket, .. } => {
                            self.0.handle_input(
                                Instant::ZERO,
                                1,
                                Input::SocketOpened { socket, result: Ok(()) },
                            );
                        }
                        Output::Reply { reply, .. } => replies.push(*reply),
                        _ => {}
                    }
                }
            }
        }
        let [reply] = replies.as_slice() else { panic!("one question, replies {replies:?}") };
        let mut answer = Vec::new();
        reply.encode(encoding, &mut answer);
        answer
    }
}

/// Every message to both peers in the same order; the names of those that were answered otherwise, with the difference.
fn differences(theirs: &mut dyn NgPeer, ours: &mut dyn NgPeer) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (scenario, messages) in SCENARIOS.iter().map(|scenario| (scenario.name, (scenario.messages)())) {
        let mut calls: BTreeMap<String, [Normaliser; 2]> = BTreeMap::new();
        for Message { name, call_id, document } in messages {
            let (expected, actual) = (theirs.ask(&document), ours.ask(&document));
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
    let mut theirs = Daemon::rtpengine(at, (40_000, 49_999));
    alike_but_for_deviations(&mut theirs, &mut Daemon::tollgate(at));
}

#[test]
fn a_bare_shard_answers_as_rtpengine_does() {
    let at = Address::new();
    let mut theirs = Daemon::rtpengine(at, (40_000, 49_999));
    alike_but_for_deviations(&mut theirs, &mut BareShard::new(at));
}

fn alike_but_for_deviations(theirs: &mut dyn NgPeer, ours: &mut dyn NgPeer) {
    let mut found = differences(theirs, ours);
    let gone: Vec<_> = DEVIATIONS.iter().filter(|(name, _)| found.remove(*name).is_none()).collect();
    assert!(found.is_empty(), "{} answers differ:\n\n{}", found.len(), join(&found));
    assert!(gone.is_empty(), "listed as deviations, but alike: {gone:?}");
}

/// Two daemons of one kind must agree, or the comparison itself is wrong.
#[test]
fn rtpengine_answers_as_rtpengine_does() {
    let at = Address::new();
    let mut first = Daemon::rtpengine(at, (40_000, 44_999));
    let mut second = Daemon::rtpengine(at, (45_000, 49_999));
    let found = differences(&mut first, &mut second);
    assert!(found.is_empty(), "{} answers differ:\n\n{}", found.len(), join(&found));
}

/// Every made-up call; `NG_CALLS` asks for more of them than run by default, `NG_CALL` for a single one by its number.
#[test]
fn made_up_calls_are_answered_as_rtpengine_does() {
    let (at, other) = (Address::new(), Address::new());
    let interfaces = ["::1".to_owned(), format!("priv/{other}")];
    let mut theirs = Daemon::rtpengine_with(at, (40_000, 49_999), &interfaces);
    let mut ours = Daemon::tollgate_with(at, &interfaces);
    made_up_calls_are_alike(&mut theirs, &mut ours, 0);
}

/// Others than the whole engine is asked about.
#[test]
fn made_up_calls_are_answered_by_a_bare_shard_as_rtpengine_does() {
    let (at, other) = (Address::new(), Address::new());
    let interfaces = ["::1".to_owned(), format!("priv/{other}")];
    let mut theirs = Daemon::rtpengine_with(at, (40_000, 49_999), &interfaces);
    let mut ours = BareShard::with(at, &interfaces);
    made_up_calls_are_alike(&mut theirs, &mut ours, 1_000_000);
}

fn made_up_calls_are_alike(theirs: &mut dyn NgPeer, ours: &mut dyn NgPeer, first: u64) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let single = asked("NG_CALL");
    let last = first + asked("NG_CALLS").unwrap_or(CALLS);
    let outcome = Outcome::of(theirs, ours, single.map_or(first..last, |number| number..number + 1));
    println!("{} questions\n{}", outcome.asked, outcome.tally.table());
    for deviation in deviations::DEVIATIONS {
        let times = outcome.explained.get(deviation.name).copied().unwrap_or(0);
        println!("{times:>8}  {}: {}", deviation.name, deviation.reason);
    }
    let unexplained = outcome.unexplained();
    assert!(unexplained.is_empty(), "\n{unexplained}");
    if single.is_none() {
        let names = generate::COUNTED.iter().chain(&generate::GATES).copied().chain(options::names());
        let rare: Vec<_> = names.filter(|name| outcome.tally.times(name) < 50).collect();
        assert!(rare.is_empty(), "asked fewer than 50 times: {rare:?}");
        let names = deviations::DEVIATIONS.iter().map(|one| one.name);
        let names = names.filter(|name| !deviations::RARE.contains(name));
        let stale: Vec<_> = names.filter(|name| !outcome.explained.contains_key(name)).collect();
        assert!(stale.is_empty(), "listed as deviations, but never seen: {stale:?}");
    }
}

/// Calls that are made up where nobody asks for more.
const CALLS: u64 = 1200;

fn join(found: &BTreeMap<String, String>) -> String {
    found.values().cloned().collect::<Vec<_>>().join("\n")
}
