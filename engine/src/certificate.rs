//! The certificate that our handshakes with parties (DTLS) show: made by ourselves, at the start and at each reload.
//!
//! Nobody checks more of it than that its fingerprint is the one of our description, so that nothing is configured and
//! nothing is kept. Calls that are there at a reload go on with the one that they have.

use driver::Clock;
use engine_core::{Identity, IdentityError, ProviderError, Providers};
use thiserror::Error;

/// Why there is no certificate for handshakes.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// No key or certificate could be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A library does not take it.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Makes a certificate, and prepares the libraries with it.
pub(crate) fn make() -> Result<Providers, CertificateError> {
    let providers = Providers::new(Identity::generate()?, Clock::start())?;
    tracing::info!(fingerprint = %providers.identity().fingerprint(), "certificate for DTLS-SRTP");
    Ok(providers)
}
