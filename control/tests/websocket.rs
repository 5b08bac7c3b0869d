//! SIP over WebSocket, over real sockets on loopback: what a page gets, and what strangers cannot do.

mod bench;

use std::net::SocketAddr;

use bench::{Bench, PATIENCE};
use bytes::Bytes;
use control::transport::{DropReason, TransportEvent};
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::ServerName;
use sip::{Hop, Message, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame as RawFrame, FrameHeader};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Listeners ws and wss in this order, for pages of one origin, with `settings` on top.
fn bench(settings: &[(&str, &str)]) -> Bench {
    let listeners = "[[listener]]\ntransport = \"ws\"\naddress = \"127.0.0.1:0\"\norigins = [\"https://phone.example.net\"]\n\
         [[listener]]\ntransport = \"wss\"\naddress = \"127.0.0.1:0\"\norigins = [\"https://phone.example.net\"]\nCERTIFIED\n";
    Bench::new(listeners, settings)
}

/// What pages do.
impl Bench {
    async fn page(&self) -> WebSocketStream<TcpStream> {
        let socket = TcpStream::connect(self.address(0)).await.expect("connected");
        socket.set_nodelay(true).expect("option");
        shake(socket).await
    }

    async fn secure_page(&self) -> WebSocketStream<TlsStream<TcpStream>> {
        self.try_secure_page().await.expect("TLS")
    }

    /// None if the listener does not show the certificate of the file.
    async fn try_secure_page(&self) -> Option<WebSocketStream<TlsStream<TcpStream>>> {
        let socket = TcpStream::connect(self.address(1)).await.expect("connected");
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        Some(shake(self.tls_client().connect(name, socket).await.ok()?).await)
    }

