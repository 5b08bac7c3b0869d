//! RTCP: compound packets read where they lie, and written into a buffer.
//!
//! Supported: sender and receiver reports (RFC 3550 §6.4), source descriptions
//! (§6.5), goodbye (§6.6), compound packets (§6.1), those of reduced size
//! (RFC 5506). Other packet types are handed on as bytes. Not here: when to
//! send a report (RFC 3550 §6.3).

mod block;
mod bye;
mod compound;
mod rr;
mod sdes;
mod sr;

pub use block::{ReportBlock, ReportBlocks};
pub use bye::Bye;
pub use compound::{Compound, CompoundWriter, RtcpError, RtcpPacket, RtcpPackets};
pub use rr::ReceiverReport;
pub use sdes::{Sdes, SdesChunk, SdesChunks, SdesItem, SdesItems};
pub use sr::SenderReport;

/// Most packets accepted in one compound.
pub const COMPOUND_PACKETS_MAX: usize = 64;
/// Most report blocks, sources or chunks in one packet: the count field has five bits.
pub const COUNT_MAX: usize = 31;
