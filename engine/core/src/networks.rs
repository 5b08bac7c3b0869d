//! Networks that an operator lists as the homes of media: whoever is in one may be learned.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use ng::Network;

/// Media networks by interface; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaNetworks {
    /// Of parties on an interface of this name: its own and the common ones.
    of_name: BTreeMap<String, Arc<[Network]>>,
    /// Of parties on any other.
    common: Option<Arc<[Network]>>,
}

impl MediaNetworks {
    /// Networks of one interface, or of all of them, at most.
    pub const NETWORKS_MAX: usize = 256;

    /// Reads texts of the form `[interface=]network[,network…]`.
    ///
    /// # Errors
    /// One of them is no network, or so wide that it protects nobody, or there are too many.
    pub fn parse(texts: &[String]) -> Result<Self, MediaNetworksParseError> {
        let mut common = Vec::new();
        let mut named: Vec<(String, Vec<Network>)> = Vec::new();
        for text in texts {
            let (name, list) =
                text.split_once('=').map_or((None, text.as_str()), |(name, list)| (Some(name.trim()), list));
            let place = match name {
                None => &mut common,
                Some("") => return Err(MediaNetworksParseError::NoName),
                Some(name) => {
                    let index = named.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
                        named.push((name.to_owned(), Vec::new()));
                        named.len() - 1
                    });
                    &mut named[index].1
                }
            };
            for text in list.split(',').map(str::trim) {
                let refused = || MediaNetworksParseError::NotANetwork(text.to_owned());
                let network = Network::from_str(text).map_err(|_| refused())?;
                if is_too_wide(&network) {
                    return Err(MediaNetworksParseError::TooWide(network));
                }
                place.push(network);
            }
        }
        for (_, networks) in &mut named {
            networks.extend(&common);
        }
        if named
            .iter()
            .map(|(_, networks)| networks.len())
            .chain([common.len()])
            .any(|count| count > Self::NETWORKS_MAX)
        {
            return Err(MediaNetworksParseError::TooMany);
        }
        let shared = |networks: Vec<Network>| Arc::<[Network]>::from(networks);
        Ok(Self {
            of_name: named.into_iter().map(|(name, networks)| (name, shared(networks))).collect(),
            common: (!common.is_empty()).then(|| shared(common)),
        })
    }

    /// The interfaces that are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.of_name.keys().map(String::as_str)
    }

    /// Those of the parties on an interface.
    pub(crate) fn of(&self, interface: &str) -> Option<Arc<[Network]>> {
        self.of_name.get(interface).or(self.common.as_ref()).cloned()
    }
}

/// Whether a network holds so much of the world that listing it would let anybody in.
pub(crate) fn is_too_wide(network: &Network) -> bool {
    network.prefix() < if network.address().is_ipv4() { 8 } else { 16 }
}

/// Why a text lists no media networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaNetworksParseError {
    /// `=` with nothing before it.
    #[error("an interface's name is missing before `=`")]
    NoName,
    /// Not `address/prefix`.
    #[error("`{0}` is neither an address nor a network")]
    NotANetwork(String),
    /// Half the world.
    #[error("{0} is too wide to be somebody's media network: at least /8, with IPv6 /16")]
    TooWide(Network),
    /// More than are looked through for a packet.
    #[error("at most {max} networks for an interface", max = MediaNetworks::NETWORKS_MAX)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<MediaNetworks, MediaNetworksParseError> {
        MediaNetworks::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn an_interface_has_its_own_and_the_common_ones() {
        let networks = parse(&["pub=192.0.2.0/24, 198.51.100.7", "10.0.0.0/8", "pub=2001:db8::/32"]).unwrap();
        let of = |name: &str| {
            networks.of(name).iter().flat_map(|list| list.iter()).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("pub"), ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32", "10.0.0.0/8"]);
        assert_eq!(of("default"), ["10.0.0.0/8"]);
        assert_eq!(networks.names().collect::<Vec<_>>(), ["pub"]);
        assert_eq!(MediaNetworks::default().of("pub"), None);
    }

    #[test]
    fn what_is_no_network_or_holds_everybody_is_refused() {
        for text in ["=10.0.0.0/8", "pub=", "pub", "10.0.0.0/33", "10.0.0.0/8,"] {
            assert!(
                matches!(
                    parse(&[text]),
                    Err(MediaNetworksParseError::NoName | MediaNetworksParseError::NotANetwork(_))
                ),
                "{text}"
            );
        }
        for text in ["0.0.0.0/0", "pub=128.0.0.0/7", "::/0", "2000::/3"] {
            assert!(matches!(parse(&[text]), Err(MediaNetworksParseError::TooWide(_))), "{text}");
        }
        let many: Vec<String> =
            (0..257).map(|index: u16| format!("10.0.{}.{}", index / 256, index % 256)).collect();
        assert_eq!(parse(&[&many.join(",")]), Err(MediaNetworksParseError::TooMany));
    }
}
