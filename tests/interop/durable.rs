//! Nobody hears what depends on the database before it is on the disk: the system calls of control say so.

use std::path::Path;

use tests::process::await_some;
use tests::{Address, Body, Engine, Plan, Scenario, Sipp};

use crate::paid_provider::{alice, calls, setup, takes};

/// One system call, at its beginning or, of those that wait, at its end.
#[derive(Debug)]
enum Step {
    /// A datagram came in, whole.
    Received(String),
    /// A datagram is about to go out.
    Sends(String),
    /// Something was written to the database's log.
    Written,
    /// What was written to the database's log before is on the disk.
    Durable,
}

/// The steps of a trace in the order in which the kernel saw them.
fn steps(trace: &str) -> Vec<Step> {
    let mut waiting = std::collections::HashMap::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let is_of_database = |call: &str| call.contains("ledger.db-wal>") || call.contains("ledger.db>");
        if call.starts_with("sendto(") || call.starts_with("sendmsg(") || call.starts_with("sendmmsg(") {
            steps.push(Step::Sends(call.to_owned()));
        } else if call.starts_with("recvfrom(") || call.contains("recvfrom resumed>") {
            steps.push(Step::Received(call.to_owned()));
        } else if call.starts_with("pwrite64(") && is_of_database(call) {
            steps.push(Step::Written);
        } else if call.starts_with("fdatasync(") && is_of_database(call) {
            if call.ends_with("<unfinished ...>") {
                waiting.insert(thread.to_owned(), ());
            } else {
                assert!(call.ends_with("= 0"), "{line}");
                steps.push(Step::Durable);
            }
        } else if call.contains("fdatasync resumed>") && waiting.remove(thread).is_some() {
            assert!(call.ends_with("= 0"), "{line}");
            steps.push(Step::Durable);
        }
    }
    steps
}

/// Whether `call` carries a SIP message that begins so, with this method in its CSeq.
fn carries(call: &str, begins: &str, method: &str) -> bool {
    call.contains(&format!("\"{begins}")) && call.contains(&format!(" {method}\\r\\n"))
}

/// Asserts that between the last arrival of `cause` before it and the departure of the first `effect` something was
/// written, and all of it became durable.
fn assert_durable_between(steps: &[Step], cause: (&str, &str), effect: (&str, &str)) {
    let came = |step: &Step| matches!(step, Step::Received(call) if carries(call, cause.0, cause.1));
    let goes = |step: &Step| matches!(step, Step::Sends(call) if carries(call, effect.0, effect.1));
    let until = steps.iter().position(goes).unwrap_or_else(|| panic!("no {effect:?} went: {steps:#?}"));
    let since = steps[..until].iter().rposition(came);
    let since = since.unwrap_or_else(|| panic!("{effect:?} went before {cause:?} came: {steps:#?}"));
    let between = &steps[since..until];
    let written = between.iter().rposition(|step| matches!(step, Step::Written));
    let written = written.unwrap_or_else(|| panic!("nothing was written before {effect:?}: {between:#?}"));
    assert!(
        between[written..].iter().any(|step| matches!(step, Step::Durable)),
        "{effect:?} went before the write was durable: {between:#?}"
    );
}

/// Alice calls `carrier` by `scenario` with `credit`; the system calls of control meanwhile.
fn traced(at: Address, carrier: &Sipp, scenario: Scenario, credit: &str) -> Vec<Step> {
    let engine = Engine::start(at, &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("trace");
    let path = file.display().to_string();
    let kinds = "trace=fsync,fdatasync,pwrite64,sendto,sendmsg,sendmmsg,recvfrom";
    let launcher = ["strace", "-f", "-y", "-s", "4000", "-e", kinds, "-e", "signal=none", "-o", &path];
    let node = setup(at, &[&engine], &[carrier], credit).under(&launcher).start();
    let mut caller = alice(&node, scenario).pause_ms(100).start(at);
    caller.await_success();
    await_some("a call record", || node.records().pop());
    drop(node);
    let trace = std::fs::read_to_string(Path::new(&path)).expect("strace wrote");
    steps(&trace)
}

#[test]
fn the_call_is_on_the_disk_before_the_carrier_hears_of_it_and_the_answer_before_anybody_hears_of_it() {
    let at = Address::new();
    let mut carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let steps = traced(at, &carrier, calls().pauses().hangs_up(), "5.00");
    carrier.await_success();
    // The phone's second INVITE brings the digest; the hold is durable before the carrier is dialled.
    assert_durable_between(&steps, ("INVITE ", "INVITE"), ("INVITE ", "INVITE"));
    assert_durable_between(&steps, ("SIP/2.0 200", "INVITE"), ("SIP/2.0 200", "INVITE"));
    assert_durable_between(&steps, ("SIP/2.0 200", "INVITE"), ("ACK ", "ACK"));
}

#[test]
fn the_record_of_a_call_without_credit_is_on_the_disk_before_its_402_goes_out() {
    let at = Address::new();
    let carrier = Plan::new(takes().is_hung_up_on()).start(at);
    let refused = Scenario::caller("caller").invite(Body::Audio).is_refused(402);
    let steps = traced(at, &carrier, refused, "0.01");
    assert_durable_between(&steps, ("INVITE ", "INVITE"), ("SIP/2.0 402", "INVITE"));
}
