//! One call in a shard without sockets, both of its ends known.

use std::net::SocketAddr;

use engine_core::{
    Counters, Input, Instant, Interface, Interfaces, Output, PortRange, Shard, ShardConfig, SocketId,
};
use ng::Reply;
use serde_json::json;

/// What a phone offers.
pub(crate) const SDP: &str = "v=0\r\no=- 1732300000 1732300000 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

/// Where [`SDP`] says its packets come from.
const CALLER: &str = "192.0.2.10:40000";

const WALL_MS: u64 = 1_700_000_000_000;

/// A shard with one answered call.
pub(crate) struct OneCall {
    shard: Shard,
    now_ns: u64,
    open: Vec<(SocketId, SocketAddr)>,
    /// The socket that the caller sends to.
    socket: SocketId,
    remote: SocketAddr,
}

impl OneCall {
    /// Sets the call up.
    pub(crate) fn new() -> OneCall {
        let interface: Interface = "127.0.0.1".parse().expect("an interface");
        let interfaces = Interfaces::new(vec![interface]).expect("one interface");
        let config = ShardConfig::new(interfaces, PortRange::whole(20_000, 20_999, 5));
        let mut call = OneCall {
            shard: Shard::new(config, 1),
            now_ns: 1_000_000_000,
            open: Vec::new(),
            socket: SocketId(0),
            remote: CALLER.parse().expect("an address"),
        };
        call.signal("offer");
        let for_caller = call.signal("answer");
        let bound = call.open.iter().find(|(_, local)| local.port() == for_caller);
        call.socket = bound.expect("the port that was named is open").0;
        call
    }

    /// Hands in an offer or answer and returns the port that the reply names.
    pub(crate) fn signal(&mut self, command: &str) -> u16 {
        let request = json!({"command": command, "call-id": "1", "from-tag": "a", "to-tag": "b", "sdp": SDP});
        let command = ng::read_document(request.to_string().as_bytes()).1.expect("a request").command;
        self.now_ns += 20_000_000;
        let now = Instant::from_nanos(self.now_ns);
        self.shard.handle_input(now, WALL_MS, Input::Command { id: 1, command });
        let mut named = None;
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::OpenSocket { socket, local, .. } => {
                    self.open.push((socket, local));
                    let opened = Input::SocketOpened { socket, result: Ok(()) };
                    self.shard.handle_input(now, WALL_MS, opened);
                }
                Output::Reply { reply: Reply::Signal(signal), .. } => {
                    let text = String::from_utf8(signal.sdp).expect("UTF-8 went in");
                    let line = text.lines().find_map(|line| line.strip_prefix("m=audio "));
                    named = line.and_then(|rest| rest.split(' ').next()?.parse().ok());
                }
                other => panic!("{other:?}"),
            }
        }
        named.expect("the reply names a port")
    }

    /// Relays a packet of the caller; how many bytes go to the callee.
    pub(crate) fn relay(&mut self, packet: &mut [u8]) -> usize {
        self.now_ns += 20_000_000;
        let input = Input::Datagram { socket: self.socket, remote: self.remote, packet };
        self.shard.handle_input(Instant::from_nanos(self.now_ns), WALL_MS, input);
        let sent = match self.shard.poll_output() {
            Some(Output::Transmit { range, .. }) => range.len(),
            _ => 0,
        };
        assert!(self.shard.poll_output().is_none(), "one packet in, at most one out");
        sent
    }

    /// What the shard counted.
    pub(crate) fn counters(&self) -> &Counters {
        self.shard.counters()
    }
}

/// An RTP packet of 20 ms of G.711.
pub(crate) fn packet() -> [u8; 172] {
    let mut packet = [0x55; 172];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4]);
    packet
}
