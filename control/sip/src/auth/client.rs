//! The answering end of a digest ([RFC 7616 §3.4], RFC 8760 §2.4).
//!
//! [RFC 7616 §3.4]: https://www.rfc-editor.org/rfc/rfc7616#section-3.4

use rand::Rng;
use rand::rngs::StdRng;

use super::challenge::{Challenge, Credentials};
use super::hash::{Digestible, Qop, ha1};
use crate::message::{HeaderName, Request, Response, StatusCode};

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The response is no 401 or 407, or carries no challenge we can read.
    #[error("no usable challenge")]
    NoChallenge,
    /// The same password was refused before for this realm.
    #[error("credentials refused")]
    Refused,
}

/// One user's answers at one server; keeps the nonce and its count.
#[derive(Clone, Debug)]
pub struct DigestClient {
    username: String,
    password: String,
    session: Option<Session>,
}

#[derive(Clone, Debug)]
struct Session {
    header: HeaderName,
    challenge: Challenge,
    count: u32,
}

impl DigestClient {
    /// Nothing is known of the server yet.
    #[must_use]
    pub fn new(username: &str, password: &str) -> Self {
        Self { username: username.to_owned(), password: password.to_owned(), session: None }
    }

    /// Takes the strongest challenge we support out of a 401 or 407.
    ///
    /// Follow with [`DigestClient::authorize`] on the request to be sent again.
    /// `answered` says that the refused request already carried credentials.
    ///
    /// # Errors
    /// [`DigestError::NoChallenge`]; [`DigestError::Refused`] when credentials
    /// were sent and the server does not say they were merely stale.
    pub fn take_challenge(&mut self, response: &Response, answered: bool) -> Result<(), DigestError> {
        let (from, header) = match response.status() {
            StatusCode::UNAUTHORIZED => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization)
            }
            _ => return Err(DigestError::NoChallenge),
        };
        let challenge = response
            .headers
            .iter()
            .filter(|h| *h.name() == from)
            .filter_map(|h| Challenge::parse(&h.value()).ok())
            .filter(|c| c.algorithm.is_some() && (!c.qop_offered || !c.qop.is_empty()))
            // The first of the strongest: RFC 8760 §2.4 lets the order decide
            // among those we support, but an attacker may have put MD5 on top.
            .reduce(|best, c| if c.algorithm > best.algorithm { c } else { best })
            .ok_or(DigestError::NoChallenge)?;
        if answered && !challenge.stale {
            let same_realm = self
                .session
                .as_ref()
                .is_some_and(|s| s.challenge.realm == challenge.realm && s.header == header);
            if same_realm {
                return Err(DigestError::Refused);
            }
        }
        self.session = Some(Session { header, challenge, count: 0 });
        Ok(())
    }

    /// Puts credentials into `request`, replacing earlier ones; false without a challenge yet.
    pub fn authorize(&mut self, request: &mut Request, rng: &mut StdRng) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        let challenge = &session.challenge;
        let Some(algorithm) = challenge.algorithm else {
            return false;
        };
        session.count = session.count.wrapping_add(1);
        let qop =
            if challenge.qop.contains(&Qop::Auth) { Some(Qop::Auth) } else { challenge.qop.first().copied() };
        let nc = format!("{:08x}", session.count);
        let cnonce = format!("{:016x}", rng.next_u64());
        let uri = request.uri().to_string();
        let secret = ha1(algorithm, &self.username, &challenge.realm, &self.password);
        let response = Digestible {
            algorithm,
            method: request.method().as_str(),
            uri: &uri,
            nonce: &challenge.nonce,
            nc: &nc,
            cnonce: &cnonce,
            qop,
            body: request.body(),
        }
        .response(&secret);
        let credentials = Credentials {
            username: self.username.clone(),
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            uri,
            response,
            algorithm: Some(algorithm),
            opaque: challenge.opaque.clone(),
            qop: qop.map(|qop| (qop, nc, cnonce)),
        };
        request.headers.set(session.header.clone(), &credentials.to_string());
        true
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::hash::{Algorithm, Secret};
    use super::super::server::{AuthError, DigestConfig, DigestServer};
    use super::*;
    use crate::message::Method;

    const HOUR_MS: u64 = 3_600_000;

    struct Pair {
        server: DigestServer,
        client: DigestClient,
        rng: StdRng,
    }

    impl Pair {
        fn new(algorithms: &[Algorithm]) -> Self {
            let mut config = DigestConfig::new("example.com");
            config.algorithms = algorithms.to_vec();
            config.uri_must_match = true;
            Self {
                server: DigestServer::new(config, [1; 32]),
                client: DigestClient::new("alice", "secret"),
                rng: StdRng::seed_from_u64(1),
            }
        }

        fn challenge(&mut self, now_ms: u64, stale: bool, answered: bool) -> Result<(), DigestError> {
            let mut response = Response::bare(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "");
            for challenge in self.server.challenge(now_ms, stale, None) {
                response.headers.push(HeaderName::ProxyAuthenticate, &challenge.to_string());
            }
            self.client.take_challenge(&response, answered)
        }

        fn request(&mut self) -> Request {
            let mut request = Request::new(Method::Invite, "sip:bob@example.com".parse().expect("uri"));
            self.client.authorize(&mut request, &mut self.rng);
            request
        }

        fn verify(&mut self, now_ms: u64, request: &Request, secret: &Secret) -> Result<(), AuthError> {
            let credentials = self.server.credentials(request, &HeaderName::ProxyAuthorization)?;
            self.server.verify(now_ms, request, &credentials, Some(secret), None)
        }
    }

    fn password() -> Secret {
        Secret::Password("secret".to_owned())
    }

    #[test]
    fn every_algorithm_is_answered_and_counted_past_ten_in_hexadecimal() {
        for algorithm in [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess] {
            let mut pair = Pair::new(&[algorithm]);
            pair.challenge(HOUR_MS, false, false).expect("challenge");
            for _ in 0..300 {
                let request = pair.request();
                assert_eq!(pair.verify(HOUR_MS, &request, &password()), Ok(()), "{algorithm}");
            }
        }
    }

    #[test]
    fn the_strongest_challenge_is_taken_whatever_the_order() {
        let mut pair = Pair::new(&[Algorithm::Md5, Algorithm::Sha256]);
        pair.challenge(HOUR_MS, false, false).expect("challenge");
        let request = pair.request();
        let credentials = pair.server.credentials(&request, &HeaderName::ProxyAuthorization);
        assert_eq!(credentials.map(|c| c.algorithm), Ok(Some(Algorithm::Sha256)));
    }

    #[test]
    fn a_stored_hash_serves_as_well_as_the_password() {
        let mut pair = Pair::new(&[Algorithm::Sha256]);
        pair.challenge(HOUR_MS, false, false).expect("challenge");
        let request = pair.request();
        let stored = Secret::Ha1 {
            md5: None,
            sha256: Some(ha1(Algorithm::Sha256, "alice", "example.com", "secret").to_uppercase()),
        };
        assert_eq!(pair.verify(HOUR_MS, &request, &stored), Ok(()));
        let other = Secret::Ha1 { md5: Some(String::new()), sha256: None };
        assert_eq!(pair.verify(HOUR_MS, &request, &other), Err(AuthError::Algorithm));
    }

    #[test]
    fn credentials_are_good_once() {
        let mut pair = Pair::new(&[Algorithm::Md5]);
        pair.challenge(HOUR_MS, false, false).expect("challenge");
        let request = pair.request();
        assert_eq!(pair.verify(HOUR_MS, &request, &password()), Ok(()));
        assert_eq!(pair.verify(HOUR_MS, &request, &password()), Err(AuthError::Stale));
    }

    #[test]
    fn an_old_nonce_is_stale_only_with_the_right_password() {
        let mut pair = Pair::new(&[Algorithm::Md5]);
        pair.challenge(HOUR_MS, false, false).expect("challenge");
        let request = pair.request();
        let late = HOUR_MS + 300_001;
        let wrong = Secret::Password("guess".to_owned());
        assert_eq!(pair.verify(late, &request, &wrong), Err(AuthError::Wrong));
        assert_eq!(pair.verify(late, &request, &password()), Err(AuthError::Stale));
        assert_eq!(pair.challenge(late, true, true), Ok(()));
        let again = pair.request();
        assert_eq!(pair.verify(late, &again, &password()), Ok(()));
        assert_eq!(pair.challenge(late, false, true), Err(DigestError::Refused));
    }

    #[test]
    fn what_was_not_asked_for_is_not_accepted() {
        let mut pair = Pair::new(&[Algorithm::Sha256]);
        pair.challenge(HOUR_MS, false, false).expect("challenge");
        let request = pair.request();
        let good = pair.server.credentials(&request, &HeaderName::ProxyAuthorization).expect("credentials");
        let mut try_with = |change: fn(&mut Credentials)| {
            let mut credentials = good.clone();
            change(&mut credentials);
            pair.server.verify(HOUR_MS, &request, &credentials, Some(&password()), None)
        };
        assert_eq!(try_with(|c| c.algorithm = Some(Algorithm::Md5)), Err(AuthError::Algorithm));
        assert_eq!(try_with(|c| c.algorithm = None), Err(AuthError::Algorithm));
        assert_eq!(try_with(|c| c.qop = None), Err(AuthError::Qop));
        assert_eq!(try_with(|c| c.nonce.replace_range(..1, "f")), Err(AuthError::NonceUnknown));
        assert_eq!(try_with(|c| c.uri = "sip:eve@example.com".to_owned()), Err(AuthError::Uri));
        assert_eq!(try_with(|c| c.username = "bob".to_owned()), Err(AuthError::Wrong));
        assert_eq!(try_with(|c| c.response.clear()), Err(AuthError::Wrong));
        assert_eq!(try_with(|_| {}), Ok(()));
        let unknown = pair.server.verify(HOUR_MS, &request, &good, None, None);
        assert_eq!(unknown, Err(AuthError::Wrong));
    }

    #[test]
    fn auth_int_covers_the_body() {
        let mut client = DigestClient::new("alice", "secret");
        let response = Response::bare(StatusCode::UNAUTHORIZED, "").with_header(
            HeaderName::WwwAuthenticate,
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\", algorithm=MD5",
        );
        client.take_challenge(&response, false).expect("challenge");
        let mut request = Request::new(Method::Invite, "sip:bob@example.com".parse().expect("uri"));
        let mut rng = StdRng::seed_from_u64(1);
        assert!(client.authorize(&mut request, &mut rng));
        let one = request.headers.get(&HeaderName::Authorization).map(|v| v.into_owned());
        request.set_body("application/sdp", bytes::Bytes::from_static(b"v=0"));
        client.take_challenge(&response, false).expect("challenge");
        let mut rng = StdRng::seed_from_u64(1);
        client.authorize(&mut request, &mut rng);
        let two = request.headers.get(&HeaderName::Authorization).map(|v| v.into_owned());
        assert_ne!(one, two);
        assert!(one.is_some_and(|v| v.contains("qop=auth-int, nc=00000001")));
    }

    #[test]
    fn a_challenge_we_cannot_answer_is_an_error() {
        let mut client = DigestClient::new("alice", "secret");
        for value in ["Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256"] {
            let response =
                Response::bare(StatusCode::UNAUTHORIZED, "").with_header(HeaderName::WwwAuthenticate, value);
            assert_eq!(client.take_challenge(&response, false), Err(DigestError::NoChallenge));
        }
    }
}
