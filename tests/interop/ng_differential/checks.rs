//! ICE: who is told what of it, when names change, and who only answers checks.

use super::messages::{Draft, Message, answer, offer};

/// A description on loopback, where checks of either peer may go; `name` is that of its user, none for one without ICE.
fn sdp(port: u16, name: &str, more: &str) -> String {
    let ice = if name.is_empty() {
        String::new()
    } else {
        format!(
            "a=ice-ufrag:{name}\r\na=ice-pwd:{name}9cml/YzichV2+XlhiMu8g\r\n\
             a=candidate:1 1 UDP 2130706431 127.0.0.5 {port} typ host\r\n\
             a=candidate:1 2 UDP 2130706430 127.0.0.5 {} typ host\r\n",
            port + 1
        )
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.5\r\ns=-\r\nc=IN IP4 127.0.0.5\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=ptime:20\r\n{ice}{more}"
    )
}

fn again(call_id: &'static str, sdp: &str) -> Draft {
    offer(call_id, sdp).set("to-tag", "bob")
}

/// Whom it is spoken with: by what is offered, answered and asked for.
pub(crate) fn spoken() -> Vec<Message> {
    let (a, b) = (sdp(4_000, "alic", ""), sdp(5_000, "bobb", ""));
    let (plain_a, plain_b) = (sdp(4_000, "", ""), sdp(5_000, "", ""));
    let mux = |port, name| sdp(port, name, "a=rtcp-mux\r\n");
    vec![
        offer("ice", &a).named("both-offer"),
        answer("ice", &b).named("both-answer"),
        offer("ice-half", &a).named("half-offer"),
        answer("ice-half", &plain_b).named("half-answer"),
        again("ice-half", &a).named("half-again"),
        answer("ice-half", &plain_b).named("half-answered-again"),
        offer("ice-force", &plain_a).set("ICE", "force").named("force-offer"),
        answer("ice-force", &b).named("force-answer"),
        again("ice-force", &plain_a).named("force-again"),
        offer("ice-want", &plain_a).set("ICE", "optional").named("optional-offer"),
        answer("ice-want", &plain_b).named("optional-answer"),
        offer("ice-remove", &a).set("ICE", "remove").named("remove-offer"),
        answer("ice-remove", &plain_b).named("remove-answer"),
        offer("ice-removed", &a).set("ICE", "remove").named("removed-offer"),
        answer("ice-removed", &plain_b).set("ICE", "remove").named("removed-answer"),
        offer("ice-mux", &mux(4_000, "alic")).named("mux-offer"),
        answer("ice-mux", &mux(5_000, "bobb")).named("mux-answer"),
        offer("ice-end", &sdp(4_000, "alic", "a=end-of-candidates\r\n")).named("end-offer"),
        offer("ice-trickle", &sdp(4_000, "alic", "a=ice-options:trickle\r\n"))
            .list("flags", &["trickle-ICE"])
            .named("trickle-offer"),
        answer("ice-trickle", &b).named("trickle-answer"),
        offer(
            "ice-later",
            &sdp(9, "alic", "a=ice-options:trickle\r\n").replace("c=IN IP4 127.0.0.5", "c=IN IP4 0.0.0.0"),
        )
        .named("later-offer"),
    ]
}

/// The same description again, one with other names, from either side.
pub(crate) fn restarted() -> Vec<Message> {
    let (a, b) = (sdp(4_000, "alic", ""), sdp(5_000, "bobb", ""));
    vec![
        offer("restart", &a).named("offer"),
        answer("restart", &b).named("answer"),
        again("restart", &a).named("same-offer"),
        answer("restart", &b).named("same-answer"),
        again("restart", &sdp(4_000, "anew", "")).named("new-offer"),
        answer("restart", &sdp(5_000, "bnew", "")).named("new-answer"),
        again("restart", &sdp(4_010, "anew", "")).named("moved-offer"),
        answer("restart", &sdp(5_000, "bnew", "")).named("moved-answer"),
    ]
}

/// Who is told that we only answer checks.
pub(crate) fn lite() -> Vec<Message> {
    let (a, b) = (sdp(4_000, "alic", ""), sdp(5_000, "bobb", ""));
    let mut messages = Vec::new();
    for (call, word, names) in [
        ("lite-forward", "forward", ["forward-offer", "forward-answer", "forward-again"]),
        ("lite-backward", "backward", ["backward-offer", "backward-answer", "backward-again"]),
        ("lite-both", "both", ["both-offer", "both-answer", "both-again"]),
        ("lite-off", "off", ["off-offer", "off-answer", "off-again"]),
    ] {
        messages.push(offer(call, &a).set("ICE-lite", word).named(names[0]));
        messages.push(answer(call, &b).named(names[1]));
        messages.push(again(call, &a).named(names[2]));
    }
    messages
}
