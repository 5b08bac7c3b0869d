//! The command line: Debian's rtpengine-ctl to Debian's rtpengine and to us, the same texts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use load::ng::Client;
use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Engine, Process, Rtpengine, udp};

/// A daemon with a command line and a client of its NG.
struct Peer {
    _process: Process,
    ng: Client,
    cli: SocketAddr,
}

impl Peer {
    fn rtpengine(at: Address) -> Peer {
        let cli = at.socket();
        let daemon = Rtpengine::start(at, &["--delete-delay=30", &format!("--listen-cli={cli}")]);
        Peer::up(daemon.process, daemon.ng, cli)
    }

    fn tollgate(at: Address) -> Peer {
        let cli = at.socket();
        let engine = Engine::start(at, &["--delete-delay", "30", "--listen-cli", &cli.to_string()]);
        Peer::up(engine.process, engine.ng, cli)
    }

    fn up(process: Process, ng: SocketAddr, cli: SocketAddr) -> Peer {
        udp::await_listening(cli);
        let mut ng = Client::new(ng).expect("an NG client");
        ng.await_pong().expect("it answers");
        Peer { _process: process, ng, cli }
    }

    fn ctl(&self, line: &str) -> String {
        let mut command = Command::new("rtpengine-ctl");
        command.args(["-ip", &self.cli.to_string()]).args(line.split_whitespace());
        let output = command.output().expect("rtpengine-ctl starts; tests/run installs it");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn call(&mut self, at: Address, call_id: &str) {
        let sdp = |port: u16| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            )
        };
        let offer = json!({"command": "offer", "call-id": call_id, "from-tag": "from", "sdp": sdp(5000)});
        self.ng.ask(&offer).expect("an offer is taken");
        let answer = json!({"command": "answer", "call-id": call_id, "from-tag": "from", "to-tag": "to", "sdp": sdp(5002)});
        self.ng.ask(&answer).expect("an answer is taken");
    }
}

/// Both daemons.
fn peers() -> (Address, [Peer; 2]) {
    let at = Address::new();
    let ours = Address::new();
    (at, [Peer::rtpengine(at), Peer::tollgate(ours)])
}

/// Digits become `#`, runs of blanks one, and what only one of both has is left out.
fn shape(text: &str) -> Vec<String> {
    let ours_alone = |line: &&str| !line.starts_with("tos:");
    let lines = text.lines().filter(ours_alone).map(|line| {
        let line = match line.split_once("proxy:") {
            Some((before, after)) => {
                format!("{before}proxy:{}", after.trim_start().split_once(' ').map_or("", |(_, rest)| rest))
            }
            None => line.to_owned(),
        };
        let digits: String = line.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let mut squeezed = String::new();
        for c in digits.chars() {
            if !(matches!(c, '#' | ' ') && squeezed.ends_with(c)) {
                squeezed.push(c);
            }
        }
        squeezed
    });
    lines.collect()
}

#[test]
fn lines_without_a_call_are_answered_letter_for_letter() {
    let (_, [theirs, ours]) = peers();
    for line in [
        "list numsessions",
        "get numsessions",
        "list sessions all",
        "list sessions own",
        "list sessions nobody@nowhere",
        "list sessions",
        "list",
        "set",
        "set timeout",
        "params",
        "terminate",
        "terminate nobody@nowhere",
        "terminate all",
        "terminate own",
        "list timeout",
        "list silenttimeout",
        "list offertimeout",
        "list finaltimeout",
        "list deletedelay",
        "list controltos",
        "list transcoders",
        "set maxsessions 5",
        "list maxsessions",
        "set timeout 30",
        "list timeout",
        "set loglevel 6",
        "list maxcpu",
        "list maxload",
        "list maxbw",
        "set maxcpu 50",
        "list maxcpu",
        "set maxload 0.5",
        "list maxload",
        "set maxload 4",
        "list maxload",
        "set maxbw 1000000",
        "set maxbw 0",
        "list maxbw",
        "set maxcpu 0",
        "set maxload 0",
        "set maxopenfiles 1000",
        "set maxopenfiles 99999999",
        "set maxsessions 0",
        "list maxsessions",
        "set silenttimeout 5",
        "list silenttimeout",
        "set maxcpu",
        "set maxopenfiles",
        "set maxcpu x",
        "set maxload x",
        "set maxbw x",
        "set maxopenfiles x",
        "set maxsessions x",
        "set timeout x",
        "set silenttimeout x",
    ] {
        assert_eq!(ours.ctl(line), theirs.ctl(line), "{line}");
    }
    let blurred = |peer: &Peer| shape(&peer.ctl("list maxopenfiles"));
    assert_eq!(blurred(&ours), blurred(&theirs));
    for line in ["list nothing", "nothing", "set nothing 5"] {
        assert!(ours.ctl(line).starts_with("Unknown or incomplete command:"), "{line}");
        assert!(theirs.ctl(line).starts_with("Unknown or incomplete command:"), "{line}");
    }
}

