//! The Via header ([RFC 3261 §20.42], RFC 3581).
//!
//! [RFC 3261 §20.42]: https://www.rfc-editor.org/rfc/rfc3261#section-20.42

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::header::HeaderName;
use super::host::{Host, HostPort};
use super::params::Params;
use super::scan::is_token;
use super::typed::{HeaderError, TypedHeader, split_params};

/// One hop a request has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The SIP version; kept so that a request of another version can be refused.
    version: String,
    /// `UDP`, `TCP`, `TLS` or another token, as written.
    pub transport: String,
    /// Who sent it.
    pub sent_by: HostPort,
    /// `branch`, `received`, `rport` and others.
    pub params: Params,
}

/// What a branch starts with when RFC 3261 made it.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    /// A Via with `branch` and an empty `rport`.
    #[must_use]
    pub fn new(transport: &str, sent_by: HostPort, branch: &str) -> Self {
        let mut params = Params::new();
        params.set("rport", None);
        params.set("branch", Some(branch));
        Self { version: "2.0".to_owned(), transport: transport.to_owned(), sent_by, params }
    }

    /// The `branch` parameter.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").flatten()
    }

    /// The branch if it is unique by RFC 3261: the cookie and something after it.
    #[must_use]
    pub fn unique_branch(&self) -> Option<&str> {
        let branch = self.branch()?;
        let cookie = branch.get(..MAGIC_COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(MAGIC_COOKIE) && branch.len() > MAGIC_COOKIE.len()).then_some(branch)
    }

    /// The `received` address; brackets around IPv6 are accepted (RFC 5118 §4.5).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.value("received")?;
        let bare = value.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(&value);
        bare.parse().ok()
    }

    /// `rport`: absent, asked for (`Some(None)`), or filled in (RFC 3581).
    #[must_use]
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|v| v?.parse().ok())
    }

    /// Records where the request came from: `received` when it differs from the
    /// sent-by or `rport` was asked for, and `rport` when asked for (RFC 3581 §4).
    pub fn mark_source(&mut self, source: SocketAddr) {
        let asked = self.params.has("rport");
        if asked || self.sent_by.host.ip() != Some(source.ip()) {
            self.params.set("received", Some(&source.ip().to_string()));
        } else {
            // One that the sender wrote itself would send our answers to whomever it names.
            self.params.remove("received");
        }
        if asked {
            self.params.set("rport", Some(&source.port().to_string()));
        }
    }

    /// Where a response goes over an unreliable transport, when that can be
    /// said without DNS (§18.2.2, RFC 3581 §4). `default_port` stands for an absent port.
    #[must_use]
    pub fn response_target(&self, default_port: u16) -> Option<SocketAddr> {
        let address = self.received().or_else(|| self.sent_by.host.ip())?;
        let port = match self.rport() {
            Some(Some(port)) => port,
            _ => self.sent_by.port.unwrap_or(default_port),
        };
        Some(SocketAddr::new(address, port))
    }
}

impl TypedHeader for Via {
    const NAME: HeaderName = HeaderName::Via;
    const LIST: bool = true;

    fn parse(value: &str) -> Result<Self, HeaderError> {
        let (head, params) = split_params(value)?;
        // Space may stand around both slashes (RFC 4475 §3.1.1.1).
        let mut parts = head.splitn(3, '/').map(str::trim);
        let (Some(name), Some(version), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(HeaderError::Value);
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let version_ok = version.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor));
        if !name.eq_ignore_ascii_case("SIP") || !version_ok {
            return Err(HeaderError::Value);
        }
        let (transport, sent_by) = rest.split_once([' ', '\t']).ok_or(HeaderError::Value)?;
        if !is_token(transport) {
            return Err(HeaderError::Value);
        }
        let via = Self {
            version: version.to_owned(),
            transport: transport.to_owned(),
            sent_by: sent_by.trim().parse()?,
            params,
        };
        if via.params.has("received") && via.received().is_none() {
            return Err(HeaderError::Host);
        }
        if let Some(Some(port)) = via.params.get("rport")
            && port.parse::<u16>().is_err()
        {
            return Err(HeaderError::Port);
        }
        Ok(via)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/{}/{} {}{}", self.version, self.transport, self.sent_by, self.params)
    }
}

impl Via {
    /// The sent-by host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.sent_by.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via {
        Via::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn space_around_slashes_is_nothing() {
        let loose = via("SIP  /   2.0 /UDP     192.0.2.2;branch=390skdjuw");
        assert_eq!(loose.to_string(), "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw");
        assert_eq!(loose.unique_branch(), None);
        assert_eq!(via("SIP/2.0/TCP h ;branch = z9hG4bKx").unique_branch(), Some("z9hG4bKx"));
        assert_eq!(via("SIP/2.0/TCP h;branch=z9hG4bK").unique_branch(), None);
    }

    #[test]
    fn extraneous_separators_are_errors() {
        for bad in [
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP",
            "SIP/x/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP h;received=x y",
            "SIP/2.0/UDP h;rport=99999",
            "SIP/2.0/UDP 2001:db8::9:1",
        ] {
            assert!(Via::parse(bad).is_err(), "{bad}");
        }
    }

    mod rfc3581_section_4 {
        use super::*;

        #[test]
        fn a_request_through_a_nat_is_answered_where_it_came_from() {
            let mut marked = via("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff");
            marked.mark_source("192.0.2.1:9988".parse().expect("address"));
            assert_eq!(
                marked.to_string(),
                "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bKkjshdyff;received=192.0.2.1"
            );
            assert_eq!(marked.response_target(5060), Some("192.0.2.1:9988".parse().expect("address")));
        }

        #[test]
        fn without_rport_the_port_of_sent_by_counts() {
            let mut marked = via("SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKx");
            marked.mark_source("10.1.1.1:9988".parse().expect("address"));
            assert!(!marked.params.has("received"));
            assert_eq!(marked.response_target(5060), Some("10.1.1.1:5060".parse().expect("address")));
        }
    }

    #[test]
    fn a_source_of_the_senders_own_making_is_not_believed() {
        for said in [
            "SIP/2.0/UDP 192.0.2.1:5060;received=203.0.113.9;branch=z9hG4bKx",
            "SIP/2.0/UDP 192.0.2.1:5060;received=203.0.113.9;rport=53;branch=z9hG4bKx",
            "SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bKx",
        ] {
            let mut marked = via(said);
            marked.mark_source("192.0.2.1:5060".parse().expect("address"));
            assert_eq!(marked.response_target(5060), "192.0.2.1:5060".parse().ok(), "{said}");
        }
    }

    #[test]
    fn received_may_carry_brackets() {
        assert_eq!(
            via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111").received(),
            "2001:db8::9:255".parse().ok()
        );
    }
}
