//! Which peers may be reached: nobody who is not on the public Internet, however the address is spelt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ng::Network;

/// What is thought of a peer's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be reached.
    Allowed,
    /// It is one of those that clients are lent: what lies behind the port decides.
    Lent,
    /// It may not be reached.
    Refused,
}

/// Looks at a peer's address. Ours come first, those that clients are lent and others: no list opens them.
pub(super) fn verdict(address: IpAddr, lent: &[IpAddr], own: &[IpAddr], allowed: &[Network]) -> Verdict {
    if lent.contains(&address) {
        Verdict::Lent
    } else if own.contains(&address) {
        Verdict::Refused
    } else if allowed.iter().any(|network| network.contains(address)) || is_public(address, own) {
        Verdict::Allowed
    } else {
        Verdict::Refused
    }
}

/// Whether an address is one of the public Internet, and so is whatever it may stand for.
fn is_public(address: IpAddr, own: &[IpAddr]) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match Spelling::of(address) {
            Spelling::Native => is_public_v6(address),
            Spelling::Never => false,
            Spelling::StandsFor(address) => is_public_v4(address) && !own.contains(&IpAddr::V4(address)),
        },
    }
}

/// What an IPv6 address may be besides itself.
enum Spelling {
    /// Nothing.
    Native,
    /// An IPv4 address that is not to be written so on the wire, or one that cannot be told.
    Never,
    /// This IPv4 address, behind a translator or a tunnel.
    StandsFor(Ipv4Addr),
}

impl Spelling {
    fn of(address: Ipv6Addr) -> Self {
        let octets = address.octets();
        let at = |begin: usize| {
            Ipv4Addr::new(octets[begin], octets[begin + 1], octets[begin + 2], octets[begin + 3])
        };
        match address.segments() {
            // IPv4-compatible and IPv4-mapped (RFC 4291 §2.5.5), and translated (RFC 7915 has it from RFC 2765).
            [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Self::Never,
            // Teredo (RFC 4380): server and client are both behind it.
            [0x2001, 0, ..] => Self::Never,
            // NAT64 of a network's own (RFC 8215): where the IPv4 address lies is that network's choice.
            [0x64, 0xff9b, 1, ..] => Self::Never,
            // ISATAP (RFC 5214 §6.1).
            [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Self::Never,
            // NAT64 (RFC 6052 §2.1).
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => Self::StandsFor(at(12)),
            // 6to4 (RFC 3056 §2).
            [0x2002, ..] => Self::StandsFor(at(2)),
            _ => Self::Native,
        }
    }
}

/// The special-purpose registry (RFC 6890 and what was added since), and the address behind which one cloud keeps what
/// only its guests may ask.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let refused = match a {
        0 | 10 | 127 => true,
        100 => b & 0xc0 == 64,
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99) || b == 168,
        198 => b & 0xfe == 18 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => a >= 224,
    };
    !refused && address != Ipv4Addr::new(168, 63, 129, 16)
}

/// Only what is given out as global unicast, without what of it is for documents, tests and identifiers.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // 2001::/23 is for protocols: Teredo, benchmarks, ORCHID.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] => false,
        [0x3fff, 0..0x1000, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Verdict {
        let own = ["203.0.113.9", "8.8.4.4", "2a00::9"].map(|text| text.parse().unwrap());
        let allowed = ["127.0.0.2/32", "198.18.0.0/15", "fd00:7::/32", "8.8.4.0/24"];
        verdict(text.parse().unwrap(), &own[..1], &own, &allowed.map(|text| text.parse().unwrap()))
    }

    #[test]
    fn the_public_internet_is_reached() {
        for text in ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1"] {
            assert_eq!(of(text), Verdict::Allowed, "{text}");
        }
        for text in ["2a00::1", "2001:200::1", "2600::", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
            assert_eq!(of(text), Verdict::Allowed, "{text}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused_in_every_spelling() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ];
        for text in refused {
            assert_eq!(of(text), Verdict::Refused, "{text}");
            let v4: Ipv4Addr = text.parse().unwrap();
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for spelt in [
                format!("::ffff:{text}"),
                format!("::{text}"),
                format!("::ffff:0:{text}"),
                format!("64:ff9b::{text}"),
                format!("64:ff9b:1::{text}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:{high:x}:{low:x}::1"),
                format!("2001:0:808:808::{:x}:{:x}", !high, !low),
                format!("2a00::5efe:{text}"),
            ] {
                assert_eq!(of(&spelt), Verdict::Refused, "{spelt}");
            }
        }
        for text in [
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "2001:2::1",
            "2001:10::1",
            "4000::1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
        ] {
            assert_eq!(of(text), Verdict::Refused, "{text}");
        }
    }

    #[test]
    fn a_listed_peer_is_reached_and_an_own_address_never_by_a_list() {
        for text in ["127.0.0.2", "198.18.7.7", "fd00:7::1", "8.8.4.5"] {
            assert_eq!(of(text), Verdict::Allowed, "{text}");
        }
        assert_eq!(of("203.0.113.9"), Verdict::Lent);
        for text in [
            "8.8.4.4",
            "2a00::9",
            "::ffff:127.0.0.2",
            "::ffff:8.8.4.4",
            "64:ff9b::8.8.4.4",
            "2002:808:404::1",
        ] {
            assert_eq!(of(text), Verdict::Refused, "{text}");
        }
    }
}
