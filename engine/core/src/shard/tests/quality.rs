//! What is observed of streams, and how it is told.

use ng::{CallReport, DelayFrom};
use rtp::{
    rtcp::{CompoundWriter, ReportBlock},
    units::{RtpTime, Ssrc},
};

use super::*;

/// An RTP packet.
pub(super) struct Rtp {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    pub(super) payload_bytes: usize,
}

/// Twenty milliseconds of A-law.
pub(super) const PCMA: Rtp =
    Rtp { payload_type: 8, marker: false, seq: 0, timestamp: 0, ssrc: 0xa, payload_bytes: 160 };

impl Rtp {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80, self.payload_type | u8::from(self.marker) << 7];
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.timestamp.to_be_bytes());
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.resize(12 + self.payload_bytes, 0xd5);
        bytes
    }

    /// Packet number `n` of its stream.
    pub(super) fn nth(&self, n: u32) -> Rtp {
        Rtp { seq: u16::try_from(n % 65_536).unwrap(), timestamp: n.wrapping_mul(160), ..*self }
    }
}

fn report(rig: &mut Rig) -> CallReport {
    match rig.query("c") {
        Reply::Report(report) => *report,
        other => panic!("{other:?}"),
    }
}

/// Packets of both sides every 20 ms from number `start` on, those of A only where `sent` says so.
fn talk(
    rig: &mut Rig,
    (toward_b, toward_a): (u16, u16),
    range: std::ops::Range<u32>,
    sent: impl Fn(u32) -> bool,
) {
    for n in range {
        if sent(n) {
            rig.packet(A, toward_a, &PCMA.nth(n).bytes());
        }
        rig.packet(B, toward_b, &Rtp { ssrc: 0xb, ..PCMA }.nth(n).bytes());
        rig.pass(20);
    }
}

#[test]
fn every_source_has_its_score_and_a_lossy_one_the_worse() {
    let mut rig = Rig::new();
    let ports = established(&mut rig);
    talk(&mut rig, ports, 0..900, |n| n % 20 != 7);
    let report = report(&mut rig);
    let [lossy, clean] = &report.ssrcs[..] else { panic!("{:?}", report.ssrcs) };
    assert_eq!((lossy.ssrc, lossy.lost, lossy.received), (0xa, 45, Some((855, 855 * 172))));
    assert_eq!((clean.ssrc, clean.lost), (0xb, 0));
    let (lossy, clean) = (lossy.quality.as_ref().unwrap(), clean.quality.as_ref().unwrap());
    // G.711 without loss is 4.4; 5 % at random cost it 95 * 5 / 30.1 of the rating.
    assert_eq!((clean.average.sample.mos_x10, clean.lowest.mos_x10), (44, 44));
    assert_eq!((lossy.average.sample.mos_x10, lossy.average.sample.loss_percent), (38, 5));
    assert_eq!(lossy.average.samples, 4);
    assert_eq!(lossy.progression.len(), 4);
    assert_eq!(lossy.interval_s, 5);
    let began_s = (EPOCH_MS + 1000) / 1000;
    assert_eq!(lossy.progression[0].reported_at_s, began_s + 5);
    let media = &report.tags[0].medias[0];
    assert_eq!(media.codec.as_deref(), Some("PCMA/8000"));
    let quality = media.quality.as_ref().unwrap();
    assert_eq!((quality.expected, quality.lost, quality.late), (900, 45, 0));
    assert_eq!((quality.delay_ms, quality.delay_from, quality.buffer_ms), (100, DelayFrom::Assumed, 60));
    assert_eq!(quality.mos_x100.map(|score| score / 10), Some(38));
    assert_eq!(rig.shard.counters().mos_buckets.iter().sum::<u64>(), 6, "the last interval is not over");
    rig.delete(at_once("c"));
    assert_eq!(rig.shard.counters().mos_buckets.iter().sum::<u64>(), 8);
    assert_eq!(rig.shard.counters().jitter_buckets[0], 8);
    rig.assert_clean();
}

#[test]
fn a_call_shorter_than_an_interval_has_its_score_too() {
    let mut rig = Rig::new();
    let ports = established(&mut rig);
    talk(&mut rig, ports, 0..30, |_| true);
    let report = report(&mut rig);
    let quality = report.ssrcs[0].quality.as_ref().unwrap();
    assert_eq!((quality.average.samples, quality.lowest.mos_x10, quality.progression.len()), (1, 44, 1));
}

#[test]
fn digits_are_expected_and_have_no_jitter() {
    let mut rig = Rig::new();
    let ports = established(&mut rig);
    talk(&mut rig, ports, 0..100, |_| true);
    for n in 100..130 {
        let digit = Rtp { payload_type: 101, timestamp: 100 * 160, payload_bytes: 4, ..PCMA.nth(n) };
        rig.packet(A, ports.1, &Rtp { timestamp: 100 * 160, ..digit }.bytes());
        rig.pass(if n % 2 == 0 { 50 } else { 10 });
    }
    let quality = report(&mut rig).tags[0].medias[0].quality.clone().unwrap();
    assert_eq!((quality.expected, quality.lost, quality.jitter_us), (130, 0, 0));
    assert_eq!(quality.codec, "PCMA/8000");
}

