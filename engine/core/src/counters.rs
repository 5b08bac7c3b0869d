//! What a shard counted since its start, each drop under its reason.

use ng::{Refusal, Trouble};
use rtp::quality::{JITTER_BOUNDS_MS, MOS_BOUNDS, Sample};
use rtp::srtp::{ProtectError, UnprotectError};

/// Why a datagram was not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The socket has been closed meanwhile, or its call has ended.
    NoSocket,
    /// The sender is neither signalled nor confirmed, and may not be learned.
    UnknownSource,
    /// The sender may be the party, whose address nobody knows, and that is not decided yet.
    Undecided,
    /// Neither RTP nor RTCP of version 2, on a media that carries RTP.
    NotRtp,
    /// No other party hears this one yet.
    NoSink,
    /// Where the other party wants its packets is not known yet, or is nowhere.
    NoDestination,
    /// One side said that it does not send, or the other that it does not receive.
    Held,
    /// A client forbade this party, or this way, to be heard.
    Blocked,
    /// The datagram is empty, longer than 65535 bytes, or has no room for its protection.
    Size,
    /// We failed on it, and ended its call.
    Fault,
    /// It was for us: RTCP in whose place we report ourselves (`generate-RTCP`), or a check of ICE.
    Consumed,
    /// One side is to be protected by SRTP, and its keys are not agreed yet.
    NoKeys,
    /// Shorter than what protects a packet, or under a key identifier that names no key.
    NotSrtp,
    /// The authentication tag differs: forged, damaged, or under another key (RFC 3711 §3.3).
    Unauthentic,
    /// The index was accepted before, or lies behind the replay window (RFC 3711 §3.3.2).
    Replayed,
    /// It would be encrypted under an index that was used before, or out of every order.
    Repeated,
    /// The keys have protected as many packets (RFC 3711 §9.2), or sources, as they may.
    KeyExhausted,
    /// STUN that is no check of ICE, where ICE is spoken.
    CheckMalformed,
    /// A check in another's name or under a wrong password, or an answer to none of ours (RFC 8445 §7.3).
    CheckUnauthentic,
    /// An authentic check from an address more than are answered.
    CheckSources,
    /// A part of a handshake (DTLS): it was for us, and did what it should.
    Handshake,
    /// Of DTLS by its first byte, and no row of whole records, or no hello where one was waited for.
    NotDtls,
    /// A ClientHello that nothing came of: refused, or of one who comes while another is being asked.
    HelloRefused,
    /// DTLS when its handshake is over: it proves nothing, and ends nothing.
    HandshakeOver,
}

impl DropReason {
    /// Every reason, in order of [`Counters::drops`].
    pub const ALL: [Self; 24] = [
        Self::NoSocket,
        Self::UnknownSource,
        Self::Undecided,
        Self::NotRtp,
        Self::NoSink,
        Self::NoDestination,
        Self::Held,
        Self::Blocked,
        Self::Size,
        Self::Fault,
        Self::Consumed,
        Self::NoKeys,
        Self::NotSrtp,
        Self::Unauthentic,
        Self::Replayed,
        Self::Repeated,
        Self::KeyExhausted,
        Self::CheckMalformed,
        Self::CheckUnauthentic,
        Self::CheckSources,
        Self::Handshake,
        Self::NotDtls,
        Self::HelloRefused,
        Self::HandshakeOver,
    ];

    /// Its name as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSocket => "no_socket",
            Self::UnknownSource => "unknown_source",
            Self::Undecided => "undecided",
            Self::NotRtp => "not_rtp",
            Self::NoSink => "no_sink",
            Self::NoDestination => "no_destination",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Size => "size",
            Self::Fault => "fault",
            Self::Consumed => "consumed",
            Self::NoKeys => "no_keys",
            Self::NotSrtp => "not_srtp",
            Self::Unauthentic => "unauthentic",
            Self::Replayed => "replayed",
            Self::Repeated => "repeated",
            Self::KeyExhausted => "key_exhausted",
            Self::CheckMalformed => "check_malformed",
            Self::CheckUnauthentic => "check_unauthentic",
            Self::CheckSources => "check_sources",
            Self::Handshake => "handshake",
            Self::NotDtls => "not_dtls",
            Self::HelloRefused => "hello_refused",
            Self::HandshakeOver => "handshake_over",
        }
    }
}

