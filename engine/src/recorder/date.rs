//! A time of day as people write it, in UTC.

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u64,
    pub(super) month: u64,
    pub(super) day: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
}

impl Date {
    /// Of milliseconds since the Unix epoch.
    pub(super) fn of(wall_ms: u64) -> Self {
        let seconds = wall_ms / 1000;
        let (mut days, time) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970;
        // The Gregorian calendar repeats every 400 years.
        year += days / DAYS_OF_400_YEARS * 400;
        days %= DAYS_OF_400_YEARS;
        while days >= days_of(year) {
            days -= days_of(year);
            year += 1;
        }
        let mut month = 1;
        for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        Self { year, month, day: days + 1, hour: time / 3600, minute: time / 60 % 60, second: time % 60 }
    }
}

/// As `2026-11-27T20:29:06`.
impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

const DAYS_OF_400_YEARS: u64 = 146_097;

fn days_of(year: u64) -> u64 {
    365 + u64::from(is_leap(year))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_795_811_346, "2026-11-27T20:29:06"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (13_574_649_599, "2400-02-29T23:59:59"),
        ] {
            assert_eq!(Date::of(seconds * 1000 + 999).to_string(), text);
        }
    }
}
