//! The DSCP byte of a call. The expectations were measured on rtpengine 10.5.3.5; bytes that arrive are in `engine/tests/tos.rs`.

use ng::Tos;

use super::*;

impl Rig {
    /// The bytes of the sockets that are open, each once.
    fn tos_in_use(&self) -> Vec<u8> {
        let mut all: Vec<u8> = self.open.keys().map(|socket| self.tos[socket]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn engine_of_16() -> Rig {
    Rig::with(|config| config.tos = 16)
}

#[test]
fn an_offer_marks_every_socket_of_its_call_and_an_answer_none() {
    let mut rig = engine_of_16();
    rig.offer(Signal { tos: Tos::Byte(184), ..from_a(sdp(A, "")) });
    rig.answer(Signal { tos: Tos::Byte(8), ..to_b(sdp(B, "")) });
    assert_eq!(rig.tos_in_use(), [184]);
    let moved = "198.51.100.1:4100";
    for (said, expected) in
        [(Tos::Keep, 184), (Tos::Byte(32), 32), (Tos::Default, 16), (Tos::Keep, 16), (Tos::Byte(0), 0)]
    {
        rig.offer(Signal { tos: said, ..to_b(sdp(moved, "")) });
        assert_eq!(rig.tos_in_use(), [expected], "{said:?}");
    }
    rig.delete(at_once("c"));
    rig.assert_clean();
}

#[test]
fn whoever_joins_is_marked_as_the_call_is() {
    let mut rig = engine_of_16();
    rig.offer(Signal { tos: Tos::Byte(96), ..from_a(sdp(A, "")) });
    rig.answer(to_b(sdp(B, "")));
    let signal = Signal { tos: Tos::Byte(104), from_tag: "P".into(), ..from_a(sdp("198.51.100.7:7000", "")) };
    let publish = ng::Publish { signal: Box::new(signal), ..ng::Publish::default() };
    assert!(matches!(rig.command(Command::Publish(publish)), Reply::Signal(_)));
    let from_tag = Some("A".to_owned());
    let request = ng::SubscribeRequest {
        signal: Box::new(Signal { tos: Tos::Byte(112), call_id: "c".into(), ..Signal::default() }),
        selector: ng::Selector { from_tag, ..ng::Selector::default() },
        ..ng::SubscribeRequest::default()
    };
    assert!(matches!(rig.command(Command::SubscribeRequest(Box::new(request))), Reply::Signal(_)));
    assert_eq!(rig.tos_in_use(), [96]);
    assert_eq!(rig.open.len(), 8);
}
