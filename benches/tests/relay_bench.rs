//! The relay bench still runs: every column relays every packet of the small size. Nothing here is timed.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const TOLLGATE: [&str; 2] = ["tollgate io_uring", "tollgate epoll"];

#[test]
fn every_column_relays_every_packet() {
    let expected = [&TOLLGATE[..], &["tokio-uring relay", "rtpengine user space"]].concat();
    relays("127.0.0.9", &[], &expected);
}

#[test]
fn every_engine_relays_every_packet_encrypted_on_one_leg_and_on_both() {
    let expected = [&TOLLGATE[..], &["rtpengine user space"]].concat();
    relays("127.0.0.10", &["--srtp", "one"], &expected);
    let suites =
        ["--srtp", "both", "--suite", "AEAD_AES_128_GCM", "--caller-suite", "AES_CM_128_HMAC_SHA1_80"];
    for engine in relays("127.0.0.10", &suites, &expected) {
        assert_eq!(engine["turns"][0]["passed_through"], 0, "{engine}");
    }
}

/// The columns of a small run with these further options.
fn relays(ip: &str, options: &[&str], expected: &[&str]) -> Vec<Value> {
    let bench = Path::new(env!("CARGO_BIN_EXE_relay-bench"));
    let tollgate = bench.with_file_name("tollgate");
    assert!(tollgate.exists(), "{} is missing; run `cargo build --package tollgate`", tollgate.display());
    let output = Command::new(bench)
        .args(["--rounds", "1", "--calls", "10", "--seconds", "1", "--ip", ip, "--json"])
        .args(options)
        .output()
        .expect("the bench starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let engines = result["engines"].as_array().expect("a list").clone();
    let names: Vec<&str> = engines.iter().filter_map(|engine| engine["engine"].as_str()).collect();
    assert_eq!(names, expected);
    for engine in &engines {
        let packets = &engine["turns"][0]["packets"];
        // Ten calls, both ways, fifty packets a second.
        assert_eq!(packets["sent"], 1000, "{engine}");
        assert_eq!(packets["intact"], 1000, "{engine}");
        assert_eq!(packets["broken"], 0, "{engine}");
        assert!(engine["process_ns_per_packet"]["median"].as_u64() > Some(0), "{engine}");
    }
    engines
}
