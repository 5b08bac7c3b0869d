//! Decisions are numbered: in each room a number is given once, and the title repeats it.

use std::collections::BTreeMap;

use crate::{Breach, tree::File};

pub(crate) fn check(files: &[File]) -> Vec<Breach> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let Some((room, name)) = file.path.split_once("/adr/") else { continue };
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || number.parse::<u16>().is_err() {
            found.push(Breach::new(file.path.clone(), "a decision is called NNNN-title.md"));
            continue;
        }
        if let Some(other) = seen.insert((room, number), name) {
            found.push(Breach::new(file.path.clone(), format!("has the number of `{other}`")));
        }
        let title = file.lines().next().map_or("", |(_, line)| line);
        let short = number.trim_start_matches('0');
        if !title.starts_with(&format!("# {short}.")) && !title.starts_with(&format!("# {number}:")) {
            found.push(Breach::new(file.path.clone(), format!("its title `{title}` has another number")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: Some(text.to_owned()) }
    }

    #[test]
    fn a_number_given_twice_in_a_room_is_a_breach_and_in_two_rooms_is_not() {
        let twice = [file("rtp/adr/0001-a.md", "# 1. A"), file("rtp/adr/0001-b.md", "# 0001: B")];
        assert_eq!(check(&twice).len(), 1);
        let apart = [file("rtp/adr/0001-a.md", "# 1. A"), file("engine/adr/0001-b.md", "# 1. B")];
        assert!(check(&apart).is_empty());
    }

    #[test]
    fn a_title_with_another_number_is_a_breach() {
        assert_eq!(check(&[file("rtp/adr/0002-a.md", "# 1. A")]).len(), 1);
        assert!(check(&[file("rtp/adr/0002-a.md", "# 2. A 64-bit thing")]).is_empty());
    }

    #[test]
    fn a_decision_without_a_number_is_a_breach() {
        assert_eq!(check(&[file("rtp/adr/why.md", "# Why")]).len(), 1);
    }
}
