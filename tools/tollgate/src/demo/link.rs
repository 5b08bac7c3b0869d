//! How SIP travels to and from one end of the demo: one TLS connection, which the phone opens and the carrier takes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use sip::message::{Frame, Framer, Limits, Message};
use sip::{FlowId, Hop, Transport};

/// An open way for SIP messages to one peer.
pub(super) struct Link {
    tls: Box<dyn Stream>,
    /// What lies below `tls`.
    tcp: TcpStream,
    framer: Framer,
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

const FLOW: FlowId = FlowId(1);
const TRY_AGAIN: Duration = Duration::from_millis(20);

impl Link {
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
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).context("a server name")?;
        let connection = ClientConnection::new(Arc::new(config), name)?;
        Link::over(stream, |tcp| Box::new(StreamOwned::new(connection, tcp)))
    }

    /// The first connection that comes, as whoever has this certificate and key.
    pub(super) fn accept(
        listener: &TcpListener,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        deadline: Instant,
    ) -> anyhow::Result<Link> {
        listener.set_nonblocking(true)?;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ensure!(Instant::now() < deadline, "nobody connects");
                    std::thread::park_timeout(TRY_AGAIN);
                }
                Err(error) => return Err(error).context("taking a connection"),
            }
        };
        stream.set_nonblocking(false)?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        let connection = ServerConnection::new(Arc::new(config))?;
        Link::over(stream, |tcp| Box::new(StreamOwned::new(connection, tcp)))
    }

    fn over(tcp: TcpStream, tls: impl FnOnce(TcpStream) -> Box<dyn Stream>) -> anyhow::Result<Link> {
        tcp.set_nodelay(true)?;
        Ok(Link { tls: tls(tcp.try_clone()?), tcp, framer: Framer::new(Limits::default()) })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.tcp.local_addr()?)
    }

    /// The way to the peer.
    pub(super) fn hop(&self) -> anyhow::Result<Hop> {
        Ok(Hop::over(Transport::Tls, self.tcp.peer_addr()?, FLOW))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.tls.write_all(bytes).and_then(|()| self.tls.flush()).context("sending SIP")
    }

    /// The messages that come next, or none until `due`. What is no SIP is dropped, as a phone would.
    pub(super) fn receive(&mut self, due: Instant) -> anyhow::Result<Vec<(Hop, Message)>> {
        let left = due.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
        let mut bytes = vec![0; 65_536];
        self.tcp.set_read_timeout(Some(left))?;
        let length = match self.tls.read(&mut bytes) {
            Ok(0) => bail!("the connection is closed"),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error).context("receiving SIP"),
        };
        self.framer.push(&bytes[..length]);
        let (hop, mut messages) = (self.hop()?, Vec::new());
        while let Some(frame) = self.framer.poll()? {
            if let Frame::Message(bytes) = frame {
                messages.extend(Message::parse(bytes, &Limits::default()).ok());
            }
        }
        Ok(messages.into_iter().map(|message| (hop.clone(), message)).collect())
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
