//! Cuts a byte stream into messages and keep-alives ([RFC 3261 §18.3], RFC 5626 §3.5.1).
//!
//! [RFC 3261 §18.3]: https://www.rfc-editor.org/rfc/rfc3261#section-18.3

use bytes::{Buf, Bytes, BytesMut};

use super::header::{Header, HeaderName};
use super::parse::Limits;
use super::typed::{ContentLength, TypedHeader};

/// The receive side of one TCP or TLS connection.
///
/// Holds at most one message of the size its [`Limits`] allow, plus what one
/// `push` brought; drain [`Framer::poll`] after each push.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// How far the buffer has been searched for the end of the headers.
    searched: usize,
    /// Head and whole length of the message being waited for.
    expected: Option<usize>,
    /// Whether a single CRLF came just before what is in the buffer.
    after_crlf: bool,
    failed: Option<FrameError>,
}

/// One piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message, to be given to [`super::Message::parse`].
    Message(Bytes),
    /// A double CRLF: the peer asks for a pong, answer with one CRLF.
    Ping,
    /// A single CRLF: the answer to our ping.
    Pong,
}

/// Why the stream cannot be cut further; the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The headers are longer than the limit.
    #[error("headers longer than the limit")]
    HeadTooLong,
    /// The body is longer than the limit.
    #[error("body longer than the limit")]
    BodyTooLong,
    /// Content-Length is missing, no number, or there are two different ones.
    #[error("no usable Content-Length")]
    ContentLength,
}

impl Framer {
    /// An empty framer.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), searched: 0, expected: None, after_crlf: false, failed: None }
    }

    /// Takes in bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next piece, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`], from then on every time.
    pub fn poll(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let frame = self.cut();
        if let Err(error) = frame {
            self.failed = Some(error);
            self.buffer = BytesMut::new();
        }
        frame
    }

    /// Bytes waiting for the rest of their message.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.expected.is_none() {
            if let Some(frame) = self.keep_alive() {
                return Ok(Some(frame));
            }
            let Some(head_end) = self.head_end()? else {
                return Ok(None);
            };
            let body = content_length(&self.buffer[..head_end])?;
            if body > self.limits.body_bytes_max {
                return Err(FrameError::BodyTooLong);
            }
            self.expected = Some(head_end + body);
        }
        match self.expected {
            Some(length) if self.buffer.len() >= length => {
                self.expected = None;
                self.searched = 0;
                self.after_crlf = false;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            _ => Ok(None),
        }
    }

    /// Line ends before a message. A lone CRLF is reported at once, since the
    /// peer may wait for our reaction; a second one makes both a ping.
    fn keep_alive(&mut self) -> Option<Frame> {
        if !self.buffer.starts_with(b"\r\n") {
            return None;
        }
        self.searched = 0;
        if self.after_crlf {
            self.after_crlf = false;
            self.buffer.advance(2);
            return Some(Frame::Ping);
        }
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.buffer.advance(4);
            return Some(Frame::Ping);
        }
        self.after_crlf = true;
        self.buffer.advance(2);
        Some(Frame::Pong)
    }

    /// The length of start line, headers and empty line, when they are all here.
    fn head_end(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.searched.saturating_sub(3);
        let found = self.buffer[from..].windows(4).position(|w| w == b"\r\n\r\n");
        match found {
            Some(at) if from + at + 4 > self.limits.head_bytes_max => Err(FrameError::HeadTooLong),
            Some(at) => Ok(Some(from + at + 4)),
            None if self.buffer.len() >= self.limits.head_bytes_max => Err(FrameError::HeadTooLong),
            None => {
                self.searched = self.buffer.len();
                Ok(None)
            }
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut length = None;
    let mut at = 0;
    while at < head.len() {
        let mut end = at;
        // A line ends at the CRLF that no space follows.
        loop {
            end += head[end..].windows(2).position(|w| w == b"\r\n").ok_or(FrameError::ContentLength)?;
            if !matches!(head.get(end + 2), Some(b' ' | b'\t')) {
                break;
            }
            end += 2;
        }
        let line = &head[at..end];
        at = end + 2;
        if !line.first().is_some_and(|b| b"cClL".contains(b)) {
            continue;
        }
        let Ok(header) = Header::from_line(Bytes::copy_from_slice(line)) else {
            continue;
        };
        if *header.name() != HeaderName::ContentLength {
            continue;
        }
        let ContentLength(value) =
            ContentLength::parse(&header.value()).map_err(|_| FrameError::ContentLength)?;
        let value = usize::try_from(value).map_err(|_| FrameError::ContentLength)?;
        if length.is_some_and(|earlier| earlier != value) {
            return Err(FrameError::ContentLength);
        }
        length = Some(value);
    }
    length.ok_or(FrameError::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framer: &mut Framer) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = framer.poll() {
            frames.push(frame);
        }
        frames
    }

    const ONE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl : \r\n 3\r\n\r\nabc";

    #[test]
    fn every_cut_of_the_stream_gives_the_same_frames() {
        let mut stream = b"\r\n\r\n".to_vec();
        stream.extend_from_slice(ONE);
        stream.extend_from_slice(ONE);
        for step in 1..stream.len() {
            let mut framer = Framer::new(Limits::default());
            let mut messages = 0;
            let mut pings = 0;
            for chunk in stream.chunks(step) {
                framer.push(chunk);
                for frame in all(&mut framer) {
                    match frame {
                        Frame::Message(bytes) => {
                            assert_eq!(bytes, ONE);
                            messages += 1;
                        }
                        Frame::Ping => pings += 1,
                        Frame::Pong => {}
                    }
                }
            }
            assert_eq!((messages, pings), (2, 1), "chunks of {step}");
            assert_eq!(framer.buffered_bytes(), 0);
        }
    }

    #[test]
    fn a_single_line_end_is_a_pong() {
        let mut framer = Framer::new(Limits::default());
        framer.push(b"\r\n");
        assert_eq!(all(&mut framer), [Frame::Pong]);
    }

    #[test]
    fn a_stream_without_usable_length_fails_for_good() {
        for head in [
            "OPTIONS sip:a@b SIP/2.0\r\n\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n",
            "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
        ] {
            let mut framer = Framer::new(Limits::default());
            framer.push(head.as_bytes());
            assert_eq!(framer.poll(), Err(FrameError::ContentLength));
            framer.push(ONE);
            assert_eq!(framer.poll(), Err(FrameError::ContentLength));
        }
    }

    #[test]
    fn endless_headers_and_huge_bodies_are_cut_off() {
        let limits = Limits { head_bytes_max: 64, header_lines_max: 8, body_bytes_max: 10 };
        let mut framer = Framer::new(limits);
        framer.push(&[b'x'; 64]);
        assert_eq!(framer.poll(), Err(FrameError::HeadTooLong));
        let mut framer = Framer::new(limits);
        framer.push(b"A\r\nl: 11\r\n\r\n");
        assert_eq!(framer.poll(), Err(FrameError::BodyTooLong));
    }
}
