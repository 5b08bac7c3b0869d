//! Calls that leave this worker for another, or come from one (`adr/0011-a-call-moves-to-the-worker-of-the-other.md`).
//!
//! Before a call leaves, its sockets fall quiet: what the kernel has handed over is still relayed here, and what comes later
//! waits in the sockets until the other worker has them. So nothing is lost on the way.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;

use driver::Now;
use engine_core::{FreePort, Input, LiveConfig, MovedCall, NotPut, PutIn, SocketId, apart};
use ng::{Command, Connect};

use super::{Worker, instant};
use crate::door::DoorMail;

/// A call on its way, with its sockets.
#[derive(Debug)]
pub(crate) struct Parcel {
    call: Box<MovedCall>,
    /// In the order of [`MovedCall::sockets`]; `None` where one could not be taken over.
    sockets: Vec<Option<OwnedFd>>,
}

impl Parcel {
    /// A call and its sockets, in their order.
    pub(crate) fn new(call: Box<MovedCall>, sockets: Vec<Option<OwnedFd>>) -> Self {
        Self { call, sockets }
    }

    /// Every name that leads to the call.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.call.names()
    }
}

/// What a worker is told about calls that move.
#[derive(Debug)]
pub(crate) enum MoveMail {
    /// The call that is named second leaves, to be connected elsewhere; [`MoveNews::Out`] follows.
    TakeOut {
        /// To be echoed.
        id: u64,
        /// What it is for.
        connect: Box<Connect>,
    },
    /// It comes in, and is connected to the call that is named first; [`MoveNews::In`] and, if it found room, the reply
    /// to the command `id` follow.
    PutIn {
        /// To be echoed.
        id: u64,
        /// The call.
        parcel: Box<Parcel>,
        /// What it is for.
        connect: Box<Connect>,
    },
    /// A call that left found no room, and is here again.
    PutBack(Box<Parcel>),
    /// A call that left has found its place. These ports come in exchange for those that it took along.
    Settled(Vec<FreePort>),
    /// Which of these names lead to nothing here? [`MoveNews::Unknown`] follows.
    Known {
        /// To be echoed.
        id: u64,
        /// Names of calls.
        call_ids: Vec<String>,
    },
}

/// What the door hears of calls that move. Never lost.
#[derive(Debug)]
pub(crate) enum MoveNews {
    /// The call has left, or why it has not.
    Out {
        /// Of the question.
        id: u64,
        /// The call.
        result: Result<Box<Parcel>, String>,
    },
    /// The call is here, against these ports; or here it is again, and why.
    In {
        /// Of the question.
        id: u64,
        /// What it came to.
        result: Result<Vec<FreePort>, (Box<Parcel>, String)>,
    },
    /// These names lead to nothing.
    Unknown {
        /// Of the question.
        id: u64,
        /// Names of calls.
        call_ids: Vec<String>,
    },
}

/// What a worker knows of calls that move.
#[derive(Debug)]
pub(super) struct Moves {
    leaving: Option<Leaving>,
    /// Calls that have left and may come back.
    away: usize,
    /// Settings that wait until those are settled, so that whatever comes back finds its interfaces.
    live: Option<Box<LiveConfig>>,
    /// What the door had no room for.
    unsaid: VecDeque<MoveNews>,
    /// When that is tried again.
    pub(super) due_ns: u64,
}

/// A call whose sockets fall quiet.
#[derive(Debug)]
struct Leaving {
    id: u64,
    call_id: String,
    sockets: Vec<SocketId>,
    /// Those that may still bring something.
    loud: Vec<SocketId>,
}

impl Moves {
    pub(super) fn new() -> Self {
        Self { leaving: None, away: 0, live: None, unsaid: VecDeque::new(), due_ns: u64::MAX }
    }

    /// Calls that are on their way and not settled.
    pub(super) fn away(&self) -> usize {
        self.away
    }

    /// Nothing more comes from this socket.
    pub(super) fn quiet(&mut self, socket: SocketId) {
        if let Some(leaving) = &mut self.leaving {
            leaving.loud.retain(|loud| *loud != socket);
        }
    }

    /// Keeps settings for later while a call is on its way; gives them back otherwise.
    pub(super) fn defer(&mut self, live: Box<LiveConfig>) -> Option<Box<LiveConfig>> {
        if self.away == 0 {
            return Some(live);
        }
        self.live = Some(live);
        None
    }
}

impl Worker {
    /// Does what the door wants done about a call that moves.
    pub(super) fn on_move(&mut self, now: Now, mail: MoveMail) {
        match mail {
            MoveMail::TakeOut { id, connect } => self.let_leave(now, id, &connect),
            MoveMail::PutIn { id, parcel, connect } => self.take_in(now, id, *parcel, connect),
            MoveMail::PutBack(parcel) => {
                self.take_back(now, *parcel);
                self.settled(now);
            }
            MoveMail::Settled(ports) => {
                self.shard.take_ports(&ports);
                self.settled(now);
            }
            MoveMail::Known { id, mut call_ids } => {
                call_ids.retain(|call_id| !self.shard.knows(call_id));
                self.say(now, MoveNews::Unknown { id, call_ids });
            }
        }
    }

    /// Goes on with what waited: a call whose sockets are quiet leaves, and the door hears what it had no room for.
    pub(super) fn go_on_moving(&mut self, now: Now) {
        if let Some(leaving) = self.moves.leaving.take_if(|leaving| leaving.loud.is_empty()) {
            let result = self.take_out(now, &leaving);
            self.moves.away += usize::from(result.is_ok());
            self.say(now, MoveNews::Out { id: leaving.id, result });
        }
        if self.moves.due_ns <= now.monotonic_ns {
            self.hand_over(now);
        }
    }

