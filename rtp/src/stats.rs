//! Counting one received stream: loss and its runs, duplicates, reordering, jitter, in constant memory.
//!
//! Supported: extended sequence numbers with restarts (RFC 3550 A.1), loss and
//! report blocks (A.3), interarrival jitter (A.8), runs of loss, packets too late
//! for an assumed jitter buffer ([`crate::quality`]). Every packet counts from
//! the first: whether a sender may be believed is decided before it gets here,
//! so the probation of A.1 has no place.
//!
//! A change of SSRC, or a jump of the sequence number that a second packet
//! confirms, starts a new *segment*; totals go on across segments.

use std::time::Duration;

use crate::quality::{LossRuns, Losses, Playout};
use crate::rtcp::ReportBlock;
use crate::units::{ClockRate, ExtSeq, Instant, RtpTime, SeqNo, Ssrc};

/// One packet that arrived, as far as counting goes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When it arrived.
    pub at: Instant,
    /// Its source.
    pub ssrc: Ssrc,
    /// Its sequence number.
    pub seq: SeqNo,
    /// Its timestamp.
    pub timestamp: RtpTime,
    /// The clock of its payload type; `None`, for an unknown type or a
    /// telephone-event whose timestamp stands still, leaves jitter alone.
    pub clock_rate: Option<ClockRate>,
    /// Its marker bit: a talk spurt begins (RFC 3551 §4.1).
    pub marker: bool,
    /// Its size in bytes, in whatever sense the owner counts.
    pub bytes: usize,
}

/// What a packet was in the order of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// The first of the stream, or of a new SSRC, or the one that confirms a restart.
    First,
    /// Ahead of all before it.
    Next,
    /// Behind the highest, and not seen before as far as can be told.
    Late,
    /// Seen before.
    Duplicate,
    /// So far from the others that it is a stray, or the first after a restart.
    Stray,
}

/// Counters of one received stream.
///
/// # Memory
/// One value of fixed size, whatever arrives.
#[derive(Debug, Clone, Default)]
pub struct StreamStats {
    packets: u64,
    bytes: u64,
    duplicates: u32,
    reordered: u32,
    strays: u32,
    ssrc_changes: u32,
    restarts: u32,
    /// Packets too late for the assumed jitter buffer.
    late: u32,
    /// Loss of segments that ended.
    lost_before: u64,
    /// The same with its runs, and with what was too late.
    losses_before: Losses,
    /// Jitter of segments that ended.
    jitter_before: Deviations,
    last_arrival: Option<Instant>,
    segment: Option<Segment>,
    prior_expected: u64,
    prior_received: u64,
    last_sr: Option<(u32, Instant)>,
}

impl StreamStats {
    /// Counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one packet and says what it was in the order of its stream.
    ///
    /// # Cost
    /// A few compares and additions, two divisions when the clock is known; no allocation.
    pub fn on_packet(&mut self, arrival: &Arrival) -> Order {
        self.packets += 1;
        self.bytes += arrival.bytes as u64;
        self.last_arrival = Some(arrival.at);
        let (order, distance) = match &mut self.segment {
            Some(segment) if segment.ssrc == arrival.ssrc => segment.place(arrival.seq),
            segment => {
                self.ssrc_changes = self.ssrc_changes.saturating_add(segment.is_some().into());
                self.start_segment(Segment::new(arrival.ssrc, arrival.seq));
                (Order::First, 0)
            }
        };
        match order {
            Order::First | Order::Next => {}
            Order::Late => self.reordered = self.reordered.saturating_add(1),
            Order::Duplicate => self.duplicates = self.duplicates.saturating_add(1),
            Order::Stray => self.strays = self.strays.saturating_add(1),
        }
        let order = if order == Order::Stray { self.confirm_restart(arrival.seq) } else { order };
        if let Some(segment) = &mut self.segment
            && !matches!(order, Order::Duplicate | Order::Stray)
        {
            let late = segment.observe_transit(arrival);
            self.late = self.late.saturating_add(late.into());
            match order {
                Order::Next => segment.runs.advance(distance, !late),
                Order::Late => segment.runs.fill(distance, !late),
                Order::First | Order::Duplicate | Order::Stray => {}
            }
        }
        order
    }

    /// Remembers a sender report of this stream, so that report blocks can quote it.
    pub fn on_sender_report(&mut self, ntp_middle: u32, at: Instant) {
        self.last_sr = Some((ntp_middle, at));
    }

