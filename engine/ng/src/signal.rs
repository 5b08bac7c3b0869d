//! One `offer` or `answer` as the engine sees it: every option typed, none left as text.

use std::net::IpAddr;

use crate::{
    dtls::Dtls,
    party::RecordingOptions,
    request::DeleteDelay,
    sdes::{Osrtp, Sdes},
    webrtc::{Bundle, IceLite},
};

/// The body of an `offer` or an `answer`.
///
/// In an `answer`, `from_tag` is still the offerer's tag and `to_tag` the answerer's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signal {
    /// SIP Call-ID of the caller's leg: the name of the call.
    pub call_id: String,
    /// Tag of the party that made the offer.
    pub from_tag: String,
    /// Tag of the party that answers; always present in an `answer`.
    pub to_tag: Option<String>,
    /// Branch of the offer, which tells parallel forks apart.
    pub via_branch: Option<String>,
    /// Name given to the offerer's side, shown by `query`.
    pub label: Option<String>,
    /// Name given to the party that a `subscribe request` makes (`set-label`); of no effect in an offer or answer, as in
    /// rtpengine 10.5.
    pub set_label: Option<String>,
    /// The same (`to-label`), where `set-label` is not given.
    pub to_label: Option<String>,
    /// By what a new tag is known to be a party that is there already.
    pub alias_key: Option<AliasKey>,
    /// The SDP, byte for byte. May be empty: the engine refuses that.
    pub sdp: Vec<u8>,
    /// What of the session description is rewritten besides addresses and ports.
    pub replace: Replace,
    /// Logical interfaces: the offerer's side, then the answerer's. Empty, one or two names.
    pub direction: Vec<String>,
    /// Address family of the outgoing description.
    pub address_family: Option<Family>,
    /// Profile wanted in the outgoing description.
    pub transport_protocol: Option<TransportProtocol>,
    /// What is wanted of the keys in the description.
    pub sdes: Sdes,
    /// What is wanted of keys from a handshake.
    pub dtls: Dtls,
    /// What is wanted of keys beside a profile that needs none.
    pub osrtp: Osrtp,
    /// Where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// Whether the address in the SDP or `received_from` counts as the media address.
    pub trust: Trust,
    /// Overrides the address of the SDP and of `received_from`.
    pub media_address: Option<IpAddr>,
    /// What happens to ICE; `None` is the default behaviour (pass on only if it was offered).
    pub ice: Option<Ice>,
    /// Toward whom we only answer checks; `None` leaves it as it was.
    pub ice_lite: Option<IceLite>,
    /// We say that candidates may come later, and that ours are all.
    pub trickle_ice: bool,
    /// The description is a fragment with candidates that come later (`fragment`, RFC 8840).
    pub fragment: bool,
    /// Whether sections share a port.
    pub bundle: Bundle,
    /// What happens to RTP/RTCP multiplexing; nothing set follows the client.
    pub rtcp_mux: RtcpMux,
    /// How the remote address is learned from packets; `None` is the engine's default.
    pub learning: Option<Learning>,
    /// Turn learning off: the peer sends from elsewhere than it receives.
    pub asymmetric: bool,
    /// Drop packets whose source differs from the learned one.
    pub strict_source: bool,
    /// Let a new source take over during the call.
    pub media_handover: bool,
    /// `Some(true)` keeps local ports on a re-offer, `Some(false)` forbids it.
    pub port_latching: Option<bool>,
    /// Add `a=mid` where there is none.
    pub generate_mid: bool,
    /// Write `a=rtcp` with address (`Some(true)`), not at all (`Some(false)`), or port only.
    pub rtcp_attribute: Option<bool>,
    /// Leave direction attributes as they came.
    pub original_sendrecv: bool,
    /// Mark the description, and leave a marked one alone.
    pub loop_protect: bool,
    /// DSCP byte of whatever is sent in this call, both ways; of effect in an offer.
    pub tos: Tos,
    /// The client understands the result `load limit`.
    pub supports_load_limit: bool,
    /// Whether the SIP message was a request or a response.
    pub sip_message: Option<MessageKind>,
    /// `Some(true)` starts a recording with this description, `Some(false)` ends it.
    pub record_call: Option<bool>,
    /// Where a recording goes, and the text noted with the call (`metadata`).
    pub recording: RecordingOptions,
    /// How long the call stays revivable once it is deleted.
    pub delete_delay: DeleteDelay,
    /// What was learned of the peer's capabilities is forgotten, as after a transfer.
    pub reset: bool,
    /// Media flow before the answer.
    pub early_media: bool,
    /// RTCP is consumed and written anew.
    pub generate_rtcp: bool,
    /// Media flow one way only.
    pub unidirectional: bool,
    /// The codecs of the first exchange stay.
    pub static_codecs: bool,
    /// The one logical interface, where there is one side only (`publish`, `subscribe request`).
    pub interface: Option<String>,
    /// Sections over TCP are rejected instead of passed on (`tcp-media=reject`).
    pub tcp_media_reject: bool,
    /// Where the peer's media may come from (`media-networks`). At most
    /// [`Signal::MEDIA_NETWORKS_MAX`].
    pub media_networks: Vec<Network>,
    /// Only known addresses are learned, whatever `endpoint-learning` says (`learn=strict`).
    pub learn_strict: bool,
    /// Say with the answer why each line of the description was changed.
    pub explain: bool,
    /// Names whoever drives this call.
    pub owner: Option<String>,
    /// Incarnation of the owner; a smaller one than seen before is refused.
    pub epoch: Option<u64>,
    /// Milliseconds after which the engine ends the call by itself unless renewed.
    pub lease_ms: Option<u64>,
    /// Keep the final report until it is acknowledged.
    pub keep_report: bool,
    /// Options the protocol knows and this engine has not built, as `key` or `key=value`:
    /// the call is refused by these names.
    pub unsupported: Vec<String>,
}

