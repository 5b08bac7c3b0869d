//! Parties that came by something else than an offer and its answer.

use super::messages::{Draft, Message, answer, audio, offer, query, sdp};

fn request(call_id: &'static str, to_tag: &str) -> Draft {
    Draft::new("subscribe request", call_id).set("to-tag", to_tag)
}

fn answered(call_id: &'static str, to_tag: &str, sdp: &str) -> Draft {
    Draft::new("subscribe answer", call_id).set("to-tag", to_tag).set("sdp", sdp)
}

fn unsubscribe(call_id: &'static str, to_tag: &str) -> Draft {
    Draft::new("unsubscribe", call_id).set("to-tag", to_tag)
}

/// Who hears a call, is replaced, answers and leaves.
pub(crate) fn subscriptions() -> Vec<Message> {
    let telephone = "a=rtpmap:101 telephone-event/8000|a=fmtp:101 0-15|";
    let one = |formats: &str, more: &str| sdp(&format!("m=audio 6000 RTP/AVP {formats}|{telephone}{more}"));
    let both = format!(
        "m=audio 6000 RTP/AVP 0 8 101|{telephone}a=recvonly|m=audio 6010 RTP/AVP 0 8 101|{telephone}a=recvonly|"
    );
    let from = |tag: &str, to: &str| request("sub", to).set("from-tag", tag);
    vec![
        offer("sub", &audio(4000)).set("label", "caller").named("offer"),
        from("alice", "early").named("request-before-the-answer"),
        query("sub").named("query-early"),
        answer("sub", &audio(5000)).named("answer"),
        from("alice", "rec").named("request"),
        query("sub").named("query-requested"),
        answered("sub", "rec", &one("0 8 101", "a=recvonly|")).named("subscribe-answer"),
        query("sub").in_json("query-answered"),
        from("bob", "rec").named("request-another"),
        query("sub").named("query-another"),
        request("sub", "both").list("flags", &["all"]).named("request-all"),
        answered("sub", "both", &sdp(&both)).named("subscribe-answer-all"),
        query("sub").named("query-all"),
        request("sub", "both").list("from-tags", &["bob", "nobody", "alice"]).named("request-tags"),
        request("sub", "both").list("from-tags", &["bob"]).in_json("request-one-of-tags"),
        from("alice", "both").list("from-tags", &["bob"]).named("request-tag-before-tags"),
        request("sub", "label").set("label", "caller").named("request-label"),
        request("sub", "address").set("address", "192.0.2.1").named("request-address"),
        from("nobody", "x").named("request-nobody"),
        request("sub", "x").set("label", "nobody").named("request-no-label"),
        request("sub", "x").set("address", "192.0.2.99").named("request-no-address"),
        request("sub", "x").named("request-nothing"),
        request("nobody", "x").set("from-tag", "alice").named("request-unknown-call"),
        Draft(Vec::new()).set("command", "subscribe request").named("request-no-call"),
        from("alice", "fewer").named("request-fewer"),
        answered("sub", "fewer", &one("0 101", "")).named("subscribe-answer-fewer"),
        answered("sub", "nobody", &one("0 8 101", "")).named("subscribe-answer-nobody"),
        answered("sub", "rec", "hello").named("subscribe-answer-text"),
        Draft::new("subscribe answer", "sub").set("to-tag", "rec").named("subscribe-answer-no-sdp"),
        Draft::new("subscribe answer", "sub").set("sdp", &one("0", "")).named("subscribe-answer-no-tag"),
        answered("nobody", "rec", &one("0", "")).named("subscribe-answer-unknown-call"),
        from("alice", "more").named("request-more"),
        answered("sub", "more", &one("101 0 8 9", "a=sendrecv|")).named("subscribe-answer-more"),
        unsubscribe("sub", "rec").set("from-tag", "alice").named("unsubscribe"),
        unsubscribe("sub", "nobody").named("unsubscribe-nobody"),
        unsubscribe("nobody", "rec").named("unsubscribe-unknown-call"),
        Draft::new("unsubscribe", "sub").named("unsubscribe-no-tag"),
        query("sub").set("from-tag", "alice").named("query-left"),
    ]
}

