//! What the tests share: real peers started with private configuration on addresses of their own, and awaited by what
//! they say, never by the clock.
#![forbid(unsafe_code)]

pub mod address;
pub mod baresip;
pub mod capture;
pub mod carrier;
pub mod daemon;
pub mod ffmpeg;
pub mod jssip;
pub mod kamailio;
pub mod line;
pub mod linphone;
pub mod namespace;
pub mod node;
pub mod party;
pub mod process;
pub mod rtpengine;
pub mod scenario;
pub mod sipp;
pub mod tls;
pub mod trace;
pub mod udp;
pub mod watch;

pub use address::Address;
pub use baresip::{Baresip, Phone};
pub use capture::Capture;
pub use carrier::SecureCarrier;
pub use daemon::Daemon;
pub use ffmpeg::{Listener, Player};
pub use jssip::{JsSip, WebPhone};
pub use kamailio::Kamailio;
pub use line::Line;
pub use linphone::Linphone;
pub use node::{DOMAIN, Engine, Node, Setup};
pub use party::Party;
pub use process::Process;
pub use rtpengine::Rtpengine;
pub use scenario::{Body, Scenario};
pub use sipp::{Plan, Sipp};
pub use tls::{Certificate, Tls};
pub use watch::Watch;
