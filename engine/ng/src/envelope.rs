//! The outermost shape: cookie, blank, document; and the errors with their exact texts.

use thiserror::Error;

use crate::request::Request;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// First byte `d`; also what errors about unreadable documents are written in.
    Bencode,
    /// First byte `{`.
    Json,
}

/// One datagram of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Echoed in the reply; at most [`Envelope::COOKIE_BYTES_MAX`].
    pub cookie: Vec<u8>,
    /// How the reply is to be written.
    pub encoding: Encoding,
    /// What is asked, or what to answer instead.
    pub request: Result<Request, RequestError>,
}

impl Envelope {
    /// A longer cookie is no cookie.
    pub const COOKIE_BYTES_MAX: usize = 255;
    /// A longer document is refused unread.
    pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
}

/// A datagram that gets no reply: there is no cookie to reply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum FrameError {
    /// No blank, or nothing before it.
    #[error("no cookie")]
    NoCookie,
    /// The cookie is longer than any client's.
    #[error("cookie too long")]
    CookieTooLong,
}

/// A document that was not understood. `Display` is the `error-reason` of the reply, letter
/// for letter what clients of this protocol expect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
pub enum RequestError {
    /// Nothing after the cookie.
    #[error("Invalid data (no payload)")]
    NoPayload,
    /// The first byte opens neither bencode nor JSON, or the document is too long.
    #[error("Invalid NG data format")]
    Format,
    /// Opens as bencode, is none.
    #[error("Could not decode bencode dictionary")]
    Bencode,
    /// Opens as JSON, is none.
    #[error("Failed to parse JSON document")]
    Json,
    /// No `command`, or it is not text.
    #[error("Dictionary contains no key \"command\"")]
    NoCommand,
    /// A command that the protocol does not know.
    #[error("Unrecognized command")]
    UnknownCommand,
    /// No `sdp`, or it is not text.
    #[error("No SDP body in message")]
    NoSdp,
    /// No `call-id`, or it is not text.
    #[error("No call-id in message")]
    NoCallId,
    /// No `from-tag`, or it is not text.
    #[error("No from-tag in message")]
    NoFromTag,
    /// No `to-tag` in an answer.
    #[error("No to-tag in message")]
    NoToTag,
    /// A key of our own extension is missing or out of range.
    #[error("Invalid or missing {0} in message")]
    Extension(&'static str),
}
