//! RTP load for any engine that speaks NG: sets up calls, sends 20 ms G.711 both ways, counts what comes back intact,
//! how late, and what it cost the engine.
//!
//! It knows nothing of ours but how packets are encrypted: requests are NG's JSON, so that every engine is asked in the same
//! words.

pub mod calls;
pub mod cpu;
pub mod histogram;
pub mod ng;
pub mod packet;
pub mod seal;
pub mod traffic;

pub use calls::{Calls, Relay};
pub use seal::{Seals, Secure};
pub use traffic::{Tally, Traffic};
