//! Packets as the classic pcap format has them, with the headers they had on the wire or could have had.

use std::net::{IpAddr, SocketAddr};

use super::RecordingFormat;

/// What stands at the beginning of a file: version 2.4, microseconds, whole packets.
pub(super) fn file_header(format: RecordingFormat) -> [u8; 24] {
    let link_type: u32 = match format {
        RecordingFormat::Raw => 101,
        RecordingFormat::Eth => 1,
    };
    let mut header = [0; 24];
    header[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes());
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&SNAP_BYTES.to_le_bytes());
    header[20..].copy_from_slice(&link_type.to_le_bytes());
    header
}

/// One UDP datagram that came from `remote` to `local`, appended to `out`. The time is in microseconds since the Unix epoch.
pub(super) fn record(
    format: RecordingFormat,
    at_us: u64,
    remote: SocketAddr,
    local: SocketAddr,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let (Ok(seconds), Ok(micros)) = (u32::try_from(at_us / 1_000_000), u32::try_from(at_us % 1_000_000))
    else {
        return;
    };
    let ethernet = match (format, remote) {
        (RecordingFormat::Raw, _) => None,
        (RecordingFormat::Eth, SocketAddr::V4(_)) => Some(0x0800_u16),
        (RecordingFormat::Eth, SocketAddr::V6(_)) => Some(0x86dd),
    };
    let ip_bytes = if remote.is_ipv4() { 20 } else { 40 };
    let length = ethernet.map_or(0, |_| 14) + ip_bytes + 8 + payload.len();
    let (Ok(length), Ok(udp)) = (u32::try_from(length), u16::try_from(8 + payload.len())) else { return };
    for number in [seconds, micros, length, length] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    if let Some(kind) = ethernet {
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&kind.to_be_bytes());
    }
    let pseudo = ip(remote.ip(), local.ip(), udp, out);
    let ports = [remote.port(), local.port()].map(u16::to_be_bytes).concat();
    let sum = pseudo + sum(&ports) + u64::from(udp) + sum(payload);
    out.extend_from_slice(&ports);
    out.extend_from_slice(&udp.to_be_bytes());
    // Zero would say that there is none (RFC 768).
    let checksum = match fold(sum) {
        0 => 0xffff,
        other => other,
    };
    out.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(payload);
}

/// An IP header; returns the sum of the pseudo header, without the length of UDP's own.
fn ip(from: IpAddr, to: IpAddr, udp_bytes: u16, out: &mut Vec<u8>) -> u64 {
    let start = out.len();
    let addresses = match (from, to) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&udp_bytes.to_be_bytes());
            out.extend_from_slice(&[UDP, HOPS]);
            [from.octets(), to.octets()].concat()
        }
        (from, to) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.octets(),
                IpAddr::V6(ip) => ip.to_ipv4_mapped().unwrap_or(std::net::Ipv4Addr::UNSPECIFIED).octets(),
            };
            out.extend_from_slice(&[0x45, 0]);
            out.extend_from_slice(&(20 + udp_bytes).to_be_bytes());
            out.extend_from_slice(&[0, 0, 0, 0, HOPS, UDP, 0, 0]);
            [octets(from), octets(to)].concat()
        }
    };
    out.extend_from_slice(&addresses);
    if from.is_ipv4() {
        let checksum = fold(sum(&out[start..]));
        out[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
    }
    sum(&addresses) + u64::from(UDP) + u64::from(udp_bytes)
}

/// The sum of 16-bit words (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|word| u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while let Some(carry) = Some(sum >> 16).filter(|carry| *carry > 0) {
        sum = (sum & 0xffff) + carry;
    }
    !u16::try_from(sum).expect("nothing is left above 16 bits")
}

const UDP: u8 = 17;
const HOPS: u8 = 64;
const SNAP_BYTES: u32 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: RecordingFormat, remote: &str, local: &str, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let [remote, local] = [remote, local].map(|text| text.parse().expect("an address"));
        record(format, 1_795_811_346_627_370, remote, local, payload, &mut out);
        out
    }

    #[test]
    fn a_packet_is_what_rtpengine_writes_but_for_checksums() {
        // Of rtpengine 10.5.3.5 with recording-format=eth: time, lengths, Ethernet, IP and UDP headers.
        let theirs = [
            0x12, 0xe8, 0x09, 0x6b, 0xaa, 0x92, 0x09, 0x00, 0xd6, 0, 0, 0, 0xd6, 0, 0, 0, // pcap
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, // Ethernet
            0x45, 0, 0, 0xc8, 0, 0, 0, 0, 0x40, 0x11, 0, 0, 127, 0, 7, 3, 127, 0, 7, 1, // IP
            0x17, 0x70, 0xa0, 0x3e, 0, 0xb4, 0, 0, // UDP
        ];
        let mut ours = written(RecordingFormat::Eth, "127.0.7.3:6000", "127.0.7.1:41022", &[7; 172]);
        assert_eq!(ours[theirs.len()..], [7; 172]);
        for checksum in [40..42, 56..58] {
            assert!(ours[checksum.clone()].iter().any(|byte| *byte != 0));
            ours[checksum].fill(0);
        }
        assert_eq!(ours[..theirs.len()], theirs);
    }

    #[test]
    fn headers_add_up() {
        for (remote, local, ip_bytes) in
            [("192.0.2.1:4000", "192.0.2.9:20000", 20), ("[2001:db8::1]:4000", "[2001:db8::9]:20000", 40)]
        {
            for payload in [&b""[..], b"odd", b"even"] {
                let raw = written(RecordingFormat::Raw, remote, local, payload);
                let eth = written(RecordingFormat::Eth, remote, local, payload);
                assert_eq!(raw[16..], eth[30..]);
                let packet = &raw[16..];
                assert_eq!(packet.len(), ip_bytes + 8 + payload.len());
                if ip_bytes == 20 {
                    assert_eq!(fold(sum(&packet[..20])), 0);
                }
                let addresses = if ip_bytes == 20 { &packet[12..20] } else { &packet[8..40] };
                let udp = &packet[ip_bytes..];
                let all = sum(addresses) + 17 + u64::try_from(udp.len()).expect("few") + sum(udp);
                assert_eq!(fold(all), 0, "{remote} {payload:?}");
            }
        }
    }
}
