//! The parts of a packet fill the datagram, and are written back the same; any run of packets can be counted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp::packet::{RtpHeaderMut, RtpPacket, RtpWriter, header_bytes, kind_of};
use rtp::stats::{Arrival, StreamStats};
use rtp::units::{ClockRate, Instant, SeqNo};

fuzz_target!(|data: &[u8]| {
    let _ = kind_of(data);
    one_packet(data);
    many_packets(data);
});

fn one_packet(data: &[u8]) {
    let Ok(packet) = RtpPacket::parse(data) else { return };
    let header = header_bytes(data).expect("the header of a packet is one");
    assert_eq!(header + packet.payload().len() + usize::from(packet.padding_bytes()), data.len());
    if let Some(extension) = packet.extension() {
        let elements: usize = extension.elements().map(|element| element.data.len() + 1).sum();
        assert!(elements <= extension.data.len());
    }
    let csrcs: Vec<_> = packet.csrcs().collect();
    let writer = RtpWriter {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        seq: packet.seq(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        csrcs: &csrcs,
        extension: packet.extension(),
        padding_bytes: packet.padding_bytes(),
    };
    let mut out = vec![0; data.len()];
    assert_eq!(writer.write(packet.payload(), &mut out), Some(data.len()));
    // Only the zeros of the padding may differ.
    let end = data.len() - usize::from(packet.padding_bytes());
    assert_eq!(out[..end], data[..end]);
    let mut changed = RtpHeaderMut::new(&mut out).expect("a packet has a header");
    changed.set_seq(SeqNo(7));
    assert_eq!(RtpPacket::parse(&out).expect("still a packet").seq(), SeqNo(7));
}

/// Eight bytes are one arrival: source, clock, sequence number, timestamp, time since the last.
fn many_packets(data: &[u8]) {
    let mut stats = StreamStats::new();
    let mut at = Instant::ZERO;
    for bytes in data.as_chunks::<8>().0 {
        let [flags, gap, s0, s1, t0, t1, t2, t3] = *bytes;
        at = at + std::time::Duration::from_millis(u64::from(gap));
        stats.on_packet(&Arrival {
            at,
            ssrc: rtp::units::Ssrc(u32::from(flags & 3)),
            seq: SeqNo(u16::from_be_bytes([s0, s1])),
            timestamp: rtp::units::RtpTime(u32::from_be_bytes([t0, t1, t2, t3])),
            clock_rate: ClockRate::new(u32::from(flags >> 2) * 1000),
            marker: gap & 1 != 0,
            bytes: 1,
        });
        if flags & 1 != 0 {
            stats.report_block(at).expect("a packet has arrived");
        }
    }
    assert_eq!(stats.packets(), data.len() as u64 / 8);
    let losses = stats.losses();
    assert!(losses.runs <= losses.lost && losses.lost <= losses.expected);
    assert!(stats.duplicates() + stats.reordered() + stats.strays() <= stats.packets());
}
