//! SIP transports: UDP, TCP, TLS and WebSocket behind one flow table
//! ([RFC 3261 §18](https://www.rfc-editor.org/rfc/rfc3261#section-18)).
//!
//! Supported: several listeners, RFC 3581 symmetric response routing (a datagram
//! leaves by the socket it answers), connections opened on demand and reused,
//! keep-alives of RFC 5626 §4.4.1, TLS 1.2 and 1.3, RFC 7118 as its server. Not here: DNS
//! (a hop carries an address), WebSockets of our own, STUN keep-alives, ICMP errors on datagrams (they are
//! as easily forged as datagrams; a dead UDP target is found by timer).
//!
//! A UDP socket's flow id is its place in the list of listeners, counted from 1,
//! so it survives a restart. A connection's id is never used again, not even by
//! a later process.

mod accept;
mod connect;
mod drops;
mod flow;
mod source;
mod stream;
mod tls;
mod udp;
mod websocket;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::ClientConfig;
use sip::message::{Limits as MessageLimits, Refusal, RefusalReason};
use sip::{FlowId, Hop, Message, Transport};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Config, ListenerKind};

pub use drops::{DropReason, Drops};
pub use tls::TlsError;
pub(crate) use tls::{server_config, trust_roots};

use flow::{FlowTable, Opening};
use source::{Rates, Source};
use tls::Identity;

/// What the transports report.
#[derive(Debug)]
pub enum TransportEvent {
    /// A message that parsed.
    Message {
        /// Where it came from; its flow is the way back.
        hop: Hop,
        /// The message.
        message: Box<Message>,
    },
    /// Bytes that are no message, but deserve an answer.
    Refused {
        /// Where they came from.
        hop: Hop,
        /// What is wrong, and the answer.
        refusal: Box<Refusal>,
    },
    /// A connection that may have carried messages is gone.
    FlowClosed(FlowId),
    /// A message that was taken could not be delivered to the transport.
    SendFailed(Hop),
}

/// A message that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sent: {}", .0.label())]
pub struct SendError(
    /// Why.
    pub DropReason,
);

/// A listener could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS for {address}")]
    Tls {
        /// The listener's address.
        address: SocketAddr,
        /// What is wrong.
        #[source]
        source: TlsError,
    },
    /// The authorities for connections to trunks could not be read.
    #[error("trust roots")]
    TrustRoots(#[source] TlsError),
}

/// Addresses of configured trunks, replaced whole when the directory changes.
#[derive(Debug, Default)]
pub struct TrunkAddresses {
    exact: HashSet<SocketAddr>,
    hosts: HashSet<IpAddr>,
}

impl TrunkAddresses {
    fn is_trunk_host(&self, remote: SocketAddr) -> bool {
        self.hosts.contains(&remote.ip())
    }

    /// A trunk is known by its host, except that many things share loopback.
    fn is_trunk(&self, remote: SocketAddr) -> bool {
        self.exact.contains(&remote) || (!remote.ip().is_loopback() && self.is_trunk_host(remote))
    }
}

impl FromIterator<SocketAddr> for TrunkAddresses {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        let exact: HashSet<_> = addresses.into_iter().collect();
        let hosts = exact.iter().map(SocketAddr::ip).collect();
        Self { exact, hosts }
    }
}

/// All sockets of the process that speak SIP.
#[derive(Debug)]
pub struct Transports {
    shared: Arc<Shared>,
    datagrams: Vec<udp::Sender>,
    addresses: Vec<SocketAddr>,
    waiting: Vec<Waiting>,
    listeners: JoinSet<()>,
    identities: Vec<(SocketAddr, Identity)>,
}

/// A bound listener that does not listen yet.
#[derive(Debug)]
enum Waiting {
    Udp(udp::Receiver),
    Stream(accept::Acceptor),
}

/// What every task of the transports sees.
#[derive(Debug)]
struct Shared {
    limits: crate::config::Limits,
    message_limits: MessageLimits,
    handshake_timeout: Duration,
    handshakes: Semaphore,
    client_tls: Option<Arc<ClientConfig>>,
    flows: Mutex<FlowTable>,
    rates: Mutex<Rates>,
    trunks: ArcSwap<TrunkAddresses>,
    drops: Drops,
    events: mpsc::Sender<TransportEvent>,
}

