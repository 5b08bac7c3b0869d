//! What a newcomer types first.

use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

fn tollgate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate")).args(arguments).output().expect("tollgate runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command_and_where_to_begin() {
    let help = text(&tollgate(&["--help"]).stdout);
    for word in ["engine", "control", "account", "rate", "trunk", "tollgate demo"] {
        assert!(help.contains(word), "{word} in\n{help}");
    }
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("engine.toml");
    std::fs::write(&file, "interface = \"127.0.0.1\"\nport-maxx = 5\n").expect("a file in a new folder");
    let output = tollgate(&["engine", "--check", "--config", &file.display().to_string()]);
    let said = text(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("line 2") && said.contains("port-maxx"), "{said}");
}

#[test]
fn a_sound_engine_configuration_is_called_so() {
    let output = tollgate(&["engine", "--check", "--interface", "127.0.0.1", "--workers", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn an_account_a_rate_and_a_trunk_are_made_and_the_books_balance() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("tollgate.db").display().to_string();
    let run = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().chain(["--json", "--database", &database]).collect();
        let output = tollgate(&words);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("one JSON object")
    };
    assert_eq!(run("account add alice --currency EUR --credit 10")["available"], "10.00");
    assert_eq!(run("credit add alice 2.50")["balance"], "12.50");
    assert_eq!(run("rate add 49 --price 0.012 --initial 60 --next 1")["initial_seconds"], 60);
    assert_eq!(
        run("trunk add carrier sip:127.0.0.1:5062;transport=udp --media plain")["address"],
        "127.0.0.1:5062"
    );
    assert_eq!(run("account show alice")["available"], "12.50");
    assert_eq!(run("ledger verify")["ok"], true);
}

#[test]
fn a_mistyped_database_is_not_one_whose_books_balance() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("tolgate.db");
    let name = database.display().to_string();
    for command in
        ["ledger verify", "cdr list", "account list", "account show alice", "trunk list", "rate list"]
    {
        let words: Vec<&str> = command.split_whitespace().chain(["--database", &name]).collect();
        let output = tollgate(&words);
        assert!(!output.status.success(), "{command}");
        assert!(text(&output.stderr).contains("there is no database"), "{}", text(&output.stderr));
    }
    assert!(!database.exists());
}

#[test]
fn an_account_that_cannot_be_made_whole_is_not_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("tollgate.db").display().to_string();
    for wrong in [
        "--password-file /nonexistent --domain example.net",
        "--credit=-5",
        "--number 49;evil",
        "--number +123456789012345678",
    ] {
        let line = format!("account add alice --currency EUR {wrong} --database {database}");
        assert!(!tollgate(&line.split_whitespace().collect::<Vec<_>>()).status.success(), "{wrong}");
    }
    tollgate(&["rate", "add", "49", "--price", "0.01", "--database", &database]);
    let list = tollgate(&["account", "list", "--json", "--database", &database]);
    assert_eq!(text(&list.stdout), "{\"accounts\":[]}\n");
    let trunk = "trunk add c sip:192.0.2.1 --media plain --number-prefix 9@evil --database";
    let words: Vec<&str> = trunk.split_whitespace().chain([database.as_str()]).collect();
    assert!(text(&tollgate(&words).stderr).contains("no prefix of a number"));
}

#[test]
fn an_environment_that_is_no_text_is_no_reason_not_to_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["control", "--check", "--set", "node.domain=example.net"])
        .env("PATH_OF_SOMEBODY", std::ffi::OsStr::from_bytes(b"\xff"))
        .output()
        .expect("tollgate runs");
    let said = text(&output.stderr);
    assert!(said.contains("there is no listener") && !said.contains("panicked"), "{said}");
}

#[test]
fn the_demo_loses_nothing_and_its_last_line_is_the_whole_outcome() {
    let output = tollgate(&["demo", "--json"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let said = text(&output.stdout);
    let outcome: serde_json::Value =
        serde_json::from_str(said.lines().last().expect("a line")).expect("one JSON object");
    assert_eq!(outcome["ok"], true);
    assert_eq!(outcome["packets"], serde_json::json!({"sent": 250, "relayed": 250, "lost": 0}));
    let cents = |value: &serde_json::Value| {
        value.as_str().expect("text").replace('.', "").parse::<u64>().expect("a number")
    };
    let balance = &outcome["balance"];
    assert_eq!(balance["currency"], "EUR");
    assert_eq!(cents(&balance["before"]) - cents(&balance["after"]), cents(&outcome["charge"]));
    assert_eq!(outcome["cdr"]["callee"], "493012345678");
    assert_eq!(outcome["cdr"]["trunk"], "carrier");
}
