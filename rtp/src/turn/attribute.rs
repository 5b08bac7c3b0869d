//! Attributes of TURN (RFC 8656 §18).

use crate::stun::AttributeKind;

impl AttributeKind {
    /// CHANNEL-NUMBER.
    pub const CHANNEL_NUMBER: Self = Self(0x000c);
    /// LIFETIME, in seconds.
    pub const LIFETIME: Self = Self(0x000d);
    /// XOR-PEER-ADDRESS.
    pub const XOR_PEER_ADDRESS: Self = Self(0x0012);
    /// DATA.
    pub const DATA: Self = Self(0x0013);
    /// XOR-RELAYED-ADDRESS.
    pub const XOR_RELAYED_ADDRESS: Self = Self(0x0016);
    /// REQUESTED-ADDRESS-FAMILY.
    pub const REQUESTED_ADDRESS_FAMILY: Self = Self(0x0017);
    /// EVEN-PORT.
    pub const EVEN_PORT: Self = Self(0x0018);
    /// REQUESTED-TRANSPORT.
    pub const REQUESTED_TRANSPORT: Self = Self(0x0019);
    /// DONT-FRAGMENT.
    pub const DONT_FRAGMENT: Self = Self(0x001a);
    /// RESERVATION-TOKEN, eight bytes.
    pub const RESERVATION_TOKEN: Self = Self(0x0022);
    /// ADDITIONAL-ADDRESS-FAMILY.
    pub const ADDITIONAL_ADDRESS_FAMILY: Self = Self(0x8000);
    /// ADDRESS-ERROR-CODE.
    pub const ADDRESS_ERROR_CODE: Self = Self(0x8001);
}

/// The protocol number of UDP, the only one that is relayed to.
pub const UDP: u8 = 17;

/// A family of addresses as REQUESTED-ADDRESS-FAMILY and its like name it (RFC 8656 §18.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// 0x01.
    Ipv4,
    /// 0x02.
    Ipv6,
}

impl Family {
    /// Reads the value of such an attribute: `Some(None)` is a family that is not known, `None` no such value.
    pub fn read(value: &[u8]) -> Option<Option<Self>> {
        match *value {
            [1, ..] if value.len() == 4 => Some(Some(Self::Ipv4)),
            [2, ..] if value.len() == 4 => Some(Some(Self::Ipv6)),
            [_, _, _, _] => Some(None),
            _ => None,
        }
    }

    /// That of an address.
    pub const fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }
}
