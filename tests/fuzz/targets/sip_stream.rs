//! A stream is cut into the same frames however it arrives, and never held beyond its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::message::{Frame, FrameError, Framer, Limits, Message};

fuzz_target!(|data: &[u8]| {
    let Some((&step, stream)) = data.split_first() else { return };
    let limits = Limits { head_bytes_max: 512, header_lines_max: 16, body_bytes_max: 256 };
    // A single CRLF is reported at once, so that a double one that comes in two pieces is a pong and a ping.
    let whole = cut(stream, stream.len().max(1), limits);
    let pieces = cut(stream, usize::from(step % 32) + 1, limits);
    assert_eq!(whole, pieces);
});

fn cut(stream: &[u8], step: usize, limits: Limits) -> (Vec<Frame>, Option<FrameError>) {
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for piece in stream.chunks(step) {
        framer.push(piece);
        loop {
            match framer.poll() {
                Ok(Some(Frame::Pong)) => {}
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.poll(), Err(error), "an error lasts");
                    return (frames, Some(error));
                }
            }
        }
        assert!(framer.buffered_bytes() <= limits.head_bytes_max + limits.body_bytes_max + step);
    }
    for frame in &frames {
        if let Frame::Message(bytes) = frame {
            let _ = Message::parse(bytes.clone(), &limits);
        }
    }
    (frames, None)
}