impl Transports {
    /// Binds every listener; nothing is read before [`Transports::listen`].
    ///
    /// `incarnation` rises with every start of the process: connection ids of
    /// earlier ones are never used again. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The first listener that cannot be set up.
    pub fn bind(
        config: &Config,
        incarnation: u32,
    ) -> Result<(Self, mpsc::Receiver<TransportEvent>), BindError> {
        let (events, receiver) = mpsc::channel(config.limits.input_queue_max);
        let client_tls = match trust_roots(&config.tls.trust_roots).and_then(tls::client_config) {
            Ok(client) => Some(client),
            Err(error) if config.tls.trust_roots_named => return Err(BindError::TrustRoots(error)),
            Err(error) => {
                tracing::warn!(error = %error, "no trunk can be reached by TLS: no trust roots");
                None
            }
        };
        let head_bytes_max = MessageLimits::default().head_bytes_max;
        let shared = Arc::new(Shared {
            message_limits: MessageLimits {
                body_bytes_max: config.limits.body_bytes_max,
                head_bytes_max,
                ..MessageLimits::default()
            },
            limits: config.limits.clone(),
            handshake_timeout: config.tls.handshake_timeout,
            handshakes: Semaphore::new(config.tls.handshakes_max),
            client_tls,
            flows: Mutex::new(FlowTable::new(u64::from(incarnation.max(1)) << 32, &config.limits)),
            rates: Mutex::new(Rates::new(config.limits.messages_per_source_per_s)),
            trunks: ArcSwap::default(),
            drops: Drops::default(),
            events,
        });
        let mut transports = Self {
            shared,
            datagrams: Vec::new(),
            addresses: Vec::new(),
            waiting: Vec::new(),
            listeners: JoinSet::new(),
            identities: Vec::new(),
        };
        for (index, listener) in config.listeners.iter().enumerate() {
            let socket = |source| BindError::Socket { address: listener.address, source };
            let local = match &listener.kind {
                ListenerKind::Udp => {
                    let flow = FlowId(index as u64 + 1);
                    let (sender, receiver) =
                        udp::bind(listener.address, flow, listener.trunks_only).map_err(socket)?;
                    let local = sender.local;
                    transports.datagrams.push(sender);
                    transports.waiting.push(Waiting::Udp(receiver));
                    local
                }
                kind => {
                    let tls = match kind.certificate() {
                        Some((certificate, key)) => {
                            let tls = Identity::load(certificate, key);
                            Some(tls.map_err(|source| BindError::Tls { address: listener.address, source })?)
                        }
                        None => None,
                    };
                    let acceptor = accept::bind(listener, tls.clone()).map_err(socket)?;
                    let local = acceptor.local;
                    transports.identities.extend(tls.map(|tls| (local, tls)));
                    transports.waiting.push(Waiting::Stream(acceptor));
                    local
                }
            };
            transports.addresses.push(local);
        }
        Ok((transports, receiver))
    }

    /// Begins to read and to accept.
    pub fn listen(&mut self) {
        for waiting in self.waiting.drain(..) {
            let shared = Arc::clone(&self.shared);
            match waiting {
                Waiting::Udp(receiver) => self.listeners.spawn(receiver.run(shared)),
                Waiting::Stream(acceptor) => self.listeners.spawn(acceptor.run(shared)),
            };
        }
    }

    /// The bound addresses, in the order of the configured listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Replaces the trunks that plain listeners outside loopback serve.
    pub fn set_trunks(&self, trunks: TrunkAddresses) {
        self.shared.trunks.store(Arc::new(trunks));
    }

    /// Reads certificates and keys again, on a thread of their own: handshakes from then on show the new
    /// ones, connections go on, and what cannot be used changes nothing. The log says which; the task, how many
    /// stay as they were.
    pub fn reload_certificates(&self) -> JoinHandle<usize> {
        let identities = self.identities.clone();
        tokio::task::spawn_blocking(move || {
            let stays = |(address, identity): &(SocketAddr, Identity)| match identity.reload() {
                Ok(()) => {
                    tracing::info!(%address, "certificate read again");
                    false
                }
                Err(error) => {
                    tracing::error!(%address, %error, "the certificate stays as it was");
                    true
                }
            };
            identities.iter().filter(|known| stays(known)).count()
        })
    }

