//! Relative links in Markdown lead to files that exist, and a `#heading` to a heading that is there.

use std::path::Path;

use crate::{Breach, tree::File};

pub(crate) fn check(root: &Path, files: &[File]) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in file.lines() {
            for target in targets(line) {
                if let Some(what) = judge(root, &file.path, target) {
                    found.push(Breach::new(format!("{}:{number}", file.path), what));
                }
            }
        }
    }
    found
}

/// The targets of `[text](target)` in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        rest.find(')').map(|end| &rest[..end])
    })
}

fn judge(root: &Path, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let own = root.join(from);
    let file = if path.is_empty() { own } else { own.parent()?.join(path) };
    if !file.exists() {
        return Some(format!("the link to `{target}` leads nowhere"));
    }
    if heading.is_empty() || file.extension()? != "md" {
        return None;
    }
    let text = std::fs::read_to_string(&file).ok()?;
    let there = text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == heading);
    (!there).then(|| format!("`{path}` has no heading `#{heading}`"))
}

/// A heading as its anchor: lower case, blanks to hyphens, punctuation dropped.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_and_slugs_are_those_of_a_forge() {
        assert_eq!(targets("see [a](b.md) and [c](d/e.md#f)").collect::<Vec<_>>(), ["b.md", "d/e.md#f"]);
        assert_eq!(slug("## The two commands"), "the-two-commands");
    }

    #[test]
    fn a_link_to_nowhere_is_a_breach() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(judge(root, "README.md", "no/such/file.md").is_some());
        assert!(judge(root, "README.md", "src/links.rs").is_none());
    }
}
