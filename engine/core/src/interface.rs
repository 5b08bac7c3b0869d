//! Named interfaces: where media sockets are bound, and which address the peers are told.

use std::{net::IpAddr, str::FromStr};

/// One `[name/]address[!advertised]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its logical name; several addresses may share one. `default` where none is given.
    pub name: String,
    /// Where sockets are bound.
    pub address: IpAddr,
    /// What is written into descriptions.
    pub advertised: IpAddr,
}

impl FromStr for Interface {
    type Err = InterfaceParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, addresses) = text.split_once('/').unwrap_or((Self::NAME_DEFAULT, text));
        if name.is_empty() {
            return Err(InterfaceParseError::NoName);
        }
        let ip = |text: &str| {
            let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
            bare.parse::<IpAddr>().map_err(|_| InterfaceParseError::NotAnAddress(text.to_owned()))
        };
        let (address, advertised) = match addresses.split_once('!') {
            Some((address, advertised)) => (ip(address)?, ip(advertised)?),
            None => (ip(addresses)?, ip(addresses)?),
        };
        if address.is_ipv4() != advertised.is_ipv4() {
            return Err(InterfaceParseError::FamiliesDiffer);
        }
        if advertised.is_unspecified() || address.is_multicast() {
            return Err(InterfaceParseError::NotAnAddress(addresses.to_owned()));
        }
        Ok(Self { name: name.to_owned(), address, advertised })
    }
}

impl Interface {
    /// The name of an interface that was given none.
    pub const NAME_DEFAULT: &str = "default";
}

/// Why a text is no interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceParseError {
    /// A slash with nothing before it.
    #[error("an interface's name is missing before the slash")]
    NoName,
    /// Not an address that media can be sent to.
    #[error("{0:?} is not an IP address that peers could send to")]
    NotAnAddress(String),
    /// Bound and advertised address are of different families.
    #[error("bound and advertised address are of different families")]
    FamiliesDiffer,
    /// No interface at all.
    #[error("at least one interface is needed")]
    None,
}

/// All interfaces; never empty. The first one's name is where a call goes that names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interfaces {
    /// By the index that a socket pair remembers: those that went too, as long as they have pairs.
    all: Vec<Interface>,
    /// Indices of those that calls are given, in order of preference.
    order: Vec<usize>,
}

impl Interfaces {
    /// These, in order of preference.
    ///
    /// # Errors
    /// There is none.
    pub fn new(interfaces: Vec<Interface>) -> Result<Self, InterfaceParseError> {
        if interfaces.is_empty() {
            return Err(InterfaceParseError::None);
        }
        Ok(Self { order: (0..interfaces.len()).collect(), all: interfaces })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.order.iter().map(|index| &self.all[*index])
    }

    /// How many indices there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, index: usize) -> &Interface {
        &self.all[index]
    }

    /// The index of an interface: of one that calls are given, else of one that was here before.
    pub(crate) fn index_of(&self, interface: &Interface) -> Option<usize> {
        let same = |index: &usize| self.all[*index] == *interface;
        self.order.iter().copied().find(same).or_else(|| (0..self.all.len()).find(same))
    }

    /// Whether calls are given it still.
    pub(crate) fn is_current(&self, index: usize) -> bool {
        self.order.contains(&index)
    }

    /// Takes over other ones. One that stays keeps its index; that of one that went is given away when it is not `used`.
    pub(crate) fn replace(&mut self, wanted: &Self, used: impl Fn(usize) -> bool) {
        let mut order: Vec<Option<usize>> = Vec::new();
        for interface in wanted.iter() {
            let known = |index: &usize| self.all[*index] == *interface && !order.contains(&Some(*index));
            order.push((0..self.all.len()).find(known));
        }
        for (place, interface) in wanted.iter().enumerate() {
            if order[place].is_some() {
                continue;
            }
            let free = (0..self.all.len()).find(|index| !order.contains(&Some(*index)) && !used(*index));
            let index = free.unwrap_or(self.all.len());
            match self.all.get_mut(index) {
                Some(gone) => *gone = interface.clone(),
                None => self.all.push(interface.clone()),
            }
            order[place] = Some(index);
        }
        self.order = order.into_iter().flatten().collect();
    }

    /// The family that a name asks for: `internal` and `external`, where no interface has that name, are the older way to
    /// ask for IPv4 and IPv6. Says whether it is IPv4.
    pub(crate) fn family_of(&self, name: &str) -> Option<bool> {
        let ipv4 = match name {
            "internal" => true,
            "external" => false,
            _ => return None,
        };
        (!self.iter().any(|interface| interface.name == name)).then_some(ipv4)
    }

    /// Index of the address to use: of the name and family if there is one, else of the name,
    /// else of the first interface's name, in which the family is asked for again.
    pub(crate) fn choose(&self, name: Option<&str>, ipv4: bool) -> usize {
        let first = self.order[0];
        let known = name.filter(|name| self.iter().any(|interface| interface.name == *name));
        let name = known.unwrap_or(self.all[first].name.as_str());
        let of_name = |interface: &&Interface| interface.name == name;
        let find = |wanted: &dyn Fn(&Interface) -> bool| {
            self.order.iter().copied().find(|index| wanted(&self.all[*index]))
        };
        find(&|interface| of_name(&interface) && interface.address.is_ipv4() == ipv4)
            .or_else(|| find(&|interface| of_name(&interface)))
            .unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Interfaces {
        Interfaces::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn text_has_optional_name_and_advertised_address() {
        let plain: Interface = "127.0.0.1".parse().unwrap();
        assert_eq!((plain.name.as_str(), plain.advertised), ("default", "127.0.0.1".parse().unwrap()));
        let full: Interface = "pub/10.0.0.1!203.0.113.9".parse().unwrap();
        assert_eq!(full.name, "pub");
        assert_eq!(full.address, "10.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(full.advertised, "203.0.113.9".parse::<IpAddr>().unwrap());
        let six: Interface = "six/[2001:db8::1]".parse().unwrap();
        assert_eq!(six.address, "2001:db8::1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn bad_texts_are_refused() {
        for text in
            ["", "/1.2.3.4", "x/", "1.2.3.4!", "1.2.3.4!::1", "0.0.0.0", "name/host.example", "224.0.0.1"]
        {
            assert!(text.parse::<Interface>().is_err(), "{text}");
        }
    }

    #[test]
    fn choice_prefers_name_then_family() {
        let some = all(&["127.0.0.1", "::1", "pub/10.0.0.1"]);
        assert_eq!(some.choose(None, true), 0);
        assert_eq!(some.choose(None, false), 1);
        assert_eq!(some.choose(Some("pub"), true), 2);
        assert_eq!(some.choose(Some("pub"), false), 2, "no IPv6 there, the name counts more");
        assert_eq!(some.choose(Some("nowhere"), true), 0);
    }

    #[test]
    fn internal_and_external_ask_for_a_family_unless_they_are_interfaces() {
        let some = all(&["127.0.0.1", "internal/10.0.0.1"]);
        assert_eq!(some.family_of("external"), Some(false));
        assert_eq!(some.family_of("internal"), None);
        assert_eq!(some.family_of("default"), None);
        assert_eq!(all(&["127.0.0.1"]).family_of("internal"), Some(true));
    }
}
