//! What a simulation needs of our inside: faults on demand, and which ways were gone.
//!
//! Without the feature `sim` nothing but the names is left: no state, no branch. With it the state is
//! of the thread, so that simulations on several threads do not meet.

/// Where a fault can be asked for: in the midst of the work that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A datagram whose socket is known.
    Datagram,
    /// A command, after its call was found.
    Command,
    /// An offer or answer whose call was made, before it asks for sockets.
    Prepare,
    /// An offer or answer whose sockets are open, half written into the call.
    Commit,
    /// A deadline that passed.
    Deadline,
    /// The final report of a call that ends.
    Report,
}

impl Fault {
    /// Every place.
    pub const ALL: [Self; 6] =
        [Self::Datagram, Self::Command, Self::Prepare, Self::Commit, Self::Deadline, Self::Report];
}

/// Declares the ways once: variant, and what a table calls it.
macro_rules! ways {
    ($($name:ident $text:literal,)*) => {
        /// A way through the machines of a call that is worth being gone by some test.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each says in `as_str` what it is")]
        pub enum Way { $($name,)* }

        impl Way {
            /// Every way.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it is.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

ways! {
    OffererNew "dialogue: offerer made",
    OffererKnown "dialogue: offerer found by tag",
    OtherByTag "dialogue: other side found by tag",
    OtherByBranch "dialogue: other side found by branch",
    OtherUntagged "dialogue: untagged other side gets its tag",
    OtherPeer "dialogue: other side is the one it talks to",
    OtherNew "dialogue: other side made",
    OtherForked "dialogue: a further party answers",
    ForkShares "dialogue: forked party shares the first one's sockets",
    Revived "dialogue: deleted party revived",
    SectionsLeftOut "dialogue: sections left out of a re-offer",
    DeleteAll "delete: everybody",
    DeleteParty "delete: one party and whom it leaves alone",
    DeleteNobody "delete: tags match nobody",
    DeleteLater "delete: after a delay",
    DeleteWhilePending "delete: parties due while sockets open",
    PeerBereft "delete: whoever is left talks to another",
    PairReused "ports: pair of the same endpoint reused",
    PairLatched "ports: pair kept by port latching",
    PairNew "ports: new pair",
    PairSurplus "ports: oldest pair given up",
    PairRetried "ports: port in use, another one",
    PairAbandoned "ports: opened after nobody wanted it",
    RolledBackCall "exchange: undone with its call",
    RolledBackExchange "exchange: undone, call stays",
    Waited "exchange: command waited for sockets",
    MediaChanged "media: section changed its transport",
    KeysAgreed "srtp: keys were agreed on",
    KeysChanged "srtp: keys were changed",
    IceAgreed "ice: checks with a party begin",
    IceRestarted "ice: begun anew",
    IceNominated "ice: an address was nominated",
    IceLost "ice: nobody answers any more",
    IceFailed "ice: no pair answers",
    SubscriberNew "subscribe: subscriber made",
    SubscriberKnown "subscribe: subscriber asks again",
    SubscribedToSeveral "subscribe: several are heard",
    SubscriptionAnswered "subscribe: answered",
    SubscribedSectionRefused "subscribe: a section is refused by the answer",
    SubscriberRemoved "subscribe: subscriber leaves",
    SubscriberUnknown "subscribe: nobody of this tag leaves",
    SubscriberBereft "subscribe: subscriber goes with whom it heard",
    PublisherNew "publish: publisher made",
    PublisherKnown "publish: publisher describes itself anew",
    ConnectedBothWays "connect: both hear each other",
    ConnectedOneWay "connect: one hears the other",
    ConnectWaited "connect: waited for a call's sockets",
    CallsMerged "connect: two calls become one",
    RecordingsMerged "connect: two recordings become one",
    OrphansOfMerge "connect: commands behind it go to the call that is left",
    AliasFound "alias: a new tag is a party that is there",
    AliasNobody "alias: a new tag is nobody's",
    GateCall "gate: of a call",
    GateParty "gate: of a party",
    GateWay "gate: of one way to somebody",
    GateWayNobody "gate: of a way that nobody hears",
    GateLifted "gate: lifted for everybody",
    LearnedMoved "learning: heard from another known address",
    LearnedStream "learning: a lone stream is the party's",
    LearnedNobody "learning: no stream was in time",
    NetworksOfCall "learning: networks that the client lists",
    NetworksOfInterface "learning: networks of the interface",
    StrictKept "learning: strict looks for nobody elsewhere",
    Reloaded "reload: other settings for calls that are there",
    PairOnGoneInterface "reload: pair asked for where its interface has gone",
    RtcpReported "reports of our own: sent to a party",
    RtcpUnreached "reports of our own: a party that is nowhere",
    TimerLease "later: a lease ran out",
    TimerRemove "later: deleted parties go",
    TimerActivity "later: is anything still alive?",
    TimerReport "later: the owner hears the counters",
    TimerWatch "later: streams are looked at",
    TimerRtcp "later: reports of our own are due",
    TimerIce "later: checks of ICE are due",
    ReportKept "report: final report kept",
    TimerHandshake "later: handshakes are repeated or given up",
    HandshakeBegun "dtls: handshake begun",
    HandshakeDone "dtls: handshake done",
    HandshakeFailed "dtls: handshake failed",
    RecordingBegun "recording: begun",
    RecordingPaused "recording: paused",
    RecordingEnded "recording: ended",
}

#[cfg(feature = "sim")]
mod state {
    use std::cell::Cell;

    use super::{Fault, Way};

    // Cells of fixed size: the packet path does not allocate in a build with this feature either.
    thread_local! {
        static ARMED: Cell<Option<Fault>> = const { Cell::new(None) };
        static SEEN: [Cell<u64>; Way::ALL.len()] = const { [const { Cell::new(0) }; Way::ALL.len()] };
    }

    /// What an asked-for panic says, so that a panic hook can be silent about it.
    pub const INJECTED: &str = "fault asked for by a simulation";

    /// Lets the next work of this kind on this thread panic; `None` takes that back.
    pub fn arm(fault: Option<Fault>) {
        ARMED.set(fault);
    }

    /// The fault that was asked for and has not happened yet.
    pub fn armed() -> Option<Fault> {
        ARMED.get()
    }

    /// The ways gone on this thread since the last call of this, and how often each.
    pub fn take_ways() -> Vec<(Way, u64)> {
        SEEN.with(|seen| Way::ALL.iter().map(|&way| (way, seen[way as usize].take())).collect())
    }

    pub(crate) fn trip(fault: Fault) {
        if ARMED.get() == Some(fault) {
            ARMED.set(None);
            std::panic::panic_any(INJECTED);
        }
    }

    pub(crate) fn seen(way: Way) {
        SEEN.with(|seen| seen[way as usize].update(|count| count + 1));
    }
}

#[cfg(feature = "sim")]
pub use state::{INJECTED, arm, armed, take_ways};
#[cfg(feature = "sim")]
pub(crate) use state::{seen, trip};

/// How full the tables of a shard are, and how full they may be.
#[cfg(feature = "sim")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// Calls.
    pub calls: (usize, usize),
    /// Parties of the call that has most.
    pub legs: (usize, usize),
    /// Commands that wait at the call that has most.
    pub waiting: (usize, usize),
    /// Deadlines.
    pub deadlines: (usize, usize),
    /// Halves of media.
    pub paths: (usize, usize),
    /// Owners.
    pub owners: (usize, usize),
    /// Final reports.
    pub reports: (usize, usize),
    /// Recordings.
    pub recordings: (usize, usize),
    /// Sockets that are not closed.
    pub sockets: usize,
    /// Port pairs that are not free.
    pub pairs: usize,
}

#[cfg(feature = "sim")]
impl Tables {
    /// Whether every table is within its limit.
    pub fn within(&self) -> bool {
        let Self { calls, legs, waiting, deadlines, paths, owners, reports, recordings, .. } = self;
        [calls, legs, waiting, deadlines, paths, owners, reports, recordings]
            .iter()
            .all(|(count, most)| count <= most)
    }

    /// Whether nothing is left of any call.
    pub fn is_empty(&self) -> bool {
        let Self { calls, deadlines, paths, recordings, sockets, pairs, .. } = self;
        [calls.0, deadlines.0, paths.0, recordings.0, *sockets, *pairs].iter().all(|count| *count == 0)
    }
}

/// Panics if a simulation asked for it.
#[cfg(not(feature = "sim"))]
#[inline(always)]
pub(crate) const fn trip(_: Fault) {}

/// Counts a way for a simulation.
#[cfg(not(feature = "sim"))]
#[inline(always)]
pub(crate) const fn seen(_: Way) {}
