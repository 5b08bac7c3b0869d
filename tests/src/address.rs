//! A loopback address that belongs to one test alone, and free ports on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};

/// One of 127.0.0.0/8, unlike that of any other test that runs now: the process id chooses the middle, a count the end.
#[derive(Clone, Copy, Debug)]
pub struct Address(Ipv4Addr);

impl Address {
    /// The next address of this process.
    pub fn new() -> Address {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let count = COUNT.fetch_add(1, Ordering::Relaxed).clamp(1, 254);
        // 127.0.x.y and 127.1.x.y are where people look by hand.
        Address(Ipv4Addr::new(127, high.clamp(2, 254), low, count))
    }

    /// One that the test has in a network of its own ([`namespace`](crate::namespace)).
    pub fn own(ip: Ipv4Addr) -> Address {
        Address(ip)
    }

    /// The address itself.
    pub fn ip(self) -> IpAddr {
        IpAddr::V4(self.0)
    }

    /// A port on which nothing listens, for neither UDP nor TCP.
    pub fn port(self) -> u16 {
        for _ in 0..100 {
            let udp = UdpSocket::bind((self.0, 0)).expect("a loopback address binds");
            let port = udp.local_addr().expect("a bound socket has an address").port();
            if TcpListener::bind((self.0, port)).is_ok() {
                return port;
            }
        }
        panic!("no port of {self} is free for both UDP and TCP");
    }

    /// An even port with its odd neighbour and the pair above it free: RTP and RTCP of two streams.
    pub fn media_port(self) -> u16 {
        for _ in 0..100 {
            let port = self.port() & !1;
            if port < u16::MAX - 4 && (port..port + 4).all(|port| UdpSocket::bind((self.0, port)).is_ok()) {
                return port;
            }
        }
        panic!("no four free ports in a row on {self}");
    }

    /// This address with a free port.
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port())
    }
}

impl Default for Address {
    fn default() -> Address {
        Address::new()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
