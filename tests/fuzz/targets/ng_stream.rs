//! A stream of NG is cut into the same messages however it arrives, and never held beyond its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ng::{Envelope, Framer, Message, StreamError};

fuzz_target!(|data: &[u8]| {
    let Some((&step, stream)) = data.split_first() else { return };
    let whole = cut(stream, stream.len().max(1));
    let pieces = cut(stream, usize::from(step % 32) + 1);
    assert_eq!(whole.0, pieces.0);
    assert_eq!(whole.1.is_some(), pieces.1.is_some());
});

fn cut(stream: &[u8], step: usize) -> (Vec<Message>, Option<StreamError>) {
    let mut framer = Framer::default();
    let mut messages = Vec::new();
    for piece in stream.chunks(step) {
        framer.push(piece);
        loop {
            match framer.poll() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.poll(), Err(error.clone()), "an error lasts");
                    return (messages, Some(error));
                }
            }
        }
        assert!(framer.buffered_bytes() <= Envelope::COOKIE_BYTES_MAX + Envelope::DOCUMENT_BYTES_MAX + step);
    }
    for message in &messages {
        assert!(!message.cookie.is_empty() && message.cookie.len() <= Envelope::COOKIE_BYTES_MAX);
        let _ = ng::read_document(&message.document);
    }
    (messages, None)
}
