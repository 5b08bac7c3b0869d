//! Wall time of records: milliseconds since the Unix epoch, RFC 3339 text in JSON.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Serialised as `2026-11-22T21:16:41.123Z`. Only records use it; durations come from the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(pub u64);

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0 / DAY_MS, self.0 % DAY_MS);
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}

impl FromStr for WallTime {
    type Err = WallTimeError;

    /// Reads exactly the form that `Display` writes.
    fn from_str(text: &str) -> Result<Self, WallTimeError> {
        let bytes = text.as_bytes();
        let shape = b"dddd-dd-ddTdd:dd:dd.dddZ";
        let fits = bytes.len() == shape.len()
            && bytes.iter().zip(shape).all(|(b, s)| if *s == b'd' { b.is_ascii_digit() } else { b == s });
        if !fits {
            return Err(WallTimeError);
        }
        let number = |from: usize, to: usize| text[from..to].parse::<u64>().map_err(|_| WallTimeError);
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(WallTimeError);
        }
        let ms = number(11, 13)? * 3_600_000 + number(14, 16)? * 60_000 + number(17, 19)? * 1000;
        Ok(Self(days_of(year, month, day) * DAY_MS + ms + number(20, 23)?))
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not `YYYY-MM-DDThh:mm:ss.mmmZ` of 1970 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UTC time as YYYY-MM-DDThh:mm:ss.mmmZ")]
pub struct WallTimeError;

const DAY_MS: u64 = 86_400_000;

/// Days of the proleptic Gregorian calendar before 1970-01-01, counted from 0000-03-01.
const EPOCH_DAYS: u64 = 719_468;

/// Years are counted from March, so that the leap day is a year's last.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_instants_are_written_as_everybody_writes_them() {
        assert_eq!(WallTime(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(WallTime(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(WallTime(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "2023-11-14", "2023-13-14T22:13:20.123Z", "2023-11-14T22:13:20Z"] {
            assert_eq!(text.parse::<WallTime>(), Err(WallTimeError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same_instant(ms in 0u64..253_402_300_800_000) {
            prop_assert_eq!(WallTime(ms).to_string().parse(), Ok(WallTime(ms)));
        }
    }
}
