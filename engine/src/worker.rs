//! The loop of one core: what arrives goes into the shard, what comes out goes to the driver
//! (`adr/0007-core-and-driver-meet-in-the-worker.md`).

mod moving;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use driver::{Arrival, Driver, MailReceiver, Now, OpenFailure, Opening, Slot};
use engine_core::{Input, Instant, LiveConfig, OpenError, Output, RecordingId, Shard, SocketId};
use ng::{Command, Delete, DeleteDelay, Refusal};

use self::moving::Moves;
pub(crate) use self::moving::{MoveMail, MoveNews, Parcel};
pub(crate) use self::turn::{FlowWriter, TurnDesk, TurnMail};
use crate::door::{DoorMail, Hatch};
use crate::drain::Farewell;
use crate::load::Gauge;
use crate::meter::{WorkerCounters, WorkerMeter};
use crate::recorder::Tape;
use crate::throttle::Throttle;

/// What a worker is told by other threads.
#[derive(Debug)]
pub(crate) enum WorkerMail {
    /// A client asks something of this worker's calls.
    Command {
        /// To be echoed.
        id: u64,
        /// What.
        command: Command,
    },
    /// A recording could not be kept.
    RecordingFailed {
        /// Which.
        recording: RecordingId,
    },
    /// New calls are refused for this reason from now on, or taken again.
    Admission(Option<Refusal>),
    /// Other settings are in force.
    Live(Box<LiveConfig>),
    /// How does it stand? [`DoorMail::State`] follows.
    State {
        /// To be echoed.
        id: u64,
        /// Calls to be named at most.
        sessions_max: usize,
    },
    /// End every call, as an operator wishes; [`DoorMail::State`] follows.
    EndAll {
        /// To be echoed.
        id: u64,
    },
    /// Limits from now on.
    Limits {
        /// Live calls of this worker.
        calls_max: usize,
        /// Without a packet.
        media_timeout: Duration,
        /// While every party is on hold.
        silent_timeout: Duration,
    },
    /// A call is to move.
    Move(MoveMail),
    /// End the calls and the loop.
    Stop,
}

/// One worker: a driver, a shard, and the mail between them and the door.
pub(crate) struct Worker {
    driver: Driver,
    shard: Shard,
    mail: MailReceiver<WorkerMail>,
    hatch: Hatch,
    /// Answers to `OpenSocket`, handed in once the outputs are drained.
    opened: VecDeque<(SocketId, Result<(), OpenError>)>,
    /// What is recorded goes here, if it is kept at all.
    tape: Option<Tape>,
    /// Recordings that found no room, of which the shard hears once the outputs are drained.
    unkept: VecDeque<RecordingId>,
    meter: WorkerMeter,
    counters: WorkerCounters,
    /// Events were lost, and the door does not know yet.
    events_lost: bool,
    open_errors: Throttle,
    watch: Option<(Gauge, Farewell)>,
    moves: Moves,
    turn: Option<TurnDesk>,
    /// Calls that an operator ended, since the door was told.
    terminated: u64,
}

impl Worker {
    /// A worker of this driver and shard.
    pub(crate) fn new(
        driver: Driver,
        shard: Shard,
        mail: MailReceiver<WorkerMail>,
        hatch: Hatch,
        tape: Option<Tape>,
        meter: WorkerMeter,
    ) -> Self {
        Self {
            driver,
            shard,
            mail,
            hatch,
            opened: VecDeque::new(),
            tape,
            unkept: VecDeque::new(),
            meter,
            counters: WorkerCounters::default(),
            events_lost: false,
            open_errors: Throttle::new(10),
            watch: None,
            moves: Moves::new(),
            turn: None,
            terminated: 0,
        }
    }

