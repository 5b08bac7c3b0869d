//! RTP packets: what a datagram is, reading one, changing one in place, writing one.
//!
//! Supported: the fixed header, CSRC list, padding (RFC 3550 §5.1), header
//! extensions raw and as one-byte and two-byte elements (RFC 8285), telling
//! apart what shares a port (RFC 7983, RFC 5761). Not here: payload formats.

mod demux;
mod extension;
mod header;
mod view;
mod write;

pub use demux::{DatagramKind, kind_of};
pub use extension::{Element, Elements, Extension};
pub use header::RtpHeaderMut;
pub use view::{RtpError, RtpPacket, header_bytes};
pub use write::RtpWriter;

/// Bytes of an RTP header without CSRC list and extension.
pub const FIXED_HEADER_BYTES: usize = 12;
