//! The SRTP bench still runs: ours and Debian's libsrtp2 give back every packet of the small size. Nothing is timed.

use std::process::Command;

#[test]
fn every_suite_gives_back_every_packet() {
    let output = Command::new(env!("CARGO_BIN_EXE_srtp-bench"))
        .args(["--rounds", "1", "--packets", "1000", "--all"])
        .output()
        .expect("the bench starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table = String::from_utf8(output.stdout).expect("text");
    let suites: Vec<&str> = table.lines().skip(3).filter_map(|line| line.split(' ').nth(1)).collect();
    let expected: Vec<&str> = rtp::srtp::Suite::ALL.iter().map(|suite| suite.name()).collect();
    assert_eq!(suites, expected);
}
