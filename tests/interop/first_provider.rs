//! The page for a first provider, typed as it stands: a certificate, an account, a carrier, a phone, a paid call.

use std::process::Command;

use serde_json::Value;
use tests::process::{await_some, tollgate};
use tests::{Address, Process};

const PAGE: &str = include_str!("../../deploy/first-provider.md");

#[test]
fn the_page_for_a_first_provider_leads_to_a_paid_call() {
    let at = Address::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What comes before the certificate installs and builds; that is tests/run's work here.
    let typed = blocks(PAGE).filter(|block| !block.contains("apt-get"));
    let (before, after): (Vec<&str>, Vec<&str>) =
        typed.partition(|block| !block.contains("tollgate cdr list"));
    let (end, before) = before.split_last().expect("the page has blocks");
    assert!(end.starts_with("kill "), "the page ends what it began: {end}");

    let script = format!("set -e\n{}\nwait", before.join("\n")).replace("127.0.0.1", &at.to_string());
    let path = std::env::var("PATH").unwrap_or_default();
    let tools = tollgate().parent().expect("tollgate is in a folder").display().to_string();
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path()).env("PATH", format!("{tools}:{path}"));
    // The background jobs of the page belong to its process group and end with it.
    let _typed = Process::start("the page", &mut command);

    let record = await_some("a call record", || {
        let text = std::fs::read_to_string(folder.path().join("cdr.jsonl")).ok()?;
        serde_json::from_str::<Value>(text.lines().next()?).ok()
    });
    assert_eq!(record["account"], "alice", "{record:#}");
    assert_eq!(record["callee"], "4930123456", "{record:#}");
    assert_eq!(record["sip_status"], 200, "{record:#}");
    assert_eq!(record["charge"], "0.012", "{record:#}");
    for side in ["caller", "callee"] {
        assert!(record["media"][side]["packets_received"].as_u64() > Some(100), "{side} of {record:#}");
    }

    let script = format!("set -e\nexport TOLLGATE_DATABASE=tollgate.db\n{}", after.join("\n"));
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path()).env("PATH", format!("{tools}:{path}"));
    let output = command.output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in
        ["200 normal clearing, 60 s billed, 0.012 EUR", "balance 9.988 EUR", "1 call records: all agree"]
    {
        assert!(said.contains(line) && PAGE.contains(line), "{line} in\n{said}");
    }
}

/// The blocks of a page that are typed into a shell.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next())
}
