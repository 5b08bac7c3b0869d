//! Non-INVITE server transaction ([RFC 3261 §17.2.2], figure 8, with RFC 4320).
//!
//! Beyond the figure: a request the user never answers ends with the client's timer F.
//!
//! RFC 4320: no provisional but a 100, and that over an unreliable transport only
//! when the client's timer E has reached T2; no 408 at all. The layer keeps both.
//!
//! [RFC 3261 §17.2.2]: https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2

use super::machine::{Action, Step, Timer};
use Action::{InformTransport, ResendResponse, SendResponse, SendTrying, Start, Stop};

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
    RequestAgain,
    RespondFinal,
    TimerTrying,
    TimerF,
    TimerJ,
    TransportError,
}

/// What is started with the transaction.
pub(crate) const fn start() -> &'static [Action] {
    &[Start(Timer::Trying), Start(Timer::F)]
}

/// The next state and actions; `None` where the event means nothing.
pub(crate) const fn step(state: State, event: Event, reliable: bool) -> Step<State> {
    use Event as E;
    use State as S;
    let step: (State, &'static [Action]) = match (state, event) {
        // No response yet: the retransmission is absorbed.
        (S::Trying, E::RequestAgain) => (S::Trying, &[]),
        (S::Trying, E::TimerTrying) => (S::Proceeding, &[SendTrying]),
        (S::Proceeding | S::Completed, E::RequestAgain) => (state, &[ResendResponse]),
        // The client's timer F has ended: no answer would be heard any more.
        (S::Trying | S::Proceeding, E::TimerF) => (S::Terminated, &[]),
        // Timer J is zero over a reliable transport.
        (S::Trying | S::Proceeding, E::RespondFinal) if reliable => (S::Terminated, &[SendResponse]),
        (S::Trying | S::Proceeding, E::RespondFinal) => {
            (S::Completed, &[Stop(Timer::Trying), Stop(Timer::F), SendResponse, Start(Timer::J)])
        }
        (S::Completed, E::TimerJ) => (S::Terminated, &[]),
        (S::Proceeding | S::Completed, E::TransportError) => (S::Terminated, &[InformTransport]),
        _ => return None,
    };
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::machine::print_table;

    #[test]
    fn non_invite_server_transaction_table() {
        let states = [State::Trying, State::Proceeding, State::Completed, State::Terminated];
        let events = [
            Event::RequestAgain,
            Event::RespondFinal,
            Event::TimerTrying,
            Event::TimerF,
            Event::TimerJ,
            Event::TransportError,
        ];
        let expected = "\
Trying --RequestAgain--> Trying
Trying --RespondFinal--> Completed: Stop(Trying) Stop(F) SendResponse Start(J) [unreliable]
Trying --RespondFinal--> Terminated: SendResponse [reliable]
Trying --TimerTrying--> Proceeding: SendTrying
Trying --TimerF--> Terminated
Proceeding --RequestAgain--> Proceeding: ResendResponse
Proceeding --RespondFinal--> Completed: Stop(Trying) Stop(F) SendResponse Start(J) [unreliable]
Proceeding --RespondFinal--> Terminated: SendResponse [reliable]
Proceeding --TimerF--> Terminated
Proceeding --TransportError--> Terminated: InformTransport
Completed --RequestAgain--> Completed: ResendResponse
Completed --TimerJ--> Terminated
Completed --TransportError--> Terminated: InformTransport
";
        assert_eq!(print_table(&states, &events, step), expected);
    }
}
