//! The asking end of a digest: challenges, and the check of what comes back ([RFC 7616 §3.3]).
//!
//! [RFC 7616 §3.3]: https://www.rfc-editor.org/rfc/rfc7616#section-3.3

use subtle::ConstantTimeEq;

use super::challenge::{Challenge, Credentials};
use super::hash::{Algorithm, Digestible, Qop, Secret};
use super::nonce::{CountTable, NonceMill};
use crate::message::{HeaderName, Request, Uri};

/// How a server asks.
#[derive(Clone, Debug)]
pub struct DigestConfig {
    /// The realm.
    pub realm: String,
    /// Algorithms in the order they are offered; a client takes the first it knows.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good, in milliseconds (default 5 minutes).
    pub nonce_lifetime_ms: u64,
    /// Nonces whose counts are remembered at once (64 bytes each).
    pub nonces_max: usize,
    /// Whether the digest URI must equal the Request-URI (RFC 7616 §3.4.6).
    ///
    /// Off by default: some clients put the server's address there. What the
    /// check would prevent, using credentials for another request, is already
    /// prevented by the nonce count.
    pub uri_must_match: bool,
}

impl DigestConfig {
    /// SHA-256, then MD5.
    #[must_use]
    pub fn new(realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_lifetime_ms: 300_000,
            nonces_max: 100_000,
            uri_must_match: false,
        }
    }
}

/// Why a request is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthError {
    /// No credentials for our realm.
    #[error("no credentials")]
    Missing,
    /// The credentials are none of our nonces: forged, or made before a restart.
    #[error("unknown nonce")]
    NonceUnknown,
    /// The nonce is too old, or its count was used; ask again with `stale`.
    #[error("stale nonce")]
    Stale,
    /// The algorithm was not offered, or no secret is stored for it.
    #[error("algorithm not offered")]
    Algorithm,
    /// No `qop`, or `auth-int`, which was not offered.
    #[error("qop not offered")]
    Qop,
    /// The digest URI is not the Request-URI.
    #[error("digest URI differs")]
    Uri,
    /// There is no such user, or the response is wrong.
    #[error("wrong user or password")]
    Wrong,
}

impl AuthError {
    /// Whether the next challenge should say `stale=true`.
    ///
    /// A forged nonce too: a client whose nonce we lost by a restart then asks
    /// its user for no password.
    #[must_use]
    pub const fn is_stale(self) -> bool {
        matches!(self, Self::Stale | Self::NonceUnknown)
    }
}

/// The state of one realm.
#[derive(Debug)]
pub struct DigestServer {
    config: DigestConfig,
    mill: NonceMill,
    counts: CountTable,
}

impl DigestServer {
    /// A realm whose nonces are signed with `secret`.
    #[must_use]
    pub fn new(config: DigestConfig, secret: [u8; 32]) -> Self {
        let counts = CountTable::new(config.nonces_max);
        Self { config, mill: NonceMill::new(secret), counts }
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.config.realm
    }

    /// Challenges in the order of preference, one header line each.
    ///
    /// `algorithms` narrows the configured list (for an account that knows MD5
    /// alone); `None` takes it whole. `now_ms` is Unix time in milliseconds.
    pub fn challenge(
        &mut self,
        now_ms: u64,
        stale: bool,
        algorithms: Option<&[Algorithm]>,
    ) -> Vec<Challenge> {
        let nonce = self.mill.make(now_ms, &self.config.realm);
        algorithms
            .unwrap_or(&self.config.algorithms)
            .iter()
            .map(|&algorithm| Challenge {
                realm: self.config.realm.clone(),
                nonce: nonce.clone(),
                opaque: None,
                algorithm: Some(algorithm),
                qop: vec![Qop::Auth],
                qop_offered: true,
                stale,
            })
            .collect()
    }

    /// The credentials of `request` for this realm, from `header`
    /// (`Authorization` or `Proxy-Authorization`).
    ///
    /// # Errors
    /// [`AuthError::Missing`] when there are none that parse.
    pub fn credentials(&self, request: &Request, header: &HeaderName) -> Result<Credentials, AuthError> {
        request
            .headers
            .iter()
            .filter(|h| h.name() == header)
            .filter_map(|h| Credentials::parse(&h.value()).ok())
            .find(|credentials| credentials.realm == self.config.realm)
            .ok_or(AuthError::Missing)
    }

    /// Checks credentials against what is known of their user; `None` is an unknown user.
    ///
    /// `algorithms` as given to [`DigestServer::challenge`]. On success the
    /// nonce count is used up.
    ///
    /// # Errors
    /// [`AuthError`]. An unknown user costs as much as a wrong password.
    pub fn verify(
        &mut self,
        now_ms: u64,
        request: &Request,
        credentials: &Credentials,
        secret: Option<&Secret>,
        algorithms: Option<&[Algorithm]>,
    ) -> Result<(), AuthError> {
        let nonce = self.mill.check(&credentials.nonce, &self.config.realm).ok_or(AuthError::NonceUnknown)?;
        let offered = algorithms.unwrap_or(&self.config.algorithms);
        let algorithm = credentials
            .algorithm
            .filter(|algorithm| offered.contains(algorithm))
            .ok_or(AuthError::Algorithm)?;
        let Some((Qop::Auth, nc, cnonce)) = &credentials.qop else {
            return Err(AuthError::Qop);
        };
        if self.config.uri_must_match {
            let same = credentials.uri.parse::<Uri>().is_ok_and(|uri| uri == *request.uri());
            if !same {
                return Err(AuthError::Uri);
            }
        }
        let nobody = Secret::Password(String::new());
        let ha1 = secret
            .unwrap_or(&nobody)
            .ha1(algorithm, &credentials.username, &self.config.realm)
            .ok_or(AuthError::Algorithm)?;
        let expected = Digestible {
            algorithm,
            method: request.method().as_str(),
            uri: &credentials.uri,
            nonce: &credentials.nonce,
            nc,
            cnonce,
            qop: Some(Qop::Auth),
            body: b"",
        }
        .response(&ha1);
        let given = credentials.response.to_ascii_lowercase();
        let right = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        if !right || secret.is_none() {
            return Err(AuthError::Wrong);
        }
        // Staleness is judged last: `stale=true` tells that the password was right.
        let oldest_ms = now_ms.saturating_sub(self.config.nonce_lifetime_ms);
        let count = credentials.nonce_count().ok_or(AuthError::Qop)?;
        if nonce.made_ms < oldest_ms || !self.counts.is_fresh(nonce, count) {
            return Err(AuthError::Stale);
        }
        self.counts.forget_before(oldest_ms);
        self.counts.mark(nonce, count);
        Ok(())
    }
}
