//! NG over TCP: what a stream is cut into, what repeats and polls get, and how a connection ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use engine::{Engine, RawConfig, Service};

/// A running engine with a stream listener.
struct Rig {
    engine: Option<Engine>,
    ng: SocketAddr,
}

impl Rig {
    fn start() -> Self {
        let raw = RawConfig {
            interface: vec!["127.0.0.1".to_owned()],
            listen_ng: vec!["127.0.0.1:0".to_owned()],
            listen_tcp_ng: vec!["127.0.0.1:0".to_owned()],
            port_min: Some(19_000),
            port_max: Some(19_099),
            workers: Some(2),
            ..RawConfig::default()
        };
        let engine = Engine::start(&raw.check().expect("sound")).expect("it starts");
        let [(Service::Ng, ng)] = engine.stream_addresses() else { panic!("one listener") };
        let ng = *ng;
        Self { engine: Some(engine), ng }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.ng).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.engine.take().expect("started").stop();
    }
}

/// Reads until `count` answers are whole.
fn answers(stream: &mut TcpStream, count: usize) -> Vec<(String, String)> {
    let mut framer = ng::Framer::default();
    let mut found = Vec::new();
    let mut buffer = [0; 4096];
    while found.len() < count {
        let length = stream.read(&mut buffer).expect("an answer in time");
        assert!(length > 0, "it was closed after {found:?}");
        framer.push(&buffer[..length]);
        while let Some(message) = framer.poll().expect("messages") {
            let text = |bytes| String::from_utf8(bytes).expect("text");
            found.push((text(message.cookie), text(message.document)));
        }
    }
    found
}

fn pair(cookie: &str, document: &str) -> (String, String) {
    (cookie.to_owned(), document.to_owned())
}

const PONG: &str = "d6:result4:ponge";

#[test]
fn messages_are_answered_in_their_own_encoding_however_they_are_cut() {
    let rig = Rig::start();
    let mut stream = rig.connect();
    stream.write_all(b"1 d7:command4:pinge2 {\"command\":\"ping\"}\r\n3 d7:com").expect("sent");
    assert_eq!(answers(&mut stream, 2), [pair("1", PONG), pair("2", "{\"result\":\"pong\"}")]);
    stream.write_all(b"mand4:pinge").expect("sent");
    assert_eq!(answers(&mut stream, 1), [pair("3", PONG)]);
}

#[test]
fn a_repeat_over_another_connection_is_answered_and_not_done_again() {
    let rig = Rig::start();
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";
    let offer = format!("7_1 d7:command5:offer7:call-id1:c8:from-tag1:a3:sdp{}:{sdp}e", sdp.len());
    let mut first = rig.connect();
    first.write_all(offer.as_bytes()).expect("sent");
    let answered = answers(&mut first, 1);
    assert!(answered[0].1.contains("m=audio 19"), "{answered:?}");
    drop(first);
    let mut second = rig.connect();
    second.write_all(offer.as_bytes()).expect("sent");
    assert_eq!(answers(&mut second, 1), answered, "the same ports");
}

#[test]
fn a_poll_waits_while_other_questions_are_answered() {
    let rig = Rig::start();
    let mut stream = rig.connect();
    stream.write_all(b"p d7:command6:events5:sincei1e7:wait-msi300ee1 d7:command4:pinge").expect("sent");
    let found = answers(&mut stream, 2);
    assert_eq!(found[0], pair("1", PONG));
    assert!(found[1].0 == "p" && found[1].1.contains("6:eventsle"), "{found:?}");
}

#[test]
fn answers_still_come_after_the_client_has_said_all() {
    let rig = Rig::start();
    let mut stream = rig.connect();
    stream.write_all(b"p d7:command6:events5:sincei1e7:wait-msi200ee").expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the answer and the end");
    assert!(text.starts_with("p d") && text.contains("6:eventsle"), "{text}");
}

#[test]
fn what_is_no_message_is_refused_with_the_known_text_and_ends_the_connection() {
    let rig = Rig::start();
    for (stream_bytes, expected) in [
        (&b"1 hello"[..], "Invalid NG data format"),
        (b"1 dx", "Could not decode bencode dictionary"),
        (b" d7:command4:pinge", ""),
    ] {
        let mut stream = rig.connect();
        stream.write_all(stream_bytes).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the end");
        assert!(text.contains(expected) && text.is_empty() == expected.is_empty(), "{text}");
    }
    let mut stream = rig.connect();
    stream.write_all(b"1 d7:command4:pinge").expect("sent");
    assert_eq!(answers(&mut stream, 1), [pair("1", PONG)], "others are not touched");
}

#[test]
fn many_questions_at_once_are_all_answered() {
    let rig = Rig::start();
    let mut stream = rig.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let asking = std::thread::spawn(move || {
        for number in 0..2000 {
            writer.write_all(format!("{number} d7:call-id1:x7:command5:querye").as_bytes()).expect("sent");
        }
    });
    let found = answers(&mut stream, 2000);
    asking.join().expect("all sent");
    let cookies: std::collections::HashSet<_> = found.iter().map(|(cookie, _)| cookie).collect();
    assert_eq!(cookies.len(), 2000);
    assert!(found.iter().all(|(_, document)| document.contains("Unknown call-id")));
}
