//! Recordings as files: what workers hand over, and the thread that writes it
//! (`adr/0009-recordings-are-written-by-one-thread.md`).
//!
//! A worker copies what is recorded into a chunk of memory that was reserved at the start, and hands it over when it is
//! full or old. Where no chunk is free the packet is counted as lost; nobody waits for a disk.

mod date;
mod name;
mod pcap;
mod sheet;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, Sender, TrySendError};
use driver::{MailSender, Now};
use engine_core::{RecordingId, RecordingNote};

use crate::worker::WorkerMail;
use writer::Writer;

/// Where recordings go, and in what form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingConfig {
    /// The directory below which every file lies.
    pub directory: PathBuf,
    /// What a packet looks like in the file.
    pub format: RecordingFormat,
}

/// What a packet looks like in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingFormat {
    /// From its IP header on.
    #[default]
    Raw,
    /// With an Ethernet header in front, whose addresses are zero.
    Eth,
}

impl FromStr for RecordingFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "raw" => Ok(Self::Raw),
            "eth" => Ok(Self::Eth),
            other => Err(format!("`{other}` is neither raw nor eth")),
        }
    }
}

/// What the writing thread is told.
#[derive(Debug)]
enum RecorderMail {
    /// Packets of some recordings.
    Chunk(Box<Chunk>),
    /// Something about one recording.
    Note { recording: RecordingId, at: Now, note: RecordingNote },
    /// Close what is open and end.
    Stop,
}

/// Packets on their way to the disk. Never grows.
#[derive(Debug)]
struct Chunk {
    records: Vec<Record>,
    bytes: Vec<u8>,
}

/// One packet of a chunk.
#[derive(Debug)]
struct Record {
    recording: RecordingId,
    monotonic_ns: u64,
    remote: SocketAddr,
    local: SocketAddr,
    bytes: Range<usize>,
}

impl Chunk {
    fn new() -> Box<Self> {
        let (records, bytes) = (Vec::with_capacity(RECORDS_MAX), Vec::with_capacity(BYTES_MAX));
        Box::new(Self { records, bytes })
    }

    fn fits(&self, packet: &[u8]) -> bool {
        self.records.len() < RECORDS_MAX && self.bytes.len() + packet.len() <= BYTES_MAX
    }

    fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
    }
}

/// A worker's side: what it has for the writing thread.
#[derive(Debug)]
pub(crate) struct Tape {
    mail: Sender<RecorderMail>,
    spare: Receiver<Box<Chunk>>,
    current: Option<Box<Chunk>>,
    /// What found no room, in order.
    late: VecDeque<RecorderMail>,
    due_ns: u64,
}

impl Tape {
    /// Takes a packet; false, and it is lost, if there is no room.
    pub(crate) fn record(
        &mut self,
        at: Now,
        recording: RecordingId,
        remote: SocketAddr,
        local: SocketAddr,
        packet: &[u8],
    ) -> bool {
        if self.current.as_ref().is_some_and(|chunk| !chunk.fits(packet)) {
            self.flush(at.monotonic_ns);
        }
        let chunk = match &mut self.current {
            Some(chunk) => chunk,
            None => {
                let Ok(chunk) = self.spare.try_recv() else { return false };
                self.due_ns = self.due_ns.min(at.monotonic_ns.saturating_add(AGE_MAX_NS));
                self.current.insert(chunk)
            }
        };
        if !chunk.fits(packet) {
            return false;
        }
        let start = chunk.bytes.len();
        chunk.bytes.extend_from_slice(packet);
        let bytes = start..chunk.bytes.len();
        chunk.records.push(Record { recording, monotonic_ns: at.monotonic_ns, remote, local, bytes });
        true
    }

