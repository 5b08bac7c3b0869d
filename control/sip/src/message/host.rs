//! Host names and addresses with an optional port ([RFC 3261 §25.1] `hostport`, RFC 5118).
//!
//! [RFC 3261 §25.1]: https://www.rfc-editor.org/rfc/rfc3261#section-25.1

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::typed::HeaderError;

/// A host: a name, an IPv4 address or an IPv6 address in brackets.
#[derive(Clone, Debug)]
pub enum Host {
    /// A domain name as written; it compares without case.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

impl Host {
    /// Parses a host without a port; IPv6 needs its brackets.
    ///
    /// # Errors
    /// [`HeaderError::Host`].
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HeaderError::Host)?;
            let address = inner.parse::<Ipv6Addr>().map_err(|_| HeaderError::Host)?;
            return Ok(Self::Ip(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(IpAddr::V4(address)));
        }
        let bytes = text.as_bytes();
        let ok = !bytes.is_empty()
            && bytes.len() <= 253
            && bytes[0] != b'-'
            && bytes[0] != b'.'
            // Underscore is no host character, but service names carry it.
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b));
        if !ok {
            return Err(HeaderError::Host);
        }
        Ok(Self::Name(text.to_owned()))
    }

    /// The address, when it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(a), Self::Ip(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host {}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

/// A host and the port written after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, when one is written.
    pub port: Option<u16>,
}

impl HostPort {
    /// Joins host and port.
    #[must_use]
    pub const fn new(host: Host, port: Option<u16>) -> Self {
        Self { host, port }
    }
}

impl FromStr for HostPort {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let host_end = match text.strip_prefix('[') {
            Some(_) => text.find(']').ok_or(HeaderError::Host)? + 1,
            None => text.find(':').unwrap_or(text.len()),
        };
        // LWS may stand around the colon of a Via's sent-by.
        let host = Host::parse(text[..host_end].trim_end())?;
        let rest = text[host_end..].trim_start();
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port.trim_start())?),
            None if rest.is_empty() => None,
            None => return Err(HeaderError::Host),
        };
        Ok(Self { host, port })
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self::new(Host::Ip(address.ip()), Some(address.port()))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, HeaderError> {
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HeaderError::Port);
    }
    text.parse().map_err(|_| HeaderError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_needs_brackets_and_a_port_stands_outside_them() {
        let both = "[2001:db8::10]:5070".parse::<HostPort>().expect("valid");
        assert_eq!(both.port, Some(5070));
        let inside = "[2001:db8::10:5070]".parse::<HostPort>().expect("valid");
        assert_eq!(inside.port, None);
        assert!("2001:db8::10".parse::<HostPort>().is_err());
        assert!("[2001:db8:::192.0.2.1]".parse::<HostPort>().is_err());
        assert!("[2001:db8::1".parse::<HostPort>().is_err());
    }

    #[test]
    fn names_compare_without_case_and_ports_are_checked() {
        let a = "Example.COM:5060".parse::<HostPort>().expect("valid");
        assert_eq!(a, "example.com:5060".parse().expect("valid"));
        assert_eq!(a.to_string(), "Example.COM:5060");
        assert!("host:".parse::<HostPort>().is_err());
        assert!("host:65536".parse::<HostPort>().is_err());
        assert!("ho st".parse::<HostPort>().is_err());
        assert!("".parse::<HostPort>().is_err());
    }
}
