//! The engines that a bench compares, and how each is started.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// A column of a bench: a name, and how it is started.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) start: fn(&Path, SocketAddr) -> Command,
}

pub(crate) const ENGINES: [Engine; 4] = [
    Engine { name: "tollgate io_uring", start: |here, ng| tollgate(here, ng, "uring") },
    Engine { name: "tollgate epoll", start: |here, ng| tollgate(here, ng, "epoll") },
    Engine { name: "tokio-uring relay", start: baseline },
    Engine { name: "rtpengine user space", start: rtpengine },
];

/// Media ports of all of them, but for the relay that has no choice.
pub(crate) const PORT_MIN: u16 = 20_000;
pub(crate) const PORT_MAX: u16 = 60_000;

fn tollgate(here: &Path, ng: SocketAddr, driver: &str) -> Command {
    let mut command = Command::new(here.join("tollgate"));
    command
        .args(["engine", "--workers", "1", "--driver", driver, "--interface", &ng.ip().to_string()])
        .args(["--listen-ng", &ng.to_string()])
        .args(["--port-min", &PORT_MIN.to_string(), "--port-max", &PORT_MAX.to_string()]);
    command
}

fn baseline(here: &Path, ng: SocketAddr) -> Command {
    let mut command = Command::new(here.join("baseline-tokio-uring"));
    command.arg(ng.to_string());
    command
}

fn rtpengine(_here: &Path, ng: SocketAddr) -> Command {
    let mut command = Command::new("rtpengine");
    command
        .args([
            "--config-file=none",
            "--table=-1",
            "--num-threads=1",
            "--foreground",
            "--log-stderr",
            "--log-level=4",
        ])
        .args([format!("--interface={}", ng.ip()), format!("--listen-ng={ng}")])
        .args([format!("--port-min={PORT_MIN}"), format!("--port-max={PORT_MAX}")]);
    command
}

/// A started engine; it ends with its owner.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it; what it says is nobody's concern.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Running> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child
            .map(Running)
            .context("it does not start; tests/run installs what is not ours, --only leaves it out")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}
