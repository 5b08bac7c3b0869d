//! The seat at an engine, against an engine made of one UDP socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use call::{EngineId, MediaError};
use control::config::{Engine, Media};
use control::media::{Engines, MediaEvent};
use ng::{Command, Delete, Encoding, Envelope, Event, EventBatch, EventKind, Reply};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

const ENGINE: EngineId = EngineId(0);

struct FakeEngine {
    socket: UdpSocket,
    instance: &'static str,
}

struct Question {
    cookie: Vec<u8>,
    command: Command,
    from: SocketAddr,
}

impl FakeEngine {
    async fn new() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.expect("socket"), instance: "one" }
    }

    fn start(&self) -> (Engines, Receiver<MediaEvent>) {
        let engine = Engine { name: Arc::from("fake"), address: self.socket.local_addr().expect("address") };
        let settings = Media {
            ping_interval: Duration::from_millis(100),
            events_wait: Duration::from_millis(100),
            requests_max: 64,
        };
        Engines::start(&[engine], &settings, "test", "cookie").expect("socket")
    }

    async fn question(&self) -> Question {
        let mut buffer = vec![0; 65_535];
        let (length, from) =
            timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await.expect("in time").expect("read");
        let envelope = Envelope::parse(&buffer[..length]).expect("a cookie");
        Question { cookie: envelope.cookie, command: envelope.request.expect("a request").command, from }
    }

    async fn reply(&self, question: &Question, reply: &Reply) {
        let datagram = reply.datagram(&question.cookie, Encoding::Bencode);
        self.socket.send_to(&datagram, question.from).await.expect("sent");
    }

    /// Answers pings, until the next question of another kind.
    async fn next_command(&self) -> Question {
        loop {
            let question = self.question().await;
            match question.command {
                Command::Ping(_) => {
                    let reply = Reply::Pong { instance: Some(self.instance.to_owned()) };
                    self.reply(&question, &reply).await;
                }
                Command::Events(_) => {}
                _ => return question,
            }
        }
    }

    /// Answers pings, until the seat polls for events.
    async fn next_poll(&self) -> (Question, u64) {
        loop {
            let question = self.question().await;
            match &question.command {
                Command::Ping(_) => {
                    let reply = Reply::Pong { instance: Some(self.instance.to_owned()) };
                    self.reply(&question, &reply).await;
                }
                Command::Events(events) => {
                    assert_eq!(events.owner.as_deref(), Some("test"));
                    let since = events.since;
                    return (question, since);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

async fn event(events: &mut Receiver<MediaEvent>) -> MediaEvent {
    timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("seats live")
}

fn delete(call: &str) -> Command {
    Command::Delete(Box::new(Delete { call_id: call.to_owned(), ..Delete::default() }))
}

/// Answers pings until the seat says that the engine is up; commands of before are left unanswered.
async fn up(engine: &FakeEngine, events: &mut Receiver<MediaEvent>) -> String {
    loop {
        let told = tokio::select! {
            _ = engine.next_command() => continue,
            told = event(events) => told,
        };
        match told {
            MediaEvent::Up { engine, instance } => {
                assert_eq!(engine, ENGINE);
                return instance;
            }
            MediaEvent::Down { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lost_command_is_repeated_with_its_cookie_and_answered_once() {
    let engine = FakeEngine::new().await;
    let (engines, mut events) = engine.start();
    up(&engine, &mut events).await;
    engines.ask(ENGINE, 42, delete("c")).expect("room");
    let lost = engine.next_command().await;
    let repeated = engine.next_command().await;
    assert_eq!((&repeated.cookie, &repeated.command), (&lost.cookie, &lost.command));
    let stale = Question { cookie: b"cookie-99999".to_vec(), ..engine_copy(&repeated) };
    engine.reply(&stale, &Reply::Error("stale".to_owned())).await;
    engine.reply(&repeated, &Reply::Ok { warning: None }).await;
    engine.reply(&repeated, &Reply::Error("a second copy".to_owned())).await;
    engines.ask(ENGINE, 43, delete("d")).expect("room");
    let mut replies = Vec::new();
    while replies.len() < 2 {
        tokio::select! {
            question = engine.next_command() => engine.reply(&question, &Reply::Ok { warning: None }).await,
            told = event(&mut events) => match told {
                MediaEvent::Reply { id, reply } => replies.push((id, reply)),
                other => panic!("unexpected {other:?}"),
            },
        }
    }
    let ok = Ok(Reply::Ok { warning: None });
    assert_eq!(replies, [(42, ok.clone()), (43, ok)]);
}

fn engine_copy(question: &Question) -> Question {
    Question { cookie: question.cookie.clone(), command: question.command.clone(), from: question.from }
}

#[tokio::test]
async fn a_reply_that_is_not_understood_is_said_to_be_so() {
    let engine = FakeEngine::new().await;
    let (engines, mut events) = engine.start();
    up(&engine, &mut events).await;
    engines.ask(ENGINE, 1, delete("c")).expect("room");
    let question = engine.next_command().await;
    let mut datagram = question.cookie.clone();
    datagram.extend_from_slice(b" neither of the two");
    engine.socket.send_to(&datagram, question.from).await.expect("sent");
    let MediaEvent::Reply { id: 1, reply } = event(&mut events).await else { panic!("a reply") };
    assert_eq!(reply, Err(MediaError::Malformed));
}

#[tokio::test]
async fn an_engine_that_falls_silent_is_down_and_fails_what_waits() {
    let engine = FakeEngine::new().await;
    let (engines, mut events) = engine.start();
    assert_eq!(up(&engine, &mut events).await, "one");
    engines.ask(ENGINE, 5, delete("c")).expect("room");
    let silent_since = Instant::now();
    assert!(matches!(event(&mut events).await, MediaEvent::Down { engine: ENGINE }));
    assert!(silent_since.elapsed() < Duration::from_secs(3));
    let MediaEvent::Reply { id: 5, reply } = event(&mut events).await else { panic!("the command fails") };
    assert_eq!(reply, Err(MediaError::Timeout));
    engines.ask(ENGINE, 6, delete("c")).expect("room");
    let MediaEvent::Reply { id: 6, reply } = event(&mut events).await else { panic!("it fails at once") };
    assert_eq!(reply, Err(MediaError::Timeout));
    assert_eq!(up(&engine, &mut events).await, "one", "it is pinged on");
}

#[tokio::test]
async fn a_closed_port_is_down_and_a_new_process_is_up_under_another_name() {
    let mut engine = FakeEngine::new().await;
    let address = engine.socket.local_addr().expect("address");
    let (_engines, mut events) = engine.start();
    up(&engine, &mut events).await;
    drop(engine.socket);
    assert!(matches!(event(&mut events).await, MediaEvent::Down { engine: ENGINE }));
    engine = FakeEngine { socket: UdpSocket::bind(address).await.expect("socket"), instance: "two" };
    assert_eq!(up(&engine, &mut events).await, "two");
}

#[tokio::test]
async fn events_come_in_order_and_the_next_poll_begins_behind_them() {
    let engine = FakeEngine::new().await;
    let (_engines, mut events) = engine.start();
    let (question, since) = engine.next_poll().await;
    assert_eq!(since, 0);
    let told = |sequence| Event {
        sequence,
        call_id: "c".to_owned(),
        owner: Some("test".to_owned()),
        wall_ms: 1,
        kind: EventKind::CallReport { legs: Vec::new() },
    };
    let batch =
        EventBatch { instance: "one".to_owned(), next: 3, gap: false, events: vec![told(1), told(2)] };
    engine.reply(&question, &Reply::Events(batch)).await;
    let (lost, since) = engine.next_poll().await;
    assert_eq!(since, 3);
    let (again, since) = engine.next_poll().await;
    assert_eq!(since, 3, "a poll whose answer is lost is asked again");
    assert_ne!(lost.cookie, again.cookie);
    assert!(matches!(event(&mut events).await, MediaEvent::Up { .. }));
    for sequence in [1, 2] {
        let MediaEvent::Event { engine: ENGINE, event } = event(&mut events).await else {
            panic!("an event")
        };
        assert_eq!(event.sequence, sequence);
    }
}
