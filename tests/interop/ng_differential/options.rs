//! The options of an offer or answer that need neither a codec nor a cipher, thrown together.

use ng::Value;

use super::{ask::Ask, dice::Dice, tally::Tally};

/// Where an option makes sense.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Both,
    Offer,
    Answer,
}

/// How an option is written.
enum Form {
    /// A word in `flags`.
    Flag,
    /// A word of the list under this key.
    Word(&'static str),
    /// A key with one of these texts.
    Text(&'static str, &'static [&'static str]),
    /// A key with one of these numbers.
    Number(&'static str, &'static [i64]),
    /// A key with one of these pairs.
    Pair(&'static str, &'static [[&'static str; 2]]),
}

/// Name in the table, form, place, and in how many of a thousand messages.
type Row = (&'static str, Form, Where, u16);

use Form::{Flag, Number, Pair, Text, Word};
use Where::{Answer, Both, Offer};

const OPTIONS: &[Row] = &[
    ("trust-address", Flag, Both, 60),
    ("symmetric", Flag, Both, 40),
    ("asymmetric", Flag, Both, 30),
    ("strict-source", Flag, Both, 30),
    ("media-handover", Flag, Both, 30),
    ("port-latching", Flag, Both, 40),
    ("no-port-latching", Flag, Both, 20),
    ("generate-mid", Flag, Both, 50),
    ("full-rtcp-attribute", Flag, Both, 40),
    ("no-rtcp-attribute", Flag, Both, 40),
    ("original-sendrecv", Flag, Both, 50),
    ("loop-protect", Flag, Both, 30),
    ("unidirectional", Flag, Both, 20),
    ("reset", Flag, Both, 50),
    ("early-media", Flag, Both, 20),
    ("no-redis-update", Flag, Both, 20),
    ("debug", Flag, Both, 20),
    ("replace-origin", Word("replace"), Both, 150),
    ("replace-session-connection", Word("replace"), Both, 100),
    ("replace-session-name", Word("replace"), Both, 60),
    ("replace-sdp-version", Word("replace"), Both, 250),
    ("replace-username", Word("replace"), Both, 60),
    ("replace-zero-address", Word("replace"), Both, 60),
    ("rtcp-mux-offer", Word("rtcp-mux"), Both, 40),
    ("rtcp-mux-require", Word("rtcp-mux"), Both, 30),
    ("rtcp-mux-demux", Word("rtcp-mux"), Both, 50),
    ("rtcp-mux-accept", Word("rtcp-mux"), Both, 50),
    ("rtcp-mux-reject", Word("rtcp-mux"), Both, 30),
    ("direction", Pair("direction", DIRECTIONS), Both, 110),
    ("transport-protocol=RTP/AVP", Text("transport-protocol", &["RTP/AVP"]), Both, 60),
    ("transport-protocol=RTP/AVPF", Text("transport-protocol", &["RTP/AVPF"]), Both, 60),
    ("transport-protocol=accept", Text("transport-protocol", &["accept"]), Answer, 60),
    ("ICE=remove", Text("ICE", &["remove"]), Both, 100),
    ("ICE=default", Text("ICE", &["default"]), Both, 20),
    ("media-address", Text("media-address", &["203.0.113.9", "2001:db8::9", "nowhere"]), Both, 25),
    ("TOS", Number("TOS", &[0, 16, 184, 255, 256, -1]), Both, 40),
    ("label", Text("label", &["caller", "left"]), Both, 40),
    ("from-label", Text("from-label", &["caller", "left"]), Both, 15),
    ("set-label", Text("set-label", &["made"]), Both, 15),
    ("metadata", Text("metadata", &["note", "key:value|other:value"]), Both, 30),
    ("record-call", Text("record-call", &["on", "off", "yes", "no"]), Both, 25),
    ("to-label", Text("to-label", &["made"]), Both, 15),
    ("interface", Text("interface", &["priv"]), Both, 15),
    ("static-codecs", Flag, Both, 15),
    ("new-branch", Flag, Both, 15),
    ("provisional", Flag, Both, 15),
    ("DTLS=off", Text("DTLS", &["off"]), Both, 40),
    ("SDES-off", Word("SDES"), Both, 40),
    ("endpoint-learning", Text("endpoint-learning", &["delayed", "immediate", "heuristic", "off"]), Both, 30),
    ("unknown flag", Flag, Both, 20),
    ("unknown key", Text("x-key", &["x"]), Offer, 20),
];

const DIRECTIONS: &[[&str; 2]] = &[
    ["default", "priv"],
    ["priv", "default"],
    ["priv", "priv"],
    ["default", "default"],
    ["nosuch", "priv"],
    ["internal", "external"],
    ["external", "internal"],
];

/// The names of all options, for the table.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, ..)| *name).chain([
        "received-from",
        "SIP-source-address",
        "supports",
        "sip-message-type",
    ])
}

/// What the options are added to.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) offer: bool,
    /// Nobody in the call is reached over IPv6.
    pub(crate) ipv4: bool,
    /// Whoever writes the message is reached over IPv6.
    pub(crate) sender_ipv6: bool,
}

/// Options as an operator or a proxy combines them: the same for every message of the same `habit`.
pub(crate) fn add(dice: &mut Dice, habit: Option<u64>, ask: &mut Ask, about: About, tally: &mut Tally) {
    let About { offer, ipv4, sender_ipv6 } = about;
    let always = habit.is_some();
    let habit = habit.unwrap_or_else(|| dice.next());
    if dice.chance(60) {
        // What Kamailio adds to everything.
        tally.count("supports");
        tally.count("sip-message-type");
        ask.word("supports", "load limit");
        ask.set("sip-message-type", if offer { "sip_request" } else { "sip_reply" });
    }
    if dice.chance(60) {
        tally.count("received-from");
        let trusted = dice.chance(12);
        let sources = [["IP4", "198.51.100.7"], ["IP4", "192.0.2.1"], ["IP6", "2001:db8::77"]];
        // Who is trusted to be where the SIP message came from is reached there.
        let [family, address] = match (trusted, sender_ipv6) {
            (true, true) => sources[2],
            (true, false) => dice.pick(&sources[..2]),
            (false, _) => dice.pick(&sources),
        };
        ask.word("received-from", family);
        ask.word("received-from", address);
        if trusted {
            tally.count("SIP-source-address");
            ask.word("flags", "SIP-source-address");
        }
    }
    for (index, (name, form, place, often)) in (1..).zip(OPTIONS) {
        let mut dice = Dice::new(habit ^ (index << 32));
        if (*place == Answer && offer) || (*place == Offer && !offer) || dice.below(1000) >= *often {
            continue;
        }
        if *name == "no-port-latching" && ask.lists("flags", "port-latching") {
            continue;
        }
        // An interface without an address of the family: what 10.5 takes then depends on what went before.
        if matches!(form, Pair(..)) && !ipv4 {
            continue;
        }
        // Asked for now and then it makes versions fall in 10.5.
        if *name == "replace-sdp-version" && !always {
            continue;
        }
        match form {
            Flag => ask.word("flags", if *name == "unknown flag" { "x-flag" } else { name }),
            Word(list) => {
                let word = name.strip_prefix(list).and_then(|rest| rest.strip_prefix('-'));
                ask.word(list, word.expect("the list's name stands in front"));
            }
            Text(key, _) | Number(key, _) | Pair(key, _) if ask.get(key).is_some() => continue,
            Text(key, texts) => ask.set(key, dice.pick(texts)),
            Number(key, numbers) => ask.put(key, Value::Integer(dice.pick(numbers))),
            // Asked for now and then, `external` changes the family for good.
            Pair(key, pairs) if !always => dice.pick(&pairs[..5]).iter().for_each(|word| ask.word(key, word)),
            Pair(key, pairs) => dice.pick(pairs).iter().for_each(|word| ask.word(key, word)),
        }
        tally.count(name);
    }
}