    /// Takes a note, behind the packets before it; false if it is lost, and the recording with it.
    pub(crate) fn note(&mut self, at: Now, recording: RecordingId, note: RecordingNote) -> bool {
        // The end of what began is never lost; there are no more of them than recordings.
        let must = matches!(note, RecordingNote::Ended { .. });
        if self.late.len() >= LATE_MAX && !must {
            return false;
        }
        if let Some(chunk) = self.current.take() {
            self.late.push_back(RecorderMail::Chunk(chunk));
        }
        self.late.push_back(RecorderMail::Note { recording, at, note });
        self.hand_over(at.monotonic_ns);
        true
    }

    /// Hands over what there is; false if some of it found no room, and would come behind what another worker hands over.
    pub(crate) fn flush_all(&mut self, now_ns: u64) -> bool {
        self.flush(now_ns);
        self.current.is_none() && self.late.is_empty()
    }

    /// When [`flush`](Self::flush) is due.
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Hands over what there is, as far as there is room.
    pub(crate) fn flush(&mut self, now_ns: u64) {
        if self.late.len() < LATE_MAX
            && let Some(chunk) = self.current.take()
        {
            self.late.push_back(RecorderMail::Chunk(chunk));
        }
        self.hand_over(now_ns);
    }

    /// Hands over everything, and waits for room: the worker has nothing else to do any more.
    pub(crate) fn close(mut self) {
        let last = self.current.take().map(RecorderMail::Chunk);
        for mail in self.late.into_iter().chain(last) {
            if self.mail.send_timeout(mail, PATIENCE).is_err() {
                return;
            }
        }
    }

    fn hand_over(&mut self, now_ns: u64) {
        self.due_ns = now_ns.saturating_add(AGE_MAX_NS);
        while let Some(mail) = self.late.pop_front() {
            match self.mail.try_send(mail) {
                Ok(()) => {}
                Err(TrySendError::Full(mail)) => return self.late.push_front(mail),
                // The writer ends after the workers; without it nothing is kept.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        if self.current.is_none() {
            self.due_ns = u64::MAX;
        }
    }
}

/// The writing thread and its mailbox, before the workers are there.
pub(crate) struct Recorder {
    config: RecordingConfig,
    sender: Sender<RecorderMail>,
    mail: Receiver<RecorderMail>,
    spare: (Sender<Box<Chunk>>, Receiver<Box<Chunk>>),
}

impl Recorder {
    /// Makes the directories.
    ///
    /// # Errors
    /// The kernel's, when they are not there and cannot be made.
    pub(crate) fn new(config: &RecordingConfig) -> io::Result<Self> {
        name::make_directories(&config.directory)?;
        let (sender, mail) = channel::bounded(MAIL_MAX);
        let spare = channel::bounded(CHUNKS_MAX);
        for _ in 0..CHUNKS_MAX {
            // There is room for exactly so many.
            let _full = spare.0.try_send(Chunk::new());
        }
        Ok(Self { config: config.clone(), sender, mail, spare })
    }

    /// The side of a worker.
    pub(crate) fn tape(&self) -> Tape {
        Tape {
            mail: self.sender.clone(),
            spare: self.spare.1.clone(),
            current: None,
            late: VecDeque::with_capacity(64),
            due_ns: u64::MAX,
        }
    }

    /// Starts to write.
    ///
    /// # Errors
    /// The kernel's, when there can be no further thread.
    pub(crate) fn start(self, workers: Vec<MailSender<WorkerMail>>) -> io::Result<RecorderThread> {
        let Self { config, sender, mail, spare } = self;
        let writer = Writer::new(config, workers, spare.0);
        let thread = thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.work(&mail))?;
        Ok(RecorderThread { sender, thread })
    }
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct RecorderThread {
    sender: Sender<RecorderMail>,
    thread: JoinHandle<()>,
}

impl RecorderThread {
    /// Closes what is open. The workers have ended.
    pub(crate) fn stop(self) {
        // Room comes as the thread works; one that is gone needs no telling.
        let _gone = self.sender.send(RecorderMail::Stop);
        // A panic was reported when it happened.
        let _panicked = self.thread.join();
    }
}

/// Recordings at once, over all workers; each has a file open.
pub(crate) const RECORDINGS_MAX: usize = 1024;

/// How long a packet waits for others on its way.
const AGE_MAX_NS: u64 = 100_000_000;

/// How long a worker that ends waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Chunks, over all workers: 16 MiB on their way to the disk.
const CHUNKS_MAX: usize = 256;

/// Bytes of packets in a chunk.
const BYTES_MAX: usize = 64 * 1024;

/// Packets in a chunk.
const RECORDS_MAX: usize = 320;

/// Messages to the writing thread: the chunks, and notes.
const MAIL_MAX: usize = 4096;

/// Messages that wait at a worker for room; the ends of recordings come on top.
const LATE_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use driver::{Waker, mailbox};

