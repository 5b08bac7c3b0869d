//! Reports of our own in place of the parties'.

use ng::RtcpMux;
use rtp::rtcp::{Compound, RtcpPacket, Sdes};

use super::*;

fn asking(signal: Signal) -> Signal {
    Signal { generate_rtcp: true, ..signal }
}

fn voice(seq: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(172, 0xd5);
    packet
}

/// Both talk for so long; each packet of A with a number that is a multiple of ten is lost.
fn talk(rig: &mut Rig, (toward_b, toward_a): (u16, u16), seconds: u16, from: u16) {
    for seq in from..from + seconds * 50 {
        if seq % 10 != 0 {
            rig.packet(A, toward_a, &voice(seq, 0xaaaa));
        }
        rig.packet(B, toward_b, &voice(seq, 0xbbbb));
        rig.pass(20);
    }
}

const A_RTCP: &str = "198.51.100.1:4001";
const B_RTCP: &str = "198.51.100.2:5001";

fn receiver_report() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0xaa, 0xaa]
}

#[test]
fn each_party_is_reported_to_in_the_name_of_whom_it_hears() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(asking(from_a(sdp(A, "")))).port();
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    talk(&mut rig, (toward_b, toward_a), 12, 1);
    for (at, from, hears, says) in
        [(A_RTCP, toward_a + 1, 0xbbbb, 0xaaaa), (B_RTCP, toward_b + 1, 0xaaaa, 0xbbbb)]
    {
        let at: SocketAddr = at.parse().unwrap();
        let (local, _, packet) = rig.copies.iter().rfind(|(_, remote, _)| *remote == at).expect("a report");
        assert_eq!(local.port(), from);
        let compound = Compound::parse(packet).unwrap();
        let [RtcpPacket::SenderReport(report), RtcpPacket::Sdes(names)] =
            &compound.packets().collect::<Vec<_>>()[..]
        else {
            panic!("{packet:?}")
        };
        assert_eq!(report.ssrc.0, hears);
        let block = report.reports.clone().next().expect("a block");
        assert_eq!(block.ssrc.0, says);
        let lost = if says == 0xaaaa { 20..=26 } else { 0..=0 };
        assert!(lost.contains(&block.fraction_lost), "{block:?}");
        assert_eq!(u64::from(report.payload_bytes), u64::from(report.packets) * 160);
        // Both clocks of a report say the same: one packet each 20 ms from 1 s on.
        let ntp_ms = (report.ntp >> 32) * 1000 + (((report.ntp & 0xffff_ffff) * 1000) >> 32);
        let sent_ms = ntp_ms - 2_208_988_800_000 - EPOCH_MS - 1_000;
        let ticks = i64::from(report.timestamp.0) - 160;
        assert!((ticks - i64::try_from(sent_ms * 8).unwrap()).abs() <= 160, "{ticks} {sent_ms}");
        let chunk = names.chunks.clone().next().unwrap();
        let item = chunk.items.clone().next().unwrap();
        assert_eq!((chunk.ssrc.0, item.item_type), (hears, Sdes::CNAME));
    }
}

#[test]
fn what_parties_report_goes_no_further_but_feedback_does() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(from_a(sdp(A, ""))).port();
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    assert!(rig.packet(A_RTCP, toward_a + 1, &receiver_report()).is_some(), "relayed while nobody asks");
    rig.offer(asking(to_b(sdp(A, ""))));
    assert!(rig.packet(A_RTCP, toward_a + 1, &receiver_report()).is_none());
    assert_eq!(rig.drops(DropReason::Consumed), 1);
    let picture_loss = [0x81, 206, 0, 2, 0, 0, 0xaa, 0xaa, 0, 0, 0xbb, 0xbb];
    let feedback = [receiver_report(), picture_loss.to_vec()].concat();
    assert!(rig.packet(A_RTCP, toward_a + 1, &feedback).is_some(), "feedback is not ours to give");
    assert!(rig.rtp(A, toward_a).is_some() && rig.rtp(B, toward_b).is_some());
}

#[test]
fn reports_come_in_no_rhythm_and_end_with_the_call() {
    let mut rig = Rig::new();
    rig.offer(asking(from_a(sdp(A, ""))));
    rig.answer(to_b(sdp(B, "")));
    let mut gaps = Vec::new();
    let (mut before, mut count) = (rig.now_ms, 0);
    for _ in 0..50_000 {
        rig.pass(1);
        if rig.copies.len() > count {
            count = rig.copies.len();
            gaps.push(rig.now_ms - before);
            before = rig.now_ms;
        }
    }
    assert!(gaps.iter().all(|gap| (2_500..=7_500).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap != gaps[0]), "{gaps:?}");
    // Nobody has sent a packet: whoever reports does so in its own name.
    for (_, _, packet) in &rig.copies {
        let compound = Compound::parse(packet).unwrap();
        let first = compound.packets().next();
        assert!(matches!(first, Some(RtcpPacket::ReceiverReport(report)) if report.reports.len() == 0));
    }
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn reports_share_the_port_where_it_is_shared_and_nowhere_else() {
    let mut rig = Rig::new();
    let offer = Signal {
        rtcp_mux: RtcpMux { demux: true, ..RtcpMux::default() },
        ..asking(from_a(sdp(A, "a=rtcp-mux\r\n")))
    };
    let toward_b = rig.offer(offer).port();
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    talk(&mut rig, (toward_b, toward_a), 8, 1);
    let ways: HashSet<(u16, SocketAddr)> =
        rig.copies.iter().map(|(local, remote, _)| (local.port(), *remote)).collect();
    let expected = [(toward_a, A.parse().unwrap()), (toward_b + 1, B_RTCP.parse().unwrap())];
    assert_eq!(ways, HashSet::from(expected));
    assert!(rig.packet(A, toward_a, &receiver_report()).is_none(), "on the shared port it is consumed too");
}