impl From<UnprotectError> for DropReason {
    fn from(error: UnprotectError) -> Self {
        match error {
            UnprotectError::TooShort | UnprotectError::UnknownMki => Self::NotSrtp,
            UnprotectError::BadVersion => Self::NotRtp,
            UnprotectError::Replayed | UnprotectError::TooOld => Self::Replayed,
            UnprotectError::Unauthentic => Self::Unauthentic,
            UnprotectError::KeyExhausted => Self::KeyExhausted,
        }
    }
}

impl From<ProtectError> for DropReason {
    fn from(error: ProtectError) -> Self {
        match error {
            ProtectError::TooShort | ProtectError::BadVersion => Self::NotRtp,
            ProtectError::NoRoom => Self::Size,
            ProtectError::Repeated | ProtectError::OutOfOrder => Self::Repeated,
            ProtectError::KeyExhausted | ProtectError::TooManySources => Self::KeyExhausted,
        }
    }
}

/// What a shard counted since its start. Live counts are named so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed in.
    pub packets_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams forwarded, to however many: with the drops these are all that were received.
    pub packets_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Packets sent besides those: copies for further sinks, and packets of our own.
    pub copies_sent: u64,
    /// Their bytes.
    pub copies_bytes: u64,
    /// Copies and packets of our own that found no room, or a party of which nobody knows where it is.
    pub copies_dropped: u64,
    /// Sinks that did not get a datagram which others got.
    pub sinks_missed: u64,
    /// Errors reported by sockets.
    pub socket_errors: u64,
    /// Calls alive now.
    pub calls_live: u64,
    /// Calls begun.
    pub calls_begun: u64,
    /// Calls ended by `delete`.
    pub calls_deleted: u64,
    /// Calls ended because no packet arrived, nobody answered, or they were as long as a call may be.
    pub calls_timed_out: u64,
    /// Of those: calls of which a stream on hold was the last to be alive.
    pub timed_out_silent: u64,
    /// Of those: calls that nobody answered.
    pub timed_out_offer: u64,
    /// Of those: calls that were as long as a call may be.
    pub timed_out_final: u64,
    /// Calls ended because their lease ran out.
    pub leases_ended: u64,
    /// Calls ended by a fault of the engine.
    pub faults: u64,
    /// Sockets open or opening now.
    pub sockets_live: u64,
    /// Addresses learned from packets.
    pub addresses_learned: u64,
    /// Of those: streams from unknown addresses that were taken for a party's.
    pub streams_taken: u64,
    /// Times that a stream was looked for and none was taken.
    pub streams_missed: u64,
    /// Calls to which somebody sent without leave.
    pub calls_intruded: u64,
    /// Handshakes (DTLS) begun, or waited for.
    pub handshakes_begun: u64,
    /// Handshakes that gave keys.
    pub handshakes_done: u64,
    /// Handshakes that failed, of strangers too.
    pub handshakes_failed: u64,
    /// Commands refused.
    pub commands_refused: u64,
    /// Commands refused for a stale epoch.
    pub stale_epochs: u64,
    /// Final reports kept now.
    pub reports_live: u64,
    /// Final reports pushed out or expired before anybody acknowledged them.
    pub reports_lost: u64,
    /// Recordings begun.
    pub recordings_begun: u64,
    /// Recordings not begun because there were too many.
    pub recordings_refused: u64,
    /// Recordings that ended because they could not be kept.
    pub recordings_failed: u64,
    /// Recordings under way now.
    pub recordings_live: u64,
    /// Intervals of streams by their opinion score: one bucket up to each of
    /// [`MOS_BOUNDS`], in hundredths, and one beyond.
    pub mos_buckets: [u64; MOS_BOUNDS.len() + 1],
    /// The sum of those scores, in hundredths.
    pub mos_sum_x100: u64,
    /// The sum of their squares.
    pub mos_squares_x10000: u64,
    /// Intervals of streams by their jitter: one bucket up to each of [`JITTER_BOUNDS_MS`], and one beyond.
    pub jitter_buckets: [u64; JITTER_BOUNDS_MS.len() + 1],
    /// The sum of those, in milliseconds.
    pub jitter_sum_ms: u64,
    /// Troubles that began, in order of [`Trouble::ALL`].
    troubles: [u64; Trouble::ALL.len()],
    /// Of calls that ended, however they did.
    pub ended: crate::shard::EndedCalls,
    /// Of the TURN server, whose datagrams are counted nowhere else.
    pub turn: crate::turn::TurnCounters,
    drops: [u64; DropReason::ALL.len()],
    refusals: [u64; Refusal::ALL.len()],
}

