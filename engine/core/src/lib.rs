//! What a call is: parties, media, ports, who may send where, and when it all ends.
//!
//! A [`Shard`] owns some calls. Datagrams, commands and time go in through
//! [`Shard::handle_input`]; datagrams to send, sockets to open, replies and events come out of
//! [`Shard::poll_output`]. Nothing here opens a socket, reads a clock or starts a thread, so a
//! whole engine can be run by a test on its own time.
//!
//! Supported: relay of RTP and RTCP with rtcp-mux (RFC 3550, 5761), in clear and as SRTP with keys
//! from descriptions or handshakes (RFC 3711, 4568, 5764), opaque UDP media such as
//! udptl, the offer/answer dialogue model of the NG protocol, leases and kept reports for
//! whoever drives a call, a TURN server, quality of every stream and what is wrong with a call's media; ICE with each party. Not here: transcoding, which is refused by name.
#![forbid(unsafe_code)]

mod call;
mod config;
mod counters;
mod event;
mod handshake;
mod ice;
mod interface;
mod io;
mod latch;
mod leg;
mod made;
mod media;
mod moved;
mod negotiate;
mod networks;
mod offender;
mod owner;
mod path;
mod pending;
mod ports;
mod quality;
mod recording;
mod relay;
mod report;
mod rtcp;
mod secure;
mod shard;
mod silence;
pub mod sim;
mod socket;
mod stream;
mod timer;
mod turn;
mod window;

pub use config::{Limits, LiveConfig, ShardConfig};
pub use counters::{Counters, DropReason};
pub use interface::{Interface, InterfaceParseError, Interfaces};
pub use io::{Input, OpenError, Output, RecordingId, SocketId};
pub use moved::{FreePort, MovedCall, NotPut, PutIn};
pub use networks::{MediaNetworks, MediaNetworksParseError};
pub use ports::PortRange;
pub use recording::{RecordingBegun, RecordingNote};
pub use rtp::turn::{Frame, FrameError, frame};
pub use rtp::{
    dtls::{Identity, IdentityError, ProviderError, Providers},
    quality::{JITTER_BOUNDS_MS, MOS_BOUNDS},
    units::Instant,
};
pub use shard::{Census, EndedCalls, PortUse, Seed, Session, Shard, apart};
pub use turn::{
    AllocationEnd, EndedAllocation, FlowId, Handover, TurnConfig, TurnCounters, TurnDrop, TurnError,
    TurnInput, TurnLimits, TurnLive, TurnOutput, TurnSecret, TurnTraffic,
};