    /// Sends one message, or queues it for its connection; never waits.
    ///
    /// A later failure is reported by [`TransportEvent::SendFailed`] with the same hop.
    ///
    /// # Errors
    /// The message was not taken; nothing more is reported about it.
    pub fn send(&self, hop: &Hop, bytes: Bytes) -> Result<(), SendError> {
        let sent = match hop.transport {
            Transport::Udp => self.send_datagram(hop, &bytes),
            _ => self.send_stream(hop, bytes),
        };
        match sent.inspect_err(|error| self.shared.drops.count(error.0)) {
            // About this message alone: a failure would end everything else on the way to that peer.
            Err(SendError(DropReason::SendBufferFull | DropReason::DatagramTooLong)) => Ok(()),
            sent => sent,
        }
    }

    /// The counters of what went no further.
    pub fn drops(&self) -> &Drops {
        &self.shared.drops
    }

    /// Open connections, both directions.
    pub fn connections(&self) -> usize {
        self.shared.flows().len()
    }

    /// Stops listening and lets every connection write what is queued for it,
    /// for at most a second.
    pub async fn shutdown(mut self) {
        self.listeners.shutdown().await;
        self.shared.flows().clear();
        let goodbye = tokio::time::Instant::now() + stream::GOODBYE;
        while Arc::strong_count(&self.shared) > 1 && tokio::time::Instant::now() < goodbye {
            tokio::time::sleep(stream::GOODBYE / 50).await;
        }
    }

    fn send_datagram(&self, hop: &Hop, bytes: &[u8]) -> Result<(), SendError> {
        let sender = match hop.flow {
            Some(flow) => self.datagrams.iter().find(|sender| sender.flow == flow),
            None => None,
        };
        sender
            .or_else(|| udp::best(&self.datagrams, hop.remote))
            .ok_or(SendError(DropReason::NoListener))?
            .send(hop.remote, bytes)
    }

    fn send_stream(&self, hop: &Hop, bytes: Bytes) -> Result<(), SendError> {
        let mut flows = self.shared.flows();
        if let Some(flow) = flows.find(hop) {
            return flows.enqueue(flow, Some(hop.clone()), bytes);
        }
        if hop.flow.is_some() || hop.transport.is_inbound_only() {
            return Err(SendError(DropReason::FlowGone));
        }
        let opening = Opening::Outbound { server_name: hop.server_name.clone() };
        let end = flows.open(hop.transport, hop.remote, opening).map_err(SendError)?;
        let queued = match flows.find(hop) {
            Some(flow) => flows.enqueue(flow, Some(hop.clone()), bytes),
            None => Err(SendError(DropReason::FlowGone)),
        };
        drop(flows);
        tokio::spawn(connect::run(Arc::clone(&self.shared), end, hop.server_name.clone()));
        queued
    }
}

impl Shared {
    fn flows(&self) -> MutexGuard<'_, FlowTable> {
        self.flows.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts, parses and passes on one message; false for bytes that are none.
    async fn receive(&self, hop: Hop, bytes: Bytes) -> bool {
        if !self.admit(hop.remote) {
            self.drops.count(DropReason::RateMax);
            return true;
        }
        let datagram = hop.transport == Transport::Udp;
        let parsed = match hop.transport {
            Transport::Ws | Transport::Wss => Message::parse_alone(bytes, &self.message_limits),
            _ => Message::parse(bytes, &self.message_limits),
        };
        let event = match parsed {
            Ok(message) => TransportEvent::Message { hop, message: Box::new(message) },
            Err(refusal) if refusal.reason == RefusalReason::KeepAlive => return true,
            Err(refusal) => {
                self.drops.count(DropReason::Malformed);
                if refusal.response.is_none() {
                    return false;
                }
                TransportEvent::Refused { hop, refusal: Box::new(refusal) }
            }
        };
        let understood = matches!(event, TransportEvent::Message { .. });
        if !datagram {
            // Nobody listens any more only while the process ends.
            let _ = self.events.send(event).await;
        } else if self.events.try_send(event).is_err() {
            self.drops.count(DropReason::InputQueueFull);
        }
        understood
    }

    fn admit(&self, remote: SocketAddr) -> bool {
        if self.trunks.load().is_trunk(remote) {
            return true;
        }
        let mut rates = self.rates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        rates.admit(Source::from(remote.ip()), Instant::now())
    }
}
