//! Why an engine takes no new call, and how a client hears of it.

use crate::reply::Reply;

/// Why a new call is refused. A call that is known is served whatever the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// As many calls as there may be.
    Sessions,
    /// No port, or no descriptor, is left.
    Ports,
    /// The load average is at its limit.
    Load,
    /// The processors are as busy as they may be.
    Cpu,
    /// As many bytes a second arrive as may.
    Bandwidth,
    /// The engine ends when its calls have.
    Draining,
}

impl Refusal {
    /// Every reason, in order of its number.
    pub const ALL: [Self; 6] =
        [Self::Sessions, Self::Ports, Self::Load, Self::Cpu, Self::Bandwidth, Self::Draining];

    /// The word in events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Ports => "ports",
            Self::Load => "load",
            Self::Cpu => "cpu",
            Self::Bandwidth => "bandwidth",
            Self::Draining => "draining",
        }
    }

    /// The text that tells a client which limit it met.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Sessions => Reply::PARALLEL_SESSION_LIMIT,
            Self::Ports => Reply::OUT_OF_PORTS,
            Self::Load => Reply::LOAD_LIMIT,
            Self::Cpu => Reply::CPU_LIMIT,
            Self::Bandwidth => Reply::BANDWIDTH_LIMIT,
            Self::Draining => Reply::DRAINING,
        }
    }

    /// The answer to an offer that would begin a call.
    ///
    /// A client that never said it knows `load limit` gets the one text that every proxy fails over on. Used-up ports are
    /// an error to both, as rtpengine has it.
    pub fn reply(self, supports_load_limit: bool) -> Reply {
        match (self, supports_load_limit) {
            (Self::Ports, _) => Reply::Error(Reply::OUT_OF_PORTS.to_owned()),
            (reason, true) => Reply::LoadLimit(reason.text().to_owned()),
            (_, false) => Reply::Error(Reply::PARALLEL_SESSION_LIMIT.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As measured on rtpengine 10.5.3.5, draining apart, which it does not know.
    #[test]
    fn the_texts_are_those_that_proxies_compare() {
        let texts = [
            (Refusal::Sessions, "Parallel session limit reached"),
            (Refusal::Load, "Load limit exceeded"),
            (Refusal::Cpu, "CPU usage limit exceeded"),
            (Refusal::Bandwidth, "Bandwidth limit exceeded"),
            (Refusal::Draining, "Draining"),
        ];
        for (reason, text) in texts {
            assert_eq!(reason.reply(true), Reply::LoadLimit(text.to_owned()));
            assert_eq!(reason.reply(false), Reply::Error("Parallel session limit reached".to_owned()));
        }
        for supports in [true, false] {
            assert_eq!(Refusal::Ports.reply(supports), Reply::Error("Ran out of ports".to_owned()));
        }
        for (number, reason) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
