//! The `o=` line: who made the session, and which version of it this is.

use std::fmt;

use super::Family;

/// The fields of an `o=` line (RFC 8866 §5.2).
///
/// Numbers stay text: senders exceed 64 bits, and nothing here counts with
/// the session id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Login of the creator, `-` for none. May hold spaces, as some devices send.
    pub username: String,
    /// Identifier of the session, digits by the letter of the RFC.
    pub session_id: String,
    /// Version of the description; rises when it changes.
    pub version: String,
    /// Network type, `IN`.
    pub net_type: String,
    /// Address type, `IP4` or `IP6`.
    pub addr_type: String,
    /// Address or host name of the creator; identifies, is not for sending to.
    pub address: String,
}

impl Origin {
    /// Reads the value of an `o=` line. The last five fields are taken from the end.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = value.trim_end_matches(' ').rsplitn(6, ' ');
        let mut field = || fields.next().filter(|field| !field.is_empty()).map(str::to_owned);
        let address = field()?;
        let addr_type = field()?;
        let net_type = field()?;
        let version = field()?;
        let session_id = field()?;
        let username = field()?;
        Some(Self { username, session_id, version, net_type, addr_type, address })
    }

    /// The version one higher, whatever its length; `None` if it is not a number.
    pub fn next_version(&self) -> Option<String> {
        if self.version.is_empty() || !self.version.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Decimal by hand, because versions beyond 64 bits are in use.
        let mut digits = self.version.clone().into_bytes();
        for digit in digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return String::from_utf8(digits).ok();
            }
            *digit = b'0';
        }
        digits.insert(0, b'1');
        String::from_utf8(digits).ok()
    }

    /// Puts `ip` in place of the address.
    pub fn set_ip(&mut self, ip: std::net::IpAddr) {
        self.net_type = "IN".to_owned();
        self.addr_type = Family::of(ip).to_string();
        self.address = ip.to_string();
    }
}

impl fmt::Display for Origin {
    /// The whole line, `o=` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, session_id, version, net_type, addr_type, address } = self;
        write!(f, "o={username} {session_id} {version} {net_type} {addr_type} {address}")
    }
}
