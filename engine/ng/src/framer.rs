//! Messages on a stream: where one ends and the next begins.
//!
//! A message is what a datagram holds, cookie, blank, document, and ends where its document does: a bencode dictionary with
//! its last `e`, a JSON object with its last brace outside of text. Line ends between messages are skipped. rtpengine frames
//! bencode alone.

use crate::{envelope::Envelope, value::Value};

/// One message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Echoed in the reply; never empty.
    pub cookie: Vec<u8>,
    /// The document, whole, but not read yet.
    pub document: Vec<u8>,
}

/// Bytes that are no message. Nothing that follows on the stream can be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Nothing before the blank, or no blank where a cookie must have ended.
    #[error("no cookie")]
    NoCookie,
    /// The document is none, or longer than [`Envelope::DOCUMENT_BYTES_MAX`].
    #[error("a document that does not end")]
    Unframed {
        /// To answer with.
        cookie: Vec<u8>,
        /// How the document begins: enough to find the text of the refusal.
        beginning: Vec<u8>,
    },
}

/// Cuts the bytes of one stream into messages. Each byte is looked at once.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were looked at.
    seen: usize,
    scan: Scan,
    /// What the stream was given up for.
    broken: Option<StreamError>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Scan {
    /// Before the blank.
    #[default]
    Cookie,
    /// Inside a document, whose first byte is at `start`.
    Document { start: usize, depth: usize, inside: Inside },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Bencode: a value or the end of a container is next.
    Value,
    /// Bencode: an integer up to its `e`.
    Integer,
    /// Bencode: a length up to its colon.
    Length(usize),
    /// Bencode: so many bytes of text.
    Text(usize),
    /// JSON, outside of text.
    Json,
    /// JSON: text up to its quote.
    JsonText,
    /// JSON: the byte after a backslash.
    JsonEscape,
}

impl Framer {
    /// Takes what was read from the stream. [`poll`](Self::poll) follows until it gives nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if it is whole.
    ///
    /// # Errors
    /// [`StreamError`], which lasts: the stream is to be given up.
    pub fn poll(&mut self) -> Result<Option<Message>, StreamError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let polled = self.poll_sound();
        self.broken = polled.as_ref().err().cloned();
        polled
    }

    /// Bytes of a message that is not whole yet.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn poll_sound(&mut self) -> Result<Option<Message>, StreamError> {
        if self.scan == Scan::Cookie {
            let ends = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.drain(..ends);
            let reach = self.buffer.len().min(Envelope::COOKIE_BYTES_MAX + 1);
            match self.buffer[..reach].iter().position(|byte| *byte == b' ') {
                Some(0) => return Err(StreamError::NoCookie),
                Some(blank) => {
                    let Some(first) = self.buffer.get(blank + 1) else { return Ok(None) };
                    let inside = match first {
                        b'd' => Inside::Value,
                        b'{' => Inside::Json,
                        _ => return Err(self.unframed(blank + 1)),
                    };
                    self.scan = Scan::Document { start: blank + 1, depth: 0, inside };
                    self.seen = blank + 1;
                }
                None if reach > Envelope::COOKIE_BYTES_MAX => return Err(StreamError::NoCookie),
                None => return Ok(None),
            }
        }
        let Scan::Document { start, .. } = self.scan else { return Ok(None) };
        match self.scan_document() {
            Some(true) => {
                let rest = self.buffer.split_off(self.seen);
                let mut cookie = std::mem::replace(&mut self.buffer, rest);
                let document = cookie.split_off(start);
                cookie.truncate(start - 1);
                (self.seen, self.scan) = (0, Scan::Cookie);
                Ok(Some(Message { cookie, document }))
            }
            Some(false) if self.buffer.len() - start <= Envelope::DOCUMENT_BYTES_MAX => Ok(None),
            _ => Err(self.unframed(start)),
        }
    }

    /// Looks at what was not looked at; true at the end of the document, `None` for what is no document.
    fn scan_document(&mut self) -> Option<bool> {
        let Scan::Document { start, mut depth, mut inside } = self.scan else { return Some(false) };
        let mut ended = false;
        while !ended {
            let Some(&byte) = self.buffer.get(self.seen) else { break };
            let mut step = 1;
            inside = match inside {
                Inside::Value => match byte {
                    b'd' | b'l' => {
                        depth += 1;
                        Inside::Value
                    }
                    b'e' => {
                        depth -= 1;
                        Inside::Value
                    }
                    b'i' => Inside::Integer,
                    b'0'..=b'9' => Inside::Length(usize::from(byte - b'0')),
                    _ => return None,
                },
                Inside::Integer => match byte {
                    b'e' => Inside::Value,
                    b'0'..=b'9' | b'-' => Inside::Integer,
                    _ => return None,
                },
                Inside::Length(length) => match byte {
                    b':' if length == 0 => Inside::Value,
                    b':' => Inside::Text(length),
                    b'0'..=b'9' if length <= Envelope::DOCUMENT_BYTES_MAX => {
                        Inside::Length(length * 10 + usize::from(byte - b'0'))
                    }
                    _ => return None,
                },
                Inside::Text(left) => {
                    step = left.min(self.buffer.len() - self.seen);
                    if step == left { Inside::Value } else { Inside::Text(left - step) }
                }
                Inside::Json => match byte {
                    b'"' => Inside::JsonText,
                    b'{' | b'[' => {
                        depth += 1;
                        Inside::Json
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        Inside::Json
                    }
                    _ => Inside::Json,
                },
                Inside::JsonText => match byte {
                    b'"' => Inside::Json,
                    b'\\' => Inside::JsonEscape,
                    _ => Inside::JsonText,
                },
                Inside::JsonEscape => Inside::JsonText,
            };
            self.seen += step;
            if depth > Value::DEPTH_MAX {
                return None;
            }
            ended = depth == 0;
        }
        self.scan = Scan::Document { start, depth, inside };
        Some(ended)
    }

    fn unframed(&self, start: usize) -> StreamError {
        let end = self.buffer.len().min(start + BEGINNING_BYTES);
        StreamError::Unframed {
            cookie: self.buffer[..start - 1].to_vec(),
            beginning: self.buffer[start..end].to_vec(),
        }
    }
}

