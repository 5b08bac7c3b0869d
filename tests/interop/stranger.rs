//! Parties of whom only a private address is known, behind NATs on public addresses: who is taken for them, and who is not. In a
//! network of the test's own, for the addresses have to be public.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use load::ng::Client;
use serde_json::{Value, json};
use tests::namespace::has_own_network;
use tests::party::{describe, sections, voice};
use tests::{Address, Engine, Party};

const ENGINE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Behind it is the party that describes itself as [`PRIVATE`].
const NAT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

/// A window lasts ten seconds; a little more of 20 ms each.
const TICKS: u16 = 530;

/// What the attacker sends in a tick.
type Attack = fn(tick: u16) -> Option<Vec<u8>>;

const OF_PARTY: u32 = 0xa;
const OF_ATTACKER: u32 = 0xbad;

/// One call, and what was heard in it.
struct Scene {
    name: &'static str,
    attack: Attack,
    party: UdpSocket,
    attacker: UdpSocket,
    peer: Party,
    for_party: SocketAddr,
    for_peer: SocketAddr,
    /// The peer hears: the first packet of the party, and when; the attacker's packets.
    first: Option<(u16, Duration)>,
    injected: usize,
    /// The party and the attacker hear the peer.
    heard: usize,
    leaked: usize,
}

impl Scene {
    fn begin(ng: &mut Client, name: &'static str, more: &Value, attack: Attack) -> Scene {
        let socket = |ip: Ipv4Addr| {
            let socket = UdpSocket::bind((ip, 0)).expect("a port");
            socket.set_nonblocking(true).expect("a socket can be told not to block");
            socket
        };
        let peer = Party::new(Address::own(PEER));
        peer.rtp.set_nonblocking(true).expect("a socket can be told not to block");
        let mut ask = |command: &str, sdp: String| {
            let mut request = more.clone();
            for (key, value) in [("command", command), ("call-id", name), ("from-tag", "a"), ("sdp", &sdp)] {
                request[key] = json!(value);
            }
            if command == "answer" {
                request["to-tag"] = json!("b");
            }
            sections(&ng.ask(&request).expect("it is taken"))[0]
        };
        let for_peer = ask("offer", describe(&[SocketAddr::from((PRIVATE, 4000))], "8", ""));
        let for_party = ask("answer", peer.sdp());
        let (party, attacker) = (socket(NAT), socket(ATTACKER));
        Scene {
            name,
            attack,
            party,
            attacker,
            peer,
            for_party,
            for_peer,
            first: None,
            injected: 0,
            heard: 0,
            leaked: 0,
        }
    }

    fn tick(&mut self, tick: u16, since: Instant) {
        if let Some(packet) = (self.attack)(tick) {
            self.attacker.send_to(&packet, self.for_party).expect("sent");
        }
        self.party.send_to(&voice(OF_PARTY, tick), self.for_party).expect("sent");
        self.peer.rtp.send_to(&voice(1, tick), self.for_peer).expect("sent");
        let mut packet = [0; 2048];
        while self.peer.rtp.recv(&mut packet).is_ok() {
            if packet[8..12] == OF_PARTY.to_be_bytes() {
                let seq = u16::from_be_bytes([packet[2], packet[3]]);
                self.first.get_or_insert_with(|| (seq, since.elapsed()));
            } else {
                self.injected += 1;
            }
        }
        while self.party.recv(&mut packet).is_ok() {
            self.heard += 1;
        }
        while self.attacker.recv(&mut packet).is_ok() {
            self.leaked += 1;
        }
    }

    /// What the engine tells of it: outcomes and addresses.
    fn learned(&self, events: &[Value]) -> Vec<(String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let of_call = |event: &&Value| event["event"] == "learning" && event["call-id"] == self.name;
        events
            .iter()
            .filter(of_call)
            .map(|told| (text(&told["outcome"]).unwrap_or_default(), text(&told["address"])))
            .collect()
    }
}

#[test]
fn of_a_private_address_alone_a_lone_stream_is_taken_or_nobody() {
    let addresses = [ENGINE, PEER, NAT, ATTACKER];
    if !has_own_network("stranger::of_a_private_address_alone_a_lone_stream_is_taken_or_nobody", &addresses) {
        return;
    }
    let engine = Engine::start_on(Address::own(ENGINE), SocketAddr::from((Ipv4Addr::LOCALHOST, 2223)), &[]);
    let mut ng = Client::new(engine.ng).expect("a client");
    let stream = |tick| Some(voice(OF_ATTACKER, tick));
    let noise = |tick: u16| Some(voice(OF_ATTACKER + u32::from(tick), tick.wrapping_mul(977)));
    let usual = json!({});
    let mut scenes = [
        Scene::begin(&mut ng, "alone", &usual, |_| None),
        Scene::begin(&mut ng, "noise", &usual, noise),
        Scene::begin(&mut ng, "late", &usual, |tick| (tick > 150).then(|| voice(OF_ATTACKER, tick))),
        Scene::begin(&mut ng, "rival", &usual, |tick| (tick <= 100).then(|| voice(OF_ATTACKER, tick))),
        Scene::begin(&mut ng, "always", &usual, stream),
        Scene::begin(&mut ng, "strict", &json!({"learn": "strict"}), |_| None),
    ];
    let begun = Instant::now();
    for tick in 1..=TICKS {
        let due = begun + Duration::from_millis(20) * u32::from(tick);
        while let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(wait);
        }
        scenes.iter_mut().for_each(|scene| scene.tick(tick, begun));
    }
    let told = ng.ask(&json!({"command": "events", "since": 0})).expect("events");
    let events = told["events"].as_array().expect("a list");
    let alone = Some(Duration::from_millis(480));
    // The other stream ends after two seconds, and has to have been silent for half a one.
    let after_rival = Some(Duration::from_millis(2_480));
    let nobody: &[_] = &[("nobody".to_owned(), None)];
    let taken_after = [alone, alone, alone, after_rival, None, None];
    let otherwise = [&[], &[], &[], &[], nobody, &[]];
    for ((scene, taken_after), otherwise) in scenes.iter().zip(taken_after).zip(otherwise) {
        let Scene { name, first, heard, .. } = scene;
        println!("{name}: the peer hears the party from {first:?} on, the party hears {heard} of {TICKS}");
        assert_eq!(
            (scene.injected, scene.leaked),
            (0, 0),
            "{name}: of an attacker nothing, and to it nothing"
        );
        let learned = scene.learned(events);
        let Some(after) = taken_after else {
            assert_eq!((*first, *heard, &learned[..]), (None, 0, otherwise), "{name}");
            continue;
        };
        let at = scene.party.local_addr().expect("it is bound").to_string();
        assert_eq!(learned, [("stream".to_owned(), Some(at))], "{name}");
        let (seq, when) = first.unwrap_or_else(|| panic!("{name}: the party is heard"));
        assert!(seq >= 10 && when >= after && *heard > 0, "{name}: {seq} {when:?} {heard}");
    }
}
