//! Hours of the week that have a price of their own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::LocalTime;

/// A band of hours on some days of the week, by what a clock shows in the tariff's time zone.
///
/// Written `peak=mon-fri/08:00-20:00`. The first minute is in it, the last is not; `22:00-06:00` goes past midnight
/// and belongs to the day it began on; `00:00-24:00` is the whole day. Several bands may have one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Band {
    name: String,
    /// Bit 0 is Monday.
    days: u8,
    from_minute: u16,
    until_minute: u16,
}

impl Band {
    /// The name that rates refer to.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the clock shows a minute of this band.
    #[must_use]
    pub fn contains(&self, local: LocalTime) -> bool {
        let on = |day: u8| self.days & (1 << (day % DAYS)) != 0;
        let (day, minute) = (local.day, local.minute);
        if self.from_minute < self.until_minute {
            return on(day) && (self.from_minute..self.until_minute).contains(&minute);
        }
        (on(day) && minute >= self.from_minute) || (on(day + DAYS - 1) && minute < self.until_minute)
    }

    /// The most bands that one tariff has.
    pub const COUNT_MAX: usize = 16;
}

impl FromStr for Band {
    type Err = BandError;

    fn from_str(text: &str) -> Result<Self, BandError> {
        let (name, hours) = text.split_once('=').ok_or(BandError)?;
        let (days, hours) = hours.split_once('/').ok_or(BandError)?;
        let (from, until) = hours.split_once('-').ok_or(BandError)?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(named) {
            return Err(BandError);
        }
        let (from_minute, until_minute) = (minute(from)?, minute(until)?);
        if from_minute == until_minute || from_minute >= DAY_MINUTES {
            return Err(BandError);
        }
        Ok(Band { name: name.to_owned(), days: read_days(days)?, from_minute, until_minute })
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = (0..DAYS)
            .filter(|day| self.days & (1 << day) != 0)
            .map(|day| DAY_NAMES[usize::from(day)])
            .collect();
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let (from, until) = (clock(self.from_minute), clock(self.until_minute));
        write!(f, "{}={}/{from}-{until}", self.name, names.join(","))
    }
}

impl Serialize for Band {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Band {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The text is no band.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a band of hours such as peak=mon-fri/08:00-20:00")]
pub struct BandError;

/// `mon-fri,sun`: days and spans of days, separated by commas.
fn read_days(text: &str) -> Result<u8, BandError> {
    let day = |name: &str| DAY_NAMES.iter().position(|known| *known == name).ok_or(BandError);
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut first, last) = (day(first)?, day(last)?);
        loop {
            days |= 1 << first;
            if first == last {
                break;
            }
            first = (first + 1) % DAY_NAMES.len();
        }
    }
    Ok(days)
}

/// `HH:MM`, up to 24:00.
fn minute(text: &str) -> Result<u16, BandError> {
    let (hours, minutes) = text.split_once(':').ok_or(BandError)?;
    let number = |digits: &str| match digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse::<u16>().map_err(|_| BandError),
        false => Err(BandError),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    if minutes > 59 || minute > DAY_MINUTES { Err(BandError) } else { Ok(minute) }
}

const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAYS: u8 = 7;
const DAY_MINUTES: u16 = 24 * 60;
const NAME_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_in(band: &str, day: u8, clock: &str) -> bool {
        let band: Band = band.parse().unwrap();
        band.contains(LocalTime { day, minute: minute(clock).unwrap() })
    }

    #[test]
    fn a_band_has_its_first_minute_and_not_its_last() {
        let peak = "peak=mon-fri/08:00-20:00";
        for (day, clock, expected) in [
            (0, "07:59", false),
            (0, "08:00", true),
            (4, "19:59", true),
            (4, "20:00", false),
            (5, "12:00", false),
        ] {
            assert_eq!(is_in(peak, day, clock), expected, "{day} {clock}");
        }
        assert!(is_in("week-end=sat,sun/00:00-24:00", 6, "23:59"));
        assert!(!is_in("week-end=sat,sun/00:00-24:00", 0, "00:00"));
        // A span of days goes round the week.
        assert!(is_in("x=sat-mon/00:00-24:00", 0, "12:00"));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_began_on() {
        let night = "night=fri/22:00-06:00";
        assert!(is_in(night, 4, "22:00"));
        assert!(is_in(night, 5, "05:59"));
        assert!(!is_in(night, 5, "06:00"));
        assert!(!is_in(night, 4, "05:00"));
        assert!(!is_in(night, 5, "22:00"));
        // From Sunday to Monday.
        assert!(is_in("night=sun/22:00-06:00", 0, "01:00"));
    }

    #[test]
    fn what_is_no_band_is_refused() {
        for text in [
            "",
            "peak",
            "peak=mon",
            "=mon/08:00-20:00",
            "a b=mon/08:00-20:00",
            "peak=day/08:00-20:00",
            "peak=/08:00-20:00",
            "peak=mon/8:00-20:00",
            "peak=mon/08:00-24:01",
            "peak=mon/08:60-20:00",
            "peak=mon/08:00-08:00",
            "peak=mon/24:00-08:00",
            "peak=mon/+8:00-20:00",
        ] {
            assert_eq!(text.parse::<Band>(), Err(BandError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_reverses_writing(days in 1_u8..128, from in 0_u16..1440, until in 0_u16..=1440) {
            prop_assume!(from != until);
            let band = Band { name: "peak".to_owned(), days, from_minute: from, until_minute: until };
            prop_assert_eq!(band.to_string().parse(), Ok(band));
        }

        #[test]
        fn reading_never_panics(text in "[a-z=/:,0-9-]{0,40}|\\PC{0,40}") {
            let _ = text.parse::<Band>();
        }
    }
}