#[test]
fn payload_types_mean_what_the_receiver_said() {
    let mut rig = Rig::new();
    let describe = |at: &str, number: u8, map: &str| {
        sdp(at, &format!("a=rtpmap:{number} {map}\r\n")).windows(1).map(|byte| byte[0]).collect::<Vec<u8>>()
    };
    let put = |sdp: Vec<u8>, number: u8| {
        String::from_utf8(sdp).unwrap().replace("0 8 101", &format!("0 8 101 {number}")).into_bytes()
    };
    let toward_b = rig.offer(from_a(put(describe(A, 96, "opus/48000/2"), 96))).port();
    let toward_a = rig.answer(to_b(put(describe(B, 97, "opus/48000/2"), 97))).port();
    rig.packet(A, toward_a, &Rtp { payload_type: 97, ..PCMA }.bytes());
    rig.packet(B, toward_b, &Rtp { payload_type: 96, ssrc: 0xb, ..PCMA }.bytes());
    let codecs: Vec<_> = report(&mut rig).tags.iter().map(|tag| tag.medias[0].codec.clone()).collect();
    assert_eq!(codecs, [Some("opus/48000".to_owned()), Some("opus/48000".to_owned())]);
}

#[test]
fn sources_beyond_the_limit_push_out_the_one_heard_longest_ago() {
    let mut rig = Rig::new();
    let (_, toward_a) = established(&mut rig);
    for ssrc in 1..=200_u32 {
        rig.packet(A, toward_a, &Rtp { ssrc, ..PCMA.nth(0) }.bytes());
        rig.packet(A, toward_a, &Rtp { ssrc, ..PCMA.nth(2) }.bytes());
    }
    let report = report(&mut rig);
    let ssrcs: Vec<u32> = report.ssrcs.iter().map(|report| report.ssrc).collect();
    assert_eq!(ssrcs, [200, 199, 198, 197]);
    let quality = report.tags[0].medias[0].quality.clone().unwrap();
    assert_eq!((quality.ssrc, quality.expected), (200, 600), "what gave way is not forgotten");
}

/// A sender report of `ssrc`, or only what it says of `about`.
fn rtcp(ssrc: u32, ntp_middle: u32, about: Option<(u32, u32, u32)>) -> Vec<u8> {
    let mut bytes = [0; 256];
    let mut writer = CompoundWriter::new(&mut bytes);
    let blocks: Vec<ReportBlock> = about
        .into_iter()
        .map(|(about, last_sr, delay_since_last_sr)| ReportBlock {
            ssrc: Ssrc(about),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_seq: 0,
            jitter_ticks: 0,
            last_sr,
            delay_since_last_sr,
        })
        .collect();
    writer.sender_report(Ssrc(ssrc), u64::from(ntp_middle) << 16, RtpTime(0), (0, 0), &blocks).unwrap();
    let written = writer.written();
    bytes[..written].to_vec()
}

#[test]
fn delay_is_that_of_rtcp_where_both_ends_report() {
    let mut rig = Rig::new();
    let (toward_b, toward_a) = established(&mut rig);
    let (a_rtcp, b_rtcp) = ("198.51.100.1:4001", "198.51.100.2:5001");
    talk(&mut rig, (toward_b, toward_a), 0..50, |_| true);
    rig.packet(a_rtcp, toward_a + 1, &rtcp(0xa, 0x1111_0000, None));
    rig.packet(b_rtcp, toward_b + 1, &rtcp(0xb, 0x2222_0000, None));
    rig.pass(500);
    // B had A's report for 400 ms, so that 100 ms lie between us and B; A has 300 ms.
    let ms = |ms: u32| ms * 65_536 / 1000;
    rig.packet(b_rtcp, toward_b + 1, &rtcp(0xb, 0x3333_0000, Some((0xa, 0x1111_0000, ms(400)))));
    let quality = |rig: &mut Rig, tag: usize| report(rig).tags[tag].medias[0].quality.clone().unwrap();
    assert_eq!(quality(&mut rig, 0).delay_from, DelayFrom::Assumed, "one end says nothing of the other half");
    rig.packet(a_rtcp, toward_a + 1, &rtcp(0xa, 0x4444_0000, Some((0xb, 0x2222_0000, ms(200)))));
    // The report of B in between was its own last one: what A quotes is older and says nothing.
    assert_eq!(quality(&mut rig, 0).delay_from, DelayFrom::Assumed);
    rig.packet(a_rtcp, toward_a + 1, &rtcp(0xa, 0x4444_0000, Some((0xb, 0x3333_0000, 0))));
    rig.pass(300);
    rig.packet(a_rtcp, toward_a + 1, &rtcp(0xa, 0x5555_0000, Some((0xb, 0x3333_0000, 0))));
    let [of_a, of_b] = [0, 1].map(|tag| quality(&mut rig, tag));
    assert_eq!((of_a.delay_from, of_b.delay_from), (DelayFrom::Rtcp, DelayFrom::Rtcp));
    // Half of 100 ms and 300 ms, a packet of 20 ms, the buffer of 60 ms.
    assert_eq!((of_a.delay_ms, of_b.delay_ms), (280, 280));
    assert_eq!((of_a.round_trip_us.unwrap() + 500) / 1000, 400);
    assert!(of_a.mos_x100 < Some(430), "{of_a:?}");
    let sample = report(&mut rig).ssrcs[0].quality.as_ref().unwrap().average.sample;
    assert_eq!((sample.round_trip_us, sample.round_trip_leg_us), (400_000, 300_000));
}

#[test]
fn video_and_unknown_encodings_have_loss_and_no_score() {
    let mut rig = Rig::new();
    let ports = established(&mut rig);
    for n in 0..300 {
        rig.packet(A, ports.1, &Rtp { payload_type: 110, ..PCMA.nth(2 * n) }.bytes());
        rig.pass(20);
    }
    let report = report(&mut rig);
    let quality = report.tags[0].medias[0].quality.clone().unwrap();
    assert_eq!((quality.mos_x100, quality.mos_lowest_x100, quality.lost), (None, None, 299));
    assert_eq!(report.ssrcs[0].quality.as_ref().unwrap().average.sample.mos_x10, 0);
    assert_eq!(rig.shard.counters().mos_buckets.iter().sum::<u64>(), 0);
}
