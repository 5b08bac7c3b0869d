//! The whole engine over loopback: NG by UDP, RTP by ordinary sockets, on both drivers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use engine::{Engine, RawConfig};
use ng::{Command, Delete, Encoding, Events, List, Ping, Query, Reply, Signal};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod uring {
            $(#[test] fn $name() { super::$name("uring") })*
        }
        mod epoll {
            $(#[test] fn $name() { super::$name("epoll") })*
        }
    };
}

on_both!(
    a_call_relays_both_ways_byte_for_byte_until_it_is_deleted,
    a_repeated_cookie_gets_the_same_bytes,
    a_call_over_ipv6,
    a_call_is_bridged_from_ipv4_to_ipv6,
    a_call_crosses_two_named_interfaces,
    used_up_ports_are_refused_with_the_known_text,
    an_unknown_call_is_an_error,
    two_workers_share_calls_and_lists,
    events_of_an_owned_call_are_told,
    a_lease_ends_on_time_without_a_packet_and_its_report_waits_to_be_read,
    a_deleted_call_frees_its_ports,
);

/// A running engine and a client of it.
struct Rig {
    engine: Option<Engine>,
    client: UdpSocket,
    cookie: u32,
}

impl Rig {
    fn start(driver: &str, interfaces: &[&str], pairs: u16, workers: u16) -> Option<Self> {
        let (port_min, port_max) = ports(pairs);
        let raw = RawConfig {
            interface: interfaces.iter().map(ToString::to_string).collect(),
            listen_ng: vec!["127.0.0.1:0".to_owned()],
            port_min: Some(port_min),
            port_max: Some(port_max),
            workers: Some(workers),
            driver: Some(driver.to_owned()),
            delete_delay: Some(0),
            ..RawConfig::default()
        };
        let engine = match Engine::start(&raw.check().expect("a sound configuration")) {
            Ok(engine) => engine,
            Err(error) if driver == "uring" => {
                eprintln!("not tested on io_uring: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let client = socket("127.0.0.1");
        client.connect(engine.ng_addresses()[0]).expect("loopback");
        Some(Self { engine: Some(engine), client, cookie: 0 })
    }

    fn ask(&mut self, command: &Command) -> Reply {
        self.cookie += 1;
        let cookie = self.cookie.to_string();
        let answer = self.ask_bytes(&command.datagram(&cookie, Encoding::Bencode));
        let document = answer.strip_prefix(format!("{cookie} ").as_bytes()).expect("the same cookie");
        Reply::parse(document).expect("a reply")
    }

    fn ask_bytes(&self, datagram: &[u8]) -> Vec<u8> {
        self.client.send(datagram).expect("sent");
        let mut bytes = vec![0; 65_536];
        let length = self.client.recv(&mut bytes).expect("an answer");
        bytes.truncate(length);
        bytes
    }

    /// Sets a call up between two sockets; returns where each of them sends its RTP.
    fn call(
        &mut self,
        call_id: &str,
        a: &UdpSocket,
        b: &UdpSocket,
        direction: &[&str],
    ) -> (SocketAddr, SocketAddr) {
        let direction: Vec<String> = direction.iter().map(ToString::to_string).collect();
        let mut offer = Signal {
            call_id: call_id.to_owned(),
            from_tag: "a".to_owned(),
            sdp: sdp(a),
            ..Signal::default()
        };
        offer.direction = direction;
        if a.local_addr().expect("bound").is_ipv4() != b.local_addr().expect("bound").is_ipv4() {
            offer.address_family = Some(ng::Family::Ip6);
        }
        let for_b = media_of(&self.ask(&Command::Offer(Box::new(offer))));
        let answer = Signal {
            call_id: call_id.to_owned(),
            from_tag: "a".to_owned(),
            to_tag: Some("b".to_owned()),
            sdp: sdp(b),
            ..Signal::default()
        };
        let for_a = media_of(&self.ask(&Command::Answer(Box::new(answer))));
        (for_a, for_b)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
    }
}

/// Port ranges of tests do not meet.
fn ports(pairs: u16) -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests may run as processes of their own: the process picks a part of the range, the counter a place in it.
    let part = u16::try_from(std::process::id() % 90).expect("small");
    let first = 10_000 + part * 100 + NEXT.fetch_add(pairs * 2, Ordering::Relaxed);
    (first, first + pairs * 2 - 1)
}

fn socket(ip: &str) -> UdpSocket {
    let ip: IpAddr = ip.parse().expect("an address");
    let socket = UdpSocket::bind((ip, 0)).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket
}

fn sdp(socket: &UdpSocket) -> Vec<u8> {
    let local = socket.local_addr().expect("bound");
    let family = if local.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (local.ip(), local.port());
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8\r\na=ptime:20\r\n"
    )
    .into_bytes()
}

/// Where the description of a reply wants RTP.
fn media_of(reply: &Reply) -> SocketAddr {
    let Reply::Signal(signal) = reply else { panic!("{reply:?}") };
    let text = String::from_utf8(signal.sdp.clone()).expect("text");
    let word = |beginning: &str, number: usize| {
        let line = text.lines().find(|line| line.starts_with(beginning)).expect("the line is there");
        line.split_whitespace().nth(number).expect("the word is there").to_owned()
    };
    let ip: IpAddr = word("c=", 2).parse().expect("an address");
    SocketAddr::new(ip, word("m=", 1).parse().expect("a port"))
}

fn packet(sequence: u8, ssrc: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, sequence, 0, 0, 0, sequence, 0, 0, 0, ssrc];
    packet.extend((0..160_u8).map(|byte| byte.wrapping_mul(31).wrapping_add(sequence)));
    packet
}

