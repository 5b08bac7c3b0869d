//! The numbers of the media wire, one type each, so that none is taken for another.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Add;
use std::time::Duration;

/// Synchronisation source identifier of an RTP stream (RFC 3550 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// RTP payload type, 0 to 127 (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PayloadType(u8);

impl PayloadType {
    /// G.711 µ-law at 8 kHz (RFC 3551 §6).
    pub const PCMU: Self = Self(0);
    /// G.711 A-law at 8 kHz (RFC 3551 §6).
    pub const PCMA: Self = Self(8);

    /// The payload type `value`, or `None` above 127.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 128 { Some(Self(value)) } else { None }
    }

    /// The low seven bits of the second byte of an RTP header.
    pub const fn from_header_byte(byte: u8) -> Self {
        Self(byte & 0x7f)
    }

    /// The number, 0 to 127.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// RTP sequence number as sent: 16 bits that wrap (RFC 3550 §5.1).
///
/// Not ordered: of two numbers that wrap, neither is simply the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeqNo(pub u16);

impl SeqNo {
    /// The number `steps` later, wrapping.
    #[must_use]
    pub const fn wrapping_add(self, steps: u16) -> Self {
        Self(self.0.wrapping_add(steps))
    }

    /// How far `self` is ahead of `earlier` along the shorter way round; negative if behind.
    pub const fn distance_from(self, earlier: Self) -> i16 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Extended sequence number: wrap-arounds counted in the bits above the lowest 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtSeq(pub u64);

impl ExtSeq {
    /// The first sequence number of a stream, before any wrap-around.
    pub const fn first(seq: SeqNo) -> Self {
        Self(seq.0 as u64)
    }

    /// The extended number nearest to `self` whose low 16 bits are `seq`.
    ///
    /// A step back beyond the first cycle stays in the first cycle.
    #[must_use]
    pub fn nearest(self, seq: SeqNo) -> Self {
        let distance = i64::from(seq.distance_from(self.seq()));
        Self(self.0.checked_add_signed(distance).unwrap_or_else(|| u64::from(seq.0)))
    }

    /// The 16 bits that travel in the RTP header.
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is asked for")]
    pub const fn seq(self) -> SeqNo {
        SeqNo(self.0 as u16)
    }

