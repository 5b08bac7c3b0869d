//! How often each option, command and spelling was asked.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Times by name.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    pub(crate) fn count(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    pub(crate) fn times(&self, name: &str) -> u32 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// A line for each name.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for (name, times) in &self.0 {
            writeln!(table, "{times:>8}  {name}").expect("a string takes every write");
        }
        table
    }
}
