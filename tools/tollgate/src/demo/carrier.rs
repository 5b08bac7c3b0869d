//! The demo's carrier: takes a connection, rings, answers, talks in secret, and is hung up on.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sip::message::{HeaderName, Method, Request, Response, StatusCode};
use sip::transaction::Event;

use super::agent::Agent;
use super::audio::{Audio, Tally, Voice, far_end};
use super::link::Link;
use super::secret::Described;

/// A carrier that takes one call, over TLS with SRTP.
pub(super) struct Carrier {
    listener: TcpListener,
    address: SocketAddr,
    certified: CertifiedKey<KeyPair>,
    seed: u64,
    audio: Audio,
}

/// The name in its certificate.
pub(super) const DOMAIN: &str = "carrier.example";
/// How long it rings.
const RINGING: Duration = Duration::from_millis(400);

impl Carrier {
    pub(super) fn open(ip: IpAddr, seed: u64) -> anyhow::Result<Carrier> {
        let listener = TcpListener::bind((ip, 0)).context("a port for the carrier's SIP")?;
        Ok(Carrier {
            address: listener.local_addr()?,
            listener,
            certified: rcgen::generate_simple_self_signed(vec![DOMAIN.to_owned()])?,
            seed,
            audio: Audio::open(ip)?,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn certificate_pem(&self) -> String {
        self.certified.cert.pem()
    }

    /// Takes one call, says `own`, and answers the BYE.
    pub(super) fn take_call(self, own: &Voice, theirs: &Voice, deadline: Instant) -> anyhow::Result<Tally> {
        let key = PrivatePkcs8KeyDer::from(self.certified.signing_key.serialize_der()).into();
        let link = Link::accept(&self.listener, self.certified.cert.into(), key, deadline)?;
        let agent = &mut Agent::new(link, self.seed)?;
        let (key, invite) = agent.expect("the carrier's INVITE", deadline, |agent, event| {
            let Event::Request { key, request, .. } = event else { return Ok(None) };
            if *request.method() == Method::Invite {
                return Ok(Some((key, request)));
            }
            agent.transactions.respond(
                Instant::now(),
                key,
                Response::to(&request, StatusCode::METHOD_NOT_ALLOWED),
            );
            Ok(None)
        })?;
        let tag = agent.transactions.new_tag();
        let answer = |status| answer(&invite, status, &tag, agent.address);
        let (ringing, mut ok) = (answer(StatusCode::RINGING), answer(StatusCode::OK));
        agent.transactions.respond(Instant::now(), key, ringing);
        // Nothing can come but a CANCEL, which the demo never sends: this is how long a person takes to pick up.
        let _nothing = agent.next(Instant::now() + RINGING)?;
        let remote = far_end(invite.body())?;
        let mut own_sdp = self.audio.describe()?;
        let mut random = StdRng::try_from_rng(&mut rand::rngs::SysRng)?;
        let mut srtp = Described::new(&mut random).answer(invite.body(), &mut own_sdp)?;
        ok.set_body("application/sdp", Bytes::from(own_sdp.to_bytes()));
        agent.transactions.respond(Instant::now(), key, ok);
        agent.expect("the carrier's ACK", deadline, |_, event| {
            Ok(matches!(event, Event::Ack { .. }).then_some(()))
        })?;
        // The phone is still shaking hands with the provider.
        self.audio.await_voice(deadline)?;
        let tally = self.audio.talk(remote, &mut srtp, own, theirs)?;
        agent.expect("the carrier's BYE", deadline, |agent, event| {
            let Event::Request { key, request, .. } = event else { return Ok(None) };
            agent.transactions.respond(Instant::now(), key, Response::to(&request, StatusCode::OK));
            Ok((*request.method() == Method::Bye).then_some(()))
        })?;
        // Once more round, so that the 200 leaves.
        let _nothing = agent.next(Instant::now())?;
        Ok(tally)
    }
}

fn answer(invite: &Request, status: StatusCode, tag: &str, address: SocketAddr) -> Response {
    Response::to(invite, status)
        .with_to_tag(tag)
        .with_header(HeaderName::Contact, &format!("<sip:carrier@{address};transport=tls>"))
}
