//! The house rules that a compiler cannot see: which room may import which, what a file may call, that links lead
//! somewhere. Prints every breach with its place and what to do; exits 1 if there is one.
#![forbid(unsafe_code)]

mod adrs;
mod arrows;
mod links;
mod names;
mod root;
mod sources;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One broken rule: where, and what is wrong with it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Breach {
    place: String,
    what: String,
}

impl Breach {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Breach {
        Breach { place: place.into(), what: what.into() }
    }
}

fn main() -> ExitCode {
    match breaches(&workspace_root()) {
        Ok(found) if found.is_empty() => {
            println!("tidy: every rule holds");
            ExitCode::SUCCESS
        }
        Ok(found) => {
            for breach in &found {
                eprintln!("tidy: {}: {}", breach.place, breach.what);
            }
            eprintln!("tidy: {} breach(es)", found.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("tools/tidy lies two folders below the root").to_path_buf()
}

/// Runs every check over the files that git tracks below `root`.
fn breaches(root: &Path) -> anyhow::Result<Vec<Breach>> {
    let files = tree::tracked(root)?;
    let mut found = root::check(&files);
    found.extend(arrows::check(root, &files)?);
    found.extend(sources::check(&files));
    found.extend(links::check(root, &files));
    found.extend(adrs::check(&files));
    found.extend(names::check(&files));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_keeps_every_rule() {
        let found = super::breaches(&super::workspace_root()).expect("the tree can be read");
        assert!(found.is_empty(), "{found:#?}");
    }
}