    use super::*;

    const AT: Now = Now { monotonic_ns: 1, wall_ms: 2 };

    fn recorder() -> (tempfile::TempDir, Recorder) {
        let directory = tempfile::tempdir().expect("a directory");
        let config = RecordingConfig { directory: directory.path().to_owned(), format: RecordingFormat::Raw };
        let recorder = Recorder::new(&config).expect("directories");
        (directory, recorder)
    }

    #[test]
    fn a_packet_that_finds_no_room_is_lost_and_nobody_waits() {
        let (_directory, recorder) = recorder();
        let mut tape = recorder.tape();
        let [remote, local] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let packet = [0; 1200];
        let taken =
            (0..100_000).take_while(|_| tape.record(AT, RecordingId(1), remote, local, &packet)).count();
        assert_eq!(taken, CHUNKS_MAX * (BYTES_MAX / packet.len()));
        tape.flush(AT.monotonic_ns);
        let Ok(RecorderMail::Chunk(mut chunk)) = recorder.mail.try_recv() else { panic!("a chunk") };
        chunk.clear();
        recorder.spare.0.try_send(chunk).expect("room for what was taken");
        assert!(tape.record(AT, RecordingId(1), remote, local, &packet), "there is room again");
    }

    #[test]
    fn notes_stay_behind_the_packets_before_them_and_an_end_is_never_lost() {
        let (_directory, recorder) = recorder();
        let mut tape = recorder.tape();
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let note = || RecordingNote::Metadata(String::new());
        let given = (0..10_000).take_while(|_| tape.note(AT, RecordingId(1), note())).count();
        assert_eq!(given, MAIL_MAX + LATE_MAX);
        assert!(tape.record(AT, RecordingId(1), at, at, b"last"));
        tape.flush(AT.monotonic_ns);
        assert!(tape.note(AT, RecordingId(1), RecordingNote::Ended { discard: false, with_call: true }));
        let mut order = Vec::new();
        while let Ok(mail) = recorder.mail.try_recv() {
            order.push(match mail {
                RecorderMail::Note { note: RecordingNote::Ended { .. }, .. } => 'e',
                RecorderMail::Note { .. } => 'n',
                RecorderMail::Chunk(chunk) => {
                    assert_eq!(chunk.bytes, b"last");
                    'c'
                }
                RecorderMail::Stop => 's',
            });
            tape.flush(AT.monotonic_ns);
        }
        let text: String = order.into_iter().collect();
        assert_eq!(text, "n".repeat(given) + "ce");
    }

    #[test]
    fn whoever_has_a_recording_that_is_not_kept_is_told() {
        let (_directory, recorder) = recorder();
        let mut tape = recorder.tape();
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(tape.record(AT, RecordingId(7), at, at, b"after it failed"));
        assert!(tape.record(AT, RecordingId(7), at, at, b"and once more"));
        assert!(tape.flush_all(AT.monotonic_ns));
        let workers: Vec<_> = (0..3).map(|_| mailbox(Waker::new().expect("a descriptor"), 8)).collect();
        let running =
            recorder.start(workers.iter().map(|(sender, _)| sender.clone()).collect()).expect("a thread");
        running.stop();
        for (_, mail) in &workers {
            assert!(matches!(mail.take(), Some(WorkerMail::RecordingFailed { recording: RecordingId(7) })));
            assert!(mail.take().is_none(), "once is enough");
        }
    }
}
