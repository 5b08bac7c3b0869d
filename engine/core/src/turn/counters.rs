//! What a TURN server counted since its start, each drop under its reason.

/// Why something that a client or a peer sent leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TurnDrop {
    /// Neither a STUN message nor ChannelData.
    NotTurn,
    /// A message that is not whole, or says of itself what is not so.
    Malformed,
    /// FINGERPRINT does not fit.
    Fingerprint,
    /// A message that no server is sent: an answer, or a method that is not known.
    NotForServer,
    /// The answer would be more than three times what was asked, and nobody knows that the asker is where it says.
    Amplification,
    /// The answer or the datagram finds no room.
    NoRoom,
    /// The client has no allocation.
    NoAllocation,
    /// The allocation has no such channel.
    NoChannel,
    /// The peer has no permission.
    NoPermission,
    /// The allocation has no address of the peer's family.
    Family,
    /// Our own address, and neither a live relayed address nor a media port that expects the sender.
    OwnAddress,
    /// The user has used up its bandwidth.
    Bandwidth,
    /// The relayed address is another one's meanwhile, or the socket nobody's.
    NoSocket,
    /// We failed on it, and ended its allocation.
    Fault,
}

impl TurnDrop {
    /// Every reason, in order of [`TurnCounters::drops`].
    pub const ALL: [Self; 14] = [
        Self::NotTurn,
        Self::Malformed,
        Self::Fingerprint,
        Self::NotForServer,
        Self::Amplification,
        Self::NoRoom,
        Self::NoAllocation,
        Self::NoChannel,
        Self::NoPermission,
        Self::Family,
        Self::OwnAddress,
        Self::Bandwidth,
        Self::NoSocket,
        Self::Fault,
    ];

    /// Its name as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotTurn => "not_turn",
            Self::Malformed => "malformed",
            Self::Fingerprint => "fingerprint",
            Self::NotForServer => "not_for_server",
            Self::Amplification => "amplification",
            Self::NoRoom => "no_room",
            Self::NoAllocation => "no_allocation",
            Self::NoChannel => "no_channel",
            Self::NoPermission => "no_permission",
            Self::Family => "family",
            Self::OwnAddress => "own_address",
            Self::Bandwidth => "bandwidth",
            Self::NoSocket => "no_socket",
            Self::Fault => "fault",
        }
    }
}

/// What a request is refused with (RFC 8489 §14.8, RFC 8656 §19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TurnError {
    /// 400: an attribute is missing or makes no sense.
    BadRequest,
    /// 401: nobody has shown who asks, or not rightly.
    Unauthenticated,
    /// 403: a peer that nobody may reach.
    Forbidden,
    /// 420: an attribute that must be understood, and is not.
    UnknownAttribute,
    /// 437: an allocation where there must be none, or none where there must be one.
    AllocationMismatch,
    /// 438: the nonce is too old, or another client's.
    StaleNonce,
    /// 440: no relayed address of that family.
    AddressFamilyNotSupported,
    /// 441: the allocation is another user's.
    WrongCredentials,
    /// 442: no transport but UDP.
    UnsupportedTransport,
    /// 443: a peer of another family than the relayed address.
    PeerAddressFamilyMismatch,
    /// 486: the user has as many allocations as it may.
    AllocationQuotaReached,
    /// 508: no port, no room, or a token that is good no longer.
    InsufficientCapacity,
}

impl TurnError {
    /// Every one, in order of [`TurnCounters::errors`].
    pub const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::UnknownAttribute,
        Self::AllocationMismatch,
        Self::StaleNonce,
        Self::AddressFamilyNotSupported,
        Self::WrongCredentials,
        Self::UnsupportedTransport,
        Self::PeerAddressFamilyMismatch,
        Self::AllocationQuotaReached,
        Self::InsufficientCapacity,
    ];

    /// Its number.
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::UnknownAttribute => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::AddressFamilyNotSupported => 440,
            Self::WrongCredentials => 441,
            Self::UnsupportedTransport => 442,
            Self::PeerAddressFamilyMismatch => 443,
            Self::AllocationQuotaReached => 486,
            Self::InsufficientCapacity => 508,
        }
    }
}

/// Datagrams and the bytes of their payloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnTraffic {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

impl TurnTraffic {
    pub(super) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// What the TURN server of a shard counted since its start. Live counts are named so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnCounters {
    /// Datagrams and messages of streams that were handed in, from clients and peers, and their bytes.
    pub received: TurnTraffic,
    /// Relayed from clients to peers.
    pub to_peers: TurnTraffic,
    /// Relayed from peers to clients. What goes from one client to another counts here and there.
    pub to_clients: TurnTraffic,
    /// Binding requests answered.
    pub bindings: u64,
    /// Binding indications.
    pub keepalives: u64,
    /// Requests that were granted, besides those.
    pub granted: u64,
    /// Allocations alive now.
    pub allocations_live: u64,
    /// Allocations begun.
    pub allocations_begun: u64,
    /// Allocations ended, for whatever reason.
    pub allocations_ended: u64,
    errors: [u64; TurnError::ALL.len()],
    drops: [u64; TurnDrop::ALL.len()],
}

impl TurnCounters {
    /// Requests refused so. The challenge that every client is given first counts as
    /// [`Unauthenticated`](TurnError::Unauthenticated).
    pub const fn errors(&self, error: TurnError) -> u64 {
        self.errors[error as usize]
    }

    /// Datagrams that led to nothing for this reason.
    pub const fn drops(&self, reason: TurnDrop) -> u64 {
        self.drops[reason as usize]
    }

    pub(super) const fn refused(&mut self, error: TurnError) {
        self.errors[error as usize] += 1;
    }

    pub(crate) const fn dropped(&mut self, reason: TurnDrop) {
        self.drops[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_and_each_error_has_its_own_counter() {
        let mut counters = TurnCounters::default();
        for (index, reason) in TurnDrop::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            counters.dropped(reason);
            assert_eq!(counters.drops(reason), 1);
            assert!(TurnDrop::ALL.iter().filter(|other| other.as_str() == reason.as_str()).count() == 1);
        }
        for (index, error) in TurnError::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, index);
            counters.refused(error);
            assert_eq!(counters.errors(error), 1);
        }
        assert!(TurnError::ALL.map(TurnError::code).is_sorted());
    }
}
