//! Troubles with the media: each is told within 3 s, once, with its cause and its end; and none is
//! told where there is none.

use ng::{EventKind, MediaTrouble, Trouble};

use super::{
    quality::{PCMA, Rtp},
    *,
};

/// What was told of troubles since the last time: milliseconds, cause, begun or over, party.
fn told(rig: &mut Rig) -> Vec<(u64, Trouble, bool, String)> {
    let events = std::mem::take(&mut rig.events);
    let troubles = events.into_iter().filter_map(|event| match event.kind {
        EventKind::MediaTrouble(MediaTrouble { trouble, recovered, tag, .. }) => {
            Some((event.wall_ms - EPOCH_MS, trouble, recovered, tag))
        }
        _ => None,
    });
    troubles.collect()
}

fn nothing_told(rig: &mut Rig) {
    assert_eq!(told(rig), []);
}

/// The two ends of a call.
struct Talk {
    toward_b: u16,
    toward_a: u16,
    a: u32,
    b: u32,
}

const FROM_A: Rtp = PCMA;
const FROM_B: Rtp = Rtp { ssrc: 0xb, ..PCMA };

impl Talk {
    fn new((toward_b, toward_a): (u16, u16)) -> Self {
        // Far from each other, as two ends begin.
        Self { toward_b, toward_a, a: 1000, b: 40_000 }
    }

    /// Lets time pass while packets flow from whom is named.
    fn flow(&mut self, rig: &mut Rig, ms: u64, a: bool, b: bool) {
        for _ in 0..ms / 20 {
            if a {
                rig.packet(A, self.toward_a, &FROM_A.nth(self.a).bytes());
                self.a += 1;
            }
            if b {
                rig.packet(B, self.toward_b, &FROM_B.nth(self.b).bytes());
                self.b += 1;
            }
            rig.pass(20);
        }
    }
}

/// A call whose ends both talk for a while.
fn talking(rig: &mut Rig) -> Talk {
    let mut talk = Talk::new(established(rig));
    talk.flow(rig, 3000, true, true);
    nothing_told(rig);
    talk
}

fn since(rig: &Rig, at: u64) -> u64 {
    rig.now_ms - at
}

#[test]
fn media_that_stops_one_way_is_told_with_its_party_and_its_end() {
    let mut rig = Rig::new();
    let mut talk = talking(&mut rig);
    let began = rig.now_ms;
    talk.flow(&mut rig, 3000, true, false);
    let events = told(&mut rig);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].1, events[0].2, events[0].3.as_str()), (Trouble::NoMediaOneWay, false, "B"));
    assert!((2000..=3000).contains(&(events[0].0 - began)), "{events:?}");
    talk.flow(&mut rig, 20_000, true, false);
    nothing_told(&mut rig);
    talk.flow(&mut rig, 1000, true, true);
    let events = told(&mut rig);
    assert_eq!((events.len(), events[0].1, events[0].2), (1, Trouble::NoMediaOneWay, true));
    talk.flow(&mut rig, 20_000, true, true);
    nothing_told(&mut rig);
    assert_eq!(rig.shard.counters().troubles(Trouble::NoMediaOneWay), 1);
}

#[test]
fn no_media_at_all_is_told_after_the_answer_and_once() {
    let mut rig = Rig::new();
    rig.offer(from_a(sdp(A, "")));
    rig.pass(10_000);
    nothing_told(&mut rig);
    rig.answer(to_b(sdp(B, "")));
    let answered = rig.now_ms;
    rig.pass(3000);
    let events = told(&mut rig);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].1, events[0].2, events[0].3.as_str()), (Trouble::NoMedia, false, ""));
    assert!(events[0].0 - answered <= 3000);
    rig.pass(20_000);
    nothing_told(&mut rig);
}

#[test]
fn media_that_both_lose_is_told_as_both_and_then_of_whom_is_missing() {
    let mut rig = Rig::new();
    let mut talk = talking(&mut rig);
    talk.flow(&mut rig, 4000, false, false);
    let kinds = |events: Vec<(u64, Trouble, bool, String)>| -> Vec<(Trouble, bool, String)> {
        events.into_iter().map(|(_, trouble, recovered, tag)| (trouble, recovered, tag)).collect()
    };
    assert_eq!(kinds(told(&mut rig)), [(Trouble::NoMedia, false, String::new())]);
    talk.flow(&mut rig, 2000, true, false);
    assert_eq!(
        kinds(told(&mut rig)),
        [(Trouble::NoMedia, true, String::new()), (Trouble::NoMediaOneWay, false, "B".to_owned())]
    );
    talk.flow(&mut rig, 2000, true, true);
    assert_eq!(kinds(told(&mut rig)), [(Trouble::NoMediaOneWay, true, "B".to_owned())]);
}

