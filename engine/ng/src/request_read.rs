//! From the tree of a document to a typed request.

use crate::{
    envelope::RequestError,
    party::All,
    party_read,
    request::{
        Command, Delete, DeleteDelay, Events, Gate, GateAction, Lease, List, Ping, Query, ReportAck, Request,
    },
    signal::Signal,
    signal_read::{SignalReader, extension_number, extension_text},
    spelling::{Warnings, is_yes, normal, words},
    templates::Templates,
    value::Value,
};

/// Reads a whole message. Missing keys are reported in the order in which the reference daemon
/// looks for them, since clients see the first only.
pub(crate) fn read(document: &Value<'_>, templates: &Templates) -> Result<Request, RequestError> {
    let mut keys = Keys::new(document);
    let name = keys.take_text("command").ok_or(RequestError::NoCommand)?;
    let command = match normal(name).as_str() {
        "ping" => Command::Ping(Ping { owner: keys.owner()? }),
        "offer" => Command::Offer(Box::new(signal(&mut keys, templates, false)?)),
        "answer" => Command::Answer(Box::new(signal(&mut keys, templates, true)?)),
        "delete" => Command::Delete(Box::new(delete(&mut keys)?)),
        "query" => Command::Query(Query {
            call_id: keys.call_id()?,
            from_tag: keys.name("from-tag")?,
            to_tag: keys.name("to-tag")?,
        }),
        "list" => Command::List(List {
            limit: keys
                .take("limit")
                .and_then(Value::as_unsigned)
                .and_then(|limit| limit.try_into().ok())
                .unwrap_or(List::LIMIT_DEFAULT),
            owner: keys.owner()?,
        }),
        "lease" => Command::Lease(Lease {
            call_id: keys.call_id()?,
            owner: keys.owner()?.ok_or(RequestError::Extension("owner"))?,
            epoch: keys.number("epoch")?.ok_or(RequestError::Extension("epoch"))?,
            lease_ms: keys.number("lease-ms")?.ok_or(RequestError::Extension("lease-ms"))?,
        }),
        "report-ack" => Command::ReportAck(ReportAck {
            call_id: keys.call_id()?,
            owner: keys.owner()?,
            epoch: keys.number("epoch")?,
        }),
        "events" => Command::Events(Events {
            since: keys.number("since")?.unwrap_or(0),
            wait_ms: keys.number("wait-ms")?.unwrap_or(0).min(Events::WAIT_MS_MAX),
            owner: keys.owner()?,
        }),
        "block-media" => gate(&mut keys, GateAction::Block)?,
        "unblock-media" => gate(&mut keys, GateAction::Unblock)?,
        "silence-media" => gate(&mut keys, GateAction::Silence)?,
        "unsilence-media" => gate(&mut keys, GateAction::Unsilence)?,
        "block-DTMF" => gate(&mut keys, GateAction::BlockDtmf)?,
        "unblock-DTMF" => gate(&mut keys, GateAction::UnblockDtmf)?,
        spelt => {
            if let Some(command) = party_read::read(spelt, &mut keys, templates)? {
                return Ok(Request { command, warnings: keys.finish() });
            }
            let known = NOT_BUILT.iter().find(|known| normal(known) == spelt);
            let name = known.ok_or(RequestError::UnknownCommand)?;
            let call_id = keys.name("call-id")?;
            return Ok(Request {
                command: Command::Unsupported { name: (*name).to_owned(), call_id },
                warnings: Vec::new(),
            });
        }
    };
    Ok(Request { command, warnings: keys.finish() })
}

/// Commands that the protocol knows and this engine has not built.
const NOT_BUILT: &[&str] = &[
    "create",
    "create answer",
    "inject start",
    "inject stop",
    "mesh",
    "play DTMF",
    "play media",
    "start forwarding",
    "stop forwarding",
    "stop media",
    "transform",
];

fn signal(keys: &mut Keys<'_>, templates: &Templates, answer: bool) -> Result<Signal, RequestError> {
    let sdp = keys.sdp()?;
    let call_id = keys.call_id()?;
    let from_tag = keys.name("from-tag")?.ok_or(RequestError::NoFromTag)?;
    let to_tag = keys.name("to-tag")?;
    if answer && to_tag.is_none() {
        return Err(RequestError::NoToTag);
    }
    let mut reader = SignalReader::default();
    reader.message(keys, templates)?;
    Ok(Signal { call_id, from_tag, to_tag, sdp, ..reader.signal })
}

