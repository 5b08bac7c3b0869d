//! Our DTLS associations against OpenSSL's own programs over loopback: both providers, both roles, certificates of RSA
//! and ECDSA, every SRTP profile, and the exported keys compared.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rtp::dtls::{
    Association, DATAGRAM_BYTES_MAX, Event, FailReason, Fingerprints, HashFunction, Identity, Provider,
    Providers, Role, SrtpKeys, Terms,
};
use rtp::srtp::Suite;
use rtp::units::Instant;
use tests::{Address, Process, process::PATIENCE, udp};

/// The suites that DTLS-SRTP has, with OpenSSL's names of their profiles.
const SUITES: [(Suite, &str); 4] = [
    (Suite::AesCm128HmacSha1_80, "SRTP_AES128_CM_SHA1_80"),
    (Suite::AesCm128HmacSha1_32, "SRTP_AES128_CM_SHA1_32"),
    (Suite::AeadAes128Gcm, "SRTP_AEAD_AES_128_GCM"),
    (Suite::AeadAes256Gcm, "SRTP_AEAD_AES_256_GCM"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Ecdsa,
    Rsa,
}

/// A certificate that OpenSSL's program made, in a folder of its own.
struct Certificate(tempfile::TempDir);

impl Certificate {
    fn new(kind: Kind) -> Certificate {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = match kind {
            Kind::Ecdsa => ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            Kind::Rsa => ["rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:65537"],
        };
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=peer", "-newkey"]).args(key);
        command.args(["-keyout", "key.pem", "-out", "certificate.pem"]).current_dir(folder.path());
        Process::start("openssl req", &mut command).await_success();
        Certificate(folder)
    }

    /// Its fingerprint as OpenSSL's program tells it, in the form of a description.
    fn described(&self, hash: HashFunction) -> Fingerprints {
        let option = format!("-{}", hash.name().replace('-', ""));
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-in", "certificate.pem", "-noout", "-fingerprint", &option])
            .current_dir(&self.0);
        let mut process = Process::start("openssl x509", &mut command);
        let line = process.await_line("fingerprint", |line| line.contains("Fingerprint="));
        let digits = line.split_once('=').expect("a fingerprint").1;
        Fingerprints::parse([format!("{hash} {digits}").as_str()]).expect("OpenSSL's fingerprint")
    }
}

/// Our end: a socket, an association, and the clock that its owner keeps.
struct Ours {
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    base: std::time::Instant,
    association: Association,
}

impl Ours {
    fn new(socket: UdpSocket, peer: Option<SocketAddr>, terms: Terms<'_>) -> Ours {
        let (providers, base) = prepared();
        let now = Instant::from_nanos(u64::try_from(base.elapsed().as_nanos()).expect("a short test"));
        let association = Association::new(providers, terms, now).expect("an association");
        Ours { socket, peer, base: *base, association }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.base.elapsed().as_nanos()).expect("a short test"))
    }

    /// Sends what is ready; returns how many datagrams that were.
    fn send(&mut self) -> usize {
        let mut count = 0;
        let mut room = [0; DATAGRAM_BYTES_MAX];
        while let Some(bytes) = self.association.poll_transmit(&mut room) {
            let peer = self.peer.expect("only an answer is sent before the peer is known");
            self.socket.send_to(&room[..bytes], peer).expect("loopback takes a datagram");
            count += 1;
        }
        count
    }

    /// Talks to the peer until something happens.
    fn await_event(&mut self, what: &str) -> Event {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            self.send();
            if let Some(event) = self.association.poll_event() {
                return event;
            }
            assert!(std::time::Instant::now() < end, "no {what} in {PATIENCE:?}: {:?}", self.association);
            let due = self.association.next_deadline().map(|at| at.saturating_since(self.now()));
            let wait = due.unwrap_or(PATIENCE).clamp(Duration::from_millis(1), Duration::from_secs(1));
            self.socket.set_read_timeout(Some(wait)).expect("a timeout");
            let mut datagram = [0; 4096];
            if let Ok((bytes, from)) = self.socket.recv_from(&mut datagram) {
                self.peer = Some(from);
                let now = self.now();
                let _ = self.association.handle_datagram(now, &datagram[..bytes]);
            }
            let now = self.now();
            self.association.handle_timeout(now);
        }
    }

    fn await_keys(&mut self) -> SrtpKeys {
        match self.await_event("keys") {
            Event::Connected(connected) => connected.keys.clone(),
            other => panic!("{other:?} instead of keys"),
        }
    }
}

