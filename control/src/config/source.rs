//! Where values come from: one TOML file, overridden by the environment,
//! overridden by flags.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors, Origin};
use super::raw::Raw;
use super::settings::{ENVIRONMENT_PREFIX, Kind, SETTINGS, Setting};

/// Largest configuration file read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything an operator said, not yet checked.
///
/// A later override of a key replaces an earlier one, so the usual order is
/// [`ConfigSource::file`], [`ConfigSource::environment`], then one
/// [`ConfigSource::set`] per flag.
#[derive(Debug, Default, Clone)]
pub struct ConfigSource {
    file: Option<(PathBuf, String)>,
    overrides: Vec<Override>,
}

#[derive(Debug, Clone)]
struct Override {
    key: String,
    value: String,
    name: String,
}

impl ConfigSource {
    /// Nothing said yet: every setting has its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is longer than 1 MiB or is not UTF-8.
    pub fn file(mut self, path: &Path) -> Result<Self, ConfigErrors> {
        let fail = |reason: String, remedy: &str| {
            ConfigErrors(vec![ConfigError {
                origin: Origin::Override(path.display().to_string()),
                key: String::new(),
                reason,
                remedy: remedy.to_owned(),
            }])
        };
        let size = fs::metadata(path)
            .map_err(|error| fail(format!("cannot be read: {error}"), "name an existing file"))?
            .len();
        if size > FILE_BYTES_MAX {
            return Err(fail(format!("{size} bytes"), "a configuration file has at most 1 MiB"));
        }
        let text = fs::read_to_string(path)
            .map_err(|error| fail(format!("cannot be read: {error}"), "it must be UTF-8 text"))?;
        self.file = Some((path.to_owned(), text));
        Ok(self)
    }

    /// Takes `text` as if it had been read from `path`.
    pub fn text(mut self, path: &Path, text: &str) -> Self {
        self.file = Some((path.to_owned(), text.to_owned()));
        self
    }

    /// Takes every variable that starts with `TOLLGATE_CONTROL_`; others are not ours.
    ///
    /// # Errors
    /// A variable with that prefix that names no setting.
    pub fn environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        for (name, value) in variables {
            if !name.starts_with(ENVIRONMENT_PREFIX) {
                continue;
            }
            match SETTINGS.iter().find(|setting| setting.environment_name() == name) {
                Some(setting) => self = self.set(setting.key, &value, &name),
                None => errors.push(ConfigError {
                    origin: Origin::Override(name),
                    key: String::new(),
                    reason: "no setting has this environment variable".to_owned(),
                    remedy: "unset it, or see the list of settings".to_owned(),
                }),
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(ConfigErrors(errors)) }
    }

    /// Overrides one setting. `key` is its dotted path, `name` is what the
    /// operator wrote (`--database`), for error messages. A list takes a TOML
    /// value: `[{ transport = "udp", address = "127.0.0.1:5060" }]`.
    pub fn set(mut self, key: &str, value: &str, name: &str) -> Self {
        self.overrides.retain(|known| known.key != key);
        self.overrides.push(Override { key: key.to_owned(), value: value.to_owned(), name: name.to_owned() });
        self
    }

    /// Parses file and overrides into one raw configuration.
    pub(super) fn read(&self) -> Result<(Raw, Places), ConfigErrors> {
        let (path, text) = self.file.clone().unwrap_or_default();
        let mut places = Places { path, text, overrides: Vec::new() };
        // The overrides become a second document, padded to begin where the
        // file ends: one byte position then names one place in both.
        let mut document = "\n".repeat(places.text.len());
        for known in &self.overrides {
            let value = match Setting::find(&known.key).map(|setting| setting.kind) {
                None => {
                    return Err(ConfigErrors(vec![ConfigError {
                        origin: Origin::Override(known.name.clone()),
                        key: known.key.clone(),
                        reason: "there is no such setting".to_owned(),
                        remedy: "see the list of settings".to_owned(),
                    }]));
                }
                Some(Kind::Text { .. }) => toml::Value::String(known.value.clone()).to_string(),
                Some(_) => known.value.replace(['\n', '\r'], " "),
            };
            document.push_str(&format!("{} = {value}\n", known.key));
            places.overrides.push((document.len(), known.clone()));
        }
        let mut raw = parse(&places.text, &places)?;
        raw.overlay(parse(&document, &places)?);
        Ok((raw, places))
    }
}

/// Turns a byte position into the place an operator can look at.
#[derive(Debug)]
pub(super) struct Places {
    path: PathBuf,
    text: String,
    /// Each override with the position just behind it.
    overrides: Vec<(usize, Override)>,
}

impl Places {
    pub(super) fn at(&self, position: usize) -> Origin {
        if let Some(before) = self.text.get(..position) {
            let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
            if position < self.text.len() || self.overrides.is_empty() {
                return Origin::File { path: self.path.clone(), line };
            }
        }
        self.overrides
            .iter()
            .find(|(end, _)| position < *end)
            .or_else(|| self.overrides.last())
            .map_or(Origin::Absent, |(_, known)| Origin::Override(known.name.clone()))
    }
}

fn parse(document: &str, places: &Places) -> Result<Raw, ConfigErrors> {
    toml::from_str(document).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        ConfigErrors(vec![ConfigError {
            origin: places.at(span.start),
            key: document.get(span).unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned(),
            reason: error.message().to_owned(),
            remedy: "see the example in deploy/control.toml".to_owned(),
        }])
    })
}
