//! Named presets of options, kept at the engine and asked for by name (`template`).

use std::collections::BTreeMap;

/// Presets by name. Each is a text of options as in `rtpp-flags`.
///
/// A message's `template` is read before its own keys, so that they prevail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Templates(BTreeMap<String, String>);

impl Templates {
    /// Presets from names and texts.
    pub fn new(presets: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(presets.into_iter().collect())
    }

    /// The text of a preset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
