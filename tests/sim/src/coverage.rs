//! Which ways were gone, for which reasons datagrams were dropped, where faults struck and why calls ended.

use std::collections::BTreeMap;
use std::fmt;

use engine_core::DropReason;
use engine_core::sim::{Fault, Way};
use ng::{EndReason, Refusal};

use crate::door::DOOR;

/// How often each row of the table was reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    rows: BTreeMap<String, u64>,
}

impl Coverage {
    /// A table in which every row is there, and none was reached.
    pub fn new() -> Self {
        let mut new = Self::default();
        new.ways(Way::ALL.iter().map(|&way| (way, 0)));
        DropReason::ALL.iter().for_each(|&reason| new.add(drop(reason), 0));
        Fault::ALL.iter().for_each(|&fault| new.add(fault_row(fault), 0));
        EndReason::ALL.iter().for_each(|&reason| new.add(end(reason), 0));
        Refusal::ALL.iter().for_each(|&reason| new.refused(reason, 0));
        DOOR.iter().for_each(|what| new.add(format!("door   {what}"), 0));
        new
    }

    pub(crate) fn ways(&mut self, ways: impl IntoIterator<Item = (Way, u64)>) {
        for (way, count) in ways {
            self.add(format!("way    {}", way.as_str()), count);
        }
    }

    pub(crate) fn dropped(&mut self, reason: DropReason, count: u64) {
        self.add(drop(reason), count);
    }

    pub(crate) fn refused(&mut self, reason: Refusal, count: u64) {
        self.add(format!("refuse {}", reason.as_str()), count);
    }

    pub(crate) fn door(&mut self, seen: &BTreeMap<&'static str, u64>) {
        seen.iter().for_each(|(what, count)| self.add(format!("door   {what}"), *count));
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.add(fault_row(fault), 1);
    }

    pub(crate) fn ended(&mut self, reason: EndReason) {
        self.add(end(reason), 1);
    }

    /// Takes in what another world reached.
    pub fn join(&mut self, other: &Self) {
        for (row, count) in &other.rows {
            self.add(row.clone(), *count);
        }
    }

    /// Rows that were never reached, though the parties here could have reached them.
    pub fn missing(&self) -> Vec<&str> {
        let rows = self.rows.iter().filter(|(_, count)| **count == 0).map(|(row, _)| row.as_str());
        let unspoken = |row: &&str| ICE.contains(row) || DTLS.iter().any(|word| row.contains(word));
        rows.filter(|row| !unspoken(row)).collect()
    }

    fn add(&mut self, row: String, count: u64) {
        *self.rows.entry(row).or_default() += count;
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(row, count)| writeln!(f, "{count:>10}  {row}"))
    }
}

/// Words of rows of handshakes, whose libraries draw randomness of their own: the core's tests reach them
/// (`shard/tests/dtls.rs`).
const DTLS: [&str; 3] = ["dtls", "handshake", "hello"];
/// Rows of ICE, which the parties here do not speak: the core's own tests reach them.
const ICE: [&str; 9] = [
    "drop   check_malformed",
    "drop   check_unauthentic",
    "drop   check_sources",
    "way    ice: checks with a party begin",
    "way    ice: begun anew",
    "way    ice: an address was nominated",
    "way    ice: nobody answers any more",
    "way    ice: no pair answers",
    "way    later: checks of ICE are due",
];

fn drop(reason: DropReason) -> String {
    format!("drop   {}", reason.as_str())
}

fn fault_row(fault: Fault) -> String {
    format!("fault  {fault:?}")
}

fn end(reason: EndReason) -> String {
    format!("end    {}", reason.as_str())
}
