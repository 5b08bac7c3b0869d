//! Kamailio with a private configuration, which delegates media over NG.

use std::net::SocketAddr;
use std::process::Command;

use crate::{Address, Process, udp};

/// A running proxy.
pub struct Kamailio {
    /// The process.
    pub process: Process,
    /// Where it takes SIP over UDP.
    pub sip: SocketAddr,
    /// Its sockets lie here.
    _folder: tempfile::TempDir,
}

impl Kamailio {
    /// Starts one on a free port of `at` by the configuration of the tests; `defines` are its preprocessor's.
    pub fn start(at: Address, defines: &[(&str, &str)]) -> Kamailio {
        Self::start_by(CONFIG, at, defines)
    }

    /// The same by another configuration, at this path.
    pub fn start_by(config: &str, at: Address, defines: &[(&str, &str)]) -> Kamailio {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sip = at.socket();
        let mut command = Command::new("kamailio");
        command
            .args(["-f", config, "-DD", "-E", "-m", "64", "-w"])
            .arg(folder.path())
            .arg("-Y")
            .arg(folder.path())
            .arg("-P")
            .arg(folder.path().join("pid"))
            .args(["-A", &format!("LISTEN=udp:{sip}")]);
        for (name, value) in defines {
            command.args(["-A", &format!("{name}={value}")]);
        }
        let process = Process::start("kamailio", &mut command);
        udp::await_bound(sip);
        Kamailio { process, sip, _folder: folder }
    }
}

/// The configuration of most tests.
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/kamailio/kamailio.cfg");
