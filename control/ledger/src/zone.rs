//! What a clock on the wall shows in a named time zone (`adr/0002-peak-hours-and-time-zones.md`).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A time zone of the IANA database, such as `Europe/Berlin`, with the rules that this program was built with.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// Its name in the database.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the clock shows at an instant in milliseconds since the Unix epoch; nothing beyond the year 9999.
    ///
    /// # Cost
    /// A search among the changes of the zone's offset, no allocation.
    #[must_use]
    pub fn local(&self, at_ms: u64) -> Option<LocalTime> {
        let at = Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?;
        let shown = self.0.to_datetime(at);
        let day = u8::try_from(shown.weekday().to_monday_zero_offset()).ok()?;
        let minute = u16::try_from(shown.hour()).ok()? * 60 + u16::try_from(shown.minute()).ok()?;
        Some(LocalTime { day, minute })
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        if name == "UTC" {
            return Ok(Zone::UTC);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(ZoneError);
        }
        TimeZoneDatabase::bundled().get(name).map(Zone).map_err(|_| ZoneError)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A day of the week and a minute of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTime {
    /// 0 is Monday.
    pub day: u8,
    /// Minutes since the clock showed midnight: what it shows, not what has passed.
    pub minute: u16,
}

/// The text names no time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a time zone such as Europe/Berlin or UTC")]
pub struct ZoneError;

/// Longer than any name in the database.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Milliseconds of an instant written as in RFC 3339.
    pub(crate) fn at(text: &str) -> u64 {
        let at: Timestamp = text.parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    }

    #[test]
    fn the_clock_on_the_wall_is_read_in_winter_and_in_summer() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        // Both are a Monday.
        let winter = berlin.local(at("2026-01-12T07:00:00Z")).unwrap();
        let summer = berlin.local(at("2026-07-13T07:00:00Z")).unwrap();
        assert_eq!(winter, LocalTime { day: 0, minute: 8 * 60 });
        assert_eq!(summer, LocalTime { day: 0, minute: 9 * 60 });
        assert_eq!(berlin.to_string(), "Europe/Berlin");
        assert_eq!(Zone::UTC.local(0), Some(LocalTime { day: 3, minute: 0 }));
        assert_eq!(Zone::UTC.local(u64::MAX), None);
    }

    #[test]
    fn an_unknown_zone_is_refused() {
        for name in ["", "Mars/Olympus", "Berlin", "../etc/passwd", &"x".repeat(65)] {
            assert_eq!(name.parse::<Zone>(), Err(ZoneError), "{name:?}");
        }
        assert_eq!("UTC".parse(), Ok(Zone::UTC));
    }
}
