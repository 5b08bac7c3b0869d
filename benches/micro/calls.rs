//! Answered calls in a shard without sockets, both of their ends known.

use std::net::SocketAddr;

use engine_core::{
    Counters, Input, Instant, Interface, Interfaces, Output, PortRange, Shard, ShardConfig, SocketId,
};
use ng::Reply;
use rtp::srtp::Suite;
use serde_json::json;

/// What a phone offers.
pub(crate) const SDP: &str = "v=0\r\no=- 1732300000 1732300000 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

/// Where [`SDP`] says its packets come from.
const CALLER: &str = "192.0.2.10:40000";

const WALL_MS: u64 = 1_700_000_000_000;

/// A shard with answered calls.
pub(crate) struct Calls {
    shard: Shard,
    now_ns: u64,
    open: Vec<(SocketId, SocketAddr)>,
    /// By call: the socket that the caller sends to.
    sockets: Vec<SocketId>,
    /// With which suite the callee speaks SRTP, if it does.
    callee: Option<Suite>,
    remote: SocketAddr,
}

impl Calls {
    /// Sets `count` calls up.
    pub(crate) fn new(count: usize) -> Calls {
        Self::with(count, None)
    }

    /// Sets one call up whose callee speaks SRTP by this suite.
    pub(crate) fn encrypted(suite: Suite) -> Calls {
        Self::with(1, Some(suite))
    }

    fn with(count: usize, callee: Option<Suite>) -> Calls {
        let interface: Interface = "127.0.0.1".parse().expect("an interface");
        let interfaces = Interfaces::new(vec![interface]).expect("one interface");
        let mut config =
            ShardConfig::new(interfaces, PortRange::whole(20_000, 29_999, 5), std::time::Instant::now());
        config.limits.recordings_max = 1;
        let mut calls = Calls {
            shard: Shard::new(config, 1),
            now_ns: 1_000_000_000,
            open: Vec::new(),
            sockets: Vec::new(),
            callee,
            remote: CALLER.parse().expect("an address"),
        };
        for call in 0..count {
            calls.signal(call, "offer");
            let for_caller = calls.signal(call, "answer");
            let bound = calls.open.iter().find(|(_, local)| local.port() == for_caller);
            calls.sockets.push(bound.expect("the port that was named is open").0);
        }
        calls
    }

    /// Has the first call recorded.
    pub(crate) fn record(&mut self) {
        let request = json!({"command": "start recording", "call-id": "0"});
        let command = ng::read_document(request.to_string().as_bytes()).1.expect("a request").command;
        let now = Instant::from_nanos(self.now_ns);
        self.shard.handle_input(now, WALL_MS, Input::Command { id: 1, command });
        let outputs = std::iter::from_fn(|| self.shard.poll_output());
        let replies = outputs.filter_map(|output| match output {
            Output::Reply { reply, .. } => Some(*reply),
            _ => None,
        });
        assert!(replies.eq([Reply::Ok { warning: None }]));
    }

    /// Hands in an offer or answer and returns the port that the reply names.
    pub(crate) fn signal(&mut self, call: usize, command: &str) -> u16 {
        let mut request = json!({"command": command, "call-id": call.to_string(), "from-tag": "a", "to-tag": "b", "sdp": SDP});
        if let Some(suite) = self.callee {
            if command == "offer" {
                request["transport-protocol"] = json!("RTP/SAVP");
            } else {
                // A key of zeroes: in base64 four letters for three bytes.
                let key = "A".repeat((suite.master_bytes() * 4).div_ceil(3));
                let keyed = SDP.replace("RTP/AVP", "RTP/SAVP");
                request["sdp"] = json!(format!("{keyed}a=crypto:1 {suite} inline:{key}\r\n"));
            }
        }
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
                Output::Reply { reply, .. } => {
                    let Reply::Signal(signal) = *reply else { panic!("{reply:?}") };
                    let text = String::from_utf8(signal.sdp).expect("UTF-8 went in");
                    let line = text.lines().find_map(|line| line.strip_prefix("m=audio "));
                    named = line.and_then(|rest| rest.split(' ').next()?.parse().ok());
                }
                other => panic!("{other:?}"),
            }
        }
        named.expect("the reply names a port")
    }

    /// Relays a packet of the caller; how many bytes go to the callee, and into a recording.
    pub(crate) fn relay(&mut self, call: usize, packet: &[u8]) -> (usize, usize) {
        self.now_ns += 20_000_000;
        let length = u16::try_from(packet.len()).expect("a packet is short");
        let mut slot = [0; 256];
        slot[..packet.len()].copy_from_slice(packet);
        let input =
            Input::Datagram { socket: self.sockets[call], remote: self.remote, packet: &mut slot, length };
        self.shard.handle_input(Instant::from_nanos(self.now_ns), WALL_MS, input);
        let (mut sent, mut recorded) = (0, 0);
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Transmit { range, .. } => sent += range.len(),
                Output::Record { made, .. } => recorded += made.len(),
                other => panic!("{other:?}"),
            }
        }
        (sent, recorded)
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
