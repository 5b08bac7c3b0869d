//! `a=candidate`: a place where its sender can be reached, as descriptions and trickled fragments say it (RFC 8839 §5.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Most extension pairs kept of one candidate; browsers send about five.
pub const EXTENSIONS_MAX: usize = 16;

/// A candidate, as written.
///
/// What is not known (transports, types, extensions) is kept and written back,
/// so that a candidate passes unharmed even where it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which candidates are alike: 1 to 32 letters, digits, `+` and `/`.
    pub foundation: String,
    /// 1 for RTP, 2 for RTCP.
    pub component: u16,
    /// `UDP`, or another as it was written.
    pub transport: Transport,
    /// The larger, the more its sender likes it.
    pub priority: u32,
    /// Address, or a name such as `….local` that hides it.
    pub address: CandidateAddress,
    /// Port.
    pub port: u16,
    /// What stands behind `typ`.
    pub kind: CandidateKind,
    /// `raddr` and `rport`: what it was derived from.
    pub related: Option<(CandidateAddress, u16)>,
    /// Further names and values in their order, `tcptype`, `generation` and `ufrag` among them.
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// Where checks go, `None` unless it is a UDP candidate with an address.
    pub fn udp_address(&self) -> Option<SocketAddr> {
        match (&self.transport, &self.address) {
            (Transport::Udp, CandidateAddress::Ip(ip)) => Some(SocketAddr::new(*ip, self.port)),
            _ => None,
        }
    }

    /// The value of an extension.
    pub fn extension(&self, name: &str) -> Option<&str> {
        self.extensions.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A candidate's transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// Another, as written.
    Other(String),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("UDP"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A candidate's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateAddress {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A host name, which nobody here resolves.
    Name(String),
}

impl CandidateAddress {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self::Ip(ip));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = text.len() <= crate::sdp::HOST_NAME_BYTES_MAX && text.bytes().all(allowed);
        (is_name && !text.is_empty()).then(|| Self::Name(text.to_owned()))
    }
}

impl fmt::Display for CandidateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// How a candidate came to be (RFC 8445 §5.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateKind {
    /// An address of its sender's.
    Host,
    /// What a STUN server saw.
    ServerReflexive,
    /// What a peer saw.
    PeerReflexive,
    /// A TURN server's.
    Relayed,
    /// Another, as written.
    Other(String),
}

impl CandidateKind {
    /// What stands behind `typ`.
    pub fn name(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(name) => name,
        }
    }

    /// The recommended preference of the type, 0 for an unknown one (RFC 8445 §5.1.2.2).
    pub const fn preference(&self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed | Self::Other(_) => 0,
        }
    }

    /// The priority of a candidate of this type (RFC 8445 §5.1.2.1).
    pub const fn priority(&self, local_preference: u16, component: u8) -> u32 {
        self.preference() << 24 | (local_preference as u32) << 8 | 256u32.saturating_sub(component as u32)
    }
}

impl FromStr for Candidate {
    type Err = CandidateError;

    /// Reads the attribute's value, with or without `candidate:` before it, as trickled ones have it.
    fn from_str(value: &str) -> Result<Self, CandidateError> {
        let value = value.strip_prefix("candidate:").unwrap_or(value);
        let mut words = value.split_ascii_whitespace();
        let mut word = || words.next().ok_or(CandidateError);
        let foundation = word()?;
        if !(1..=32).contains(&foundation.len()) || !foundation.bytes().all(is_ice_char) {
            return Err(CandidateError);
        }
        let component = word()?.parse().ok().filter(|component| (1..=256).contains(component));
        let transport = word()?;
        let priority = word()?.parse().ok();
        let address = CandidateAddress::parse(word()?);
        let port = word()?.parse().ok();
        if !word()?.eq_ignore_ascii_case("typ") {
            return Err(CandidateError);
        }
        let kind = match word()? {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relayed,
            other => CandidateKind::Other(other.to_owned()),
        };
        let (mut raddr, mut rport, mut extensions) = (None, None, Vec::new());
        while let Some(name) = words.next() {
            let text = words.next().ok_or(CandidateError)?;
            match name {
                "raddr" => raddr = Some(CandidateAddress::parse(text).ok_or(CandidateError)?),
                "rport" => rport = Some(text.parse().map_err(|_| CandidateError)?),
                _ if extensions.len() == EXTENSIONS_MAX => return Err(CandidateError),
                _ => extensions.push((name.to_owned(), text.to_owned())),
            }
        }
        Ok(Self {
            foundation: foundation.to_owned(),
            component: component.ok_or(CandidateError)?,
            transport: if transport.eq_ignore_ascii_case("udp") {
                Transport::Udp
            } else {
                Transport::Other(transport.to_owned())
            },
            priority: priority.ok_or(CandidateError)?,
            address: address.ok_or(CandidateError)?,
            port: port.ok_or(CandidateError)?,
            kind,
            related: raddr.zip(rport),
            extensions,
        })
    }
}

