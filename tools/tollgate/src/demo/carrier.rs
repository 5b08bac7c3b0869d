//! The demo's carrier: rings, answers, talks, and is hung up on.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip::message::{HeaderName, Method, Request, Response, StatusCode};
use sip::transaction::Event;

use super::agent::Agent;
use super::audio::{Audio, Tally, Voice, far_end};
use super::link::Link;

/// A carrier that takes one call.
pub(super) struct Carrier {
    agent: Agent,
    audio: Audio,
}

/// How long it rings.
const RINGING: Duration = Duration::from_millis(400);

impl Carrier {
    pub(super) fn open(ip: IpAddr, seed: u64) -> anyhow::Result<Carrier> {
        Ok(Carrier { agent: Agent::new(Link::datagrams(ip)?, seed)?, audio: Audio::open(ip)? })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.agent.address
    }

    /// Takes one call, says `own`, and answers the BYE.
    pub(super) fn take_call(
        mut self,
        own: &Voice,
        theirs: &Voice,
        deadline: Instant,
    ) -> anyhow::Result<Tally> {
        let agent = &mut self.agent;
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
        ok.set_body("application/sdp", self.audio.describe()?);
        agent.transactions.respond(Instant::now(), key, ok);
        agent.expect("the carrier's ACK", deadline, |_, event| {
            Ok(matches!(event, Event::Ack { .. }).then_some(()))
        })?;
        let tally = self.audio.talk(remote, own, theirs)?;
        let agent = &mut self.agent;
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
        .with_header(HeaderName::Contact, &format!("<sip:carrier@{address}>"))
}