/// Sends packets both ways and sees each arrive as it was, from where it should.
fn talk(a: &UdpSocket, b: &UdpSocket, for_a: SocketAddr, for_b: SocketAddr) {
    let mut bytes = [0; 2048];
    for sequence in 0..50 {
        for (from, via, to, comes_from, ssrc) in [(a, for_a, b, for_b, 1), (b, for_b, a, for_a, 2)] {
            from.send_to(&packet(sequence, ssrc), via).expect("sent");
            let (length, source) = to.recv_from(&mut bytes).expect("relayed");
            assert_eq!(bytes[..length], packet(sequence, ssrc));
            assert_eq!(source, comes_from);
        }
    }
}

fn a_call_relays_both_ways_byte_for_byte_until_it_is_deleted(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 4, 1) else { return };
    let (a, b) = (socket("127.0.0.1"), socket("127.0.0.1"));
    let (for_a, for_b) = rig.call("c", &a, &b, &[]);
    talk(&a, &b, for_a, for_b);

    let query = Query { call_id: "c".to_owned(), ..Query::default() };
    let Reply::Report(report) = rig.ask(&Command::Query(query)) else { panic!("a report") };
    assert_eq!(report.totals.rtp.packets, 100);

    let delete = Delete { call_id: "c".to_owned(), ..Delete::default() };
    let Reply::Report(report) = rig.ask(&Command::Delete(Box::new(delete))) else { panic!("a report") };
    assert_eq!(report.totals.rtp.packets, 100);
    a.send_to(&packet(0, 1), for_a).expect("sent");
    b.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    assert!(b.recv_from(&mut [0; 64]).is_err(), "nothing is relayed any more");
}

fn a_repeated_cookie_gets_the_same_bytes(driver: &str) {
    let Some(rig) = Rig::start(driver, &["127.0.0.1"], 4, 1) else { return };
    let a = socket("127.0.0.1");
    let offer =
        Signal { call_id: "c".to_owned(), from_tag: "a".to_owned(), sdp: sdp(&a), ..Signal::default() };
    let datagram = Command::Offer(Box::new(offer)).datagram("same", Encoding::Bencode);
    let first = rig.ask_bytes(&datagram);
    assert_eq!(rig.ask_bytes(&datagram), first);
    let json = rig.ask_bytes(br#"j {"command":"ping"}"#);
    assert_eq!(json, br#"j {"result":"pong"}"#);
}

fn a_call_over_ipv6(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["::1"], 4, 1) else { return };
    let (a, b) = (socket("::1"), socket("::1"));
    let (for_a, for_b) = rig.call("c", &a, &b, &[]);
    assert!(for_a.is_ipv6() && for_b.is_ipv6());
    talk(&a, &b, for_a, for_b);
}

fn a_call_is_bridged_from_ipv4_to_ipv6(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1", "::1"], 4, 1) else { return };
    let (a, b) = (socket("127.0.0.1"), socket("::1"));
    let (for_a, for_b) = rig.call("c", &a, &b, &[]);
    assert!(for_a.is_ipv4() && for_b.is_ipv6());
    talk(&a, &b, for_a, for_b);
}

fn a_call_crosses_two_named_interfaces(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["in/127.0.0.1", "out/127.0.0.2!127.0.0.2"], 4, 1) else {
        return;
    };
    let (a, b) = (socket("127.0.0.1"), socket("127.0.0.1"));
    let (for_a, for_b) = rig.call("c", &a, &b, &["in", "out"]);
    assert_eq!(for_a.ip().to_string(), "127.0.0.1");
    assert_eq!(for_b.ip().to_string(), "127.0.0.2");
    talk(&a, &b, for_a, for_b);
}

fn used_up_ports_are_refused_with_the_known_text(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 2, 1) else { return };
    let (a, b) = (socket("127.0.0.1"), socket("127.0.0.1"));
    let (for_a, for_b) = rig.call("first", &a, &b, &[]);
    let offer =
        Signal { call_id: "second".to_owned(), from_tag: "a".to_owned(), sdp: sdp(&a), ..Signal::default() };
    let reply = rig.ask(&Command::Offer(Box::new(offer)));
    assert_eq!(reply, Reply::Error("Ran out of ports".to_owned()));
    talk(&a, &b, for_a, for_b);
}

fn an_unknown_call_is_an_error(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 4, 1) else { return };
    let query = Query { call_id: "nobody".to_owned(), ..Query::default() };
    assert_eq!(rig.ask(&Command::Query(query)), Reply::Error("Unknown call-id".to_owned()));
}

