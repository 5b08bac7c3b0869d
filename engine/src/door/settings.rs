//! Settings that an operator may change while calls live, and how all of them are told.

use std::fmt::Write as _;

/// What may be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// Calls at most, over all workers.
    pub(crate) sessions_max: usize,
    /// Seconds without a packet after which a call ends.
    pub(crate) timeout_s: u64,
    /// The same while every party is on hold.
    pub(crate) silent_timeout_s: u64,
    /// Filter of log lines.
    pub(crate) log: String,
}

/// A name of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `maxsessions`
    MaxSessions,
    /// `timeout`
    Timeout,
    /// `silenttimeout`
    SilentTimeout,
    /// `loglevel`
    LogLevel,
}

impl Setting {
    /// What may follow `set`.
    pub(crate) const NAMES: [&str; 4] = ["maxsessions", "timeout", "silenttimeout", "loglevel"];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The setting of this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "maxsessions" => Self::MaxSessions,
            "timeout" => Self::Timeout,
            "silenttimeout" => Self::SilentTimeout,
            "loglevel" => Self::LogLevel,
            _ => return None,
        })
    }
}

/// All settings that are told: at the start, and now.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    start: Live,
    now: Live,
    /// What is never changed, by the name of rtpengine's option.
    fixed: Vec<(&'static str, String)>,
}

impl Settings {
    /// These settings, and what is told besides.
    pub(crate) fn new(start: Live, fixed: Vec<(&'static str, String)>) -> Self {
        Self { now: start.clone(), start, fixed }
    }

    /// What `set` comes to, if the value makes sense. [`apply`](Self::apply) follows.
    ///
    /// # Errors
    /// The text to answer.
    pub(crate) fn change(&self, setting: Setting, value: &str) -> Result<Live, String> {
        let name = setting.name();
        let number: u64 =
            value.parse().map_err(|_| format!("Fail setting {name} to {value}; a number is needed\n"))?;
        let mut live = self.now.clone();
        match setting {
            Setting::MaxSessions | Setting::Timeout | Setting::SilentTimeout if number == 0 => {
                return Err(format!("Fail setting {name} to {value}; there is always a limit\n"));
            }
            Setting::Timeout | Setting::SilentTimeout if number > SECONDS_MAX => {
                return Err(format!("Fail setting {name} to {value}; the longest is {SECONDS_MAX}\n"));
            }
            Setting::MaxSessions => live.sessions_max = usize::try_from(number).unwrap_or(usize::MAX),
            Setting::Timeout => live.timeout_s = number,
            Setting::SilentTimeout => live.silent_timeout_s = number,
            Setting::LogLevel => live.log = crate::config::log_level(number).to_owned(),
        }
        Ok(live)
    }

    /// Takes over what was changed.
    pub(crate) fn apply(&mut self, live: Live) {
        self.now = live;
    }

    /// Takes over what was read again; what was there at the start stays known.
    pub(crate) fn reload(&mut self, read: Self) {
        self.now = read.now;
        self.fixed = read.fixed;
    }

    /// What was there at the start.
    pub(crate) fn start(&self) -> &Live {
        &self.start
    }

    /// The answer to `list NAME`.
    pub(crate) fn list(&self, name: &str) -> Option<String> {
        let fixed = |key| self.fixed.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value);
        Some(match name {
            "maxsessions" => format!("Maximum sessions configured on rtpengine: {}\n", self.now.sessions_max),
            "timeout" => format!("TIMEOUT={}\n", self.now.timeout_s),
            "silenttimeout" => format!("SILENT_TIMEOUT={}\n", self.now.silent_timeout_s),
            "offertimeout" => format!("OFFER_TIMEOUT={}\n", fixed("offer-timeout")),
            "finaltimeout" => format!("FINAL_TIMEOUT={}\n", fixed("final-timeout")),
            "deletedelay" => format!("{}\n", fixed("delete-delay")),
            "controltos" => "0\n".to_owned(),
            "loglevel" => format!("all = {}\n", self.now.log),
            _ => return None,
        })
    }

    /// The answer to `params start`.
    pub(crate) fn at_start(&self) -> String {
        self.told(&self.start)
    }

    /// The answer to `params current`.
    pub(crate) fn now(&self) -> String {
        self.told(&self.now)
    }

    /// The answer to `params diff`.
    pub(crate) fn difference(&self) -> String {
        let (start, now) = (pairs(&self.start), pairs(&self.now));
        let changed = start.iter().zip(&now).filter(|(start, now)| start != now);
        changed.fold(String::new(), |mut text, ((name, start), (_, now))| {
            let _infallible = writeln!(text, "{name}: {start} => {now}");
            text
        })
    }

    fn told(&self, live: &Live) -> String {
        pairs(live).iter().chain(&self.fixed).fold(String::new(), |mut text, (name, value)| {
            let _infallible = writeln!(text, "{name} = {value}");
            text
        })
    }
}

fn pairs(live: &Live) -> [(&'static str, String); 4] {
    [
        ("log-level", live.log.clone()),
        ("max-sessions", live.sessions_max.to_string()),
        ("timeout", live.timeout_s.to_string()),
        ("silent-timeout", live.silent_timeout_s.to_string()),
    ]
}

/// No time set by an operator is longer than a week.
const SECONDS_MAX: u64 = 7 * 24 * 3600;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings at their defaults.
    pub(crate) fn settings() -> Settings {
        let live =
            Live { sessions_max: 20_000, timeout_s: 60, silent_timeout_s: 3600, log: "info".to_owned() };
        Settings::new(live, vec![("delete-delay", "30".to_owned())])
    }

    #[test]
    fn a_setting_is_changed_told_and_reverted() {
        let mut settings = settings();
        assert_eq!(settings.difference(), "");
        let live = settings.change(Setting::MaxSessions, "5").expect("a number");
        settings.apply(live);
        let live = settings.change(Setting::LogLevel, "7").expect("a level");
        settings.apply(live);
        assert_eq!(settings.difference(), "log-level: info => debug\nmax-sessions: 20000 => 5\n");
        assert_eq!(
            settings.list("maxsessions").as_deref(),
            Some("Maximum sessions configured on rtpengine: 5\n")
        );
        assert!(
            settings.now().contains("max-sessions = 5\n") && settings.now().ends_with("delete-delay = 30\n")
        );
        assert!(settings.at_start().contains("max-sessions = 20000\n"));
        settings.apply(settings.start().clone());
        assert_eq!(settings.difference(), "");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_text() {
        let refused = |setting, value| settings().change(setting, value).expect_err("refused");
        assert_eq!(
            refused(Setting::MaxSessions, "-1"),
            "Fail setting maxsessions to -1; a number is needed\n"
        );
        assert_eq!(
            refused(Setting::MaxSessions, "0"),
            "Fail setting maxsessions to 0; there is always a limit\n"
        );
        assert!(refused(Setting::Timeout, "604801").contains("the longest is 604800"));
        assert!(refused(Setting::SilentTimeout, "x").contains("a number is needed"));
    }

    #[test]
    fn names_and_settings_agree() {
        for name in Setting::NAMES {
            let setting = Setting::of(name).expect("it is one");
            assert_eq!(Setting::NAMES[setting as usize], name);
        }
    }
}
