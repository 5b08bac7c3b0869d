//! The text files of the tree, as git knows them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// A tracked file: its path below the root and its text (`None` where it is not UTF-8).
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: Option<String>,
}

impl File {
    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.as_deref().unwrap_or_default().lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Reads every file that git tracks, and every new one that it does not ignore.
pub(crate) fn tracked(root: &Path) -> anyhow::Result<Vec<File>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    ensure!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let mut files: Vec<File> = String::from_utf8(listing.stdout)
        .context("a path is not UTF-8")?
        .split_terminator('\0')
        .filter(|path| root.join(path).is_file())
        .map(|path| File { path: path.to_owned(), text: std::fs::read_to_string(root.join(path)).ok() })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}
