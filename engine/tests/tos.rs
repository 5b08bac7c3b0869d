//! The TOS byte as it arrives: what an offer says marks whatever is sent in its call, over IPv4 and IPv6, on both drivers.

use std::io::Error;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use engine::{Engine, RawConfig};
use ng::Reply;

#[test]
fn an_offer_marks_what_is_sent_both_ways_on_io_uring() {
    marks("uring", 30_000);
}

#[test]
fn an_offer_marks_what_is_sent_both_ways_on_epoll() {
    marks("epoll", 30_100);
}

/// What an offer or answer says of `TOS`, and the byte that packets bear from then on. rtpengine 10.5.3.5 with `--tos=16` sends
/// these.
const SAID: &[(&str, &str, u8)] = &[
    ("offer", r#""TOS":184"#, 184),
    ("answer", r#""TOS":8"#, 184),
    ("offer", r#""TOS":-1"#, 184),
    ("offer", r#""TOS":"40""#, 40),
    ("offer", r#""flags":["trust-address"]"#, 16),
    ("offer", r#""TOS":96"#, 96),
    ("offer", r#""TOS":300"#, 16),
    ("offer", r#""TOS":0"#, 0),
];

fn marks(driver: &str, port_min: u16) {
    let raw = RawConfig {
        interface: vec!["127.0.0.1".to_owned(), "::1".to_owned()],
        listen_ng: vec!["127.0.0.1:0".to_owned()],
        port_min: Some(port_min),
        port_max: Some(port_min + 99),
        tos: Some(16),
        driver: Some(driver.to_owned()),
        ..RawConfig::default()
    };
    let engine = match Engine::start(&raw.check().expect("a sound configuration")) {
        Ok(engine) => engine,
        Err(error) if driver == "uring" => return eprintln!("not tested on io_uring: {error}"),
        Err(error) => panic!("{error}"),
    };
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    client.connect(engine.ng_addresses()[0]).expect("loopback");
    let (a, b) = (party("127.0.0.1"), party("::1"));
    let (mut toward_a, mut toward_b) = (None, None);
    let mut rounds = 0;
    let mut say = |command: &str, option: &str| {
        let (sdp, family) = if command == "offer" { (sdp(&a), "IP6") } else { (sdp(&b), "IP4") };
        let document = format!(
            r#"{{"command":"{command}","call-id":"c","from-tag":"a","to-tag":"b","address-family":"{family}","sdp":"{sdp}",{option}}}"#
        );
        rounds += 1;
        client.send(format!("{rounds} {document}").as_bytes()).expect("sent");
        let mut answer = [0; 4096];
        let length = client.recv(&mut answer).expect("an answer");
        let at = media(ng::split_cookie(&answer[..length]).expect("a cookie").1);
        *if command == "offer" { &mut toward_a } else { &mut toward_b } = Some(at);
        (toward_a, toward_b, rounds)
    };
    say("offer", r#""TOS":184"#);
    say("answer", r#""TOS":8"#);
    for (command, option, expected) in SAID {
        let (Some(toward_a), Some(toward_b), number) = say(command, option) else { unreachable!() };
        b.send_to(&voice(number), toward_a).expect("sent");
        a.send_to(&voice(number), toward_b).expect("sent");
        assert_eq!((received_tos(&a), received_tos(&b)), (*expected, *expected), "{command} {option}");
    }
    engine.stop();
}

fn party(ip: &str) -> UdpSocket {
    let ip: IpAddr = ip.parse().expect("an address");
    let socket = UdpSocket::bind((ip, 0)).expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let (level, name) = match ip {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVTOS),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
    };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).expect("four");
    // SAFETY: the descriptor is open, and the option is read from a live integer of the length that is given.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), length) };
    assert_eq!(result, 0, "{}", Error::last_os_error());
    socket
}

/// The TOS or traffic-class byte of the next packet.
fn received_tos(socket: &UdpSocket) -> u8 {
    let (mut packet, mut control) = ([0_u8; 2048], [0_u64; 16]);
    let mut part = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() };
    // SAFETY: a header of zeros is valid: it names nothing.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: the header names live buffers of the lengths that it says; control messages are aligned as they must be.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    assert!(length > 0, "no packet: {}", Error::last_os_error());
    // SAFETY: the kernel has filled the header in; the macro stays within what it says.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    assert!(!first.is_null(), "the packet came without its byte");
    // SAFETY: the control message is there, and one of these two has an integer or a byte as its data, which begins with
    // the byte on a machine whose small end comes first, and is the byte itself where it is one.
    let (message, tos) = unsafe { (*first, *libc::CMSG_DATA(first)) };
    let kind = (message.cmsg_level, message.cmsg_type);
    let expected = [(libc::IPPROTO_IP, libc::IP_TOS), (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)];
    assert!(expected.contains(&kind), "{kind:?}");
    tos
}

fn sdp(socket: &UdpSocket) -> String {
    let at = socket.local_addr().expect("bound");
    let (family, ip, port) = (if at.is_ipv4() { "IP4" } else { "IP6" }, at.ip(), at.port());
    format!(
        r"v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

/// Where the description of a reply says that media go.
fn media(document: &[u8]) -> SocketAddr {
    let Ok(Reply::Signal(reply)) = Reply::parse(document) else {
        panic!("{}", String::from_utf8_lossy(document))
    };
    let text = String::from_utf8(reply.sdp).expect("UTF-8 went in");
    let word = |prefix: &str, index: usize| {
        let line = text.lines().find_map(|line| line.strip_prefix(prefix)).expect("a line");
        line.split(' ').nth(index).expect("a word").to_owned()
    };
    let ip: IpAddr = word("c=", 2).parse().expect("an address");
    SocketAddr::new(ip, word("m=audio ", 0).parse().expect("a port"))
}

fn voice(number: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(u16::try_from(number).expect("few").to_be_bytes());
    packet.extend((number * 160).to_be_bytes());
    packet.extend(0x0bad_cafe_u32.to_be_bytes());
    packet.resize(172, 0xff);
    packet
}
