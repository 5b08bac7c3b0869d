//! What an operator sees of a running engine: the page of metrics, the dashboard and the alerts that read it, and the commands that show calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use load::ng::Client;
use serde_json::{Value, json};
use tests::process::{await_some, tollgate};
use tests::{Address, Engine, udp};

const PACKETS: usize = 100;

/// An engine with a call in which each side has heard the other.
struct Rig {
    engine: Engine,
    http: SocketAddr,
    _recordings: tempfile::TempDir,
}

impl Rig {
    fn start() -> Rig {
        let at = Address::new();
        let http = at.socket();
        let recordings = tempfile::tempdir().expect("a folder");
        let directory = recordings.path().display().to_string();
        let engine = Engine::start(at, &["--listen-http", &http.to_string(), "--recording-dir", &directory]);
        udp::await_listening(http);
        let mut ng = Client::new(engine.ng).expect("an NG client");
        let [a, b] = [(); 2].map(|()| UdpSocket::bind((at.ip(), 0)).expect("a port"));
        let sdp = |socket: &UdpSocket| {
            let port = socket.local_addr().expect("bound").port();
            format!(
                "v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            )
        };
        let offer = json!({"command": "offer", "call-id": "one@x", "from-tag": "from", "sdp": sdp(&a)});
        let for_b = media(at, &ng.ask(&offer).expect("an offer is taken"));
        let answer = json!({"command": "answer", "call-id": "one@x", "from-tag": "from", "to-tag": "to", "sdp": sdp(&b)});
        let for_a = media(at, &ng.ask(&answer).expect("an answer is taken"));
        let mut packet = [0x80, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1].to_vec();
        packet.resize(172, 0xd5);
        let mut heard = [0; 2048];
        for _packet in 0..PACKETS {
            // One after the other, so that no buffer is full.
            a.send_to(&packet, for_a).expect("sent");
            b.recv(&mut heard).expect("relayed");
            b.send_to(&packet, for_b).expect("sent");
            a.recv(&mut heard).expect("relayed");
        }
        Rig { engine, http, _recordings: recordings }
    }

    fn page(&self) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--fail", &format!("http://{}/metrics", self.http)])
            .output();
        let output = output.expect("curl starts; tests/run installs it");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The page once it has counted every packet and request: workers and the door hand their counts over once a second.
    fn whole_page(&self) -> String {
        let packets = format!("tollgate_engine_packets_sent_total{{worker=\"0\"}} {}\n", 2 * PACKETS);
        let answer = "tollgate_ng_request_seconds_count{command=\"answer\"} 1\n";
        await_some("a page with every packet", || {
            Some(self.page()).filter(|page| page.contains(&packets) && page.contains(answer))
        })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let ng = self.engine.ng.to_string();
        let output =
            Command::new(tollgate()).args(arguments).args(["--ng", &ng]).output().expect("tollgate runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

fn media(at: Address, answer: &Value) -> SocketAddr {
    let sdp = answer["sdp"].as_str().expect("a description");
    let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("a section");
    let port = line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::new(at.ip(), port)
}

fn deploy(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every name of ours in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let names = text.match_indices("tollgate_").map(|(at, _)| {
        let rest = &text[at..];
        &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())]
    });
    names.collect()
}

#[test]
fn the_page_counts_a_call_and_its_packets() {
    let rig = Rig::start();
    let page = rig.whole_page();
    for line in [
        "tollgate_engine_calls{worker=\"0\"} 1",
        "tollgate_engine_legs{worker=\"0\"} 2",
        "tollgate_engine_calls_begun_total{worker=\"0\"} 1",
        "tollgate_engine_drops_total{worker=\"0\",reason=\"unknown_source\"} 0",
        "tollgate_ng_request_seconds_count{command=\"offer\"} 1",
        "tollgate_ng_request_seconds_count{command=\"answer\"} 1",
        "tollgate_edge_connections 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    let value = |name: &str| {
        let line =
            page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.trim().parse::<f64>().expect("a number")
    };
    assert_eq!(value("tollgate_engine_batch_packets_sum{worker=\"0\"}"), 2.0 * PACKETS as f64);
    assert!(value("tollgate_engine_added_latency_seconds_count{worker=\"0\"}") >= 1.0);
    assert!(value("tollgate_engine_added_latency_seconds_sum{worker=\"0\"}") > 0.0);
    assert!(value("tollgate_engine_cpu_seconds_total{worker=\"0\"}") > 0.0);
}

#[test]
fn dashboard_and_alerts_ask_for_nothing_that_is_not_there() {
    let rig = Rig::start();
    let page = rig.whole_page();
    let there: BTreeSet<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard: Value =
        serde_json::from_str(&deploy("grafana-engine.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("queries"))
        .map(|target| target["expr"].as_str().expect("a query"))
        .collect();
    assert!(queries.len() > 20);
    for query in queries {
        let missing: Vec<_> = names(query).into_iter().filter(|name| !there.contains(name)).collect();
        assert!(missing.is_empty() && !names(query).is_empty(), "{query}: {missing:?}");
    }
    let alerts = deploy("alerts.yml");
    let missing: Vec<_> = names(&alerts).into_iter().filter(|name| !there.contains(name)).collect();
    assert!(missing.is_empty(), "alerts: {missing:?}");
}

#[test]
fn prometheus_own_tool_reads_the_alerts_and_the_page() {
    let rig = Rig::start();
    let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/alerts.yml");
    let output = Command::new("promtool").args(["check", "rules"]).arg(&rules).output();
    let output = output.expect("promtool starts; tests/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut reading = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts; tests/run installs it");
    reading.stdin.take().expect("stdin is piped").write_all(rig.whole_page().as_bytes()).expect("it reads");
    let output = reading.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Not an opinion about names, units and explanations either.
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn each_metric_is_explained_and_has_its_kind_and_its_unit() {
    let rig = Rig::start();
    let page = rig.whole_page();
    let word = |line: &str, number: usize| line.split(' ').nth(number).unwrap_or_default().to_owned();
    let kinds: BTreeMap<_, _> = page
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .map(|line| (word(line, 2), word(line, 3)))
        .collect();
    let helps: BTreeSet<_> =
        page.lines().filter(|line| line.starts_with("# HELP ")).map(|line| word(line, 2)).collect();
    assert_eq!(kinds.keys().cloned().collect::<BTreeSet<_>>(), helps);
    let mut used = BTreeSet::new();
    for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a name");
        let family = ["_bucket", "_sum", "_count"].into_iter().find_map(|part| {
            let family = name.strip_suffix(part)?;
            kinds.get(family).is_some_and(|kind| kind == "histogram").then_some(family)
        });
        used.insert(family.unwrap_or(name).to_owned());
    }
    assert_eq!(used, helps, "nothing stands there without being explained, or is explained and not there");
    for (name, kind) in &kinds {
        let base = name.strip_suffix("_total");
        assert_eq!(base.is_some(), kind == "counter", "{name} is a {kind}");
        let base = base.unwrap_or(name);
        for unit in ["seconds", "bytes"] {
            assert!(!base.contains(unit) || base.ends_with(unit), "{name}: its unit stands last");
        }
        // A score has no unit; what is counted stands for itself.
        let plain = ["mos", "calls", "legs", "sockets", "connections"];
        let has_unit = ["_seconds", "_bytes", "_packets"].iter().any(|unit| base.ends_with(unit));
        let is_plain = plain.iter().any(|what| base.ends_with(&format!("_{what}")));
        assert!(kind == "counter" || has_unit || is_plain, "{name} has no unit");
    }
}

#[test]
fn top_and_calls_show_what_the_engine_does() {
    let rig = Rig::start();
    let top: Value = serde_json::from_str(&rig.run(&["top", "--json"])).expect("JSON");
    assert_eq!((&top["calls"], &top["workers"][0]["legs"]), (&json!(1), &json!(2)));
    assert_eq!(top["sessions"][0]["call_id"], "one@x");
    assert_eq!(top["sessions"][0]["packets"], json!(2 * PACKETS));
    let lines = rig.run(&["top", "--once"]);
    assert!(lines.starts_with("up 0:0") && lines.contains("one@x"), "{lines}");
    assert_eq!(rig.run(&["calls"]), "one@x\n");
    assert_eq!(rig.run(&["calls", "--json"]), "[\"one@x\"]\n");
    let report: Value = serde_json::from_str(&rig.run(&["calls", "one@x", "--json"])).expect("JSON");
    assert_eq!(report["totals"]["RTP"]["packets"], json!(2 * PACKETS));
    let lines = rig.run(&["calls", "one@x"]);
    assert!(lines.contains("party from\n") && lines.contains(&format!("packets {PACKETS}")), "{lines}");

    let ng = rig.engine.ng.to_string();
    let output =
        Command::new(tollgate()).args(["calls", "nobody", "--ng", &ng]).output().expect("tollgate runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Unknown call-id"), "{said}");
}