fn delete(keys: &mut Keys<'_>) -> Result<Delete, RequestError> {
    let mut delete = Delete {
        call_id: keys.call_id()?,
        from_tag: keys.name("from-tag")?,
        to_tag: keys.name("to-tag")?,
        via_branch: keys.name("via-branch")?,
        owner: keys.owner()?,
        epoch: keys.number("epoch")?,
        ..Delete::default()
    };
    if let Some(value) = keys.take("delete-delay") {
        match value.as_integer().map(u32::try_from) {
            Some(Ok(seconds)) => delete.delay = DeleteDelay::Seconds(seconds),
            // A negative number asks for the default.
            Some(Err(_)) => {}
            None => keys.warnings.push("unknown value of 'delete-delay'", value.as_str().unwrap_or("")),
        }
    }
    for key in ["flags", "rtpp-flags"] {
        let Some(value) = keys.take(key) else { continue };
        let text = value.as_str().filter(|_| key == "rtpp-flags").unwrap_or_default();
        let flags = words(value).filter(|_| key == "flags").chain(text.split_ascii_whitespace());
        for flag in flags {
            match normal(flag).as_str() {
                "fatal" => delete.fatal = true,
                "fast" => delete.fast = true,
                "to-tag" => delete.honour_to_tag = true,
                other => match other.strip_prefix("delete-delay=").map(str::parse) {
                    Some(Ok(seconds)) => delete.delay = DeleteDelay::Seconds(seconds),
                    _ => keys.without_effect("flags", &Value::text(flag)),
                },
            }
        }
    }
    if let Some(value) = keys.take("keep-report") {
        delete.keep_report = is_yes(value);
    }
    Ok(delete)
}

fn gate(keys: &mut Keys<'_>, action: GateAction) -> Result<Command, RequestError> {
    let mut gate = Gate {
        call_id: keys.call_id()?,
        action,
        from_tag: keys.name("from-tag")?,
        label: keys.name("label")?,
        address: None,
        all: false,
        to_label: keys.name("to-label")?,
        ways: All::Unsaid,
        set_label: keys.name("set-label")?,
    };
    if let Some(word) = keys.take_text("all") {
        ways(&mut gate, word, &mut keys.warnings);
    }
    // Proxies send it wherever they know it; as in rtpengine 10.5 it selects nobody.
    let _to_tag = keys.take("to-tag");
    if gate.label.is_none() {
        gate.label = keys.name("from-label")?;
    }
    if let Some(address) = keys.take_text("address") {
        gate.address = Some(address.parse().map_err(|_| RequestError::Address)?);
    }
    if let Some(mode) = keys.take_text("DTMF-security").filter(|mode| *mode != "drop") {
        keys.warnings.push("events are dropped, not", mode);
    }
    for key in ["flags", "rtpp-flags"] {
        let Some(value) = keys.take(key) else { continue };
        let text = value.as_str().filter(|_| key == "rtpp-flags").unwrap_or_default();
        for flag in words(value).filter(|_| key == "flags").chain(text.split_ascii_whitespace()) {
            match normal(flag).as_str() {
                "all" => gate.all = true,
                word if word.starts_with("all-") => ways(&mut gate, &word[4..], &mut keys.warnings),
                // A tag selects its party with and without it.
                "directional" => {}
                _ => gate_option(&mut gate, flag, keys)?,
            }
        }
    }
    Ok(Command::Gate(Box::new(gate)))
}

/// What `all` says of a gate.
fn ways(gate: &mut Gate, word: &str, warnings: &mut Warnings) {
    match All::ALL.into_iter().find(|all| all.as_str() == normal(word)) {
        Some(All::Everyone) => gate.all = true,
        Some(all) => gate.ways = all,
        None => warnings.push("unknown value of 'all'", word),
    }
}

