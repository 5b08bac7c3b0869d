//! The E-model: from loss, delay and encoding to a transmission rating and an opinion score
//! (ITU-T G.107, 06/2015; G.107.1 for the wide-band scale).
//!
//! Everything that a relay cannot know has the default value of G.107 Table 2: loudness, noise,
//! sidetone, echo loss of 65 dB, no advantage factor. With them, no delay and G.711 the rating is
//! 93.2 and the score 4.41.

use super::encoding::Impairment;

/// What the model is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Of the encoding.
    pub impairment: Impairment,
    /// Share of the packets that are not played, from 0 to 1.
    pub loss: f64,
    /// How they cluster ([`Losses::burst_ratio`](super::Losses::burst_ratio)).
    pub burst_ratio: f64,
    /// From mouth to ear, one way.
    pub delay_ms: f64,
}

/// A mean opinion score in hundredths: from 100, bad, to 450, as good as a telephone gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mos(u16);

impl Mos {
    /// The score of these conditions (G.107 Annex B). On the wide-band scale the rating is divided
    /// by 1.29 first (G.107.1 §7), so that both kinds can be compared.
    pub fn of(conditions: &Conditions) -> Self {
        let scale = if conditions.impairment.wide_band { WIDE_BAND_SCALE } else { 1.0 };
        Self::of_rating(rating(conditions) / scale)
    }

    /// The score of a rating from 0 to 100 (G.107 Annex B).
    pub fn of_rating(rating: f64) -> Self {
        let score = match rating {
            rating if rating <= 0.0 || rating.is_nan() => 1.0,
            rating if rating >= 100.0 => 4.5,
            rating => 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6,
        };
        // The cubic dips below 1 for the worst ratings, where the scale ends.
        Self(rounded(score.clamp(1.0, 4.5) * 100.0))
    }

    /// A score of so many hundredths, put on the scale.
    pub fn from_hundredths(hundredths: u16) -> Self {
        Self(hundredths.clamp(100, 450))
    }

    /// In hundredths.
    pub const fn hundredths(self) -> u16 {
        self.0
    }

    /// In tenths, rounded.
    pub const fn tenths(self) -> u16 {
        (self.0 + 5) / 10
    }
}

/// The transmission rating: R of G.107 §7, with A = 0; on the wide-band scale that of G.107.1,
/// reckoned with the same delay impairment.
///
/// # Cost
/// Some thirty powers and logarithms: under a microsecond.
pub fn rating(conditions: &Conditions) -> f64 {
    let Conditions { impairment, loss, burst_ratio, delay_ms } = *conditions;
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    // Ie,eff (G.107 §7.5). The wide-band model has the same 95, though its scale is another, and knows
    // only loss at random (G.107.1 equation 7-15).
    let burst_ratio = if impairment.wide_band { 1.0 } else { burst_ratio.max(1.0) };
    let effective =
        impairment.ie + (95.0 - impairment.ie) * percent / (percent / burst_ratio + impairment.bpl);
    let delay = delay_ms.clamp(0.0, DELAY_MS_MAX);
    if impairment.wide_band {
        return WIDE_BAND_BEST - delay_alone(delay) - effective;
    }
    ro() - simultaneous(delay) - (talker_echo(delay) + listener_echo(delay) + delay_alone(delay)) - effective
}

/// Ro: signal to noise (G.107 §7.1), with the default values.
fn ro() -> f64 {
    15.0 - 1.5 * (SLR + noise())
}

/// No: the sum of circuit and room noise (G.107 equations 7-3 to 7-7).
fn noise() -> f64 {
    let power = |decibel: f64| 10f64.powf(decibel / 10.0);
    let sending = ROOM_NOISE - SLR - D_FACTOR - 100.0 + 0.004 * (ROOM_NOISE - OLR - D_FACTOR - 14.0).powi(2);
    let effective = ROOM_NOISE + 10.0 * (1.0 + power(10.0 - LSTR)).log10();
    let receiving = RLR - 121.0 + effective + 0.008 * (effective - 35.0).powi(2);
    let floor = NOISE_FLOOR + RLR;
    10.0 * (power(CIRCUIT_NOISE) + power(sending) + power(receiving) + power(floor)).log10()
}

