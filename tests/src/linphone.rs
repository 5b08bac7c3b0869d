//! Linphone's console client: a phone that answers challenges of SHA-256.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;

use crate::process::await_some;
use crate::{Address, DOMAIN, Process};

/// A registered phone over UDP.
pub struct Linphone {
    /// The running program.
    pub process: Process,
    folder: tempfile::TempDir,
    commands: File,
}

impl Linphone {
    /// Starts the phone of account `name`, whose password is `secret`, on `at`, and waits until it is registered at
    /// the server `sip`.
    pub fn start(name: &str, at: Address, sip: SocketAddr) -> Linphone {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(file(".local/share/linphone")).expect("folders in a new folder");
        let config = format!(
            "[sip]\nauto_net_state_mon=0\nregister_only_when_network_is_up=0\nsip_port={}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address={at}\nuse_ipv6=0\n\
             guess_hostname=0\ncontact=sip:{name}@{at}\ndefault_proxy=0\n\
             [rtp]\naudio_rtp_port={}\n\
             [proxy_0]\nreg_proxy=<sip:{sip};transport=udp>\nreg_route=<sip:{sip};transport=udp>\n\
             reg_identity=sip:{name}@{DOMAIN}\nreg_expires=3600\nreg_sendregister=1\npublish=0\n\
             [auth_info_0]\nusername={name}\npasswd=secret\nrealm={DOMAIN}\ndomain={DOMAIN}\n",
            at.port(),
            at.media_port(),
        );
        std::fs::write(file("rc"), config).expect("a file in a new folder");
        let made = Command::new("mkfifo").arg(file("commands")).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec linphonec -c rc -d 6 -l log < commands"])
            .current_dir(folder.path())
            .env("HOME", folder.path());
        let process = Process::start(&format!("linphonec {name}"), &mut command);
        // Opens once there is a reader.
        let commands = File::options().write(true).open(file("commands")).expect("a pipe opens");
        let mut phone = Linphone { process, folder, commands };
        phone.order("soundcard use files");
        await_some("registration", || phone.log().contains("LinphoneRegistrationOk").then_some(()));
        phone
    }

    /// Calls a number, and waits until it is answered. Without a sound card it says nothing.
    pub fn dial(&mut self, user: &str) {
        self.order(&format!("call sip:{user}@{DOMAIN}"));
        await_some("answer", || self.log().contains("LinphoneCallStreamsRunning").then_some(()));
    }

    /// Ends the call.
    pub fn hang_up(&mut self) {
        self.order("terminate");
    }

    /// All that it wrote down: every message and every change of state.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn order(&mut self, line: &str) {
        writeln!(self.commands, "{line}").expect("linphonec listens");
    }
}
