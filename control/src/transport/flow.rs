//! The flow table: every open connection, by id and by where it leads.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sip::{FlowId, Hop, Transport};
use tokio::sync::{Notify, mpsc};

use super::source::Source;
use super::{DropReason, SendError};

/// Messages waiting for one connection, beside the bound in bytes.
const WRITE_QUEUE_MAX: usize = 256;

/// Something to write, and where it was meant to go, to say so if it fails.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// `None` for a keep-alive answer, whose loss nobody wants to hear of.
    pub(super) hop: Option<Hop>,
    pub(super) bytes: Bytes,
}

/// One connection, or one being opened.
#[derive(Debug)]
pub(super) struct Flow {
    transport: Transport,
    remote: SocketAddr,
    /// The name its certificate proved to us; only on connections we opened.
    server_name: Option<Arc<str>>,
    /// Whom an inbound connection counts against; `None` where we opened it.
    source: Option<Source>,
    queue: mpsc::Sender<Outgoing>,
    queued_bytes: Arc<AtomicUsize>,
    close: Arc<Notify>,
}

/// What the task of a connection holds of its flow.
#[derive(Debug)]
pub(super) struct FlowEnd {
    pub(super) id: FlowId,
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    pub(super) inbound: bool,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    pub(super) close: Arc<Notify>,
}

/// Where a new connection stands: by whom, toward whom.
#[derive(Debug)]
pub(super) enum Opening {
    Inbound,
    Outbound { server_name: Option<Arc<str>> },
}

/// Where a connection leads: reused by any message for the same place.
type Destination = (Transport, SocketAddr, Option<Arc<str>>);

/// All flows of the process, with their bounds.
#[derive(Debug)]
pub(super) struct FlowTable {
    flows: HashMap<FlowId, Flow>,
    by_destination: HashMap<Destination, FlowId>,
    per_source: HashMap<Source, usize>,
    inbound_count: usize,
    next_id: u64,
    inbound_max: usize,
    per_source_max: usize,
    outbound_max: usize,
    queued_bytes_max: usize,
}

impl FlowTable {
    /// `first_id` begins a range that no earlier process used.
    pub(super) fn new(first_id: u64, limits: &crate::config::Limits) -> Self {
        Self {
            flows: HashMap::new(),
            by_destination: HashMap::new(),
            per_source: HashMap::new(),
            inbound_count: 0,
            next_id: first_id,
            inbound_max: limits.connections_max,
            per_source_max: limits.connections_per_source_max,
            outbound_max: limits.outbound_connections_max,
            queued_bytes_max: limits.write_queue_bytes_max,
        }
    }

    /// Enters a connection. It counts against the bounds until [`FlowTable::remove`].
    pub(super) fn open(
        &mut self,
        transport: Transport,
        remote: SocketAddr,
        opening: Opening,
    ) -> Result<FlowEnd, DropReason> {
        let inbound = matches!(opening, Opening::Inbound);
        let (source, server_name) = match opening {
            Opening::Inbound => {
                if self.inbound_count >= self.inbound_max {
                    return Err(DropReason::ConnectionsMax);
                }
                let source = Source::from(remote.ip());
                let count = self.per_source.entry(source).or_insert(0);
                if *count >= self.per_source_max {
                    return Err(DropReason::ConnectionsPerSourceMax);
                }
                *count += 1;
                self.inbound_count += 1;
                (Some(source), None)
            }
            Opening::Outbound { server_name } => {
                if self.flows.len() - self.inbound_count >= self.outbound_max {
                    return Err(DropReason::OutboundConnectionsMax);
                }
                (None, server_name)
            }
        };
        let id = FlowId(self.next_id);
        self.next_id += 1;
        let (sender, queue) = mpsc::channel(WRITE_QUEUE_MAX);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let close = Arc::new(Notify::new());
        self.by_destination.insert((transport, remote, server_name.clone()), id);
        self.flows.insert(
            id,
            Flow {
                transport,
                remote,
                server_name,
                source,
                queue: sender,
                queued_bytes: Arc::clone(&queued_bytes),
                close: Arc::clone(&close),
            },
        );
        Ok(FlowEnd { id, transport, remote, inbound, queue, queued_bytes, close })
    }

    /// Takes a connection out; nothing more is queued for it afterwards.
    pub(super) fn remove(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(&id) else { return };
        let destination = (flow.transport, flow.remote, flow.server_name);
        if self.by_destination.get(&destination) == Some(&id) {
            self.by_destination.remove(&destination);
        }
        if let Some(source) = flow.source {
            self.inbound_count -= 1;
            if let Some(count) = self.per_source.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.per_source.remove(&source);
                }
            }
        }
    }

    /// Forgets every flow; their tasks write what is queued and end.
    pub(super) fn clear(&mut self) {
        self.flows.clear();
        self.by_destination.clear();
        self.per_source.clear();
        self.inbound_count = 0;
    }

    /// The open connection that `hop` can take.
    pub(super) fn find(&self, hop: &Hop) -> Option<&Flow> {
        let id = match hop.flow {
            Some(id) => id,
            None => *self.by_destination.get(&(hop.transport, hop.remote, hop.server_name.clone()))?,
        };
        self.flows.get(&id)
    }

    /// The flow with this id, while it is open.
    pub(super) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// Queues `bytes` for `flow`; a connection that does not keep up is told to close.
    pub(super) fn enqueue(&self, flow: &Flow, hop: Option<Hop>, bytes: Bytes) -> Result<(), SendError> {
        let length = bytes.len();
        let waiting = flow.queued_bytes.fetch_add(length, Ordering::Relaxed);
        let fits = waiting == 0 || waiting + length <= self.queued_bytes_max;
        let result = if fits { flow.queue.try_send(Outgoing { hop, bytes }).is_ok() } else { false };
        if result {
            return Ok(());
        }
        flow.queued_bytes.fetch_sub(length, Ordering::Relaxed);
        if flow.queue.is_closed() {
            return Err(SendError(DropReason::FlowGone));
        }
        flow.close.notify_one();
        Err(SendError(DropReason::SlowReader))
    }

    /// Open connections.
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
}
