//! A peer as a child process: its lines can be awaited, and it never outlives its test, however that ends.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a peer may take for anything that is awaited: far more than it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running child whose output (both streams, line by line) is kept.
pub struct Process {
    name: String,
    child: Child,
    mourner: Mourner,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts `command`; `name` is how failures call it.
    pub fn start(name: &str, command: &mut Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{name} ({command:?}) does not start: {error}; tests/run installs it")
            });
        let mourner = Mourner::of(child.id());
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("stdout is piped")),
            Box::new(child.stderr.take().expect("stderr is piped")),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                let mut line = Vec::new();
                while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
        Process { name: name.to_owned(), child, mourner, lines, seen: Vec::new() }
    }

    /// The first line from now on that `wanted` accepts.
    ///
    /// # Panics
    /// With all that the process said, if it ends first or takes longer than [`PATIENCE`].
    pub fn await_line(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("no {what} in {PATIENCE:?}")),
                Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended before {what}")),
            }
        }
    }

    /// Waits until the process ends by itself.
    ///
    /// # Panics
    /// If it takes longer than [`PATIENCE`].
    pub fn await_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The streams close when it ends, which wakes this at once.
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    self.mourner.dismiss();
                    return self.child.wait().expect("a child can be awaited");
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("does not end in {PATIENCE:?}")),
            }
        }
    }

    /// Waits for the end and panics with the output unless the exit status is 0.
    pub fn await_success(&mut self) {
        let status = self.await_exit();
        if !status.success() {
            self.fail(&format!("ended with {status}"));
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        let said = self.said();
        panic!("{}: {what}\n{said}", self.name)
    }

    /// All that it has said so far.
    pub fn said(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9 to it and its children, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let group = format!("-{}", self.id());
            let _already_gone =
                Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        }
        // Its id may be another's once it was waited for.
        self.mourner.dismiss();
        let _status = self.child.wait();
    }

    /// Sends a signal by name (`TERM`, `USR1`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = self.said();
            eprintln!("---- {} said:\n{said}", self.name);
        }
    }
}

/// Ends a peer and its children if the test is killed, which runs no destructor: it waits for the end of a pipe whose other end
/// goes with the test.
struct Mourner {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Mourner {
    /// For the process group of `leader`. In a group of its own: whoever kills a test kills the test's.
    fn of(leader: u32) -> Mourner {
        let mut shell = Command::new("sh")
            .args(["-c", "read -r _; kill -s KILL -- \"-$1\"", "mourner", &leader.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let pipe = shell.stdin.take();
        Mourner { shell, pipe }
    }

    /// Nobody is left to be ended.
    fn dismiss(&mut self) {
        let _ended_already = self.shell.kill();
        let _status = self.shell.wait();
        self.pipe = None;
    }
}

/// What `look` finds, once it finds something: for a peer that tells nobody and can only be asked again.
///
/// # Panics
/// If it finds nothing within [`PATIENCE`].
pub fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The `tollgate` binary that was built with these tests.
///
/// # Panics
/// If it was not built: `cargo build --package tollgate`.
pub fn tollgate() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let program = profile.join("tollgate");
    assert!(program.exists(), "{} is missing; run `cargo build --package tollgate`", program.display());
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set in the environment of the process that is to be killed.
    const KILLED: &str = "TOLLGATE_TEST_KILLED";

    /// Whether a process runs; one that nobody has waited for yet does not.
    fn runs(id: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    }

    #[test]
    fn what_a_killed_test_has_started_ends_with_it() {
        let name = "process::tests::what_a_killed_test_has_started_ends_with_it";
        if std::env::var_os(KILLED).is_some() {
            // A peer with a child of its own, as a proxy has.
            let script = "sleep 600 & echo peers $$ $!; wait";
            let mut peer = Process::start("a peer", Command::new("sh").args(["-c", script]));
            println!("{}", peer.await_line("ids", |line| line.starts_with("peers")));
            loop {
                std::thread::park();
            }
        }
        let mut command = Command::new(std::env::current_exe().expect("a test knows its own path"));
        command.args(["--exact", name, "--nocapture"]).env(KILLED, "1");
        let mut test = Process::start("a test", &mut command);
        let line = test.await_line("ids of its peers", |line| line.starts_with("peers"));
        let peers: Vec<u32> = line.split(' ').filter_map(|id| id.parse().ok()).collect();
        assert!(peers.len() == 2 && peers.iter().all(|id| runs(*id)), "{line}");
        // To this one alone, as a runner does to whom its signal to the group did not end.
        test.signal("KILL");
        await_some("the end of its peers", || peers.iter().all(|id| !runs(*id)).then_some(()));
    }
}
