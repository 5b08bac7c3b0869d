//! The worker's side of its TURN server: clients on streams, which end on the edge, clients of other workers, and what the
//! door is told of allocations that are over.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver::{MailReceiver, MailSender, Now, Undelivered};
use engine_core::{EndedAllocation, FlowId, Handover, Input, TurnInput, TurnOutput, TurnTraffic};
use ng::{Event, EventKind, RelayEnded, StreamCounters};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::Worker;
use crate::door::DoorMail;

/// What a worker is told about its TURN server. It has a mailbox of its own, so that no client can keep commands out.
#[derive(Debug)]
pub(crate) enum TurnMail {
    /// Where every worker takes such mail, in the order of their shards.
    Workers(Vec<MailSender<TurnMail>>),
    /// A client has connected.
    FlowBegun {
        /// Its connection.
        flow: FlowId,
        /// Where it is written to.
        writer: FlowWriter,
    },
    /// A client has sent a message.
    Message {
        /// On this connection.
        flow: FlowId,
        /// It is there.
        remote: SocketAddr,
        /// What.
        message: Vec<u8>,
        /// Room for another one of this connection, when this one has been handled.
        credit: OwnedSemaphorePermit,
    },
    /// A connection has ended.
    FlowEnded {
        /// Which.
        flow: FlowId,
        /// Who was at its other end.
        remote: SocketAddr,
    },
    /// A client of another worker sends to one of this.
    Handover(Box<Handover>),
}

/// The way to the client of one connection.
#[derive(Debug, Clone)]
pub(crate) struct FlowWriter {
    queue: mpsc::Sender<Written>,
    /// What waits for all connections, in bytes.
    waiting: Arc<AtomicUsize>,
}

/// A message on its way to a client; its room is free when it is dropped.
#[derive(Debug)]
pub(crate) struct Written {
    bytes: Box<[u8]>,
    waiting: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl FlowWriter {
    /// A way for so many messages at once, and its end; `waiting` is shared by all.
    pub(crate) fn new(messages_max: usize, waiting: Arc<AtomicUsize>) -> (Self, mpsc::Receiver<Written>) {
        let (queue, receiver) = mpsc::channel(messages_max);
        (Self { queue, waiting }, receiver)
    }

    /// Puts a message on its way; false if the client does not read fast enough, or all of them together do not.
    fn put(&self, message: &[u8]) -> bool {
        if self.waiting.fetch_add(message.len(), Ordering::Relaxed) + message.len() > WAITING_BYTES_MAX {
            self.waiting.fetch_sub(message.len(), Ordering::Relaxed);
            return false;
        }
        let written = Written { bytes: message.into(), waiting: Arc::clone(&self.waiting) };
        // To a connection that is ending nothing is lost.
        !matches!(self.queue.try_send(written), Err(TrySendError::Full(_)))
    }
}

/// What a worker has for its TURN server.
#[derive(Debug)]
pub(crate) struct TurnDesk {
    mail: MailReceiver<TurnMail>,
    workers: Vec<MailSender<TurnMail>>,
    flows: HashMap<FlowId, FlowWriter>,
    owner: Option<String>,
}

impl TurnDesk {
    /// Of a worker that takes this mail, and whose ended allocations are events of this owner.
    pub(crate) fn new(mail: MailReceiver<TurnMail>, owner: Option<String>) -> Self {
        Self { mail, workers: Vec::new(), flows: HashMap::new(), owner }
    }
}

impl Worker {
    /// The same, with a TURN server.
    pub(crate) fn with_turn(self, desk: TurnDesk) -> Self {
        Self { turn: Some(desk), ..self }
    }

    /// Hands in a bounded number of messages; whether there may be more.
    pub(super) fn read_turn_mail(&mut self, now: Now) -> bool {
        for _message in 0..MAIL_AT_ONCE {
            let Some(mail) = self.turn.as_ref().and_then(|desk| desk.mail.take()) else { return false };
            match mail {
                TurnMail::Workers(workers) => {
                    if let Some(desk) = &mut self.turn {
                        desk.workers = workers;
                    }
                }
                TurnMail::FlowBegun { flow, writer } => {
                    if let Some(desk) = &mut self.turn {
                        desk.flows.insert(flow, writer);
                    }
                }
                TurnMail::Message { flow, remote, mut message, credit } => {
                    let message = &mut message;
                    self.input(now, Input::Turn(TurnInput::Message { flow, remote, message }));
                    drop(credit);
                }
                TurnMail::FlowEnded { flow, remote } => {
                    if let Some(desk) = &mut self.turn {
                        desk.flows.remove(&flow);
                    }
                    self.input(now, Input::Turn(TurnInput::FlowEnded { flow, remote }));
                }
                TurnMail::Handover(handover) => {
                    self.input(now, Input::Turn(TurnInput::Handover(handover)));
                }
            }
        }
        true
    }

    /// Does what the TURN server wants done.
    pub(super) fn on_turn_output(&mut self, now: Now, output: TurnOutput) {
        match output {
            TurnOutput::Message { flow, made } => {
                let writer = self.turn.as_ref().and_then(|desk| desk.flows.get(&flow));
                let put = writer.is_none_or(|writer| writer.put(self.shard.made(&made)));
                self.counters.turn_slow += u64::from(!put);
            }
            TurnOutput::Handover { shard, handover } => {
                let to = self.turn.as_ref().and_then(|desk| desk.workers.get(usize::from(shard)));
                let sent = to.map(|worker| worker.send(TurnMail::Handover(handover)));
                self.counters.turn_handover_full +=
                    u64::from(matches!(sent, None | Some(Err(Undelivered::Full(_)))));
            }
            TurnOutput::Ended(ended) => {
                let owner = self.turn.as_ref().and_then(|desk| desk.owner.clone());
                let kind = EventKind::RelayEnded(Box::new(relay_ended(*ended)));
                let event = Event { sequence: 0, call_id: String::new(), owner, wall_ms: now.wall_ms, kind };
                self.tell(DoorMail::Event(event));
            }
        }
    }
}

fn relay_ended(ended: EndedAllocation) -> RelayEnded {
    let counters = |TurnTraffic { packets, bytes }: TurnTraffic| StreamCounters { packets, bytes, errors: 0 };
    RelayEnded {
        user: String::from_utf8_lossy(&ended.user).into_owned(),
        client: ended.client,
        relayed: ended.relayed,
        lifetime_ms: u64::try_from(ended.lifetime.as_millis()).unwrap_or(u64::MAX),
        to_peers: counters(ended.to_peers),
        to_client: counters(ended.to_clients),
        reason: ended.reason.as_str().to_owned(),
    }
}

/// Messages handled at most before media has its turn.
const MAIL_AT_ONCE: usize = 64;

/// Bytes that wait for all clients on streams; what is more is dropped and counted.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_loses_messages_and_holds_no_more_than_its_share() {
        let waiting = Arc::<AtomicUsize>::default();
        let (writer, mut end) = FlowWriter::new(2, Arc::clone(&waiting));
        assert!(writer.put(b"one") && writer.put(b"three") && !writer.put(b"four"));
        assert_eq!(waiting.load(Ordering::Relaxed), 8);
        assert_eq!(end.try_recv().expect("a message").as_ref(), b"one");
        assert_eq!(waiting.load(Ordering::Relaxed), 5);
        waiting.fetch_add(WAITING_BYTES_MAX - 5, Ordering::Relaxed);
        assert!(!writer.put(b"x"), "others have the room");
        drop(end);
        waiting.fetch_sub(WAITING_BYTES_MAX - 5, Ordering::Relaxed);
        assert!(writer.put(b"to nobody"));
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
