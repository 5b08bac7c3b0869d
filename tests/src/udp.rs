//! Whether somebody listens on a port, as the kernel's table says: nothing is sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::process::await_some;

/// Waits until a process has bound `address`.
///
/// # Panics
/// If none has after [`PATIENCE`](crate::process::PATIENCE).
pub fn await_bound(address: SocketAddr) {
    await_some(&format!("listener on {address}"), || is_bound(address).then_some(()));
}

/// Waits until a process listens on `address` for TCP connections.
///
/// # Panics
/// As [`await_bound`].
pub fn await_listening(address: SocketAddr) {
    await_some(&format!("TCP listener on {address}"), || {
        locals("/proc/net/tcp", address.ip(), Some("0A")).contains(&address.port()).then_some(())
    });
}

/// Whether a process has bound `address`, or its port on all addresses.
pub fn is_bound(address: SocketAddr) -> bool {
    [address.ip(), Ipv4Addr::UNSPECIFIED.into()].iter().any(|ip| bound(*ip).contains(&address.port()))
}

/// Every UDP port that is bound on this very address.
///
/// # Panics
/// For IPv6: the tests' peers are on IPv4.
pub fn bound(ip: IpAddr) -> Vec<u16> {
    locals("/proc/net/udp", ip, None)
}

/// The local ports on `ip` in one of the kernel's tables, of sockets in `state` alone if one is given.
fn locals(table: &str, ip: IpAddr, state: Option<&str>) -> Vec<u16> {
    let IpAddr::V4(ip) = ip else { panic!("the tests' peers are on IPv4") };
    let own = format!("{:08X}", u32::from(ip).swap_bytes());
    let table = std::fs::read_to_string(table).unwrap_or_default();
    let rows = table.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let rows = rows.filter(|row| state.is_none_or(|state| row.get(2) == Some(&state)));
    let ports = rows.filter_map(|row| {
        let (local, port) = row.first()?.split_once(':')?;
        (local == own).then(|| u16::from_str_radix(port, 16).ok())?
    });
    ports.collect()
}

/// The ports of `ip` that processes have bound, in rising order.
pub fn bound_ports(ip: IpAddr) -> Vec<u16> {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let IpAddr::V4(ip) = ip else { panic!("the tests' peers are on IPv4") };
    let prefix = format!("{:08X}:", u32::from(ip).swap_bytes());
    let locals = table.lines().filter_map(|line| line.split_whitespace().nth(1)?.strip_prefix(&prefix));
    let mut ports: Vec<u16> = locals.filter_map(|port| u16::from_str_radix(port, 16).ok()).collect();
    ports.sort_unstable();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_port_is_seen_and_a_free_one_is_not() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        assert!(is_bound(address));
        assert!(bound_ports(address.ip()).contains(&address.port()));
        drop(socket);
        assert!(!is_bound(address));
    }
}
