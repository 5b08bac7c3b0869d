//! No floating point anywhere in this crate.

use std::fs;
use std::path::Path;

#[test]
fn no_source_names_a_float_type() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for entry in fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for word in [16, 32, 64, 128].map(|bits| format!("f{bits}")) {
            let found = text.split(|letter: char| !letter.is_alphanumeric()).any(|token| token == word);
            assert!(!found, "{} names {word}", path.display());
        }
        checked += 1;
    }
    assert!(checked > 5, "only {checked} files were looked at");
}
