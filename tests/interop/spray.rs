//! The attack of CVE-2025-53399 over real sockets: a third host sends to the whole port range while a call is set up, talks and
//! is changed. Ours must let nothing in and nothing out; what Debian's rtpengine does is printed beside.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Address, Engine, Process, Rtpengine};

/// The whole port range of both, small enough to be sprayed many times a second.
const PORTS: std::ops::Range<u16> = 21_000..21_200;

/// How both are told to learn.
const MODES: [&str; 4] = ["delayed", "immediate", "heuristic", "off"];

/// The flags of a message, by their column.
const FLAGS: [&[&str]; 3] = [&[], &["strict-source"], &["media-handover"]];

/// What an attacker sends marks itself by this byte, what a phone sends by another.
const HOSTILE: u8 = 0x66;
const FRIENDLY: u8 = 0x11;

/// Packets that went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Harm {
    /// Heard by a phone though the attacker sent them.
    injected: u64,
    /// Heard by the attacker though a phone sent them.
    leaked: u64,
}

/// A socket that sends RTP and counts what it hears.
struct Party {
    socket: UdpSocket,
    seq: u16,
    heard: u64,
    hostile: u64,
}

impl Party {
    fn new(ip: IpAddr) -> Party {
        let socket = UdpSocket::bind((ip, 0)).expect("a port");
        socket.set_nonblocking(true).expect("a socket can be told not to block");
        Party { socket, seq: 0, heard: 0, hostile: 0 }
    }

    fn at(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket has an address")
    }

    /// What has arrived.
    fn listen(&mut self) {
        let mut packet = [0; 2_048];
        loop {
            match self.socket.recv(&mut packet) {
                Ok(0) => self.heard += 1,
                Ok(length) => {
                    self.heard += 1;
                    self.hostile += u64::from(packet[length - 1] == HOSTILE);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A port that is closed meanwhile.
                Err(_) => {}
            }
        }
    }

    fn send(&mut self, to: SocketAddr) {
        self.seq = self.seq.wrapping_add(1);
        let _refused = self.socket.send_to(&packet(0, self.seq, 1, FRIENDLY), to);
    }
}

/// 172 bytes of RTP: a header and 20 ms of G.711.
fn packet(payload_type: u8, seq: u16, ssrc: u32, mark: u8) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(172, mark);
    packet
}

/// The third host.
struct Attacker {
    party: Party,
    lap: u16,
}

impl Attacker {
    /// One packet to every port: of a stream, of another SSRC each time, of a payload type nobody offered, and none of RTP.
    fn spray(&mut self, engine: IpAddr) {
        self.lap += 1;
        let packet = match self.lap % 4 {
            0 => packet(0, self.lap / 4, 9, HOSTILE),
            1 => packet(0, self.lap, u32::from(self.lap), HOSTILE),
            2 => packet(3, self.lap, 9, HOSTILE),
            _ => vec![HOSTILE; 172],
        };
        for port in PORTS {
            let _refused = self.party.socket.send_to(&packet, (engine, port));
        }
    }
}

/// An engine under attack, and who asks it.
struct Siege {
    engine: IpAddr,
    ng: UdpSocket,
    asked: u32,
    attacker: Attacker,
    _process: Process,
}

impl Siege {
    fn of_tollgate() -> Siege {
        let at = Address::new();
        let (min, max) = (PORTS.start.to_string(), (PORTS.end - 1).to_string());
        let engine = Engine::start(at, &["--port-min", &min, "--port-max", &max]);
        Siege::new(at, engine.ng, engine.process)
    }

    fn of_rtpengine(mode: &str) -> Siege {
        let at = Address::new();
        let (min, max) = (PORTS.start, PORTS.end - 1);
        let flags =
            [format!("--endpoint-learning={mode}"), format!("--port-min={min}"), format!("--port-max={max}")];
        let daemon = Rtpengine::start(at, &flags.each_ref().map(String::as_str));
        Siege::new(at, daemon.ng, daemon.process)
    }

    fn new(at: Address, ng: SocketAddr, process: Process) -> Siege {
        let socket = UdpSocket::bind((ng.ip(), 0)).expect("a port");
        socket.connect(ng).expect("a local address");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let attacker = Attacker { party: Party::new(Address::new().ip()), lap: 0 };
        Siege { engine: at.ip(), ng: socket, asked: 0, attacker, _process: process }
    }

    fn ask(&mut self, message: &Value) -> Value {
        self.asked += 1;
        let cookie = format!("{}_{}", std::process::id(), self.asked);
        let mut reply = vec![0; 65_536];
        for _ in 0..10 {
            self.ng.send(format!("{cookie} {message}").as_bytes()).expect("the engine is there");
            while let Ok(length) = self.ng.recv(&mut reply) {
                let (answered, document) = ng::split_cookie(&reply[..length]).expect("a reply has a cookie");
                if answered == cookie.as_bytes() {
                    return serde_json::from_slice(document).expect("JSON answers JSON");
                }
            }
        }
        panic!("no reply to {message}");
    }

