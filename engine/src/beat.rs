//! The thread that looks at the load once a second and tells the workers whether new calls are taken.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use driver::{Clock, MailSender};
use ng::Refusal;

use crate::load::{Judge, LoadLimits, Machine, Rate, Sample};
use crate::worker::WorkerMail;

/// What the thread is told.
#[derive(Debug)]
enum BeatMail {
    Limits(LoadLimits),
    /// Refuse new calls, and say when every worker was told.
    Drain(Sender<()>),
    Stop,
}

/// Where the limits can be changed.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    mail: Sender<BeatMail>,
}

impl Dial {
    /// Other limits from now on.
    pub(crate) fn set_limits(&self, limits: LoadLimits) {
        self.tell(BeatMail::Limits(limits));
    }

    fn tell(&self, mail: BeatMail) {
        // The thread takes mail until it is told to stop; it is gone only after a panic, which was logged.
        let _gone = self.mail.send(mail);
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Beat {
    dial: Dial,
    thread: JoinHandle<()>,
}

impl Beat {
    /// Starts it for workers and what each of them tells.
    ///
    /// # Errors
    /// The kernel's, when there is no thread left.
    pub(crate) fn start(
        limits: LoadLimits,
        workers: Vec<(MailSender<WorkerMail>, Rate)>,
    ) -> io::Result<Self> {
        let (mail, receiver) = channel::bounded(MAIL_MAX);
        let keeper = Keeper::new(limits, workers);
        let thread = thread::Builder::new().name("load".to_owned()).spawn(move || keeper.work(&receiver))?;
        Ok(Self { dial: Dial { mail }, thread })
    }

    /// Where its limits can be changed.
    pub(crate) fn dial(&self) -> &Dial {
        &self.dial
    }

    /// No new call once this returns.
    pub(crate) fn drain(&self) {
        let (told, is_told) = channel::bounded(1);
        self.dial.tell(BeatMail::Drain(told));
        // The thread is gone only after a panic, which was logged.
        let _gone = is_told.recv();
    }

    /// Ends the thread.
    pub(crate) fn stop(self) {
        self.dial.tell(BeatMail::Stop);
        let _panicked = self.thread.join();
    }
}

/// What the thread knows.
struct Keeper {
    limits: LoadLimits,
    judge: Judge,
    machine: Machine,
    /// Each worker, what it tells, and what it was told last.
    workers: Vec<(MailSender<WorkerMail>, Rate, Option<Refusal>)>,
    /// Why new calls are refused, if they are.
    closed: Option<Refusal>,
    draining: bool,
    /// Who waits until every worker knows that.
    waits: Option<Sender<()>>,
}

impl Keeper {
    fn new(limits: LoadLimits, workers: Vec<(MailSender<WorkerMail>, Rate)>) -> Self {
        let workers = workers.into_iter().map(|(mail, rate)| (mail, rate, None)).collect();
        let (judge, machine) = (Judge::default(), Machine::default());
        Self { limits, judge, machine, workers, closed: None, draining: false, waits: None }
    }

    fn work(mut self, mail: &Receiver<BeatMail>) {
        let mut next_ns = Clock::monotonic_ns();
        loop {
            let now_ns = Clock::monotonic_ns();
            if now_ns >= next_ns {
                next_ns = now_ns + BEAT_NS;
                self.look();
            }
            let told = self.tell();
            if told && let Some(waits) = self.waits.take() {
                // There is room for it; whoever asked may be gone.
                let _told = waits.send(());
            }
            let wait_ns = if told { next_ns.saturating_sub(now_ns) } else { RETRY_NS };
            match mail.recv_timeout(Duration::from_nanos(wait_ns)) {
                Ok(BeatMail::Limits(limits)) => {
                    self.limits = limits;
                    self.look();
                }
                Ok(BeatMail::Drain(told)) => {
                    self.draining = true;
                    self.waits = Some(told);
                    self.closed = Some(Refusal::Draining);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(BeatMail::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Looks at the load and decides.
    fn look(&mut self) {
        if self.draining || (self.limits == LoadLimits::default() && self.closed.is_none()) {
            return;
        }
        let (load, cpu_percent) = self.machine.look();
        let bytes_per_second = self.workers.iter().map(|(_, rate, _)| rate.bytes_per_second()).sum();
        let sample = Sample { load, cpu_percent, bytes_per_second };
        let closed = self.judge.judge(&self.limits, &sample);
        if closed != self.closed {
            match closed {
                Some(reason) => tracing::warn!(reason = reason.as_str(), ?sample, "new calls are refused"),
                None => tracing::info!(?sample, "new calls are taken again"),
            }
            self.closed = closed;
        }
    }

    /// Tells the workers that do not know yet; false if one has a full mailbox and is to be told again.
    fn tell(&mut self) -> bool {
        let mut all = true;
        for (mail, _, told) in &mut self.workers {
            if *told == self.closed {
                continue;
            }
            match mail.send(WorkerMail::Admission(self.closed)) {
                Err(driver::Undelivered::Full(_)) => all = false,
                // Of a worker that is gone its own thread tells.
                Ok(()) | Err(driver::Undelivered::Gone(_)) => *told = self.closed,
            }
        }
        all
    }
}

/// How often the load is looked at.
const BEAT_NS: u64 = 1_000_000_000;

/// When a worker whose mailbox was full is told again.
const RETRY_NS: u64 = 10_000_000;

/// What the thread may have to read at most; it reads at once.
const MAIL_MAX: usize = 16;
