//! Challenges and credentials read from headers; no input is taken for a proof of the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::auth::{Challenge, Credentials, DigestConfig, DigestServer, Secret};
use sip::message::{HeaderName, Method, Request, Uri};

fuzz_target!(|data: &[u8]| {
    // A header's value reaches the parsers unfolded: no line ends are left in it.
    let text = String::from_utf8_lossy(data).replace(['\r', '\n'], " ");
    if let Ok(challenge) = Challenge::parse(&text) {
        let written = challenge.to_string();
        let again = Challenge::parse(&written).expect("what is written can be read");
        assert_eq!(
            (again.realm, again.nonce, again.stale),
            (challenge.realm, challenge.nonce, challenge.stale)
        );
    }
    let uri: Uri = "sip:example.net".parse().expect("a URI");
    let mut request = Request::new(Method::Register, uri);
    request.headers.push(HeaderName::Authorization, &text);
    let mut server = DigestServer::new(DigestConfig::new("example.net"), [7; 32]);
    let _ = server.challenge(1_000, false, None);
    let secret = Secret::Password("secret".to_owned());
    if let Ok(credentials) = Credentials::parse(&text) {
        let _ = (credentials.nonce_count(), credentials.to_string());
        assert!(server.verify(1_000, &request, &credentials, Some(&secret), None).is_err());
        assert!(server.verify(1_000, &request, &credentials, None, None).is_err());
    }
    let _ = server.credentials(&request, &HeaderName::Authorization);
});
