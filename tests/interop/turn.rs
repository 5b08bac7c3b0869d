//! Our TURN server with the clients of coturn, and with those same clients coturn's own server: channels and indications
//! over UDP, TCP and TLS, many at once, and toward whom nobody may be relayed.

use std::net::SocketAddr;
use std::process::Command;

use tests::process::PATIENCE;
use tests::{Address, Engine, Process, udp};

const REALM: &str = "example.org";
const SECRET: &str = "north";

/// A TURN server, where it is heard, and a peer that sends back what it is sent.
struct Rig {
    _server: Process,
    turn: SocketAddr,
    tls: SocketAddr,
    metrics: SocketAddr,
    peer: SocketAddr,
    _peer: Process,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// Ours.
    fn tollgate() -> Rig {
        let (at, of_peer) = (Address::new(), Address::new());
        let (turn, tls, metrics) = (at.socket(), at.socket(), at.socket());
        let folder = certified();
        let file = |name: &str| folder.path().join(name).display().to_string();
        let flags = [
            "--listen-turn",
            &turn.to_string(),
            "--listen-turn-tls",
            &tls.to_string(),
            "--turn-cert",
            &file("certificate.pem"),
            "--turn-key",
            &file("key.pem"),
            "--turn-realm",
            REALM,
            "--turn-secret-file",
            &file("secrets"),
            "--turn-allow-peer",
            &of_peer.to_string(),
            "--turn-user-max-allocations",
            "2000",
            "--listen-http",
            &metrics.to_string(),
        ];
        let engine = Engine::start(at, &flags);
        let (peer, of_peer) = echo(of_peer);
        Rig { _server: engine.process, turn, tls, metrics, peer: of_peer, _peer: peer, _folder: folder }
    }

    /// Debian's.
    fn coturn() -> Rig {
        let (at, of_peer) = (Address::new(), Address::new());
        let (turn, tls) = (at.socket(), at.socket());
        let folder = certified();
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--log-file=stdout", "--no-cli", "--no-dtls", "--fingerprint", "--use-auth-secret"])
            .args([
                "--allow-loopback-peers",
                "--min-port=20000",
                "--max-port=31999",
                "--no-software-attribute",
            ])
            .args(["--cert=certificate.pem", "--pkey=key.pem", "--pidfile=pid", "--userdb=users"])
            .arg(format!("--static-auth-secret={SECRET}"))
            .arg(format!("--realm={REALM}"))
            .arg(format!("--listening-ip={at}"))
            .arg(format!("--relay-ip={at}"))
            .arg(format!("--listening-port={}", turn.port()))
            .arg(format!("--tls-listening-port={}", tls.port()))
            .current_dir(folder.path());
        let server = Process::start("turnserver", &mut command);
        udp::await_bound(turn);
        let (peer, of_peer) = echo(of_peer);
        Rig { _server: server, turn, tls, metrics: turn, peer: of_peer, _peer: peer, _folder: folder }
    }

    /// What coturn's clients say of themselves, as they are told to be and toward a peer.
    fn clients(&self, port: SocketAddr, peer: SocketAddr, flags: &[&str]) -> String {
        let mut command = Command::new("timeout");
        command
            .args([
                (8 * PATIENCE.as_secs()).to_string().as_str(),
                "turnutils_uclient",
                "-u",
                "alice",
                "-W",
                SECRET,
            ])
            .args(["-e", &peer.ip().to_string(), "-r", &peer.port().to_string()])
            .args(["-L", &Address::new().to_string(), "-p", &port.port().to_string()])
            .args(flags)
            .arg(port.ip().to_string());
        let output = command.output().expect("turnutils_uclient starts; tests/run installs it");
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// Everybody has heard everything that was sent.
    fn all_heard(&self, port: SocketAddr, messages: usize, flags: &[&str]) {
        let said = self.clients(port, self.peer, flags);
        let wanted = format!("tot_send_msgs={messages}, tot_recv_msgs={messages}");
        assert!(said.lines().any(|line| line.ends_with(&wanted)), "{flags:?}: {wanted}\n{said}");
    }

    /// One count of ours.
    fn count(&self, name: &str, label: &str) -> u64 {
        let output = Command::new("curl")
            .args(["--silent", "--fail", &format!("http://{}/metrics", self.metrics)])
            .output();
        let page =
            String::from_utf8(output.expect("curl starts; tests/run installs it").stdout).expect("text");
        let of = |line: &&str| line.starts_with(name) && line.contains(label);
        let value = page.lines().find(of).and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("{name} {label} is on the page\n{page}"))
    }
}

/// A folder with a certificate, its key and the secret.
fn certified() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=turn", "-newkey", "ec"]);
    command.args([
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-keyout",
        "key.pem",
        "-out",
        "certificate.pem",
    ]);
    Process::start("openssl req", command.current_dir(folder.path())).await_success();
    std::fs::write(folder.path().join("secrets"), format!("# of the tests\n{SECRET}\n")).expect("written");
    folder
}

/// Coturn's peer.
fn echo(at: Address) -> (Process, SocketAddr) {
    let socket = at.socket();
    let mut command = Command::new("turnutils_peer");
    command.args(["-L", &at.to_string(), "-p", &socket.port().to_string()]);
    let peer = Process::start("turnutils_peer", &mut command);
    udp::await_bound(socket);
    (peer, socket)
}

/// On channels, in indications, and from client to client.
fn every_way(rig: &Rig, port: SocketAddr, flags: &[&str]) {
    for (way, messages) in [(&["-c"][..], 20), (&["-c", "-s"], 20), (&[], 20), (&["-c", "-y"], 20)] {
        let flags = [flags, way, &["-n", "5", "-m", "4"]].concat();
        rig.all_heard(port, messages, &flags);
    }
}

#[test]
fn coturns_clients_are_served_over_udp_and_tcp() {
    let rig = Rig::tollgate();
    for transport in [&[][..], &["-t"]] {
        every_way(&rig, rig.turn, transport);
    }
}

#[test]
fn coturns_clients_are_served_inside_tls() {
    let rig = Rig::tollgate();
    every_way(&rig, rig.tls, &["-t", "-S"]);
}

/// The script is right: coturn's own server passes it.
#[test]
fn coturns_clients_are_served_by_coturn() {
    let rig = Rig::coturn();
    for transport in [&[][..], &["-t"]] {
        every_way(&rig, rig.turn, transport);
    }
}

#[test]
fn five_hundred_clients_lose_nothing() {
    let rig = Rig::tollgate();
    rig.all_heard(rig.turn, 1000, &["-c", "-n", "2", "-m", "500"]);
}

#[test]
fn nobody_is_relayed_to_what_is_not_public() {
    let rig = Rig::tollgate();
    for peer in ["127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80", "192.168.1.1:80", "224.0.0.1:80"] {
        let said = rig.clients(rig.turn, peer.parse().expect("an address"), &["-c", "-n", "1", "-m", "1"]);
        assert!(said.contains("error 403"), "{peer}\n{said}");
    }
    // Its own ports: of an address that other clients may have, so that nothing is refused, and nothing arrives.
    let own = rig.metrics;
    let said = rig.clients(rig.turn, own, &["-c", "-n", "2", "-m", "1"]);
    assert!(said.contains("tot_send_msgs=2, tot_recv_msgs=0"), "{said}");
    tests::process::await_some("drop", || {
        (rig.count("tollgate_turn_drops_total", "own_address") >= 2).then_some(())
    });
    assert!(rig.count("tollgate_turn_requests_total", "\"403\"") >= 5);
    assert_eq!(rig.count("tollgate_turn_packets_total", "to_peers"), 0);
}
