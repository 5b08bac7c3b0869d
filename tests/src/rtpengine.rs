//! Debian's rtpengine with private configuration: what ours is measured against.

use std::net::SocketAddr;
use std::process::Command;

use crate::{Address, Process, udp};

/// A running daemon.
pub struct Rtpengine {
    /// The process.
    pub process: Process,
    /// Its NG address.
    pub ng: SocketAddr,
}

impl Rtpengine {
    /// Starts one on `at` with one thread, without its kernel module; `flags` go after the usual ones. Its media ports are
    /// those of [`Engine`](crate::Engine), if the flags name no others.
    pub fn start(at: Address, flags: &[&str]) -> Rtpengine {
        let ng = at.socket();
        let mut command = Command::new("rtpengine");
        command
            .args(["--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=2"])
            .args(["--num-threads=1", &format!("--interface={at}"), &format!("--listen-ng={ng}")])
            .args(flags);
        if !flags.iter().any(|flag| flag.starts_with("--port-min")) {
            command.args(["--port-min=20000", "--port-max=31999"]);
        }
        let process = Process::start("rtpengine", &mut command);
        udp::await_bound(ng);
        Rtpengine { process, ng }
    }
}
