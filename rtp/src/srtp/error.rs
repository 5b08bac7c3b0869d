//! Why a packet, a policy or a suite is refused.

/// Why a received packet is dropped. Nothing was learned from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UnprotectError {
    /// Ends before what every protected packet has: header, tag, index and key identifier.
    #[error("the packet is shorter than its protection")]
    TooShort,
    /// Not version 2 of RTP or RTCP.
    #[error("the version is not 2")]
    BadVersion,
    /// The master key identifier names none of the keys.
    #[error("no master key has the packet's identifier")]
    UnknownMki,
    /// The index was accepted before (RFC 3711 §3.3.2).
    #[error("the index was accepted before")]
    Replayed,
    /// The index lies behind the replay window (RFC 3711 §3.3.2).
    #[error("the index lies behind the replay window")]
    TooOld,
    /// The tag differs: forged, damaged, or under another key.
    #[error("the authentication tag differs")]
    Unauthentic,
    /// The key has served as many packets as it may (RFC 3711 §9.2).
    #[error("the lifetime of the key has ended")]
    KeyExhausted,
}

/// Why a packet cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProtectError {
    /// Ends inside the header.
    #[error("the packet ends inside its header")]
    TooShort,
    /// Not version 2 of RTP or RTCP.
    #[error("the version is not 2")]
    BadVersion,
    /// The buffer has no room for tag, index and key identifier, or the packet is longer than the buffer.
    #[error("the buffer has no room for the protection")]
    NoRoom,
    /// The index was used before: the same keystream would cover another packet.
    #[error("a packet with this index was sent before")]
    Repeated,
    /// The sequence number is so far from the last one that the receiver would not follow; a second one in order
    /// after it is believed, and numbered on from the last.
    #[error("the sequence number is out of order")]
    OutOfOrder,
    /// The key has served as many packets as it may (RFC 3711 §9.2).
    #[error("the lifetime of the key has ended")]
    KeyExhausted,
    /// [`SOURCES_MAX`](super::SOURCES_MAX) sources were sent under these keys before this one.
    #[error("too many sources were sent under these keys")]
    TooManySources,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PolicyError {
    /// No master key, or more than [`KEYS_MAX`](super::KEYS_MAX).
    #[error("one to four master keys are needed")]
    KeyCount,
    /// A key or a salt does not have the length of the suite.
    #[error("the key or its salt does not have the length of the suite")]
    KeyLength,
    /// Several keys without identifiers, with identifiers of different lengths, or with the same one.
    #[error("the master key identifiers do not tell the keys apart")]
    Mki,
    /// A lifetime of no packet, or more than RFC 3711 §9.2 allows.
    #[error("the lifetime of a key is zero or above its bound")]
    Lifetime,
    /// RFC 7714 always encrypts and authenticates.
    #[error("AES-GCM cannot go without encryption or authentication")]
    Parameters,
}

/// Why a suite's name gives no suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SuiteError {
    /// Known and refused: AES-f8 or no cipher.
    #[error("{0} is not spoken here")]
    Refused(&'static str),
    /// Registered nowhere we know of.
    #[error("the suite is unknown")]
    Unknown,
}
