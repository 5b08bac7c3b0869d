//! Every packet of an accepted compound can be walked, and reports are written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp::rtcp::{Compound, CompoundWriter, RtcpPacket};

fuzz_target!(|data: &[u8]| {
    let Ok(compound) = Compound::parse(data) else { return };
    let _ = compound.is_reduced_size();
    let mut out = vec![0; data.len() + 64];
    let mut packets = 0;
    for packet in compound.packets() {
        packets += 1;
        let mut writer = CompoundWriter::new(&mut out);
        match packet.clone() {
            RtcpPacket::SenderReport(report) => {
                let blocks: Vec<_> = report.reports.clone().collect();
                let counts = (report.packets, report.payload_bytes);
                writer
                    .sender_report(report.ssrc, report.ntp, report.timestamp, counts, &blocks)
                    .expect("what was read fits");
            }
            RtcpPacket::ReceiverReport(report) => {
                let blocks: Vec<_> = report.reports.clone().collect();
                writer.receiver_report(report.ssrc, &blocks).expect("what was read fits");
            }
            RtcpPacket::Sdes(sdes) => {
                let items = sdes.chunks.flat_map(|chunk| chunk.items).count();
                assert!(items <= data.len());
                continue;
            }
            RtcpPacket::Bye(bye) => {
                let sources: Vec<_> = bye.sources().collect();
                writer.bye(&sources, bye.reason).expect("what was read fits");
            }
            RtcpPacket::Other { .. } => continue,
        }
        let written = writer.written();
        let again = Compound::parse(&out[..written]).expect("what is written can be read");
        assert_eq!(again.packets().next(), Some(packet));
    }
    assert!(packets > 0);
});