/// `key=value` among the flags.
fn gate_option(gate: &mut Gate, flag: &str, keys: &mut Keys<'_>) -> Result<(), RequestError> {
    let Some((key, value)) = flag.split_once('=') else {
        keys.without_effect("flags", &Value::text(flag));
        return Ok(());
    };
    match normal(key).as_str() {
        "label" | "from-label" => gate.label = name("label", &Value::text(value))?,
        "address" => gate.address = Some(value.parse().map_err(|_| RequestError::Address)?),
        "all" => ways(gate, value, &mut keys.warnings),
        _ => keys.without_effect("flags", &Value::text(flag)),
    }
    Ok(())
}

/// The keys of a message, spelt with hyphens; each is taken once.
pub(crate) struct Keys<'v> {
    pub(crate) entries: Vec<(String, &'v Value<'v>)>,
    pub(crate) warnings: Warnings,
}

impl<'v> Keys<'v> {
    /// More keys than any client sends; the rest is not read.
    const KEYS_MAX: usize = 256;

    /// Of repeated keys the first counts.
    fn new(document: &'v Value<'v>) -> Self {
        let mut keys = Self { entries: Vec::new(), warnings: Warnings::default() };
        for (key, value) in document.entries().unwrap_or_default() {
            let Ok(key) = std::str::from_utf8(key) else {
                keys.warnings.push("unknown key", "(not UTF-8)");
                continue;
            };
            let key = match normal(key) {
                key if key == "call-ID" => "call-id".to_owned(),
                key => key,
            };
            if keys.entries.len() == Self::KEYS_MAX {
                keys.warnings.push("too many keys, from", &key);
                break;
            }
            if keys.entries.iter().any(|(known, _)| *known == key) {
                keys.warnings.push("repeated key", &key);
                continue;
            }
            keys.entries.push((key, value));
        }
        keys
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<&'v Value<'v>> {
        let index = self.entries.iter().position(|(known, _)| known == key)?;
        Some(self.entries.remove(index).1)
    }

    fn take_text(&mut self, key: &str) -> Option<&'v str> {
        self.take(key)?.as_str()
    }

    /// The description.
    pub(crate) fn sdp(&mut self) -> Result<Vec<u8>, RequestError> {
        Ok(self.take("sdp").and_then(Value::as_bytes).ok_or(RequestError::NoSdp)?.to_vec())
    }

    pub(crate) fn call_id(&mut self) -> Result<String, RequestError> {
        self.name("call-id")?.ok_or(RequestError::NoCallId)
    }

    pub(crate) fn name(&mut self, key: &'static str) -> Result<Option<String>, RequestError> {
        self.take(key).map_or(Ok(None), |value| name(key, value))
    }

    fn owner(&mut self) -> Result<Option<String>, RequestError> {
        self.take("owner").map(|value| extension_text("owner", value)).transpose()
    }

    fn number(&mut self, key: &'static str) -> Result<Option<u64>, RequestError> {
        self.take(key).map(|value| extension_number(key, value)).transpose()
    }

    /// What nobody took is of no use here. Proxies send an offer's options with every command, so
    /// only what an offer would not know either is worth a warning.
    fn finish(mut self) -> Vec<String> {
        for (key, value) in std::mem::take(&mut self.entries) {
            self.without_effect(&key, value);
        }
        self.warnings.done()
    }

    fn without_effect(&mut self, key: &str, value: &Value<'_>) {
        // What is wrong with a value that is not used does not matter.
        let _unused = SignalReader::default().option(key, value, &mut self.warnings);
    }
}

