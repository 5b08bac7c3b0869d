//! No floating point anywhere in this crate.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_source_names_a_float_type() {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut checked = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            assert_names_no_float(&path);
            checked += 1;
        }
    }
    assert!(checked > 15, "only {checked} files were looked at");
}

fn assert_names_no_float(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    for word in [16, 32, 64, 128].map(|bits| format!("f{bits}")) {
        let found = text.split(|letter: char| !letter.is_alphanumeric()).any(|token| token == word);
        assert!(!found, "{} names {word}", path.display());
    }
}
