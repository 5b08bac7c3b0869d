//! An engine of several workers, and parties that talk through it.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use load::Relay;
use load::ng::Client;
use serde_json::{Value, json};
use tests::process::{await_some, tollgate};
use tests::{Address, Process, udp};

pub(super) struct Rig {
    pub(super) engine: Process,
    pub(super) at: Address,
    pub(super) ng: SocketAddr,
    http: SocketAddr,
    client: Client,
}

impl Rig {
    pub(super) fn start(flags: &[&str]) -> Rig {
        Rig::start_by(&[], flags)
    }

    /// Starts the engine by another program, such as one that limits it.
    pub(super) fn start_by(launcher: &[&str], flags: &[&str]) -> Rig {
        let at = Address::new();
        let (ng, http) = (at.socket(), at.socket());
        let program = tollgate();
        let mut words = launcher.iter().map(AsRef::as_ref).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().expect("the engine at least"));
        command
            .args(words)
            .args(["engine", "--port-min", "20000", "--port-max", "31999"])
            .args([format!("--interface={at}"), format!("--listen-ng={ng}"), format!("--listen-http={http}")])
            .args(flags);
        let engine = Process::start("tollgate engine", &mut command);
        udp::await_bound(ng);
        udp::await_listening(http);
        Rig { engine, at, ng, http, client: Client::new(ng).expect("a client") }
    }

    pub(super) fn ask(&mut self, request: Value) -> Value {
        self.client.answer(&request).expect("an answer")
    }

    /// Sets a call up between a caller and a callee; where each of them sends to, or why not.
    pub(super) fn call(
        &mut self,
        call_id: &str,
        ends: [SocketAddr; 2],
        tags: [&str; 2],
    ) -> Result<Relay, Value> {
        self.call_in(0, call_id, ends, tags)
    }

    /// The same with another payload type.
    pub(super) fn call_in(
        &mut self,
        payload_type: u8,
        call_id: &str,
        ends: [SocketAddr; 2],
        tags: [&str; 2],
    ) -> Result<Relay, Value> {
        let about = |command: &str, sdp: String| {
            let mut request =
                json!({"command": command, "call-id": call_id, "from-tag": tags[0], "sdp": sdp});
            if command == "answer" {
                request["to-tag"] = json!(tags[1]);
            }
            request
        };
        let [for_callee, for_caller] = [("offer", ends[0]), ("answer", ends[1])].map(|(command, end)| {
            let answer = self.ask(about(command, sdp(end, payload_type)));
            media(&answer).map(|port| SocketAddr::new(self.at.ip(), port)).ok_or(answer)
        });
        Ok(Relay { for_callee: for_callee?, for_caller: for_caller? })
    }

    pub(super) fn query(&mut self, call_id: &str) -> Value {
        self.ask(json!({"command": "query", "call-id": call_id}))
    }

    pub(super) fn connect(&mut self, one: &str, from_tag: &str, other: &str, to_tag: &str) -> Value {
        self.ask(json!({"command": "connect", "call-id": one, "from-tag": from_tag, "to-call-id": other,
            "to-tag": to_tag}))
    }

    pub(super) fn delete(&mut self, call_id: &str) -> Value {
        self.ask(json!({"command": "delete", "call-id": call_id, "delete-delay": 0}))
    }

    /// Calls that have moved, once the page tells of some.
    pub(super) fn moved(&self) -> u64 {
        await_some("a page that tells of moves", || {
            Some(self.counted("tollgate_ng_calls_moved_total")).filter(|moved| *moved > 0)
        })
    }

    /// Waits until no media socket is open.
    pub(super) fn await_no_media(&self) {
        await_some("closed sockets", || {
            let media = |port: &u16| (20_000..32_000).contains(port);
            (!udp::bound(self.at.ip()).iter().any(media)).then_some(())
        });
    }

    /// The sum of a counter over all workers, once the page has been written anew.
    pub(super) fn counted(&self, name: &str) -> u64 {
        let output = Command::new("curl")
            .args(["--silent", "--fail", &format!("http://{}/metrics", self.http)])
            .output();
        let output = output.expect("curl starts; tests/run installs it");
        let page = String::from_utf8(output.stdout).expect("text");
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// A caller and a callee of all calls, who send one packet after the other.
pub(super) struct Ends([UdpSocket; 2]);

impl Ends {
    pub(super) fn new(at: Address) -> Ends {
        let end = || {
            let end = UdpSocket::bind((at.ip(), 0)).expect("a port");
            end.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            end
        };
        Ends([end(), end()])
    }

    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        self.0.each_ref().map(|end| end.local_addr().expect("it is bound"))
    }

    /// Each sends a packet, and the other hears it.
    pub(super) fn talk(&self, relay: Relay, number: u8) {
        for (from, to, hears) in [(0, relay.for_caller, 1), (1, relay.for_callee, 0)] {
            let packet = voice(number);
            self.0[from].send_to(&packet, to).expect("sent");
            let mut heard = [0; 2048];
            let length = self.0[hears].recv(&mut heard).expect("relayed");
            assert_eq!(heard[..length], packet);
        }
    }
}

pub(super) fn voice(number: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, number, 0, 0, number, 0, 0, 0, 0, 7];
    packet.resize(172, number);
    packet
}

/// Says so when it is over, however that comes.
pub(super) struct Until<'a>(pub(super) &'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn sdp(at: SocketAddr, payload_type: u8) -> String {
    let (ip, port) = (at.ip(), at.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n"
    )
}

/// The port of the section of a description.
pub(super) fn media(answer: &Value) -> Option<u16> {
    let line = answer["sdp"].as_str()?.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    line.split(' ').next()?.parse().ok()
}

pub(super) fn tags(report: &Value) -> Vec<&str> {
    let mut tags: Vec<&str> =
        report["tags"].as_object().into_iter().flatten().map(|(tag, _)| &**tag).collect();
    tags.sort_unstable();
    tags
}

/// What a recording holds: to which port, from which, and what. That tshark reads it is shown in `recording.rs`.
pub(super) fn packets(path: &Path) -> Vec<(u16, u16, Vec<u8>)> {
    let file = std::fs::read(path).expect("a recording");
    let mut rest = &file[24..];
    let mut packets = Vec::new();
    while let [_, _, _, _, _, _, _, _, a, b, c, d, _, _, _, _, packet @ ..] = rest {
        let length = u32::from_le_bytes([*a, *b, *c, *d]);
        let (packet, more) = packet.split_at(usize::try_from(length).expect("a short packet"));
        // 20 bytes of IPv4, 8 of UDP.
        let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        packets.push((port(22), port(20), packet[28..].to_vec()));
        rest = more;
    }
    packets
}
