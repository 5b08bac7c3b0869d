//! Transports over real sockets on loopback.

mod bench;

use std::sync::Arc;

use bench::{Bench, PATIENCE};
use bytes::Bytes;
use control::transport::{DropReason, TransportEvent};
use rustls_pki_types::ServerName;
use sip::{Hop, Message, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

/// Listeners udp, tcp, tls in this order, with `settings` on top.
fn bench(settings: &[(&str, &str)]) -> Bench {
    bench_marked("", settings)
}

/// The same, with a line more for each of the plain listeners.
fn bench_marked(mark: &str, settings: &[(&str, &str)]) -> Bench {
    let listeners = format!(
        "[[listener]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n{mark}\
         [[listener]]\ntransport = \"tcp\"\naddress = \"127.0.0.1:0\"\n{mark}\
         [[listener]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\nCERTIFIED\n"
    );
    Bench::new(&listeners, settings)
}

fn options(via: &str, branch: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:sip.example.net SIP/2.0\r\nVia: SIP/2.0/{via} 127.0.0.1:5999;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@sip.example.net>;tag=1\r\nTo: <sip:sip.example.net>\r\n\
         Call-ID: {branch}@test\r\nCSeq: 1 OPTIONS\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn call_id(message: &Message) -> String {
    message.headers().get(&sip::HeaderName::CallId).expect("Call-ID").into_owned()
}

async fn read_exactly(stream: &mut (impl AsyncReadExt + Unpin), bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    timeout(PATIENCE, stream.read_exact(&mut buffer)).await.expect("in time").expect("bytes");
    buffer
}

/// True when the peer has closed: end of stream or a reset.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) -> bool {
    let mut buffer = [0; 1024];
    timeout(PATIENCE, async {
        while let Ok(read) = stream.read(&mut buffer).await {
            if read == 0 {
                break;
            }
        }
    })
    .await
    .is_ok()
}

#[tokio::test]
async fn a_datagram_comes_in_and_its_answer_leaves_by_the_same_socket() {
    let mut bench = bench(&[]);
    let phone = UdpSocket::bind("127.0.0.1:0").await.expect("socket");
    phone.send_to(options("UDP", "d1", "x").as_bytes(), bench.address(0)).await.expect("sent");
    let (hop, message) = bench.message().await;
    assert_eq!(call_id(&message), "d1@test");
    assert_eq!((hop.transport, hop.remote), (Transport::Udp, phone.local_addr().expect("address")));
    bench.transports.send(&hop, Bytes::from_static(b"answer")).expect("sent");
    let mut buffer = [0; 100];
    let (length, from) =
        timeout(PATIENCE, phone.recv_from(&mut buffer)).await.expect("in time").expect("read");
    assert_eq!((&buffer[..length], from), (&b"answer"[..], bench.address(0)));
}

#[tokio::test]
async fn garbage_datagrams_are_counted_and_a_broken_request_deserves_an_answer() {
    let mut bench = bench(&[]);
    let phone = UdpSocket::bind("127.0.0.1:0").await.expect("socket");
    let to = bench.address(0);
    phone.send_to(b"\xff\x00\x01 garbage", to).await.expect("sent");
    phone.send_to(b"\r\n\r\n", to).await.expect("sent");
    let broken = options("UDP", "b1", "").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE");
    phone.send_to(broken.as_bytes(), to).await.expect("sent");
    let TransportEvent::Refused { hop, refusal } = bench.event().await else { panic!("a refusal") };
    assert_eq!(hop.remote, phone.local_addr().expect("address"));
    assert_eq!(refusal.response.expect("an answer").status().code(), 400);
    assert_eq!(bench.transports.drops().get(DropReason::Malformed), 2);
    phone.send_to(options("UDP", "b2", "").as_bytes(), to).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "b2@test");
}

#[tokio::test]
async fn a_source_beyond_its_rate_is_dropped_and_counted() {
    let mut bench = bench(&[("limits.messages_per_source_per_s", "1")]);
    let phone = UdpSocket::bind("127.0.0.1:0").await.expect("socket");
    for index in 0..20 {
        let text = options("UDP", &format!("r{index}"), "");
        phone.send_to(text.as_bytes(), bench.address(0)).await.expect("sent");
    }
    assert_eq!(call_id(&bench.message().await.1), "r0@test");
    bench.dropped(DropReason::RateMax, 1).await;
}

