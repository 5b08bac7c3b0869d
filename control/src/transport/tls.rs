//! Our seat at rustls: who we are, and whom we trust.
//!
//! TLS 1.2 and 1.3 with the provider's own order of suites, which holds
//! authenticated ciphers with forward secrecy only. The reasons are in
//! `adr/0002-tls-is-rustls-on-aws-lc.md`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why TLS cannot be set up from these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{0} cannot be read")]
    File(String, #[source] io::Error),
    /// A file holds no certificate or key in PEM.
    #[error("{0} holds no {1} in PEM")]
    Pem(String, &'static str),
    /// Certificate and key do not fit, or rustls does not take them.
    #[error("certificate and key cannot be used: {0}")]
    Refused(#[from] rustls::Error),
}

/// Who a listener says it is, replaced whole while it serves.
#[derive(Debug, Clone)]
pub(super) struct Identity(Arc<Files>);

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
}

impl Identity {
    /// Reads both files.
    ///
    /// # Errors
    /// As [`server_config`].
    pub(super) fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::new(server_config(certificate, key)?),
        })))
    }

    /// Reads both files again.
    ///
    /// # Errors
    /// As [`server_config`]; the old ones stay.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        self.0.current.store(server_config(&self.0.certificate, &self.0.key)?);
        Ok(())
    }

    /// What a handshake that begins now shows.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.current.load_full()
    }
}

/// The server side of a listener.
///
/// # Errors
/// A file cannot be read, holds no PEM, or the key is not the certificate's.
pub(crate) fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let key_name = key.display().to_string();
    let key =
        PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| TlsError::Pem(key_name, "private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// The authorities in a PEM file.
///
/// # Errors
/// The file cannot be read, or holds no usable certificate.
pub(crate) fn trust_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(TlsError::Pem(path.display().to_string(), "certificate"));
    }
    Ok(roots)
}

/// The client side toward trunks.
///
/// # Errors
/// None that these settings can cause; the provider's are passed on.
pub(crate) fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let list: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?).filter_map(Result::ok).collect();
    if list.is_empty() {
        return Err(TlsError::Pem(path.display().to_string(), "certificate"));
    }
    Ok(list)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::File(path.display().to_string(), error))
}
