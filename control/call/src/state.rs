//! The states of a call and the only ways between them.

use Event::*;
use State::*;

/// How far a call has come, in the order of a call that succeeds, then the ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The INVITE was accepted for treatment.
    Idle,
    /// The store decides about the hold.
    Authorizing,
    /// The engine opens ports for the called side.
    Offering,
    /// The attempt becomes durable.
    Recording,
    /// An INVITE is out.
    Dialling,
    /// A 18x arrived.
    Ringing,
    /// The 200 arrived; the engine gets its SDP.
    Answering,
    /// The answer becomes durable.
    Committing,
    /// Both sides know.
    Talking,
    /// A call of an earlier process waits for its engine.
    Resuming,
    /// BYE, CANCEL and the engine's last counters are under way.
    Releasing,
    /// The record becomes durable.
    Settling,
    /// Nothing is owed to anybody but, perhaps, a BYE to an unreachable phone.
    Done,
}

/// What moves a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A paid call asks for its hold.
    Authorize,
    /// A call between phones, or the hold stands.
    Offer,
    /// The engine answered, or is not needed before the 200 (delayed offer).
    Record,
    /// The INVITE goes out.
    Dial,
    /// A 18x arrived.
    Ring,
    /// The carrier wants a digest, or is the next of the list.
    Again,
    /// A 200 arrived.
    Answer,
    /// The answer is to become durable.
    Commit,
    /// It is.
    Talk,
    /// A journal row says that the call was answered.
    Resume,
    /// The end, from anybody.
    Release,
    /// Everything that is charged is known.
    Settle,
    /// The store has it.
    Finish,
}

/// Every allowed step.
const TABLE: &[(Event, &[State], State)] = &[
    (Authorize, &[Idle], Authorizing),
    (Offer, &[Idle, Authorizing], Offering),
    (Record, &[Offering], Recording),
    (Dial, &[Recording], Dialling),
    (Ring, &[Dialling, Ringing], Ringing),
    (Again, &[Offering, Recording, Dialling, Ringing], Offering),
    (Answer, &[Dialling, Ringing], Answering),
    (Commit, &[Answering], Committing),
    (Talk, &[Committing, Resuming], Talking),
    (Resume, &[Idle], Resuming),
    (
        Release,
        &[
            Idle,
            Authorizing,
            Offering,
            Recording,
            Dialling,
            Ringing,
            Answering,
            Committing,
            Talking,
            Resuming,
        ],
        Releasing,
    ),
    (Settle, &[Releasing], Settling),
    (Finish, &[Settling], Done),
];

impl State {
    /// The state after `event`; none where the event means nothing here.
    pub(crate) fn after(self, event: Event) -> Option<Self> {
        let (_, _, to) = TABLE.iter().find(|(e, from, _)| *e == event && from.contains(&self))?;
        Some(*to)
    }

    /// The end has begun.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Releasing | Settling | Done)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn call_state_table() {
        let mut text = String::new();
        for (event, from, to) in TABLE {
            writeln!(text, "{event:?}: {from:?} => {to:?}").expect("a string grows");
        }
        assert_eq!(
            text,
            "Authorize: [Idle] => Authorizing\n\
             Offer: [Idle, Authorizing] => Offering\n\
             Record: [Offering] => Recording\n\
             Dial: [Recording] => Dialling\n\
             Ring: [Dialling, Ringing] => Ringing\n\
             Again: [Offering, Recording, Dialling, Ringing] => Offering\n\
             Answer: [Dialling, Ringing] => Answering\n\
             Commit: [Answering] => Committing\n\
             Talk: [Committing, Resuming] => Talking\n\
             Resume: [Idle] => Resuming\n\
             Release: [Idle, Authorizing, Offering, Recording, Dialling, Ringing, Answering, Committing, \
             Talking, Resuming] => Releasing\n\
             Settle: [Releasing] => Settling\n\
             Finish: [Settling] => Done\n"
        );
    }

    #[test]
    fn a_call_that_is_over_is_not_released_again() {
        for state in [Releasing, Settling, Done] {
            assert_eq!(state.after(Release), None);
        }
    }
}
