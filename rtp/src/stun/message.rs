//! Reading a message where it lies.

use std::net::SocketAddr;
use std::ops::Range;

use subtle::ConstantTimeEq;

use super::attribute::{Attribute, AttributeKind, Attributes, read_xor_address, split};
use super::integrity::{Check, fingerprint, sha1, sha256};
use super::{HEADER_BYTES, MAGIC_COOKIE};

/// What a message is for (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks for an answer.
    Request,
    /// Asks for none.
    Indication,
    /// Answers that it was done.
    Success,
    /// Answers that it was not.
    Error,
}

/// What is asked for: twelve bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// Which address a request came from, and in ICE whether it came at all.
    pub const BINDING: Self = Self(0x001);
    /// Asks a relay for an address (RFC 8656 §17).
    pub const ALLOCATE: Self = Self(0x003);
    /// Asks for more time for it, or for its end.
    pub const REFRESH: Self = Self(0x004);
    /// A client's datagram for a peer.
    pub const SEND: Self = Self(0x006);
    /// A peer's datagram for a client.
    pub const DATA: Self = Self(0x007);
    /// Lets peers reach the relayed address.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// Gives a peer a number.
    pub const CHANNEL_BIND: Self = Self(0x009);

    /// The method `number`, or `None` above twelve bits.
    pub const fn new(number: u16) -> Option<Self> {
        if number < 0x1000 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// What ties an answer to its request, and masks addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// A well-formed message, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StunMessage<'a> {
    bytes: &'a [u8],
}

