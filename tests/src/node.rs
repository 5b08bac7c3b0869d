//! A whole provider on one loopback address: an engine, a control, a database, all by the commands an operator types.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::jssip::ORIGIN;
use crate::process::{Process, tollgate};
use crate::{Address, udp};

/// The domain that every test's control serves.
pub const DOMAIN: &str = "provider.example";

/// An engine with an NG port of its own.
pub struct Engine {
    /// The running `tollgate engine`.
    pub process: Process,
    /// Its NG address.
    pub ng: SocketAddr,
}

impl Engine {
    /// Starts one on `at`; `flags` go to `tollgate engine` after the usual ones.
    pub fn start(at: Address, flags: &[&str]) -> Engine {
        Engine::start_on(at, at.socket(), flags)
    }

    /// Starts one whose NG port is `ng`. Its media ports lie below those that the kernel gives away: 20000 to 31999.
    pub fn start_on(at: Address, ng: SocketAddr, flags: &[&str]) -> Engine {
        let mut command = Command::new(tollgate());
        command
            .args([
                "engine",
                "--workers",
                "1",
                "--interface",
                &at.to_string(),
                "--listen-ng",
                &ng.to_string(),
            ])
            .args(flags);
        if !flags.contains(&"--port-min") {
            // Below the ports that the kernel gives to whoever asks for any.
            command.args(["--port-min", "20000", "--port-max", "31999"]);
        }
        let process = Process::start("tollgate engine", &mut command);
        udp::await_bound(ng);
        Engine { process, ng }
    }
}

/// A control with its database; engines are started apart.
pub struct Node {
    /// The running `tollgate control`, until it is killed.
    pub control: Process,
    /// Where phones and trunks send plain SIP over UDP.
    pub sip: SocketAddr,
    /// Where phones connect with TLS.
    pub tls: SocketAddr,
    /// Where pages connect in plain.
    pub ws: SocketAddr,
    /// Where pages connect inside TLS.
    pub wss: SocketAddr,
    /// What every file of it lies in.
    pub folder: tempfile::TempDir,
    config: PathBuf,
    launcher: Vec<String>,
}

/// What a node is made of, before it starts.
pub struct Setup {
    folder: tempfile::TempDir,
    sip: SocketAddr,
    tls: SocketAddr,
    ws: SocketAddr,
    wss: SocketAddr,
    config: String,
    launcher: Vec<String>,
}

impl Setup {
    /// A node on `at` that drives the engines whose NG addresses are `engines`, in that order.
    pub fn new(at: Address, engines: &[SocketAddr]) -> Setup {
        // In memory where that is possible: a disk shared with a build keeps an answer waiting for a second, and calls
        // are charged meanwhile.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a temporary folder");
        let (sip, tls, ws, wss) = (at.socket(), at.socket(), at.socket(), at.socket());
        let certified = rcgen::generate_simple_self_signed(vec![DOMAIN.to_owned(), at.to_string()])
            .expect("a certificate");
        let file = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(file("tls.crt"), certified.cert.pem()).expect("a file in a new folder");
        std::fs::write(file("tls.key"), certified.signing_key.serialize_pem())
            .expect("a file in a new folder");
        let mut config = format!(
            "[node]\nid = \"test\"\ndomain = \"{DOMAIN}\"\n\
             [store]\npath = \"{}\"\n[cdr]\npath = \"{}\"\n\
             [[listener]]\ntransport = \"udp\"\naddress = \"{sip}\"\n\
             [[listener]]\ntransport = \"tls\"\naddress = \"{tls}\"\ncertificate = \"{}\"\nkey = \"{}\"\n\
             [[listener]]\ntransport = \"ws\"\naddress = \"{ws}\"\norigins = [\"{ORIGIN}\"]\n\
             [[listener]]\ntransport = \"wss\"\naddress = \"{wss}\"\norigins = [\"{ORIGIN}\"]\n\
             certificate = \"{}\"\nkey = \"{}\"\n",
            file("ledger.db"),
            file("cdr.jsonl"),
            file("tls.crt"),
            file("tls.key"),
            file("tls.crt"),
            file("tls.key"),
        );
        for (index, ng) in engines.iter().enumerate() {
            config += &format!("[[engine]]\nname = \"engine-{index}\"\naddress = \"{ng}\"\n");
        }
        Setup { folder, sip, tls, ws, wss, config, launcher: Vec::new() }
    }

    /// Adds lines to the configuration file.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Setup {
        self.config += lines;
        self
    }

    /// Runs an operator's command on the database, as a shell would.
    #[must_use]
    pub fn command(self, line: &str) -> Setup {
        run(self.folder.path(), line);
        self
    }

    /// An account `name` with `credit` EUR whose password is `secret`, of a softphone that knows MD5 alone.
    #[must_use]
    pub fn account(self, name: &str, credit: &str) -> Setup {
        self.account_with(name, credit, "")
    }

    /// The same with further options of `tollgate account add`.
    #[must_use]
    pub fn account_with(self, name: &str, credit: &str, options: &str) -> Setup {
        std::fs::write(self.folder.path().join("password"), "secret\n").expect("a file in a new folder");
        let line =
            format!("account add {name} --currency EUR --credit {credit} --domain {DOMAIN} --algorithms MD5");
        self.command(&format!("{line} --md5-in-clear --password-file password {options}"))
    }

    /// Starts control by way of another program, such as `strace`, which is given its command line.
    #[must_use]
    pub fn under(mut self, launcher: &[&str]) -> Setup {
        self.launcher = launcher.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts `tollgate control` and waits until it listens.
    pub fn start(self) -> Node {
        let config = self.folder.path().join("control.toml");
        std::fs::write(&config, &self.config).expect("a file in a new folder");
        let control = start_control(&config, self.sip, &self.launcher);
        let Setup { folder, sip, tls, ws, wss, launcher, .. } = self;
        Node { control, sip, tls, ws, wss, folder, config, launcher }
    }
}

impl Node {
    /// Starts control again on the same files, after a kill.
    pub fn restart(&mut self) {
        self.control.kill();
        self.control = start_control(&self.config, self.sip, &self.launcher);
    }

    /// Runs an operator's command on the database and returns its JSON.
    pub fn json(&self, line: &str) -> Value {
        let said = run(self.folder.path(), &format!("{line} --json"));
        serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{line}: {error}: {said}"))
    }

    /// Lets control write no file any more, as on a full disk, or again.
    pub fn fill_disk(&self, full: bool) {
        let limit = if full { "--fsize=0:" } else { "--fsize=unlimited:" };
        let id = self.control.id().to_string();
        let status = Command::new("prlimit").args(["--pid", &id, limit]).status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit {limit}");
    }

    /// The call records as the JSON Lines file has them.
    pub fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("cdr.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The self-signed certificate of its TLS listener, for phones to trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }
}

fn start_control(config: &Path, sip: SocketAddr, launcher: &[String]) -> Process {
    // Beyond a limit on file sizes the kernel's signal would end the process before it could say anything.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "control"]).args(launcher).arg(tollgate());
    command.arg("control").arg("--config").arg(config);
    let control = Process::start("tollgate control", &mut command);
    udp::await_bound(sip);
    control
}

fn run(folder: &Path, line: &str) -> String {
    let words = line.split_whitespace();
    let output = Command::new(tollgate())
        .args(words)
        .args(["--database", "ledger.db"])
        .current_dir(folder)
        .output()
        .expect("tollgate runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "tollgate {line}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