impl fmt::Display for Candidate {
    /// The attribute's value, without `candidate:`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { foundation, component, transport, priority, address, port, .. } = self;
        write!(
            f,
            "{foundation} {component} {transport} {priority} {address} {port} typ {}",
            self.kind.name()
        )?;
        if let Some((address, port)) = &self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        self.extensions.iter().try_for_each(|(name, value)| write!(f, " {name} {value}"))
    }
}

/// The value is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed candidate")]
pub struct CandidateError;

/// Letters, digits, `+` and `/` (RFC 8839 §5.1).
pub(super) const fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn candidates_of_peers_are_read_and_written_back() {
        for text in [
            "1 1 UDP 2130706431 203.0.113.141 8998 typ host",
            "2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "842163049 1 UDP 1677729535 2001:db8::7 60769 typ srflx raddr :: rport 0 generation 0 ufrag hYm3 network-cost 999",
            "Hc0a8 2 UDP 2130706430 198.51.100.7 30001 typ host",
            "1 1 tcp 1518280447 192.0.2.9 9 typ host tcptype active generation 0",
            "3 1 UDP 2122260223 4f8b-11.local 51556 typ host generation 0",
            "r 1 UDP 16777215 192.0.2.1 3478 typ relay raddr 198.51.100.9 rport 4000",
            "x 1 SCTP 5 192.0.2.1 3478 typ token",
        ] {
            let candidate: Candidate = text.parse().unwrap();
            assert_eq!(candidate.to_string(), text);
            assert_eq!(format!("candidate:{text}").parse(), Ok(candidate));
        }
    }

    #[test]
    fn the_case_of_udp_does_not_matter() {
        let candidate: Candidate = "1 1 udp 5 192.0.2.1 9 typ host".parse().unwrap();
        assert_eq!(candidate.udp_address(), "192.0.2.1:9".parse().ok());
        let tcp: Candidate = "1 1 tcp 5 192.0.2.1 9 typ host tcptype active".parse().unwrap();
        assert_eq!((tcp.udp_address(), tcp.extension("tcptype")), (None, Some("active")));
        let hidden: Candidate = "1 1 udp 5 x.local 9 typ host".parse().unwrap();
        assert_eq!(hidden.udp_address(), None);
    }

    #[test]
    fn what_is_no_candidate_is_refused() {
        let long = "f".repeat(33);
        let many = "a b ".repeat(EXTENSIONS_MAX + 1);
        for text in [
            "",
            "1 1 UDP 5 192.0.2.1 9",
            "1 1 UDP 5 192.0.2.1 9 typ",
            "1 0 UDP 5 192.0.2.1 9 typ host",
            "1 257 UDP 5 192.0.2.1 9 typ host",
            "1 1 UDP 4294967296 192.0.2.1 9 typ host",
            "1 1 UDP -1 192.0.2.1 9 typ host",
            "1 1 UDP 5 192.0.2.1 65536 typ host",
            "1 1 UDP 5 a:b 9 typ host",
            "1 1 UDP 5 192.0.2.1 9 type host",
            "- 1 UDP 5 192.0.2.1 9 typ host",
            "1 1 UDP 5 192.0.2.1 9 typ host raddr",
            "1 1 UDP 5 192.0.2.1 9 typ host raddr 1.2.3.4 rport x",
            &format!("{long} 1 UDP 5 192.0.2.1 9 typ host"),
            &format!("1 1 UDP 5 192.0.2.1 9 typ host {many}"),
        ] {
            assert_eq!(text.parse::<Candidate>(), Err(CandidateError), "{text:?}");
        }
    }

    /// The example of RFC 8445 §5.1.2.1 in its two components.
    #[test]
    fn priorities_are_those_of_rfc8445() {
        assert_eq!(CandidateKind::Host.priority(65535, 1), 2_130_706_431);
        assert_eq!(CandidateKind::Host.priority(65535, 2), 2_130_706_430);
        assert_eq!(CandidateKind::ServerReflexive.priority(65535, 1), 1_694_498_815);
        assert_eq!(CandidateKind::Relayed.priority(65535, 1), 16_777_215);
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(candidate:)?[ -~]{0,40}( 1 UDP 5 192.0.2.1 9 typ )?[ -~]{0,60}") {
            if let Ok(candidate) = text.parse::<Candidate>() {
                prop_assert_eq!(candidate.to_string().parse(), Ok(candidate));
            }
        }
    }
}
