//! How SIP travels to and from one end of the demo: datagrams, or one TLS connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sip::message::{Frame, Framer, Limits, Message};
use sip::{FlowId, Hop, Transport};

/// An open way for SIP messages.
pub(super) enum Link {
    /// Any peer.
    Datagrams(UdpSocket),
    /// One peer.
    Connection { tls: Box<StreamOwned<ClientConnection, TcpStream>>, framer: Framer },
}

const FLOW: FlowId = FlowId(1);
const TRY_AGAIN: Duration = Duration::from_millis(20);

impl Link {
    /// Datagrams on a free port of `ip`.
    pub(super) fn datagrams(ip: IpAddr) -> anyhow::Result<Link> {
        Ok(Link::Datagrams(UdpSocket::bind((ip, 0)).context("a port for SIP")?))
    }

    /// TLS to `remote`, once it listens, if it proves with `certificate` that it is `name`.
    pub(super) fn connect(
        remote: SocketAddr,
        name: &str,
        certificate: CertificateDer<'static>,
        deadline: Instant,
    ) -> anyhow::Result<Link> {
        let stream = loop {
            match TcpStream::connect(remote) {
                Ok(stream) => break stream,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {
                    std::thread::park_timeout(TRY_AGAIN);
                }
                Err(error) => return Err(error).with_context(|| format!("connecting to {remote}")),
            }
        };
        stream.set_nodelay(true)?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).context("a server name")?;
        let tls = Box::new(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream));
        Ok(Link::Connection { tls, framer: Framer::new(Limits::default()) })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(match self {
            Link::Datagrams(socket) => socket.local_addr()?,
            Link::Connection { tls, .. } => tls.sock.local_addr()?,
        })
    }

    /// The way to `remote`.
    pub(super) fn hop(&self, remote: SocketAddr) -> Hop {
        let transport = match self {
            Link::Datagrams(_) => Transport::Udp,
            Link::Connection { .. } => Transport::Tls,
        };
        Hop::over(transport, remote, FLOW)
    }

    pub(super) fn send(&mut self, bytes: &[u8], remote: SocketAddr) -> anyhow::Result<()> {
        match self {
            Link::Datagrams(socket) => socket.send_to(bytes, remote).map(drop),
            Link::Connection { tls, .. } => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
        .with_context(|| format!("SIP to {remote}"))
    }

    /// The messages that come next, or none until `due`. What is no SIP is dropped, as a phone would.
    pub(super) fn receive(&mut self, due: Instant) -> anyhow::Result<Vec<(Hop, Message)>> {
        let left = due.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
        let mut bytes = vec![0; 65_536];
        let received = match self {
            Link::Datagrams(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.recv_from(&mut bytes)
            }
            Link::Connection { tls, .. } => {
                tls.sock.set_read_timeout(Some(left))?;
                let remote = tls.sock.peer_addr()?;
                tls.read(&mut bytes).map(|length| (length, remote))
            }
        };
        let (length, remote) = match received {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Vec::new());
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Vec::new()),
            Err(error) => return Err(error).context("receiving SIP"),
        };
        let hop = self.hop(remote);
        let messages = match self {
            Link::Datagrams(_) => Message::parse_datagram(&bytes[..length]).into_iter().collect(),
            Link::Connection { framer, .. } => {
                if length == 0 {
                    bail!("{remote} closed the connection");
                }
                framer.push(&bytes[..length]);
                whole_messages(framer)?
            }
        };
        Ok(messages.into_iter().map(|message| (hop.clone(), message)).collect())
    }
}

fn whole_messages(framer: &mut Framer) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    while let Some(frame) = framer.poll()? {
        if let Frame::Message(bytes) = frame {
            messages.extend(Message::parse(bytes, &Limits::default()).ok());
        }
    }
    Ok(messages)
}
