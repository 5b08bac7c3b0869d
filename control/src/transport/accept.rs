//! Inbound connections: accept, count, shake hands.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor as Acceptance;
use sip::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use super::flow::{FlowEnd, Opening};
use super::tls::Identity;
use super::{DropReason, Shared, stream, websocket};
use crate::config::{Listener, Origins};

/// Connections the kernel keeps for us between two accepts.
const BACKLOG: i32 = 1_024;

/// After an accept that failed, usually for want of descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// One listener for connections.
#[derive(Debug)]
pub(super) struct Acceptor {
    pub(super) local: SocketAddr,
    listener: TcpListener,
    transport: Transport,
    speaks: Speaks,
    trunks_only: bool,
}

/// What is spoken on top of TCP.
#[derive(Debug, Clone)]
struct Speaks {
    tls: Option<Identity>,
    /// WebSocket, for the pages of these origins.
    websocket: Option<Arc<Origins>>,
}

pub(super) fn bind(listener: &Listener, tls: Option<Identity>) -> io::Result<Acceptor> {
    let address = listener.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for connections of the last process to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let bound = TcpListener::from_std(socket.into())?;
    Ok(Acceptor {
        local: bound.local_addr()?,
        listener: bound,
        transport: listener.kind.transport(),
        speaks: Speaks { tls, websocket: listener.kind.origins().cloned().map(Arc::new) },
        trunks_only: listener.trunks_only,
    })
}

impl Acceptor {
    pub(super) async fn run(self, shared: Arc<Shared>) {
        loop {
            let (socket, remote) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(_) => {
                    shared.drops.count(DropReason::AcceptFailed);
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    continue;
                }
            };
            if self.trunks_only && !shared.trunks.load().is_trunk_host(remote) {
                shared.drops.count(DropReason::NotATrunk);
                continue;
            }
            let opened = shared.flows().open(self.transport, remote, Opening::Inbound);
            match opened {
                Ok(end) => {
                    tokio::spawn(serve(Arc::clone(&shared), socket, end, self.speaks.clone()));
                }
                Err(reason) => shared.drops.count(reason),
            }
        }
    }
}

async fn serve(shared: Arc<Shared>, socket: TcpStream, end: FlowEnd, speaks: Speaks) {
    // Messages are written whole: waiting to fill a segment only delays them.
    let _ = socket.set_nodelay(true);
    let Some(tls) = speaks.tls else {
        return upgrade(shared, end, socket, speaks.websocket).await;
    };
    let handshake = async {
        // Who connects and says nothing must not keep others from shaking hands.
        let hello = LazyConfigAcceptor::new(Acceptance::default(), socket).await.ok()?;
        let _permit = shared.handshakes.acquire().await.ok()?;
        hello.into_stream(tls.current()).await.ok()
    };
    match timeout(shared.handshake_timeout, handshake).await.ok().flatten() {
        Some(socket) => upgrade(shared, end, socket, speaks.websocket).await,
        None => stream::abandon(&shared, end, DropReason::HandshakeFailed).await,
    }
}

/// Serves the connection as what it is, once it is a WebSocket where it has to become one.
async fn upgrade<S>(shared: Arc<Shared>, end: FlowEnd, socket: S, websocket: Option<Arc<Origins>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(origins) = websocket else {
        return stream::run(shared, end, socket).await;
    };
    let handshake = websocket::handshake(&shared, &origins, socket);
    match timeout(shared.handshake_timeout, handshake).await.unwrap_or(Err(DropReason::HandshakeFailed)) {
        Ok(socket) => websocket::run(shared, end, socket).await,
        Err(reason) => stream::abandon(&shared, end, reason).await,
    }
}
