//! Writing a message into a buffer.

use std::net::SocketAddr;

use super::attribute::{AttributeKind, write_xor_address};
use super::integrity::{fingerprint, sha1, sha256};
use super::{Class, HEADER_BYTES, MAGIC_COOKIE, Method, TransactionId};

/// A message in the making: attributes are appended in the order of the calls, integrity and fingerprint last.
#[derive(Debug)]
pub struct StunWriter<'a> {
    buffer: &'a mut [u8],
    length: usize,
    transaction: TransactionId,
}

impl<'a> StunWriter<'a> {
    /// A message without attributes.
    ///
    /// # Errors
    /// [`NoRoom`] for the header.
    pub fn new(
        buffer: &'a mut [u8],
        class: Class,
        method: Method,
        transaction: TransactionId,
    ) -> Result<Self, NoRoom> {
        let header = buffer.first_chunk_mut::<HEADER_BYTES>().ok_or(NoRoom)?;
        let class = match class {
            Class::Request => 0x000,
            Class::Indication => 0x010,
            Class::Success => 0x100,
            Class::Error => 0x110,
        };
        let number = method.number();
        let kind = class | (number & 0xf80) << 2 | (number & 0x070) << 1 | number & 0x00f;
        header[..2].copy_from_slice(&kind.to_be_bytes());
        header[2..4].fill(0);
        header[4..8].copy_from_slice(&MAGIC_COOKIE);
        header[8..].copy_from_slice(&transaction.0);
        Ok(Self { buffer, length: HEADER_BYTES, transaction })
    }

    /// Appends an attribute.
    ///
    /// # Errors
    /// [`NoRoom`]; the message is as it was.
    pub fn attribute(&mut self, kind: AttributeKind, value: &[u8]) -> Result<(), NoRoom> {
        let length = u16::try_from(value.len()).map_err(|_| NoRoom)?;
        let end = self.length + 4 + value.len().next_multiple_of(4);
        let whole = u16::try_from(end - HEADER_BYTES).map_err(|_| NoRoom)?;
        let room = self.buffer.get_mut(self.length..end).ok_or(NoRoom)?;
        room[..2].copy_from_slice(&kind.0.to_be_bytes());
        room[2..4].copy_from_slice(&length.to_be_bytes());
        room[4..4 + value.len()].copy_from_slice(value);
        room[4 + value.len()..].fill(0);
        self.buffer[2..4].copy_from_slice(&whole.to_be_bytes());
        self.length = end;
        Ok(())
    }

    /// USERNAME.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn username(&mut self, username: &[u8]) -> Result<(), NoRoom> {
        self.attribute(AttributeKind::USERNAME, username)
    }

    /// PRIORITY.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn priority(&mut self, priority: u32) -> Result<(), NoRoom> {
        self.attribute(AttributeKind::PRIORITY, &priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn use_candidate(&mut self) -> Result<(), NoRoom> {
        self.attribute(AttributeKind::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn ice_controlling(&mut self, tie_breaker: u64) -> Result<(), NoRoom> {
        self.attribute(AttributeKind::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// ICE-CONTROLLED.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn ice_controlled(&mut self, tie_breaker: u64) -> Result<(), NoRoom> {
        self.attribute(AttributeKind::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// XOR-MAPPED-ADDRESS.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn xor_mapped_address(&mut self, address: SocketAddr) -> Result<(), NoRoom> {
        self.xor_address(AttributeKind::XOR_MAPPED_ADDRESS, address)
    }

    /// The attribute `kind` in the form of XOR-MAPPED-ADDRESS.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn xor_address(&mut self, kind: AttributeKind, address: SocketAddr) -> Result<(), NoRoom> {
        let mut value = [0; 20];
        let length = write_xor_address(&mut value, address, self.transaction);
        self.attribute(kind, &value[..length])
    }

    /// ERROR-CODE with `number`, 300 to 699, and a reason of at most 128 bytes; what is longer is cut.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn error_code(&mut self, number: u16, reason: &str) -> Result<(), NoRoom> {
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
        let mut value = [0; 4 + REASON_BYTES_MAX];
        let [class, rest] = [number / 100 % 8, number % 100].map(|part| part.to_be_bytes()[1]);
        value[2..4].copy_from_slice(&[class, rest]);
        value[4..4 + reason.len()].copy_from_slice(reason.as_bytes());
        self.attribute(AttributeKind::ERROR_CODE, &value[..4 + reason.len()])
    }

    /// MESSAGE-INTEGRITY under `key`.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn integrity(&mut self, key: &[u8]) -> Result<(), NoRoom> {
        let tag = sha1(key, &self.buffer[..self.length], 24);
        self.attribute(AttributeKind::MESSAGE_INTEGRITY, tag.as_ref())
    }

    /// MESSAGE-INTEGRITY-SHA256 under `key`, uncut.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn integrity_sha256(&mut self, key: &[u8]) -> Result<(), NoRoom> {
        let tag = sha256(key, &self.buffer[..self.length], 36);
        self.attribute(AttributeKind::MESSAGE_INTEGRITY_SHA256, tag.as_ref())
    }

    /// FINGERPRINT: nothing may follow.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn fingerprint(&mut self) -> Result<(), NoRoom> {
        let value = fingerprint(&self.buffer[..self.length]);
        self.attribute(AttributeKind::FINGERPRINT, &value)
    }

    /// Bytes written so far: a whole message after every call.
    pub const fn written(&self) -> usize {
        self.length
    }
}

/// The buffer is too short, or the message longer than its length field can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the buffer has no room for the message")]
pub struct NoRoom;

/// Longest reason that is written.
const REASON_BYTES_MAX: usize = 128;