#[test]
fn late_media_is_told_once_with_its_delay() {
    let mut rig = Rig::new();
    let mut talk = Talk::new(established(&mut rig));
    talk.flow(&mut rig, 1600, true, false);
    talk.flow(&mut rig, 1400, true, true);
    let late: Vec<_> = std::mem::take(&mut rig.events);
    let [EventKind::MediaTrouble(trouble)] =
        &late.iter().map(|event| event.kind.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("{late:?}")
    };
    assert_eq!((trouble.trouble, trouble.tag.as_str(), trouble.ssrc), (Trouble::LateMedia, "B", Some(0xb)));
    assert_eq!(trouble.since_ms, 1600);
    talk.flow(&mut rig, 10_000, true, true);
    nothing_told(&mut rig);
}

#[test]
fn media_that_comes_back_is_told_of_who_sends_it_back() {
    let mut rig = Rig::new();
    let mut talk = talking(&mut rig);
    let began = rig.now_ms;
    for _ in 0..150 {
        let packet = FROM_A.nth(talk.a).bytes();
        rig.packet(A, talk.toward_a, &packet);
        rig.pass(10);
        rig.packet(B, talk.toward_b, &packet);
        rig.pass(10);
        talk.a += 1;
    }
    let events = told(&mut rig);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].1, events[0].2, events[0].3.as_str()), (Trouble::Looped, false, "B"));
    assert!(events[0].0 - began <= 3000);
    talk.flow(&mut rig, 3000, true, true);
    let events = told(&mut rig);
    assert_eq!((events.len(), events[0].1, events[0].2), (1, Trouble::Looped, true), "{events:?}");
}

#[test]
fn one_source_of_two_parties_is_a_collision() {
    let mut rig = Rig::new();
    let talk = talking(&mut rig);
    let began = rig.now_ms;
    for n in 0..150 {
        rig.packet(A, talk.toward_a, &FROM_A.nth(talk.a + n).bytes());
        rig.packet(B, talk.toward_b, &Rtp { ssrc: FROM_A.ssrc, ..FROM_B.nth(talk.b + n) }.bytes());
        rig.pass(20);
    }
    let events = told(&mut rig);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].1, events[0].2, events[0].3.as_str()), (Trouble::SsrcCollision, false, "B"));
    assert!(events[0].0 - began <= 3000);
}

#[test]
fn two_rows_of_numbers_under_one_source_are_a_collision_and_a_restart_is_none() {
    let mut rig = Rig::new();
    let mut talk = talking(&mut rig);
    talk.a += 20_000;
    talk.flow(&mut rig, 3000, true, true);
    nothing_told(&mut rig);
    let began = rig.now_ms;
    for n in 0..150 {
        let start = if n % 2 == 0 { talk.a } else { talk.a + 30_000 };
        rig.packet(A, talk.toward_a, &FROM_A.nth(start + n / 2).bytes());
        rig.packet(B, talk.toward_b, &FROM_B.nth(talk.b + n).bytes());
        rig.pass(20);
    }
    let events = told(&mut rig);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].1, events[0].2, events[0].3.as_str()), (Trouble::SsrcCollision, false, "A"));
    assert!(events[0].0 - began <= 3000);
}

#[test]
fn hold_in_every_direction_is_no_trouble_and_its_end_is_watched_again() {
    for held in ["sendonly", "inactive", "recvonly"] {
        let mut rig = Rig::new();
        let mut talk = talking(&mut rig);
        let answer = match held {
            "sendonly" => "recvonly",
            "recvonly" => "sendonly",
            other => other,
        };
        rig.offer(to_b(sdp(A, &format!("a={held}\r\n"))));
        rig.answer(to_b(sdp(B, &format!("a={answer}\r\n"))));
        rig.pass(30_000);
        nothing_told(&mut rig);
        rig.offer(to_b(sdp(A, "a=sendrecv\r\n")));
        rig.answer(to_b(sdp(B, "a=sendrecv\r\n")));
        rig.pass(1500);
        talk.flow(&mut rig, 3000, true, true);
        nothing_told(&mut rig);
        let stopped = rig.now_ms;
        talk.flow(&mut rig, 3000, false, true);
        assert_eq!(told(&mut rig).len(), 1, "{held}");
        assert!(since(&rig, stopped) <= 3000);
    }
}

#[test]
fn hold_by_the_unspecified_address_is_no_trouble() {
    let mut rig = Rig::new();
    talking(&mut rig);
    rig.offer(to_b(sdp("0.0.0.0:4000", "")));
    rig.answer(to_b(sdp(B, "")));
    rig.pass(30_000);
    nothing_told(&mut rig);
}

