//! What the books must say of a call whose length no scenario fixes to the second.

use serde_json::Value;
use tests::Node;
use tests::process::await_some;

use crate::paid_provider::only_record;

/// The record of the only call of alice, who had 5.00: charged for the seconds it names, at the price of
/// [`paid_provider`](crate::paid_provider), and for as many as its duration has; all else balances.
pub(crate) fn only_record_by_length(node: &Node) -> Value {
    let record = await_some("a call record", || node.records().pop());
    let seconds = record["billed_seconds"].as_u64().expect("seconds");
    let talk_ms = record["talk_ms"].as_u64().expect("milliseconds");
    // The last milliseconds of a call that its hold ended are beyond the hold, and free.
    let talked = talk_ms.div_ceil(1000);
    assert!(seconds == talked || seconds + 1 == talked && record["charge"] == record["held"], "{record:#}");
    // In units of 0.0001: 0.05 for the answer, 0.1234 a minute, rounded up.
    let charge = 500 + (seconds * 1234).div_ceil(60);
    assert_eq!(record["charge"], decimal(charge), "{record:#}");
    only_record(node, &decimal(50_000 - charge))
}

/// So many units of 0.0001 as the ledger writes them.
fn decimal(units: u64) -> String {
    let text = format!("{}.{:04}", units / 10_000, units % 10_000);
    let short = text.trim_end_matches('0');
    let decimals = short.len() - short.find('.').map_or(0, |point| point + 1);
    text[..short.len() + 2usize.saturating_sub(decimals)].to_owned()
}
