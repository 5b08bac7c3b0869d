//! What stands before a payload in a Data indication (RFC 8656 §11.6).

use std::net::SocketAddr;

use crate::stun::{AttributeKind, Class, HEADER_BYTES, Method, StunWriter, TransactionId};

/// Bytes before a payload at most: a header, an IPv6 address, and the head of DATA.
pub const DATA_HEADER_BYTES_MAX: usize = HEADER_BYTES + 24 + 4;

/// Writes what stands before a payload of so many bytes from `peer`; returns its length. The payload is padded with zeroes
/// to a multiple of four.
pub fn data_header(
    to: &mut [u8; DATA_HEADER_BYTES_MAX],
    transaction: TransactionId,
    peer: SocketAddr,
    payload_bytes: u16,
) -> usize {
    let mut writer =
        StunWriter::new(to, Class::Indication, Method::DATA, transaction).expect("a header fits");
    writer.xor_address(AttributeKind::XOR_PEER_ADDRESS, peer).expect("an address fits");
    let begin = writer.written();
    to[begin..begin + 2].copy_from_slice(&AttributeKind::DATA.0.to_be_bytes());
    to[begin + 2..begin + 4].copy_from_slice(&payload_bytes.to_be_bytes());
    let attributes = begin + 4 - HEADER_BYTES + usize::from(payload_bytes).next_multiple_of(4);
    to[2..4].copy_from_slice(&u16::try_from(attributes).unwrap_or(u16::MAX).to_be_bytes());
    begin + 4
}
