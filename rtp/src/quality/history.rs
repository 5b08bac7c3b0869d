//! How the quality of a stream went over time: worst, best, average, and a course that grows coarser.

/// Seconds from one sample to the next.
pub const INTERVAL_S: u32 = 5;

/// Entries of the course; when they are used up, every other one goes.
const COURSE_MAX: usize = 8;

/// The quality of a stream in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Which interval of the stream, from 0; each has [`INTERVAL_S`] seconds.
    pub interval: u16,
    /// Opinion score in hundredths; 0 where nobody can say.
    pub mos_hundredths: u16,
    /// Round trip from end to end in tenths of a millisecond; 0 if unknown.
    pub round_trip: u16,
    /// The part of it between us and the sender.
    pub round_trip_leg: u16,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: u16,
    /// Packets that were not there to be played, per cent.
    pub loss_percent: u8,
}

/// The samples of one stream.
///
/// # Memory
/// One value of fixed size, however long the stream.
#[derive(Debug, Clone, Default)]
pub struct History {
    course: [Sample; COURSE_MAX],
    course_count: u8,
    /// Intervals from one entry of the course to the next, as a power of two.
    stride_bits: u8,
    /// Samples so far.
    samples: u32,
    lowest: Sample,
    highest: Sample,
    mos_sum: u32,
    round_trip_sum: u32,
    round_trip_leg_sum: u32,
    jitter_sum: u32,
    loss_sum: u32,
}

impl History {
    /// Adds the sample of one more interval.
    pub fn add(&mut self, sample: Sample) {
        if self.samples == 0 || sample.mos_hundredths < self.lowest.mos_hundredths {
            self.lowest = sample;
        }
        if self.samples == 0 || sample.mos_hundredths > self.highest.mos_hundredths {
            self.highest = sample;
        }
        for (sum, value) in [
            (&mut self.mos_sum, sample.mos_hundredths),
            (&mut self.round_trip_sum, sample.round_trip),
            (&mut self.round_trip_leg_sum, sample.round_trip_leg),
            (&mut self.jitter_sum, sample.jitter_ms),
            (&mut self.loss_sum, sample.loss_percent.into()),
        ] {
            *sum = sum.saturating_add(value.into());
        }
        if self.samples.is_multiple_of(1 << self.stride_bits) {
            self.enter(sample);
        }
        self.samples = self.samples.saturating_add(1);
    }

    fn enter(&mut self, sample: Sample) {
        if usize::from(self.course_count) == COURSE_MAX {
            for kept in 1..COURSE_MAX / 2 {
                self.course[kept] = self.course[2 * kept];
            }
            self.course_count /= 2;
            // 31 would be centuries.
            self.stride_bits = (self.stride_bits + 1).min(31);
        }
        self.course[usize::from(self.course_count)] = sample;
        self.course_count += 1;
    }

    /// How many samples there are.
    pub const fn samples(&self) -> u32 {
        self.samples
    }

    /// The one with the least score.
    pub const fn lowest(&self) -> &Sample {
        &self.lowest
    }

    /// The one with the best score.
    pub const fn highest(&self) -> &Sample {
        &self.highest
    }

    /// The mean of all; `None` before the first. Its interval means nothing.
    pub fn average(&self) -> Option<Sample> {
        let mean = |sum: u32| {
            let mean = (u64::from(sum) + u64::from(self.samples) / 2).checked_div(self.samples.into())?;
            u16::try_from(mean).ok()
        };
        Some(Sample {
            interval: 0,
            mos_hundredths: mean(self.mos_sum)?,
            round_trip: mean(self.round_trip_sum)?,
            round_trip_leg: mean(self.round_trip_leg_sum)?,
            jitter_ms: mean(self.jitter_sum)?,
            loss_percent: u8::try_from(mean(self.loss_sum)?).ok()?,
        })
    }

    /// Samples in order of time, thinned out.
    pub fn course(&self) -> &[Sample] {
        &self.course[..usize::from(self.course_count)]
    }

    /// Seconds from one of them to the next.
    pub const fn course_interval_s(&self) -> u32 {
        INTERVAL_S.saturating_mul(1 << self.stride_bits)
    }
}

/// The scores up to which something counts, for a histogram: the classes of G.107 Annex B (from
/// nearly all users dissatisfied to very satisfied), in hundredths.
pub const MOS_BOUNDS: [u16; 5] = [258, 310, 360, 403, 434];

/// The same of jitter, in milliseconds.
pub const JITTER_BOUNDS_MS: [u16; 7] = [2, 5, 10, 20, 40, 60, 100];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u16) -> History {
        let mut history = History::default();
        for interval in 0..count {
            let mos_hundredths = if interval == 3 { 150 } else { 400 };
            history.add(Sample { interval, mos_hundredths, jitter_ms: 3, ..Sample::default() });
        }
        history
    }

    #[test]
    fn worst_best_and_average_are_of_all_samples() {
        let history = of(100);
        assert_eq!((history.lowest().interval, history.lowest().mos_hundredths), (3, 150));
        assert_eq!((history.highest().interval, history.highest().mos_hundredths), (0, 400));
        let average = history.average().unwrap();
        assert_eq!((average.mos_hundredths, average.jitter_ms, history.samples()), (398, 3, 100));
        assert_eq!(History::default().average(), None);
    }

    #[test]
    fn course_stays_evenly_spaced_and_bounded() {
        for count in 0..500 {
            let history = of(count);
            let steps = history.course_interval_s() / INTERVAL_S;
            let expected: Vec<u32> = (0..u32::from(count)).step_by(steps as usize).collect();
            let course: Vec<u32> = history.course().iter().map(|sample| sample.interval.into()).collect();
            assert_eq!(course, expected, "{count}");
            assert!(course.len() <= COURSE_MAX && (count < 8 || course.len() >= COURSE_MAX / 2));
        }
    }
}
