//! Settings that an operator may change while calls live, and how all of them are told.

use std::fmt::Write as _;

use crate::load::LoadLimits;

/// What may be changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    /// Calls at most, over all workers.
    pub(crate) sessions_max: usize,
    /// Seconds without a packet after which a call ends.
    pub(crate) timeout_s: u64,
    /// The same while every party is on hold.
    pub(crate) silent_timeout_s: u64,
    /// Load at which new calls are refused.
    pub(crate) load: LoadLimits,
    /// Filter of log lines.
    pub(crate) log: String,
}

/// A name of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `maxopenfiles`: of the process, and no part of [`Live`].
    MaxOpenFiles,
    /// `maxsessions`
    MaxSessions,
    /// `maxcpu`
    MaxCpu,
    /// `maxload`
    MaxLoad,
    /// `maxbw`
    MaxBandwidth,
    /// `timeout`
    Timeout,
    /// `silenttimeout`
    SilentTimeout,
    /// `loglevel`
    LogLevel,
}

impl Setting {
    /// What may follow `set`.
    pub(crate) const NAMES: [&str; 8] =
        ["maxopenfiles", "maxsessions", "maxcpu", "maxload", "maxbw", "timeout", "silenttimeout", "loglevel"];

    /// Every one, as named.
    const ALL: [Self; 8] = [
        Self::MaxOpenFiles,
        Self::MaxSessions,
        Self::MaxCpu,
        Self::MaxLoad,
        Self::MaxBandwidth,
        Self::Timeout,
        Self::SilentTimeout,
        Self::LogLevel,
    ];

