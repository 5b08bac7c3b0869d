//! How long a stream may be silent, an offer unanswered and a call go on, in virtual time.

use ng::{EndReason, EventKind};

use super::*;

const MEDIA_MS: u64 = 60_000;
const SILENT_MS: u64 = 600_000;
const OFFER_MS: u64 = 120_000;

fn rig() -> Rig {
    Rig::with(|config| {
        config.limits.media_timeout = Duration::from_millis(MEDIA_MS);
        config.limits.silent_timeout = Duration::from_millis(SILENT_MS);
        config.limits.offer_timeout = Duration::from_millis(OFFER_MS);
    })
}

fn owned(signal: Signal) -> Signal {
    Signal { owner: Some("me".into()), ..signal }
}

/// Why the call ended, if it has.
fn end(rig: &Rig) -> Option<EndReason> {
    rig.events.iter().find_map(|event| match &event.kind {
        EventKind::Ended { ended, .. } => Some(ended.reason),
        _ => None,
    })
}

/// The call is there until just before so many milliseconds from now, and then ends for this reason.
fn ends_in(rig: &mut Rig, ms: u64, reason: EndReason) {
    let before = by_kind(rig);
    rig.pass(ms - 1);
    assert_eq!(end(rig), None);
    rig.pass(1);
    assert_eq!(end(rig), Some(reason));
    let grown = by_kind(rig).into_iter().zip(before).map(|(after, before)| after - before);
    let of = |kind| u64::from(reason == kind);
    let expected = [1, of(EndReason::OfferTimeout), of(EndReason::FinalTimeout)];
    assert_eq!(grown.collect::<Vec<_>>(), expected);
    rig.assert_clean();
}

/// Calls that ran out of time: all, those nobody answered, those as long as a call may be.
fn by_kind(rig: &Rig) -> [u64; 3] {
    let counters = rig.shard.counters();
    [counters.calls_timed_out, counters.timed_out_offer, counters.timed_out_final]
}

#[test]
fn a_call_whose_last_stream_was_on_hold_is_counted_so() {
    for (lines, silent) in [("a=inactive\r\n", 1), ("", 0)] {
        let mut rig = rig();
        rig.offer(owned(from_a(sdp(A, lines))));
        rig.answer(to_b(sdp(B, lines)));
        ends_in(&mut rig, if silent == 1 { SILENT_MS } else { MEDIA_MS }, EndReason::MediaTimeout);
        assert_eq!(rig.shard.counters().timed_out_silent, silent);
    }
}

#[test]
fn an_offer_that_nobody_answers_has_its_own_time() {
    let mut rig = rig();
    let toward_b = rig.offer(owned(from_a(sdp(A, "")))).port();
    assert!(toward_b > 0);
    ends_in(&mut rig, OFFER_MS, EndReason::OfferTimeout);
}

#[test]
fn an_answered_call_ends_when_its_last_stream_is_silent() {
    let mut rig = rig();
    rig.offer(owned(from_a(sdp(A, ""))));
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    rig.pass(MEDIA_MS - 1);
    assert!(rig.rtp(A, toward_a).is_some());
    ends_in(&mut rig, MEDIA_MS, EndReason::MediaTimeout);
}

#[test]
fn a_stream_on_hold_keeps_its_call_for_its_own_time() {
    let video = "m=video 7000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    let mut rig = rig();
    rig.offer(owned(from_a(sdp(A, video))));
    let toward_a = rig.answer(to_b(sdp(B, &format!("{video}a=inactive\r\n")))).port();
    // The audio is heard for a while; then only the video, which is on hold, is left.
    rig.pass(SILENT_MS - 10_000);
    assert_eq!(end(&rig), None);
    assert!(rig.rtp(A, toward_a).is_some());
    ends_in(&mut rig, MEDIA_MS, EndReason::MediaTimeout);
    assert_eq!(rig.shard.counters().calls_timed_out, 1);
}

#[test]
fn a_call_has_a_last_moment_whatever_flows_and_whoever_offers_again() {
    let mut rig = Rig::with(|config| config.limits.final_timeout = Some(Duration::from_secs(100)));
    rig.offer(owned(from_a(sdp(A, ""))));
    let toward_a = rig.answer(to_b(sdp(B, ""))).port();
    for _ in 0..9 {
        rig.pass(10_000);
        assert!(rig.rtp(A, toward_a).is_some());
        rig.offer(owned(to_b(sdp(A, ""))));
    }
    ends_in(&mut rig, 10_000, EndReason::FinalTimeout);
}
