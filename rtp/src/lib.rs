//! Bytes and protocol state of the media wire: RTP, RTCP, SRTP, SDP, STUN, TURN, DTLS-SRTP and ICE, without sockets or clocks.
//!
//! Time is an argument ([`units::Instant`]), bytes are slices the caller owns,
//! and every parser has a size limit. What a peer sends can be refused, never
//! panic.
#![forbid(unsafe_code)]

pub mod dtls;
pub mod ice;
pub mod packet;
pub mod quality;
pub mod rtcp;
pub mod sdp;
pub mod srtp;
pub mod stats;
pub mod stun;
pub mod turn;
pub mod units;
