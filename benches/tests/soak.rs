//! The soak and the look at memory still run, in their small size. Nothing here is timed, and a build for tests says nothing of
//! what a call takes.

use std::path::Path;
use std::process::Command;

fn soak(arguments: &[&str]) -> String {
    let bench = Path::new(env!("CARGO_BIN_EXE_soak"));
    let tollgate = bench.with_file_name("tollgate");
    assert!(tollgate.exists(), "{} is missing; run `cargo build --package tollgate`", tollgate.display());
    let output = Command::new(bench).args(arguments).output().expect("the bench starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn calls_that_come_and_go_leave_neither_descriptors_nor_ports_behind() {
    let said = soak(&[
        "churn",
        "--packets",
        "3000",
        "--calls",
        "10",
        "--ip",
        "127.0.0.10",
        "--warm-up-packets",
        "1000",
        "--growth-kib-max",
        "4096",
    ]);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 2, "one for each driver: {said}");
    for line in lines {
        assert!(line["sent"].as_u64() >= Some(3000) && line["lost"] == 0, "{line}");
        assert_eq!(line["before"]["descriptors"], line["after"]["descriptors"], "{line}");
        assert_eq!(line["before"]["ports"], line["after"]["ports"], "{line}");
    }
}

#[test]
fn memory_is_looked_at_beside_rtpengine() {
    let arguments = ["memory", "--from", "20", "--to", "120", "--bytes-max", "1000000", "--ip", "127.0.0.11"];
    let said = soak(&arguments);
    let names: Vec<_> = said.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    assert_eq!(names, ["tollgate io_uring", "tollgate epoll", "rtpengine user space"]);
}
