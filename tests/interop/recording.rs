//! Calls recorded to pcap: what tshark reads there is what was sent, and what rtpengine writes of the same call.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use load::ng::Client;
use serde_json::{Value, json};
use tests::capture::dissect;
use tests::process::{await_some, tollgate};
use tests::{Address, Engine, Party, Process, Rtpengine, party, udp};

/// A packet: from where, to where, what.
type Packet = (SocketAddr, SocketAddr, Vec<u8>);

/// What was sent, in order.
#[derive(Default)]
struct Sent(Vec<Packet>);

impl Sent {
    /// Sends and, unless nobody hears it yet, waits until it has been relayed.
    fn send(&mut self, from: &UdpSocket, to: SocketAddr, packet: Vec<u8>, hears: Option<&UdpSocket>) {
        from.send_to(&packet, to).expect("loopback takes it");
        if let Some(hears) = hears {
            let mut heard = vec![0; 2048];
            let length = hears.recv(&mut heard).expect("relayed");
            assert_eq!(heard[..length], packet);
        }
        self.0.push((from.local_addr().expect("it is bound"), to, packet));
    }
}

fn voice(number: u16) -> Vec<u8> {
    party::voice(7, number)
}

fn report() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 7]
}

/// Where a reply says that its section is.
fn media(reply: &Value) -> SocketAddr {
    party::sections(reply)[0]
}

/// Files of a folder below a recording directory; the names that end in `ending`.
pub(crate) fn files(directory: &Path, folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join(folder)).expect("the folder is there");
    let mut found: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

/// The only one, once it is there.
fn only(directory: &Path, folder: &str, ending: &str) -> PathBuf {
    await_some(&format!("file in {folder}"), || match &files(directory, folder, ending)[..] {
        [only] => Some(only.clone()),
        _ => None,
    })
}

/// Packets of a file as tshark reads them.
fn read(path: &Path) -> Vec<Packet> {
    let fields = ["ip.src", "udp.srcport", "ip.dst", "udp.dstport", "udp.payload"];
    let packet = |fields: Vec<String>| {
        let [from, from_port, to, to_port, payload] = &fields[..] else { panic!("{fields:?}") };
        let at = |ip: &str, port: &str| format!("{ip}:{port}").parse().expect("an address");
        let byte = |at: usize| u8::from_str_radix(&payload[at..at + 2], 16).expect("hexadecimal");
        (at(from, from_port), at(to, to_port), (0..payload.len()).step_by(2).map(byte).collect())
    };
    dissect(path, &[], &[], "", &fields).into_iter().map(packet).collect()
}

/// A call with early media, a start that is repeated, RTCP, and an end: what was recorded of it must be.
fn call(ng: &mut Client, [a, b]: [&Party; 2], name: &str) -> (Vec<Packet>, [SocketAddr; 2]) {
    let mut sent = Sent::default();
    let mut ask = |request: Value| ng.ask(&request).expect("answered");
    let offer = json!({"command": "offer", "call-id": name, "from-tag": "a", "sdp": a.sdp(), "record call": "on",
        "metadata": "first"});
    let toward_b = media(&ask(offer));
    let answer = json!({"command": "answer", "call-id": name, "from-tag": "a", "to-tag": "b", "sdp": b.sdp(),
        "metadata": "key=value"});
    let toward_a = media(&ask(answer));
    for number in 1..4 {
        sent.send(&a.rtp, toward_a, voice(number), Some(&b.rtp));
        sent.send(&b.rtp, toward_b, voice(number + 100), Some(&a.rtp));
    }
    let [toward_a_rtcp, toward_b_rtcp] =
        [toward_a, toward_b].map(|at| SocketAddr::new(at.ip(), at.port() + 1));
    sent.send(&a.rtcp, toward_a_rtcp, report(), Some(&b.rtcp));
    sent.send(&b.rtcp, toward_b_rtcp, report(), Some(&a.rtcp));
    ask(json!({"command": "start recording", "call-id": name, "from-tag": "a"}));
    sent.send(&a.rtp, toward_a, voice(4), Some(&b.rtp));
    ask(json!({"command": "stop recording", "call-id": name, "from-tag": "a"}));
    let recorded = std::mem::take(&mut sent.0);
    sent.send(&a.rtp, toward_a, voice(5), Some(&b.rtp));
    ask(json!({"command": "delete", "call-id": name, "from-tag": "a", "delete delay": 0}));
    (recorded, [toward_a, toward_b])
}