impl<'a> StunMessage<'a> {
    /// Reads a whole datagram as one message.
    ///
    /// # Errors
    /// See [`StunError`].
    ///
    /// # Cost
    /// One look at each attribute; copies nothing.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let header = datagram.first_chunk::<HEADER_BYTES>().ok_or(StunError::Truncated)?;
        if header[0] & 0xc0 != 0 || header[4..8] != MAGIC_COOKIE {
            return Err(StunError::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if length % 4 != 0 || datagram.len() != HEADER_BYTES + length {
            return Err(StunError::BadLength);
        }
        let mut rest = &datagram[HEADER_BYTES..];
        while !rest.is_empty() {
            rest = split(rest).ok_or(StunError::BadAttribute)?.1;
        }
        Ok(Self { bytes: datagram })
    }

    /// What it is for.
    pub const fn class(&self) -> Class {
        match (self.bytes[0] & 1, self.bytes[1] & 0x10) {
            (0, 0) => Class::Request,
            (0, _) => Class::Indication,
            (_, 0) => Class::Success,
            _ => Class::Error,
        }
    }

    /// What is asked for.
    pub const fn method(&self) -> Method {
        let [high, low] = [self.bytes[0] as u16, self.bytes[1] as u16];
        Method((high & 0x3e) << 6 | (low & 0xe0) >> 1 | low & 0x0f)
    }

    /// What ties answer and request.
    pub fn transaction_id(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..HEADER_BYTES]);
        TransactionId(id)
    }

    /// Where the value of the first attribute `kind` lies in the message, padding left out.
    pub fn value_range(&self, kind: AttributeKind) -> Option<Range<usize>> {
        let mut attributes = self.attributes();
        let Attribute { value, .. } = attributes.find(|attribute| attribute.kind == kind)?;
        let behind = attributes.rest().len() + value.len().next_multiple_of(4);
        let begin = self.bytes.len() - behind;
        Some(begin..begin + value.len())
    }

    /// The attributes that count, in order.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(&self.bytes[HEADER_BYTES..])
    }

    /// The value of the first attribute `kind`; a second one does not count (RFC 8489 §14).
    pub fn value(&self, kind: AttributeKind) -> Option<&'a [u8]> {
        self.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// USERNAME.
    pub fn username(&self) -> Option<&'a [u8]> {
        self.value(AttributeKind::USERNAME)
    }

    /// PRIORITY.
    pub fn priority(&self) -> Option<u32> {
        self.value(AttributeKind::PRIORITY)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Whether USE-CANDIDATE is there.
    pub fn use_candidate(&self) -> bool {
        self.value(AttributeKind::USE_CANDIDATE).is_some()
    }

    /// The tie-breaker of ICE-CONTROLLING.
    pub fn ice_controlling(&self) -> Option<u64> {
        self.value(AttributeKind::ICE_CONTROLLING)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// The tie-breaker of ICE-CONTROLLED.
    pub fn ice_controlled(&self) -> Option<u64> {
        self.value(AttributeKind::ICE_CONTROLLED)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.xor_address(AttributeKind::XOR_MAPPED_ADDRESS)
    }

    /// The attribute `kind`, which has the form of XOR-MAPPED-ADDRESS.
    pub fn xor_address(&self, kind: AttributeKind) -> Option<SocketAddr> {
        read_xor_address(self.value(kind)?, self.transaction_id())
    }

    /// Every attribute `kind`, each in the form of XOR-MAPPED-ADDRESS; `None` for one that is not.
    pub fn xor_addresses(&self, kind: AttributeKind) -> impl Iterator<Item = Option<SocketAddr>> + 'a {
        let transaction = self.transaction_id();
        let of_kind = self.attributes().filter(move |attribute| attribute.kind == kind);
        of_kind.map(move |attribute| read_xor_address(attribute.value, transaction))
    }

    /// The number of ERROR-CODE, 300 to 699, and its reason.
    pub fn error_code(&self) -> Option<(u16, &'a [u8])> {
        let (&[_, _, class, number], reason) =
            self.value(AttributeKind::ERROR_CODE)?.split_first_chunk::<4>()?;
        let class = class & 0x07;
        ((3..=6).contains(&class) && number < 100)
            .then(|| (u16::from(class) * 100 + u16::from(number), reason))
    }

    /// The attributes that must be understood and are not among `known`.
    pub fn unknown(&self, known: &[AttributeKind]) -> impl Iterator<Item = AttributeKind> {
        self.attributes()
            .map(|attribute| attribute.kind)
            .filter(move |kind| kind.must_be_understood() && !known.contains(kind))
    }

    /// Whether MESSAGE-INTEGRITY is that of `key`; compared in constant time.
    pub fn check_integrity(&self, key: &[u8]) -> Check {
        Check::of(self.tagged(AttributeKind::MESSAGE_INTEGRITY).map(|(before, value)| {
            let tag = sha1(key, before, 4 + value.len());
            tag.as_ref().ct_eq(value).into()
        }))
    }

    /// Whether MESSAGE-INTEGRITY-SHA256, of 16 to 32 bytes, is that of `key`; compared in constant time.
    pub fn check_integrity_sha256(&self, key: &[u8]) -> Check {
        Check::of(self.tagged(AttributeKind::MESSAGE_INTEGRITY_SHA256).map(|(before, value)| {
            let tag = sha256(key, before, 4 + value.len());
            let bounded = (16..=32).contains(&value.len()) && value.len() % 4 == 0;
            bounded && tag.as_ref()[..value.len()].ct_eq(value).into()
        }))
    }

    /// Whether FINGERPRINT, which must be last, fits.
    pub fn check_fingerprint(&self) -> Check {
        Check::of(
            self.tagged(AttributeKind::FINGERPRINT)
                .map(|(before, value)| before.len() + 8 == self.bytes.len() && fingerprint(before) == value),
        )
    }

    /// What lies before the attribute `kind`, and its value.
    fn tagged(&self, kind: AttributeKind) -> Option<(&'a [u8], &'a [u8])> {
        let value = self.value_range(kind)?;
        Some((&self.bytes[..value.start - 4], &self.bytes[value]))
    }
}

/// Why a datagram is not a STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StunError {
    /// Ends inside the header.
    #[error("the message ends inside its header")]
    Truncated,
    /// The first two bits or the magic cookie are another protocol's.
    #[error("no magic cookie")]
    NotStun,
    /// The length is not a multiple of four, or not that of the datagram.
    #[error("the length is not that of the message")]
    BadLength,
    /// An attribute ends behind the message.
    #[error("an attribute is longer than the message")]
    BadAttribute,
}
