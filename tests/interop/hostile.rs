//! Garbage on every port of the running programs: they keep working, stay small, and say why they dropped it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tests::{Address, Engine, Plan, Process, Watch, udp};

use crate::paid_provider::{alice, assert_says, calls, provider, records, setup, takes};

/// What a program may grow by under garbage, in KiB: far less than the garbage itself.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// Repeatable noise (an xorshift), so that a failure can be had again.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a small number");
        usize::try_from(self.next() % limit).expect("below a usize")
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Resident memory in KiB.
fn memory_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// SIP that is cut off, too long, contradictory or none at all.
fn sip_garbage(noise: &mut Noise, to: SocketAddr) -> Vec<u8> {
    let sound = format!(
        "INVITE sip:4930@{to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.9.9:5060;branch=z9hG4bK{}\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:c@d>\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        noise.next(),
        noise.next()
    )
    .into_bytes();
    match noise.below(6) {
        0 => {
            let length = noise.below(1_400);
            noise.bytes(length)
        }
        1 => sound[..noise.below(sound.len())].to_vec(),
        2 => {
            let mut torn = sound;
            for _ in 0..8 {
                let at = noise.below(torn.len());
                torn[at] = noise.next().to_le_bytes()[0];
            }
            torn
        }
        3 => [&sound[..sound.len() - 2], "X-Long: ".as_bytes(), &[b'x'; 40_000], b"\r\n\r\n"].concat(),
        4 => [&sound[..sound.len() - 2], "X: y\r\n".repeat(2_000).as_bytes(), b"\r\n"].concat(),
        _ => {
            let text = String::from_utf8(sound).expect("it is text");
            text.replace("Content-Length: 0", "Content-Length: 4294967296").into_bytes()
        }
    }
}

/// Sends `garbage` inside of TLS, and leaves.
fn within_tls(to: SocketAddr, garbage: &[u8]) {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", &to.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl starts; tests/run installs it");
    let mut input = client.stdin.take().expect("stdin is piped");
    let _closed = input.write_all(garbage);
    drop(input);
    let _refused = client.wait().expect("a child can be awaited");
}

/// NG that is cut off, nested without end, contradictory or none at all.
fn ng_garbage(noise: &mut Noise) -> Vec<u8> {
    let cookie = noise.next();
    let body = match noise.below(6) {
        0 => {
            let length = noise.below(1_400);
            noise.bytes(length)
        }
        1 => [b'l'; 30_000].to_vec(),
        2 => "{\"a\":".repeat(8_000).into_bytes(),
        3 => "[".repeat(30_000).into_bytes(),
        4 => b"d7:command5:offer7:call-id99999999999:".to_vec(),
        _ => b"{\"command\":\"offer\",\"call-id\":\"x\",\"from-tag\":\"y\",\"sdp\":\"v=0\\r\\nm=audio 99999999 RTP\"}".to_vec(),
    };
    [format!("{cookie} ").as_bytes(), &body].concat()
}

#[test]
fn control_outlives_garbage_over_udp_tcp_and_tls() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let engine = Engine::start(at, &[]);
    let tcp = at.socket();
    let listener = format!("[[listener]]\ntransport = \"tcp\"\naddress = \"{tcp}\"\n");
    let mut node = setup(at, &[&engine], &[&carrier], "5.00").config(&listener).start();
    let before = memory_kib(&node.control);
    let mut noise = Noise(0x5ca1_ab1e);
    // A stranger of another address, so that the limits of its source are not the caller's.
    let stranger = UdpSocket::bind((Address::new().ip(), 0)).expect("a port");
    for _ in 0..3_000 {
        let garbage = sip_garbage(&mut noise, node.sip);
        let _full = stranger.send_to(&garbage, node.sip);
    }
    // Connections of plain TCP, and such as speak no TLS where they should.
    for index in 0..200 {
        let to = if index % 2 == 0 { tcp } else { node.tls };
        let mut stream = TcpStream::connect(to).expect("it listens");
        stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let _closed = stream.write_all(&sip_garbage(&mut noise, to));
    }
    for _ in 0..10 {
        within_tls(node.tls, &sip_garbage(&mut noise, node.tls));
    }
    // A handshake that begins and stops, and a message that does.
    let mut begun = TcpStream::connect(node.tls).expect("it listens");
    begun.write_all(&[22, 3, 1, 64, 0, 1]).expect("it reads");
    let mut stopped = TcpStream::connect(tcp).expect("it listens");
    stopped.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nVia: ").expect("it reads");

    let mut caller = alice(&node, calls().pauses().hangs_up()).pause_ms(100).start(at);
    caller.await_success();
    carrier.await_success();
    assert_says(&records(&node, 1, "4.9479")[0], &json!({"sip_status": 200, "billed_seconds": 1}));
    let after = memory_kib(&node.control);
    assert!(after < before + GROWTH_KIB_MAX, "{before} KiB grew to {after} KiB");
    node.control.await_line("reason for drops", |line| line.contains("dropped at the transports"));
}

#[test]
fn an_engine_outlives_garbage_at_its_ng_port_and_at_its_media_ports() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let (mut engine, node) = provider(at, &[&carrier]);
    let before = memory_kib(&engine.process);
    let mut noise = Noise(0xdead_beef);
    let stranger = UdpSocket::bind((Address::new().ip(), 0)).expect("a port");
    for _ in 0..3_000 {
        let garbage = ng_garbage(&mut noise);
        let _full = stranger.send_to(&garbage, engine.ng);
    }
    let mut caller = alice(&node, calls().plays().pauses().hangs_up()).pause_ms(2_000).start(at);
    let mut watch = Watch::new(engine.ng);
    let call = watch.await_call();
    watch.await_packets(&call, 25);
    let mut ports = udp::bound_ports(at.ip());
    ports.retain(|port| (20_000..32_000).contains(port));
    assert_eq!(ports.len(), 4, "two pairs: {ports:?}");
    for _ in 0..3_000 {
        let length = noise.below(1_400);
        let garbage = noise.bytes(length);
        let port = ports[noise.below(ports.len())];
        let _full = stranger.send_to(&garbage, SocketAddr::new(at.ip(), port));
    }
    caller.await_success();
    carrier.await_success();
    assert_says(&records(&node, 1, "4.9438")[0], &json!({"sip_status": 200, "billed_seconds": 3}));
    let after = memory_kib(&engine.process);
    assert!(after < before + GROWTH_KIB_MAX, "{before} KiB grew to {after} KiB");
    engine.process.await_line("reason for drops", |line| line.contains("unknown_source="));
}
