//! Once a call is set up, its packets cost no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

use engine_core::{Input, Instant, Interfaces, Output, PortRange, Shard, ShardConfig, SocketId};
use ng::{Envelope, Reply};

/// The system's allocator, and a count for each thread of how often it was asked.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to `System` as it came, and counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this `layout`, as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A shard whose every socket is granted.
struct Rig {
    shard: Shard,
    sockets: Vec<(SocketId, SocketAddr)>,
    now_ms: u64,
}

impl Rig {
    /// Hands something in; returns the reply that it led to.
    fn input(&mut self, input: Input<'_>) -> Option<Reply> {
        self.shard.handle_input(Instant::from_millis(self.now_ms), self.now_ms, input);
        let (mut said, mut granted) = (None, Vec::new());
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::OpenSocket { socket, local, .. } => granted.push((socket, local)),
                Output::Reply { reply, .. } => said = Some(reply),
                Output::CloseSocket { .. } | Output::Event(_) | Output::Transmit { .. } => {}
            }
        }
        for (socket, local) in granted {
            self.sockets.push((socket, local));
            said = self.input(Input::SocketOpened { socket, result: Ok(()) }).or(said);
        }
        said
    }

    /// Asks in JSON; returns the port of the description in the reply.
    fn signal(&mut self, command: &str, tags: &str, port: u16) -> u16 {
        let sdp = format!(
            r"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let text = format!(r#"1 {{"command":"{command}","call-id":"c",{tags},"sdp":"{sdp}"}}"#);
        let request = Envelope::parse(text.as_bytes()).expect("a frame").request.expect("a request");
        let reply = self.input(Input::Command { id: 1, command: request.command });
        let Some(Reply::Signal(signal)) = reply else { panic!("{reply:?}") };
        let sdp = String::from_utf8(signal.sdp).expect("text");
        let line = sdp.lines().find(|line| line.starts_with("m=audio ")).expect("audio");
        line.split(' ').nth(1).and_then(|port| port.parse().ok()).expect("a port")
    }

    fn socket(&self, port: u16) -> SocketId {
        self.sockets.iter().find(|(_, local)| local.port() == port).expect("a socket of that port").0
    }
}

#[test]
fn packets_of_a_call_that_is_set_up_cost_no_allocation() {
    let interfaces = Interfaces::new(vec!["127.0.0.1".parse().expect("an address")]).expect("one address");
    let config = ShardConfig::new(interfaces, PortRange::whole(20_000, 20_099, 1));
    let mut rig = Rig { shard: Shard::new(config, 1), sockets: Vec::new(), now_ms: 1_000 };
    let for_b = rig.signal("offer", r#""from-tag":"a""#, 4000);
    let for_a = rig.signal("answer", r#""from-tag":"a","to-tag":"b""#, 5000);
    let legs = [(rig.socket(for_a), 4000), (rig.socket(for_b), 5000)];

    let mut packet = [0u8; 172];
    packet[0] = 0x80;
    let mut round = |rig: &mut Rig, number: u16| {
        rig.now_ms += 20;
        for (socket, port) in legs {
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            let remote = SocketAddr::from(([127, 0, 0, 1], port));
            rig.shard.handle_input(
                Instant::from_millis(rig.now_ms),
                rig.now_ms,
                Input::Datagram { socket, remote, packet: &mut packet },
            );
            assert!(
                matches!(rig.shard.poll_output(), Some(Output::Transmit { .. })),
                "packet {number} is sent"
            );
            assert!(rig.shard.poll_output().is_none(), "and nothing else");
        }
    };
    round(&mut rig, 0);
    let before = ASKED.with(Cell::get);
    for number in 1..=1_000 {
        round(&mut rig, number);
    }
    assert_eq!(ASKED.with(Cell::get) - before, 0, "allocations in 2000 packets");
    assert!(before > 0, "the counter counts");
}