/// Is: what comes with the voice itself (G.107 §7.2): loudness, sidetone, quantisation.
fn simultaneous(delay_ms: f64) -> f64 {
    let root = |base: f64, n: f64| (1.0 + base.powf(n)).powf(1.0 / n);
    let x = (OLR + 0.2 * (64.0 + noise() - RLR)) / 8.0;
    let too_loud = 20.0 * (root(x, 8.0) - x);
    let sidetone =
        -10.0 * (10f64.powf(-STMR / 10.0) + (-delay_ms / 4.0).exp() * 10f64.powf(-ECHO_LOSS / 10.0)).log10();
    let sidetone = 12.0 * root((sidetone - 13.0) / 6.0, 8.0)
        - 28.0 * root((sidetone + 1.0) / 19.4, 35.0)
        - 13.0 * root((sidetone - 3.0) / 33.0, 13.0)
        + 29.0;
    let q = 37.0 - 15.0 * QUANTISATIONS.log10();
    let g = 1.07 + 0.258 * q + 0.0602 * q * q;
    let y = (ro() - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
    let z = 46.0 / 30.0 - g / 40.0;
    let quantising = 15.0 * (1.0 + 10f64.powf(y) + 10f64.powf(z)).log10();
    too_loud + sidetone + quantising
}

/// Idte: the talker's own voice comes back (G.107 equations 7-21 to 7-25).
fn talker_echo(delay_ms: f64) -> f64 {
    if delay_ms < 1.0 {
        return 0.0;
    }
    let loss = ECHO_LOSS - 40.0 * ((1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)).log10()
        + 6.0 * (-0.3 * delay_ms * delay_ms).exp();
    let re = 80.0 + 2.5 * (loss - 14.0);
    let roe = -1.5 * (noise() - RLR);
    let half = (roe - re) / 2.0;
    (half + (half * half + 100.0).sqrt() - 1.0) * (1.0 - (-delay_ms).exp())
}

/// Idle: the listener hears the talker twice (G.107 equations 7-26, 7-27).
fn listener_echo(delay_ms: f64) -> f64 {
    let rle = 10.5 * (WEIGHTED_ECHO_LOSS + 7.0) * (2.0 * delay_ms + 1.0).powf(-0.25);
    let half = (ro() - rle) / 2.0;
    half + (half * half + 169.0).sqrt()
}

/// Idd: delay too long to talk in turns, beyond 100 ms (G.107 equation 7-28).
fn delay_alone(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// To the nearest whole number; scores are far inside the range.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the score is on its scale")]
fn rounded(hundredths: f64) -> u16 {
    hundredths.round() as u16
}

/// Default values of G.107 Table 2, in decibel.
const SLR: f64 = 8.0;
const RLR: f64 = 2.0;
const OLR: f64 = SLR + RLR;
const STMR: f64 = 15.0;
const D_FACTOR: f64 = 3.0;
const LSTR: f64 = STMR + D_FACTOR;
const ECHO_LOSS: f64 = 65.0;
const WEIGHTED_ECHO_LOSS: f64 = 110.0;
const QUANTISATIONS: f64 = 1.0;
const CIRCUIT_NOISE: f64 = -70.0;
const NOISE_FLOOR: f64 = -64.0;
const ROOM_NOISE: f64 = 35.0;
/// Longer is not rated apart.
const DELAY_MS_MAX: f64 = 10_000.0;
/// R of a perfect wide-band connection (G.107.1).
const WIDE_BAND_BEST: f64 = 129.0;
const WIDE_BAND_SCALE: f64 = 1.29;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::{
        Sound,
        encoding::{Encoding, G711_WITHOUT_CONCEALMENT},
    };

    fn impairment(name: &str, hz: u32) -> Impairment {
        match Encoding::of(name, hz).sound() {
            Sound::Speech(impairment) => impairment,
            sound => panic!("{name} is {sound:?}"),
        }
    }

    fn conditions(name: &str, hz: u32, loss: f64, delay_ms: f64) -> Conditions {
        Conditions { impairment: impairment(name, hz), loss, burst_ratio: 1.0, delay_ms }
    }

    #[test]
    fn defaults_give_the_rating_of_g107() {
        let rating = rating(&conditions("PCMU", 8000, 0.0, 0.0));
        assert!((rating - 93.2).abs() < 0.05, "{rating}");
        assert_eq!(Mos::of_rating(93.2).hundredths(), 441);
        assert!((ro() - 94.77).abs() < 0.01 && (noise() + 61.18).abs() < 0.01);
    }

    #[test]
    fn annex_b_table_of_scores() {
        for (rating, score) in [(90.0, 434), (80.0, 403), (70.0, 360), (60.0, 310), (50.0, 258), (0.0, 100)] {
            assert!(Mos::of_rating(rating).hundredths().abs_diff(score) <= 1, "{rating}");
        }
        for rating in [-5.0, 3.0, f64::NAN] {
            assert_eq!(Mos::of_rating(rating).hundredths(), 100);
        }
        assert_eq!(Mos::of_rating(110.0).hundredths(), 450);
        assert_eq!(Mos(434).tenths(), 43);
    }

    #[test]
    fn loss_delay_and_bursts_each_make_it_worse() {
        let score = |conditions: Conditions| Mos::of(&conditions);
        let clean = conditions("PCMA", 8000, 0.0, 60.0);
        assert!(score(clean) > score(conditions("PCMA", 8000, 0.02, 60.0)));
        assert!(score(clean) > score(conditions("PCMA", 8000, 0.0, 250.0)));
        let lossy = conditions("G729", 8000, 0.05, 60.0);
        assert!(score(lossy) > score(Conditions { burst_ratio: 3.0, ..lossy }));
        let bare =
            Conditions { impairment: G711_WITHOUT_CONCEALMENT, ..conditions("PCMU", 8000, 0.05, 60.0) };
        assert!(score(bare) < score(conditions("PCMU", 8000, 0.05, 60.0)));
        // G.107: 5 % random loss of G.711 with concealment costs 95 · 5 / 30.1.
        let cost = rating(&clean) - rating(&conditions("PCMA", 8000, 0.05, 60.0));
        assert!((cost - 95.0 * 5.0 / 30.1).abs() < 1e-9);
    }

    #[test]
    fn wide_band_codecs_are_put_on_the_same_scale() {
        let wide = Mos::of(&conditions("G722", 8000, 0.0, 60.0)).hundredths();
        assert!((420..=445).contains(&wide), "{wide}");
        // G.107.1 equations 7-1 and 7-15: AMR-WB at 12.65 kbit/s with both ears, 2 % lost.
        let both_ears = Impairment { ie: 20.0, bpl: 4.3, wide_band: true, approximate: false };
        let lossy = Conditions { impairment: both_ears, loss: 0.02, burst_ratio: 3.0, delay_ms: 60.0 };
        assert!((rating(&lossy) - (129.0 - 43.8095)).abs() < 1e-3);
        assert_eq!(Mos::of(&lossy).hundredths(), 341);
        assert_eq!(Mos::of(&conditions("opus", 48000, 1.0, 60.0)).hundredths() / 100, 1);
    }
}
