//! What is written reads back, and what is malformed is refused by reason.

use proptest::prelude::*;

use super::*;

const BLOCK: ReportBlock = ReportBlock {
    ssrc: Ssrc(0x0102_0304),
    fraction_lost: 64,
    cumulative_lost: -2,
    highest_seq: 0x0001_ffff,
    jitter_ticks: 17,
    last_sr: 0xaabb_ccdd,
    delay_since_last_sr: 65_536,
};

#[test]
fn compound_of_report_cname_and_bye_reads_back() {
    let mut out = [0; 200];
    let mut writer = CompoundWriter::new(&mut out);
    writer.sender_report(Ssrc(7), 0x1122_3344_5566_7788, RtpTime(160), (50, 8000), &[BLOCK]).unwrap();
    writer.sdes_cname(Ssrc(7), b"a@b.example").unwrap();
    writer.bye(&[Ssrc(7)], Some(b"done")).unwrap();
    let written = writer.written();
    let compound = Compound::parse(&out[..written]).unwrap();
    assert!(!compound.is_reduced_size());
    let packets: Vec<_> = compound.packets().collect();
    let [RtcpPacket::SenderReport(report), RtcpPacket::Sdes(sdes), RtcpPacket::Bye(bye)] = &packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!((report.ssrc, report.timestamp, report.packets), (Ssrc(7), RtpTime(160), 50));
    assert_eq!((report.payload_bytes, report.ntp_middle()), (8000, 0x3344_5566));
    assert_eq!(report.reports.clone().collect::<Vec<_>>(), [BLOCK]);
    let chunk = sdes.chunks.clone().next().unwrap();
    let items: Vec<_> = chunk.items.map(|item| (item.item_type, item.text)).collect();
    assert_eq!((chunk.ssrc, items), (Ssrc(7), vec![(Sdes::CNAME, b"a@b.example".as_slice())]));
    assert_eq!(bye.sources().collect::<Vec<_>>(), [Ssrc(7)]);
    assert_eq!(bye.reason, Some(b"done".as_slice()));
}

#[test]
fn layout_of_a_receiver_report_is_that_of_rfc3550_section_6_4_2() {
    let mut out = [0; 32];
    let mut writer = CompoundWriter::new(&mut out);
    writer.receiver_report(Ssrc(9), &[BLOCK]).unwrap();
    let expected = [
        0x81, 201, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4, 64, 0xff, 0xff, 0xfe, 0, 1, 0xff, 0xff, 0, 0, 0, 17, 0xaa,
        0xbb, 0xcc, 0xdd, 0, 1, 0, 0,
    ];
    assert_eq!(writer.written(), 32);
    assert_eq!(out, expected);
}

#[test]
fn loss_beyond_24_bits_saturates() {
    let lost = |cumulative_lost| {
        let bytes = ReportBlock { cumulative_lost, ..BLOCK }.to_bytes();
        [bytes[5], bytes[6], bytes[7]]
    };
    assert_eq!(lost(i32::MAX), [0x7f, 0xff, 0xff]);
    assert_eq!(lost(i32::MIN), [0x80, 0, 0]);
}

#[test]
fn several_chunks_and_items_are_walked() {
    let datagram =
        [0x82, 202, 0, 6, 0, 0, 0, 1, 1, 1, b'x', 2, 1, b'y', 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0];
    let compound = Compound::parse(&datagram).unwrap();
    let Some(RtcpPacket::Sdes(sdes)) = compound.packets().next() else { panic!() };
    let chunks: Vec<_> = sdes
        .chunks
        .map(|chunk| (chunk.ssrc, chunk.items.map(|item| (item.item_type, item.text)).collect::<Vec<_>>()))
        .collect();
    let first: Vec<(u8, &[u8])> = vec![(1, b"x"), (2, b"y")];
    assert_eq!(chunks, [(Ssrc(1), first), (Ssrc(2), vec![(1, b"".as_slice())])]);
}

#[test]
fn padding_counts_on_the_last_packet_alone() {
    let padded = [0xa0, 203, 0, 1, 0, 0, 0, 4];
    let Some(RtcpPacket::Bye(bye)) = Compound::parse(&padded).unwrap().packets().next() else { panic!() };
    assert_eq!((bye.sources().len(), bye.reason), (0, None));
    assert_eq!(Compound::parse(&[padded, padded].concat()), Err(RtcpError::BadPadding));
}

#[test]
fn feedback_is_handed_on_as_bytes_and_marks_reduced_size() {
    let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 0];
    let compound = Compound::parse(&nack).unwrap();
    assert!(compound.is_reduced_size());
    let packet = compound.packets().next();
    assert_eq!(packet, Some(RtcpPacket::Other { packet_type: 205, count: 1, body: &nack[4..] }));
}