    /// The 32 bits that travel in a reception report: cycles, then sequence number (RFC 3550 §6.4.1).
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is asked for")]
    pub const fn report_bits(self) -> u32 {
        self.0 as u32
    }
}

/// RTP timestamp: 32 bits that wrap, in ticks of the payload's clock (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// The timestamp `ticks` later, wrapping.
    #[must_use]
    pub const fn wrapping_add(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// How many ticks `self` is ahead of `earlier` along the shorter way round; negative if behind.
    pub const fn distance_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Ticks a second of an RTP timestamp. Not the codec's sample rate: G.722 samples at 16 kHz under a clock of 8 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClockRate(NonZeroU32);

impl ClockRate {
    /// The clock of G.711 and of most telephone payloads.
    pub const HZ_8000: Self = Self(NonZeroU32::new(8000).expect("8000 is not zero"));

    /// `hz` ticks a second, or `None` for zero.
    pub const fn new(hz: u32) -> Option<Self> {
        match NonZeroU32::new(hz) {
            Some(hz) => Some(Self(hz)),
            None => None,
        }
    }

    /// Ticks a second.
    pub const fn hz(self) -> u32 {
        self.0.get()
    }

    /// The instant as a count of ticks, modulo 2^32, as RFC 3550 A.8 wants arrival times.
    #[expect(clippy::cast_possible_truncation, reason = "a timestamp is the count modulo 2^32")]
    pub fn ticks_at(self, instant: Instant) -> RtpTime {
        // Seconds and the rest apart: nanoseconds times the rate overflows 64 bits within days,
        // and a 128-bit division costs more than the whole of the packet's accounting.
        let (seconds, nanos) = (instant.0 / NANOS_PER_SECOND, instant.0 % NANOS_PER_SECOND);
        let rate = u64::from(self.hz());
        RtpTime((seconds.wrapping_mul(rate)).wrapping_add(nanos * rate / NANOS_PER_SECOND) as u32)
    }

    /// The whole number of ticks in `span`, saturating.
    pub fn ticks_in(self, span: Duration) -> u64 {
        let ticks = span.as_nanos().saturating_mul(u128::from(self.hz())) / u128::from(NANOS_PER_SECOND);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// The time `ticks` take, rounded down to the nanosecond, saturating.
    pub fn span_of(self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * u128::from(NANOS_PER_SECOND) / u128::from(self.hz());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Monotonic time: nanoseconds since a start that the owner of the clock chose.
///
/// Two instants compare only if they come from the same clock. The range is
/// 584 years; arithmetic saturates at its ends or says that it left them, and
/// never wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens: a deadline that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `millis` milliseconds after the start, saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The instant `span` later, or `None` past the end of the range.
    pub fn checked_add(self, span: Duration) -> Option<Self> {
        self.0.checked_add(u64::try_from(span.as_nanos()).ok()?).map(Self)
    }

    /// The instant `span` earlier, or `None` before the start of the clock.
    pub fn checked_sub(self, span: Duration) -> Option<Self> {
        self.0.checked_sub(u64::try_from(span.as_nanos()).ok()?).map(Self)
    }

    /// The instant `span` later, at most [`Instant::MAX`].
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        self.checked_add(span).unwrap_or(Self::MAX)
    }

    /// The instant `span` earlier, at least [`Instant::ZERO`].
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        self.checked_sub(span).unwrap_or(Self::ZERO)
    }

    /// The time from `earlier` to `self`, or `None` if `earlier` is later.
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates, as [`Instant::saturating_add`].
    fn add(self, span: Duration) -> Self {
        self.saturating_add(span)
    }
}

/// Wall-clock time: milliseconds since the Unix epoch, UTC. For records only; deadlines use [`Instant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WallTime(u64);

impl WallTime {
    /// The time `millis` milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// The 64-bit NTP timestamp of a sender report: seconds since 1900, and a fraction (RFC 3550 §4).
    ///
    /// The seconds wrap in 2036, as the field does.
    pub const fn ntp(self) -> u64 {
        let seconds = (self.0 / 1000).wrapping_add(NTP_UNIX_SECONDS);
        let fraction = ((self.0 % 1000) << 32) / 1000;
        (seconds << 32) | fraction
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Seconds from 1900, where NTP starts, to 1970.
const NTP_UNIX_SECONDS: u64 = 2_208_988_800;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequence_distance_takes_the_shorter_way_round() {
        assert_eq!(SeqNo(2).distance_from(SeqNo(65_534)), 4);
        assert_eq!(SeqNo(65_534).distance_from(SeqNo(2)), -4);
        assert_eq!(SeqNo(65_535).wrapping_add(1), SeqNo(0));
    }

    #[test]
    fn payload_type_above_127_is_refused() {
        assert_eq!(PayloadType::new(127).map(PayloadType::get), Some(127));
        assert_eq!(PayloadType::new(128), None);
        assert_eq!(PayloadType::from_header_byte(0x80 | 8), PayloadType::PCMA);
    }

    #[test]
    fn extended_sequence_counts_the_wrap_and_knows_the_way_back() {
        let before = ExtSeq::first(SeqNo(65_535));
        let after = before.nearest(SeqNo(0));
        assert_eq!(after, ExtSeq(65_536));
        assert_eq!(after.nearest(SeqNo(65_535)), before);
        assert_eq!(after.report_bits(), 0x0001_0000);
        // Nothing lies before the first cycle.
        assert_eq!(ExtSeq(0).nearest(SeqNo(65_535)), ExtSeq(65_535));
    }

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        let second = Duration::from_secs(1);
        assert_eq!(Instant::MAX + second, Instant::MAX);
        assert_eq!(Instant::MAX.checked_add(second), None);
        assert_eq!(Instant::ZERO.saturating_sub(second), Instant::ZERO);
        assert_eq!(Instant::ZERO.saturating_since(Instant::MAX), Duration::ZERO);
        assert_eq!((Instant::from_millis(5) + second).as_millis(), 1005);
    }

    #[test]
    fn unix_epoch_is_seconds_2208988800_of_ntp() {
        assert_eq!(WallTime::from_unix_millis(0).ntp() >> 32, NTP_UNIX_SECONDS);
        assert_eq!(WallTime::from_unix_millis(500).ntp() & 0xffff_ffff, 1 << 31);
    }

    #[test]
    fn clock_rate_of_zero_does_not_exist() {
        assert_eq!(ClockRate::new(0), None);
        assert_eq!(ClockRate::HZ_8000.ticks_in(Duration::from_millis(20)), 160);
        assert_eq!(ClockRate::HZ_8000.span_of(160), Duration::from_millis(20));
    }

    proptest! {
        #[test]
        fn nearest_extended_number_carries_the_sequence_asked_for(start in 65_536u64..1 << 40, seq in any::<u16>()) {
            let from = ExtSeq(start);
            let to = from.nearest(SeqNo(seq));
            prop_assert_eq!(to.seq(), SeqNo(seq));
            prop_assert!(to.0.abs_diff(from.0) <= 32_768);
        }

        #[test]
        fn ticks_at_agrees_with_exact_arithmetic(nanos in any::<u64>(), hz in 1u32..=192_000) {
            let exact = u128::from(nanos) * u128::from(hz) / 1_000_000_000;
            let ticks = ClockRate::new(hz).unwrap().ticks_at(Instant::from_nanos(nanos)).0;
            prop_assert_eq!(u128::from(ticks), exact % (1 << 32));
        }

        #[test]
        fn adding_then_subtracting_a_span_is_identity(start in 0u64..1 << 62, span in 0u64..1 << 62) {
            let span = Duration::from_nanos(span);
            let instant = Instant::from_nanos(start);
            prop_assert_eq!((instant + span).checked_sub(span), Some(instant));
            prop_assert_eq!((instant + span).checked_since(instant), Some(span));
        }
    }
}