    /// The round trip between us and somebody who reports on this stream, from the age of the sender
    /// report that the block quotes (RFC 3550 §6.4.1); `None` if it is not the last one, or the
    /// times do not fit each other.
    pub fn round_trip(&self, block: &ReportBlock, now: Instant) -> Option<Duration> {
        let (ntp_middle, at) = self.last_sr?;
        if block.last_sr == 0 || block.last_sr != ntp_middle {
            return None;
        }
        let there = ClockRate::new(1 << 16)?.span_of(block.delay_since_last_sr.into());
        now.saturating_since(at).checked_sub(there)
    }

    /// The report block on the current source, and the start of the next interval of its lost fraction
    /// (RFC 3550 A.3); `None` before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let segment = self.segment.as_ref()?;
        let (expected, received) = (segment.expected(), segment.received);
        let expected_interval = expected.saturating_sub(self.prior_expected);
        let lost_interval = expected_interval.saturating_sub(received.saturating_sub(self.prior_received));
        let fraction = (lost_interval * 256).checked_div(expected_interval).unwrap_or(0);
        let (last_sr, delay_since_last_sr) = match self.last_sr {
            Some((ntp_middle, at)) => (ntp_middle, ntp_short(now.saturating_since(at))),
            None => (0, 0),
        };
        let block = ReportBlock {
            ssrc: segment.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            cumulative_lost: i32::try_from(segment.lost()).unwrap_or(i32::MAX),
            highest_seq: segment.reported_highest().report_bits(),
            jitter_ticks: segment.jitter_ticks(),
            last_sr,
            delay_since_last_sr,
        };
        (self.prior_expected, self.prior_received) = (expected, received);
        Some(block)
    }

    /// Packets that arrived, duplicates and strays included.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes that arrived.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets expected by their sequence numbers and not received, over all segments.
    /// A packet that is merely late counts as lost until it arrives.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.segment.as_ref().map_or(0, Segment::lost)
    }

    /// What was expected, and what was not there to be played: lost, or too late for the assumed
    /// jitter buffer, over all segments.
    pub fn losses(&self) -> Losses {
        self.segment
            .as_ref()
            .map_or(self.losses_before, |segment| self.losses_before.and(segment.runs.losses()))
    }

    /// Packets that arrived, but too late for the assumed jitter buffer.
    pub fn late(&self) -> u64 {
        self.late.into()
    }

    /// Packets seen before, told within the last 64 sequence numbers.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.into()
    }

    /// Packets that arrived after one with a higher sequence number.
    pub fn reordered(&self) -> u64 {
        self.reordered.into()
    }

    /// Packets whose sequence number fits nothing before or after them.
    pub fn strays(&self) -> u64 {
        self.strays.into()
    }

    /// How often the source changed.
    pub fn ssrc_changes(&self) -> u64 {
        self.ssrc_changes.into()
    }

    /// How often the sequence number jumped, under the same source, to a place where it went on.
    pub fn restarts(&self) -> u64 {
        self.restarts.into()
    }

    /// The current source.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.segment.as_ref().map(|segment| segment.ssrc)
    }

    /// The highest sequence number of the current segment, wrap-arounds counted from its first packet.
    pub fn highest_seq(&self) -> Option<ExtSeq> {
        self.segment.as_ref().map(Segment::reported_highest)
    }

    /// Interarrival jitter of the current segment, in ticks of its clock (RFC 3550 §6.4.1).
    pub fn jitter_ticks(&self) -> u32 {
        self.segment.as_ref().map_or(0, Segment::jitter_ticks)
    }

    /// Interarrival jitter of the current segment.
    pub fn jitter(&self) -> Duration {
        Duration::from_nanos(self.segment.as_ref().map_or(0, Segment::jitter_ns))
    }

    /// The largest it has been, in any segment.
    pub fn jitter_max(&self) -> Duration {
        Duration::from_nanos(self.deviations().max)
    }

    /// The mean difference of transit times of consecutive packets, which is what jitter estimates.
    pub fn jitter_mean(&self) -> Duration {
        let all = self.deviations();
        Duration::from_nanos(all.sum.checked_div(all.samples).unwrap_or(0))
    }

    /// When the last packet arrived.
    pub const fn last_arrival(&self) -> Option<Instant> {
        self.last_arrival
    }

    fn deviations(&self) -> Deviations {
        let segment = self.segment.as_ref();
        segment.map_or(self.jitter_before, |segment| self.jitter_before.and(segment.jitter()))
    }

    fn start_segment(&mut self, segment: Segment) {
        if let Some(ended) = self.segment.replace(segment) {
            self.lost_before += ended.lost();
            self.jitter_before = self.jitter_before.and(ended.jitter());
            self.losses_before = self.losses_before.and(ended.runs.losses());
        }
        (self.prior_expected, self.prior_received) = (0, 0);
        self.last_sr = None;
    }

    /// Two packets in a row after a jump mean that the sender started anew (RFC 3550 A.1).
    fn confirm_restart(&mut self, seq: SeqNo) -> Order {
        let Some(segment) = &mut self.segment else { return Order::Stray };
        if segment.restart_at != Some(seq) {
            segment.restart_at = Some(seq.wrapping_add(1));
            return Order::Stray;
        }
        // The stray before this one was the new segment's first, and is none any more.
        let mut started = Segment::new(segment.ssrc, seq.wrapping_add(u16::MAX));
        started.place(seq);
        started.runs.advance(1, true);
        self.strays = self.strays.saturating_sub(2);
        self.restarts = self.restarts.saturating_add(1);
        let last_sr = self.last_sr;
        self.start_segment(started);
        // The source is the same, so its sender report still holds.
        self.last_sr = last_sr;
        Order::First
    }
}

