//! Calls that move to another worker, one at a time, and where to find them afterwards
//! (`adr/0011-a-call-moves-to-the-worker-of-the-other.md`).
//!
//! While a call is on its way every command waits for its arrival, in order: so none finds the call in neither
//! place, and none overtakes the connection for which it moves.

use std::collections::VecDeque;

use engine_core::apart;
use ng::{Command, Connect, Reply};

use super::places::Places;
use super::{Asker, Door, DoorOutput, Then};
use crate::worker::{MoveMail, MoveNews, Parcel};

/// What the door knows of calls that move.
#[derive(Debug, Default)]
pub(super) struct Moves {
    moving: Option<Moving>,
    held: VecDeque<(Asker, Held)>,
    pub(super) places: Places,
    /// What a worker had no room for, and which.
    unsent: VecDeque<(usize, MoveMail)>,
    /// When that is tried again.
    again_ns: u64,
    /// No call moves any more.
    ended: bool,
}

/// The call that is on its way.
#[derive(Debug)]
struct Moving {
    /// What it is for.
    connect: Box<Connect>,
    from: usize,
    to: usize,
    /// Its names, once they are known.
    names: Vec<String>,
}

/// What waits until no call is on its way.
#[derive(Debug)]
pub(super) enum Held {
    Command(Command),
    /// A line of the command line.
    Line(String),
}

impl Door {
    /// Whether a call is on its way.
    pub(crate) fn is_moving(&self) -> bool {
        self.moves.moving.is_some()
    }

    /// Lets no call move from now on.
    pub(crate) fn end_moves(&mut self) {
        self.moves.ended = true;
    }

    /// Lets something wait until the call that is on its way has arrived.
    pub(super) fn hold(&mut self, asker: Asker, held: Held) {
        if self.moves.held.len() < HELD_MAX {
            self.moves.held.push_back((asker, held));
        } else {
            self.refuse_for_now(asker);
        }
    }

    /// Lets the call that is named second move to the worker of the first, to be connected there.
    pub(super) fn bring_together(&mut self, now_ns: u64, asker: Asker, connect: Box<Connect>) {
        let (from, to) = (self.shard_of(connect.other_call_id()), self.shard_of(&connect.signal.call_id));
        let refusal = match (self.moves.ended, self.moves.places.has_room()) {
            (true, _) => Some(ENDING),
            (false, false) => Some(TOO_MANY),
            (false, true) => None,
        };
        if let Some(text) = refusal {
            return self.finish(asker, &Reply::Error(text.to_owned()));
        }
        let id = self.start(now_ns, asker, Then::Pass);
        self.moves.moving = Some(Moving { connect: connect.clone(), from, to, names: Vec::new() });
        self.tell(from, MoveMail::TakeOut { id, connect });
    }

    /// A worker tells of a call that moves.
    pub(crate) fn moved(&mut self, news: MoveNews) {
        match news {
            MoveNews::Unknown { id, call_ids } => self.moves.places.forget(id, &call_ids),
            MoveNews::Out { result: Err(text), id } => {
                self.reply(id, Reply::Error(text));
                self.arrived();
            }
            MoveNews::Out { result: Ok(parcel), id } => {
                let Some(moving) = &mut self.moves.moving else { return };
                moving.names = parcel.names().map(str::to_owned).collect();
                let (to, connect) = (moving.to, moving.connect.clone());
                self.tell(to, MoveMail::PutIn { id, parcel, connect });
            }
            MoveNews::In { result: Err((parcel, text)), id } => self.send_back(id, parcel, text),
            MoveNews::In { result: Ok(ports), .. } => {
                let Some(moving) = self.moves.moving.take() else { return };
                self.counters.calls_moved += 1;
                for name in moving.names {
                    let home = self.home_of(&name);
                    self.moves.places.set(name, moving.to, home, self.next_id);
                }
                self.tell(moving.from, MoveMail::Settled(ports));
                self.arrived();
            }
        }
    }

    /// A call that came back has been handed to the worker that it left.
    pub(crate) fn sent_back(&mut self) {
        self.arrived();
    }

    /// A worker had no room for this.
    pub(crate) fn not_sent(&mut self, shard: usize, mail: MoveMail) {
        match mail {
            MoveMail::TakeOut { id, .. } => {
                self.overloaded(id);
                self.arrived();
            }
            MoveMail::PutIn { id, parcel, .. } => self.send_back(id, parcel, apart(BUSY)),
            mail @ (MoveMail::PutBack(_) | MoveMail::Settled(_)) => {
                self.moves.unsent.push_back((shard, mail))
            }
            // It is asked again.
            MoveMail::Known { .. } => {}
        }
    }

    /// Tries again what found no room, and asks now and then which calls that moved are over.
    pub(super) fn settle_moves(&mut self, now_ns: u64) {
        self.moves.again_ns = now_ns.saturating_add(AGAIN_NS);
        for (shard, mail) in std::mem::take(&mut self.moves.unsent) {
            self.tell(shard, mail);
        }
        if self.moves.moving.is_none() && self.moves.places.is_due(now_ns) {
            let id = self.next_id;
            self.next_id += 1;
            for (shard, call_ids) in self.moves.places.questions(now_ns) {
                self.tell(shard, MoveMail::Known { id, call_ids });
            }
        }
    }

    /// When [`settle_moves`](Self::settle_moves) is due.
    pub(super) fn moves_due_ns(&self) -> Option<u64> {
        let again = (!self.moves.unsent.is_empty()).then_some(self.moves.again_ns);
        again.into_iter().chain(self.moves.places.due_ns()).min()
    }

    /// The call that was to move stays where it was.
    fn send_back(&mut self, id: u64, parcel: Box<Parcel>, text: String) {
        let Some(moving) = &self.moves.moving else { return };
        let from = moving.from;
        self.counters.calls_sent_back += 1;
        self.tell(from, MoveMail::PutBack(parcel));
        self.reply(id, Reply::Error(text));
    }

    /// No call is on its way any more: what waited is done, until the next one leaves.
    fn arrived(&mut self) {
        self.moves.moving = None;
        let now_ns = self.now.monotonic_ns;
        for (asker, held) in std::mem::take(&mut self.moves.held) {
            match held {
                Held::Command(command) => self.command(now_ns, asker, command),
                Held::Line(line) => self.line(now_ns, asker, &line),
            }
        }
    }

    fn tell(&mut self, shard: usize, mail: MoveMail) {
        self.outputs.push_back(DoorOutput::Move { shard, mail });
    }
}

const BUSY: &str = "it has too much to do; try again";

const ENDING: &str = "The calls lie on different workers, and the engine is ending";

const TOO_MANY: &str = "The calls lie on different workers, and too many calls have moved to another one already; try again \
                        when some of them have ended";

/// What waits at most while a call is on its way.
const HELD_MAX: usize = 4096;

/// How long a full mailbox is left alone.
const AGAIN_NS: u64 = 1_000_000;
