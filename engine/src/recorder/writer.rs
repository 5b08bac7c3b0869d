//! The thread that writes. A disk that is full, slow or gone costs recordings, never calls.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use driver::{Clock, MailSender, Now, Undelivered};
use engine_core::{RecordingBegun, RecordingId, RecordingNote};
use metrics::Counter;
use rand::TryRng;
use rand::rngs::SysRng;

use super::name::{self, Names};
use super::{Chunk, RecorderMail, RecordingConfig, pcap, sheet};
use crate::throttle::Throttle;
use crate::worker::WorkerMail;

/// Everything the writing thread has.
pub(super) struct Writer {
    config: RecordingConfig,
    workers: Vec<MailSender<WorkerMail>>,
    spare: Sender<Box<Chunk>>,
    recordings: HashMap<RecordingId, Recording>,
    /// Failures, and workers that do not know of them yet: the call may be at any.
    untold: Vec<(usize, RecordingId)>,
    /// One packet as it is written.
    scratch: Vec<u8>,
    packets: Counter,
    bytes: Counter,
    errors: Counter,
    complaints: Throttle,
}

/// One recording that is not over.
struct Recording {
    pcap: BufWriter<File>,
    path: PathBuf,
    sheet: File,
    unfinished: PathBuf,
    finished: PathBuf,
    began: Now,
    call_created_ms: u64,
    metadata: Option<String>,
    packets: u64,
}

impl Writer {
    pub(super) fn new(
        config: RecordingConfig,
        workers: Vec<MailSender<WorkerMail>>,
        spare: Sender<Box<Chunk>>,
    ) -> Self {
        let counter = |name: &'static str, help: &'static str| {
            metrics::describe_counter!(name, help);
            metrics::counter!(name)
        };
        Self {
            config,
            workers,
            spare,
            recordings: HashMap::new(),
            untold: Vec::new(),
            scratch: Vec::with_capacity(4096),
            packets: counter("tollgate_recorder_packets_total", "Packets written to recordings."),
            bytes: counter("tollgate_recorder_bytes_total", "Bytes written to recordings."),
            errors: counter(
                "tollgate_recorder_errors_total",
                "Files of recordings that could not be written.",
            ),
            complaints: Throttle::new(10),
        }
    }

