//! Which room may import which. The manifests say what is; the table below says what may be.

use std::path::Path;

use anyhow::Context;

use crate::{Breach, tree::File};

/// A crate of ours, and the crates of ours that it may depend on. Benches, tests and tools may import any room, and
/// no room imports them.
const ARROWS: [(&str, &[&str]); 10] = [
    ("rtp", &[]),
    ("codecs", &[]),
    ("ng", &[]),
    ("driver", &[]),
    ("engine-core", &["rtp", "codecs", "ng"]),
    ("engine", &["engine-core", "driver", "ng"]),
    ("ledger", &[]),
    ("sip", &["rtp"]),
    ("call", &["sip", "ledger", "ng"]),
    ("control", &["call", "sip", "ledger", "ng", "rtp"]),
];

/// Crates that may import any room; nothing in a room imports them.
const OUTSIDE: [&str; 7] = ["tollgate", "load", "tidy", "tests", "sim", "libsrtp", "benches"];

/// Crates that no room without sockets, threads or clocks may name.
const WORLDLY: [&str; 9] =
    ["tokio", "mio", "socket2", "libc", "io-uring", "rusqlite", "tokio-rustls", "rustls", "crossbeam"];

/// The rooms that know bytes and time only as arguments.
const SANS_IO: [&str; 7] = ["rtp", "codecs", "ng", "engine-core", "sip", "call", "ledger"];

pub(crate) fn check(root: &Path, files: &[File]) -> anyhow::Result<Vec<Breach>> {
    let mut found = Vec::new();
    let manifests =
        files.iter().filter(|file| file.path.ends_with("Cargo.toml") && file.path != "Cargo.toml");
    for manifest in manifests {
        let text = manifest.text.as_deref().with_context(|| format!("{} is not text", manifest.path))?;
        let table: toml::Table =
            text.parse().with_context(|| format!("{}", root.join(&manifest.path).display()))?;
        let Some(name) =
            table.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str())
        else {
            continue;
        };
        for section in ["dependencies", "build-dependencies"] {
            let names =
                table.get(section).and_then(|deps| deps.as_table()).into_iter().flat_map(|deps| deps.keys());
            found.extend(names.filter_map(|dependency| judge(&manifest.path, name, dependency)));
        }
    }
    Ok(found)
}

fn judge(place: &str, name: &str, dependency: &str) -> Option<Breach> {
    let allowed = ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)?;
    let ours = ARROWS.iter().any(|(from, _)| *from == dependency) || OUTSIDE.contains(&dependency);
    if ours && !allowed.contains(&dependency) {
        return Some(Breach::new(place, format!("`{name}` may not import `{dependency}`")));
    }
    if SANS_IO.contains(&name) && WORLDLY.contains(&dependency) {
        return Some(Breach::new(
            place,
            format!("`{name}` has no socket, thread or clock, so not `{dependency}`"),
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_may_not_see_the_driver() {
        assert!(judge("engine/core/Cargo.toml", "engine-core", "driver").is_some());
        assert!(judge("engine/core/Cargo.toml", "engine-core", "rtp").is_none());
    }

    #[test]
    fn a_sans_io_room_may_not_see_a_runtime() {
        assert!(judge("control/sip/Cargo.toml", "sip", "tokio").is_some());
        assert!(judge("control/Cargo.toml", "control", "tokio").is_none());
    }
}
