//! Associations by dimpl: DTLS 1.2 and 1.3 without RSA, driven by our clock.

use std::sync::Arc;
use std::time::Duration;

use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, SecurityError};
use zeroize::Zeroizing;

use super::provider::{Engine, Progress};
use super::record;
use super::{DATAGRAM_BYTES_MAX, FailReason, HANDSHAKE_MAX, Identity, ProviderError, Role};
use crate::srtp::Suite;
use crate::units::Instant;

/// First wait for an answer, doubled with each retransmission. RFC 9147 §5.8.2 recommends a second and allows less
/// where the network is known; a call that waits has a person at each end.
const FLIGHT_RTO: Duration = Duration::from_millis(400);
/// Retransmissions of a flight: the last is sent about 25 s after the first.
const FLIGHT_RETRIES: usize = 6;
/// When it is asked again what it wants at once.
const AGAIN: Duration = Duration::from_millis(10);
/// Datagrams kept until those before them come.
const QUEUE_RX_MAX: usize = 24;
/// Datagrams of one flight.
const QUEUE_TX_MAX: usize = 12;

/// dimpl's part of what is prepared once.
pub(super) struct DimplContext {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    base: std::time::Instant,
}

impl DimplContext {
    pub(super) fn new(identity: &Identity, base: std::time::Instant) -> Result<Self, ProviderError> {
        let config = Config::builder()
            .mtu(DATAGRAM_BYTES_MAX)
            .max_queue_rx(QUEUE_RX_MAX)
            .max_queue_tx(QUEUE_TX_MAX)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(HANDSHAKE_MAX)
            .build()
            .map_err(ProviderError::Dimpl)?;
        let certificate = DtlsCertificate {
            certificate: identity.certificate().to_vec(),
            private_key: identity.key().to_vec(),
        };
        Ok(Self { config: Arc::new(config), certificate, base })
    }

    /// An end of an association; a client's first flight waits for [`Engine::handle_timeout`].
    pub(super) fn open(&self, role: Role, now: Instant) -> Box<dyn Engine> {
        let mut dtls = Dtls::new_auto(Arc::clone(&self.config), self.certificate.clone(), at(self.base, now));
        dtls.set_active(role == Role::Client);
        Box::new(DimplEngine { dtls, role, base: self.base, deadline: None, settled: false, next_plain: 0 })
    }
}

impl Drop for DimplContext {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.certificate.private_key);
    }
}

/// A moment of our clock as the standard library counts.
fn at(base: std::time::Instant, now: Instant) -> std::time::Instant {
    base + Duration::from_nanos(now.as_nanos())
}

struct DimplEngine {
    dtls: Dtls,
    role: Role,
    base: std::time::Instant,
    deadline: Option<Instant>,
    /// The version is agreed, or we are the server.
    settled: bool,
    /// Number of a client's next unprotected record.
    next_plain: u64,
}

impl DimplEngine {
    fn drain(&mut self, progress: &mut Progress) {
        let mut buffer = [0; 2 * DATAGRAM_BYTES_MAX];
        let mut larger: Vec<u8> = Vec::new();
        loop {
            let room = if larger.is_empty() { &mut buffer[..] } else { &mut larger[..] };
            match self.dtls.poll_output(room) {
                Output::Packet(datagram) => {
                    let mut datagram = datagram.to_vec();
                    // dimpl 0.9 repeats its first hello under the number it had. A server that has challenged it
                    // (OpenSSL does) then takes the repetition for a replay, and one lost HelloVerifyRequest is the
                    // end of the handshake (test: bad_wires_cost_time_and_nothing_else).
                    if self.role == Role::Client {
                        record::number_plain_records(&mut datagram, &mut self.next_plain);
                    }
                    progress.datagrams.push(datagram);
                }
                // A certificate may be larger than a datagram; it came through the bounded receive queue.
                Output::BufferTooSmall { needed } => larger = vec![0; needed],
                Output::Timeout(deadline) => {
                    let nanos = deadline.saturating_duration_since(self.base).as_nanos();
                    self.deadline = u64::try_from(nanos).ok().map(Instant::from_nanos);
                    return;
                }
                Output::Connected => progress.connected = true,
                Output::PeerCert(certificate) => progress.certificate = Some(certificate.to_vec()),
                Output::KeyingMaterial(export, profile) => {
                    let suite = match profile {
                        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
                        _ => continue,
                    };
                    progress.export = Some((suite, Zeroizing::new(export.to_vec())));
                }
                Output::CloseNotify => progress.closed = true,
                // Nothing but SRTP keys is wanted of the association.
                _ => {}
            }
        }
    }
}

impl Engine for DimplEngine {
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        progress: &mut Progress,
    ) -> Result<(), FailReason> {
        self.dtls.handle_timeout(at(self.base, now)).map_err(reason)?;
        let taken = self.dtls.handle_packet(datagram);
        self.settled |= self.dtls.protocol_version().is_some();
        match taken {
            // Said of a client's first answer that is neither version's; the client goes on waiting.
            Err(Error::UnexpectedMessage(dimpl::UnexpectedMessageError::UnrecognizedAutoServerResponse))
                if !self.settled => {}
            Err(error) => return Err(reason(error)),
            Ok(()) => {}
        }
        self.drain(progress);
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant, progress: &mut Progress) -> Result<(), FailReason> {
        self.dtls.handle_timeout(at(self.base, now)).map_err(reason)?;
        self.drain(progress);
        // dimpl may ask for the very moment that it was just given; whoever serves it at once would never be done.
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = Some(now + AGAIN);
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn close(&mut self, progress: &mut Progress) {
        if self.dtls.close().is_ok() {
            self.drain(progress);
        }
    }
}

fn reason(error: Error) -> FailReason {
    match error {
        Error::SecurityError(SecurityError::FatalAlert { description }) => FailReason::Alert(description),
        Error::SecurityError(
            SecurityError::NoMutuallyAcceptableCipherSuite
            | SecurityError::NoCommonCipherSuite
            | SecurityError::NoCommonKeyExchangeGroup
            | SecurityError::ExtendedMasterSecretNotNegotiated,
        ) => FailReason::NothingInCommon,
        Error::CertificateError(
            dimpl::CertificateError::NoServerCertificateReceived
            | dimpl::CertificateError::NoClientCertificateReceived,
        ) => FailReason::NoCertificate,
        Error::CertificateError(_)
        | Error::CryptoError(
            dimpl::CryptoError::UnsupportedPublicKeyAlgorithm | dimpl::CryptoError::UnsupportedEcCurve,
        ) => FailReason::UnsupportedCertificate,
        Error::Timeout(_) => FailReason::TimedOut,
        _ => FailReason::Protocol,
    }
}
