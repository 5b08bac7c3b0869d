//! A network of a test's own: its process starts itself again where no other test is, with whatever addresses it wants.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::Process;

/// Whether this process is in a network of its own that has these addresses besides loopback. If not, the test of this
/// name is passed there by another process, and the caller returns.
///
/// # Panics
/// If the test fails there.
pub fn has_own_network(test: &str, addresses: &[Ipv4Addr]) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let script =
        "ip link set lo up && for ip in $1; do ip address add $ip/32 dev lo; done && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--net", "sh", "-c", script, "sh", &addresses.join(" ")])
        .arg(std::env::current_exe().expect("a test knows its own path"))
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1");
    let mut process = Process::start(test, &mut command);
    process.await_line("one test that passed", |line| line.contains("1 passed"));
    process.await_success();
    false
}

/// Set in the environment of whoever is there.
const MARK: &str = "TOLLGATE_TEST_NETWORK";