/// A run of sequence numbers of one source.
#[derive(Debug, Clone)]
struct Segment {
    ssrc: Ssrc,
    /// Lowest number received. Numbers start in the second cycle, so that a late packet from before the first has one.
    base: ExtSeq,
    highest: ExtSeq,
    /// Bit n: `highest - n` was received.
    seen: u64,
    /// Distinct packets.
    received: u64,
    /// Where the stream would go on if the stray before was a restart.
    restart_at: Option<SeqNo>,
    /// Arrival minus timestamp of the packet before, in ticks.
    transit: Option<u32>,
    /// 16 times the jitter.
    jitter_scaled: u64,
    /// The largest that was.
    jitter_scaled_max: u64,
    /// Differences of transit times summed, in ticks, and how many.
    deviation_ticks: u64,
    deviations: u64,
    /// The clock of all these; 0 before a packet had one.
    hz: u32,
    playout: Playout,
    runs: LossRuns,
}

/// Jitter over some time, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Deviations {
    sum: u64,
    samples: u64,
    max: u64,
}

impl Deviations {
    fn and(self, more: Self) -> Self {
        Self {
            sum: self.sum.saturating_add(more.sum),
            samples: self.samples + more.samples,
            max: self.max.max(more.max),
        }
    }
}

impl Segment {
    fn new(ssrc: Ssrc, seq: SeqNo) -> Self {
        let first = ExtSeq(CYCLE + u64::from(seq.0));
        Self {
            ssrc,
            base: first,
            highest: first,
            seen: 1,
            received: 1,
            restart_at: None,
            transit: None,
            jitter_scaled: 0,
            jitter_scaled_max: 0,
            deviation_ticks: 0,
            deviations: 0,
            hz: 0,
            playout: Playout::default(),
            runs: LossRuns::new(),
        }
    }