#[test]
fn a_call_that_begins_on_hold_is_not_late_when_it_is_taken_up() {
    let mut rig = Rig::new();
    rig.offer(from_a(sdp(A, "a=inactive\r\n")));
    rig.answer(to_b(sdp(B, "a=inactive\r\n")));
    rig.pass(10_000);
    rig.offer(to_b(sdp(A, "a=sendrecv\r\n")));
    let toward_a = rig.answer(to_b(sdp(B, "a=sendrecv\r\n"))).port();
    let toward_b = rig.offer(to_b(sdp(A, "a=sendrecv\r\n"))).port();
    let mut talk = Talk::new((toward_b, toward_a));
    talk.flow(&mut rig, 5000, true, true);
    nothing_told(&mut rig);
}

#[test]
fn comfort_noise_is_no_trouble() {
    let mut rig = Rig::new();
    let mut talk = talking(&mut rig);
    for pause in [0, 1] {
        // One packet of comfort noise, then silence; the second time with a repeat after 8 s.
        for repeat in 0..=pause {
            let noise = Rtp { payload_type: 13, payload_bytes: 1, ..FROM_B.nth(talk.b) };
            rig.packet(B, talk.toward_b, &noise.bytes());
            talk.b += 1;
            talk.flow(&mut rig, if repeat == 0 { 8000 } else { 12_000 }, true, false);
        }
        talk.flow(&mut rig, 4000, true, true);
    }
    nothing_told(&mut rig);
}

#[test]
fn silence_that_a_marker_ends_is_no_trouble_once_it_is_known() {
    let mut rig = Rig::new();
    let mut talk = talking(&mut rig);
    for gap_ms in [600, 5000, 15_000] {
        talk.flow(&mut rig, gap_ms, true, false);
        let spurt = Rtp { marker: true, ..FROM_B.nth(talk.b) };
        rig.packet(B, talk.toward_b, &spurt.bytes());
        talk.b += 1;
        talk.flow(&mut rig, 2000, true, true);
    }
    nothing_told(&mut rig);
    talk.flow(&mut rig, 61_000, true, false);
    assert_eq!(told(&mut rig).len(), 1, "nobody pauses for more than a minute");
}

#[test]
fn silence_that_the_description_allows_is_no_trouble() {
    let mut rig = Rig::new();
    let suppression = "a=silenceSupp:on - - - -\r\n";
    let toward_b = rig.offer(from_a(sdp(A, suppression))).port();
    let toward_a = rig.answer(to_b(sdp(B, suppression))).port();
    let mut talk = Talk::new((toward_b, toward_a));
    talk.flow(&mut rig, 2000, true, true);
    talk.flow(&mut rig, 10_000, true, false);
    nothing_told(&mut rig);
}

#[test]
fn silence_descriptors_of_a_codec_are_no_trouble() {
    let mut rig = Rig::new();
    let described =
        |at: &str| String::from_utf8(sdp(at, "")).unwrap().replace("0 8 101", "18 101").into_bytes();
    let toward_b = rig.offer(from_a(described(A))).port();
    let toward_a = rig.answer(to_b(described(B))).port();
    let g729 = |rig: &mut Rig, n: u32, payload_bytes| {
        rig.packet(A, toward_a, &Rtp { payload_type: 18, payload_bytes: 20, ..FROM_A.nth(n) }.bytes());
        if payload_bytes > 0 {
            rig.packet(B, toward_b, &Rtp { payload_type: 18, payload_bytes, ..FROM_B.nth(n) }.bytes());
        }
        rig.pass(20);
    };
    (0..100).for_each(|n| g729(&mut rig, n, 20));
    g729(&mut rig, 100, 12);
    (101..600).for_each(|n| g729(&mut rig, n, 0));
    nothing_told(&mut rig);
}

#[test]
fn media_before_the_answer_is_no_trouble() {
    let mut rig = Rig::new();
    let toward_b = rig.offer(from_a(sdp(A, ""))).port();
    // Ringing with a description: only the called side sends.
    let toward_a = rig.answer(Signal { early_media: true, ..to_b(sdp(B, "")) }).port();
    let mut talk = Talk::new((toward_b, toward_a));
    talk.flow(&mut rig, 15_000, false, true);
    nothing_told(&mut rig);
    rig.answer(to_b(sdp(B, "")));
    talk.flow(&mut rig, 500, false, true);
    talk.flow(&mut rig, 5000, true, true);
    nothing_told(&mut rig);
}

#[test]
fn a_deleted_call_that_waits_for_its_revival_is_no_trouble() {
    let mut rig = Rig::new();
    talking(&mut rig);
    rig.delete(Delete { call_id: "c".into(), delay: DeleteDelay::Seconds(30), ..Delete::default() });
    rig.pass(29_000);
    nothing_told(&mut rig);
}
