//! Associations by OpenSSL: DTLS 1.2 with certificates of RSA and ECDSA, over a queue in memory.
//!
//! OpenSSL reads the wall clock for its own retransmissions and offers no
//! other way without unsafe code (ADR 3). Our deadline is where its timer
//! stands; a call at that moment lets it send the flight anew.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::keys::{EXPORT_LABEL, export_bytes};
use super::provider::{Engine, Progress};
use super::record;
use super::{DATAGRAM_BYTES_MAX, FailReason, HANDSHAKE_MAX, Identity, ProviderError, Role};
use crate::srtp::{DtlsProfile, Suite};
use crate::units::Instant;

/// What is offered and accepted: forward secrecy and an encryption that is not broken. CBC serves peers of old
/// libraries; it protects one message, the Finished. Every record of these has at least [`PROTECTED_BYTES_MIN`].
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:\
    ECDHE-RSA-AES128-SHA:@SECLEVEL=1";
/// The shortest protected record: nonce and tag of GCM round one byte. OpenSSL 3.0 answers a shorter one and one of an
/// unknown type, which anybody can send, with a fatal alert to the peer (test: `garbage_does_not_touch_what_is_established`).
const PROTECTED_BYTES_MIN: usize = 8 + 16 + 1;
/// OpenSSL's first wait and its longest.
const FLIGHT_RTO: Duration = Duration::from_secs(1);
const FLIGHT_RTO_MAX: Duration = Duration::from_secs(60);
/// How soon to look again if OpenSSL's clock is behind ours.
const CLOCK_SLACK: Duration = Duration::from_millis(20);
/// Most datagrams of one flight; more are lost, as on a wire.
const DATAGRAMS_MAX: usize = 16;

type Cookie = [u8; 32];

/// OpenSSL's part of what is prepared once.
pub(super) struct OpenSslContext {
    context: SslContext,
    cookie: Index<Ssl, Cookie>,
}

impl OpenSslContext {
    pub(super) fn new(identity: &Identity) -> Result<Self, ProviderError> {
        Self::build(identity).map_err(ProviderError::OpenSsl)
    }

    fn build(identity: &Identity) -> Result<Self, ErrorStack> {
        let cookie = Ssl::new_ex_index::<Cookie>()?;
        let mut builder = SslContext::builder(SslMethod::dtls())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_cipher_list(CIPHERS)?;
        builder.set_options(
            SslOptions::COOKIE_EXCHANGE
                | SslOptions::NO_QUERY_MTU
                | SslOptions::NO_RENEGOTIATION
                | SslOptions::NO_TICKET
                | SslOptions::NO_COMPRESSION,
        );
        builder.set_mode(SslMode::RELEASE_BUFFERS);
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        let certificate = X509::from_der(identity.certificate())?;
        let key = PKey::private_key_from_der(identity.key())?;
        builder.set_certificate(&certificate)?;
        builder.set_private_key(&key)?;
        builder.check_private_key()?;
        // Chains prove nothing here: the association compares the certificate with the fingerprints afterwards.
        builder.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        builder.set_cookie_generate_cb(move |ssl, room| {
            let cookie = ssl.ex_data(cookie).copied().unwrap_or_default();
            room[..cookie.len()].copy_from_slice(&cookie);
            Ok(cookie.len())
        });
        builder.set_cookie_verify_cb(move |ssl, shown| {
            ssl.ex_data(cookie).is_some_and(|cookie| bool::from(cookie.as_slice().ct_eq(shown)))
        });
        Ok(Self { context: builder.build(), cookie })
    }

    /// An end of an association; a client's first flight waits for [`Engine::handle_timeout`].
    ///
    /// `None` if OpenSSL refuses, which is for want of memory.
    pub(super) fn open(&self, role: Role, suites: &[Suite], cookie: Cookie) -> Option<Box<dyn Engine>> {
        let mut ssl = Ssl::new(&self.context).ok()?;
        let names: Vec<&str> = suites.iter().filter_map(|suite| name(*suite)).collect();
        ssl.set_tlsext_use_srtp(&names.join(":")).ok()?;
        ssl.set_ex_data(self.cookie, cookie);
        ssl.set_mtu(u32::try_from(DATAGRAM_BYTES_MAX).ok()?).ok()?;
        match role {
            Role::Client => ssl.set_connect_state(),
            Role::Server => ssl.set_accept_state(),
        }
        let stream = SslStream::new(ssl, Wire::default()).ok()?;
        Some(Box::new(OpenSslEngine {
            stream,
            role,
            phase: Phase::Handshake { began: None },
            rto: FLIGHT_RTO,
            deadline: None,
        }))
    }
}