    /// The same, and what it tells of itself.
    pub(crate) fn watched_by(self, gauge: Gauge, farewell: Farewell) -> Self {
        Self { watch: Some((gauge, farewell)), ..self }
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// The kernel's, when waiting itself fails.
    pub(crate) fn work(mut self) -> io::Result<()> {
        let mut batch = Vec::new();
        let mut more_mail = false;
        loop {
            let deadline_ns = if more_mail { Some(0) } else { Some(self.deadline()) };
            let now = self.driver.wait(deadline_ns, &mut batch)?;
            let mut woken = more_mail;
            let mut datagrams = 0;
            for arrival in batch.drain(..) {
                match arrival {
                    Arrival::Datagram { key, remote, slot } => {
                        datagrams += 1;
                        self.datagram(now, SocketId(key), remote, slot)
                    }
                    Arrival::Failed { key, .. } => {
                        self.input(now, Input::SocketError { socket: SocketId(key) });
                    }
                    Arrival::Quiet { key } => self.moves.quiet(SocketId(key)),
                    Arrival::Woken => woken = true,
                }
            }
            self.meter.batch(now.monotonic_ns, datagrams);
            if woken {
                let more_of_turn = self.read_turn_mail(now);
                match self.read_mail(now) {
                    Mail::Done => more_mail = more_of_turn,
                    Mail::More => more_mail = true,
                    Mail::Stop => {
                        if let Some(tape) = self.tape.take() {
                            tape.close();
                        }
                        return Ok(());
                    }
                }
            }
            if self.shard.next_deadline().is_some_and(|at| at <= instant(now)) {
                self.input(now, Input::Tick);
            }
            self.go_on_moving(now);
            if let Some(tape) = self.tape.as_mut().filter(|tape| tape.due_ns() <= now.monotonic_ns) {
                tape.flush(now.monotonic_ns);
            }
            if self.events_lost {
                self.events_lost = !self.hatch.put(DoorMail::EventsLost);
            }
            if let Some((gauge, farewell)) = &mut self.watch {
                let counters = self.shard.counters();
                gauge.look(now.monotonic_ns, counters.bytes_received + counters.turn.received.bytes);
                farewell.tell(self.shard.calls_live() + self.moves.away());
            }
            self.meter.flush(now.monotonic_ns, &self.shard, self.driver.counters(), self.counters);
        }
    }

    /// When the shard, the meter or the tape wants to be heard at the latest.
    fn deadline(&self) -> u64 {
        let shard = self.shard.next_deadline().map_or(u64::MAX, nanoseconds);
        let tape = self.tape.as_ref().map_or(u64::MAX, Tape::due_ns);
        shard.min(self.meter.next_ns()).min(tape).min(self.moves.due_ns)
    }

    /// Hands in a bounded number of commands.
    fn read_mail(&mut self, now: Now) -> Mail {
        for _message in 0..MAIL_AT_ONCE {
            match self.mail.take() {
                None => return Mail::Done,
                Some(WorkerMail::Command { id, command }) => {
                    self.input(now, Input::Command { id, command });
                }
                Some(WorkerMail::RecordingFailed { recording }) => {
                    self.input(now, Input::RecordingFailed { recording });
                }
                Some(WorkerMail::Admission(closed)) => {
                    self.input(now, Input::Admission(closed));
                    if let Some((_, farewell)) = &mut self.watch
                        && closed == Some(Refusal::Draining)
                    {
                        farewell.ask();
                    }
                }
                Some(WorkerMail::Live(live)) => {
                    if let Some(live) = self.moves.defer(live) {
                        self.input(now, Input::Live(live));
                    }
                }
                Some(WorkerMail::Move(mail)) => self.on_move(now, mail),
                Some(WorkerMail::State { id, sessions_max }) => self.tell_state(id, sessions_max),
                Some(WorkerMail::EndAll { id }) => {
                    self.end_all(now);
                    self.tell_state(id, 0);
                }
                Some(WorkerMail::Limits { calls_max, media_timeout, silent_timeout }) => {
                    self.input(now, Input::Limits { calls_max, media_timeout, silent_timeout });
                }
                Some(WorkerMail::Stop) => {
                    self.input(now, Input::Shutdown);
                    return Mail::Stop;
                }
            }
        }
        Mail::More
    }

    /// Tells the door how this worker stands.
    fn tell_state(&mut self, id: u64, sessions_max: usize) {
        let state = Box::new(self.meter.state(&self.shard, sessions_max));
        let terminated = std::mem::take(&mut self.terminated);
        self.tell(DoorMail::State { id, terminated, state });
    }

    /// Deletes every call at once.
    fn end_all(&mut self, now: Now) {
        for session in self.shard.census(usize::MAX).sessions {
            let delete = Delete {
                call_id: session.call_id,
                delay: DeleteDelay::Seconds(0),
                fast: true,
                ..Delete::default()
            };
            self.input(now, Input::Command { id: NOBODY, command: Command::Delete(Box::new(delete)) });
            self.terminated += 1;
        }
    }

    /// Hands in a datagram; its slot is sent on or released.
    fn datagram(&mut self, now: Now, socket: SocketId, remote: SocketAddr, mut slot: Slot) {
        let length = slot.length();
        let packet = self.driver.room_mut(&mut slot);
        let input = Input::Datagram { socket, remote, packet, length };
        self.shard.handle_input(instant(now), now.wall_ms, input);
        if let Some(slot) = self.drain(now, Some(slot)) {
            self.driver.release(slot);
        }
        self.hand_in_opened(now);
    }

    /// Hands in anything else.
    fn input(&mut self, now: Now, input: Input<'_>) {
        self.shard.handle_input(instant(now), now.wall_ms, input);
        let _no_slot = self.drain(now, None);
        self.hand_in_opened(now);
    }

    /// Hands in what became of the sockets and recordings the shard asked for.
    fn hand_in_opened(&mut self, now: Now) {
        while let Some(recording) = self.unkept.pop_front() {
            self.shard.handle_input(instant(now), now.wall_ms, Input::RecordingFailed { recording });
            let _no_slot = self.drain(now, None);
        }
        while let Some((socket, result)) = self.opened.pop_front() {
            self.shard.handle_input(instant(now), now.wall_ms, Input::SocketOpened { socket, result });
            let _no_slot = self.drain(now, None);
        }
    }

    /// Does what the shard wants done; gives the slot back if nothing was sent from it.
    fn drain(&mut self, now: Now, mut slot: Option<Slot>) -> Option<Slot> {
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Transmit { socket, remote, range } => {
                    if let Some(slot) = slot.take() {
                        self.driver.send(socket.0, remote, slot, range.start.into()..range.end.into());
                    }
                }
                Output::TransmitCopy { socket, remote, made } => {
                    // A packet without a free slot is dropped, and the driver counts it.
                    let _queued = self.driver.send_copy(socket.0, remote, self.shard.made(&made));
                }
                Output::Record { recording, socket, remote, made } => {
                    if let (Some(tape), Some(local)) = (&mut self.tape, self.shard.local_address(socket)) {
                        let kept = tape.record(now, recording, remote, local, self.shard.made(&made));
                        self.counters.recorded_lost += u64::from(!kept);
                    }
                }
                Output::Recording { recording, note } => {
                    if !self.tape.as_mut().is_some_and(|tape| tape.note(now, recording, note)) {
                        self.unkept.push_back(recording);
                    }
                }
                // Unconnected, always (ADR 1).
                Output::OpenSocket { socket, local, tos } => {
                    let result = self.driver.open(socket.0, &Opening::at(local, tos));
                    let result = result.map_err(|error| self.not_opened(now, local, &error));
                    self.opened.push_back((socket, result));
                }
                Output::SetTos { socket, tos } => {
                    if let Err(error) = self.driver.set_tos(socket.0, tos)
                        && let Some(unsaid) = self.open_errors.allow(now.monotonic_ns)
                    {
                        tracing::warn!(tos, %error, unsaid, "the TOS of a media socket could not be changed");
                    }
                }
                Output::CloseSocket { socket } => {
                    self.driver.close(socket.0);
                    self.moves.quiet(socket);
                }
                Output::Turn(output) => self.on_turn_output(now, output),
                Output::Reply { id: NOBODY, .. } => {}
                Output::Reply { id, reply } => self.tell(DoorMail::Reply { id, reply: *reply }),
                Output::Event(event) => self.tell(DoorMail::Event(*event)),
            }
        }
        slot
    }

    /// Tells the door something. Of events that were lost it hears as soon as there is room again.
    fn tell(&mut self, mail: DoorMail) {
        if self.events_lost {
            self.events_lost = !self.hatch.put(DoorMail::EventsLost);
        }
        let event = matches!(mail, DoorMail::Event(_));
        if !self.hatch.put(mail) {
            self.counters.door_full += 1;
            self.events_lost |= event;
        }
    }

    /// Notes why a socket is not open.
    fn not_opened(&mut self, now: Now, local: SocketAddr, error: &io::Error) -> OpenError {
        if let Some(unsaid) = self.open_errors.allow(now.monotonic_ns) {
            tracing::warn!(%local, %error, unsaid, "a media socket could not be opened");
        }
        match OpenFailure::of(error) {
            OpenFailure::InUse => OpenError::InUse,
            OpenFailure::NoDescriptor => OpenError::NoDescriptor,
            OpenFailure::NotAvailable => OpenError::NotAvailable,
            OpenFailure::Other => OpenError::Other,
        }
    }
}

/// What reading the mailbox came to.
enum Mail {
    Done,
    More,
    Stop,
}

/// The driver's clock as the shard's.
fn instant(now: Now) -> Instant {
    Instant::from_nanos(now.monotonic_ns)
}

/// The shard's clock as the driver's.
fn nanoseconds(at: Instant) -> u64 {
    at.as_nanos()
}

/// The id of commands of our own, whose replies nobody waits for.
const NOBODY: u64 = u64::MAX;

/// Commands handled at most before media has its turn.
const MAIL_AT_ONCE: usize = 32;