impl Signal {
    /// Longest call-id, tag, branch or owner.
    pub const NAME_BYTES_MAX: usize = 1024;
    /// A message names no more networks than this; the rest is not read.
    pub const MEDIA_NETWORKS_MAX: usize = 64;
}

/// What of the session description is rewritten besides addresses and ports (`replace`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replace {
    /// Address in `o=`.
    pub origin: bool,
    /// The whole of `o=`, user name, ids and address.
    pub origin_full: bool,
    /// `s=`.
    pub session_name: bool,
    /// Version in `o=` rises if and only if the description changed.
    pub sdp_version: bool,
    /// Version in `o=` rises every time.
    pub force_increment_sdp_version: bool,
    /// User name in `o=` is made stable.
    pub username: bool,
    /// A zero address (old-style hold) is replaced too.
    pub zero_address: bool,
}

/// DSCP byte of whatever is sent in a call (`TOS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tos {
    /// The engine's own: the key is absent, or too large for a byte.
    #[default]
    Default,
    /// What it was before: a negative number.
    Keep,
    /// This one.
    Byte(u8),
}

/// By what a new tag is known to be a party that is there already (`alias-key`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AliasKey {
    /// The same description (`SDP`).
    Sdp,
    /// The same first media endpoint (`address`, `endpoint`).
    Address,
}

/// Addresses that share a prefix, written `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of an address, `None` if the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= longest).then_some(Self { address, prefix })
    }

    /// An address of the network, as it was written.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are shared.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differ = ours.to_bits() ^ theirs.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl std::str::FromStr for Network {
    type Err = NetworkError;

    /// `address/prefix`, or one address.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.trim().parse().map_err(|_| NetworkError)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.trim().parse().map_err(|_| NetworkError))?;
        Self::new(address, prefix).ok_or(NetworkError)
    }
}

/// A text that names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not a network: expected address/prefix")]
pub struct NetworkError;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `IP4`
    Ip4,
    /// `IP6`
    Ip6,
}

/// Profile wanted in the outgoing description (`transport-protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportProtocol {
    /// `RTP/AVP` (RFC 3551).
    RtpAvp,
    /// `RTP/AVPF` (RFC 4585).
    RtpAvpf,
    /// `RTP/SAVP` (RFC 3711).
    RtpSavp,
    /// `RTP/SAVPF` (RFC 5124).
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVP` (RFC 5764).
    UdpTlsRtpSavp,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764).
    UdpTlsRtpSavpf,
    /// In an answer: pass on a changed profile instead of restoring the offered one.
    Accept,
}

impl TransportProtocol {
    /// Every value, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::RtpAvp,
        Self::RtpAvpf,
        Self::RtpSavp,
        Self::RtpSavpf,
        Self::UdpTlsRtpSavp,
        Self::UdpTlsRtpSavpf,
        Self::Accept,
    ];

    /// The word on the wire, and in `m=` except for `accept`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RtpAvp => "RTP/AVP",
            Self::RtpAvpf => "RTP/AVPF",
            Self::RtpSavp => "RTP/SAVP",
            Self::RtpSavpf => "RTP/SAVPF",
            Self::UdpTlsRtpSavp => "UDP/TLS/RTP/SAVP",
            Self::UdpTlsRtpSavpf => "UDP/TLS/RTP/SAVPF",
            Self::Accept => "accept",
        }
    }
}

/// Which address counts as the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trust {
    /// The one in the SDP (`trust address`).
    #[default]
    Sdp,
    /// The one the SIP message came from (`SIP source address`).
    SipSource,
}

/// What happens to ICE (key `ICE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ice {
    /// Strip it.
    Remove,
    /// Strip the peer's and insert our own.
    Force,
    /// Own candidates if ICE was offered, none otherwise.
    Default,
    /// Add ours at low priority, keep the peer's.
    Optional,
    /// Keep foreign candidates, add ourselves as relay.
    ForceRelay,
}

/// What happens to RTP/RTCP multiplexing (`rtcp-mux`, RFC 5761).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RtcpMux {
    /// Offer it though the peer did not.
    pub offer: bool,
    /// As `offer`, with no fallback port.
    pub require: bool,
    /// Accept towards the offerer, do not pass on.
    pub demux: bool,
    /// Accept if offered.
    pub accept: bool,
    /// Refuse if offered.
    pub reject: bool,
}

/// How the remote address is learned from packets (`endpoint-learning`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Learning {
    /// Wait, then take the last seen.
    Delayed,
    /// The first packet decides.
    Immediate,
    /// Wait, then the best match with the SDP wins.
    Heuristic,
    /// Never.
    Off,
}

/// Whether the SIP message was a request or a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// `sip_request`
    Request,
    /// `sip_reply`
    Response,
}
