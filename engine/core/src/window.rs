//! Finding a peer of whom nobody knows where it is: one consistent stream that is alone, or nobody
//! (`adr/0008-a-stranger-is-known-by-a-lone-stream.md`).
//!
//! A description that gives a private address alone, to an engine that peers see at a public one, cannot be
//! meant literally. For [`LASTS`] after the party was told where to send, streams from public addresses are
//! candidates. A candidate is one address that sends RTP of one SSRC with a negotiated payload type, in sequence and without a
//! pause of [`GAP`]. It wins with [`PACKETS`] such packets over at least [`ALONE`], if no other candidate that had come to
//! [`COUNTS`] of them was heard for [`ALONE`]. Until then its packets are dropped and nothing is sent to it.
//!
//! What this is worth against an attacker without sight of the path: packets out of sequence, of a wrong payload
//! type or SSRC at random neither win nor stand in the way; who sends before the party can have
//! known the port is out; who is there besides the party keeps both out. Left is who begins a flawless stream to
//! this very port after the answer and at least [`ALONE`] before the party's own.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rtp::{
    packet::RtpPacket,
    units::{Instant, SeqNo, Ssrc},
};

use crate::{latch::is_private, offender::EARLY_MAX};

/// How long a window lasts.
pub(crate) const LASTS: Duration = Duration::from_secs(10);
/// Packets in sequence that a stream needs to win.
pub(crate) const PACKETS: u32 = 10;
/// Packets in sequence from which a stream stands in the way of another.
pub(crate) const COUNTS: u32 = 5;
/// How long the winner's packets must span, and how long no other may have been heard.
pub(crate) const ALONE: Duration = Duration::from_millis(500);
/// A pause of this length ends a sequence.
pub(crate) const GAP: Duration = Duration::from_millis(250);
/// A sequence survives this many packets lost in a row.
const LOST_MAX: i16 = 4;
/// Candidates of one window at once.
const CANDIDATES_MAX: usize = 4;

/// The window of one half. Made when its party is described, never by a packet.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// `None` until the party is told where to send.
    ends: Option<Instant>,
    /// What may be sent in this media, a bit for each payload type.
    payload_types: u128,
    /// Who sent before anybody was told where to.
    early: [Option<IpAddr>; EARLY_MAX],
    candidates: [Option<Candidate>; CANDIDATES_MAX],
}

/// A stream that may be the party's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) address: SocketAddr,
    /// Packets of it that were dropped.
    pub(crate) packets: u64,
    ssrc: Ssrc,
    seq: SeqNo,
    /// Packets in sequence, and since when.
    run: u32,
    since: Instant,
    last: Instant,
}

/// What a window makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not from a candidate.
    Stranger,
    /// From a candidate, and nothing is decided.
    Undecided,
    /// From whom is taken for the party from now on.
    Won,
    /// The time is over, and nobody is.
    Ended,
}

impl Window {
    /// A window that is not open yet.
    pub(crate) fn waiting() -> Self {
        Self { ends: None, payload_types: 0, early: [None; EARLY_MAX], candidates: [None; CANDIDATES_MAX] }
    }

    /// The party knows where to send from now on; a window that is open stays so for longer.
    pub(crate) fn open(&mut self, now: Instant, payload_types: u128, early: [Option<IpAddr>; EARLY_MAX]) {
        if self.ends.is_none() {
            self.early = early;
        }
        self.payload_types |= payload_types;
        self.ends = Some(now + LASTS);
    }

    /// Takes a packet of somebody unknown into account.
    pub(crate) fn hear(&mut self, now: Instant, remote: SocketAddr, packet: &[u8]) -> Outcome {
        let Some(ends) = self.ends else { return Outcome::Stranger };
        if now >= ends {
            return Outcome::Ended;
        }
        let ip = remote.ip().to_canonical();
        if is_private(ip) || self.early.contains(&Some(ip)) {
            return Outcome::Stranger;
        }
        let Some((ssrc, seq)) = self.plausible(packet) else { return Outcome::Stranger };
        let known = self.candidates.iter().position(|seat| seat.is_some_and(|one| one.address == remote));
        let Some(index) = known.or_else(|| self.seat(now)) else { return Outcome::Stranger };
        let fresh = Candidate {
            address: remote,
            packets: 0,
            ssrc,
            seq: SeqNo(seq.0.wrapping_sub(1)),
            run: 0,
            since: now,
            last: now,
        };
        let seat = &mut self.candidates[index];
        let mut candidate = seat.filter(|_| known.is_some()).unwrap_or(fresh);
        candidate.hear(now, ssrc, seq);
        *seat = Some(candidate);
        let rival = |other: &Candidate| {
            other.address != remote && other.run >= COUNTS && now.saturating_since(other.last) < ALONE
        };
        let steady = candidate.run >= PACKETS && now.saturating_since(candidate.since) >= ALONE;
        if steady && !self.candidates().any(|other| rival(&other)) {
            Outcome::Won
        } else {
            Outcome::Undecided
        }
    }

