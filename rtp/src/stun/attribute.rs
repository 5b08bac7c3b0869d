//! Attributes: a type, a length and a value, padded to four bytes (RFC 8489 §14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAGIC_COOKIE, TransactionId};

/// What an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeKind(pub u16);

impl AttributeKind {
    /// USERNAME.
    pub const USERNAME: Self = Self(0x0006);
    /// MESSAGE-INTEGRITY, with SHA-1.
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// ERROR-CODE.
    pub const ERROR_CODE: Self = Self(0x0009);
    /// UNKNOWN-ATTRIBUTES.
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000a);
    /// REALM.
    pub const REALM: Self = Self(0x0014);
    /// NONCE.
    pub const NONCE: Self = Self(0x0015);
    /// MESSAGE-INTEGRITY-SHA256.
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001c);
    /// XOR-MAPPED-ADDRESS.
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// PRIORITY of a candidate (RFC 8445 §16.1).
    pub const PRIORITY: Self = Self(0x0024);
    /// USE-CANDIDATE (RFC 8445 §16.1).
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// SOFTWARE.
    pub const SOFTWARE: Self = Self(0x8022);
    /// FINGERPRINT.
    pub const FINGERPRINT: Self = Self(0x8028);
    /// ICE-CONTROLLED (RFC 8445 §16.1).
    pub const ICE_CONTROLLED: Self = Self(0x8029);
    /// ICE-CONTROLLING (RFC 8445 §16.1).
    pub const ICE_CONTROLLING: Self = Self(0x802a);

    /// Whether whoever does not know it must refuse the message (RFC 8489 §14).
    pub const fn must_be_understood(self) -> bool {
        self.0 < 0x8000
    }
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// What it is.
    pub kind: AttributeKind,
    /// Its value without padding.
    pub value: &'a [u8],
}

/// The attributes of a message that count, in order.
///
/// Behind MESSAGE-INTEGRITY only its SHA-256 sister and FINGERPRINT do, and behind that one only FINGERPRINT: what
/// else stands there is not authenticated, and passed over (RFC 8489 §14.5 to §14.7).
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    last: Option<AttributeKind>,
}

impl<'a> Attributes<'a> {
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, last: None }
    }

    /// What was not looked at yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    const fn counts(&self, kind: AttributeKind) -> bool {
        match self.last {
            None => true,
            Some(AttributeKind::MESSAGE_INTEGRITY) => {
                matches!(kind, AttributeKind::MESSAGE_INTEGRITY_SHA256 | AttributeKind::FINGERPRINT)
            }
            Some(AttributeKind::MESSAGE_INTEGRITY_SHA256) => matches!(kind, AttributeKind::FINGERPRINT),
            Some(_) => false,
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        loop {
            let (attribute, rest) = split(self.rest)?;
            self.rest = rest;
            if !self.counts(attribute.kind) {
                continue;
            }
            if matches!(
                attribute.kind,
                AttributeKind::MESSAGE_INTEGRITY
                    | AttributeKind::MESSAGE_INTEGRITY_SHA256
                    | AttributeKind::FINGERPRINT
            ) {
                self.last = Some(attribute.kind);
            }
            return Some(attribute);
        }
    }
}

/// The first attribute and what follows its padding; `None` if there is none, or it is cut off.
pub(super) fn split(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let (&[k0, k1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let (value, _) = rest.split_at_checked(length)?;
    let rest = rest.get(length.next_multiple_of(4)..)?;
    Some((Attribute { kind: AttributeKind(u16::from_be_bytes([k0, k1])), value }, rest))
}

/// Reads an address of the form of XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
pub(super) fn read_xor_address(value: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]]);
    let mask = mask(transaction);
    let ip = match family {
        IPV4 => IpAddr::V4(Ipv4Addr::from(xor(<[u8; 4]>::try_from(address).ok()?, &mask))),
        IPV6 => IpAddr::V6(Ipv6Addr::from(xor(<[u8; 16]>::try_from(address).ok()?, &mask))),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Writes an address of that form; returns its length.
pub(super) fn write_xor_address(to: &mut [u8; 20], address: SocketAddr, transaction: TransactionId) -> usize {
    let [p0, p1] = address.port().to_be_bytes();
    let (family, mask) = (if address.is_ipv4() { IPV4 } else { IPV6 }, mask(transaction));
    to[..4].copy_from_slice(&[0, family, p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]]);
    match address.ip() {
        IpAddr::V4(ip) => {
            to[4..8].copy_from_slice(&xor(ip.octets(), &mask));
            8
        }
        IpAddr::V6(ip) => {
            to[4..].copy_from_slice(&xor(ip.octets(), &mask));
            20
        }
    }
}

fn mask(transaction: TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(&transaction.0);
    mask
}

fn xor<const N: usize>(mut bytes: [u8; N], mask: &[u8; 16]) -> [u8; N] {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    bytes
}

const IPV4: u8 = 1;
const IPV6: u8 = 2;
