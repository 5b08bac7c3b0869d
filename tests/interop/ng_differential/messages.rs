//! What proxies send by default, what operators add, and what nobody should send.

use std::borrow::Cow;

use ng::{Encoding, Value};

use super::{checks, parties};

/// One call, or a handful of messages about none.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) messages: fn() -> Vec<Message>,
}

/// One message, as it stands behind the cookie.
pub(crate) struct Message {
    pub(crate) name: &'static str,
    /// The call it is about; empty for none.
    pub(crate) call_id: String,
    pub(crate) document: Vec<u8>,
}

/// A message under construction: keys in the order they are set.
#[derive(Clone)]
pub(crate) struct Draft(pub(crate) Vec<(Cow<'static, [u8]>, Value<'static>)>);

impl Draft {
    pub(crate) fn new(command: &'static str, call_id: &'static str) -> Draft {
        Draft(Vec::new()).set("command", command).set("call-id", call_id)
    }

    pub(crate) fn set(mut self, key: &'static str, text: &str) -> Draft {
        self.0.push((Cow::Borrowed(key.as_bytes()), Value::owned(text.to_owned())));
        self
    }

    pub(crate) fn list(mut self, key: &'static str, words: &[&'static str]) -> Draft {
        let items = words.iter().map(|word| Value::text(*word)).collect();
        self.0.push((Cow::Borrowed(key.as_bytes()), Value::List(items)));
        self
    }

    /// A dictionary with one list.
    pub(crate) fn lists(mut self, key: &'static str, name: &'static str, words: &[&'static str]) -> Draft {
        let items = words.iter().map(|word| Value::text(*word)).collect();
        let entry = (Cow::Borrowed(name.as_bytes()), Value::List(items));
        self.0.push((Cow::Borrowed(key.as_bytes()), Value::Dictionary(vec![entry])));
        self
    }

    pub(crate) fn named(self, name: &'static str) -> Message {
        self.encoded(name, Encoding::Bencode)
    }

    pub(crate) fn in_json(self, name: &'static str) -> Message {
        self.encoded(name, Encoding::Json)
    }

    fn encoded(self, name: &'static str, encoding: Encoding) -> Message {
        let mut document = Vec::new();
        let message = Value::Dictionary(self.0);
        encoding.write(&message, &mut document);
        let call_id = message.get("call-id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Message { name, call_id, document }
    }
}

/// What Kamailio's module adds to every message with SDP.
fn kamailio(command: &'static str, call_id: &'static str, sdp: &str) -> Draft {
    Draft::new(command, call_id)
        .list("supports", &["load limit"])
        .set("sdp", sdp)
        .set("from-tag", "alice")
        .list("received-from", &["IP4", "198.51.100.7"])
        .set("sip-message-type", if command == "offer" { "sip_request" } else { "sip_reply" })
}

pub(crate) fn offer(call_id: &'static str, sdp: &str) -> Draft {
    Draft::new("offer", call_id).set("from-tag", "alice").set("sdp", sdp)
}

/// The same with PCMU alone.
fn pcmu(port: u16) -> String {
    sdp(&format!("m=audio {port} RTP/AVP 0|"))
}

pub(crate) fn answer(call_id: &'static str, sdp: &str) -> Draft {
    Draft::new("answer", call_id).set("from-tag", "alice").set("to-tag", "bob").set("sdp", sdp)
}

pub(crate) fn query(call_id: &'static str) -> Draft {
    Draft::new("query", call_id)
}

fn delete(call_id: &'static str) -> Draft {
    Draft::new("delete", call_id)
}

fn raw(name: &'static str, document: &str) -> Message {
    Message { name, call_id: String::new(), document: document.as_bytes().to_vec() }
}

/// A session with `media` (lines ended by `|`) behind a usual head.
pub(crate) fn sdp(media: &str) -> String {
    session("v=0|o=- 20518 3 IN IP4 192.0.2.1|s=call|c=IN IP4 192.0.2.1|t=0 0|", media)
}

fn session(head: &str, media: &str) -> String {
    format!("{head}{media}").replace('|', "\r\n")
}

/// Plain audio from one port.
pub(crate) fn audio(port: u16) -> String {
    sdp(&format!(
        "m=audio {port} RTP/AVP 0 8 101|a=rtpmap:0 PCMU/8000|a=rtpmap:8 PCMA/8000|a=rtpmap:101 telephone-event/8000|\
         a=fmtp:101 0-15|a=ptime:20|a=sendrecv|"
    ))
}

/// Every scenario, in the order in which they run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "ping", messages: ping },
    Scenario { name: "list", messages: list },
    Scenario { name: "kamailio", messages: kamailio_default },
    Scenario { name: "opensips", messages: opensips_default },
    Scenario { name: "ipv6", messages: ipv6 },
    Scenario { name: "sections", messages: several_sections },
    Scenario { name: "rejected", messages: rejected_section },
    Scenario { name: "image", messages: image },
    Scenario { name: "mux", messages: rtcp_mux },
    Scenario { name: "mux-flags", messages: rtcp_mux_flags },
    Scenario { name: "ice", messages: checks::spoken },
    Scenario { name: "ice-restart", messages: checks::restarted },
    Scenario { name: "ice-lite", messages: checks::lite },
    Scenario { name: "replace", messages: replace },
    Scenario { name: "source", messages: source_address },
    Scenario { name: "reinvite", messages: reinvite },
    Scenario { name: "latching", messages: latching },
    Scenario { name: "hold", messages: hold },
    Scenario { name: "delayed", messages: delayed_offer },
    Scenario { name: "forked", messages: forked_with_branches },
    Scenario { name: "forked-blind", messages: forked_without_branches },
    Scenario { name: "lines", messages: lines_of_others },
    Scenario { name: "attributes", messages: attribute_flags },
    Scenario { name: "profile", messages: profiles },
    Scenario { name: "mismatch", messages: mismatched_answer },
    Scenario { name: "delete", messages: deletes },
    Scenario { name: "query", messages: queries },
    Scenario { name: "missing", messages: missing_keys },
    Scenario { name: "gates", messages: gates },
    Scenario { name: "subscribe", messages: parties::subscriptions },
    Scenario { name: "subscribe-options", messages: parties::subscription_options },
    Scenario { name: "publish", messages: parties::publications },
    Scenario { name: "broken-sdp", messages: broken_sdp },
    Scenario { name: "garbage", messages: garbage },
];

