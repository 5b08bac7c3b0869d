//! INVITE client transaction ([RFC 3261 §17.1.1], figure 5, with the Accepted state of RFC 6026 §8.4).
//!
//! [RFC 3261 §17.1.1]: https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1

use super::machine::{Action, Step, Timer};
use Action::{Backoff, InformTimeout, InformTransport, PassResponse, ResendRequest, SendAck, Start, Stop};

/// States in the order a call meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Response1xx,
    Response2xx,
    Response3xxTo6xx,
    TimerA,
    TimerB,
    TimerD,
    TimerM,
    CancelExpired,
    TransportError,
}

/// What is started with the transaction.
pub(crate) const fn start(reliable: bool) -> &'static [Action] {
    if reliable { &[Start(Timer::B)] } else { &[Start(Timer::A), Start(Timer::B)] }
}

/// The next state and actions; `None` where the event means nothing.
pub(crate) const fn step(state: State, event: Event, reliable: bool) -> Step<State> {
    use Event as E;
    use State as S;
    const FINAL: &[Action] =
        &[Stop(Timer::A), Stop(Timer::B), Stop(Timer::Cancel), SendAck, PassResponse, Start(Timer::D)];
    const FINAL_RELIABLE: &[Action] = &[SendAck, PassResponse];
    const SUCCESS: &[Action] =
        &[Stop(Timer::A), Stop(Timer::B), Stop(Timer::Cancel), PassResponse, Start(Timer::M)];
    let step: (State, &'static [Action]) = match (state, event) {
        (S::Calling, E::TimerA) => (S::Calling, &[ResendRequest, Backoff(Timer::A)]),
        (S::Calling, E::TimerB) => (S::Terminated, &[InformTimeout]),
        (S::Calling, E::TransportError) => (S::Terminated, &[InformTransport]),
        (S::Calling, E::Response1xx) => (S::Proceeding, &[Stop(Timer::A), Stop(Timer::B), PassResponse]),
        (S::Proceeding, E::Response1xx) => (S::Proceeding, &[PassResponse]),
        (S::Proceeding, E::CancelExpired) => (S::Terminated, &[InformTimeout]),
        (S::Calling | S::Proceeding, E::Response2xx) => (S::Accepted, SUCCESS),
        // Timer D is zero over a reliable transport.
        (S::Calling | S::Proceeding, E::Response3xxTo6xx) if reliable => (S::Terminated, FINAL_RELIABLE),
        (S::Calling | S::Proceeding, E::Response3xxTo6xx) => (S::Completed, FINAL),
        (S::Completed, E::Response3xxTo6xx) => (S::Completed, &[SendAck]),
        (S::Completed, E::TransportError) => (S::Terminated, &[InformTransport]),
        (S::Completed, E::TimerD) => (S::Terminated, &[]),
        (S::Accepted, E::Response2xx) => (S::Accepted, &[PassResponse]),
        (S::Accepted, E::TimerM) => (S::Terminated, &[]),
        _ => return None,
    };
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::machine::print_table;

    #[test]
    fn invite_client_transaction_table() {
        let states =
            [State::Calling, State::Proceeding, State::Completed, State::Accepted, State::Terminated];
        let events = [
            Event::Response1xx,
            Event::Response2xx,
            Event::Response3xxTo6xx,
            Event::TimerA,
            Event::TimerB,
            Event::TimerD,
            Event::TimerM,
            Event::CancelExpired,
            Event::TransportError,
        ];
        let expected = "\
Calling --Response1xx--> Proceeding: Stop(A) Stop(B) PassResponse
Calling --Response2xx--> Accepted: Stop(A) Stop(B) Stop(Cancel) PassResponse Start(M)
Calling --Response3xxTo6xx--> Completed: Stop(A) Stop(B) Stop(Cancel) SendAck PassResponse Start(D) [unreliable]
Calling --Response3xxTo6xx--> Terminated: SendAck PassResponse [reliable]
Calling --TimerA--> Calling: ResendRequest Backoff(A)
Calling --TimerB--> Terminated: InformTimeout
Calling --TransportError--> Terminated: InformTransport
Proceeding --Response1xx--> Proceeding: PassResponse
Proceeding --Response2xx--> Accepted: Stop(A) Stop(B) Stop(Cancel) PassResponse Start(M)
Proceeding --Response3xxTo6xx--> Completed: Stop(A) Stop(B) Stop(Cancel) SendAck PassResponse Start(D) [unreliable]
Proceeding --Response3xxTo6xx--> Terminated: SendAck PassResponse [reliable]
Proceeding --CancelExpired--> Terminated: InformTimeout
Completed --Response3xxTo6xx--> Completed: SendAck
Completed --TimerD--> Terminated
Completed --TransportError--> Terminated: InformTransport
Accepted --Response2xx--> Accepted: PassResponse
Accepted --TimerM--> Terminated
";
        assert_eq!(print_table(&states, &events, step), expected);
    }
}
