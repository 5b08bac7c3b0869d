//! Who may ask: loopback and listed networks.

use std::net::IpAddr;

use ng::Network;

/// The networks that are answered over NG. Loopback always is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers {
    networks: Vec<Network>,
}

impl Peers {
    /// Reads networks, written as addresses with or without a prefix length.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        let networks = texts
            .iter()
            .map(|text| text.parse().map_err(|_| format!("`{text}` is neither an address nor a network")));
        Ok(Self { networks: networks.collect::<Result<_, _>>()? })
    }

    /// Whether this address is answered.
    pub(crate) fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: &[&str], address: &str) -> bool {
        let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
        Peers::parse(&texts).expect("networks").allow(address.parse().expect("an address"))
    }

    #[test]
    fn loopback_is_always_answered_and_others_only_if_listed() {
        assert!(allows(&[], "127.0.0.1") && allows(&[], "127.8.9.1") && allows(&[], "::1"));
        assert!(allows(&[], "::ffff:127.0.0.1"));
        assert!(!allows(&[], "192.0.2.1"));
        assert!(allows(&["192.0.2.0/24"], "192.0.2.255"));
        assert!(!allows(&["192.0.2.0/24"], "192.0.3.0"));
        assert!(allows(&["192.0.2.1"], "192.0.2.1") && !allows(&["192.0.2.1"], "192.0.2.2"));
        assert!(allows(&["2001:db8::/32"], "2001:db8:ffff::1"));
        assert!(!allows(&["2001:db8::/32"], "2001:db9::1"));
        assert!(allows(&["0.0.0.0/0"], "203.0.113.9") && !allows(&["0.0.0.0/0"], "2001:db8::1"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "host"] {
            assert!(Peers::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