    /// Who was considered.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.candidates.into_iter().flatten()
    }

    /// SSRC and sequence number, if this may be a packet of the media.
    fn plausible(&self, packet: &[u8]) -> Option<(Ssrc, SeqNo)> {
        let packet = RtpPacket::parse(packet).ok()?;
        let negotiated = self.payload_types & (1_u128 << packet.payload_type().get()) != 0;
        negotiated.then(|| (packet.ssrc(), packet.seq()))
    }

    /// A seat for somebody new: a free one, the one that was silent for longest if that is a pause, else the
    /// latest that does not count yet, so that a flood of new addresses pushes out its own.
    fn seat(&self, now: Instant) -> Option<usize> {
        if let Some(free) = self.candidates.iter().position(Option::is_none) {
            return Some(free);
        }
        let taken = || (0..).zip(self.candidates.iter().flatten());
        let silent = taken().filter(|(_, one)| now.saturating_since(one.last) >= GAP);
        let silent = silent.min_by_key(|(_, one)| one.last);
        let slight = || taken().filter(|(_, one)| one.run < COUNTS).max_by_key(|(_, one)| one.since);
        silent.or_else(slight).map(|(index, _)| index)
    }
}

impl Candidate {
    fn hear(&mut self, now: Instant, ssrc: Ssrc, seq: SeqNo) {
        self.packets += 1;
        let ahead = seq.distance_from(self.seq);
        let whole = ssrc == self.ssrc && now.saturating_since(self.last) < GAP;
        self.last = now;
        if whole && (1..=1 + LOST_MAX).contains(&ahead) {
            self.run += 1;
            self.seq = seq;
        } else if !whole || !(-LOST_MAX..=0).contains(&ahead) {
            // Late ones and repeats prove nothing and break nothing.
            (self.ssrc, self.seq, self.run, self.since) = (ssrc, seq, 1, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "203.0.113.1:31000";
    const THIRD: &str = "198.51.100.66:5000";

    fn rtp(payload_type: u8, seq: u16, ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, payload_type];
        packet.extend(seq.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0xff; 160]);
        packet
    }

    struct Rig {
        window: Window,
    }

    impl Rig {
        fn new() -> Self {
            let mut window = Window::waiting();
            window.open(Instant::ZERO, 1 | 1 << 8, [None; EARLY_MAX]);
            Self { window }
        }

        fn hear(&mut self, ms: u64, from: &str, packet: &[u8]) -> Outcome {
            self.window.hear(Instant::from_millis(ms), from.parse().unwrap(), packet)
        }

        /// A packet every 20 ms; when it won, or what the last one came to.
        fn stream(&mut self, from: &str, start_ms: u64, packets: u16) -> Result<u64, Outcome> {
            let mut last = Outcome::Stranger;
            for index in 0..packets {
                let at = start_ms + 20 * u64::from(index);
                last = self.hear(at, from, &rtp(0, 65_530_u16.wrapping_add(index), 7));
                if last == Outcome::Won {
                    return Ok(at);
                }
            }
            Err(last)
        }
    }

    #[test]
    fn a_lone_stream_wins_after_its_time_and_not_before() {
        assert_eq!(Rig::new().stream(PHONE, 100, 100), Ok(600));
        assert_eq!(Rig::new().stream(PHONE, 9_600, 100), Err(Outcome::Ended));
    }

    #[test]
    fn nobody_is_a_candidate_before_the_party_is_told_where_to_send() {
        let mut rig = Rig { window: Window::waiting() };
        assert_eq!(rig.stream(PHONE, 0, 100), Err(Outcome::Stranger));
        assert_eq!(rig.window.candidates().count(), 0);
    }

    #[test]
    fn who_was_there_too_early_is_none_and_neither_is_a_private_neighbour() {
        let mut rig = Rig::new();
        rig.window.early[0] = Some("198.51.100.66".parse().unwrap());
        assert_eq!(rig.stream(THIRD, 0, 100), Err(Outcome::Stranger));
        assert_eq!(rig.stream("198.51.100.66:9999", 0, 100), Err(Outcome::Stranger), "nor from another port");
        assert_eq!(rig.stream("10.0.0.7:5000", 0, 100), Err(Outcome::Stranger));
        assert_eq!(rig.stream(PHONE, 0, 100), Ok(500));
    }

    #[test]
    fn two_streams_keep_each_other_out_until_one_is_alone() {
        let mut rig = Rig::new();
        let mut won = Vec::new();
        for index in 0..200_u16 {
            let at = 20 * u64::from(index);
            if index < 50 {
                let outcome = rig.hear(at, THIRD, &rtp(0, index, 9));
                assert!(index < 25 || outcome == Outcome::Undecided, "{index}");
            }
            if index >= 10 && rig.hear(at + 5, PHONE, &rtp(8, index, 7)) == Outcome::Won {
                won.push(at + 5);
                break;
            }
        }
        assert_eq!(won, [1485], "half a second after the other's last");
    }

    #[test]
    fn what_is_no_stream_of_the_media_neither_wins_nor_stands_in_the_way() {
        type Make = fn(u16) -> Vec<u8>;
        let kinds: [(&str, Make); 7] = [
            ("wrong payload type", |index| rtp(3, index, 9)),
            ("another SSRC each time", |index| rtp(0, index, index.into())),
            ("the same packet again", |_| rtp(0, 5, 9)),
            ("sequence at random", |index| rtp(0, index.wrapping_mul(7_919), 9)),
            ("a sequence over many ports", |index| rtp(0, index.wrapping_mul(100), 9)),
            ("not RTP", |_| vec![0; 172]),
            ("RTCP", |index| rtp(72 | 0x80, index, 9)),
        ];
        for (name, make) in kinds {
            let mut rig = Rig::new();
            for index in 0..400_u16 {
                let outcome = rig.hear(20 * u64::from(index), THIRD, &make(index));
                assert!(matches!(outcome, Outcome::Stranger | Outcome::Undecided), "{name}: {outcome:?}");
                if index == 100 {
                    let outcome = rig.stream(PHONE, 2_001, 26);
                    assert_eq!(outcome, Ok(2_501), "{name} stands in the way");
                    break;
                }
            }
            let mut alone = Rig::new();
            let wins =
                (0..400).any(|index| alone.hear(20 * u64::from(index), THIRD, &make(index)) == Outcome::Won);
            assert!(!wins, "{name} wins");
        }
    }

    #[test]
    fn a_slow_stream_loss_and_reordering_are_borne_and_a_pause_is_not() {
        let mut rig = Rig::new();
        let order = [0, 1, 3, 2, 4, 4, 8, 9, 10, 11, 12, 13, 14];
        let outcomes: Vec<Outcome> =
            (0..).zip(order).map(|(at, seq)| rig.hear(60 * at, PHONE, &rtp(0, seq, 7))).collect();
        assert_eq!(outcomes.iter().position(|outcome| *outcome == Outcome::Won), Some(11));
        let mut paused = Rig::new();
        let won = (0..30)
            .any(|index| paused.hear(250 * u64::from(index), PHONE, &rtp(0, index, 7)) == Outcome::Won);
        assert!(!won);
    }

    #[test]
    fn a_flood_of_new_addresses_pushes_out_its_own_and_not_who_was_there_before() {
        let mut rig = Rig::new();
        let mut won = false;
        for index in 0..60_u16 {
            let at = 20 * u64::from(index);
            won |= rig.hear(at, PHONE, &rtp(0, index, 7)) == Outcome::Won;
            for other in 0..50 {
                rig.hear(at + 1, &format!("198.51.100.66:{}", 1_000 + 50 * index + other), &rtp(0, 1, 9));
            }
        }
        assert!(won);
        assert!(size_of::<Window>() <= 512, "{}", size_of::<Window>());
    }
}
