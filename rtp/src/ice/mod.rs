//! ICE: which pair of addresses reaches the peer, and whether it still wants packets there (RFC 8445, RFC 7675).
//!
//! Supported: candidates and credentials as descriptions say them (RFC 8839),
//! trickled ones (RFC 8838); full agents and lite ones, restart, role
//! conflicts, peer-reflexive candidates, consent by repeated checks. Not here:
//! gathering (the caller learns reflexive addresses and allocates relayed
//! ones), TCP candidates (RFC 6544, kept as they are written), names that hide
//! addresses (kept, never resolved), a frozen state across several media.
//!
//! An [`Agent`] is one component of one media: where RTCP has a port of its own
//! there is a second agent beside the first. The agent inside is the crate `is`
//! (ADR 2); transaction numbers come from the system's randomness, everything
//! else from the caller.

mod agent;
mod candidate;
mod credentials;

pub use agent::{
    Agent, CandidateRefused, Event, LOCALS_MAX, Local, REMOTES_MAX, SOURCES_MAX, STUN_BYTES_MAX, StunDrop,
    Terms, Transmit,
};
pub use candidate::{Candidate, CandidateAddress, CandidateError, CandidateKind, EXTENSIONS_MAX, Transport};
pub use credentials::{Credentials, CredentialsError};