    async fn connections(&self, count: usize) {
        timeout(PATIENCE, async {
            while self.transports.connections() != count {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{} connections, not {count}", self.transports.connections()));
    }
}

async fn shake<S: AsyncRead + AsyncWrite + Unpin>(socket: S) -> WebSocketStream<S> {
    let mut request = "ws://127.0.0.1/".into_client_request().expect("a request");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::from_static("sip"));
    headers.insert("origin", HeaderValue::from_static("https://phone.example.net"));
    let (page, response) = client_async(request, socket).await.expect("a handshake");
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    page
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(page: &mut WebSocketStream<S>) -> Frame {
    timeout(PATIENCE, page.next()).await.expect("a frame in time").expect("open").expect("a frame")
}

/// What the page's close event says.
async fn closed(page: &mut WebSocketStream<TcpStream>) -> (CloseCode, String) {
    loop {
        match next(page).await {
            Frame::Close(Some(why)) => return (why.code, why.reason.to_string()),
            Frame::Close(None) => panic!("closed without a word"),
            _ => {}
        }
    }
}

fn options(via: &str, branch: &str) -> String {
    format!(
        "OPTIONS sip:sip.example.net SIP/2.0\r\nVia: SIP/2.0/{via} df7jal23ls0d.invalid;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@sip.example.net>;tag=1\r\nTo: <sip:sip.example.net>\r\n\
         Call-ID: {branch}@test\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

fn call_id(message: &Message) -> String {
    message.headers().get(&sip::HeaderName::CallId).expect("Call-ID").into_owned()
}

/// The raw answer to a raw request, until the connection ends.
async fn http(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.expect("connected");
    socket.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // A reset is an end too: it comes where bytes were left unread.
    let _reset = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn upgrade(lines: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

#[tokio::test]
async fn a_message_in_text_or_binary_comes_in_and_answers_go_back_over_its_connection() {
    let mut bench = bench(&[]);
    let mut page = bench.page().await;
    page.send(Frame::text(options("WS", "t"))).await.expect("sent");
    let (hop, message) = bench.message().await;
    assert_eq!((hop.transport, call_id(&message).as_str()), (Transport::Ws, "t@test"));
    page.send(Frame::binary(options("WS", "b"))).await.expect("sent");
    let (again, message) = bench.message().await;
    assert_eq!((call_id(&message).as_str(), again.flow), ("b@test", hop.flow));
    bench.transports.send(&hop, Bytes::from_static(b"answer")).expect("sent");
    assert_eq!(next(&mut page).await, Frame::text("answer"));
    bench.transports.send(&hop, Bytes::from_static(b"a \xff")).expect("sent");
    assert_eq!(next(&mut page).await, Frame::binary(&b"a \xff"[..]), "what is no text is not damaged");

    let mut secure = bench.secure_page().await;
    secure.send(Frame::text(options("WSS", "s"))).await.expect("sent");
    let (hop, message) = bench.message().await;
    assert_eq!((hop.transport, call_id(&message).as_str()), (Transport::Wss, "s@test"));
    bench.transports.send(&hop, Bytes::from_static(b"inside TLS")).expect("sent");
    assert_eq!(next(&mut secure).await, Frame::text("inside TLS"));
}

#[tokio::test]
async fn a_message_comes_alone_in_its_frame_with_or_without_its_length() {
    let mut bench = bench(&[]);
    let mut page = bench.page().await;
    page.send(Frame::text(options("WS", "n").replace("Content-Length: 0\r\n", ""))).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "n@test");
    page.send(Frame::text(options("WS", "one") + &options("WS", "two"))).await.expect("sent");
    let TransportEvent::Refused { refusal, .. } = bench.event().await else { panic!("a refusal") };
    let answer = refusal.response.expect("an answer");
    assert_eq!((answer.status().code(), answer.reason().as_ref()), (400, "Body Longer Than Content-Length"));
    // Half a message is no message, and the next frame does not complete it.
    let text = options("WS", "half");
    page.send(Frame::text(&text[..40])).await.expect("sent");
    page.send(Frame::text(&text[40..])).await.expect("sent");
    page.send(Frame::text(options("WS", "whole") + "\r\n")).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "whole@test");
    assert_eq!(bench.transports.drops().get(DropReason::Malformed), 3);
}

#[tokio::test]
async fn a_message_in_fragments_with_a_ping_between_them_is_one_message() {
    let mut bench = bench(&[]);
    let mut page = bench.page().await;
    let text = options("WS", "f").into_bytes();
    let pieces: Vec<_> = text.chunks(50).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let code = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        let last = index + 1 == pieces.len();
        page.send(Frame::Frame(RawFrame::message(piece.to_vec(), code, last))).await.expect("sent");
        if index == 1 {
            page.send(Frame::Ping(Bytes::from_static(b"alive?"))).await.expect("sent");
        }
    }
    let (_, message) = bench.message().await;
    assert_eq!(message.to_bytes(), text);
    assert_eq!(next(&mut page).await, Frame::Pong(Bytes::from_static(b"alive?")));
}

#[tokio::test]
async fn keep_alives_of_sip_are_answered_and_are_no_message() {
    let mut bench = bench(&[]);
    let mut page = bench.page().await;
    page.send(Frame::text("\r\n\r\n")).await.expect("sent");
    assert_eq!(next(&mut page).await, Frame::text("\r\n"));
    page.send(Frame::text("\r\n")).await.expect("sent");
    page.send(Frame::text(options("WS", "k"))).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "k@test");
    assert_eq!(bench.transports.drops().get(DropReason::Malformed), 0);
}

#[tokio::test]
async fn who_does_not_ask_for_sip_or_comes_from_another_page_is_told_so() {
    let bench = bench(&[("tls.handshake_timeout_ms", "500")]);
    let at = bench.address(0);
    let said = http(at, &upgrade("")).await;
    assert!(
        said.starts_with("HTTP/1.1 400 ") && said.ends_with("Sec-WebSocket-Protocol does not name sip.\n"),
        "{said}"
    );
    let said = http(at, &upgrade("Sec-WebSocket-Protocol: xmpp, msrp\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    bench.dropped(DropReason::NotSip, 2).await;
    let said = http(at, &upgrade("Sec-WebSocket-Protocol: sip\r\nOrigin: https://evil.example\r\n")).await;
    assert!(
        said.starts_with("HTTP/1.1 403 ") && said.ends_with("Pages of this Origin may not connect here.\n"),
        "{said}"
    );
    bench.dropped(DropReason::OriginRefused, 1).await;
    // What is no upgrade at all, and what never becomes one.
    let head = upgrade("Sec-WebSocket-Protocol: sip\r\n");
    let not_one = [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        options("WS", "x"),
        "\u{0}\u{1}\u{2}".to_owned(),
        head.replace("13", "8"),
        head.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        upgrade(&format!("Sec-WebSocket-Protocol: sip\r\nX: {}\r\n", "x".repeat(70_000))),
        upgrade(&format!("Sec-WebSocket-Protocol: sip\r\n{}", "X: y\r\n".repeat(500))),
        head.clone() + "impatient",
        head[..head.len() - 2].to_owned(),
        String::new(),
    ];
    for request in &not_one {
        let said = http(at, request).await;
        assert!(!said.starts_with("HTTP/1.1 101"), "{request:.60}: {said}");
    }
    bench.dropped(DropReason::HandshakeFailed, not_one.len() as u64).await;
    bench.connections(0).await;
}

#[tokio::test]
async fn a_huge_frame_is_refused_by_its_header_and_so_is_a_message_of_endless_fragments() {
    let bench = bench(&[("limits.body_bytes_max", "2048")]);
    let mut page = bench.page().await;
    // An exabyte is announced, and four bytes are sent.
    let mut head = Vec::new();
    let header =
        FrameHeader { opcode: OpCode::Data(Data::Binary), mask: Some([1; 4]), ..FrameHeader::default() };
    header.format(1 << 60, &mut head).expect("a header");
    page.get_mut().write_all(&head).await.expect("written");
    page.get_mut().write_all(b"tiny").await.expect("written");
    assert_eq!(closed(&mut page).await, (CloseCode::Size, "frame_too_long".to_owned()));

    let mut page = bench.page().await;
    for index in 0..5 {
        let code = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        let sent = page.send(Frame::Frame(RawFrame::message(vec![b'x'; 4_096], code, false))).await;
        if sent.is_err() {
            break;
        }
    }
    assert_eq!(closed(&mut page).await, (CloseCode::Size, "frame_too_long".to_owned()));
    bench.dropped(DropReason::FrameTooLong, 2).await;
    bench.connections(0).await;
}

#[tokio::test]
async fn garbage_in_good_frames_and_bad_frames_end_the_connection_by_name() {
    let bench = bench(&[]);
    let mut page = bench.page().await;
    for _ in 0..9 {
        page.send(Frame::binary(&b"\xff\x00 garbage"[..])).await.expect("sent");
    }
    assert_eq!(closed(&mut page).await, (CloseCode::Policy, "babbling".to_owned()));
    bench.dropped(DropReason::Babbling, 1).await;
    // A frame without a mask, reserved bits, an unknown opcode, text that is none, a fragment of nothing.
    for (index, bytes) in [
        &b"\x81\x02hi"[..],
        b"\xf1\x82\0\0\0\0hi",
        b"\x83\x82\0\0\0\0hi",
        b"\x81\x82\0\0\0\0\xff\xff",
        b"\x80\x82\0\0\0\0hi",
        b"\x09\x82\0\0\0\0hi",
        b"\x89\xfe\x00\x7e\0\0\0\0",
    ]
    .iter()
    .enumerate()
    {
        let mut page = bench.page().await;
        page.get_mut().write_all(bytes).await.expect("written");
        page.get_mut().write_all(&[0; 200]).await.expect("written");
        assert_eq!(closed(&mut page).await, (CloseCode::Protocol, "unframed".to_owned()), "{bytes:?}");
        bench.dropped(DropReason::Unframed, index as u64 + 1).await;
    }
    bench.connections(0).await;
}

#[tokio::test]
async fn any_bytes_after_the_handshake_are_survived_and_the_next_page_is_served() {
    let mut bench = bench(&[("limits.connections_per_source_max", "8"), ("limits.input_queue_max", "16")]);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).expect("below a usize")
    };
    let mut delivered = 0;
    for case in 0..300 {
        let mut bytes = Vec::new();
        for _ in 0..=random(6) {
            let text = options("WS", &format!("h{case}")).into_bytes();
            let body = match random(4) {
                0 => text,
                1 => text[..random(text.len())].to_vec(),
                2 => (0..random(300)).map(|_| u8::try_from(random(256)).expect("a byte")).collect(),
                _ => Vec::new(),
            };
            // Mostly well-formed heads with any opcode and any flags, sometimes a length that lies.
            bytes.push([0x81, 0x82, 0x81, 0x82, 0x01, 0x80, 0x89, 0x8a, 0x88, 0xff][random(10)]);
            let length = if random(8) == 0 { random(70_000) } else { body.len() };
            match u16::try_from(length) {
                Ok(short @ 0..126) => bytes.push(0x80 | u8::try_from(short).expect("small")),
                Ok(long) => bytes.extend([&[0xfe][..], &long.to_be_bytes()].concat()),
                Err(_) => bytes.extend([&[0xff][..], &(length as u64).to_be_bytes()].concat()),
            }
            bytes.extend([0; 4]);
            bytes.extend(body);
        }
        let mut page = bench.page().await;
        let _reset_already = page.get_mut().write_all(&bytes).await;
        let _reset_already = page.get_mut().shutdown().await;
        // It reads to its own end, and all its messages are heard.
        let mut rest = Vec::new();
        let mut ending = Box::pin(async {
            let _reset = page.get_mut().read_to_end(&mut rest).await;
        });
        loop {
            tokio::select! {
                ended = timeout(PATIENCE, &mut ending) => break ended.expect("the connection ends"),
                event = bench.events.recv() => {
                    delivered += usize::from(matches!(event, Some(TransportEvent::Message { .. })));
                }
            }
        }
        drop(ending);
    }
    assert!(delivered > 30, "{delivered} messages were among the garbage");
    timeout(PATIENCE, async {
        while bench.transports.connections() > 0 {
            while bench.events.try_recv().is_ok() {}
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("every connection is gone");
    while bench.events.try_recv().is_ok() {}
    let drops = bench.transports.drops();
    for reason in [DropReason::Unframed, DropReason::Malformed] {
        assert!(drops.get(reason) > 50, "{reason:?}: {}", drops.get(reason));
    }
    let mut page = bench.page().await;
    page.send(Frame::text(options("WS", "after"))).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "after@test");
}

#[tokio::test]
async fn connections_of_one_source_are_bounded_and_so_is_the_wait_for_a_first_message() {
    let bench = bench(&[
        ("limits.connections_per_source_max", "4"),
        ("limits.first_message_timeout_ms", "1000"),
        ("tls.handshake_timeout_ms", "1000"),
    ]);
    // Two that shook hands and say nothing more than pongs, two that do not even that.
    let mut silent = [bench.page().await, bench.page().await];
    silent[0].send(Frame::Pong(Bytes::new())).await.expect("sent");
    let mut half = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(bench.address(0)).await.expect("connected");
        socket.write_all(b"GET / HTTP/1.1\r\nSec-").await.expect("written");
        half.push(socket);
    }
    bench.connections(4).await;
    for flood in 1..=20 {
        let socket = TcpStream::connect(bench.address(0)).await.expect("connected");
        bench.dropped(DropReason::ConnectionsPerSourceMax, flood).await;
        drop(socket);
    }
    for page in &mut silent {
        assert_eq!(closed(page).await, (CloseCode::Away, "message_timeout".to_owned()));
    }
    bench.dropped(DropReason::MessageTimeout, 2).await;
    bench.dropped(DropReason::HandshakeFailed, 2).await;
    bench.connections(0).await;
    drop(half);
}

#[tokio::test]
async fn a_flood_of_pings_ends_at_the_rate_of_its_source() {
    let bench = bench(&[("limits.messages_per_source_per_s", "10")]);
    let mut page = bench.page().await;
    for _ in 0..100 {
        if page.feed(Frame::Ping(Bytes::new())).await.is_err() {
            break;
        }
    }
    let _closed_already = page.flush().await;
    bench.dropped(DropReason::Babbling, 1).await;
    // Pongs and CRLF are not answered beyond it, and it is not the page's end.
    let mut page = bench.page().await;
    for _ in 0..30 {
        page.feed(Frame::text("\r\n\r\n")).await.expect("sent");
        page.feed(Frame::Pong(Bytes::new())).await.expect("sent");
    }
    page.flush().await.expect("sent");
    bench.dropped(DropReason::RateMax, 40).await;
    assert_eq!(bench.transports.connections(), 1);
}

#[tokio::test]
async fn a_reader_that_does_not_keep_up_is_disconnected_and_what_was_meant_for_it_is_told() {
    let mut bench = bench(&[("limits.write_queue_bytes_max", "65536")]);
    let mut page = bench.page().await;
    page.send(Frame::text(options("WS", "slow"))).await.expect("sent");
    let (hop, _) = bench.message().await;
    let mut refused = false;
    for _ in 0..2_000 {
        if let Err(error) = bench.transports.send(&hop, Bytes::from(vec![b'x'; 16_384])) {
            assert_eq!(error.0, DropReason::SlowReader);
            refused = true;
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused);
    let mut failed = 0;
    loop {
        match bench.event().await {
            TransportEvent::SendFailed(told) => {
                assert_eq!(told, hop);
                failed += 1;
            }
            TransportEvent::FlowClosed(flow) => break assert_eq!(Some(flow), hop.flow),
            other => panic!("{other:?}"),
        }
    }
    assert!(failed > 0);
    let gone = bench.transports.send(&hop, Bytes::from_static(b"late"));
    assert_eq!(gone.expect_err("the flow is gone").0, DropReason::FlowGone);
    // And nobody is dialled: there is no listener where a page is.
    let gone = bench.transports.send(&Hop::new(Transport::Ws, hop.remote), Bytes::from_static(b"late"));
    assert_eq!(gone.expect_err("no connection is opened").0, DropReason::FlowGone);
}

#[tokio::test]
async fn a_page_that_went_without_a_word_is_found_by_pings_and_one_that_answers_them_stays() {
    let mut bench = bench(&[("limits.websocket_ping_s", "1")]);
    let (mut gone, mut alive) = (bench.page().await, bench.page().await);
    gone.send(Frame::text(options("WS", "gone"))).await.expect("sent");
    let (hop, _) = bench.message().await;
    alive.send(Frame::text(options("WS", "alive"))).await.expect("sent");
    let (other, _) = bench.message().await;
    // Reading is what answers pings; the other page is not read.
    let closed = loop {
        tokio::select! {
            event = bench.event() => break event,
            frame = next(&mut alive) => assert!(matches!(frame, Frame::Ping(_)), "{frame:?}"),
        }
    };
    let TransportEvent::FlowClosed(flow) = closed else { panic!("{closed:?}") };
    assert_eq!(Some(flow), hop.flow);
    bench.dropped(DropReason::Idle, 1).await;
    bench.transports.send(&other, Bytes::from_static(b"still there")).expect("sent");
    while !matches!(next(&mut alive).await, Frame::Text(text) if text.as_str() == "still there") {}
}

#[tokio::test]
async fn a_page_that_closes_is_answered_and_the_flow_is_told_gone() {
    let mut bench = bench(&[]);
    let mut page = bench.page().await;
    page.send(Frame::text(options("WS", "c"))).await.expect("sent");
    let (hop, _) = bench.message().await;
    page.close(None).await.expect("sent");
    assert_eq!(next(&mut page).await, Frame::Close(None));
    let TransportEvent::FlowClosed(flow) = bench.event().await else { panic!("the flow closes") };
    assert_eq!(Some(flow), hop.flow);
    // The end of the process is said to every page.
    let mut page = bench.page().await;
    page.send(Frame::text(options("WS", "d"))).await.expect("sent");
    bench.message().await;
    let Bench { transports, events: _events, .. } = bench;
    transports.shutdown().await;
    assert!(matches!(next(&mut page).await, Frame::Close(_)));
}

#[tokio::test]
async fn a_certificate_is_replaced_under_live_connections_and_a_broken_one_is_not_taken() {
    let mut bench = bench(&[]);
    let mut old = bench.secure_page().await;
    old.send(Frame::text(options("WSS", "old"))).await.expect("sent");
    let (hop, _) = bench.message().await;
    let key = bench.certificate.with_file_name("key.pem");
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("certificate");
    let whole = std::fs::read(&bench.certificate).expect("read");
    // Half of the pair, and then none: the old one goes on being shown.
    for broken in [made.cert.pem(), "no PEM".to_owned()] {
        std::fs::write(&bench.certificate, broken).expect("written");
        assert_eq!(bench.transports.reload_certificates().await.expect("a task"), 1);
        std::fs::write(&bench.certificate, &whole).expect("written");
        drop(bench.try_secure_page().await.expect("the old certificate is shown"));
    }
    std::fs::write(&bench.certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    assert!(bench.try_secure_page().await.is_none(), "the new one is not shown unasked");
    assert_eq!(bench.transports.reload_certificates().await.expect("a task"), 0);
    let mut new = bench.try_secure_page().await.expect("the new certificate is shown");
    new.send(Frame::text(options("WSS", "new"))).await.expect("sent");
    assert_eq!(call_id(&bench.message().await.1), "new@test");
    bench.transports.send(&hop, Bytes::from_static(b"still here")).expect("sent");
    assert_eq!(next(&mut old).await, Frame::text("still here"));
}
