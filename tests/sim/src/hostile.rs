//! Strangers: they spray the ports that are open, with packets good and bad, and guess at neighbours and peers.

use std::net::{IpAddr, SocketAddr};

use crate::rng::Rng;

/// An address from which nobody was ever asked to send.
pub(crate) fn address(rng: &mut Rng, ipv4: bool) -> SocketAddr {
    let ip = if ipv4 {
        IpAddr::from([66, rng.u8(), rng.u8(), rng.u8()])
    } else {
        IpAddr::from([0x2001, 0xdb8, 0x6666, 0, 0, 0, 0, rng.u16(1, u16::MAX)])
    };
    SocketAddr::new(ip, rng.u16(1, u16::MAX))
}

/// What it sends.
pub(crate) fn packet(rng: &mut Rng) -> Vec<u8> {
    match rng.below(10) {
        0 => Vec::new(),
        1 => (0..rng.below(40)).map(|_| rng.u8()).collect(),
        2 => vec![0x80, 201, 0, 1, 6, 6, 6, 6],
        3 => vec![0x80, 0, 1],
        _ => {
            let mut rtp = vec![0x80, rng.pick(&[0, 8, 96, 101]), rng.u8(), rng.u8(), 0, 0, 0, 1, 6, 6, 6, 6];
            rtp.extend([0x66; 20]);
            rtp
        }
    }
}