    /// An offer or answer of a party; the port that the other one is shown.
    fn signal(&mut self, command: &str, mode: &str, flags: &[&str], call: &str, from: &Party) -> SocketAddr {
        let at = from.at();
        let (ip, port) = (at.ip(), at.port());
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let mut message = json!({
            "command": command, "call-id": call, "from-tag": "a", "sdp": sdp, "flags": flags,
            "endpoint-learning": mode, "received-from": ["IP4", ip.to_string()],
        });
        if command == "answer" {
            message["to-tag"] = json!("b");
        }
        let reply = self.ask(&message);
        assert_eq!(reply["result"], "ok", "{reply}");
        let shown = reply["sdp"].as_str().expect("a description");
        let port =
            shown.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
        SocketAddr::new(self.engine, port.expect("a port"))
    }

    /// Sprays for so long, while parties send every 20 ms where they were told to.
    fn last(&mut self, span: Duration, sending: &mut [(&mut Party, SocketAddr)]) {
        let begin = Instant::now();
        let mut ticks = 0;
        while begin.elapsed() < span {
            if begin.elapsed().as_millis() >= ticks * 20 {
                ticks += 1;
                self.attacker.spray(self.engine);
                for (party, to) in sending.iter_mut() {
                    party.send(*to);
                }
            }
            for (party, _) in sending.iter_mut() {
                party.listen();
            }
            self.attacker.party.listen();
            std::thread::yield_now();
        }
    }

    /// A call from the ringing to the talk after a change; what the attacker achieved, and what the phones heard of each other.
    fn call(&mut self, name: &str, mode: &str, flags: &[&str]) -> (Vec<(&'static str, Harm)>, u64) {
        let (mut a, mut b) = (Party::new(Address::new().ip()), Party::new(Address::new().ip()));
        let mut phases = Vec::new();
        let mut before = Harm::default();
        let mut note = |phase, siege: &mut Siege, a: &mut Party, b: &mut Party| {
            a.listen();
            b.listen();
            siege.attacker.party.listen();
            let now = Harm { injected: a.hostile + b.hostile, leaked: siege.attacker.party.heard };
            phases.push((
                phase,
                Harm { injected: now.injected - before.injected, leaked: now.leaked - before.leaked },
            ));
            before = now;
        };
        self.attacker.party.heard = 0;
        let toward_b = self.signal("offer", mode, flags, name, &a);
        self.last(SOON, &mut []);
        note("ringing", self, &mut a, &mut b);
        let toward_a = self.signal("answer", mode, flags, name, &b);
        self.last(SOON, &mut []);
        note("answered", self, &mut a, &mut b);
        self.last(TALK, &mut [(&mut a, toward_a), (&mut b, toward_b)]);
        note("talking", self, &mut a, &mut b);
        self.signal("offer", mode, flags, name, &a);
        self.signal("answer", mode, flags, name, &b);
        self.last(SOON, &mut []);
        self.last(SOON, &mut [(&mut a, toward_a), (&mut b, toward_b)]);
        note("changed", self, &mut a, &mut b);
        let reply = self.ask(&json!({"command": "query", "call-id": name}));
        if let Some(offenders) = reply["offenders"].as_array() {
            let attacker = self.attacker.party.at().to_string();
            assert!(offenders.iter().any(|one| one["address"] == json!(attacker)), "{reply}");
        }
        self.ask(&json!({"command": "delete", "call-id": name, "from-tag": "a", "delete-delay": 0}));
        (phases, (a.heard - a.hostile).min(b.heard - b.hostile))
    }
}

const SOON: Duration = Duration::from_millis(100);
const TALK: Duration = Duration::from_millis(400);

#[test]
fn a_spray_over_the_whole_port_range_lets_nothing_in_and_nothing_out() {
    println!("learning, flags: phase injected/leaked … (packets of a call under attack by a third host)");
    let mut ours = Siege::of_tollgate();
    for mode in MODES {
        let mut theirs = Siege::of_rtpengine(mode);
        for flags in FLAGS {
            let name = format!("{mode} {}", flags.join(" "));
            for (who, siege) in [("rtpengine", &mut theirs), ("tollgate", &mut ours)] {
                let (phases, heard) = siege.call(&name, mode, flags);
                let shown: Vec<String> = phases
                    .iter()
                    .map(|(phase, harm)| format!("{phase} {}/{}", harm.injected, harm.leaked))
                    .collect();
                println!("{who:>9} {name}: {}", shown.join(", "));
                if who == "tollgate" {
                    assert!(phases.iter().all(|(_, harm)| *harm == Harm::default()), "{name}: {phases:?}");
                    assert!(heard > 0, "the phones hear each other");
                }
            }
        }
    }
}