impl Counters {
    /// Datagrams dropped for this reason.
    pub const fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Datagrams dropped for any reason.
    pub fn drops_total(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Troubles of this kind that began.
    pub const fn troubles(&self, trouble: Trouble) -> u64 {
        self.troubles[trouble as usize]
    }

    pub(crate) const fn troubled(&mut self, trouble: Trouble) {
        self.troubles[trouble as usize] += 1;
    }

    /// Counts the interval of a stream that ended.
    pub(crate) fn sampled(&mut self, sample: &Sample) {
        let bucket = |bounds: &[u16], value: u16| bounds.partition_point(|bound| *bound < value);
        // What is not speech, or of an unknown encoding, has no score.
        if sample.mos_hundredths > 0 {
            self.mos_buckets[bucket(&MOS_BOUNDS, sample.mos_hundredths)] += 1;
            let mos = u64::from(sample.mos_hundredths);
            self.mos_sum_x100 += mos;
            self.mos_squares_x10000 += mos * mos;
        }
        self.jitter_buckets[bucket(&JITTER_BOUNDS_MS, sample.jitter_ms)] += 1;
        self.jitter_sum_ms += u64::from(sample.jitter_ms);
    }

    /// New calls refused for this reason; for want of ports, known calls' offers and answers too.
    pub const fn refusals(&self, reason: Refusal) -> u64 {
        self.refusals[reason as usize]
    }

    pub(crate) const fn refused(&mut self, reason: Refusal) {
        self.refusals[reason as usize] += 1;
    }

    pub(crate) const fn dropped(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_fall_into_buckets_with_their_upper_bound() {
        let mut counters = Counters::default();
        for (mos_hundredths, jitter_ms) in [(258, 2), (259, 3), (450, 500), (0, 0)] {
            counters.sampled(&Sample { mos_hundredths, jitter_ms, ..Sample::default() });
        }
        assert_eq!(counters.mos_buckets, [1, 1, 0, 0, 0, 1]);
        assert_eq!(counters.mos_squares_x10000, 258 * 258 + 259 * 259 + 450 * 450);
        assert_eq!(counters.jitter_buckets, [2, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!((counters.mos_sum_x100, counters.jitter_sum_ms), (967, 505));
        for (index, trouble) in Trouble::ALL.into_iter().enumerate() {
            assert_eq!(trouble as usize, index);
        }
    }

    #[test]
    fn each_reason_has_its_own_counter_and_name() {
        let mut counters = Counters::default();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            counters.dropped(reason);
            assert_eq!(counters.drops(reason), 1);
            assert!(DropReason::ALL.iter().filter(|other| other.as_str() == reason.as_str()).count() == 1);
        }
        assert_eq!(counters.drops_total(), DropReason::ALL.len() as u64);
    }
}