fn prepared() -> &'static (Providers, std::time::Instant) {
    static PREPARED: OnceLock<(Providers, std::time::Instant)> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let base = std::time::Instant::now();
        (Providers::new(Identity::generate().expect("an identity"), base).expect("both libraries"), base)
    })
}

/// OpenSSL's program as the other end. What is written into its pipe is typed into it.
struct Theirs {
    process: Process,
    pipe: std::path::PathBuf,
}

impl Theirs {
    /// `s_client` toward `at`, or `s_server` on it.
    fn start(
        ours: Role,
        at: SocketAddr,
        certificate: &Certificate,
        profile: (Suite, &str),
        more: &str,
    ) -> Theirs {
        let (program, place) = match ours {
            Role::Client => ("s_server", format!("-accept {at} -Verify 1")),
            Role::Server => ("s_client", format!("-connect {at}")),
        };
        let pipe = certificate.0.path().join(format!("typed-{}", at.port()));
        Process::start("mkfifo", Command::new("mkfifo").arg(&pipe)).await_success();
        let script = format!(
            "tail -f \"$1\" | openssl {program} -dtls1_2 {place} -cert certificate.pem -key key.pem -use_srtp {} \
             -keymatexport EXTRACTOR-dtls_srtp -keymatexportlen {} {more}",
            profile.1,
            2 * profile.0.master_bytes()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script, "typed"]).arg(&pipe).current_dir(&certificate.0);
        let process = Process::start(program, &mut command);
        if ours == Role::Client {
            udp::await_bound(at);
        }
        Theirs { process, pipe }
    }

    fn type_in(&self, text: &str) {
        let path: &Path = &self.pipe;
        let mut pipe = std::fs::OpenOptions::new().append(true).open(path).expect("the pipe opens");
        pipe.write_all(text.as_bytes()).expect("the pipe takes a line");
    }

    /// What it exported: client key, server key, client salt, server salt.
    fn await_export(&mut self) -> Vec<u8> {
        let line = self.process.await_line("exported keys", |line| line.contains("Keying material: "));
        let digits = line.rsplit(' ').next().expect("digits");
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }
}

fn exported(keys: &SrtpKeys, role: Role) -> Vec<u8> {
    let (client, server) = match role {
        Role::Client => (&keys.local, &keys.remote),
        Role::Server => (&keys.remote, &keys.local),
    };
    [client.key(), server.key(), client.salt(), server.salt()].concat()
}

/// Both ends, talking.
fn pair(
    provider: Provider,
    role: Role,
    certificate: &Certificate,
    suite: (Suite, &str),
    expected: &Fingerprints,
    more: &str,
) -> (Ours, Theirs) {
    let address = Address::new();
    let socket = UdpSocket::bind((address.ip(), 0)).expect("a socket");
    let terms = Terms { provider, role, expected: Some(expected), suites: &Suite::ALL, seed: [3; 32] };
    match role {
        Role::Client => {
            let at = address.socket();
            let theirs = Theirs::start(role, at, certificate, suite, more);
            (Ours::new(socket, Some(at), terms), theirs)
        }
        Role::Server => {
            let at = socket.local_addr().expect("a bound socket has an address");
            let ours = Ours::new(socket, None, terms);
            (ours, Theirs::start(role, at, certificate, suite, more))
        }
    }
}

fn agree(provider: Provider, role: Role, kind: Kind, suite: (Suite, &str), hash: HashFunction, more: &str) {
    let certificate = Certificate::new(kind);
    let expected = certificate.described(hash);
    let (mut ours, mut theirs) = pair(provider, role, &certificate, suite, &expected, more);
    let keys = ours.await_keys();
    assert_eq!(keys.suite, suite.0, "{provider} {role:?} {kind:?}");
    assert_eq!(exported(&keys, role), theirs.await_export(), "{provider} {role:?} {kind:?} {}", suite.1);
}

#[test]
fn openssl_programs_export_the_same_srtp_keys() {
    for role in [Role::Client, Role::Server] {
        for (index, suite) in SUITES.into_iter().enumerate() {
            let hash = HashFunction::ALL[index];
            agree(Provider::OpenSsl, role, Kind::Ecdsa, suite, hash, "");
            agree(Provider::OpenSsl, role, Kind::Rsa, suite, hash, "");
            if Provider::Dimpl.suites().contains(&suite.0) {
                agree(Provider::Dimpl, role, Kind::Ecdsa, suite, HashFunction::ALL[index + 1], "");
            }
        }
    }
}

