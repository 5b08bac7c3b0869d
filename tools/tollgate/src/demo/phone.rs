//! The demo's phone: registers, calls, shakes hands, talks, hangs up.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sip::Hop;
use sip::auth::DigestClient;
use sip::dialog::Dialog;
use sip::message::{CSeq, HeaderName, Method, Request, Response, StatusCode, Uri};
use sip::transaction::Event;

use super::agent::Agent;
use super::audio::{Audio, Tally, Voice, far_end};
use super::link::Link;
use super::provider::{ACCOUNT, DOMAIN, PASSWORD};
use super::secret::Handshake;

/// A phone of the demo's account.
pub(super) struct Phone {
    agent: Agent,
    audio: Audio,
    handshake: Handshake,
    hop: Hop,
    digest: DigestClient,
    random: StdRng,
    requests_count: u32,
}

/// A call that was answered.
pub(super) struct Call<'a> {
    phone: &'a mut Phone,
    dialog: Dialog,
    /// The description of the far end.
    answer: Bytes,
}

impl Phone {
    /// A phone behind `link`.
    pub(super) fn new(link: Link, seed: u64) -> anyhow::Result<Phone> {
        let agent = Agent::new(link, seed)?;
        let hop = agent.link.hop()?;
        Ok(Phone {
            audio: Audio::open(agent.address.ip())?,
            handshake: Handshake::new()?,
            agent,
            hop,
            digest: DigestClient::new(ACCOUNT, PASSWORD),
            random: StdRng::try_from_rng(&mut rand::rngs::SysRng)?,
            requests_count: 0,
        })
    }

    pub(super) fn register(&mut self, deadline: Instant) -> anyhow::Result<()> {
        let mut request = self.request(Method::Register, &format!("sip:{DOMAIN}"), ACCOUNT)?;
        request.headers.push(HeaderName::Expires, "60");
        let (_, response) = self.ask(request, deadline, &|_| {})?;
        ensure!(
            response.status() == StatusCode::OK,
            "REGISTER is answered {} {}",
            response.status(),
            response.reason()
        );
        Ok(())
    }

    /// Calls `number` and waits until it is answered.
    pub(super) fn call(
        &mut self,
        number: &str,
        deadline: Instant,
        say: &dyn Fn(&str),
    ) -> anyhow::Result<Call<'_>> {
        let mut invite = self.request(Method::Invite, &format!("sip:{number}@{DOMAIN}"), number)?;
        let mut offer = self.audio.describe()?;
        self.handshake.offer(&mut offer)?;
        invite.set_body("application/sdp", Bytes::from(offer.to_bytes()));
        say(&format!("phone     calls {number}"));
        let heard = |status: StatusCode| say(&format!("phone     hears {} {}", status, status.reason()));
        let (invite, response) = self.ask(invite, deadline, &heard)?;
        heard(response.status());
        ensure!(
            response.status() == StatusCode::OK,
            "the call is refused: {} {}",
            response.status(),
            response.reason()
        );
        let mut dialog = Dialog::uac(&invite, &response)?;
        dialog.confirm();
        let ack = dialog.ack(dialog.local_cseq);
        self.agent.transactions.send_ack(ack, self.hop.clone());
        Ok(Call { phone: self, dialog, answer: response.body().clone() })
    }

    /// Sends a request, once more with credentials if it is challenged, and returns it with its final response.
    fn ask(
        &mut self,
        request: Request,
        deadline: Instant,
        heard: &dyn Fn(StatusCode),
    ) -> anyhow::Result<(Request, Response)> {
        let response = self.await_final(request.clone(), deadline, heard)?;
        if !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        {
            return Ok((request, response));
        }
        let mut again = request;
        self.digest.take_challenge(&response, false).context("the challenge")?;
        self.digest.authorize(&mut again, &mut self.random);
        let method = again.method().clone();
        let number = again.cseq()?.number + 1;
        again.headers.set_typed(&CSeq { number, method });
        let response = self.await_final(again.clone(), deadline, heard)?;
        Ok((again, response))
    }

    fn await_final(
        &mut self,
        request: Request,
        deadline: Instant,
        heard: &dyn Fn(StatusCode),
    ) -> anyhow::Result<Response> {
        let what = format!("an answer to {}", request.method());
        let sent = self.agent.transactions.send_request(Instant::now(), request, self.hop.clone());
        self.agent.expect(&what, deadline, |_, event| match event {
            Event::Response { key, response } if key == sent => {
                if response.status().is_final() {
                    return Ok(Some(response));
                }
                if response.status() != StatusCode::TRYING {
                    heard(response.status());
                }
                Ok(None)
            }
            Event::Timeout { key } | Event::TransportError { key } if key == sent => {
                bail!("{what} does not come")
            }
            _ => Ok(None),
        })
    }

    /// A request outside any dialog.
    fn request(&mut self, method: Method, uri: &str, to: &str) -> anyhow::Result<Request> {
        self.requests_count += 1;
        let tag = self.agent.transactions.new_tag();
        let call_id = self.agent.transactions.new_tag();
        let uri: Uri = uri.parse()?;
        let mut request = Request::new(method.clone(), uri);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, &format!("<sip:{ACCOUNT}@{DOMAIN}>;tag={tag}"));
        headers.push(HeaderName::To, &format!("<sip:{to}@{DOMAIN}>"));
        headers.push(HeaderName::CallId, &call_id);
        headers.push_typed(&CSeq { number: self.requests_count, method });
        headers.push(HeaderName::Contact, &format!("<sip:{ACCOUNT}@{};transport=tls>", self.agent.address));
        Ok(request)
    }
}

impl Call<'_> {
    /// Talks, and hangs up.
    pub(super) fn talk(
        mut self,
        own: &Voice,
        theirs: &Voice,
        deadline: Instant,
        say: &dyn Fn(&str),
    ) -> anyhow::Result<Tally> {
        // The ACK has to leave before anything is said.
        let _nothing = self.phone.agent.next(Instant::now())?;
        let Phone { audio, handshake, random, .. } = &mut *self.phone;
        let mut srtp = handshake.with(&self.answer, audio, random, deadline)?;
        say("phone     has shaken hands (DTLS-SRTP), and talks");
        let tally = audio.talk(far_end(&self.answer)?, &mut srtp, own, theirs)?;
        say("phone     hangs up");
        let bye = self.dialog.request(Method::Bye);
        let response = self.phone.await_final(bye, deadline, &|_| {})?;
        ensure!(response.status() == StatusCode::OK, "BYE is answered {}", response.status());
        Ok(tally)
    }
}