/// A call-id, tag or branch. What is no text counts as absent; what is longer than any peer's
/// is refused, since the engine keeps it for as long as the call lives.
pub(crate) fn name(key: &'static str, value: &Value<'_>) -> Result<Option<String>, RequestError> {
    match value.as_str() {
        Some(text) if text.len() > Signal::NAME_BYTES_MAX => Err(RequestError::Extension(key)),
        text => Ok(text.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::read_document;

    fn request(document: &str) -> Result<Request, RequestError> {
        read_document(document.as_bytes()).1
    }

    #[test]
    fn every_command_that_is_not_built_is_carried_by_name() {
        for name in NOT_BUILT {
            for spelt in [(*name).to_owned(), name.replace(' ', "_"), name.replace(' ', "-")] {
                let read = request(&format!(r#"{{"command":"{spelt}","call-id":"c"}}"#)).expect(name);
                assert_eq!(
                    read.command,
                    Command::Unsupported { name: (*name).to_owned(), call_id: Some("c".to_owned()) }
                );
            }
        }
        assert_eq!(request(r#"{"command":"Block DTMF"}"#), Err(RequestError::UnknownCommand));
        assert_eq!(request(r#"{"command":""}"#), Err(RequestError::UnknownCommand));
    }

    #[test]
    fn keys_may_be_spelt_three_ways_and_the_first_counts() {
        let expected =
            Command::Query(Query { call_id: "c".to_owned(), from_tag: Some("f".to_owned()), to_tag: None });
        for document in [
            "d7:call-id1:c7:command5:query8:from-tag1:fe",
            "d7:call_id1:c7:call id1:x7:command5:query8:from tag1:fe",
            "d7:call-ID1:c7:call-id1:x7:command5:query8:from_tag1:fe",
        ] {
            assert_eq!(request(document).expect(document).command, expected, "{document}");
        }
    }

    #[test]
    fn a_delete_takes_its_flags_in_every_form() {
        let expected = Delete {
            call_id: "c".to_owned(),
            fatal: true,
            honour_to_tag: true,
            delay: DeleteDelay::Seconds(0),
            ..Delete::default()
        };
        for document in [
            r#"{"command":"delete","call-id":"c","flags":["fatal","to-tag"],"delete-delay":0}"#,
            r#"{"command":"delete","call-id":"c","flags":"fatal,to_tag","delete delay":"0"}"#,
            r#"{"command":"delete","call-id":"c","rtpp-flags":"fatal to-tag delete-delay=0"}"#,
        ] {
            let read = request(document).expect(document);
            assert_eq!(read.command, Command::Delete(Box::new(expected.clone())), "{document}");
            assert_eq!(read.warnings, Vec::<String>::new());
        }
        let read = request(r#"{"command":"delete","call-id":"c","flags":["odd"],"delete-delay":-1,"x":1}"#);
        let read = read.expect("a delete");
        assert_eq!(read.warnings, ["unknown flag 'odd'", "unknown key 'x'"]);
    }

    #[test]
    fn a_gate_names_its_party_in_every_form() {
        let gate = |action| Gate {
            call_id: "c".to_owned(),
            action,
            from_tag: Some("f".to_owned()),
            label: None,
            address: None,
            all: false,
            to_label: None,
            ways: All::Unsaid,
            set_label: None,
        };
        for action in GateAction::ALL {
            for spelt in [action.as_str().to_owned(), action.as_str().replace(' ', "_")] {
                let read = request(&format!(
                    r#"{{"command":"{spelt}","call-id":"c","from-tag":"f","flags":["directional","odd"]}}"#
                ))
                .expect("a gate");
                assert_eq!(read.command, Command::Gate(Box::new(gate(action))));
                assert_eq!(read.warnings, ["unknown flag 'odd'"]);
            }
        }
        for options in [
            r#""flags":["label=l"]"#,
            r#""rtpp-flags":"from-label=l directional""#,
            r#""rtpp-flags":"label=l","from-label":"x""#,
        ] {
            let read = request(&format!(r#"{{"command":"block media","call-id":"c",{options}}}"#));
            let Ok(Request { command: Command::Gate(labelled), .. }) = read else { panic!("{options}") };
            assert_eq!(labelled.label.as_deref(), Some("l"), "{options}");
        }
        for all in [r#""flags":["all"]"#, r#""flags":"all""#, r#""rtpp-flags":"all""#, r#""all":"all""#] {
            let read = request(&format!(r#"{{"command":"block media","call-id":"c","from-tag":"f",{all}}}"#));
            let expected = Gate { all: true, ..gate(GateAction::Block) };
            assert_eq!(read.expect("a gate").command, Command::Gate(Box::new(expected)), "{all}");
        }
        let one_way = request(
            r#"{"command":"block media","call-id":"c","from-tag":"f","to-label":"recorder","set-label":"l"}"#,
        );
        let expected = Gate {
            to_label: Some("recorder".to_owned()),
            set_label: Some("l".to_owned()),
            ..gate(GateAction::Block)
        };
        assert_eq!(one_way.expect("a gate").command, Command::Gate(Box::new(expected)));
        for (all, kind) in [
            (r#""all":"flows""#, All::Flows),
            (r#""flags":["all-offer_answer"]"#, All::OfferAnswer),
            (r#""rtpp-flags":"all-except-offer-answer""#, All::ExceptOfferAnswer),
        ] {
            let read = request(&format!(r#"{{"command":"block media","call-id":"c","from-tag":"f",{all}}}"#));
            let expected = Gate { ways: kind, ..gate(GateAction::Block) };
            assert_eq!(read.expect("a gate").command, Command::Gate(Box::new(expected)), "{all}");
        }
        let labelled =
            request(r#"{"command":"block media","call-id":"c","from-label":"l","address":"192.0.2.1"}"#);
        let Ok(Request { command: Command::Gate(labelled), .. }) = labelled else { panic!("a gate") };
        assert_eq!((labelled.label.as_deref(), labelled.address), (Some("l"), "192.0.2.1".parse().ok()));
        assert_eq!(
            request(r#"{"command":"block media","call-id":"c","address":"nowhere"}"#),
            Err(RequestError::Address)
        );
        assert_eq!(request(r#"{"command":"block media"}"#), Err(RequestError::NoCallId));
    }

    #[test]
    fn what_kamailio_5_6_sends_with_a_delete_is_understood_without_a_warning() {
        let document = "d8:supportsl10:load limite3:ICE6:remove3:TOSi184e14:address-family3:IP45:flagsl\
            13:trust-addresse18:transport-protocol7:RTP/AVP7:call-id8:kam-call10:via-branch10:z9hG4bKbye\
            13:received-froml3:IP410:127.44.0.1e8:from-tag2:ft7:command6:deletee";
        let expected = Delete {
            call_id: "kam-call".to_owned(),
            from_tag: Some("ft".to_owned()),
            via_branch: Some("z9hG4bKbye".to_owned()),
            ..Delete::default()
        };
        let command = Command::Delete(Box::new(expected));
        assert_eq!(request(document), Ok(Request { command, warnings: Vec::new() }));
    }

    #[test]
    fn names_longer_than_any_peers_are_refused() {
        let long = "x".repeat(Signal::NAME_BYTES_MAX + 1);
        for key in ["call-id", "from-tag", "to-tag"] {
            let document = format!(r#"{{"command":"query","call-id":"c","{key}":"{long}"}}"#);
            assert_eq!(request(&document), Err(RequestError::Extension(key)));
        }
    }

    #[test]
    fn a_lease_names_owner_epoch_and_time() {
        for missing in ["owner", "epoch", "lease-ms"] {
            let keys = [("owner", r#""o""#), ("epoch", "1"), ("lease-ms", "1")];
            let keys: Vec<String> = keys
                .iter()
                .filter(|(key, _)| *key != missing)
                .map(|(key, value)| format!(r#""{key}":{value}"#))
                .collect();
            let document = format!(r#"{{"command":"lease","call-id":"c",{}}}"#, keys.join(","));
            assert_eq!(request(&document), Err(RequestError::Extension(missing)));
        }
    }

    #[test]
    fn a_wait_is_cut_to_its_bound_and_a_limit_has_a_default() {
        let read = request(r#"{"command":"events","since":"5","wait-ms":999999}"#).expect("events");
        assert_eq!(
            read.command,
            Command::Events(Events { since: 5, wait_ms: Events::WAIT_MS_MAX, owner: None })
        );
        for (document, limit) in [
            (r#"{"command":"list"}"#, 32),
            (r#"{"command":"list","limit":"abc"}"#, 32),
            (r#"{"command":"list","limit":"1"}"#, 1),
            (r#"{"command":"list","limit":0}"#, 0),
        ] {
            assert_eq!(
                request(document).expect(document).command,
                Command::List(List { limit, owner: None })
            );
        }
    }

    #[test]
    fn keys_beyond_the_bound_are_not_read() {
        let keys: String = (0..500).map(|n| format!(r#","k{n}":1"#)).collect();
        let read = request(&format!(r#"{{"command":"ping"{keys}}}"#)).expect("a ping");
        assert_eq!(read.warnings.len(), Request::WARNINGS_MAX);
    }
}
