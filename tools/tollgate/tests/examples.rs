//! The example configurations in `deploy/` are accepted, and show every setting.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tollgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate")).args(arguments).output().expect("tollgate runs")
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_example_for_an_engine_is_sound_as_it_is() {
    let path = example("engine.toml").display().to_string();
    let output = tollgate(&["engine", "--check", "--config", &path]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_example_for_an_engine_shows_every_flag() {
    let text = std::fs::read_to_string(example("engine.toml")).expect("the example is there");
    let help = said(&tollgate(&["engine", "--help"]));
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--")?.split_whitespace().next())
        .filter(|flag| !["config", "config-file", "config-section", "check"].contains(flag))
        .collect();
    assert!(flags.len() > 10, "{help}");
    for flag in flags {
        let shown = format!("{flag} = ");
        let there =
            text.lines().any(|line| line.strip_prefix("# ").unwrap_or(line).starts_with(shown.as_str()));
        assert!(there, "engine.toml does not show {flag}");
    }
}

#[test]
fn the_example_for_control_is_sound_where_its_files_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = rcgen::generate_simple_self_signed(vec!["sip.example.net".to_owned()]).expect("a certificate");
    let write =
        |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("a new file");
    write("sip.example.net.crt", made.cert.pem());
    write("sip.example.net.key", made.signing_key.serialize_pem());
    write("ca-certificates.crt", made.cert.pem());
    let mut text = std::fs::read_to_string(example("control.toml")).expect("the example is there");
    for place in ["/var/lib/tollgate", "/etc/tollgate", "/etc/ssl/certs"] {
        assert!(text.contains(place), "{place}");
        text = text.replace(place, &folder.path().display().to_string());
    }
    write("control.toml", text);
    let path = folder.path().join("control.toml").display().to_string();
    let output = tollgate(&["control", "--check", "--config", &path]);
    assert!(output.status.success(), "{}", said(&output));
}
