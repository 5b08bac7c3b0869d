//! An operator of rtpengine starts us with the file that they have.

use std::process::{Command, Output};

/// As Debian's package ships it.
const SHIPPED: &str = "/etc/rtpengine/rtpengine.conf";

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(tests::process::tollgate());
    command
        .args(["engine", "--check", "--config-file", SHIPPED])
        .args(arguments)
        .output()
        .expect("tollgate runs")
}

#[test]
fn the_file_that_debian_ships_is_taken_over_and_what_is_not_is_named() {
    let output = check(&["--interface", "127.0.0.1"]);
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{notes}");
    for key in ["table", "interface = any", "recording-dir", "recording-method"] {
        assert!(notes.contains(&format!("{key} is not taken over: ")), "{key}: {notes}");
    }
    assert!(!notes.contains("no setting of rtpengine"), "every key of the file is known: {notes}");
}

#[test]
fn without_an_address_the_refusal_says_which_setting_is_missing() {
    let output = check(&[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("interface: "), "{output:?}");
    let output = check(&["--interface", "127.0.0.1", "--config-section", "elsewhere"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no section [elsewhere]"), "{output:?}");
}