    /// The setting of this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).map(|index| Self::ALL[index])
    }

    /// What rtpengine calls it in its answers.
    fn answered(self) -> &'static str {
        match self {
            Self::MaxOpenFiles => "open_files",
            Self::SilentTimeout => "timeout",
            other => Self::NAMES[other as usize],
        }
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

    /// What `set` comes to, and what is answered, if the value makes sense. [`apply`](Self::apply) follows.
    ///
    /// # Errors
    /// The text to answer; rtpengine's, letter for letter, where it is rtpengine's reason too.
    pub(crate) fn change(&self, setting: Setting, value: &str) -> Result<(Live, String), String> {
        let name = setting.answered();
        let fail = |why: &str| Err(format!("Fail setting {name} to {value}; {why}\n"));
        let Ok(number) = value.parse::<f64>() else { return fail("no digists found") };
        let whole = value.parse::<u64>();
        let mut live = self.now.clone();
        // Zero is no limit.
        let limit = (number > 0.0).then_some(number);
        let told = match (setting, whole) {
            (Setting::MaxCpu | Setting::MaxLoad, _) if !number.is_finite() || number < 0.0 => {
                return fail("no limit is below zero");
            }
            (Setting::MaxCpu, _) => {
                live.load.cpu_percent_max = limit;
                format!("{number:.1}")
            }
            (Setting::MaxLoad, _) => {
                live.load.load_max = limit;
                format!("{number:.2}")
            }
            (_, Err(_)) => return fail("a whole number is needed, and not below zero"),
            (Setting::Timeout | Setting::SilentTimeout, Ok(0)) => return fail("there is always a limit"),
            (Setting::Timeout | Setting::SilentTimeout, Ok(SECONDS_BEYOND..)) => {
                return fail(&format!("the longest is {SECONDS_MAX}"));
            }
            (setting, Ok(whole)) => {
                match setting {
                    Setting::MaxSessions => live.sessions_max = usize::try_from(whole).unwrap_or(usize::MAX),
                    Setting::MaxBandwidth => {
                        live.load.bytes_per_second_max = Some(whole).filter(|bytes| *bytes > 0);
                    }
                    Setting::Timeout => live.timeout_s = whole,
                    Setting::SilentTimeout => live.silent_timeout_s = whole,
                    Setting::LogLevel => live.log = crate::config::log_level(whole).to_owned(),
                    Setting::MaxOpenFiles => return Err(crate::limits::set_open_files(whole)),
                    Setting::MaxCpu | Setting::MaxLoad => unreachable!("they are numbers with a fraction"),
                }
                whole.to_string()
            }
        };
        Ok((live, format!("Success setting {name} to {told}\n")))
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
        let load = &self.now.load;
        let fixed = |key| self.fixed.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value);
        Some(match name {
            "maxsessions" => format!("Maximum sessions configured on rtpengine: {}\n", self.now.sessions_max),
            "maxcpu" => {
                let percent = load.cpu_percent_max.unwrap_or(0.0);
                format!("Maximum CPU usage configured on rtpengine: {percent:.1}\n")
            }
            "maxload" => {
                let load = load.load_max.unwrap_or(0.0);
                format!("Maximum load average configured on rtpengine: {load:.2}\n")
            }
            "maxbw" => {
                let bytes = load.bytes_per_second_max.unwrap_or(0);
                format!("Maximum bandwidth configured on rtpengine: {bytes}\n")
            }
            "maxopenfiles" => crate::limits::open_files(),
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

fn pairs(live: &Live) -> [(&'static str, String); 7] {
    let load = &live.load;
    [
        ("log-level", live.log.clone()),
        ("max-sessions", live.sessions_max.to_string()),
        ("max-cpu", load.cpu_percent_max.unwrap_or(0.0).to_string()),
        ("max-load", load.load_max.unwrap_or(0.0).to_string()),
        ("max-bandwidth", load.bytes_per_second_max.unwrap_or(0).to_string()),
        ("timeout", live.timeout_s.to_string()),
        ("silent-timeout", live.silent_timeout_s.to_string()),
    ]
}

/// No time set by an operator is longer than a week.
const SECONDS_MAX: u64 = 7 * 24 * 3600;
const SECONDS_BEYOND: u64 = SECONDS_MAX + 1;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings at their defaults.
    pub(crate) fn settings() -> Settings {
        let live = Live {
            sessions_max: 20_000,
            timeout_s: 60,
            silent_timeout_s: 3600,
            log: "info".to_owned(),
            ..Live::default()
        };
        Settings::new(live, vec![("delete-delay", "30".to_owned())])
    }

    #[test]
    fn a_setting_is_changed_told_and_reverted() {
        let mut settings = settings();
        assert_eq!(settings.difference(), "");
        for (setting, value, said) in [
            (Setting::MaxSessions, "5", "Success setting maxsessions to 5\n"),
            (Setting::LogLevel, "7", "Success setting loglevel to 7\n"),
        ] {
            let (live, text) = settings.change(setting, value).expect("a number");
            assert_eq!(text, said);
            settings.apply(live);
        }
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
            "Fail setting maxsessions to -1; a whole number is needed, and not below zero\n"
        );
        assert_eq!(refused(Setting::Timeout, "0"), "Fail setting timeout to 0; there is always a limit\n");
        assert!(refused(Setting::Timeout, "604801").contains("the longest is 604800"));
        assert_eq!(refused(Setting::SilentTimeout, "x"), "Fail setting timeout to x; no digists found\n");
        for value in ["-1", "-0.5", "inf", "NaN"] {
            assert!(refused(Setting::MaxLoad, value).contains("no limit is below zero"), "{value}");
        }
        assert!(refused(Setting::MaxBandwidth, "1.5").contains("a whole number"));
        assert!(refused(Setting::MaxOpenFiles, "1000").contains("can't set it under 65536"));
    }

    #[test]
    fn zero_is_no_limit_of_load_and_no_new_call_at_all() {
        let changed = |setting, value| settings().change(setting, value).expect("a number");
        let (live, text) = changed(Setting::MaxCpu, "80");
        assert_eq!(
            (live.load.cpu_percent_max, text.as_str()),
            (Some(80.0), "Success setting maxcpu to 80.0\n")
        );
        assert_eq!(changed(Setting::MaxLoad, "0").0.load, LoadLimits::default());
        assert_eq!(changed(Setting::MaxBandwidth, "0").0.load, LoadLimits::default());
        assert_eq!(changed(Setting::MaxSessions, "0").0.sessions_max, 0);
    }

    #[test]
    fn names_and_settings_agree() {
        for (name, setting) in Setting::NAMES.into_iter().zip(Setting::ALL) {
            assert_eq!((Setting::of(name), Setting::NAMES[setting as usize]), (Some(setting), name));
        }
        assert_eq!(Setting::of("nothing"), None);
    }
}
