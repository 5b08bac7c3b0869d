//! What the tests of paid calls share: a provider with one account, one price and some carriers, and its books.

use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Body, Engine, Node, Plan, Scenario, Setup, Sipp};

/// What alice has before a test: enough for anything.
pub(crate) const CREDIT: &str = "5.00";

/// The number that the tests call; it begins with the only prefix that has a price.
pub(crate) const NUMBER: &str = "4930123456";

/// 0.1234 a minute by the second, and 0.05 for being answered: after rounding, no two durations cost the same.
pub(crate) const RATE: &str = "rate add 49 --price 0.1234 --connection-fee 0.05";

/// A provider for alice with `credit`, whose calls go to `carriers` in that order.
pub(crate) fn setup(at: Address, engines: &[&Engine], carriers: &[&Sipp], credit: &str) -> Setup {
    let engines: Vec<_> = engines.iter().map(|engine| engine.ng).collect();
    // Without a bound on one call, the first one would hold all that there is.
    let setup =
        Setup::new(at, &engines).account_with("alice", credit, "--max-call-seconds 600").command(RATE);
    with_carriers(setup, carriers)
}

/// The carriers as trunks `carrier-0`, `carrier-1`, …; each has a second to show that it lives.
pub(crate) fn with_carriers(mut setup: Setup, carriers: &[&Sipp]) -> Setup {
    for (index, carrier) in carriers.iter().enumerate() {
        setup = setup.command(&format!(
            "trunk add carrier-{index} sip:{};transport=udp --media plain --priority {index} --setup-timeout-seconds 1",
            carrier.address
        ));
    }
    setup
}

/// One engine, one control, and alice with [`CREDIT`].
pub(crate) fn provider(at: Address, carriers: &[&Sipp]) -> (Engine, Node) {
    let engine = Engine::start(at, &[]);
    let node = setup(at, &[&engine], carriers, CREDIT).start();
    (engine, node)
}

/// Alice, who calls [`NUMBER`] by `scenario`.
pub(crate) fn alice(node: &Node, scenario: Scenario) -> Plan {
    Plan::new(scenario).to(node.sip).account("alice").number(NUMBER)
}

/// A caller up to the ACK.
pub(crate) fn calls() -> Scenario {
    Scenario::caller("caller").invite(Body::Audio).is_answered().ack(Body::Empty)
}

/// A carrier up to the ACK.
pub(crate) fn takes() -> Scenario {
    Scenario::carrier("carrier").answers(180, Body::Empty).answers(200, Body::Audio)
}

/// The record of the only call, after a look at every other book: alice has `balance` and nothing is held, the ledger
/// agrees with itself, and database and file hold this record alone.
pub(crate) fn only_record(node: &Node, balance: &str) -> Value {
    let records = records(node, 1, balance);
    records.into_iter().next().expect("as many as were waited for")
}

/// The records of all `count` calls, oldest first; otherwise as [`only_record`].
pub(crate) fn records(node: &Node, count: usize, balance: &str) -> Vec<Value> {
    let records = await_some(&format!("{count} call records"), || {
        let records = node.records();
        (records.len() >= count).then_some(records)
    });
    let mut listed = node.json("cdr list --count 100")["cdrs"].as_array().expect("a list of records").clone();
    listed.reverse();
    assert_eq!(listed, records, "the database and the file tell the same calls");
    assert_eq!(records.len(), count, "{records:#?}");
    let account = node.json("account show alice");
    assert_eq!((account["balance"].as_str(), account["held"].as_str()), (Some(balance), Some("0.00")));
    assert_eq!(node.json("ledger verify")["ok"], json!(true));
    records
}

/// Holds `record` against what it must say; keys that are not named may be anything.
#[track_caller]
pub(crate) fn assert_says(record: &Value, expected: &Value) {
    for (key, value) in expected.as_object().expect("an object of expectations") {
        assert_eq!(&record[key], value, "{key} of {record:#}");
    }
}