fn two_workers_share_calls_and_lists(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 24, 2) else { return };
    let mut names = Vec::new();
    for number in 0..4 {
        let (a, b) = (socket("127.0.0.1"), socket("127.0.0.1"));
        let name = format!("call-{number}");
        let (for_a, for_b) = rig.call(&name, &a, &b, &[]);
        talk(&a, &b, for_a, for_b);
        names.push(name);
    }
    let Reply::List(mut list) = rig.ask(&Command::List(List::default())) else { panic!("a list") };
    list.calls.sort();
    assert_eq!(list.calls, names);
}

fn events_of_an_owned_call_are_told(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 4, 1) else { return };
    let Reply::Pong { instance } = rig.ask(&Command::Ping(Ping { owner: Some("me".to_owned()) })) else {
        panic!("a pong")
    };
    let a = socket("127.0.0.1");
    let mut offer =
        Signal { call_id: "c".to_owned(), from_tag: "a".to_owned(), sdp: sdp(&a), ..Signal::default() };
    (offer.owner, offer.epoch, offer.lease_ms) = (Some("me".to_owned()), Some(1), Some(100));
    media_of(&rig.ask(&Command::Offer(Box::new(offer))));
    let events = Events { since: 0, wait_ms: 5000, owner: Some("me".to_owned()) };
    let Reply::Events(batch) = rig.ask(&Command::Events(events)) else { panic!("events") };
    assert_eq!(Some(batch.instance), instance);
    let ng::EventKind::Ended { ended, .. } = &batch.events[0].kind else { panic!("{:?}", batch.events) };
    assert_eq!((ended.reason, batch.events[0].call_id.as_str()), (ng::EndReason::LeaseEnded, "c"));
}

fn a_lease_ends_on_time_without_a_packet_and_its_report_waits_to_be_read(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 4, 1) else { return };
    let owner = || Some("me".to_owned());
    let ended = |rig: &mut Rig| match rig.ask(&Command::List(List { limit: 10, owner: owner() })) {
        Reply::List(list) => (list.calls, list.ended),
        other => panic!("{other:?}"),
    };
    let a = socket("127.0.0.1");
    let (mut since, mut late_ms) = (0, u64::MAX);
    // A machine with other things to do may hold the thread back: the best of a few counts.
    for attempt in 0..5 {
        let call_id = attempt.to_string();
        let mut offer =
            Signal { call_id: call_id.clone(), from_tag: "a".to_owned(), sdp: sdp(&a), ..Signal::default() };
        (offer.owner, offer.epoch, offer.lease_ms) = (owner(), Some(1), Some(100));
        offer.keep_report = true;
        media_of(&rig.ask(&Command::Offer(Box::new(offer))));
        let Reply::Events(batch) = rig.ask(&Command::Events(Events { since, wait_ms: 5000, owner: owner() }))
        else {
            panic!("events")
        };
        since = batch.next;
        let ng::EventKind::Ended { ended: end, .. } = &batch.events[0].kind else { panic!("{batch:?}") };
        assert_eq!(end.reason, ng::EndReason::LeaseEnded);
        assert!(end.lifetime_ms >= 100, "{end:?}");
        late_ms = late_ms.min(end.lifetime_ms - 100);
        assert_eq!(ended(&mut rig), (vec![], vec![call_id.clone()]));
        let Reply::Report(report) =
            rig.ask(&Command::Query(Query { call_id: call_id.clone(), ..Query::default() }))
        else {
            panic!("a report")
        };
        assert_eq!(report.ended.as_ref(), Some(end));
        let ack = ng::ReportAck { call_id, owner: owner(), epoch: Some(1) };
        assert_eq!(rig.ask(&Command::ReportAck(ack)), Reply::Ok { warning: None });
        assert_eq!(ended(&mut rig), (vec![], vec![]));
        if late_ms <= 20 {
            break;
        }
    }
    assert!(late_ms <= 20, "{late_ms} ms late at best");
}

fn a_deleted_call_frees_its_ports(driver: &str) {
    let Some(mut rig) = Rig::start(driver, &["127.0.0.1"], 2, 1) else { return };
    for round in 0..10 {
        let (a, b) = (socket("127.0.0.1"), socket("127.0.0.1"));
        let call_id = format!("round-{round}");
        let (for_a, for_b) = rig.call(&call_id, &a, &b, &[]);
        talk(&a, &b, for_a, for_b);
        let delete = Delete { call_id, ..Delete::default() };
        assert!(matches!(rig.ask(&Command::Delete(Box::new(delete))), Reply::Report(_)));
    }
}

#[test]
fn an_address_in_use_is_said_by_name() {
    let taken = socket("127.0.0.1");
    let raw = RawConfig {
        interface: vec!["127.0.0.1".to_owned()],
        listen_ng: vec![taken.local_addr().expect("bound").to_string()],
        workers: Some(1),
        port_min: Some(9000),
        port_max: Some(9009),
        ..RawConfig::default()
    };
    let error = Engine::start(&raw.check().expect("sound")).expect_err("in use");
    assert!(error.to_string().contains("cannot listen for NG on 127.0.0.1"), "{error}");
}
