//! A peer as a child process: its lines can be awaited, and it never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a peer may take for anything that is awaited: far more than it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running child whose output (both streams, line by line) is kept.
pub struct Process {
    name: String,
    child: Child,
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
        Process { name: name.to_owned(), child, lines, seen: Vec::new() }
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
