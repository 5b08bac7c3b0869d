//! One client transaction: its request, its state, and the ACK and CANCEL made from it.

use std::time::Duration;

use bytes::Bytes;

use super::clock::Armed;
use super::machine::{Action, Timer};
use super::{ict, nict};
use crate::hop::Hop;
use crate::message::{CSeq, HeaderName, Method, Request, Response, TypedHeader, Via};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) state: State,
    pub(super) request: Request,
    pub(super) bytes: Bytes,
    pub(super) hop: Hop,
    pub(super) branch: String,
    pub(super) ack: Option<Bytes>,
    pub(super) armed: Armed,
    pub(super) interval: Duration,
    /// A CANCEL that waits for the first provisional response (§9.1).
    pub(super) cancel: Option<Request>,
    pub(super) cancelled: bool,
    /// Its events are nobody's: the CANCEL requests of the layer.
    pub(super) silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Invite(ict::State),
    Other(nict::State),
}

/// What happened to a client transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    Provisional,
    Success,
    Failure,
    Timer(Timer),
    TransportError,
}

impl State {
    pub(super) fn step(self, input: Input, reliable: bool) -> Option<(Self, &'static [Action])> {
        match self {
            Self::Invite(state) => {
                let event = match input {
                    Input::Provisional => ict::Event::Response1xx,
                    Input::Success => ict::Event::Response2xx,
                    Input::Failure => ict::Event::Response3xxTo6xx,
                    Input::TransportError => ict::Event::TransportError,
                    Input::Timer(Timer::A) => ict::Event::TimerA,
                    Input::Timer(Timer::B) => ict::Event::TimerB,
                    Input::Timer(Timer::D) => ict::Event::TimerD,
                    Input::Timer(Timer::M) => ict::Event::TimerM,
                    Input::Timer(Timer::Cancel) => ict::Event::CancelExpired,
                    Input::Timer(_) => return None,
                };
                let (state, actions) = ict::step(state, event, reliable)?;
                Some((Self::Invite(state), actions))
            }
            Self::Other(state) => {
                let event = match input {
                    Input::Provisional => nict::Event::Response1xx,
                    Input::Success | Input::Failure => nict::Event::ResponseFinal,
                    Input::TransportError => nict::Event::TransportError,
                    Input::Timer(Timer::E) => nict::Event::TimerE,
                    Input::Timer(Timer::F) => nict::Event::TimerF,
                    Input::Timer(Timer::K) => nict::Event::TimerK,
                    Input::Timer(_) => return None,
                };
                let (state, actions) = nict::step(state, event, reliable)?;
                Some((Self::Other(state), actions))
            }
        }
    }

    pub(super) fn is_terminated(self) -> bool {
        matches!(self, Self::Invite(ict::State::Terminated) | Self::Other(nict::State::Terminated))
    }
}

impl Client {
    /// The ACK of a non-2xx final response (§17.1.1.3).
    pub(super) fn ack_for(&self, response: &Response) -> Bytes {
        let mut ack = self.derived(Method::Ack);
        ack.headers.copy(&response.headers, &HeaderName::To);
        ack.to_bytes()
    }

    /// The CANCEL of this request (§9.1).
    pub(super) fn cancel_request(&self, extra: &[(HeaderName, String)]) -> Request {
        let mut cancel = self.derived(Method::Cancel);
        cancel.headers.copy(&self.request.headers, &HeaderName::To);
        for (name, value) in extra {
            cancel.headers.push(name.clone(), value);
        }
        cancel
    }

    /// A request of the same transaction: one Via, same target, From, Call-ID, number, Route.
    fn derived(&self, method: Method) -> Request {
        let number = self.request.cseq().map_or(0, |cseq| cseq.number);
        let mut derived = Request::new(method.clone(), self.request.uri().clone());
        if let Ok(via) = self.request.headers.typed::<Via>() {
            derived.headers.push(Via::NAME, &via.to_string());
        }
        derived.headers.push(HeaderName::MaxForwards, "70");
        derived.headers.copy(&self.request.headers, &HeaderName::From);
        derived.headers.copy(&self.request.headers, &HeaderName::CallId);
        derived.headers.push_typed(&CSeq { number, method });
        derived.headers.copy(&self.request.headers, &HeaderName::Route);
        derived
    }
}
