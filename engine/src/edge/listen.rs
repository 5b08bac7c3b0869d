//! One listener: who is taken, how many, and who they turn out to be.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::counters::{Count, Open};
use super::http::Caller;
use super::{Shared, cli_stream, http, ng_stream, turn_stream};
use crate::config::Service;

/// Takes connections for as long as the runtime lives.
pub(super) async fn run(shared: Arc<Shared>, service: Service, listener: TcpListener) {
    let connections_max = if matches!(service, Service::Turn | Service::TurnTls) {
        TURN_CONNECTIONS_MAX
    } else {
        CONNECTIONS_MAX
    };
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let (socket, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                shared.counters.count(Count::AcceptFailed);
                // Usually no descriptor is left, and the next try would fail at once.
                sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let right = shared.peers.load().at_accept(from, service);
        let Some(right) = right else {
            shared.counters.count(Count::NotAllowed);
            continue;
        };
        let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
            shared.counters.count(Count::ConnectionsFull);
            continue;
        };
        // Answers are written whole: waiting to fill a segment only delays them.
        let _works_without = socket.set_nodelay(true);
        let place = Arc::new(Place {
            _permit: permit,
            _open: shared.counters.open(),
            _awaited: shared.closing.subscribe(),
        });
        tokio::spawn(serve(Arc::clone(&shared), service, socket, Caller { from, right, _place: place }));
    }
}

/// A connection's place among those of its listener.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: Open,
    /// While it is there, the end of the thread waits for the connection.
    _awaited: watch::Receiver<bool>,
}

async fn serve(shared: Arc<Shared>, service: Service, socket: TcpStream, mut caller: Caller) {
    let from = caller.from;
    if !service.is_tls() {
        return match service {
            Service::Ng => ng_stream::serve(shared, from, socket).await,
            Service::Turn => turn_stream::serve(shared, from, socket).await,
            Service::Cli => cli_stream::serve(shared, from, socket).await,
            _ => http::serve(shared, caller, socket).await,
        };
    }
    let Ok(Some(socket)) = timeout(HANDSHAKE_TIMEOUT, handshake(&shared, service, socket)).await else {
        return shared.counters.count(Count::HandshakeFailed);
    };
    let key_shown = socket.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    let right = shared.peers.load().after_handshake(from, service, key_shown);
    let Some(right) = right else { return shared.counters.count(Count::NotAllowed) };
    caller.right = right;
    match service {
        Service::TurnTls => turn_stream::serve(shared, from, socket).await,
        Service::NgTls => ng_stream::serve(shared, from, socket).await,
        _ => http::serve(shared, caller, socket).await,
    }
}

async fn handshake(shared: &Shared, service: Service, socket: TcpStream) -> Option<TlsStream<TcpStream>> {
    let certificates =
        if service == Service::TurnTls { &shared.turn_certificates } else { &shared.certificates };
    let config = certificates.as_ref()?.current();
    TlsAcceptor::from(config).accept(socket).await.ok()
}

/// Connections of one listener at once.
const CONNECTIONS_MAX: usize = 256;

/// The same of one of the TURN server's.
pub(crate) const TURN_CONNECTIONS_MAX: usize = 4096;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// After an accept that failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);