/// What the options of an offer make of the description of a subscription.
pub(crate) fn subscription_options() -> Vec<Message> {
    let media = |port: u16| {
        sdp(&format!(
            "m=audio {port} RTP/AVP 0|a=foo:bar|a=ptime:30|m=video {} RTP/AVP 96|a=rtpmap:96 VP8/90000|\
             a=rtcp-fb:96 nack|a=rtcp-mux|a=mid:v|m=audio 0 RTP/AVP 8|",
            port + 10
        ))
    };
    let held = |port: u16, direction: &str| sdp(&format!("m=audio {port} RTP/AVP 0|a={direction}|"));
    let from = |to: &str| request("sub-o", to).set("from-tag", "alice");
    vec![
        offer("sub-o", &media(4000)).named("offer"),
        answer("sub-o", &media(5000)).named("answer"),
        from("plain").named("sections"),
        from("avpf").set("transport-protocol", "RTP/AVPF").named("avpf"),
        from("mux").list("rtcp-mux", &["offer"]).named("mux-offer"),
        from("require").list("rtcp-mux", &["offer", "require"]).named("mux-require"),
        from("flags").list("flags", &["full-rtcp-attribute", "generate-mid"]).named("flags"),
        from("replace").list("replace", &["origin"]).named("replace"),
        from("address").set("media-address", "203.0.113.9").named("media-address"),
        request("sub-o", "all").list("flags", &["all"]).named("sections-of-all"),
        offer("sub-h", &held(4000, "sendonly")).named("held-offer"),
        answer("sub-h", &held(5000, "recvonly")).named("held-answer"),
        request("sub-h", "a").set("from-tag", "alice").named("who-sends"),
        request("sub-h", "b").set("from-tag", "bob").named("who-does-not"),
        query("sub-h").named("held-query"),
        query("sub-h").set("to-tag", "a").named("query-subscriber"),
        Draft::new("subscribe request", "sub-h").set("from-tag", "bob").named("without-tag"),
    ]
}

/// Who only sends, with which codec, and who hears it.
pub(crate) fn publications() -> Vec<Message> {
    let media = |port: u16, formats: &str, more: &str| {
        sdp(&format!(
            "m=audio {port} RTP/AVP {formats}|a=rtpmap:101 telephone-event/8000|a=rtpmap:97 FOO/8000|a=ptime:20|{more}"
        ))
    };
    let publish = |call_id, sdp: &str| Draft::new("publish", call_id).set("from-tag", "pub").set("sdp", sdp);
    let wish = |call_id, wishes: &[&'static str], formats: &str| {
        publish(call_id, &media(4000, formats, "a=sendonly|")).lists("codec", "accept", wishes)
    };
    vec![
        publish("pub", &media(4000, "9 0 8 101", "a=foo:bar|a=sendonly|")).named("publish"),
        query("pub").named("query"),
        publish("pub", &media(4010, "9 0 8 101", "a=sendonly|")).named("publish-moved"),
        request("pub", "rec").set("from-tag", "pub").named("request"),
        request("pub", "all").list("flags", &["all"]).named("request-all"),
        answered("pub", "rec", &sdp("m=audio 6000 RTP/AVP 9|a=recvonly|")).named("subscribe-answer"),
        query("pub").named("query-heard"),
        wish("pub-wish", &["PCMA", "PCMU"], "9 0 8 101").named("wish"),
        wish("pub-none", &["opus"], "9 0 8 101").named("wish-unoffered"),
        wish("pub-any", &["any"], "97 0").named("wish-any"),
        publish("pub-unknown", &media(4000, "97 0", "a=sendonly|")).named("unknown-codec-first"),
        publish("pub-event", &media(4000, "101 0", "a=sendonly|")).named("event-first"),
        publish("pub-zero", &media(0, "0", "a=sendonly|")).named("rejected"),
        publish("pub-both", &media(4000, "0", "a=sendrecv|")).named("sendrecv"),
        publish("pub-hears", &media(4000, "0", "a=recvonly|")).named("recvonly"),
        publish("pub-mux", &media(4000, "0", "a=sendonly|a=rtcp-mux|")).named("mux"),
        publish("pub-text", "hello").named("text"),
        Draft::new("publish", "pub-tag").set("sdp", &media(4000, "0", "")).named("no-tag"),
        Draft::new("publish", "pub-sdp").set("from-tag", "pub").named("no-sdp"),
    ]
}
