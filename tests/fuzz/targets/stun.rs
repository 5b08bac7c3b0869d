//! A STUN message that is accepted can be read whole and written again; nothing that was made up is authentic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp::stun::{AttributeKind, Check, StunMessage, StunWriter};

const KEY: &[u8] = b"a key that no input knows";

fuzz_target!(|data: &[u8]| {
    let Ok(message) = StunMessage::parse(data) else { return };
    assert_ne!(message.check_integrity(KEY), Check::Valid);
    assert_ne!(message.check_integrity_sha256(KEY), Check::Valid);
    let _ = (message.check_fingerprint(), message.priority(), message.ice_controlling(), message.ice_controlled());
    let _ = (message.error_code(), message.username(), message.use_candidate(), message.unknown(&[]).count());

    // What counts of it, written again and signed, reads the same.
    let mut buffer = vec![0; data.len() + 80];
    let mut writer = StunWriter::new(&mut buffer, message.class(), message.method(), message.transaction_id())
        .expect("room for a header");
    let ours = [
        AttributeKind::MESSAGE_INTEGRITY,
        AttributeKind::MESSAGE_INTEGRITY_SHA256,
        AttributeKind::FINGERPRINT,
    ];
    let plain = || message.attributes().filter(|attribute| !ours.contains(&attribute.kind));
    for attribute in plain() {
        writer.attribute(attribute.kind, attribute.value).expect("it fitted before");
    }
    let signed = [writer.integrity(KEY), writer.integrity_sha256(KEY), writer.fingerprint()];
    if signed.iter().any(Result::is_err) {
        assert!(data.len() > 65_000, "there was room");
        return;
    }
    let length = writer.written();
    let again = StunMessage::parse(&buffer[..length]).expect("what was written can be read");
    assert!(again.attributes().filter(|attribute| !ours.contains(&attribute.kind)).eq(plain()));
    assert_eq!((again.class(), again.method()), (message.class(), message.method()));
    assert_eq!(again.xor_mapped_address(), message.xor_mapped_address());
    assert_eq!((again.check_integrity(KEY), again.check_integrity_sha256(KEY)), (Check::Valid, Check::Valid));
    assert_eq!(again.check_fingerprint(), Check::Valid);
});
