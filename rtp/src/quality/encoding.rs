//! Encodings by name and clock, and what each costs the ear (ITU-T G.113 Appendix I).

use crate::units::ClockRate;

/// An encoding that has a number here: small enough for a table of all payload types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Encoding(u8);

/// What a payload is to the ear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sound {
    /// Speech, with its impairments.
    Speech(Impairment),
    /// Comfort noise (RFC 3389): its clock is that of the speech around it.
    Noise,
    /// Digits (RFC 4733): the timestamp stands still while one is pressed.
    Event,
    /// Not heard, or not rated.
    Other,
}

/// What an encoding costs, on the scale of the E-model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Equipment impairment factor without loss: Ie, or Ie,wb on the wide-band scale.
    pub ie: f64,
    /// Robustness against loss: Bpl.
    pub bpl: f64,
    /// Rated on the scale of G.107.1, which goes to 129.
    pub wide_band: bool,
    /// The figures are not in G.113: taken from what is nearest in it.
    pub approximate: bool,
}

/// A line of the table.
struct Known {
    /// As in `rtpmap`; empty for any other name.
    name: &'static str,
    hz: u32,
    /// Both, as in `rtpmap`.
    text: &'static str,
    sound: Sound,
}

impl Encoding {
    /// Nothing is known of it, not even its clock.
    pub const UNKNOWN: Self = Self(0);

    /// The encoding of this `rtpmap` name and clock; of one that is not in the table only the clock
    /// is kept, and of an odd clock nothing.
    pub fn of(name: &str, clock_hz: u32) -> Self {
        let known = |known: &Known| known.hz == clock_hz && known.name.eq_ignore_ascii_case(name);
        let clock = |known: &Known| known.hz == clock_hz && known.name.is_empty();
        let index = KNOWN.iter().position(known).or_else(|| KNOWN.iter().position(clock));
        index.and_then(|index| u8::try_from(index + 1).ok()).map_or(Self::UNKNOWN, Self)
    }

    /// The static payload types (RFC 3551 §6) that are in the table.
    pub fn of_static(payload_type: u8) -> Self {
        STATIC
            .iter()
            .find(|(number, ..)| *number == payload_type)
            .map_or(Self::UNKNOWN, |&(_, name, hz)| Self::of(name, hz))
    }

    /// Its name, if the table has it.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|known| known.name).filter(|name| !name.is_empty())
    }

    /// Name and clock as in `rtpmap`, if the table has them.
    pub fn text(self) -> Option<&'static str> {
        self.known().filter(|known| !known.name.is_empty()).map(|known| known.text)
    }

    /// Its clock.
    #[inline]
    pub fn clock_rate(self) -> Option<ClockRate> {
        ClockRate::new(self.known()?.hz)
    }

    /// The clock by which jitter is measured: none where timestamps stand still, and none for
    /// comfort noise, which is sent when the sender sees fit.
    #[inline]
    pub fn steady_clock(self) -> Option<ClockRate> {
        let known = self.known()?;
        if matches!(known.sound, Sound::Event | Sound::Noise) { None } else { ClockRate::new(known.hz) }
    }

    /// Whether a payload of this size says that the sender falls silent: comfort noise, or a
    /// silence descriptor, which is shorter than any frame of speech (two bytes in G.729 Annex B,
    /// also behind frames of ten; four in G.723.1; at most eight in AMR, EVS and Opus).
    pub fn falls_silent(self, payload_bytes: usize) -> bool {
        match self.known() {
            Some(Known { sound: Sound::Noise, .. }) => true,
            Some(Known { sound: Sound::Speech(_), name, .. }) => {
                payload_bytes <= 8 || (name.starts_with("G729") && payload_bytes % 10 == 2)
            }
            _ => false,
        }
    }

    /// What it is to the ear.
    pub fn sound(self) -> Sound {
        self.known().map_or(Sound::Other, |known| known.sound)
    }

    #[inline]
    fn known(self) -> Option<&'static Known> {
        KNOWN.get(usize::from(self.0).checked_sub(1)?)
    }
}

const fn speech(ie: f64, bpl: f64) -> Sound {
    Sound::Speech(Impairment { ie, bpl, wide_band: false, approximate: false })
}

const fn roughly(ie: f64, bpl: f64, wide_band: bool) -> Sound {
    Sound::Speech(Impairment { ie, bpl, wide_band, approximate: true })
}

macro_rules! known {
    ($name:literal, $hz:literal, $sound:expr) => {
        Known { name: $name, hz: $hz, text: concat!($name, "/", $hz), sound: $sound }
    };
}

/// G.711 with concealment of lost packets (G.113 Table I.4), which is what phones do. Without it
/// Bpl is 4.3 ([`G711_WITHOUT_CONCEALMENT`]).
const G711: Sound = speech(0.0, 25.1);

/// G.711 where lost packets are played as silence (G.113 Table I.4).
pub const G711_WITHOUT_CONCEALMENT: Impairment =
    Impairment { ie: 0.0, bpl: 4.3, wide_band: false, approximate: false };

