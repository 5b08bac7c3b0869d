//! The document of a reply, as the asking side reads it from an engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ng::{Encoding, Reply};

fuzz_target!(|data: &[u8]| {
    let Ok(reply) = Reply::parse(data) else { return };
    for encoding in [Encoding::Bencode, Encoding::Json] {
        let mut written = Vec::new();
        reply.encode(encoding, &mut written);
        Reply::parse(&written).expect("what is written can be read");
    }
});
