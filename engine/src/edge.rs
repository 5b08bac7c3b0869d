//! Where streams end: NG over TCP and TLS, HTTP, WebSocket, and the command line, on a thread of their own
//! (`adr/0006-a-shard-knows-only-datagrams.md`).
//!
//! The thread puts whole documents into the door's mailbox and writes what comes back. It never waits for the door while
//! it holds anything, nor does the door for it.

mod bell;
mod browser;
mod cli_stream;
mod counters;
mod http;
mod listen;
mod ng_stream;
mod tls;
mod turn_stream;
mod websocket;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{EdgeConfig, Identity, Peers, Service};
use crate::drain::Readiness;
pub(crate) use bell::Bell;
pub(crate) use counters::Counters;
pub(crate) use listen::TURN_CONNECTIONS_MAX;
pub(crate) use tls::Certificates;
pub use tls::TlsError;
pub(crate) use turn_stream::TurnDoor;

/// What every connection has at hand.
pub(crate) struct Shared {
    bell: Bell,
    counters: Arc<Counters>,
    /// What waits for slow readers, in bytes.
    answers_bytes: Arc<AtomicUsize>,
    /// Who may ask, and who may look.
    peers: ArcSwap<Callers>,
    certificates: Option<Certificates>,
    turn_certificates: Option<Certificates>,
    /// The way to the TURN servers of the workers, if they have any.
    turn: Option<TurnDoor>,
    /// The page of metrics.
    page: Box<dyn Fn() -> String + Send + Sync>,
    readiness: Readiness,
    /// True once no question is taken any more. Each connection has a receiver for as long as it lives.
    closing: watch::Sender<bool>,
}

/// Who is answered over streams.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    peers: Peers,
    lookers: Peers,
    /// Over TLS only who shows a pinned key may ask.
    pinned: bool,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Everything.
    Ask,
    /// See metrics and health.
    Look,
}

impl Callers {
    /// As configured.
    pub(crate) fn new(config: &EdgeConfig, peers: &Peers) -> Self {
        let pinned = config.identity.as_ref().is_some_and(|identity| !identity.pins.is_empty());
        Self { peers: peers.clone(), lookers: config.lookers.clone(), pinned }
    }

    /// What this address may do on such a listener; `None` is not to be answered at all. Inside TLS that is not the last
    /// word: see [`after_handshake`](Self::after_handshake).
    fn at_accept(&self, address: SocketAddr, service: Service) -> Option<Right> {
        let ip = address.ip();
        let by_address = if self.peers.allow(ip) {
            Some(Right::Ask)
        } else {
            self.lookers.allow(ip).then_some(Right::Look)
        };
        match service {
            // Whoever it is has to show so by TURN's own means.
            Service::Turn | Service::TurnTls => Some(Right::Look),
            Service::NgTls | Service::Https if self.pinned => Some(by_address.unwrap_or(Right::Look)),
            Service::Http | Service::Https => by_address,
            Service::Ng | Service::NgTls | Service::Cli => by_address.filter(|right| *right == Right::Ask),
        }
    }

    /// The same once it is known whether a pinned key was shown.
    fn after_handshake(&self, address: SocketAddr, service: Service, key_shown: bool) -> Option<Right> {
        if !self.pinned || service == Service::TurnTls {
            return self.at_accept(address, service);
        }
        if key_shown {
            return Some(Right::Ask);
        }
        let ip = address.ip();
        let looks = service == Service::Https && (self.peers.allow(ip) || self.lookers.allow(ip));
        looks.then_some(Right::Look)
    }
}

/// The running thread.
pub(crate) struct EdgeThread {
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    addresses: Vec<(Service, SocketAddr)>,
}

