//! A whole datagram of a client: read, and if it is a command, written and read back as the same; bencode alone too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ng::{Encoding, Envelope, bencode};

fuzz_target!(|data: &[u8]| {
    if let Ok((tree, used)) = bencode::parse(data) {
        assert!(used <= data.len());
        let mut written = Vec::new();
        bencode::write(&tree, &mut written);
        let (again, _) = bencode::parse(&written).expect("what is written can be read");
        assert_eq!(again, tree);
    }
    let Ok(envelope) = Envelope::parse(data) else { return };
    assert!(envelope.cookie.len() <= Envelope::COOKIE_BYTES_MAX);
    let Ok(request) = envelope.request else { return };
    for encoding in [Encoding::Bencode, Encoding::Json] {
        let datagram = request.command.datagram("cookie", encoding);
        let again = Envelope::parse(&datagram).expect("the cookie is there");
        assert_eq!(again.cookie, b"cookie");
        assert_eq!(again.encoding, encoding);
    }
});