    /// Writes until it is told to stop; what is written is in the file a second later at the latest.
    pub(super) fn work(mut self, mail: &Receiver<RecorderMail>) {
        let mut flush_at_ns = 0;
        loop {
            match mail.recv_timeout(FLUSH) {
                Ok(RecorderMail::Chunk(chunk)) => self.chunk(chunk),
                Ok(RecorderMail::Note { recording, at, note }) => self.note(recording, at, note),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(RecorderMail::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let now_ns = Clock::monotonic_ns();
            if now_ns >= flush_at_ns {
                flush_at_ns = now_ns.saturating_add(FLUSH_NS);
                self.flush();
            }
        }
        let open: Vec<RecordingId> = self.recordings.keys().copied().collect();
        for key in open {
            self.end(key, Clock::now(), false, false);
        }
    }

    fn chunk(&mut self, mut chunk: Box<Chunk>) {
        for record in &chunk.records {
            let key = record.recording;
            let Some(recording) = self.recordings.get_mut(&key) else {
                // One that failed or could not begin; its call was between two workers when these were told.
                self.tell_of(key);
                continue;
            };
            let since_us = record.monotonic_ns.saturating_sub(recording.began.monotonic_ns) / 1000;
            let at_us = recording.began.wall_ms.saturating_mul(1000).saturating_add(since_us);
            self.scratch.clear();
            let payload = &chunk.bytes[record.bytes.clone()];
            pcap::record(self.config.format, at_us, record.remote, record.local, payload, &mut self.scratch);
            let result = recording.pcap.write_all(&self.scratch);
            recording.packets += 1;
            self.packets.increment(1);
            self.bytes.increment(self.scratch.len() as u64);
            if let Err(error) = result {
                self.fail(key, &error);
            }
        }
        self.tell();
        chunk.clear();
        // There is room for every chunk there is.
        let _full = self.spare.try_send(chunk);
    }

    fn note(&mut self, key: RecordingId, at: Now, note: RecordingNote) {
        let result = match note {
            RecordingNote::Begun(begun) => self.begin(key, at, *begun),
            RecordingNote::Described { offer, sdp } => match self.recordings.get_mut(&key) {
                Some(recording) => {
                    recording.sheet.write_all(&sheet::description(at.wall_ms, offer, recording.packets, &sdp))
                }
                None => Ok(()),
            },
            RecordingNote::Metadata(metadata) => {
                if let Some(recording) = self.recordings.get_mut(&key) {
                    recording.metadata = Some(metadata);
                }
                Ok(())
            }
            RecordingNote::Ended { discard, with_call } => {
                self.end(key, at, discard, with_call);
                Ok(())
            }
        };
        if let Err(error) = result {
            self.fail(key, &error);
        }
    }

    fn begin(&mut self, key: RecordingId, at: Now, begun: RecordingBegun) -> io::Result<()> {
        let random = SysRng.try_next_u64().map_err(io::Error::other)?;
        let names = Names::of(&begun, at.wall_ms, random);
        let directory = &self.config.directory;
        let (mut sheet, unfinished) = name::create(directory, &names.unfinished, random)?;
        let (pcap, path) = name::create(directory, &names.pcap, random).inspect_err(|_| {
            // It is empty, and of no use without the packets.
            let _gone_already = fs::remove_file(&unfinished);
        })?;
        let mut pcap = BufWriter::with_capacity(BUFFER_BYTES, pcap);
        let result = sheet
            .write_all(sheet::beginning(&path).as_bytes())
            .and_then(|()| pcap.write_all(&pcap::file_header(self.config.format)))
            .and_then(|()| pcap.flush());
        let recording = Recording {
            pcap,
            path,
            sheet,
            unfinished,
            finished: directory.join(names.sheet),
            began: at,
            call_created_ms: begun.call_created_ms,
            metadata: begun.options.metadata,
            packets: 0,
        };
        self.recordings.insert(key, recording);
        result
    }

    /// Closes the files of a recording, or throws them away.
    fn end(&mut self, key: RecordingId, at: Now, discard: bool, with_call: bool) {
        let Some(recording) = self.recordings.remove(&key) else { return };
        let Recording { mut pcap, path, mut sheet, unfinished, finished, call_created_ms, metadata, .. } =
            recording;
        let result = if discard {
            // Nothing more is written of what is thrown away.
            let (_file, _unwritten) = pcap.into_parts();
            fs::remove_file(path).and_then(|()| fs::remove_file(unfinished))
        } else {
            let ended_ms = if with_call { at.wall_ms } else { 0 };
            let last = sheet::end(ended_ms, call_created_ms, at.wall_ms, metadata.as_deref());
            pcap.flush()
                .and_then(|()| sheet.write_all(last.as_bytes()))
                .and_then(|()| fs::rename(unfinished, finished))
        };
        if let Err(error) = result {
            self.complain(&error);
        }
    }

    /// Gives a recording up: what is there stays, and the workers are told.
    fn fail(&mut self, key: RecordingId, error: &io::Error) {
        self.complain(error);
        if let Some(recording) = self.recordings.remove(&key) {
            // What the disk did not take will not be tried again.
            let (_file, _unwritten) = recording.pcap.into_parts();
        }
        self.tell_of(key);
        self.tell();
    }

    /// Notes that every worker is to be told of a failure.
    fn tell_of(&mut self, key: RecordingId) {
        for worker in 0..self.workers.len() {
            if !self.untold.contains(&(worker, key)) {
                self.untold.push((worker, key));
            }
        }
    }

    /// Tells workers of failures. One with a full mailbox is told later.
    fn tell(&mut self) {
        let workers = &self.workers;
        self.untold.retain(|&(worker, recording)| {
            let mail = WorkerMail::RecordingFailed { recording };
            matches!(workers[worker].send(mail), Err(Undelivered::Full(_)))
        });
    }

    fn flush(&mut self) {
        self.tell();
        let flush = |(key, recording): (&RecordingId, &mut Recording)| {
            recording.pcap.flush().err().map(|error| (*key, error))
        };
        let failed: Vec<_> = self.recordings.iter_mut().filter_map(flush).collect();
        for (key, error) in failed {
            self.fail(key, &error);
        }
    }

    fn complain(&mut self, error: &io::Error) {
        self.errors.increment(1);
        if let Some(unsaid) = self.complaints.allow(Clock::monotonic_ns()) {
            let directory = self.config.directory.display();
            tracing::error!(%directory, %error, unsaid, "a recording could not be kept and ends; its call goes on");
        }
    }
}

/// How long what was written may lie in memory.
const FLUSH: Duration = Duration::from_secs(1);
const FLUSH_NS: u64 = 1_000_000_000;

/// Of each file, written at once.
const BUFFER_BYTES: usize = 16 * 1024;