#[test]
fn malformed_datagrams_are_refused_by_reason() {
    let cases: [(&[u8], RtcpError); 11] = [
        (&[], RtcpError::Truncated),
        (&[0x80, 201, 0], RtcpError::Truncated),
        (&[0x80, 201, 0, 1, 0, 0, 0], RtcpError::Truncated),
        (&[0x80, 201, 0, 1, 0, 0, 0, 1, 9], RtcpError::Truncated),
        (&[0x40, 201, 0, 1, 0, 0, 0, 1], RtcpError::BadVersion),
        (&[0xa0, 203, 0, 0], RtcpError::BadPadding),
        (&[0xa0, 203, 0, 1, 0, 0, 0, 8], RtcpError::BadPadding),
        (&[0xa0, 203, 0, 1, 0, 0, 0, 3], RtcpError::BadPadding),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], RtcpError::BadBody),
        (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'x', b'y'], RtcpError::BadBody),
        (&[0x80, 203, 0, 1, 4, b'x', b'y', b'z'], RtcpError::BadBody),
    ];
    for (datagram, error) in cases {
        assert_eq!(Compound::parse(datagram), Err(error), "{datagram:02x?}");
    }
    let many = [0x80, 210, 0, 0].repeat(COMPOUND_PACKETS_MAX + 1);
    assert!(Compound::parse(&many[4..]).is_ok());
    assert_eq!(Compound::parse(&many), Err(RtcpError::TooManyPackets));
}

#[test]
fn packet_that_does_not_fit_leaves_the_compound_as_it_was() {
    let mut out = [0; 20];
    let mut writer = CompoundWriter::new(&mut out);
    writer.receiver_report(Ssrc(1), &[]).unwrap();
    assert_eq!(writer.sdes_cname(Ssrc(1), &[b'x'; 30]), None);
    assert_eq!(writer.receiver_report(Ssrc(1), &[BLOCK; 32]), None);
    assert_eq!(writer.written(), 8);
    writer.bye(&[Ssrc(1)], None).unwrap();
    assert_eq!(Compound::parse(&out[..16]).unwrap().packets().count(), 2);
}

fn any_block() -> impl Strategy<Value = ReportBlock> {
    any::<(u32, u8, i32, u32, u32, u32, u32)>().prop_map(
        |(ssrc, fraction_lost, lost, highest, jitter, lsr, dlsr)| ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost,
            cumulative_lost: lost >> 8,
            highest_seq: highest,
            jitter_ticks: jitter,
            last_sr: lsr,
            delay_since_last_sr: dlsr,
        },
    )
}

proptest! {
    #[test]
    fn blocks_written_read_back(blocks in proptest::collection::vec(any_block(), 0..=COUNT_MAX), ssrc in any::<u32>()) {
        let mut out = [0; 1000];
        let mut writer = CompoundWriter::new(&mut out);
        writer.receiver_report(Ssrc(ssrc), &blocks).unwrap();
        let written = writer.written();
        let compound = Compound::parse(&out[..written]).unwrap();
        let Some(RtcpPacket::ReceiverReport(report)) = compound.packets().next() else { panic!() };
        prop_assert_eq!(report.ssrc, Ssrc(ssrc));
        prop_assert_eq!(report.reports.collect::<Vec<_>>(), blocks);
    }

    #[test]
    fn names_of_any_length_read_back(cname in proptest::collection::vec(any::<u8>(), 0..=255)) {
        let mut out = [0; 300];
        let mut writer = CompoundWriter::new(&mut out);
        writer.sdes_cname(Ssrc(5), &cname).unwrap();
        let written = writer.written();
        let compound = Compound::parse(&out[..written]).unwrap();
        let Some(RtcpPacket::Sdes(mut sdes)) = compound.packets().next() else { panic!() };
        let mut items = sdes.chunks.next().unwrap().items;
        prop_assert_eq!(items.next().unwrap().text, &cname[..]);
        prop_assert_eq!(items.next(), None);
    }

    #[test]
    fn random_bytes_never_panic_and_all_that_is_accepted_is_walked(
        packets in proptest::collection::vec((0u8..=255, 198u8..206, proptest::collection::vec(any::<[u8; 4]>(), 0..9)), 0..5),
        cut in 0usize..4,
    ) {
        let mut bytes = Vec::new();
        for (first, packet_type, words) in &packets {
            bytes.extend([first & 0x3f | 0x80, *packet_type, 0, u8::try_from(words.len()).unwrap()]);
            bytes.extend(words.as_flattened());
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(compound) = Compound::parse(&bytes) {
            prop_assert_eq!(cut, 0);
            prop_assert_eq!(compound.packets().count(), packets.len());
            for packet in compound.packets() {
                if let RtcpPacket::Sdes(sdes) = packet {
                    prop_assert!(sdes.chunks.flat_map(|chunk| chunk.items).count() <= bytes.len());
                }
            }
        }
    }
}