#[tokio::test]
async fn a_listener_for_trunks_hears_configured_trunks_only() {
    let mut bench = bench_marked("plain = \"trunk\"\n", &[]);
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("socket");
    peer.send_to(options("UDP", "stranger", "").as_bytes(), bench.address(0)).await.expect("sent");
    let mut stranger = TcpStream::connect(bench.address(1)).await.expect("connected");
    assert!(closed(&mut stranger).await);
    timeout(PATIENCE, async {
        while bench.transports.drops().get(DropReason::NotATrunk) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("both are counted");
    bench.transports.set_trunks([peer.local_addr().expect("address")].into_iter().collect());
    peer.send_to(options("UDP", "trunk", "").as_bytes(), bench.address(0)).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "trunk@test");
    let mut trunk = TcpStream::connect(bench.address(1)).await.expect("connected");
    trunk.write_all(options("TCP", "trunk2", "").as_bytes()).await.expect("written");
    assert_eq!(call_id(&bench.message().await.1), "trunk2@test");
}

#[tokio::test]
async fn a_message_split_at_every_byte_is_one_message() {
    let mut bench = bench(&[]);
    let text = options("TCP", "split", "body");
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    phone.set_nodelay(true).expect("option");
    for byte in text.as_bytes() {
        phone.write_all(std::slice::from_ref(byte)).await.expect("written");
        tokio::task::yield_now().await;
    }
    let (hop, message) = bench.message().await;
    assert_eq!(message.to_bytes(), text.as_bytes());
    assert_eq!(hop.transport, Transport::Tcp);
    let two = options("TCP", "one", "") + &options("TCP", "two", "b");
    phone.write_all(two.as_bytes()).await.expect("written");
    assert_eq!(call_id(&bench.message().await.1), "one@test");
    let (again, message) = bench.message().await;
    assert_eq!((call_id(&message).as_str(), again.flow), ("two@test", hop.flow));
}

#[tokio::test]
async fn a_ping_is_answered_with_a_pong_and_answers_go_over_the_flow() {
    let mut bench = bench(&[]);
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    phone.write_all(options("TCP", "p", "").as_bytes()).await.expect("written");
    let (hop, _) = bench.message().await;
    phone.write_all(b"\r\n\r\n").await.expect("written");
    assert_eq!(read_exactly(&mut phone, 2).await, b"\r\n");
    bench.transports.send(&hop, Bytes::from_static(b"over the flow")).expect("sent");
    assert_eq!(read_exactly(&mut phone, 13).await, b"over the flow");
    // A hop that names the place but no flow takes the same connection.
    bench.transports.send(&Hop::new(hop.transport, hop.remote), Bytes::from_static(b"again")).expect("sent");
    assert_eq!(read_exactly(&mut phone, 5).await, b"again");
    drop(phone);
    let TransportEvent::FlowClosed(flow) = bench.event().await else { panic!("the flow closes") };
    assert_eq!(Some(flow), hop.flow);
    assert_eq!(bench.transports.send(&hop, Bytes::new()).expect_err("gone").0, DropReason::FlowGone);
    assert_eq!(bench.transports.connections(), 0);
}

#[tokio::test]
async fn a_broken_message_on_a_connection_is_passed_on_and_babble_ends_it() {
    let mut bench = bench(&[]);
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    let broken = options("TCP", "b", "").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE");
    phone.write_all(broken.as_bytes()).await.expect("written");
    assert!(matches!(bench.event().await, TransportEvent::Refused { .. }));
    phone.write_all(broken.repeat(20).as_bytes()).await.expect("written");
    assert!(closed(&mut phone).await);
    bench.dropped(DropReason::Babbling, 1).await;
}

#[tokio::test]
async fn an_oversized_message_and_a_stream_of_garbage_end_their_connections() {
    let bench = bench(&[("limits.body_bytes_max", "2048")]);
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    let text = options("TCP", "big", &"x".repeat(3_000));
    phone.write_all(text.as_bytes()).await.expect("written");
    assert!(closed(&mut phone).await);
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    // The end may come while it is still being written.
    let _ = phone.write_all(&[b'z'; 20_000]).await;
    assert!(closed(&mut phone).await);
    // The count may come a moment after the end.
    bench.dropped(DropReason::Unframed, 2).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_disconnected() {
    let mut bench = bench(&[("limits.write_queue_bytes_max", "65536")]);
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    phone.write_all(options("TCP", "slow", "").as_bytes()).await.expect("written");
    let (hop, _) = bench.message().await;
    let chunk = Bytes::from(vec![b'x'; 32_768]);
    let error = timeout(PATIENCE, async {
        loop {
            if let Err(error) = bench.transports.send(&hop, chunk.clone()) {
                break error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the queue is bounded");
    assert_eq!(error.0, DropReason::SlowReader);
    let mut failed = 0;
    loop {
        match bench.event().await {
            TransportEvent::SendFailed(lost) => {
                assert_eq!(lost, hop);
                failed += 1;
            }
            TransportEvent::FlowClosed(flow) => break assert_eq!(Some(flow), hop.flow),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(failed >= 1, "what was queued is reported");
}

#[tokio::test]
async fn silence_ends_a_connection_and_so_does_half_a_message() {
    let bench = bench(&[("limits.first_message_timeout_ms", "1000")]);
    let mut silent = TcpStream::connect(bench.address(1)).await.expect("connected");
    let mut half = TcpStream::connect(bench.address(1)).await.expect("connected");
    half.write_all(b"OPTIONS sip:x SIP/2.0\r\n").await.expect("written");
    assert!(closed(&mut silent).await && closed(&mut half).await);
    bench.dropped(DropReason::MessageTimeout, 1).await;
}

#[tokio::test]
async fn connections_are_bounded_in_total_and_per_source() {
    for (key, reason) in [
        ("limits.connections_max", DropReason::ConnectionsMax),
        ("limits.connections_per_source_max", DropReason::ConnectionsPerSourceMax),
    ] {
        let mut bench = bench(&[(key, "1")]);
        let mut first = TcpStream::connect(bench.address(1)).await.expect("connected");
        first.write_all(options("TCP", "first", "").as_bytes()).await.expect("written");
        bench.message().await;
        let mut second = TcpStream::connect(bench.address(1)).await.expect("connected");
        assert!(closed(&mut second).await);
        assert_eq!(bench.transports.drops().get(reason), 1);
        drop(first);
        assert!(matches!(bench.event().await, TransportEvent::FlowClosed(_)));
        let mut third = TcpStream::connect(bench.address(1)).await.expect("connected");
        third.write_all(options("TCP", "third", "").as_bytes()).await.expect("written");
        assert_eq!(call_id(&bench.message().await.1), "third@test", "the place is free again");
    }
}

#[tokio::test]
async fn the_first_message_opens_a_connection_and_the_next_one_takes_it() {
    let mut bench = bench(&[]);
    let carrier = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let hop = Hop::new(Transport::Tcp, carrier.local_addr().expect("address"));
    bench.transports.send(&hop, Bytes::from_static(b"first ")).expect("taken");
    bench.transports.send(&hop, Bytes::from_static(b"second")).expect("taken");
    let (mut socket, _) = timeout(PATIENCE, carrier.accept()).await.expect("in time").expect("accepted");
    assert_eq!(read_exactly(&mut socket, 12).await, b"first second");
    socket.write_all(options("TCP", "back", "").as_bytes()).await.expect("written");
    let (back, _) = bench.message().await;
    assert!(back.flow.is_some());
    assert_eq!(back.remote, hop.remote);
    bench.transports.send(&back, Bytes::from_static(b"third")).expect("taken");
    assert_eq!(read_exactly(&mut socket, 5).await, b"third");
    assert_eq!(bench.transports.connections(), 1);
}

#[tokio::test]
async fn a_refused_connection_reports_every_message_that_waited_for_it() {
    let mut bench = bench(&[]);
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("listener").local_addr().expect("address");
    let hop = Hop::new(Transport::Tcp, closed);
    bench.transports.send(&hop, Bytes::from_static(b"1")).expect("taken");
    bench.transports.send(&hop, Bytes::from_static(b"2")).expect("taken");
    for _ in 0..2 {
        let TransportEvent::SendFailed(failed) = bench.event().await else { panic!("a failure") };
        assert_eq!(failed, hop);
    }
    assert!(matches!(bench.event().await, TransportEvent::FlowClosed(_)));
    assert_eq!(bench.transports.drops().get(DropReason::ConnectFailed), 1);
}

#[tokio::test]
async fn tls_is_served_and_reached_with_a_proven_name() {
    let mut bench = bench(&[]);
    let name = ServerName::try_from("sip.example.net").expect("a name");
    let socket = TcpStream::connect(bench.address(2)).await.expect("connected");
    let mut phone = bench.tls_client().connect(name, socket).await.expect("handshake");
    phone.write_all(options("TLS", "t", "secret").as_bytes()).await.expect("written");
    let (hop, message) = bench.message().await;
    assert_eq!((hop.transport, call_id(&message).as_str()), (Transport::Tls, "t@test"));
    bench.transports.send(&hop, Bytes::from_static(b"answer")).expect("sent");
    assert_eq!(read_exactly(&mut phone, 6).await, b"answer");

    // Our own listener plays the trunk: once by name, once by address.
    for server_name in [Some(Arc::from("sip.example.net")), None] {
        let hop = Hop { server_name, ..Hop::new(Transport::Tls, bench.address(2)) };
        bench.transports.send(&hop, Bytes::from(options("TLS", "out", ""))).expect("taken");
        assert_eq!(call_id(&bench.message().await.1), "out@test");
    }
    let hop = Hop {
        server_name: Some(Arc::from("other.example.net")),
        ..Hop::new(Transport::Tls, bench.address(2))
    };
    bench.transports.send(&hop, Bytes::from(options("TLS", "wrong", ""))).expect("taken");
    loop {
        match bench.event().await {
            TransportEvent::SendFailed(failed) => break assert_eq!(failed, hop, "the name is not proven"),
            TransportEvent::FlowClosed(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_ended_in_time() {
    let mut bench = bench(&[("tls.handshake_timeout_ms", "100")]);
    let mut silent = TcpStream::connect(bench.address(2)).await.expect("connected");
    assert!(closed(&mut silent).await);
    let mut plain = TcpStream::connect(bench.address(2)).await.expect("connected");
    plain.write_all(options("TCP", "plain", "").as_bytes()).await.expect("written");
    assert!(closed(&mut plain).await);
    bench.dropped(DropReason::HandshakeFailed, 2).await;
    assert!(bench.events.try_recv().is_err(), "nobody is told of a connection that brought nothing");
}

#[tokio::test]
async fn a_shutdown_writes_what_is_queued() {
    let mut bench = bench(&[]);
    let mut phone = TcpStream::connect(bench.address(1)).await.expect("connected");
    phone.write_all(options("TCP", "bye", "").as_bytes()).await.expect("written");
    let (hop, _) = bench.message().await;
    bench.transports.send(&hop, Bytes::from_static(b"goodbye")).expect("sent");
    bench.transports.shutdown().await;
    assert_eq!(read_exactly(&mut phone, 7).await, b"goodbye");
    assert!(closed(&mut phone).await);
}

#[tokio::test]
async fn connections_that_say_nothing_hold_up_no_handshake() {
    let bench = bench(&[("tls.handshakes_max", "1"), ("tls.handshake_timeout_ms", "60000")]);
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(bench.address(2)).await.expect("connected"));
    }
    let phone = TcpStream::connect(bench.address(2)).await.expect("connected");
    let name = ServerName::try_from("sip.example.net").expect("name");
    let handshake = timeout(PATIENCE, bench.tls_client().connect(name, phone)).await;
    handshake.expect("not held up").expect("hands shaken");
}

#[tokio::test]
async fn a_message_longer_than_a_datagram_ends_nothing_else_toward_its_peer() {
    let bench = bench(&[]);
    let carrier = UdpSocket::bind("127.0.0.1:0").await.expect("socket");
    let hop = Hop::new(Transport::Udp, carrier.local_addr().expect("address"));
    let whole = Bytes::from(vec![b'x'; 65_507]);
    bench.transports.send(&hop, whole.clone()).expect("it fits");
    let mut buffer = vec![0; 65_535];
    let length = timeout(PATIENCE, carrier.recv(&mut buffer)).await.expect("in time").expect("received");
    assert_eq!(length, whole.len());
    // An error would be told as the failure of the way to that peer.
    bench.transports.send(&hop, Bytes::from(vec![b'x'; 65_508])).expect("lost like any datagram");
    assert_eq!(bench.transports.drops().get(DropReason::DatagramTooLong), 1);
}
