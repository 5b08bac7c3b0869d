//! The outermost shape: cookie, blank, document; and the errors with their exact texts.

use thiserror::Error;

use crate::{
    bencode,
    json::{self, JsonError},
    request::Request,
    request_read,
    templates::Templates,
    value::Value,
};

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// First byte `d`; also what errors about unreadable documents are written in.
    Bencode,
    /// First byte `{`.
    Json,
}

impl Encoding {
    /// Appends `value` to `out`.
    pub fn write(self, value: &Value<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Bencode => bencode::write(value, out),
            Self::Json => json::write(value, out),
        }
    }
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

    /// Reads one datagram.
    ///
    /// # Errors
    /// [`FrameError`] if there is no cookie to answer to. Whatever is wrong behind the cookie
    /// is in [`Envelope::request`], with the text to answer.
    pub fn parse(datagram: &[u8]) -> Result<Self, FrameError> {
        let (cookie, document) = split_cookie(datagram)?;
        let (encoding, request) = read_document(document);
        Ok(Self { cookie: cookie.to_vec(), encoding, request })
    }
}

/// Splits a datagram into its cookie and its document, without reading the latter.
///
/// # Errors
/// See [`FrameError`].
pub fn split_cookie(datagram: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let reach = datagram.len().min(Envelope::COOKIE_BYTES_MAX + 1);
    match datagram[..reach].iter().position(|&byte| byte == b' ') {
        None if reach < datagram.len() => Err(FrameError::CookieTooLong),
        None | Some(0) => Err(FrameError::NoCookie),
        Some(blank) => Ok((&datagram[..blank], &datagram[blank + 1..])),
    }
}

/// Reads one document: how it is written, and what it asks. There are no presets.
pub fn read_document(document: &[u8]) -> (Encoding, Result<Request, RequestError>) {
    read_document_with(document, &Templates::default())
}

/// Reads one document, with the presets that it may name.
pub fn read_document_with(
    document: &[u8],
    templates: &Templates,
) -> (Encoding, Result<Request, RequestError>) {
    let encoding = match document.first() {
        None => return (Encoding::Bencode, Err(RequestError::NoPayload)),
        Some(b'd') => Encoding::Bencode,
        Some(b'{') => Encoding::Json,
        Some(_) => return (Encoding::Bencode, Err(RequestError::Format)),
    };
    if document.len() > Envelope::DOCUMENT_BYTES_MAX {
        return (encoding, Err(RequestError::Format));
    }
    // What follows a complete bencode dictionary is not looked at, as the reference daemon does.
    let tree = match encoding {
        Encoding::Bencode => {
            bencode::parse(document).map(|(tree, _)| tree).map_err(|_| RequestError::Bencode)
        }
        Encoding::Json => json::parse(document).map_err(|error| match error {
            JsonError::Malformed => RequestError::Json,
            JsonError::Value => RequestError::Bencode,
        }),
    };
    (encoding, tree.and_then(|tree| request_read::read(&tree, templates)))
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
    /// An `address` that is none.
    #[error("Failed to parse network address")]
    Address,
    /// A key of our own extension is missing or out of range.
    #[error("Invalid or missing {0} in message")]
    Extension(&'static str),
}
