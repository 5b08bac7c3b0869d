//! INVITE server transaction ([RFC 3261 §17.2.1], figure 7, as changed by RFC 6026 §8.5–8.7).
//!
//! A transport error never ends this machine (RFC 6026 §7.1): the client will
//! retransmit, and a timer ends it in the end.
//!
//! [RFC 3261 §17.2.1]: https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1

use super::machine::{Action, Step, Timer};
use Action::{
    Backoff, InformNoAck, InformTransport, PassAck, ResendResponse, SendResponse, SendTrying, Start, Stop,
};

/// States in the order a call meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    InviteAgain,
    Ack,
    Respond1xx,
    Respond2xx,
    Respond3xxTo6xx,
    TimerTrying,
    TimerG,
    TimerH,
    TimerI,
    TimerL,
    TransportError,
}

/// What is started with the transaction.
pub(crate) const fn start() -> &'static [Action] {
    &[Start(Timer::Trying)]
}

/// The next state and actions; `None` where the event means nothing.
pub(crate) const fn step(state: State, event: Event, reliable: bool) -> Step<State> {
    use Event as E;
    use State as S;
    let step: (State, &'static [Action]) = match (state, event) {
        (S::Proceeding, E::InviteAgain) => (S::Proceeding, &[ResendResponse]),
        (S::Proceeding, E::TimerTrying) => (S::Proceeding, &[SendTrying]),
        (S::Proceeding, E::Respond1xx) => (S::Proceeding, &[Stop(Timer::Trying), SendResponse]),
        (S::Proceeding, E::Respond2xx) => {
            (S::Accepted, &[Stop(Timer::Trying), SendResponse, Start(Timer::L)])
        }
        // The ACK is waited for over any transport, G runs over unreliable ones.
        (S::Proceeding, E::Respond3xxTo6xx) if reliable => {
            (S::Completed, &[Stop(Timer::Trying), SendResponse, Start(Timer::H)])
        }
        (S::Proceeding, E::Respond3xxTo6xx) => {
            (S::Completed, &[Stop(Timer::Trying), SendResponse, Start(Timer::G), Start(Timer::H)])
        }
        // Retransmissions of the 2xx are the user's, so a repeated INVITE is absorbed.
        (S::Accepted, E::InviteAgain) => (S::Accepted, &[]),
        (S::Accepted, E::Respond2xx) => (S::Accepted, &[SendResponse]),
        (S::Accepted, E::Ack) => (S::Accepted, &[PassAck]),
        (S::Accepted, E::TimerL) => (S::Terminated, &[]),
        (S::Completed, E::InviteAgain) => (S::Completed, &[ResendResponse]),
        (S::Completed, E::TimerG) => (S::Completed, &[ResendResponse, Backoff(Timer::G)]),
        (S::Completed, E::TimerH) => (S::Terminated, &[InformNoAck]),
        (S::Completed, E::Ack) if reliable => (S::Terminated, &[]),
        (S::Completed, E::Ack) => (S::Confirmed, &[Stop(Timer::G), Stop(Timer::H), Start(Timer::I)]),
        (S::Confirmed, E::Ack | E::InviteAgain) => (S::Confirmed, &[]),
        (S::Confirmed, E::TimerI) => (S::Terminated, &[]),
        (S::Proceeding | S::Accepted | S::Completed, E::TransportError) => (state, &[InformTransport]),
        _ => return None,
    };
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::machine::print_table;

    #[test]
    fn invite_server_transaction_table() {
        let states =
            [State::Proceeding, State::Accepted, State::Completed, State::Confirmed, State::Terminated];
        let events = [
            Event::InviteAgain,
            Event::Ack,
            Event::Respond1xx,
            Event::Respond2xx,
            Event::Respond3xxTo6xx,
            Event::TimerTrying,
            Event::TimerG,
            Event::TimerH,
            Event::TimerI,
            Event::TimerL,
            Event::TransportError,
        ];
        let expected = "\
Proceeding --InviteAgain--> Proceeding: ResendResponse
Proceeding --Respond1xx--> Proceeding: Stop(Trying) SendResponse
Proceeding --Respond2xx--> Accepted: Stop(Trying) SendResponse Start(L)
Proceeding --Respond3xxTo6xx--> Completed: Stop(Trying) SendResponse Start(G) Start(H) [unreliable]
Proceeding --Respond3xxTo6xx--> Completed: Stop(Trying) SendResponse Start(H) [reliable]
Proceeding --TimerTrying--> Proceeding: SendTrying
Proceeding --TransportError--> Proceeding: InformTransport
Accepted --InviteAgain--> Accepted
Accepted --Ack--> Accepted: PassAck
Accepted --Respond2xx--> Accepted: SendResponse
Accepted --TimerL--> Terminated
Accepted --TransportError--> Accepted: InformTransport
Completed --InviteAgain--> Completed: ResendResponse
Completed --Ack--> Confirmed: Stop(G) Stop(H) Start(I) [unreliable]
Completed --Ack--> Terminated [reliable]
Completed --TimerG--> Completed: ResendResponse Backoff(G)
Completed --TimerH--> Terminated: InformNoAck
Completed --TransportError--> Completed: InformTransport
Confirmed --InviteAgain--> Confirmed
Confirmed --Ack--> Confirmed
Confirmed --TimerI--> Terminated
";
        assert_eq!(print_table(&states, &events, step), expected);
    }
}
