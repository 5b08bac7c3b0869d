//! Outbound connections, opened by the first message for a place.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use sip::Transport;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::flow::FlowEnd;
use super::{DropReason, Shared, stream};

/// Connects, proves the peer's name where it is TLS, then serves the connection.
/// `server_name` absent means that the certificate must name the address itself.
pub(super) async fn run(shared: Arc<Shared>, end: FlowEnd, server_name: Option<Arc<str>>) {
    let connecting = timeout(shared.limits.connect_timeout, TcpStream::connect(end.remote));
    let Ok(Ok(socket)) = connecting.await else {
        return stream::abandon(&shared, end, DropReason::ConnectFailed).await;
    };
    let _ = socket.set_nodelay(true);
    if end.transport != Transport::Tls {
        return stream::run(shared, end, socket).await;
    }
    let (Some(config), Some(name)) = (&shared.client_tls, proven_name(server_name.as_deref(), end.remote))
    else {
        return stream::abandon(&shared, end, DropReason::HandshakeFailed).await;
    };
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name, socket);
    match timeout(shared.handshake_timeout, handshake).await {
        Ok(Ok(socket)) => stream::run(shared, end, socket).await,
        failed => {
            let error = match failed {
                Ok(Err(error)) => error.to_string(),
                _ => "no handshake in time".to_owned(),
            };
            tracing::warn!(remote = %end.remote, error, "TLS to a peer failed");
            stream::abandon(&shared, end, DropReason::HandshakeFailed).await;
        }
    }
}

fn proven_name(name: Option<&str>, remote: SocketAddr) -> Option<ServerName<'static>> {
    match name {
        Some(name) => ServerName::try_from(name.to_owned()).ok(),
        None => Some(ServerName::IpAddress(remote.ip().into())),
    }
}
