//! The JSON Lines file: whole lines only, found again after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A file that holds whole lines, each ended by a line feed.
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines; anything behind them is the torn rest of a failed write.
    length: u64,
}

impl LineFile {
    /// Opens or creates the file and cuts off a line that a crash left unfinished.
    ///
    /// # Errors
    /// The file cannot be opened, read or cut.
    pub(super) fn open(path: &Path) -> io::Result<LineFile> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        let length = whole_lines(&mut file)?;
        if length < file.metadata()?.len() {
            file.set_len(length)?;
            file.sync_data()?;
        }
        Ok(LineFile { path: path.to_owned(), file, length })
    }

    /// Appends whole lines and waits until they are on the disk.
    ///
    /// # Errors
    /// The disk is full or broken. The lines are taken back, but that may fail too: the file is to be
    /// opened anew, which tells what is in it.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        // Not what was counted: an operator may have emptied the file meanwhile.
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let _ = self.file.set_len(before);
            return Err(error);
        }
        self.length = before + lines.len() as u64;
        Ok(())
    }

    /// Whether the path still leads to this file: not once an operator has moved it away.
    pub(super) fn is_current(&self) -> bool {
        let same =
            |here: fs::Metadata, open: fs::Metadata| (here.dev(), here.ino()) == (open.dev(), open.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(here), Ok(open)) => same(here, open),
            _ => false,
        }
    }

    /// What the last line says of itself; nothing when there is none or it is no record.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn last(&mut self) -> io::Result<Option<LastLine>> {
        let start = self.length.saturating_sub(LINE_BYTES_MAX);
        self.file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        (&mut self.file).take(self.length - start).read_to_end(&mut tail)?;
        let Some(line) = tail.strip_suffix(b"\n") else {
            return Ok(None);
        };
        let line = line.rsplit(|byte| *byte == b'\n').next().unwrap_or(line);
        Ok(serde_json::from_slice(line).ok())
    }
}

/// What a line is recognised by.
#[derive(Deserialize)]
pub(super) struct LastLine {
    /// The record's place in the outbox.
    pub(super) sequence: i64,
    /// The record's call.
    pub(super) call: String,
}

/// The length up to and including the last line feed.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        (&mut *file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

const CHUNK_BYTES: u64 = 64 * 1024;
/// Longer than any record: its texts come from SIP messages of at most 64 KiB.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        for (before, after) in [("", ""), ("torn", ""), ("a\n", "a\n"), ("a\nb\nto", "a\nb\n")] {
            fs::write(&path, before).unwrap();
            let mut file = LineFile::open(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
            file.append("c\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{after}c\n"));
        }
    }

    #[test]
    fn a_long_torn_line_is_cut_off_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        fs::write(&path, format!("a\n{}", "x".repeat(200_000))).unwrap();
        LineFile::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
    }

    #[test]
    fn a_file_that_was_emptied_is_gone_on_with_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        let mut file = LineFile::open(&path).unwrap();
        file.append("{\"sequence\":1,\"call\":\"a\"}\n").unwrap();
        fs::write(&path, "").unwrap();
        file.append("{\"sequence\":2,\"call\":\"b\"}\n").unwrap();
        assert_eq!(file.last().unwrap().unwrap().sequence, 2);
        assert_eq!(file.length, fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn the_last_line_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        let mut file = LineFile::open(&path).unwrap();
        assert!(file.last().unwrap().is_none());
        file.append("{\"sequence\":1,\"call\":\"a\"}\n{\"sequence\":2,\"call\":\"b\",\"x\":0}\n").unwrap();
        let last = file.last().unwrap().unwrap();
        assert_eq!((last.sequence, last.call.as_str()), (2, "b"));
        file.append("edited by hand\n").unwrap();
        assert!(file.last().unwrap().is_none());
    }
}