    /// Finds the place of a packet in the order and its distance from the highest; counts it if it is new.
    fn place(&mut self, seq: SeqNo) -> (Order, u64) {
        let ext = self.highest.nearest(seq);
        if ext > self.highest {
            let ahead = ext.0 - self.highest.0;
            if ahead >= DROPOUT_MAX {
                return (Order::Stray, 0);
            }
            self.restart_at = None;
            self.seen =
                u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead)).unwrap_or(0) | 1;
            self.highest = ext;
            self.received += 1;
            return (Order::Next, ahead);
        }
        let behind = self.highest.0 - ext.0;
        if behind > MISORDER_MAX {
            return (Order::Stray, 0);
        }
        self.restart_at = None;
        if behind < u64::from(u64::BITS) {
            let bit = 1 << behind;
            if self.seen & bit != 0 {
                return (Order::Duplicate, behind);
            }
            self.seen |= bit;
        } else if ext > self.base && self.lost() == 0 {
            // Too far back to remember, but nothing is missing that it could be.
            return (Order::Duplicate, behind);
        }
        self.base = self.base.min(ext);
        self.received += 1;
        (Order::Late, behind)
    }

    /// RFC 3550 A.8, with the jitter scaled by 16 so that rounding does not pile up.
    /// Returns whether the packet came too late to be played.
    fn observe_transit(&mut self, arrival: &Arrival) -> bool {
        let Some(clock_rate) = arrival.clock_rate else { return false };
        let hz = clock_rate.hz();
        if self.hz != hz {
            self.change_clock(hz);
        }
        let arrived = clock_rate.ticks_at(arrival.at).0;
        let transit = arrived.wrapping_sub(arrival.timestamp.0);
        if let Some(before) = self.transit.replace(transit) {
            let difference = u64::from(transit.wrapping_sub(before).cast_signed().unsigned_abs());
            self.jitter_scaled = self.jitter_scaled + difference - ((self.jitter_scaled + 8) >> 4);
            self.jitter_scaled_max = self.jitter_scaled_max.max(self.jitter_scaled);
            self.deviation_ticks = self.deviation_ticks.saturating_add(difference);
            self.deviations += 1;
        }
        self.playout.is_late(arrived, transit, hz, arrival.marker)
    }

    /// Transit times of two clocks have nothing to do with each other; what was measured is kept.
    fn change_clock(&mut self, hz: u32) {
        if self.hz != 0 {
            self.transit = None;
            self.playout.reset();
            for ticks in [&mut self.jitter_scaled, &mut self.jitter_scaled_max, &mut self.deviation_ticks] {
                let new = u128::from(*ticks) * u128::from(hz) / u128::from(self.hz);
                *ticks = u64::try_from(new).unwrap_or(u64::MAX);
            }
        }
        self.hz = hz;
    }

    fn expected(&self) -> u64 {
        self.highest.0 - self.base.0 + 1
    }

    fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    fn reported_highest(&self) -> ExtSeq {
        ExtSeq(self.highest.0 - CYCLE)
    }

    fn jitter_ticks(&self) -> u32 {
        u32::try_from(self.jitter_scaled >> 4).unwrap_or(u32::MAX)
    }

    fn jitter_ns(&self) -> u64 {
        self.nanoseconds(self.jitter_scaled >> 4)
    }

    fn jitter(&self) -> Deviations {
        Deviations {
            sum: self.nanoseconds(self.deviation_ticks),
            samples: self.deviations,
            max: self.nanoseconds(self.jitter_scaled_max >> 4),
        }
    }

    fn nanoseconds(&self, ticks: u64) -> u64 {
        let nanos = u128::from(ticks) * u128::from(NANOS_PER_SECOND);
        u64::try_from(nanos.checked_div(u128::from(self.hz)).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

/// A duration in 1/65536 s, saturating: 32 bits of the NTP short format (RFC 3550 §4).
fn ntp_short(span: Duration) -> u32 {
    u32::try_from((span.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Numbers in one cycle of the sequence number.
const CYCLE: u64 = 1 << 16;
/// From this step ahead on, a packet is a jump and not a gap (`MAX_DROPOUT` of RFC 3550 A.1: a minute of 50 packets a second).
const DROPOUT_MAX: u64 = 3000;
/// Farther behind than this, a packet is a jump and not late (`MAX_MISORDER` of RFC 3550 A.1: 2 s of 50 packets a second).
const MISORDER_MAX: u64 = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arrival(ssrc: u32, seq: u16) -> Arrival {
        Arrival {
            at: Instant::ZERO,
            ssrc: Ssrc(ssrc),
            seq: SeqNo(seq),
            timestamp: RtpTime(0),
            clock_rate: None,
            marker: false,
            bytes: 172,
        }
    }

    fn run(seqs: impl IntoIterator<Item = u16>) -> (StreamStats, Vec<Order>) {
        let mut stats = StreamStats::new();
        let orders = seqs.into_iter().map(|seq| stats.on_packet(&arrival(1, seq))).collect();
        (stats, orders)
    }

    #[test]
    fn stream_without_fault_counts_nothing_but_packets() {
        let (stats, _) = run((0..1000u16).map(|n| 65_000u16.wrapping_add(n)));
        assert_eq!((stats.packets(), stats.bytes(), stats.lost()), (1000, 172_000, 0));
        assert_eq!((stats.duplicates(), stats.reordered(), stats.strays(), stats.restarts()), (0, 0, 0, 0));
        assert_eq!(stats.highest_seq(), Some(ExtSeq(65_999)));
    }

    #[test]
    fn loss_comes_in_runs_and_what_is_too_late_counts_as_lost() {
        let mut stats = StreamStats::new();
        let send = |stats: &mut StreamStats, seq: u16, delay_ms: u64, marker: bool| {
            stats.on_packet(&Arrival {
                at: Instant::from_millis(1000 + u64::from(seq) * 20 + delay_ms),
                timestamp: RtpTime(u32::from(seq) * 160),
                clock_rate: Some(ClockRate::HZ_8000),
                marker,
                ..arrival(7, seq)
            });
        };
        for seq in (0..100).filter(|seq| !(50..53).contains(seq)) {
            send(&mut stats, seq, if seq == 70 { 90 } else { 10 }, false);
        }
        assert_eq!(stats.losses(), Losses { expected: 100, lost: 4, runs: 2 });
        assert_eq!((stats.lost(), stats.late()), (3, 1));
        assert!(stats.jitter_max() > stats.jitter() && stats.jitter_mean() < stats.jitter_max());
        send(&mut stats, 100, 500, true);
        assert_eq!(stats.late(), 1, "a talk spurt begins where it begins");
        stats.on_packet(&arrival(8, 9));
        assert_eq!(stats.losses(), Losses { expected: 102, lost: 4, runs: 2 });
    }

    #[test]
    fn gap_is_loss_until_the_late_packet_fills_it() {
        let (mut stats, orders) = run([10, 11, 14]);
        assert_eq!(orders, [Order::First, Order::Next, Order::Next]);
        assert_eq!(stats.lost(), 2);
        assert_eq!(stats.on_packet(&arrival(1, 12)), Order::Late);
        assert_eq!((stats.lost(), stats.reordered()), (1, 1));
        assert_eq!(stats.on_packet(&arrival(1, 12)), Order::Duplicate);
        assert_eq!((stats.lost(), stats.duplicates()), (1, 1));
    }

    #[test]
    fn packet_from_before_the_first_moves_the_base_even_across_the_wrap() {
        let (stats, orders) = run([1, 65_534, 0, 65_535]);
        assert_eq!(orders, [Order::First, Order::Late, Order::Late, Order::Late]);
        assert_eq!((stats.lost(), stats.packets()), (0, 4));
        assert_eq!(stats.highest_seq(), Some(ExtSeq(1)));
    }

    #[test]
    fn single_jump_is_a_stray_and_a_confirmed_one_a_restart() {
        let (mut stats, orders) = run([100, 101, 40_000, 102]);
        assert_eq!(orders[2..], [Order::Stray, Order::Next]);
        assert_eq!((stats.strays(), stats.restarts(), stats.lost()), (1, 0, 0));
        assert_eq!(stats.on_packet(&arrival(1, 50_000)), Order::Stray);
        assert_eq!(stats.on_packet(&arrival(1, 50_001)), Order::First);
        assert_eq!(stats.on_packet(&arrival(1, 50_003)), Order::Next);
        assert_eq!((stats.strays(), stats.restarts(), stats.lost()), (1, 1, 1));
    }

    #[test]
    fn change_of_source_keeps_the_totals() {
        let (mut stats, _) = run([5, 7]);
        assert_eq!(stats.on_packet(&arrival(2, 60_000)), Order::First);
        stats.on_packet(&arrival(2, 60_002));
        assert_eq!((stats.ssrc_changes(), stats.lost(), stats.packets()), (1, 2, 4));
        assert_eq!(stats.ssrc(), Some(Ssrc(2)));
    }

    #[test]
    fn duplicate_older_than_the_window_does_not_make_loss_negative() {
        let (mut stats, _) = run(0..200);
        assert_eq!(stats.on_packet(&arrival(1, 110)), Order::Duplicate);
        assert_eq!((stats.lost(), stats.duplicates()), (0, 1));
    }

    /// RFC 3550 A.3: a quarter lost is a fraction of 64/256, and the next interval starts anew.
    #[test]
    fn report_counts_the_fraction_of_its_interval() {
        let (mut stats, _) = run([0, 1, 3]);
        let block = stats.report_block(Instant::ZERO).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost, block.highest_seq), (64, 1, 3));
        stats.on_packet(&arrival(1, 4));
        let block = stats.report_block(Instant::ZERO).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost, block.highest_seq), (0, 1, 4));
        assert_eq!(StreamStats::new().report_block(Instant::ZERO), None);
    }

    #[test]
    fn report_quotes_the_last_sender_report_and_its_age() {
        let (mut stats, _) = run([0]);
        stats.on_sender_report(0xaabb_ccdd, Instant::from_millis(1000));
        let block = stats.report_block(Instant::from_millis(1500)).unwrap();
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0xaabb_ccdd, 32_768));
    }

    /// RFC 3550 A.8 worked by hand: transits 0, 80, 80, 0 ticks; each step moves J by (|D| - J) / 16.
    #[test]
    fn jitter_follows_rfc3550_appendix_a_8() {
        let mut stats = StreamStats::new();
        let late_ms = [0, 10, 10, 0];
        let mut scaled = Vec::new();
        for (n, late_ms) in (0u16..).zip(late_ms) {
            let packet = Arrival {
                at: Instant::from_millis(u64::from(n) * 20 + late_ms),
                timestamp: RtpTime(u32::from(n) * 160),
                clock_rate: Some(ClockRate::HZ_8000),
                ..arrival(1, n)
            };
            stats.on_packet(&packet);
            scaled.push(stats.segment.as_ref().unwrap().jitter_scaled);
        }
        assert_eq!(scaled, [0, 80, 75, 150]);
        assert_eq!(stats.jitter_ticks(), 9);
    }

    #[test]
    fn steady_stream_has_no_jitter_across_the_wrap_of_the_timestamp() {
        let mut stats = StreamStats::new();
        for n in 0u16..100 {
            stats.on_packet(&Arrival {
                at: Instant::from_millis(u64::from(n) * 20),
                timestamp: RtpTime(u32::MAX - 1000).wrapping_add(u32::from(n) * 160),
                clock_rate: Some(ClockRate::HZ_8000),
                ..arrival(1, n)
            });
        }
        assert_eq!(stats.jitter_ticks(), 0);
    }

    #[test]
    fn round_trip_is_the_age_of_the_quoted_report_without_its_stay() {
        let (mut stats, _) = run([0]);
        stats.on_sender_report(0xaabb_ccdd, Instant::from_millis(1000));
        let mut block = stats.report_block(Instant::from_millis(1000)).unwrap();
        // It stayed half a second with the receiver.
        block.delay_since_last_sr = 1 << 15;
        let trip = |block: &ReportBlock, at| stats.round_trip(block, Instant::from_millis(at));
        assert_eq!(trip(&block, 1530), Some(Duration::from_millis(30)));
        assert_eq!(trip(&block, 1400), None, "it cannot have stayed longer than it was away");
        block.last_sr = 1;
        assert_eq!(trip(&block, 1530), None);
    }

    proptest! {
        #[test]
        fn loss_and_duplicates_are_exact_under_small_reordering(
            start in any::<u16>(),
            fates in proptest::collection::vec((0u8..10, 0u64..20), 2..400),
        ) {
            // Each packet is lost (0), doubled (1) or sent once, and delayed by fewer places than the window holds.
            let mut wire: Vec<(u64, u16)> = Vec::new();
            for (n, (fate, delay)) in (0u16..).zip(&fates) {
                let seq = start.wrapping_add(n);
                let copies = match fate { 0 => 0, 1 => 2, _ => 1 };
                (0..copies).for_each(|_| wire.push((u64::from(n) + delay, seq)));
            }
            wire.sort_by_key(|(time, _)| *time);
            let (stats, _) = run(wire.iter().map(|(_, seq)| *seq));
            let sent: Vec<usize> =
                fates.iter().enumerate().filter(|(_, (fate, _))| *fate != 0).map(|(n, _)| n).collect();
            if let (Some(first), Some(last)) = (sent.first(), sent.last()) {
                prop_assert_eq!(stats.lost(), (last - first + 1 - sent.len()) as u64);
                prop_assert_eq!(stats.packets() - stats.duplicates(), sent.len() as u64);
                prop_assert_eq!(stats.strays(), 0);
            }
        }

        #[test]
        fn any_packets_at_any_time_are_counted_once_and_never_panic(
            packets in proptest::collection::vec(any::<(u64, u8, u16, u32, u32)>(), 0..200),
        ) {
            let mut stats = StreamStats::new();
            for (at, ssrc, seq, timestamp, hz) in &packets {
                stats.on_packet(&Arrival {
                    at: Instant::from_nanos(*at),
                    ssrc: Ssrc(u32::from(ssrc & 1)),
                    seq: SeqNo(*seq),
                    timestamp: RtpTime(*timestamp),
                    clock_rate: ClockRate::new(*hz),
                    marker: false,
                    bytes: 1,
                });
                stats.report_block(Instant::from_nanos(*at));
            }
            prop_assert_eq!(stats.packets(), packets.len() as u64);
            prop_assert!(stats.strays() + stats.duplicates() + stats.reordered() <= stats.packets());
        }
    }
}