#[test]
fn calls_are_shown_in_the_same_shape_and_can_be_ended() {
    let (at, mut peers) = peers();
    for peer in &mut peers {
        peer.call(at, "one@x");
        peer.call(at, "two@x");
    }
    let [theirs, ours] = &peers;
    assert_eq!(ours.ctl("list numsessions"), theirs.ctl("list numsessions"));
    assert_eq!(shape(&ours.ctl("list sessions one@x")), shape(&theirs.ctl("list sessions one@x")));
    let sorted = |text: String| {
        let mut lines = shape(&text);
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(ours.ctl("list sessions all")), sorted(theirs.ctl("list sessions all")));
    assert_eq!(ours.ctl("terminate one@x"), theirs.ctl("terminate one@x"));
    assert_eq!(ours.ctl("list sessions one@x"), theirs.ctl("list sessions one@x"));
    assert_eq!(ours.ctl("terminate all"), theirs.ctl("terminate all"));
    await_some("no sessions", || {
        (ours.ctl("list sessions all") == theirs.ctl("list sessions all")).then_some(())
    });
    let forced = |peer: &Peer| {
        let stats: Value = serde_json::from_str(&peer.ctl("list jsonstats")).expect("JSON");
        stats["totalstatistics"]["forcedterminatedsessions"].clone()
    };
    assert_eq!(forced(ours), json!(2));
    await_some("their count", || (forced(theirs) == json!(2)).then_some(()));
}

/// Every path of names in a tree; of a list, those of its first element.
fn paths(tree: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match tree {
        Value::Object(entries) => {
            for (name, value) in entries {
                paths(value, &format!("{prefix}/{name}"), found);
            }
        }
        Value::Array(items) => {
            found.insert(prefix.to_owned());
            items.iter().take(1).for_each(|item| paths(item, &format!("{prefix}/*"), found));
        }
        value => {
            let kind = if value.is_number() { "number" } else { "text" };
            found.insert(format!("{prefix}: {kind}"));
        }
    }
}

#[test]
fn statistics_have_every_name_that_rtpengine_has() {
    let (_, mut peers) = peers();
    let all = |text: &Value| {
        let mut found = BTreeSet::new();
        paths(text, "", &mut found);
        found
    };
    let over_ng = peers
        .each_mut()
        .map(|peer| all(&peer.ng.ask(&json!({"command": "statistics"})).expect("statistics")));
    let missing: Vec<_> = over_ng[0].difference(&over_ng[1]).collect();
    assert!(missing.is_empty() && over_ng[0].len() > 200, "over NG: {missing:?}");
    let over_cli =
        peers.each_ref().map(|peer| all(&serde_json::from_str(&peer.ctl("list jsonstats")).expect("JSON")));
    let missing: Vec<_> = over_cli[0].difference(&over_cli[1]).collect();
    assert!(missing.is_empty(), "over the command line: {missing:?}");

    let labels = |text: String| -> BTreeSet<String> {
        let lines =
            text.lines().take_while(|line| !line.starts_with("Graphite") && !line.starts_with("Control"));
        let label = |line: &str| line.split_once(':').map_or(line, |(label, _)| label).to_owned();
        lines.map(label).collect()
    };
    let [theirs, ours] = peers.each_ref().map(|peer| labels(peer.ctl("list totals")));
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty() && theirs.len() > 40, "{missing:?}");
}

#[test]
fn a_line_goes_over_ng_too_and_settings_hold() {
    let at = Address::new();
    let mut ours = Peer::tollgate(at);
    let answer = ours.ng.ask(&json!({"command": "cli", "body": "set maxsessions 1"})).expect("an answer");
    assert_eq!(answer["response"], "Success setting maxsessions to 1\n");
    ours.call(at, "first");
    let sdp =
        format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n");
    let offer = json!({"command": "offer", "call-id": "second", "from-tag": "from", "sdp": sdp});
    let refused = ours.ng.ask(&offer).expect_err("one is enough").to_string();
    assert!(refused.contains("Parallel session limit reached"), "{refused}");
    assert_eq!(ours.ctl("params diff"), "max-sessions: 20000 => 1\n");
    ours.ctl("params revert");
    // Whatever else the machine does, it does more than nothing.
    ours.ctl("set maxload 0.000001");
    let mut number = 0;
    let mut another = |ng: &mut Client| {
        number += 1;
        let call_id = format!("another {number}");
        ng.ask(&json!({"command": "offer", "call-id": call_id, "from-tag": "from", "sdp": sdp}))
    };
    await_some("a refusal for load", || another(&mut ours.ng).err());
    assert_eq!(ours.ctl("params diff"), "max-load: 0 => 0.000001\n");
    ours.ctl("params revert");
    await_some("room again", || another(&mut ours.ng).ok());
}