/// A sheet with its path, its random part, its ports and its times left out.
fn general(sheet: &Path, pcap: &Path, ports: [SocketAddr; 2]) -> String {
    let text = std::fs::read_to_string(sheet).expect("a sheet");
    let text = text.replace(&pcap.display().to_string(), "PCAP");
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for (name, port) in ["A", "B"].iter().zip(ports) {
            for (name, port) in [((*name).to_owned(), port.port()), (format!("{name}+1"), port.port() + 1)] {
                line = line.replace(&port.to_string(), &name);
            }
        }
        for beginning in ["Timestamp started ms: ", "call start time: ", "call end time: "] {
            if line.starts_with(beginning) {
                line = beginning.to_owned();
            }
        }
        out += &line;
        out.push('\n');
    }
    out
}

#[test]
fn a_recording_is_what_was_sent_and_what_rtpengine_writes() {
    let at = Address::new();
    let [a, b] = [Party::new(at), Party::new(at)];
    let folder = tempfile::tempdir().expect("a folder");
    let name = "call/../with blanks%and+signs@host";
    let mut sheets = Vec::new();
    for format in ["eth", "raw"] {
        for kind in ["rtpengine", "tollgate"] {
            let directory = folder.path().join(format!("{kind}-{format}"));
            let flags = [
                format!("--recording-dir={}", directory.display()),
                "--recording-method=pcap".to_owned(),
                format!("--recording-format={format}"),
            ];
            let (_process, ng) = if kind == "tollgate" {
                let engine = Engine::start(at, &flags.each_ref().map(String::as_str));
                (engine.process, engine.ng)
            } else {
                let daemon = Rtpengine::start(at, &flags.each_ref().map(String::as_str));
                (daemon.process, daemon.ng)
            };
            let mut ng = Client::new(ng).expect("a client");
            let (recorded, ports) = call(&mut ng, [&a, &b], name);
            let sheet = only(&directory, "metadata", ".txt");
            let pcap = only(&directory, "pcaps", ".pcap");
            assert_eq!(read(&pcap), recorded, "{kind} {format}");
            assert_eq!(files(&directory, "tmp", ""), Vec::<PathBuf>::new());
            let stem = |path: &Path| {
                let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                name.rsplit_once('-').map(|(stem, random)| (stem.to_owned(), random.len()))
            };
            let link = std::fs::read(&pcap).expect("a file")[20];
            sheets.push((format, stem(&pcap), stem(&sheet), link, general(&sheet, &pcap, ports)));
            if kind == "tollgate" {
                for path in [&pcap, &sheet] {
                    let mode = std::fs::metadata(path).expect("there").permissions().mode();
                    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
                }
            }
        }
    }
    for pair in sheets.chunks(2) {
        assert_eq!(pair[0], pair[1], "rtpengine's first, then ours");
    }
}

