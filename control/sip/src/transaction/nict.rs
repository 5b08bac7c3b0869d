//! Non-INVITE client transaction ([RFC 3261 §17.1.2], figure 6).
//!
//! [RFC 3261 §17.1.2]: https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2

use super::machine::{Action, Step, Timer};
use Action::{Backoff, InformTimeout, InformTransport, PassResponse, ResendRequest, SlowDown, Start, Stop};

/// States in the order a request meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Response1xx,
    ResponseFinal,
    TimerE,
    TimerF,
    TimerK,
    TransportError,
}

/// What is started with the transaction.
pub(crate) const fn start(reliable: bool) -> &'static [Action] {
    if reliable { &[Start(Timer::F)] } else { &[Start(Timer::E), Start(Timer::F)] }
}

/// The next state and actions; `None` where the event means nothing.
pub(crate) const fn step(state: State, event: Event, reliable: bool) -> Step<State> {
    use Event as E;
    use State as S;
    let step: (State, &'static [Action]) = match (state, event) {
        (S::Trying, E::TimerE) => (S::Trying, &[ResendRequest, Backoff(Timer::E)]),
        (S::Proceeding, E::TimerE) => (S::Proceeding, &[ResendRequest, SlowDown(Timer::E)]),
        (S::Trying | S::Proceeding, E::TimerF) => (S::Terminated, &[InformTimeout]),
        (S::Trying | S::Proceeding, E::TransportError) => (S::Terminated, &[InformTransport]),
        (S::Trying | S::Proceeding, E::Response1xx) => (S::Proceeding, &[PassResponse]),
        // Timer K is zero over a reliable transport.
        (S::Trying | S::Proceeding, E::ResponseFinal) if reliable => (S::Terminated, &[PassResponse]),
        (S::Trying | S::Proceeding, E::ResponseFinal) => {
            (S::Completed, &[Stop(Timer::E), Stop(Timer::F), PassResponse, Start(Timer::K)])
        }
        // A retransmitted final response: absorbed.
        (S::Completed, E::ResponseFinal) => (S::Completed, &[]),
        (S::Completed, E::TimerK) => (S::Terminated, &[]),
        _ => return None,
    };
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::machine::print_table;

    #[test]
    fn non_invite_client_transaction_table() {
        let states = [State::Trying, State::Proceeding, State::Completed, State::Terminated];
        let events = [
            Event::Response1xx,
            Event::ResponseFinal,
            Event::TimerE,
            Event::TimerF,
            Event::TimerK,
            Event::TransportError,
        ];
        let expected = "\
Trying --Response1xx--> Proceeding: PassResponse
Trying --ResponseFinal--> Completed: Stop(E) Stop(F) PassResponse Start(K) [unreliable]
Trying --ResponseFinal--> Terminated: PassResponse [reliable]
Trying --TimerE--> Trying: ResendRequest Backoff(E)
Trying --TimerF--> Terminated: InformTimeout
Trying --TransportError--> Terminated: InformTransport
Proceeding --Response1xx--> Proceeding: PassResponse
Proceeding --ResponseFinal--> Completed: Stop(E) Stop(F) PassResponse Start(K) [unreliable]
Proceeding --ResponseFinal--> Terminated: PassResponse [reliable]
Proceeding --TimerE--> Proceeding: ResendRequest SlowDown(E)
Proceeding --TimerF--> Terminated: InformTimeout
Proceeding --TransportError--> Terminated: InformTransport
Completed --ResponseFinal--> Completed
Completed --TimerK--> Terminated
";
        assert_eq!(print_table(&states, &events, step), expected);
    }
}
