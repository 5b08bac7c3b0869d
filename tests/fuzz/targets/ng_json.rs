//! A JSON document that is accepted is written and read back as the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ng::json;

fuzz_target!(|data: &[u8]| {
    let Ok(tree) = json::parse(data) else { return };
    let mut written = Vec::new();
    json::write(&tree, &mut written);
    let again = json::parse(&written).expect("what is written can be read");
    assert_eq!(again, tree);
});
