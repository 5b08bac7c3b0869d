//! The threads of the door: one per listening socket that receives, one that answers
//! (`adr/0006-a-shard-knows-only-datagrams.md`).

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender, TrySendError};
use driver::{Clock, MailSender, Undelivered};
use ng::{Event, Reply, Templates};

use super::{Door, DoorOutput, Gate, Live, Question, Settings, WayBack};
use crate::beat::Dial;
use crate::config::{Peers, SetLog};
use crate::meter::DoorMeter;
use crate::statistics::WorkerState;
use crate::worker::{MoveMail, MoveNews, WorkerMail};

/// What the door's thread is told.
#[derive(Debug)]
pub(crate) enum DoorMail {
    /// A datagram came to a listener.
    Datagram {
        /// Which listener.
        listener: usize,
        /// From whom.
        from: SocketAddr,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Somebody who may ask does so over a stream.
    Question {
        /// Who.
        from: SocketAddr,
        /// What.
        question: Question,
        /// What it weighs in the [`Gate`].
        bytes: usize,
        /// Where the answer goes.
        way: WayBack,
    },
    /// A shard answers.
    Reply {
        /// Of the command.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// How a worker stands.
    State {
        /// Of the question.
        id: u64,
        /// Calls that an operator has ended since the last such mail.
        terminated: u64,
        /// How.
        state: Box<WorkerState>,
    },
    /// Something happened to a call.
    Event(Event),
    /// Something about a call that moves.
    Moved(MoveNews),
    /// One or more events before this were lost.
    EventsLost,
    /// Messages may name other presets.
    Templates(Templates),
    /// Settings that were read again.
    Settings(Box<Settings>),
    /// Let no call move from now on, and say when none is on its way.
    EndMoves(Sender<()>),
    /// Answer what can be answered and end.
    Stop,
}

/// Where workers put what they have for the door. Never blocks a worker.
#[derive(Clone, Debug)]
pub(crate) struct Hatch {
    sender: Sender<DoorMail>,
}

impl Hatch {
    /// Hands mail over; false, and the mail is lost, if the door does not keep up. A lost reply
    /// is asked for again with the same cookie and then gone; of lost
    /// events the worker tells the door as soon as it can. It counts both.
    pub(crate) fn put(&self, mail: DoorMail) -> bool {
        self.offer(mail).is_none()
    }

    /// Hands mail over, or gives it back if the door does not keep up.
    pub(crate) fn offer(&self, mail: DoorMail) -> Option<DoorMail> {
        self.sender.try_send(mail).err().map(TrySendError::into_inner)
    }
}

/// The door's mailbox before its thread runs.
pub(crate) fn hatch() -> (Hatch, Receiver<DoorMail>) {
    let (sender, receiver) = channel::bounded(MAIL_MAX);
    (Hatch { sender }, receiver)
}

/// The running door.
#[derive(Debug)]
pub(crate) struct DoorThread {
    sender: Sender<DoorMail>,
    gate: Arc<Gate>,
    stopping: Arc<AtomicBool>,
    listeners: Vec<JoinHandle<()>>,
    answering: JoinHandle<()>,
    addresses: Vec<SocketAddr>,
}

impl DoorThread {
    /// Starts the threads on sockets that are bound already. `panicked` is called if the answering one fails.
    ///
    /// # Errors
    /// The kernel's, when a socket cannot be shared or a thread not started.
    pub(crate) fn start(
        door: Door,
        gate: Arc<Gate>,
        sockets: Vec<UdpSocket>,
        (hatch, receiver): (Hatch, Receiver<DoorMail>),
        shards: Vec<MailSender<WorkerMail>>,
        (meter, set_log, dial): (DoorMeter, Option<SetLog>, Dial),
        panicked: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for (listener, socket) in sockets.iter().enumerate() {
            addresses.push(socket.local_addr()?);
            let socket = socket.try_clone()?;
            socket.set_read_timeout(Some(LISTEN_TIMEOUT))?;
            let ear = Ear {
                listener,
                socket,
                sender: hatch.sender.clone(),
                stopping: Arc::clone(&stopping),
                gate: Arc::clone(&gate),
            };
            let name = format!("ng-listen-{listener}");
            listeners.push(thread::Builder::new().name(name).spawn(move || ear.listen())?);
        }
        let of_all = Arc::clone(&gate);
        let mouth = Mouth { door, sockets, receiver, shards, gate, meter, set_log, dial, moves_end: None };
        let answering = thread::Builder::new().name("ng-door".to_owned()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| mouth.answer())).is_err() {
                panicked();
            }
        })?;
        Ok(Self { sender: hatch.sender, gate: of_all, stopping, listeners, answering, addresses })
    }

    /// Where NG is answered.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Other presets and peers from now on.
    pub(crate) fn reload(&self, templates: Templates, peers: Peers, settings: Settings) {
        self.gate.set_peers(peers);
        let _gone = self.sender.send(DoorMail::Settings(Box::new(settings)));
        // The thread takes mail until it is told to stop; it is gone only after a panic, which has been logged.
        let _gone = self.sender.send(DoorMail::Templates(templates));
    }

    /// Lets no call move from now on, and waits until none is on its way; not for long, if a worker does not answer.
    pub(crate) fn end_moves(&self) {
        let (done, is_done) = channel::bounded(1);
        // Without the thread nothing moves.
        if self.sender.send(DoorMail::EndMoves(done)).is_ok() {
            let _in_time = is_done.recv_timeout(MOVES_PATIENCE);
        }
    }

    /// Ends the threads, after everything in the mailbox was handled.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        // The thread takes mail until it is told to stop, so there is room in the end; it is gone only
        // after a panic, which has been logged.
        let _gone = self.sender.send(DoorMail::Stop);
        let _panicked = self.answering.join();
        for listener in self.listeners {
            let _panicked = listener.join();
        }
    }
}

