//! Where io_uring is forbidden, as container profiles and `kernel.io_uring_disabled` do, epoll takes over and says so.

use std::fmt::{self, Write as _};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use engine::{Engine, RawConfig};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[test]
fn epoll_takes_over_by_itself_and_says_so() {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).expect("no other test of this file listens");
    // The filter binds this thread and those it starts: the rest of the test process keeps io_uring.
    let forbidden = thread::spawn(|| {
        forbid_io_uring();
        let engine = Engine::start(&config("auto")).expect("epoll takes over");
        let kinds: Vec<String> = engine.drivers().iter().map(ToString::to_string).collect();
        let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        client.send_to(b"1 d7:command4:liste", engine.ng_addresses()[0]).expect("sent");
        let mut answer = [0; 100];
        let length = client.recv(&mut answer).expect("an answer");
        engine.stop();
        let refusal = Engine::start(&config("uring")).expect_err("io_uring or nothing");
        (kinds, answer[..length].to_vec(), chain(&refusal))
    });
    let (kinds, answer, refusal) = forbidden.join().expect("no panic");
    assert_eq!(kinds, ["epoll", "epoll"]);
    assert_eq!(answer, b"1 d5:callsle6:result2:oke", "both workers are at work");
    assert!(refusal.contains("forbidden by kernel.io_uring_disabled or a seccomp profile"), "{refusal}");
    let lines = lines.0.lock().expect("no panic");
    let said = |line: &&String| {
        line.starts_with("WARN") && line.contains("epoll takes over") && line.contains("forbidden")
    };
    assert_eq!(lines.iter().filter(said).count(), 2, "once for each worker: {lines:?}");
}

fn config(driver: &str) -> engine::Config {
    let raw = RawConfig {
        interface: vec!["127.0.0.1".to_owned()],
        listen_ng: vec!["127.0.0.1:0".to_owned()],
        workers: Some(2),
        driver: Some(driver.to_owned()),
        ..RawConfig::default()
    };
    raw.check().expect("a sound configuration")
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _infallible = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

/// Lets the kernel refuse `io_uring_setup` to this thread and those it starts, with EPERM.
fn forbid_io_uring() {
    let statement = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: u16::try_from(code).expect("a short code"),
        jt,
        jf,
        k,
    };
    let setup = u32::try_from(libc::SYS_io_uring_setup).expect("a system call's number");
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    // The number of the system call is the first word of what a filter sees.
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, setup, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, refuse, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let length = u16::try_from(filter.len()).expect("a short filter");
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: plain numbers; the fourth and fifth must be 0.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0, "a thread may give up privileges");
    // SAFETY: the kernel copies the program and its filter, which live across the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Keeps every line of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// One line: the level, and each field.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _infallible = write!(self.0, " {field}={value:?}");
    }
}
