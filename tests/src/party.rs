//! A party of a call as an engine sees it: a description, an RTP socket and an RTCP socket.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use serde_json::Value;

use crate::Address;
use crate::process::PATIENCE;

/// One that sends and hears what a test tells it to.
pub struct Party {
    /// On an even port.
    pub rtp: UdpSocket,
    /// On the odd one above it.
    pub rtcp: UdpSocket,
}

impl Party {
    /// On free ports of `at`.
    pub fn new(at: Address) -> Party {
        let port = at.media_port();
        let socket = |port| {
            let socket = UdpSocket::bind((at.ip(), port)).expect("a free port");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            socket
        };
        Party { rtp: socket(port), rtcp: socket(port + 1) }
    }

    /// Its description: one section of PCMA.
    pub fn sdp(&self) -> String {
        describe(&[self.address()], "8", "")
    }

    /// Where it takes RTP.
    pub fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("it is bound")
    }
}

/// A description with an audio section at each of these addresses, with these formats and further lines.
pub fn describe(sections: &[SocketAddr], formats: &str, lines: &str) -> String {
    let ip = sections.first().expect("at least one section").ip();
    let mut sdp = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n");
    for section in sections {
        sdp += &format!("m=audio {} RTP/AVP {formats}\r\n{lines}", section.port());
    }
    sdp
}

/// The description in a reply.
///
/// # Panics
/// If there is none.
pub fn text(reply: &Value) -> &str {
    reply["sdp"].as_str().unwrap_or_else(|| panic!("no description in {reply}"))
}

/// Where a reply's description has its audio sections; all at one address.
///
/// # Panics
/// If there is no description, or none of its sections is at an address.
pub fn sections(reply: &Value) -> Vec<SocketAddr> {
    let sdp = text(reply);
    let ip = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")?.parse().ok()).expect("an address");
    let ports = sdp.lines().filter_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
    ports.map(|port| SocketAddr::new(ip, port)).collect()
}

/// Where RTCP of a section goes: one port above its RTP.
pub fn rtcp(section: SocketAddr) -> SocketAddr {
    SocketAddr::new(section.ip(), section.port() + 1)
}

/// 20 ms of PCMA, the `number`th of its stream.
pub fn voice(ssrc: u32, number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(172, number.to_be_bytes()[1] | 1);
    packet
}

/// One packet of a telephone event (RFC 4733): the digit 5, as payload type 101.
pub fn digit(ssrc: u32, number: u16) -> Vec<u8> {
    let mut packet = voice(ssrc, number);
    packet[1] = 101;
    packet.truncate(12);
    packet.extend([5, 10, 0, 160]);
    packet
}

/// Takes one packet from a socket, and where it came from.
///
/// # Panics
/// If none comes within [`PATIENCE`].
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut packet = vec![0; 2048];
    let (length, from) = socket.recv_from(&mut packet).expect("a packet in time");
    packet.truncate(length);
    (packet, from)
}

/// Takes a packet that waits at a socket now.
///
/// # Panics
/// If the kernel reports anything but that none does.
pub fn waiting(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut packet = vec![0; 2048];
    socket.set_nonblocking(true).expect("a socket can be told not to block");
    let read = socket.recv(&mut packet);
    socket.set_nonblocking(false).expect("and to block again");
    match read {
        Ok(length) => {
            packet.truncate(length);
            Some(packet)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// Whether nothing waits at a socket now; what does is gone.
pub fn is_quiet(socket: &UdpSocket) -> bool {
    waiting(socket).is_none()
}
