//! Transports over real sockets on loopback, of whichever listeners a test needs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use control::config::{Config, ConfigSource};
use control::transport::{DropReason, TransportEvent, Transports};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sip::{Hop, Message};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longer than anything here takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Transports that listen, and what they tell.
pub(crate) struct Bench {
    pub(crate) transports: Transports,
    pub(crate) events: Receiver<TransportEvent>,
    _folder: tempfile::TempDir,
    pub(crate) certificate: PathBuf,
}

impl Bench {
    /// `listeners` as a configuration has them, in which `CERTIFIED` stands for certificate and key of this node, with
    /// `settings` on top.
    pub(crate) fn new(listeners: &str, settings: &[(&str, &str)]) -> Bench {
        let folder = tempfile::tempdir().expect("temporary folder");
        let names = vec!["sip.example.net".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("certificate");
        let certificate = folder.path().join("cert.pem");
        let key = folder.path().join("key.pem");
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let certified = format!("certificate = {certificate:?}\nkey = {key:?}\n");
        let text = format!(
            "[node]\ndomain = \"sip.example.net\"\n[tls]\ntrust_roots = {certificate:?}\n{}",
            listeners.replace("CERTIFIED\n", &certified)
        );
        let mut source = ConfigSource::new().text(Path::new("control.toml"), &text);
        for (key, value) in settings {
            source = source.set(key, value, key);
        }
        let config = Config::load(&source).expect("valid");
        let (mut transports, events) = Transports::bind(&config, 1).expect("bound");
        transports.listen();
        Bench { transports, events, _folder: folder, certificate }
    }

    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.transports.addresses()[index]
    }

    pub(crate) async fn event(&mut self) -> TransportEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("transports live")
    }

    pub(crate) async fn message(&mut self) -> (Hop, Message) {
        match self.event().await {
            TransportEvent::Message { hop, message } => (hop, *message),
            other => panic!("a message expected, not {other:?}"),
        }
    }

    pub(crate) async fn dropped(&self, reason: DropReason, times: u64) {
        timeout(PATIENCE, async {
            while self.transports.drops().get(reason) < times {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{reason:?} is counted {} times", self.transports.drops().get(reason)));
    }

    /// A client that trusts the certificate in the file.
    pub(crate) fn tls_client(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let pem = std::fs::read(&self.certificate).expect("certificate");
        roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}
