//! The two libraries behind an association, prepared once and chosen before the first flight.

use std::fmt;
use std::sync::Arc;

use super::by_dimpl::DimplContext;
use super::by_openssl::OpenSslContext;
use super::{FailReason, Identity};
use crate::srtp::Suite;
use crate::units::Instant;

/// Largest datagram that an association sends, in bytes: it passes any path of IPv6 (RFC 8200 §5) with room for a
/// tunnel or a TURN header.
pub const DATAGRAM_BYTES_MAX: usize = 1200;

/// Which library makes a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The crate dimpl on aws-lc-rs: DTLS 1.2 and 1.3, no RSA certificates.
    Dimpl,
    /// OpenSSL: DTLS 1.2 only, certificates of RSA and ECDSA.
    OpenSsl,
}

impl Provider {
    /// The one to use toward a peer, decided before the first flight because nothing earlier says what certificate it
    /// will show.
    ///
    /// `forced` wins. Else a peer on which one failed (by its fingerprint, in a
    /// table of the caller's; see [`FailReason::other_provider_may_do`]) gets the
    /// other. Else a peer that speaks ICE and the feedback profile
    /// (UDP/TLS/RTP/SAVPF) is a browser or like one and gets dimpl, any other
    /// OpenSSL.
    pub const fn choose(forced: Option<Self>, failed_before: Option<Self>, ice_and_feedback: bool) -> Self {
        match (forced, failed_before, ice_and_feedback) {
            (Some(provider), _, _) => provider,
            (None, Some(failed), _) => failed.other(),
            (None, None, true) => Self::Dimpl,
            (None, None, false) => Self::OpenSsl,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Dimpl => Self::OpenSsl,
            Self::OpenSsl => Self::Dimpl,
        }
    }

    /// The suites it can agree to. dimpl offers all of its own whatever the caller wants: an association ends with
    /// [`FailReason::Suite`] if the peer then picks one that the caller did not list.
    pub const fn suites(self) -> &'static [Suite] {
        match self {
            Self::Dimpl => &[Suite::AeadAes256Gcm, Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80],
            Self::OpenSsl => &[
                Suite::AeadAes256Gcm,
                Suite::AeadAes128Gcm,
                Suite::AesCm128HmacSha1_80,
                Suite::AesCm128HmacSha1_32,
            ],
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dimpl => "dimpl",
            Self::OpenSsl => "openssl",
        })
    }
}

/// Both libraries with our certificate, ready for any number of associations. Made once, shared by all shards.
#[derive(Clone)]
pub struct Providers(Arc<Prepared>);

struct Prepared {
    identity: Identity,
    dimpl: DimplContext,
    openssl: OpenSslContext,
}

impl Providers {
    /// Prepares both. `base` is the moment that the caller's clock calls [`Instant::ZERO`]: dimpl counts in the
    /// standard library's instants.
    ///
    /// # Errors
    /// A library refuses the certificate or its own self-test.
    pub fn new(identity: Identity, base: std::time::Instant) -> Result<Self, ProviderError> {
        let dimpl = DimplContext::new(&identity, base)?;
        let openssl = OpenSslContext::new(&identity)?;
        Ok(Self(Arc::new(Prepared { identity, dimpl, openssl })))
    }

    /// The certificate that all associations show.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub(super) fn dimpl(&self) -> &DimplContext {
        &self.0.dimpl
    }

    pub(super) fn openssl(&self) -> &OpenSslContext {
        &self.0.openssl
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").field("identity", &self.0.identity).finish_non_exhaustive()
    }
}

/// Why the libraries cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// dimpl refused its configuration.
    #[error("dimpl cannot be set up")]
    Dimpl(#[source] dimpl::Error),
    /// OpenSSL refused its configuration, the certificate or the key.
    #[error("OpenSSL cannot be set up")]
    OpenSsl(#[source] openssl::error::ErrorStack),
}

/// What a library was brought to by one input.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Datagrams to be sent, in order.
    pub(super) datagrams: Vec<Vec<u8>>,
    /// The peer's certificate in DER, once it is known.
    pub(super) certificate: Option<Vec<u8>>,
    /// What the handshake exported, if a known suite was agreed.
    pub(super) export: Option<Export>,
    /// The handshake is done.
    pub(super) connected: bool,
    /// The peer said close_notify.
    pub(super) closed: bool,
}

/// The agreed suite and its exported keying material.
pub(super) type Export = (Suite, zeroize::Zeroizing<Vec<u8>>);

/// A library's end of one association.
pub(super) trait Engine: Send {
    /// Takes a datagram in.
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        progress: &mut Progress,
    ) -> Result<(), FailReason>;

    /// Lets time pass; begins the handshake of a client.
    fn handle_timeout(&mut self, now: Instant, progress: &mut Progress) -> Result<(), FailReason>;

    /// When time matters next.
    fn next_deadline(&self) -> Option<Instant>;

    /// Sends close_notify, if the handshake is done.
    fn close(&mut self, progress: &mut Progress);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_forced_then_learned_then_guessed() {
        use Provider::{Dimpl, OpenSsl};
        assert_eq!(Provider::choose(Some(Dimpl), Some(Dimpl), false), Dimpl);
        assert_eq!(Provider::choose(None, Some(Dimpl), true), OpenSsl);
        assert_eq!(Provider::choose(None, Some(OpenSsl), false), Dimpl);
        assert_eq!(Provider::choose(None, None, true), Dimpl);
        assert_eq!(Provider::choose(None, None, false), OpenSsl);
    }
}