    /// Lets the sockets of a call fall quiet, if it may leave.
    fn let_leave(&mut self, now: Now, id: u64, connect: &Connect) {
        match self.shard.leaving(connect) {
            Ok(sockets) => {
                sockets.iter().for_each(|socket| self.driver.quiet(socket.0));
                let call_id = connect.other_call_id().to_owned();
                self.moves.leaving = Some(Leaving { id, call_id, loud: sockets.clone(), sockets });
            }
            Err(text) => self.say(now, MoveNews::Out { id, result: Err(text.to_owned()) }),
        }
    }

    /// Takes a call out with its sockets, which are quiet.
    fn take_out(&mut self, now: Now, leaving: &Leaving) -> Result<Box<Parcel>, String> {
        let taken = self.shard.take_out(&leaving.call_id);
        let _no_slot = self.drain(now, None);
        let call = match taken {
            Ok(call) => call,
            Err(text) => {
                // Whatever is left of it is listened to again.
                for socket in &leaving.sockets {
                    if let Some(descriptor) = self.driver.detach(socket.0) {
                        self.adopt(now, *socket, Some(descriptor));
                    }
                }
                return Err(text.to_owned());
            }
        };
        let sockets = call.sockets().map(|socket| self.driver.detach(socket.0)).collect();
        let parcel = Parcel::new(call, sockets);
        let on_paper = self.tape.as_mut().is_none_or(|tape| tape.flush_all(now.monotonic_ns));
        if parcel.call.is_recorded() && !on_paper {
            self.take_back(now, parcel);
            return Err(apart(BEHIND));
        }
        Ok(Box::new(parcel))
    }

    /// Takes a call of another worker in and connects it, or gives it back.
    fn take_in(&mut self, now: Now, id: u64, parcel: Parcel, connect: Box<Connect>) {
        let Parcel { call, sockets: descriptors } = parcel;
        let call_id = connect.other_call_id().to_owned();
        let put = self.shard.put_in(instant(now), now.wall_ms, call, &connect.signal.call_id);
        let _no_slot = self.drain(now, None);
        let PutIn { sockets, ports } = match put {
            Ok(put) => put,
            Err(NotPut { moved, reason }) => {
                let parcel = Box::new(Parcel::new(moved, descriptors));
                return self.say(now, MoveNews::In { id, result: Err((parcel, reason)) });
            }
        };
        if sockets.iter().any(|socket| !self.has_place(*socket))
            && let Ok(call) = self.shard.take_out(&call_id)
        {
            self.shard.take_ports(&ports);
            // In the order in which they come out, which need not be that in which they went in.
            let mut of_socket: HashMap<_, _> = sockets.into_iter().zip(descriptors).collect();
            let descriptors = call.sockets().map(|socket| of_socket.remove(&socket).flatten()).collect();
            let parcel = Box::new(Parcel::new(call, descriptors));
            return self.say(now, MoveNews::In { id, result: Err((parcel, apart(NO_SOCKETS))) });
        }
        for (socket, descriptor) in sockets.into_iter().zip(descriptors) {
            self.adopt(now, socket, descriptor);
        }
        self.say(now, MoveNews::In { id, result: Ok(ports) });
        self.input(now, Input::Command { id, command: Command::Connect(connect) });
    }

    /// Whether a socket of a call finds a place under this number.
    fn has_place(&self, socket: SocketId) -> bool {
        self.driver.has_place(socket.0) && self.shard.is_number_of_calls(socket)
    }

    /// Takes a call back that left.
    fn take_back(&mut self, now: Now, parcel: Parcel) {
        let Parcel { call, sockets: descriptors } = parcel;
        let sockets = self.shard.put_back(instant(now), now.wall_ms, call);
        let _no_slot = self.drain(now, None);
        for (socket, descriptor) in sockets.into_iter().zip(descriptors) {
            self.adopt(now, socket, descriptor);
        }
    }

    /// Listens on a socket that came with a call. One that the kernel refuses is silent from now on, and counted.
    fn adopt(&mut self, now: Now, socket: SocketId, descriptor: Option<OwnedFd>) {
        let Some(descriptor) = descriptor else { return self.input(now, Input::SocketError { socket }) };
        if let Err(error) = self.driver.adopt(socket.0, descriptor) {
            if let Some(unsaid) = self.open_errors.allow(now.monotonic_ns) {
                tracing::warn!(%error, unsaid, "a media socket could not be taken over from another worker");
            }
            self.input(now, Input::SocketError { socket });
        }
    }

    /// One call less is on its way.
    fn settled(&mut self, now: Now) {
        self.moves.away = self.moves.away.saturating_sub(1);
        if self.moves.away == 0
            && let Some(live) = self.moves.live.take()
        {
            self.input(now, Input::Live(live));
        }
    }

    fn say(&mut self, now: Now, news: MoveNews) {
        self.moves.unsaid.push_back(news);
        self.hand_over(now);
    }

    /// Tells the door, in order, as far as it has room.
    fn hand_over(&mut self, now: Now) {
        self.moves.due_ns = u64::MAX;
        while let Some(news) = self.moves.unsaid.pop_front() {
            if let Some(DoorMail::Moved(news)) = self.hatch.offer(DoorMail::Moved(news)) {
                self.moves.unsaid.push_front(news);
                self.moves.due_ns = now.monotonic_ns.saturating_add(AGAIN_NS);
                return;
            }
        }
    }
}

const NO_SOCKETS: &str = "it has no room for their sockets; raise LimitNOFILE, or try again later";

const BEHIND: &str =
    "the recording of the other call is behind, as the disk is slow; try again later, or stop it";

/// How long a full door is left alone.
const AGAIN_NS: u64 = 1_000_000;