#[test]
fn a_pause_leaves_out_one_party_another_and_a_name_is_the_clients() {
    let at = Address::new();
    let [a, b] = [Party::new(at), Party::new(at)];
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path();
    let engine = Engine::start(at, &["--recording-dir", &directory.display().to_string()]);
    let mut ng = Client::new(engine.ng).expect("a client");
    let mut sent = Sent::default();
    let about = |command: &str, more: Value| {
        let mut request = json!({"command": command, "call-id": "c", "from-tag": "a"});
        request.as_object_mut().expect("a dictionary").append(&mut more.as_object().expect("more").clone());
        request
    };
    let toward_b = media(&ng.ask(&about("offer", json!({"sdp": a.sdp()}))).expect("an offer"));
    let answer = ng.ask(&about("answer", json!({"to-tag": "b", "sdp": b.sdp()}))).expect("an answer");
    let toward_a = media(&answer);
    let both = |sent: &mut Sent, number| {
        sent.send(&a.rtp, toward_a, voice(number), Some(&b.rtp));
        sent.send(&b.rtp, toward_b, voice(number + 100), Some(&a.rtp));
    };
    let refused = ng.ask(&about("start recording", json!({"recording-file": "/etc/passwd"})));
    assert!(refused.expect_err("refused").to_string().contains("below the engine's recording-dir"));
    let start = json!({"recording-pattern": "%Y/%c-%t", "recording-dir": "days"});
    ng.ask(&about("start recording", start)).expect("it starts");
    both(&mut sent, 1);
    ng.ask(&about("pause recording", json!({}))).expect("it pauses");
    let mut unrecorded = Sent::default();
    both(&mut unrecorded, 2);
    let query = ng.ask(&about("query", json!({}))).expect("a call");
    assert_eq!(query["recording"], 1);
    ng.ask(&about("start recording", json!({}))).expect("it goes on");
    both(&mut sent, 3);
    let exclude = json!({"flags": ["directional", "exclude-recording"]});
    ng.ask(&about("start recording", exclude)).expect("a is left out");
    both(&mut sent, 4);
    let from_a = sent.0.len() - 2;
    sent.0.remove(from_a);
    ng.ask(&about("delete", json!({"delete delay": 0}))).expect("it ends");
    let sheet = only(directory, "metadata", ".txt");
    let text = std::fs::read_to_string(&sheet).expect("a sheet");
    let pcap = PathBuf::from(text.lines().next().expect("the first line is the path"));
    let folders: Vec<_> = pcap.strip_prefix(directory).expect("below").components().collect();
    assert_eq!(folders.len(), 3, "{}", pcap.display());
    assert!(pcap.ends_with("c-mix.pcap") && pcap.starts_with(directory.join("days")), "{}", pcap.display());
    assert_eq!(read(&pcap), sent.0);

    // What is thrown away leaves nothing.
    let again = json!({"sdp": a.sdp(), "flags": ["record-call"]});
    ng.ask(&about("offer", again)).expect("another call");
    only(directory, "pcaps", ".pcap");
    ng.ask(&about("stop recording", json!({"flags": ["discard-recording"]}))).expect("it stops");
    await_some("end of what was thrown away", || {
        let left = [files(directory, "pcaps", ""), files(directory, "tmp", "")].concat();
        left.is_empty().then_some(())
    });
    assert_eq!(files(directory, "metadata", "").len(), 1);
}

#[test]
fn a_full_disk_ends_the_recording_once_and_the_call_goes_on() {
    let at = Address::new();
    let [a, b] = [Party::new(at), Party::new(at)];
    let folder = tempfile::tempdir().expect("a folder");
    let ng = at.socket();
    // A file system of 64 KiB that only this engine sees.
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=64k tmpfs \"$1\" && shift && exec \"$@\"")
        .arg("sh")
        .arg(folder.path())
        .arg(tollgate())
        .args(["engine", "--workers", "1", "--port-min", "20000", "--port-max", "20100"])
        .args([format!("--interface={at}"), format!("--listen-ng={ng}")])
        .arg(format!("--recording-dir={}", folder.path().display()));
    let mut engine = Process::start("tollgate engine", &mut command);
    udp::await_bound(ng);
    let mut ng = Client::new(ng).expect("a client");
    let own = json!({"owner": "o", "epoch": 1, "record call": "on"});
    let about = |command: &str, sdp: String| {
        let mut request = own.clone();
        let more = json!({"command": command, "call-id": "c", "from-tag": "a", "sdp": sdp});
        request.as_object_mut().expect("a dictionary").append(&mut more.as_object().expect("more").clone());
        request
    };
    let _toward_b = ng.ask(&about("offer", a.sdp())).expect("an offer");
    let mut answer = about("answer", b.sdp());
    answer["to-tag"] = json!("b");
    let toward_a = media(&ng.ask(&answer).expect("an answer"));
    let mut sent = Sent::default();
    let mut send = |number: u16| sent.send(&a.rtp, toward_a, voice(number), Some(&b.rtp));
    // Three times what the disk holds.
    for number in (0..=255).cycle().take(900) {
        send(number);
    }
    engine.await_line("complaint", |line| line.contains("could not be kept"));
    await_some("end of the recording", || {
        send(0);
        let query = ng.ask(&json!({"command": "query", "call-id": "c"})).expect("the call goes on");
        query.get("recording").is_none().then_some(())
    });
    let events = ng.ask(&json!({"command": "events", "since": 0, "owner": "o"})).expect("events");
    let events = events["events"].as_array().expect("a list");
    let failed = events.iter().filter(|event| event["event"] == "recording-failed");
    assert_eq!(failed.count(), 1, "{events:?}");
    send(1);
}
