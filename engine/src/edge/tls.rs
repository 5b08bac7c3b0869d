//! TLS of the streams: who we are, and whose keys are pinned. Both can be replaced while connections live.
//!
//! TLS 1.2 and 1.3 with the provider's own order of suites. A client is known by the SHA-256 of its public key
//! ([RFC 7469 §2.4]) and by nothing else: no authority, no name, no date.
//!
//! [RFC 7469 §2.4]: https://www.rfc-editor.org/rfc/rfc7469#section-2.4

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::config::{Identity, Pin};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of its kind in PEM.
    #[error("{file} cannot be used")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit, or are of a kind that is not known.
    #[error("{certificate} and its key cannot be used")]
    Refused {
        /// The certificate's file.
        certificate: String,
        /// Why.
        source: Error,
    },
}

/// Who we are and whom we know, replaceable while connections live.
#[derive(Debug)]
pub(crate) struct Certificates {
    config: ArcSwap<ServerConfig>,
}

impl Certificates {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A file cannot be read, or the key is not the certificate's.
    pub(crate) fn load(identity: &Identity) -> Result<Self, TlsError> {
        Ok(Self { config: ArcSwap::new(server_config(identity)?) })
    }

    /// Reads what may replace them.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(super) fn read(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
        server_config(identity)
    }

    /// Takes over what was read. Connections that stand go on; new ones see the new ones.
    pub(super) fn replace(&self, read: Arc<ServerConfig>) {
        self.config.store(read);
    }

    /// What a new connection is met with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let file = |path: &Path| {
        let file = path.display().to_string();
        move |source| TlsError::File { file, source }
    };
    let chain = CertificateDer::pem_file_iter(&identity.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(file(&identity.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(file(&identity.key))?;
    let refused =
        |source| TlsError::Refused { certificate: identity.certificate.display().to_string(), source };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    let builder = if identity.pins.is_empty() {
        builder.with_no_client_auth()
    } else {
        builder.with_client_cert_verifier(Arc::new(Pinned { pins: identity.pins.clone(), provider }))
    };
    builder.with_single_cert(chain, key).map(Arc::new).map_err(refused)
}

/// Knows clients by the hash of their public key.
#[derive(Debug)]
struct Pinned {
    pins: Vec<Pin>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn client_auth_mandatory(&self) -> bool {
        // Who shows none may still look, if its address is listed.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let hash: [u8; 32] = Sha256::digest(&key).into();
        if self.pins.iter().any(|pin| pin.0 == hash) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
