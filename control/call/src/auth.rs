//! Who is calling: digest of phones, trusted addresses, and our own digest at carriers.

use sip::auth::{Algorithm, AuthError, DigestClient, DigestServer, Secret};
use sip::{HeaderName, Hop, Request, Response, StatusCode};

use crate::core::Core;
use crate::{Account, AccountId, DigestAlgorithm, TrunkId};

/// What comes of asking who sent a request.
pub(crate) enum Verdict {
    /// This account, for certain.
    Account(AccountId),
    /// Nobody yet: this goes back.
    Answer(Response),
}

/// Who sent `request`. A REGISTER is asked with 401, everything else with 407.
///
/// An unknown user, a wrong password, a disabled account and no credentials at all get the same answer. Only
/// an account whose algorithms were narrowed by its operator shows that it exists, by its challenge.
pub(crate) fn authenticate(
    core: &mut Core,
    digest: &mut DigestServer,
    hop: &Hop,
    request: &Request,
) -> Verdict {
    let registers = *request.method() == sip::Method::Register;
    let (status, ask, carry) = if registers {
        (StatusCode::UNAUTHORIZED, HeaderName::WwwAuthenticate, HeaderName::Authorization)
    } else {
        (
            StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            HeaderName::ProxyAuthenticate,
            HeaderName::ProxyAuthorization,
        )
    };
    let directory = core.directory.clone();
    let encrypted = hop.transport.is_encrypted();
    let credentials = digest.credentials(request, &carry);
    if credentials.is_err()
        && !registers
        // A page of anybody's makes a browser inside the trusted network connect: its address proves nothing.
        && !hop.transport.is_inbound_only()
        && let Some(account) = directory.by_address(hop.remote.ip()).filter(|account| account.enabled)
    {
        return Verdict::Account(account.id.clone());
    }
    let claimed = match &credentials {
        Ok(credentials) => Some(credentials.username.clone()),
        Err(_) => request.from().ok().and_then(|from| from.uri.user().map(|user| user.into_owned())),
    };
    let account = claimed.and_then(|user| directory.by_user(&user)).filter(|account| account.enabled);
    let offered = algorithms(account, encrypted);
    let mut stale = false;
    if let Ok(credentials) = &credentials {
        let secret = account.map(secret);
        let now_ms = core.wall.0;
        match (digest.verify(now_ms, request, credentials, secret.as_ref(), Some(&offered)), account) {
            (Ok(()), Some(account)) => return Verdict::Account(account.id.clone()),
            (Ok(()), None) => {}
            (Err(error), _) => {
                stale = error.is_stale();
                if error == AuthError::Wrong {
                    core.counters.unauthenticated += 1;
                }
            }
        }
    }
    core.counters.challenged += 1;
    let mut response = core.response(request, status);
    for challenge in digest.challenge(core.wall.0, stale, Some(&offered)) {
        response.headers.push(ask.clone(), &challenge.to_string());
    }
    Verdict::Answer(response)
}

/// What is offered: SHA-256, and MD5 only inside TLS, or as the account says
/// (`adr/0004-digest-algorithms-are-an-ordered-list.md`).
fn algorithms(account: Option<&Account>, encrypted: bool) -> Vec<Algorithm> {
    let known: Vec<_> = account.map_or_else(Vec::new, |account| {
        let usable = |a: &DigestAlgorithm| *a != DigestAlgorithm::Md5 || encrypted || account.md5_in_clear;
        account.secrets.iter().map(|secret| secret.algorithm).filter(usable).map(algorithm).collect()
    });
    match (known.is_empty(), encrypted) {
        (false, _) => known,
        (true, true) => vec![Algorithm::Sha256, Algorithm::Md5],
        (true, false) => vec![Algorithm::Sha256],
    }
}

fn secret(account: &Account) -> Secret {
    let of = |wanted: DigestAlgorithm| {
        account.secrets.iter().find(|secret| secret.algorithm == wanted).map(|secret| secret.ha1.clone())
    };
    Secret::Ha1 { md5: of(DigestAlgorithm::Md5), sha256: of(DigestAlgorithm::Sha256) }
}

fn algorithm(configured: DigestAlgorithm) -> Algorithm {
    match configured {
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Md5 => Algorithm::Md5,
    }
}

/// Remembers a carrier's challenge; false if there is nothing to answer it with.
pub(crate) fn take_challenge(
    core: &Core,
    trunk: &Option<TrunkId>,
    digest: &mut Option<DigestClient>,
    response: &Response,
) -> bool {
    let credentials =
        trunk.as_ref().and_then(|id| core.directory.trunk(id)).and_then(|trunk| trunk.credentials.as_ref());
    let Some(credentials) = credentials else { return false };
    digest
        .get_or_insert_with(|| DigestClient::new(&credentials.user, &credentials.password))
        .take_challenge(response, false)
        .is_ok()
}

/// Puts the answer to the last challenge into `request`.
pub(crate) fn authorize(core: &mut Core, digest: &mut Option<DigestClient>, request: &mut Request) {
    if let Some(digest) = digest {
        digest.authorize(request, &mut core.rng);
    }
}
