//! A test, setting or function that a document names is there. Long names only: a short one may be somebody else's.

use std::collections::HashSet;

use crate::{Breach, tree::File};

/// Underscores that make a name long enough to be one of ours.
const UNDERSCORES_MIN: usize = 3;

pub(crate) fn check(files: &[File]) -> Vec<Breach> {
    let (documents, code): (Vec<&File>, Vec<&File>) =
        files.iter().partition(|file| file.path.ends_with(".md"));
    let known: HashSet<&str> = code
        .iter()
        .filter_map(|file| file.text.as_deref())
        .flat_map(words)
        .filter(|word| long(word))
        .collect();
    let mut found = Vec::new();
    for file in documents {
        for (number, line) in file.lines() {
            for name in quoted(line).filter(|name| long(name) && !known.contains(name)) {
                let place = format!("{}:{number}", file.path);
                found.push(Breach::new(place, format!("nothing in the code is called `{name}`")));
            }
        }
    }
    found
}

/// What stands between backticks in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn long(name: &str) -> bool {
    name.bytes().filter(|byte| *byte == b'_').count() >= UNDERSCORES_MIN
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_names_what_is_not_there_is_a_breach() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: Some(text.to_owned()) };
        let code = || file("rtp/src/a.rs", "fn a_test_that_is_there() {}");
        let told = |text: &str| check(&[code(), file("README.md", text)]);
        assert!(told("see `a_test_that_is_there`, `short_name` and a_word_in_plain_text").is_empty());
        assert_eq!(told("see `a_test_that_is_gone`")[0].place, "README.md:1");
    }
}
