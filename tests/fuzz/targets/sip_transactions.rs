//! The transaction layer under any order of messages, answers, failures and time: tables stay within their
//! bounds, a timer that ran is gone, and nothing is left when both sides have given up.
#![no_main]

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use sip::message::{Message, Method, Request, Response, StatusCode};
use sip::{ClientKey, Event, FlowId, Hop, LayerConfig, ServerKey, TransactionLayer, Transport};

const SERVERS_MAX: usize = 6;
const CLIENTS_MAX: usize = 5;
const METHODS: [Method; 6] =
    [Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options, Method::Register];
const STATUSES: [u16; 10] = [100, 180, 183, 200, 202, 302, 408, 486, 500, 603];

fuzz_target!(|data: &[u8]| {
    let mut bench = Bench::new();
    let mut operations = Operations(data);
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = operations.byte() else { break };
        bench.run(operation, &mut operations);
        bench.drain();
        let (clients, servers) = bench.layer.len();
        assert!(clients <= CLIENTS_MAX && servers <= SERVERS_MAX, "{clients} clients, {servers} servers");
    }
    bench.give_up();
});

/// Operations of one input; more would only make it slower.
const OPERATIONS_MAX: usize = 200;

/// What is left of the input.
struct Operations<'a>(&'a [u8]);

impl<'a> Operations<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte().unwrap_or_default())
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = self.number();
        if from.is_empty() { None } else { Some(from[index % from.len()].clone()) }
    }

    fn chunk(&mut self) -> &'a [u8] {
        let bytes = self.number().min(self.0.len());
        let (chunk, rest) = self.0.split_at(bytes);
        self.0 = rest;
        chunk
    }
}

/// A layer, its clock, and what a user and a peer of it would remember.
struct Bench {
    layer: TransactionLayer,
    now: Instant,
    hops: Vec<Hop>,
    /// Requests that the layer sent.
    sent: Vec<Request>,
    clients: Vec<ClientKey>,
    servers: Vec<(ServerKey, Request)>,
}

impl Bench {
    fn new() -> Self {
        // One start for all inputs, so that each behaves the same when repeated.
        static START: OnceLock<Instant> = OnceLock::new();
        let mut config = LayerConfig::new("192.0.2.1:5060".parse().expect("a host and port"));
        config.servers_max = SERVERS_MAX;
        config.servers_per_source_max = SERVERS_MAX - 2;
        config.clients_max = CLIENTS_MAX;
        let near: SocketAddr = "192.0.2.7:5060".parse().expect("an address");
        let far: SocketAddr = "198.51.100.2:5061".parse().expect("an address");
        Self {
            layer: TransactionLayer::new(config, 1),
            now: *START.get_or_init(Instant::now),
            hops: vec![
                Hop::new(Transport::Udp, near),
                Hop::new(Transport::Udp, far),
                Hop::over(Transport::Tcp, near, FlowId(1)),
                Hop::over(Transport::Tls, far, FlowId(2)),
            ],
            sent: Vec::new(),
            clients: Vec::new(),
            servers: Vec::new(),
        }
    }

    fn run(&mut self, operation: u8, operations: &mut Operations<'_>) {
        let hop = self.hops[usize::from(operation >> 4) % self.hops.len()].clone();
        match operation % 10 {
            0 | 1 => {
                let method = operations.pick(&METHODS).expect("not empty");
                let request = request(&method, operations.number() % 8, operations.number() % 3);
                self.layer.receive(self.now, &hop, Message::Request(request));
            }
            2 => {
                let Some(request) = operations.pick(&self.sent) else { return };
                let response = Response::to(&request, status(operations)).with_to_tag("peer");
                self.layer.receive(self.now, &hop, Message::Response(response));
            }
            3 => {
                let method = operations.pick(&METHODS).expect("not empty");
                if !matches!(method, Method::Ack | Method::Cancel) {
                    let mut request = request(&method, 0, 0);
                    request.headers.remove(&sip::HeaderName::Via);
                    self.clients.push(self.layer.send_request(self.now, request, hop));
                }
            }
            4 | 5 => {
                let Some((key, request)) = operations.pick(&self.servers) else { return };
                let response = Response::to(&request, status(operations)).with_to_tag("us");
                self.layer.respond(self.now, key, response);
            }
            6 => {
                let Some(key) = operations.pick(&self.clients) else { return };
                self.layer.cancel(self.now, key, &[]);
            }
            7 => self.pass(Duration::from_millis(1 << (operations.number() % 17))),
            8 => match operation & 0x80 {
                0 => self.layer.transport_failed(self.now, &hop),
                _ => self.layer.flow_closed(self.now, hop.flow.unwrap_or(FlowId(9))),
            },
            _ => match Message::parse_datagram(operations.chunk()) {
                Ok(message) => self.layer.receive(self.now, &hop, message),
                Err(refusal) => self.layer.receive_refusal(&hop, refusal),
            },
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        self.layer.handle_timeout(self.now);
        assert!(self.layer.next_deadline().is_none_or(|at| at > self.now), "a timer that ran is still due");
    }

    fn drain(&mut self) {
        while let Some((_, bytes)) = self.layer.poll_transmit() {
            match Message::parse_datagram(&bytes).expect("the layer sends messages") {
                Message::Request(request) => self.sent.push(request),
                Message::Response(_) => {}
            }
        }
        while let Some(event) = self.layer.poll_event() {
            match event {
                Event::Request { key, request, .. } => self.servers.push((key, request)),
                Event::Timeout { key } | Event::TransportError { key } => {
                    self.clients.retain(|client| *client != key);
                }
                Event::ServerTimeout { key } => self.servers.retain(|(server, _)| *server != key),
                _ => {}
            }
        }
        let excess = self.sent.len().saturating_sub(32);
        self.sent.drain(..excess);
    }

    /// The user answers everything and cancels what it began; then time passes.
    fn give_up(&mut self) {
        for (key, request) in std::mem::take(&mut self.servers) {
            let status = StatusCode::new(500).expect("a status");
            self.layer.respond(self.now, key, Response::to(&request, status).with_to_tag("us"));
            self.drain();
        }
        for key in std::mem::take(&mut self.clients) {
            self.layer.cancel(self.now, key, &[]);
            self.drain();
        }
        for _ in 0..1000 {
            let Some(deadline) = self.layer.next_deadline() else { break };
            self.pass(deadline.saturating_duration_since(self.now));
            self.drain();
        }
        assert!(self.layer.is_empty(), "left behind: {:?}", self.layer.len());
    }
}

fn status(operations: &mut Operations<'_>) -> StatusCode {
    let code = operations.pick(&STATUSES).expect("not empty");
    StatusCode::new(code).expect("a status")
}

/// A request of one of a few transactions, dialogs and sequence numbers, so that they meet.
fn request(method: &Method, branch: usize, call: usize) -> Request {
    let text = format!(
        "{method} sip:bob@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK{branch}\r\n\
         From: <sip:alice@192.0.2.7>;tag=a{call}\r\nTo: <sip:bob@192.0.2.1>\r\n\
         Call-ID: call{call}\r\nCSeq: {} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        branch + 1
    );
    match Message::parse_datagram(text.as_bytes()) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}