/// Ie and Bpl of G.113 Appendix I, Tables I.1 to I.4, at 20 ms a packet; what is not in it is made
/// of what is nearest and marked so. Wide-band figures are for the scale of G.107.1 (Ie,wb).
const KNOWN: [Known; 41] = [
    known!("PCMU", 8000, G711),
    known!("PCMA", 8000, G711),
    // G.729A with voice activity detection; the main body rates G.729 without it one better.
    known!("G729", 8000, speech(11.0, 19.0)),
    known!("G729A", 8000, speech(11.0, 19.0)),
    // G.723.1 at 6.3 kbit/s with voice activity detection.
    known!("G723", 8000, speech(15.0, 16.1)),
    known!("GSM", 8000, speech(20.0, 43.0)),
    known!("GSM-EFR", 8000, speech(5.0, 10.0)),
    // AMR at 12.2 kbit/s is GSM-EFR; lower modes are worse.
    known!("AMR", 8000, roughly(5.0, 10.0, false)),
    known!("iLBC", 8000, roughly(11.0, 32.0, false)),
    known!("G726-16", 8000, roughly(50.0, 25.0, false)),
    known!("G726-24", 8000, roughly(25.0, 25.0, false)),
    known!("G726-32", 8000, roughly(7.0, 25.0, false)),
    known!("G726-40", 8000, roughly(2.0, 25.0, false)),
    known!("G728", 8000, roughly(7.0, 17.0, false)),
    known!("speex", 8000, roughly(11.0, 19.0, false)),
    known!("SILK", 8000, roughly(5.0, 19.0, false)),
    known!("L16", 8000, roughly(0.0, 25.1, false)),
    // Its clock is 8 kHz, its samples 16 kHz (RFC 3551 §4.5.2).
    known!("G722", 8000, roughly(13.0, 4.9, true)),
    known!("AMR-WB", 16000, roughly(13.0, 4.3, true)),
    known!("G7221", 16000, roughly(13.0, 10.0, true)),
    known!("speex", 16000, roughly(13.0, 10.0, true)),
    known!("SILK", 16000, roughly(13.0, 10.0, true)),
    known!("L16", 16000, roughly(0.0, 4.9, true)),
    known!("opus", 48000, roughly(8.0, 12.0, true)),
    known!("EVS", 16000, roughly(8.0, 10.0, true)),
    known!("CN", 8000, Sound::Noise),
    known!("CN", 16000, Sound::Noise),
    known!("CN", 32000, Sound::Noise),
    known!("telephone-event", 8000, Sound::Event),
    known!("telephone-event", 16000, Sound::Event),
    known!("telephone-event", 32000, Sound::Event),
    known!("telephone-event", 48000, Sound::Event),
    known!("", 8000, Sound::Other),
    known!("", 11025, Sound::Other),
    known!("", 16000, Sound::Other),
    known!("", 22050, Sound::Other),
    known!("", 24000, Sound::Other),
    known!("", 32000, Sound::Other),
    known!("", 44100, Sound::Other),
    known!("", 48000, Sound::Other),
    known!("", 90000, Sound::Other),
];

/// Static payload types (RFC 3551 §6).
const STATIC: [(u8, &str, u32); 24] = [
    (0, "PCMU", 8000),
    (3, "GSM", 8000),
    (4, "G723", 8000),
    (5, "DVI4", 8000),
    (6, "DVI4", 16000),
    (7, "LPC", 8000),
    (8, "PCMA", 8000),
    (9, "G722", 8000),
    (10, "L16", 44100),
    (11, "L16", 44100),
    (12, "QCELP", 8000),
    (13, "CN", 8000),
    (14, "MPA", 90000),
    (15, "G728", 8000),
    (16, "DVI4", 11025),
    (17, "DVI4", 22050),
    (18, "G729", 8000),
    (25, "CelB", 90000),
    (26, "JPEG", 90000),
    (28, "nv", 90000),
    (31, "H261", 90000),
    (32, "MPV", 90000),
    (33, "MP2T", 90000),
    (34, "H263", 90000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case_and_by_their_clock() {
        assert_eq!(Encoding::of("pcmu", 8000).name(), Some("PCMU"));
        assert_eq!(Encoding::of("SPEEX", 16000).clock_rate(), ClockRate::new(16000));
        assert_eq!(Encoding::of("OPUS", 48000).text(), Some("opus/48000"));
        let other = Encoding::of("nobody-knows", 90000);
        assert_eq!((other.name(), other.clock_rate()), (None, ClockRate::new(90000)));
        assert_eq!(Encoding::of("nobody-knows", 12345), Encoding::UNKNOWN);
        assert_eq!(Encoding::UNKNOWN.clock_rate(), None);
    }

    #[test]
    fn static_types_have_their_clock_and_digits_no_steady_one() {
        for (number, _, hz) in STATIC {
            assert_eq!(Encoding::of_static(number).clock_rate(), ClockRate::new(hz), "{number}");
        }
        assert_eq!(Encoding::of_static(96), Encoding::UNKNOWN);
        let digits = Encoding::of("telephone-event", 8000);
        assert_eq!((digits.clock_rate(), digits.steady_clock()), (ClockRate::new(8000), None));
        assert_eq!(Encoding::of("CN", 8000).steady_clock(), None);
    }

    #[test]
    fn silence_is_told_by_its_size() {
        let silent = |name: &str, hz, bytes| Encoding::of(name, hz).falls_silent(bytes);
        assert!(silent("CN", 8000, 11) && silent("G729", 8000, 2) && silent("G729", 8000, 12));
        assert!(silent("opus", 48000, 1) && silent("AMR-WB", 16000, 7));
        assert!(
            !silent("G729", 8000, 20) && !silent("PCMA", 8000, 160) && !silent("telephone-event", 8000, 4)
        );
    }

    #[test]
    fn no_line_of_the_table_hides_another() {
        for (index, line) in KNOWN.iter().enumerate() {
            assert_eq!(
                usize::from(Encoding::of(line.name, line.hz).0),
                index + 1,
                "{}/{}",
                line.name,
                line.hz
            );
        }
    }
}