/// The thread that receives on one socket.
struct Ear {
    listener: usize,
    socket: UdpSocket,
    sender: Sender<DoorMail>,
    stopping: Arc<AtomicBool>,
    gate: Arc<Gate>,
}

impl Ear {
    fn listen(self) {
        let mut buffer = vec![0; 65_536];
        while !self.stopping.load(Ordering::Relaxed) {
            // An error is a timeout, or a note that an earlier reply found nobody: neither matters here.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { continue };
            if !self.gate.admit(from.ip(), length) {
                continue;
            }
            let bytes = buffer[..length].to_vec();
            if self.sender.try_send(DoorMail::Datagram { listener: self.listener, from, bytes }).is_err() {
                self.gate.lost(length);
            }
        }
    }
}

/// The thread that answers on all of them.
struct Mouth {
    door: Door,
    sockets: Vec<UdpSocket>,
    receiver: Receiver<DoorMail>,
    shards: Vec<MailSender<WorkerMail>>,
    gate: Arc<Gate>,
    meter: DoorMeter,
    set_log: Option<SetLog>,
    dial: Dial,
    /// Who waits for the last call that moves.
    moves_end: Option<Sender<()>>,
}

impl Mouth {
    fn answer(mut self) {
        let mut running = true;
        while running {
            let now_ns = Clock::monotonic_ns();
            let due =
                self.door.next_deadline().map_or(METER_NS, |at| at.saturating_sub(now_ns).min(METER_NS));
            match self.receiver.recv_timeout(Duration::from_nanos(due)) {
                Ok(mail) => running = self.take(mail),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => running = false,
            }
            for _more in 0..MAIL_AT_ONCE {
                let Ok(mail) = self.receiver.try_recv() else { break };
                running &= self.take(mail);
            }
            let now_ns = Clock::monotonic_ns();
            self.act();
            self.door.settle(now_ns);
            self.act();
            if let Some(done) = self.moves_end.take_if(|_| !self.door.is_moving()) {
                // Nobody waits only if it took too long.
                let _gone = done.send(());
            }
            self.door.counters_mut().mailbox_full = self.gate.full();
            self.door.counters_mut().not_allowed = self.gate.not_allowed();
            let (counters, tally) = self.door.counted();
            self.meter.flush(now_ns, counters, tally);
        }
    }

