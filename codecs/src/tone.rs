//! Pure tones: made, and recognised again at the far end of a call.
//!
//! Supported: one sine at a time, and the choice of which of a few known
//! frequencies a block of samples holds (Goertzel's algorithm). Not here:
//! DTMF pairs, call progress cadences.

use std::f64::consts::TAU;

/// Makes a sine, block after block without a break.
#[derive(Debug, Clone)]
pub struct ToneGenerator {
    amplitude: f64,
    /// Radians a sample.
    step: f64,
    phase: f64,
}

impl ToneGenerator {
    /// A sine of `frequency_hz` whose peaks reach `amplitude` of 32767.
    pub fn new(sample_rate: u32, frequency_hz: f64, amplitude: u16) -> Self {
        let amplitude = f64::from(amplitude.min(i16::MAX.cast_unsigned()));
        Self { amplitude, step: TAU * frequency_hz / f64::from(sample_rate.max(1)), phase: 0.0 }
    }

    /// Fills `samples` with what comes next.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the amplitude is at most that of an i16, and the cast saturates"
    )]
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = (self.amplitude * self.phase.sin()).round() as i16;
            self.phase = (self.phase + self.step) % TAU;
        }
    }
}

/// Tells which of a few frequencies a block of samples holds.
#[derive(Debug, Clone)]
pub struct ToneDetector {
    sample_rate: u32,
    frequencies_hz: Vec<f64>,
}

impl ToneDetector {
    /// A detector of these frequencies.
    ///
    /// Two of them must differ by more than the sample rate divided by the
    /// block's length: 50 Hz for 160 samples at 8 kHz.
    pub fn new(sample_rate: u32, frequencies_hz: &[f64]) -> Self {
        Self { sample_rate: sample_rate.max(1), frequencies_hz: frequencies_hz.to_vec() }
    }

    /// Index of the frequency that carries at least [`SHARE_MIN`] of the block's energy.
    ///
    /// `None` for silence (a mean square below [`POWER_MIN`]), noise, a mixture, or another tone.
    ///
    /// # Cost
    /// One pass over the block for each frequency.
    pub fn detect(&self, samples: &[i16]) -> Option<usize> {
        let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        let count: f64 = samples.iter().map(|_| 1.0).sum();
        if energy <= POWER_MIN * count {
            return None;
        }
        let shares = self.frequencies_hz.iter().map(|&frequency| {
            // A sine of amplitude A over N samples: energy A²N/2, Goertzel power A²N²/4.
            self.power(frequency, samples) * 2.0 / (energy * count)
        });
        let (index, share) = shares.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        (share >= SHARE_MIN).then_some(index)
    }

    /// Squared magnitude of the block's component at `frequency_hz`.
    fn power(&self, frequency_hz: f64, samples: &[i16]) -> f64 {
        let coefficient = 2.0 * (TAU * frequency_hz / f64::from(self.sample_rate)).cos();
        let (mut before, mut last) = (0.0, 0.0);
        for &sample in samples {
            let next = f64::from(sample) + coefficient * last - before;
            before = last;
            last = next;
        }
        last * last + before * before - coefficient * last * before
    }
}

/// Least share of a block's energy that makes a tone; G.711 leaves a sine above 0.99.
pub const SHARE_MIN: f64 = 0.8;
/// Mean square below which a block is silence: an amplitude of about 45 of 32767.
pub const POWER_MIN: f64 = 1000.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::g711::Law;

    const TONES: [f64; 4] = [400.0, 700.0, 1000.0, 1700.0];

    fn block(frequency_hz: f64, amplitude: u16) -> [i16; 160] {
        let mut samples = [0; 160];
        ToneGenerator::new(8000, frequency_hz, amplitude).fill(&mut samples);
        samples
    }

    #[test]
    fn generated_tone_has_its_amplitude_and_continues_between_blocks() {
        let mut generator = ToneGenerator::new(8000, 1000.0, 8000);
        let mut samples = [0; 16];
        let (first, second) = samples.split_at_mut(3);
        generator.fill(first);
        generator.fill(second);
        assert_eq!(samples[..8], [0, 5657, 8000, 5657, 0, -5657, -8000, -5657]);
        assert_eq!(samples[..8], samples[8..]);
    }

    #[test]
    fn each_tone_is_recognised_through_either_law() {
        let detector = ToneDetector::new(8000, &TONES);
        for (index, &frequency) in TONES.iter().enumerate() {
            for law in [Law::A, Law::Mu] {
                let samples = block(frequency, 10_000).map(|sample| law.decode(law.encode(sample)));
                assert_eq!(detector.detect(&samples), Some(index), "{frequency} {law:?}");
            }
        }
    }

    #[test]
    fn silence_another_tone_and_a_mixture_are_not_recognised() {
        let detector = ToneDetector::new(8000, &TONES);
        assert_eq!(detector.detect(&[0; 160]), None);
        assert_eq!(detector.detect(&[]), None);
        assert_eq!(detector.detect(&block(400.0, 40)), None);
        assert_eq!(detector.detect(&block(2300.0, 10_000)), None);
        let mut mixture = block(400.0, 10_000);
        mixture.iter_mut().zip(block(1000.0, 10_000)).for_each(|(sample, other)| *sample += other);
        assert_eq!(detector.detect(&mixture), None);
    }

    proptest! {
        #[test]
        fn noise_is_no_tone(samples in proptest::collection::vec(-8000i16..8000, 160)) {
            prop_assert_eq!(ToneDetector::new(8000, &TONES).detect(&samples), None);
        }
    }
}