/// A peer on a narrow path sends its messages in fragments; one that asks for a cookie gets it back.
#[test]
fn openssl_programs_with_fragments_and_cookies_agree_too() {
    for provider in [Provider::Dimpl, Provider::OpenSsl] {
        for role in [Role::Client, Role::Server] {
            agree(provider, role, Kind::Ecdsa, SUITES[0], HashFunction::Sha256, "-mtu 256");
        }
        agree(provider, Role::Client, Kind::Ecdsa, SUITES[0], HashFunction::Sha256, "-listen");
    }
    agree(Provider::OpenSsl, Role::Client, Kind::Rsa, SUITES[2], HashFunction::Sha256, "-mtu 256 -listen");
}

/// dimpl knows no RSA: it says so in a way that sends the next attempt to OpenSSL.
#[test]
fn a_peer_with_an_rsa_certificate_fails_on_one_provider_and_gets_the_other() {
    for role in [Role::Client, Role::Server] {
        let certificate = Certificate::new(Kind::Rsa);
        let expected = certificate.described(HashFunction::Sha256);
        let (mut ours, theirs) = pair(Provider::Dimpl, role, &certificate, SUITES[0], &expected, "");
        let Event::Failed(reason) = ours.await_event("failure") else {
            panic!("dimpl read an RSA certificate")
        };
        assert!(reason.other_provider_may_do(), "{role:?}: {reason:?}");
        drop(theirs);
        let next = Provider::choose(None, Some(ours.association.provider()), true);
        assert_eq!(next, Provider::OpenSsl);
        agree(next, role, Kind::Rsa, SUITES[0], HashFunction::Sha256, "");
    }
}

#[test]
fn another_certificate_than_the_described_one_gives_no_key() {
    for provider in [Provider::Dimpl, Provider::OpenSsl] {
        for role in [Role::Client, Role::Server] {
            let (certificate, other) = (Certificate::new(Kind::Ecdsa), Certificate::new(Kind::Ecdsa));
            let expected = other.described(HashFunction::Sha512);
            let (mut ours, _theirs) = pair(provider, role, &certificate, SUITES[0], &expected, "");
            assert_eq!(
                ours.await_event("failure"),
                Event::Failed(FailReason::Fingerprint),
                "{provider} {role:?}"
            );
        }
    }
}

/// `Q` ends s_client with close_notify. `R` asks for a renegotiation, which it does not get, and what was agreed stays.
#[test]
fn close_notify_is_told_and_renegotiation_refused() {
    for provider in [Provider::Dimpl, Provider::OpenSsl] {
        let certificate = Certificate::new(Kind::Ecdsa);
        let expected = certificate.described(HashFunction::Sha256);
        let (mut ours, mut theirs) = pair(provider, Role::Server, &certificate, SUITES[0], &expected, "");
        ours.await_keys();
        theirs.await_export();
        theirs.type_in("Q\n");
        assert_eq!(ours.await_event("end"), Event::Closed, "{provider}");
        theirs.process.await_exit();

        let (mut ours, mut theirs) = pair(provider, Role::Server, &certificate, SUITES[0], &expected, "");
        ours.await_keys();
        theirs.await_export();
        theirs.type_in("R\n");
        theirs.process.await_line("renegotiation", |line| line.contains("RENEGOTIATING"));
        let now = ours.now();
        let mut datagram = [0; 4096];
        ours.socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (bytes, _) = ours.socket.recv_from(&mut datagram).expect("a second hello");
        assert_eq!((datagram[0], datagram[4]), (22, 1), "a protected handshake message");
        let _ = ours.association.handle_datagram(now, &datagram[..bytes]);
        assert!(ours.association.is_established(), "{provider}");
        assert!(ours.association.poll_event().is_none(), "{provider}: no second keys");
    }
}

/// The first flight goes where nobody listens yet, and is sent again by the clock of the machine: OpenSSL's own timer
/// stands where our deadline does.
#[test]
fn a_peer_that_comes_late_is_asked_again() {
    for provider in [Provider::Dimpl, Provider::OpenSsl] {
        let certificate = Certificate::new(Kind::Ecdsa);
        let expected = certificate.described(HashFunction::Sha256);
        let address = Address::new();
        let at = address.socket();
        let socket = UdpSocket::bind((address.ip(), 0)).expect("a socket");
        let suites = &Suite::ALL;
        let terms = Terms { provider, role: Role::Client, expected: Some(&expected), suites, seed: [3; 32] };
        let mut ours = Ours::new(socket, Some(at), terms);
        assert_eq!(ours.send(), 1, "{provider}");
        let mut theirs = Theirs::start(Role::Client, at, &certificate, SUITES[2], "");
        let keys = ours.await_keys();
        assert_eq!(exported(&keys, Role::Client), theirs.await_export(), "{provider}");
    }
}
