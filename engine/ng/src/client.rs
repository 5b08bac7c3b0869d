//! The asking side.

use thiserror::Error;

/// A reply that was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ReplyError {
    /// Neither bencode nor JSON.
    #[error("malformed document")]
    Malformed,
    /// No `result`, or one that does not fit the command.
    #[error("unexpected shape")]
    Shape,
}

/// Splits a datagram into its cookie and its document; `None` if there is no cookie.
pub fn split_cookie(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = datagram.iter().position(|&byte| byte == b' ')?;
    (blank > 0).then(|| (&datagram[..blank], &datagram[blank + 1..]))
}