impl std::fmt::Debug for EdgeThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeThread").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl EdgeThread {
    /// Starts the thread on sockets that are bound already. `panicked` is called if it fails; a connection that fails
    /// ends alone.
    ///
    /// # Errors
    /// The kernel's, when a socket cannot be polled or a thread not started.
    pub(crate) fn start(
        shared: Arc<Shared>,
        sockets: Vec<(Service, TcpListener)>,
        panicked: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        {
            let _entered = runtime.enter();
            for (service, socket) in sockets {
                addresses.push((service, socket.local_addr()?));
                socket.set_nonblocking(true)?;
                listeners.push((service, tokio::net::TcpListener::from_std(socket)?));
            }
        }
        let (stop, stopped) = oneshot::channel();
        let for_listeners = Arc::clone(&shared);
        let thread = thread::Builder::new().name("edge".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let mut running = JoinSet::new();
                for (service, listener) in listeners {
                    running.spawn(listen::run(Arc::clone(&for_listeners), service, listener));
                }
                tokio::select! {
                    _stopped = stopped => {}
                    // A listener never ends by itself.
                    Some(_) = running.join_next() => panicked(),
                }
                drop(running);
                for_listeners.closing.send_replace(true);
                let _in_time = timeout(LAST_WORDS, for_listeners.closing.closed()).await;
            });
        })?;
        Ok(Self { shared, stop, thread, addresses })
    }

    /// What is spoken where.
    pub(crate) fn addresses(&self) -> &[(Service, SocketAddr)] {
        &self.addresses
    }

    /// Takes over who may ask, certificate, key and pins. Connections that stand go on as they are.
    ///
    /// # Errors
    /// [`TlsError`], and nothing was taken over.
    pub(crate) fn reload(&self, config: &EdgeConfig, peers: &Peers) -> Result<(), TlsError> {
        let read = |certificates: &Option<Certificates>, identity: &Option<Identity>| {
            certificates.as_ref().and(identity.as_ref()).map(Certificates::read).transpose()
        };
        let shared = &self.shared;
        let ours = read(&shared.certificates, &config.identity)?;
        let of_turn = read(&shared.turn_certificates, &config.turn_identity)?;
        for (certificates, read) in [(&shared.certificates, ours), (&shared.turn_certificates, of_turn)] {
            if let (Some(certificates), Some(read)) = (certificates, read) {
                certificates.replace(read);
            }
        }
        self.shared.peers.store(Arc::new(Callers::new(config, peers)));
        Ok(())
    }

    /// Ends all connections, once they have written what the door has answered, and the thread. The door is gone by
    /// then, so that nothing is answered later.
    pub(crate) fn stop(self) {
        // It is there: it ends by this alone.
        let _waits = self.stop.send(());
        let _panicked = self.thread.join();
    }
}

impl Shared {
    /// What connections have at hand: certificates of what is ours and of TURN; `page` writes the page of metrics.
    pub(crate) fn new(
        bell: Bell,
        counters: Arc<Counters>,
        callers: Callers,
        certificates: [Option<Certificates>; 2],
        turn: Option<TurnDoor>,
        page: Box<dyn Fn() -> String + Send + Sync>,
        readiness: Readiness,
    ) -> Self {
        let peers = ArcSwap::from_pointee(callers);
        let closing = watch::Sender::new(false);
        let [certificates, turn_certificates] = certificates;
        Self {
            bell,
            counters,
            answers_bytes: Arc::default(),
            peers,
            certificates,
            turn_certificates,
            turn,
            page,
            readiness,
            closing,
        }
    }

    /// Waits until no question is taken any more: whatever is answered has been answered.
    async fn closing(&self) {
        let mut closing = self.closing.subscribe();
        // It fails only when the sender is gone, which is in `self`.
        let _closing = closing.wait_for(|closing| *closing).await;
    }
}

/// How long connections may take at the end to write their last answers.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn callers(pinned: bool) -> Callers {
        let peers = |texts: &[&str]| {
            Peers::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("networks")
        };
        Callers { peers: peers(&["192.0.2.1"]), lookers: peers(&["192.0.2.2"]), pinned }
    }

    fn rights(pinned: bool, service: Service, last: u8) -> [Option<Right>; 3] {
        let callers = callers(pinned);
        let address = SocketAddr::from(([192, 0, 2, last], 1));
        [
            callers.at_accept(address, service),
            callers.after_handshake(address, service, false),
            callers.after_handshake(address, service, true),
        ]
    }

    #[test]
    fn without_pins_the_address_decides() {
        let (ask, look) = (Some(Right::Ask), Some(Right::Look));
        for service in [Service::Ng, Service::NgTls, Service::Cli] {
            assert_eq!(rights(false, service, 1)[0], ask);
            assert_eq!(rights(false, service, 2)[0], None);
            assert_eq!(rights(false, service, 3)[0], None);
        }
        for service in [Service::Http, Service::Https] {
            assert_eq!(rights(false, service, 1)[..2], [ask, ask]);
            assert_eq!(rights(false, service, 2)[..2], [look, look]);
            assert_eq!(rights(false, service, 3)[..2], [None, None]);
        }
    }

    #[test]
    fn everybody_may_come_to_turn() {
        for (service, pinned) in [(Service::Turn, false), (Service::TurnTls, true), (Service::TurnTls, false)]
        {
            assert_eq!(rights(pinned, service, 3)[..2], [Some(Right::Look); 2]);
        }
    }

    #[test]
    fn with_pins_only_a_pinned_key_may_ask_over_tls() {
        let (ask, look) = (Some(Right::Ask), Some(Right::Look));
        assert_eq!(rights(true, Service::NgTls, 1)[1..], [None, ask]);
        assert_eq!(rights(true, Service::NgTls, 3)[1..], [None, ask]);
        assert_eq!(rights(true, Service::Https, 1)[1..], [look, ask]);
        assert_eq!(rights(true, Service::Https, 2)[1..], [look, ask]);
        assert_eq!(rights(true, Service::Https, 3)[1..], [None, ask]);
        assert!(rights(true, Service::Https, 3)[0].is_some(), "a stranger may show a key");
        assert_eq!(rights(true, Service::Http, 3)[0], None);
    }
}
