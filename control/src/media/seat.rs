//! The task of one engine: its socket, its questions, its health, its events.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use call::{EngineId, MediaError};
use ng::{Command, Events, Ping, Reply};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::MediaEvent;
use super::client::{Client, Purpose};
use super::health::{Change, Health};
use crate::config;

/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Asked of the kernel, so that a burst of answers waits instead of being repeated.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Added to the time an engine may hold back events, before the poll is lost.
const EVENTS_GRACE: Duration = Duration::from_millis(700);

/// After an engine refused to tell events: it does not know the command.
const EVENTS_PAUSE: Duration = Duration::from_secs(5);

/// After a socket error that is no closed port.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// What a seat is told at its start.
#[derive(Debug)]
pub(super) struct SeatConfig {
    pub(super) engine: EngineId,
    pub(super) name: Arc<str>,
    pub(super) owner: String,
    pub(super) cookie_prefix: String,
    pub(super) settings: config::Media,
}

/// One engine as this process sees it.
#[derive(Debug)]
pub(super) struct Seat {
    config: SeatConfig,
    client: Client,
    health: Health,
    events: Poll,
}

/// Where the polling of events stands.
#[derive(Debug)]
struct Poll {
    /// The first sequence number not seen yet.
    since: u64,
    asked: bool,
    /// Not asked again before that.
    not_before: Instant,
}

/// A UDP socket toward `remote`, whose kernel tells when nobody listens there.
pub(super) fn connect(remote: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(remote), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel cuts this to net.core.rmem_max; a smaller buffer costs repetitions only.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.connect(&remote.into())?;
    UdpSocket::from_std(socket.into())
}

/// What woke a seat up.
enum Wake {
    Command(Option<(u64, Command)>),
    Datagram(io::Result<usize>),
    Deadline,
}

impl Seat {
    pub(super) fn new(config: SeatConfig) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(config.cookie_prefix.clone(), config.settings.requests_max),
            health: Health::new(now, config.settings.ping_interval),
            events: Poll { since: 0, asked: false, not_before: now },
            config,
        }
    }

    /// Runs until nobody sends commands or hears events any more.
    pub(super) async fn run(
        mut self,
        socket: UdpSocket,
        mut commands: mpsc::Receiver<(u64, Command)>,
        events: mpsc::Sender<MediaEvent>,
    ) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut told = Vec::new();
        loop {
            let wake = tokio::select! {
                command = commands.recv() => Wake::Command(command),
                received = socket.recv(&mut buffer) => Wake::Datagram(received),
                () = tokio::time::sleep_until(self.next_deadline().into()) => Wake::Deadline,
            };
            let now = Instant::now();
            match wake {
                Wake::Command(None) => return,
                Wake::Command(Some((id, command))) => self.on_command(now, id, &command, &mut told),
                Wake::Datagram(Ok(length)) => self.on_datagram(now, &buffer[..length], &mut told),
                Wake::Datagram(Err(error)) => self.on_error(now, &error).await,
                Wake::Deadline => {}
            }
            self.on_time(now, &mut told);
            while let Some(datagram) = self.client.poll_transmit() {
                if let Err(error) = socket.send(&datagram).await {
                    self.on_error(now, &error).await;
                }
            }
            for event in told.drain(..) {
                if events.send(event).await.is_err() {
                    return;
                }
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let health = self.health.next_deadline();
        let client = self.client.next_deadline().unwrap_or(health);
        let poll = if self.wants_events() { self.events.not_before } else { health };
        health.min(client).min(poll)
    }

    fn wants_events(&self) -> bool {
        self.health.instance().is_some() && !self.events.asked
    }

    fn on_command(&mut self, now: Instant, id: u64, command: &Command, told: &mut Vec<MediaEvent>) {
        if self.health.is_down() || self.client.ask(now, id, command).is_err() {
            told.push(MediaEvent::Reply { id, reply: Err(MediaError::Timeout) });
        }
    }

    fn on_datagram(&mut self, now: Instant, datagram: &[u8], told: &mut Vec<MediaEvent>) {
        let Some((purpose, reply)) = self.client.receive(datagram) else {
            metrics::counter!("control_media_stray_replies_total").increment(1);
            return;
        };
        match purpose {
            Purpose::Command(id) => told.push(MediaEvent::Reply { id, reply }),
            Purpose::Ping => {
                // A foreign engine answers pings but has no instance to tell.
                if let Ok(Reply::Pong { instance }) = reply {
                    let change = self.health.pong(instance.as_deref().unwrap_or("unnamed"));
                    self.on_change(now, change, told);
                }
            }
            Purpose::Events => self.on_events(now, reply, told),
        }
    }

    fn on_events(&mut self, now: Instant, reply: Result<Reply, MediaError>, told: &mut Vec<MediaEvent>) {
        self.events.asked = false;
        match reply {
            Ok(Reply::Events(batch)) if Some(batch.instance.as_str()) == self.health.instance() => {
                if batch.gap {
                    metrics::counter!("control_media_event_gaps_total").increment(1);
                    tracing::warn!(engine = %self.config.name, "events of the engine were lost");
                }
                self.events.since = batch.next;
                let engine = self.config.engine;
                let events = batch.events.into_iter();
                told.extend(events.map(|event| MediaEvent::Event { engine, event: Box::new(event) }));
            }
            // Another process answered: the next ping brings its name.
            Ok(Reply::Events(_)) => {
                self.events.since = 0;
                self.events.not_before = now + self.config.settings.ping_interval;
            }
            _ => self.events.not_before = now + EVENTS_PAUSE,
        }
    }

    async fn on_error(&mut self, now: Instant, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            self.health.refused(now);
        } else {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }

    fn on_time(&mut self, now: Instant, told: &mut Vec<MediaEvent>) {
        let (change, ping) = self.health.handle_timeout(now);
        self.on_change(now, change, told);
        if ping {
            let command = Command::Ping(Ping { owner: Some(self.config.owner.clone()) });
            // A pong that comes after the next ping still shows that the engine lives.
            let wait = 2 * self.config.settings.ping_interval;
            self.client.ask_once(now, Purpose::Ping, &command, wait);
        }
        self.client.handle_timeout(now);
        while let Some(purpose) = self.client.poll_failed() {
            match purpose {
                Purpose::Command(id) => {
                    metrics::counter!("control_media_timeouts_total").increment(1);
                    told.push(MediaEvent::Reply { id, reply: Err(MediaError::Timeout) });
                }
                Purpose::Ping => {}
                Purpose::Events => self.events.asked = false,
            }
        }
        if self.wants_events() && now >= self.events.not_before {
            let wait = self.config.settings.events_wait;
            let command = Command::Events(Events {
                since: self.events.since,
                wait_ms: u64::try_from(wait.as_millis()).unwrap_or(Events::WAIT_MS_MAX),
                owner: Some(self.config.owner.clone()),
            });
            self.events.asked = true;
            self.client.ask_once(now, Purpose::Events, &command, wait + EVENTS_GRACE);
        }
    }

    fn on_change(&mut self, now: Instant, change: Option<Change>, told: &mut Vec<MediaEvent>) {
        let engine = self.config.engine;
        match change {
            None => {}
            Some(Change::Up { instance }) => {
                tracing::info!(engine = %self.config.name, instance, "engine answers");
                self.events.since = 0;
                self.events.not_before = now;
                told.push(MediaEvent::Up { engine, instance });
            }
            Some(Change::Down) => {
                tracing::error!(engine = %self.config.name, "engine does not answer");
                self.client.fail_commands();
                told.push(MediaEvent::Down { engine });
            }
        }
    }
}
