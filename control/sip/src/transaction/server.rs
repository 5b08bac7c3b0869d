//! One server transaction, and how requests are matched to it ([RFC 3261 §17.2.3]).
//!
//! [RFC 3261 §17.2.3]: https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::clock::Armed;
use super::machine::{Action, Timer};
use super::{ist, nist};
use crate::hop::Hop;
use crate::message::{Method, Request, Via};

#[derive(Debug)]
pub(super) struct Server {
    pub(super) state: State,
    pub(super) id: ServerId,
    pub(super) merge: Option<MergeId>,
    pub(super) request: Request,
    /// Where responses go.
    pub(super) hop: Hop,
    pub(super) source: IpAddr,
    pub(super) last_response: Option<Bytes>,
    /// The To tag of the responses so far, or the one the layer would take.
    pub(super) to_tag: String,
    pub(super) armed: Armed,
    pub(super) interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Invite(ist::State),
    Other(nist::State),
}

/// What happened to a server transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    RequestAgain,
    Ack,
    RespondProvisional,
    RespondSuccess,
    RespondFailure,
    Timer(Timer),
    TransportError,
}

impl State {
    pub(super) fn step(self, input: Input, reliable: bool) -> Option<(Self, &'static [Action])> {
        match self {
            Self::Invite(state) => {
                let event = match input {
                    Input::RequestAgain => ist::Event::InviteAgain,
                    Input::Ack => ist::Event::Ack,
                    Input::RespondProvisional => ist::Event::Respond1xx,
                    Input::RespondSuccess => ist::Event::Respond2xx,
                    Input::RespondFailure => ist::Event::Respond3xxTo6xx,
                    Input::TransportError => ist::Event::TransportError,
                    Input::Timer(Timer::Trying) => ist::Event::TimerTrying,
                    Input::Timer(Timer::G) => ist::Event::TimerG,
                    Input::Timer(Timer::H) => ist::Event::TimerH,
                    Input::Timer(Timer::I) => ist::Event::TimerI,
                    Input::Timer(Timer::L) => ist::Event::TimerL,
                    Input::Timer(_) => return None,
                };
                let (state, actions) = ist::step(state, event, reliable)?;
                Some((Self::Invite(state), actions))
            }
            Self::Other(state) => {
                let event = match input {
                    Input::RequestAgain => nist::Event::RequestAgain,
                    Input::RespondSuccess | Input::RespondFailure => nist::Event::RespondFinal,
                    Input::TransportError => nist::Event::TransportError,
                    Input::Timer(Timer::Trying) => nist::Event::TimerTrying,
                    Input::Timer(Timer::F) => nist::Event::TimerF,
                    Input::Timer(Timer::J) => nist::Event::TimerJ,
                    Input::Ack | Input::RespondProvisional | Input::Timer(_) => return None,
                };
                let (state, actions) = nist::step(state, event, reliable)?;
                Some((Self::Other(state), actions))
            }
        }
    }

    pub(super) fn is_terminated(self) -> bool {
        matches!(self, Self::Invite(ist::State::Terminated) | Self::Other(nist::State::Terminated))
    }
}

/// What makes two requests the same transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerId {
    /// Branch and sent-by, or for RFC 2543 clients the fields that stood for them.
    text: String,
    /// The method; ACK counts as INVITE.
    method: Method,
}

impl ServerId {
    pub(super) fn of(request: &Request, via: &Via) -> Self {
        let method = match request.method() {
            Method::Ack => Method::Invite,
            method => method.clone(),
        };
        let sent_by = via.sent_by.to_string().to_ascii_lowercase();
        let text = match via.unique_branch() {
            Some(branch) => format!("{} {sent_by}", branch.to_ascii_lowercase()),
            // RFC 2543 clients: close to §17.2.3, without the To tag and the
            // Request-URI, which differ between an INVITE and its ACK or are equal anyway.
            None => format!(
                "\0{} {} {} {sent_by} {}",
                request.call_id(),
                request.from_tag().unwrap_or_default(),
                request.cseq().map_or(0, |cseq| cseq.number),
                via.branch().unwrap_or_default(),
            ),
        };
        Self { text, method }
    }

    /// The INVITE transaction a CANCEL with this id is about.
    pub(super) fn invite(&self) -> Self {
        Self { text: self.text.clone(), method: Method::Invite }
    }
}

/// What makes two requests of different transactions the same request (§8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MergeId {
    call_id: String,
    from_tag: String,
    number: u32,
    method: Method,
}

impl MergeId {
    /// `None` for a request inside a dialog, which cannot have been forked.
    pub(super) fn of(request: &Request) -> Option<Self> {
        if request.to_tag().is_some() || matches!(request.method(), Method::Ack | Method::Cancel) {
            return None;
        }
        Some(Self {
            call_id: request.call_id().into_owned(),
            from_tag: request.from_tag().unwrap_or_default(),
            number: request.cseq().ok()?.number,
            method: request.method().clone(),
        })
    }
}