/// How much of a document that is none is kept.
const BEGINNING_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{bencode, json};

    fn framed(chunks: &[&[u8]]) -> (Vec<Message>, Option<StreamError>) {
        let mut framer = Framer::default();
        let mut messages = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            loop {
                match framer.poll() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    }

    fn message(cookie: &str, document: &str) -> Message {
        Message { cookie: cookie.into(), document: document.into() }
    }

    #[test]
    fn messages_end_where_their_documents_do() {
        let stream: &[u8] =
            b"1 d7:command4:pinge\r\n2 {\"a\":\"}\\\"]\",\"b\":[{}]}3 d1:ai-5e1:bld0:0:eee4 {}";
        let expected = vec![
            message("1", "d7:command4:pinge"),
            message("2", "{\"a\":\"}\\\"]\",\"b\":[{}]}"),
            message("3", "d1:ai-5e1:bld0:0:eee"),
            message("4", "{}"),
        ];
        assert_eq!(framed(&[stream]), (expected.clone(), None));
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(framed(&bytes), (expected, None));
    }

    #[test]
    fn what_has_no_cookie_is_given_up() {
        for stream in [b" d7:command4:pinge".to_vec(), vec![b'c'; 300], b"d7:command4:ping".repeat(20)] {
            assert_eq!(framed(&[&stream]), (vec![], Some(StreamError::NoCookie)));
        }
        assert_eq!(framed(&[&[b'c'; 255]]), (vec![], None));
    }

    #[test]
    fn what_is_no_document_is_given_up_with_its_cookie() {
        let long = format!("7 d1:a{}:", Envelope::DOCUMENT_BYTES_MAX * 20);
        let deep = format!("7 d1:a{}", "l".repeat(100));
        for text in ["7 hello", "7 dx", "7 d1x", "7 di1xe", long.as_str(), deep.as_str()] {
            let (messages, error) = framed(&[text.as_bytes()]);
            let Some(StreamError::Unframed { cookie, beginning }) = error else {
                panic!("{text}: {error:?}")
            };
            assert_eq!((messages, cookie), (vec![], b"7".to_vec()));
            assert!(text.as_bytes()[2..].starts_with(&beginning));
        }
    }

    #[test]
    fn a_document_that_does_not_end_is_bounded() {
        for head in [&b"7 {\"a\":\""[..], b"7 d1:a262100:"] {
            let mut framer = Framer::default();
            framer.push(head);
            let mut pushed = 0;
            while framer.poll() == Ok(None) {
                framer.push(&[b'{'; 1000]);
                pushed += 1000;
                assert!(pushed <= Envelope::DOCUMENT_BYTES_MAX + 2000, "{}", framer.buffered_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn a_stream_gives_the_same_messages_however_it_is_cut(
            values in prop::collection::vec(crate::bencode::tests::values(), 1..5),
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (index, value) in values.into_iter().enumerate() {
                let tree = Value::Dictionary(vec![(b"a".as_slice().into(), value)]);
                let mut document = Vec::new();
                if index % 2 == 0 { bencode::write(&tree, &mut document) } else { json::write(&tree, &mut document) }
                let cookie = index.to_string().into_bytes();
                stream.extend([cookie.as_slice(), b" ", &document].concat());
                expected.push(Message { cookie, document });
            }
            let mut rest = stream.as_slice();
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (chunk, left) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = left;
            }
            prop_assert_eq!(framed(&chunks), (expected, None));
        }

        #[test]
        fn random_bytes_never_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let _ = framed(&chunks);
        }
    }
}
