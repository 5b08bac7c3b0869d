//! SIGHUP to an engine with live calls: interfaces, limits and presets change under them, and no packet is lost.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use load::ng::Client;
use load::{Calls, Traffic};
use serde_json::{Value, json};
use tests::process::tollgate;
use tests::{Address, Process, udp};

/// Writes the engine's configuration.
fn write(file: &Path, interfaces: &[String], lines: &str) {
    let text = format!(
        "interface = {interfaces:?}\nworkers = 1\nport-min = 20000\nport-max = 20999\ndelete-delay = 0\n{lines}"
    );
    std::fs::write(file, text).expect("a file in a new folder");
}

fn offer(ng: &mut Client, at: Address, call_id: &str, more: Value) -> Value {
    let sdp =
        format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n");
    let mut offer = json!({"command": "offer", "call-id": call_id, "from-tag": "a", "sdp": sdp});
    for (key, value) in more.as_object().into_iter().flatten() {
        offer[key] = value.clone();
    }
    ng.answer(&offer).expect("an answer")
}

/// The address that an answered offer shows to the callee.
fn shown(answer: &Value) -> String {
    let sdp = answer["sdp"].as_str().unwrap_or_else(|| panic!("refused: {answer}"));
    sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).expect("a c= line").to_owned()
}

#[test]
fn interfaces_limits_and_presets_change_under_live_calls_and_a_broken_file_changes_nothing() {
    let (at, other) = (Address::new(), Address::new());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("engine.toml");
    let (old, new) = (format!("old/{at}"), format!("new/{other}"));
    write(&file, std::slice::from_ref(&old), "");
    let ng_address = at.socket();
    let mut command = Command::new(tollgate());
    command.args(["engine", "--listen-ng", &ng_address.to_string(), "--config"]).arg(&file);
    let mut engine = Process::start("tollgate engine", &mut command);
    udp::await_bound(ng_address);
    let mut ng = Client::new(ng_address).expect("a client");
    let traffic = Traffic::open(at.ip()).expect("two ends");
    let (caller, callee) = traffic.addresses().expect("two addresses");
    let calls = Calls::set_up(ng_address, 5, caller, callee).expect("calls");
    assert_eq!(
        offer(&mut ng, at, "preset", json!({"template": "there"}))["result"],
        "ok",
        "unknown presets only warn"
    );

    let tally = thread::scope(|scope| {
        let media = scope.spawn(|| traffic.run(&calls.relays, Duration::from_secs(4)));
        // One is added, and whoever names it is given it.
        let lines = "log = \"debug\"\ntimeout = 7\n[template]\nthere = \"ICE=remove\"\n";
        write(&file, &[old.clone(), new.clone()], lines);
        engine.signal("HUP");
        let said = engine.await_line("what changed", |line| line.contains("reloaded"));
        assert!(said.contains("interface timeout log template"), "{said}");
        let both = json!({"direction": ["old", "new"]});
        assert_eq!(shown(&offer(&mut ng, at, "to-new", both.clone())), other.to_string());
        // The first one goes: new calls go elsewhere, whatever they name.
        write(&file, std::slice::from_ref(&new), "");
        engine.signal("HUP");
        engine.await_line("what changed", |line| line.contains("reloaded"));
        assert_eq!(shown(&offer(&mut ng, at, "after", json!({}))), other.to_string());
        // What is wrong with a file is said with its line, and everything stays as it was.
        write(&file, std::slice::from_ref(&old), "max-sessions = 1\ntimout = 3\n");
        engine.signal("HUP");
        let said = engine.await_line("a refusal", |line| line.contains("nothing has changed"));
        assert!(said.contains("line 7") && said.contains("timout"), "{said}");
        assert_eq!(shown(&offer(&mut ng, at, "still", json!({}))), other.to_string());
        // Now there are as many calls as there may be.
        write(&file, std::slice::from_ref(&new), "max-sessions = 1\ndriver = \"epoll\"\n");
        engine.signal("HUP");
        let said = engine.await_line("what waits", |line| line.contains("need a restart"));
        assert!(said.contains("driver"), "{said}");
        let refusal = offer(&mut ng, at, "one more", json!({}));
        assert_eq!(refusal["error-reason"], "Parallel session limit reached");
        media.join().expect("no panic").expect("traffic")
    });
    assert_eq!((tally.sent, tally.intact), (2_000, 2_000), "no packet of a live call is lost");
    calls.delete().expect("live calls are known to the last");
}
