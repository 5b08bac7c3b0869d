//! The `c=` line: where packets are wanted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address family, as `c=` and `a=rtcp` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `IP4`
    Ip4,
    /// `IP6`
    Ip6,
}

impl Family {
    /// The family of `ip`.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Ip4,
            IpAddr::V6(_) => Self::Ip6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip4 => "IP4",
            Self::Ip6 => "IP6",
        })
    }
}

/// What stands in the place of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address, of the family named beside it.
    Ip(IpAddr),
    /// A host name, to be resolved by whoever wants to send there.
    Name(String),
}

/// The fields of a `c=` line (RFC 8866 §5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The family named on the line.
    pub family: Family,
    /// The address.
    pub address: Address,
    /// What follows the address from the first slash on: TTL and count of a multicast group. Usually empty.
    pub suffix: String,
}

impl Connection {
    /// The unicast connection to `ip`.
    pub const fn new(ip: IpAddr) -> Self {
        Self { family: Family::of(ip), address: Address::Ip(ip), suffix: String::new() }
    }

    /// Reads `IN IP4 address` or `IN IP6 address`, the value of a `c=` line.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let (net_type, family, address) = (fields.next()?, fields.next()?, fields.next()?);
        if net_type != "IN" || fields.next().is_some() {
            return None;
        }
        let (address, suffix) = address.split_at(address.find('/').unwrap_or(address.len()));
        let family = match family {
            "IP4" => Family::Ip4,
            "IP6" => Family::Ip6,
            _ => return None,
        };
        let literal = match family {
            Family::Ip4 => address.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            Family::Ip6 => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        };
        let address = match literal {
            Some(ip) => Address::Ip(ip),
            None if is_host_name(address) => Address::Name(address.to_owned()),
            None => return None,
        };
        Some(Self { family, address, suffix: suffix.to_owned() })
    }

    /// The address, unless it is a host name.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.address {
            Address::Ip(ip) => Some(ip),
            Address::Name(_) => None,
        }
    }
}

impl fmt::Display for Connection {
    /// `IN IP4 192.0.2.1`: the value of the line, without `c=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Ip(ip) => write!(f, "IN {} {ip}{}", self.family, self.suffix),
            Address::Name(name) => write!(f, "IN {} {name}{}", self.family, self.suffix),
        }
    }
}

/// Letters, digits, dots, hyphens and underscores with at least one letter, so that a
/// malformed or foreign-family address is refused instead of looked up.
fn is_host_name(text: &str) -> bool {
    text.len() <= HOST_NAME_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Longest host name in text form (RFC 1035 §2.3.4).
pub(crate) const HOST_NAME_BYTES_MAX: usize = 253;
