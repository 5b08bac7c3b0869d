//! Socket addresses as the kernel lays them out in memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Bytes of the largest address written here (`sockaddr_in6`).
pub(crate) const ADDRESS_BYTES: usize = 28;

/// Bytes of a `sockaddr_in`.
const ADDRESS_V4_BYTES: usize = 16;

/// Writes `address` as a `sockaddr_in` or `sockaddr_in6` and returns how many bytes of `out` it takes.
pub(crate) fn encode(address: SocketAddr, out: &mut [u8; ADDRESS_BYTES]) -> usize {
    match address {
        SocketAddr::V4(v4) => {
            out[..2].copy_from_slice(&family(libc::AF_INET).to_ne_bytes());
            out[2..4].copy_from_slice(&v4.port().to_be_bytes());
            out[4..8].copy_from_slice(&v4.ip().octets());
            out[8..ADDRESS_V4_BYTES].fill(0);
            ADDRESS_V4_BYTES
        }
        SocketAddr::V6(v6) => {
            out[..2].copy_from_slice(&family(libc::AF_INET6).to_ne_bytes());
            out[2..4].copy_from_slice(&v6.port().to_be_bytes());
            out[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            out[8..24].copy_from_slice(&v6.ip().octets());
            out[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            ADDRESS_BYTES
        }
    }
}

/// Reads what the kernel wrote as a sender's address; `None` for any family but IPv4 and IPv6.
pub(crate) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let found = u16::from_ne_bytes([head[0], head[1]]);
    let port = u16::from_be_bytes([head[2], head[3]]);
    if found == family(libc::AF_INET) {
        let octets: [u8; 4] = *rest.first_chunk()?;
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port));
    }
    if found == family(libc::AF_INET6) {
        let (_flow, rest) = rest.split_first_chunk::<4>()?;
        let (octets, rest) = rest.split_first_chunk::<16>()?;
        let scope = u32::from_ne_bytes(*rest.first_chunk()?);
        return Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(*octets), port, 0, scope)));
    }
    None
}

/// An address family as the 16 bits it takes in memory.
fn family(family: libc::c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).expect("address families are small numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_ipv4_address_survives(ip: [u8; 4], port: u16) {
            let address = SocketAddr::new(IpAddr::from(ip), port);
            let mut bytes = [0xff; ADDRESS_BYTES];
            let length = encode(address, &mut bytes);
            prop_assert_eq!(length, 16);
            prop_assert_eq!(decode(&bytes[..length]), Some(address));
        }

        #[test]
        fn an_ipv6_address_survives(ip: [u8; 16], port: u16, scope: u32) {
            let address = SocketAddr::V6(SocketAddrV6::new(ip.into(), port, 0, scope));
            let mut bytes = [0xff; ADDRESS_BYTES];
            let length = encode(address, &mut bytes);
            prop_assert_eq!(length, 28);
            prop_assert_eq!(decode(&bytes[..length]), Some(address));
        }

        #[test]
        fn reading_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn the_layout_is_the_one_the_standard_library_uses() {
        for text in ["192.0.2.7:5004", "[2001:db8::7]:5004"] {
            let address: SocketAddr = text.parse().expect("a literal address");
            let mut bytes = [0; ADDRESS_BYTES];
            let length = encode(address, &mut bytes);
            let kernel = socket2::SockAddr::from(address);
            assert_eq!(usize::try_from(kernel.len()).expect("small"), length);
            assert_eq!(kernel.as_socket(), decode(&bytes[..length]));
        }
    }
}