    /// Hands one mail to the door; false if it was the last.
    fn take(&mut self, mail: DoorMail) -> bool {
        match mail {
            DoorMail::Datagram { listener, from, bytes } => {
                self.gate.taken(bytes.len());
                self.door.datagram(Clock::monotonic_ns(), listener, from, &bytes);
            }
            DoorMail::Question { from, question, bytes, way } => {
                self.gate.taken(bytes);
                self.door.question(Clock::monotonic_ns(), from, &question, way);
            }
            DoorMail::Reply { id, reply } => {
                self.door.at(Clock::now());
                self.door.reply(id, reply);
            }
            DoorMail::State { id, terminated, state } => {
                self.door.at(Clock::now());
                self.door.state(id, terminated, *state);
            }
            DoorMail::Moved(news) => {
                self.door.at(Clock::now());
                self.door.moved(news);
            }
            DoorMail::EndMoves(done) => {
                self.door.end_moves();
                self.moves_end = Some(done);
            }
            DoorMail::Event(event) => self.door.event(event),
            DoorMail::EventsLost => self.door.event_lost(),
            DoorMail::Templates(templates) => self.door.set_templates(templates),
            DoorMail::Settings(settings) => self.door.set_settings(*settings),
            DoorMail::Stop => return false,
        }
        true
    }

    /// Does what the door wants done.
    fn act(&mut self) {
        while let Some(output) = self.door.poll_output() {
            match output {
                DoorOutput::Send { listener, to, bytes } => {
                    if self.sockets[listener].send_to(&bytes, to).is_err() {
                        self.door.counters_mut().sends_failed += 1;
                    }
                }
                DoorOutput::Answer { way, bytes } => {
                    if !way.answer(bytes) {
                        self.door.counters_mut().sends_failed += 1;
                    }
                }
                DoorOutput::Mail { shard, id, mail } => {
                    if self.shards[shard].send(mail).is_err() {
                        self.door.overloaded(id);
                    }
                }
                DoorOutput::Move { shard, mail } => {
                    let goes_back = matches!(mail, MoveMail::PutBack(_));
                    match self.shards[shard].send(WorkerMail::Move(mail)) {
                        Ok(()) if goes_back => self.door.sent_back(),
                        Err(
                            Undelivered::Full(WorkerMail::Move(mail))
                            | Undelivered::Gone(WorkerMail::Move(mail)),
                        ) => {
                            self.door.not_sent(shard, mail);
                        }
                        _ => {}
                    }
                }
                DoorOutput::Live(live) => self.change(&live),
            }
        }
    }
}

impl Mouth {
    /// Hands changed settings to whom they are for.
    fn change(&self, live: &Live) {
        // Calls fall on shards by a hash, so that each may carry its share, rounded up.
        let calls_max = live.sessions_max.div_ceil(self.shards.len());
        let media_timeout = Duration::from_secs(live.timeout_s);
        let silent_timeout = Duration::from_secs(live.silent_timeout_s);
        for shard in &self.shards {
            let limits = WorkerMail::Limits { calls_max, media_timeout, silent_timeout };
            if shard.send(limits).is_err() {
                tracing::warn!("a worker's mailbox is full: it keeps its limits until they are set again");
            }
        }
        self.dial.set_limits(live.load);
        if let Some(Err(error)) = self.set_log.map(|set_log| set_log(&live.log)) {
            tracing::warn!(error, "the log level stays as it is");
        }
    }
}

/// Mail for the door at most; more is lost and counted.
pub(super) const MAIL_MAX: usize = 16_384;

/// Mail handled at most before polls and outputs have their turn.
const MAIL_AT_ONCE: usize = 256;

/// How long a listener takes to notice that it is to end.
const LISTEN_TIMEOUT: Duration = Duration::from_millis(200);

/// How long the end waits for a call that moves.
const MOVES_PATIENCE: Duration = Duration::from_secs(1);

/// How often counters are looked at when nothing else happens.
const METER_NS: u64 = 1_000_000_000;
