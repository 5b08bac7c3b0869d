//! The root keeps its ten names.

use std::collections::BTreeSet;

use crate::{Breach, tree::File};

/// What may lie in the root beside dotfiles.
const NAMES: [&str; 13] = [
    "Cargo.toml",
    "README.md",
    "rtp",
    "codecs",
    "engine",
    "control",
    "benches",
    "tests",
    "tools",
    "deploy",
    "Cargo.lock",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// Rooms whose folder must hold a README.
const ROOMS: [&str; 14] = [
    "rtp",
    "codecs",
    "engine",
    "engine/core",
    "engine/ng",
    "engine/driver",
    "control",
    "control/sip",
    "control/call",
    "control/ledger",
    "benches",
    "tests",
    "tools",
    "deploy",
];

pub(crate) fn check(files: &[File]) -> Vec<Breach> {
    let mut found = Vec::new();
    let tops: BTreeSet<&str> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
    for top in tops {
        if !top.starts_with('.') && !NAMES.contains(&top) {
            found.push(Breach::new(top, "is not one of the root's ten names; put it into a room"));
        }
    }
    for room in ROOMS {
        let readme = format!("{room}/README.md");
        if !files.iter().any(|file| file.path == readme) {
            found.push(Breach::new(
                readme,
                "is missing: every room says what it is and what is deliberately absent",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eleventh_name_is_a_breach() {
        let files = [File { path: "misc/notes.txt".into(), text: None }];
        assert!(check(&files).iter().any(|breach| breach.place == "misc"));
    }
}