fn ping() -> Vec<Message> {
    vec![raw("bencode", "d7:command4:pinge"), raw("json", r#"{"command":"ping"}"#)]
}

fn list() -> Vec<Message> {
    vec![
        Draft::new("list", "-").named("empty"),
        offer("list-1", &audio(4000)).named("offer"),
        Draft::new("list", "-").in_json("one"),
        Draft::new("list", "-").set("limit", "0").named("limit-0"),
    ]
}

fn kamailio_default() -> Vec<Message> {
    let replace = ["origin", "session-connection"];
    vec![
        kamailio("offer", "kam", &audio(4000))
            .list("replace", &replace)
            .list("flags", &["trust-address"])
            .named("offer"),
        kamailio("offer", "kam", &audio(4000)).list("replace", &replace).named("offer-again"),
        query("kam").in_json("query-early"),
        kamailio("answer", "kam", &audio(5000)).set("to-tag", "bob").list("replace", &replace).named("183"),
        kamailio("answer", "kam", &audio(5000)).set("to-tag", "bob").list("replace", &replace).named("200"),
        query("kam").named("query"),
        delete("kam").set("from-tag", "alice").set("to-tag", "bob").named("delete"),
    ]
}

fn opensips_default() -> Vec<Message> {
    vec![
        offer("osips", &audio(4000))
            .list("received-from", &["IP4", "198.51.100.7"])
            .set("transport-protocol", "RTP/AVP")
            .set("ICE", "remove")
            .list("flags", &["trust-address", "symmetric"])
            .list("replace", &["origin"])
            .in_json("offer"),
        answer("osips", &audio(5000)).list("received-from", &["IP4", "198.51.100.8"]).in_json("answer"),
        delete("osips").in_json("delete"),
    ]
}

fn ipv6() -> Vec<Message> {
    let head = "v=0|o=- 1 1 IN IP6 2001:db8::1|s=-|c=IN IP6 2001:db8::1|t=0 0|";
    let media = "m=audio 4000 RTP/AVP 0|a=rtcp:4001 IN IP6 2001:db8::1|";
    vec![
        offer("v6", &session(head, media)).named("offer"),
        answer("v6", &pcmu(5000)).named("answer"),
        query("v6").named("query"),
        offer("v6-family", &audio(4000)).set("address-family", "IP4").named("family-ip4"),
    ]
}

fn several_sections() -> Vec<Message> {
    let three = |port: u16, direction: &str| {
        sdp(&format!(
            "m=audio {port} RTP/AVP 0|c=IN IP4 192.0.2.9|a=mid:a|m=video {} RTP/AVP 96|a=rtpmap:96 VP8/90000|a=mid:v|\
             m=audio {} RTP/AVP 8|a=rtcp:{}|a={direction}|",
            port + 10,
            port + 20,
            port + 31
        ))
    };
    vec![
        offer("three", &three(4000, "sendonly")).named("offer"),
        answer("three", &three(5000, "recvonly")).named("answer"),
        query("three").named("query"),
        delete("three").set("from-tag", "alice").named("delete"),
    ]
}

fn rejected_section() -> Vec<Message> {
    let media = "m=audio 4000 RTP/AVP 0|m=video 0 RTP/AVP 96|a=rtpmap:96 VP8/90000|";
    vec![
        offer("rejected", &sdp(media)).named("offer"),
        answer("rejected", &sdp(media)).named("answer"),
        query("rejected").named("query"),
        offer("rejected-by-b", &sdp("m=audio 4000 RTP/AVP 0|m=audio 4010 RTP/AVP 8|")).named("offer-both"),
        answer("rejected-by-b", &sdp("m=audio 5000 RTP/AVP 0|m=audio 0 RTP/AVP 8|")).named("answer-one"),
    ]
}

fn image() -> Vec<Message> {
    let t38 = |port: u16| sdp(&format!("m=image {port} udptl t38|a=T38FaxVersion:0|a=T38MaxBitRate:14400|"));
    vec![
        offer("fax", &audio(4000)).named("offer"),
        answer("fax", &audio(5000)).named("answer"),
        offer("fax", &t38(4000)).set("to-tag", "bob").named("switch"),
        answer("fax", &t38(5000)).named("switched"),
    ]
}

fn rtcp_mux() -> Vec<Message> {
    let with = |port: u16, more: &str| sdp(&format!("m=audio {port} RTP/AVP 0|{more}"));
    vec![
        offer("mux", &with(4000, "a=rtcp-mux|")).named("offer"),
        answer("mux", &with(5000, "a=rtcp-mux|")).named("accepted"),
        query("mux").named("query"),
        offer("mux-refused", &with(4000, "a=rtcp-mux|a=rtcp:4000|")).named("offer-again"),
        answer("mux-refused", &with(5000, "")).named("refused"),
        offer("rtcp-port", &with(4000, "a=rtcp:4009|")).named("offer-rtcp-port"),
        answer("rtcp-port", &with(5000, "a=rtcp:5009 IN IP4 192.0.2.77|")).named("answer-rtcp-address"),
    ]
}

fn rtcp_mux_flags() -> Vec<Message> {
    let mux = sdp("m=audio 4000 RTP/AVP 0|a=rtcp-mux|");
    vec![
        offer("m-demux", &mux).list("rtcp-mux", &["demux"]).named("demux"),
        answer("m-demux", &pcmu(5000)).named("demux-answer"),
        offer("m-accept", &mux).list("rtcp-mux", &["accept"]).named("accept"),
        answer("m-accept", &pcmu(5000)).named("accept-answer"),
        offer("m-reject", &mux).list("rtcp-mux", &["reject"]).named("reject"),
        answer("m-reject", &pcmu(5000)).named("reject-answer"),
        offer("m-offer", &audio(4000)).list("rtcp-mux", &["offer"]).named("offer"),
        offer("m-require", &audio(4000)).list("rtcp-mux", &["offer", "require"]).named("require"),
    ]
}

fn replace() -> Vec<Message> {
    let zero =
        session("v=0|o=alice 7 1 IN IP4 192.0.2.1|s=x|c=IN IP4 0.0.0.0|t=0 0|", "m=audio 4000 RTP/AVP 0|");
    vec![
        offer("r-origin", &audio(4000)).list("replace", &["origin"]).named("origin"),
        offer("r-flat", &audio(4000)).list("flags", &["replace-origin"]).named("flattened"),
        offer("r-name", &audio(4000)).list("replace", &["session-name"]).named("session-name"),
        offer("r-connection", &audio(4000))
            .list("replace", &["session connection"])
            .named("session-connection"),
        offer("r-version", &audio(4000)).list("replace", &["sdp-version"]).named("sdp-version"),
        offer("r-version", &audio(4000)).list("replace", &["sdp-version"]).named("sdp-version-same"),
        offer("r-version", &audio(4010)).list("replace", &["sdp-version"]).named("sdp-version-changed"),
        offer("r-zero", &zero).list("replace", &["zero-address"]).named("zero-address"),
        offer("r-zero-kept", &zero).named("zero-address-kept"),
        offer("r-unknown", &audio(4000)).list("replace", &["nothing"]).named("unknown"),
    ]
}

fn source_address() -> Vec<Message> {
    vec![
        offer("src", &audio(4000))
            .list("flags", &["SIP-source-address"])
            .list("received-from", &["IP4", "198.51.100.7"])
            .named("offer"),
        query("src").named("query"),
        offer("media-address", &audio(4000)).set("media-address", "203.0.113.9").named("media-address"),
        query("media-address").named("query-media-address"),
    ]
}

fn reinvite() -> Vec<Message> {
    vec![
        offer("re", &audio(4000)).named("offer"),
        answer("re", &audio(5000)).named("answer"),
        offer("re", &audio(4000)).set("to-tag", "bob").named("same"),
        answer("re", &audio(5000)).named("same-answer"),
        offer("re", &audio(4020)).set("to-tag", "bob").named("moved"),
        answer("re", &audio(5000)).named("moved-answer"),
        offer("re", &audio(4000)).set("to-tag", "bob").named("back"),
        answer("re", &audio(5000)).named("back-answer"),
        reversed("offer", &audio(5000)).named("from-callee"),
        reversed("answer", &audio(4000)).named("from-callee-answer"),
        reversed("offer", &audio(5020)).named("callee-moved"),
        reversed("answer", &audio(4000)).named("callee-moved-answer"),
        query("re").named("query"),
    ]
}

/// The offerer moves and comes back, and moves again while its ports are to be kept.
fn latching() -> Vec<Message> {
    let again = |port: u16| offer("latch", &pcmu(port)).set("to-tag", "bob");
    vec![
        offer("latch", &pcmu(4000)).named("offer"),
        answer("latch", &pcmu(5000)).named("answer"),
        again(4020).list("flags", &["port-latching"]).named("moved"),
        again(4040).named("moved-unlatched"),
        again(4000).named("back"),
        again(4060).list("flags", &["port-latching"]).named("kept"),
    ]
}

/// A message of the call `re` in which the callee offers.
fn reversed(command: &'static str, sdp: &str) -> Draft {
    Draft::new(command, "re").set("from-tag", "bob").set("to-tag", "alice").set("sdp", sdp)
}

fn hold() -> Vec<Message> {
    let directed = |port: u16, direction: &str| sdp(&format!("m=audio {port} RTP/AVP 0|a={direction}|"));
    let zero = session("v=0|o=- 1 2 IN IP4 192.0.2.1|s=-|c=IN IP4 0.0.0.0|t=0 0|", "m=audio 4000 RTP/AVP 0|");
    vec![
        offer("hold", &pcmu(4000)).named("offer"),
        answer("hold", &pcmu(5000)).named("answer"),
        offer("hold", &directed(4000, "sendonly")).set("to-tag", "bob").named("sendonly"),
        answer("hold", &directed(5000, "recvonly")).named("recvonly"),
        query("hold").named("query-held"),
        offer("hold", &directed(4000, "inactive")).set("to-tag", "bob").named("inactive"),
        answer("hold", &directed(5000, "inactive")).named("inactive-answer"),
        offer("hold", &zero).set("to-tag", "bob").named("zero-address"),
        answer("hold", &pcmu(5000)).named("zero-address-answer"),
        offer("hold", &pcmu(4000)).set("to-tag", "bob").named("resume"),
        answer("hold", &pcmu(5000)).named("resume-answer"),
    ]
}

/// The callee offers in its 200, the caller answers in its ACK: the proxy swaps the tags.
fn delayed_offer() -> Vec<Message> {
    let turned = |command, sdp: &str| {
        Draft::new(command, "late").set("from-tag", "bob").set("to-tag", "alice").set("sdp", sdp)
    };
    vec![
        turned("offer", &audio(5000)).set("sip-message-type", "sip_reply").named("offer"),
        turned("answer", &audio(4000)).set("sip-message-type", "sip_request").named("answer"),
        query("late").named("query"),
        delete("late").set("from-tag", "alice").set("to-tag", "bob").named("delete"),
    ]
}

fn forked_with_branches() -> Vec<Message> {
    let branch = |draft: Draft, branch| draft.set("via-branch", branch);
    let answered = |tag, port, name| {
        Draft::new("answer", "fork")
            .set("from-tag", "alice")
            .set("to-tag", tag)
            .set("sdp", &audio(port))
            .set("via-branch", name)
    };
    vec![
        branch(offer("fork", &audio(4000)), "z9hG4bKone").named("offer-one"),
        branch(offer("fork", &audio(4000)), "z9hG4bKtwo").named("offer-two"),
        query("fork").named("query-early"),
        answered("bob", 5000, "z9hG4bKone").named("answer-one"),
        answered("carol", 6000, "z9hG4bKtwo").named("answer-two"),
        query("fork").named("query"),
        delete("fork")
            .set("from-tag", "alice")
            .set("to-tag", "carol")
            .set("via-branch", "z9hG4bKtwo")
            .named("delete-two"),
        delete("fork").set("from-tag", "alice").named("delete"),
    ]
}

fn forked_without_branches() -> Vec<Message> {
    let answered = |tag, port| {
        Draft::new("answer", "blind").set("from-tag", "alice").set("to-tag", tag).set("sdp", &audio(port))
    };
    vec![
        offer("blind", &audio(4000)).named("offer"),
        answered("bob", 5000).named("answer-one"),
        answered("carol", 6000).named("answer-two"),
        query("blind").named("query"),
    ]
}

fn lines_of_others() -> Vec<Message> {
    let rich = session(
        "v=0|o=- 1 1 IN IP4 192.0.2.1|s=a \"name\"|i=info|u=http://example.com/|e=a@example.com|p=+1 555|\
         c=IN IP4 192.0.2.1|b=AS:128|t=0 0|a=tool:x|a=group:LS a|z=0 0|k=clear:x|",
        "m=audio 4000 RTP/AVP 0 18|i=title|b=TIAS:64000|a=rtpmap:18 G729/8000|a=fmtp:18 annexb=no|a=x-unknown:7|\
         a=maxptime:40|a=ssrc:1 cname:x|a=recvonly|",
    );
    let bare_newlines = audio(4000).replace("\r\n", "\n");
    let own_connections = session(
        "v=0|o=- 1 1 IN IP4 192.0.2.1|s=-|t=0 0|",
        "m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.5|m=audio 4010 RTP/AVP 0|c=IN IP4 192.0.2.6|",
    );
    vec![
        offer("rich", &rich).named("rich"),
        offer("newlines", &bare_newlines).named("bare-newlines"),
        offer("own-c", &own_connections).named("connection-per-section"),
        offer("no-end", audio(4000).trim_end()).named("last-line-unended"),
    ]
}

fn attribute_flags() -> Vec<Message> {
    let inactive = sdp("m=audio 4000 RTP/AVP 0|a=sendonly|");
    vec![
        offer("a-mid", &audio(4000)).list("flags", &["generate-mid"]).named("generate-mid"),
        offer("a-full", &audio(4000)).list("flags", &["full-rtcp-attribute"]).named("full-rtcp-attribute"),
        offer("a-no", &audio(4000)).list("flags", &["no-rtcp-attribute"]).named("no-rtcp-attribute"),
        offer("a-orig", &inactive).list("flags", &["original-sendrecv"]).named("original-sendrecv"),
        offer("a-loop", &audio(4000)).list("flags", &["loop-protect"]).named("loop-protect"),
        offer("a-bogus", &audio(4000))
            .list("flags", &["no-such-flag"])
            .set("no-such-key", "x")
            .named("unknown"),
        offer("a-noop", &audio(4000)).set("DTLS", "off").list("SDES", &["off"]).named("without-effect"),
    ]
}

fn profiles() -> Vec<Message> {
    let feedback = sdp("m=audio 4000 RTP/AVPF 0|a=rtcp-fb:* nack|");
    let ice = sdp("m=audio 4000 RTP/AVP 0|a=ice-ufrag:abcd|a=ice-pwd:abcdefghijklmnopqrstuvwx|\
         a=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host|");
    let secure = sdp("m=audio 4000 RTP/SAVP 0|\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|");
    vec![
        offer("p-avpf", &audio(4000)).set("transport-protocol", "RTP/AVPF").named("avp-to-avpf"),
        offer("p-avp", &feedback).set("transport-protocol", "RTP/AVP").named("avpf-to-avp"),
        answer("p-avp", &pcmu(5000)).named("avpf-restored"),
        offer("p-kept", &feedback).named("avpf-kept"),
        offer("p-bogus", &audio(4000)).set("transport-protocol", "RTP/BOGUS").named("unknown"),
        offer("p-ice-remove", &ice).set("ICE", "remove").named("ice-removed"),
        offer("p-secure", &secure).set("transport-protocol", "RTP/AVP").named("savp-to-avp"),
    ]
}

fn mismatched_answer() -> Vec<Message> {
    let two = |port: u16| sdp(&format!("m=audio {port} RTP/AVP 0|m=audio {} RTP/AVP 0|", port + 10));
    vec![
        offer("fewer", &two(4000)).named("offer-two"),
        answer("fewer", &pcmu(5000)).named("answer-one"),
        offer("more", &pcmu(4000)).named("offer-one"),
        answer("more", &two(5000)).named("answer-two"),
        offer("codecs", &pcmu(4000)).named("offer-pcmu"),
        answer("codecs", &audio(5000)).named("answer-unoffered-codecs"),
        offer("ptime", &audio(4000)).named("offer-ptime"),
        answer("ptime", &pcmu(5000)).named("answer-without-ptime"),
        answer("nobody", &audio(5000)).named("unknown-call"),
    ]
}

fn deletes() -> Vec<Message> {
    vec![
        delete("gone").set("from-tag", "x").named("unknown"),
        delete("gone").in_json("unknown-json"),
        delete("gone").list("flags", &["fatal"]).named("unknown-fatal"),
        offer("del", &audio(4000)).named("offer"),
        delete("del").set("from-tag", "mallory").named("wrong-tag"),
        answer("del", &audio(5000)).named("answer"),
        delete("del").set("from-tag", "alice").set("to-tag", "mallory").named("wrong-to-tag"),
        delete("del").set("from-tag", "alice").set("delete-delay", "0").named("at-once"),
        delete("del").set("from-tag", "alice").named("again"),
    ]
}

fn queries() -> Vec<Message> {
    vec![
        query("gone").named("unknown"),
        offer("q", &audio(4000)).set("label", "caller").named("offer"),
        answer("q", &audio(5000)).named("answer"),
        query("q").set("from-tag", "alice").named("from-tag"),
        query("q").set("to-tag", "bob").named("to-tag"),
        query("q").set("from-tag", "mallory").named("wrong-tag"),
        delete("q").named("delete"),
        query("q").named("deleted"),
        offer("q", &audio(4000)).named("revived"),
    ]
}

fn missing_keys() -> Vec<Message> {
    let with_sdp = || Draft(Vec::new()).set("command", "answer").set("sdp", &audio(4000));
    vec![
        Draft(Vec::new()).set("command", "offer").named("offer-nothing"),
        with_sdp().named("no-call-id"),
        with_sdp().set("call-id", "m").named("no-from-tag"),
        with_sdp().set("call-id", "m").set("from-tag", "f").named("no-to-tag"),
        Draft(Vec::new()).set("command", "delete").named("delete"),
        Draft(Vec::new()).set("command", "query").in_json("query"),
        Draft(Vec::new()).set("x", "y").named("no-command"),
        Draft(Vec::new()).set("command", "dance").named("unknown-command"),
    ]
}

/// Whom nobody hears for now: how the party is named, and what is answered when it is not there.
fn gates() -> Vec<Message> {
    let on = |command, name| Draft::new(command, "gates").named(name);
    let of = |command, name, key, value: &str| Draft::new(command, "gates").set(key, value).named(name);
    vec![
        offer("gates", &sdp("m=audio 4000 RTP/AVP 0|")).set("label", "caller").named("offer"),
        answer("gates", &sdp("m=audio 4002 RTP/AVP 0|")).named("answer"),
        on("block media", "block"),
        on("unblock media", "unblock"),
        on("silence media", "silence"),
        on("unsilence media", "unsilence"),
        of("block media", "block-label", "label", "caller"),
        of("unblock media", "unblock-label", "label", "caller"),
        of("block media", "block-no-label", "label", "nobody"),
        of("block media", "block-address", "address", "192.0.2.1"),
        of("unblock media", "unblock-no-address", "address", "192.0.2.99"),
        of("silence media", "silence-bad-address", "address", "nowhere"),
        of("silence media", "silence-tag", "from-tag", "alice"),
        of("unsilence media", "unsilence-no-tag", "from-tag", "nobody"),
        Draft::new("block media", "gates").list("flags", &["all", "directional"]).named("block-all"),
        Draft::new("unblock media", "gates").list("flags", &["all"]).in_json("unblock-all"),
        Draft::new("block media", "no-such-call").named("block-unknown"),
        Draft(Vec::new()).set("command", "silence media").named("silence-no-call"),
    ]
}

fn broken_sdp() -> Vec<Message> {
    let head = "v=0|o=- 1 1 IN IP4 192.0.2.1|s=-|t=0 0|";
    vec![
        offer("b-text", "hello").named("text"),
        offer("b-c", &session(head, "m=audio 4000 RTP/AVP 0|")).named("no-connection"),
        offer("b-m", &session(head, "c=IN IP4 192.0.2.1|")).named("no-media"),
        offer("b-port", &sdp("m=audio 99999 RTP/AVP 0|")).named("port-too-high"),
        offer("b-words", &sdp("m=audio 4000|")).named("short-m-line"),
        offer("b-address", &session(head, "c=IN IP4 somewhere|m=audio 4000 RTP/AVP 0|"))
            .named("name-as-address"),
        offer("b-nul", "\0\0\0").named("zero-bytes"),
        offer("b-empty", "").named("empty"),
    ]
}

fn garbage() -> Vec<Message> {
    vec![
        raw("nothing", ""),
        raw("letter", "x"),
        raw("list", "l4:pinge"),
        raw("json-list", "[]"),
        raw("half-json", r#"{"command":"ping""#),
        raw("json-trailing", r#"{"command":"ping"} x"#),
        raw("json-null", r#"{"command":null}"#),
        raw("huge-length", "d7:command9999999999:xe"),
        raw("half-integer", "d7:command4:ping1:ai12"),
        raw("trailing", "d7:command4:pingetrail"),
        raw("unfinished", "d7:command4:ping"),
        raw("repeated-key", "d7:command4:ping7:command5:offere"),
        raw("repeated-key-json", r#"{"command":"xxx","command":"ping"}"#),
        Message { name: "nesting-bomb", call_id: String::new(), document: b"d1:a".repeat(200) },
    ]
}