/// OpenSSL's spelling of a suite's profile; `None` for a suite that DTLS does not know.
const fn name(suite: Suite) -> Option<&'static str> {
    match suite {
        Suite::AesCm128HmacSha1_80 => Some("SRTP_AES128_CM_SHA1_80"),
        Suite::AesCm128HmacSha1_32 => Some("SRTP_AES128_CM_SHA1_32"),
        Suite::AeadAes128Gcm => Some("SRTP_AEAD_AES_128_GCM"),
        Suite::AeadAes256Gcm => Some("SRTP_AEAD_AES_256_GCM"),
        _ => None,
    }
}

/// The two directions of a wire: at most one datagram waits to be read, those written wait to be sent.
#[derive(Debug, Default)]
struct Wire {
    incoming: Option<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Wire {
    /// One whole datagram; what does not fit is lost, as with a socket.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.take().ok_or(io::ErrorKind::WouldBlock)?;
        let bytes = datagram.len().min(room.len());
        room[..bytes].copy_from_slice(&datagram[..bytes]);
        Ok(bytes)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outgoing.len() < DATAGRAMS_MAX {
            self.outgoing.push_back(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `began` is when the client spoke first, or a hello was taken up.
    Handshake {
        began: Option<Instant>,
    },
    Connected,
    Closed,
}

struct OpenSslEngine {
    stream: SslStream<Wire>,
    role: Role,
    phase: Phase,
    rto: Duration,
    deadline: Option<Instant>,
}

impl OpenSslEngine {
    /// Goes on with the handshake as far as it gets. What is sent waits `rto` for its answer: a new flight the first
    /// wait, a repeated one twice the last, as OpenSSL's own timer has it.
    fn shake(&mut self, now: Instant, rto: Duration, progress: &mut Progress) -> Result<(), FailReason> {
        let done = match self.stream.do_handshake() {
            Ok(()) => true,
            Err(error) if error.code() == ErrorCode::WANT_READ => false,
            Err(error) => {
                let reason = error.ssl_error().map_or(FailReason::Protocol, reason);
                self.flush(progress);
                return Err(reason);
            }
        };
        let sent = self.flush(progress);
        if done {
            self.phase = Phase::Connected;
            self.deadline = None;
            progress.connected = true;
            let ssl = self.stream.ssl();
            progress.certificate = ssl.peer_certificate().and_then(|certificate| certificate.to_der().ok());
            progress.export = ssl
                .selected_srtp_profile()
                .and_then(|profile| u16::try_from(profile.id().as_raw()).ok())
                .and_then(|profile| DtlsProfile(profile).suite())
                .and_then(|suite| {
                    let mut export = Zeroizing::new(vec![0; export_bytes(suite)]);
                    ssl.export_keying_material(&mut export, EXPORT_LABEL, None).ok()?;
                    Some((suite, export))
                });
            return self.listen(progress);
        }
        let taken_up = self.role == Role::Client
            || progress.datagrams.iter().any(|datagram| record::takes_up_hello(datagram));
        if let Phase::Handshake { began: began @ None } = &mut self.phase
            && taken_up
        {
            *began = Some(now);
        }
        if sent && matches!(self.phase, Phase::Handshake { began: Some(_) }) {
            self.rto = rto;
            self.deadline = Some(now + rto);
        }
        Ok(())
    }

    /// Reads what comes after the handshake: a repeated flight, alerts, data that nobody wants.
    fn listen(&mut self, progress: &mut Progress) -> Result<(), FailReason> {
        let mut unwanted = [0; 256];
        loop {
            match self.stream.ssl_read(&mut unwanted) {
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    // The answer to close_notify is close_notify (RFC 5246 §7.2.1).
                    let _ = self.stream.shutdown();
                    self.phase = Phase::Closed;
                    progress.closed = true;
                    break;
                }
                Err(error) if error.code() == ErrorCode::SSL => {
                    // Whatever it was, the peer is not told to end what was agreed.
                    self.stream.get_mut().outgoing.clear();
                    return Err(error.ssl_error().map_or(FailReason::Protocol, reason));
                }
                Err(_) => break,
            }
        }
        self.flush(progress);
        Ok(())
    }

    /// Hands over what was written; says whether anything was.
    ///
    /// OpenSSL repeats a flight in a datagram a message. Joined, they are lost
    /// together or not at all.
    fn flush(&mut self, progress: &mut Progress) -> bool {
        let outgoing = std::mem::take(&mut self.stream.get_mut().outgoing);
        let any = !outgoing.is_empty();
        let joined = progress.datagrams.len();
        for datagram in outgoing {
            match progress.datagrams[joined..].last_mut() {
                Some(last) if last.len() + datagram.len() <= DATAGRAM_BYTES_MAX => last.extend(datagram),
                _ => progress.datagrams.push(datagram),
            }
        }
        any
    }
}

impl Engine for OpenSslEngine {
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        progress: &mut Progress,
    ) -> Result<(), FailReason> {
        if !record::is_of_dtls12(datagram, PROTECTED_BYTES_MIN) {
            return Ok(());
        }
        self.stream.get_mut().incoming = Some(datagram.to_vec());
        let result = match self.phase {
            Phase::Handshake { .. } => self.shake(now, FLIGHT_RTO, progress),
            Phase::Connected => self.listen(progress),
            Phase::Closed => Ok(()),
        };
        self.stream.get_mut().incoming = None;
        result
    }

    fn handle_timeout(&mut self, now: Instant, progress: &mut Progress) -> Result<(), FailReason> {
        let Phase::Handshake { began } = self.phase else { return Ok(()) };
        if began.is_some_and(|began| now.saturating_since(began) >= HANDSHAKE_MAX) {
            return Err(FailReason::TimedOut);
        }
        match self.deadline {
            Some(deadline) if deadline > now => Ok(()),
            Some(_) => {
                self.deadline = Some(now + CLOCK_SLACK);
                self.shake(now, (2 * self.rto).min(FLIGHT_RTO_MAX), progress)
            }
            None if self.role == Role::Client => self.shake(now, FLIGHT_RTO, progress),
            None => Ok(()),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let Phase::Handshake { began } = self.phase else { return None };
        let end = began.map(|began| began + HANDSHAKE_MAX);
        self.deadline.into_iter().chain(end).min()
    }

    fn close(&mut self, progress: &mut Progress) {
        if self.phase == Phase::Connected {
            let _ = self.stream.shutdown();
            self.phase = Phase::Closed;
            self.flush(progress);
        }
    }
}

fn reason(stack: &ErrorStack) -> FailReason {
    // The names of <openssl/sslerr.h>; an alert received has its number plus 1000.
    const NO_SHARED_CIPHER: i32 = 193;
    const PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;
    const UNKNOWN_CERTIFICATE_TYPE: i32 = 247;
    const COOKIE_MISMATCH: i32 = 308;
    const WRONG_CERTIFICATE_TYPE: i32 = 383;
    const ALERT: i32 = 1000;
    let code = stack.errors().first().map(openssl::error::Error::reason_code).unwrap_or_default();
    match code {
        NO_SHARED_CIPHER => FailReason::NothingInCommon,
        PEER_DID_NOT_RETURN_A_CERTIFICATE => FailReason::NoCertificate,
        COOKIE_MISMATCH => FailReason::Cookie,
        UNKNOWN_CERTIFICATE_TYPE | WRONG_CERTIFICATE_TYPE => FailReason::UnsupportedCertificate,
        code => match u8::try_from(code - ALERT) {
            Ok(alert) => FailReason::Alert(alert),
            Err(_) => FailReason::Protocol,
        },
    }
}
