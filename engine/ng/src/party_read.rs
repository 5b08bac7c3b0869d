//! The commands about parties, from the keys of a message.

use crate::{
    envelope::RequestError,
    party::{All, Recording, RecordingOptions, Selector},
    request::{Cli, Command},
    request_read::Keys,
    rtpp_flags::{self, Item},
    signal::Signal,
    signal_read::SignalReader,
    spelling::{Warnings, clip, is_yes, normal, words},
    subscription::{Connect, Publish, SubscribeAnswer, SubscribeRequest, Unsubscribe},
    templates::Templates,
    value::Value,
};

/// A command about parties; `None` if the name is none of them.
pub(crate) fn read(
    name: &str,
    keys: &mut Keys<'_>,
    templates: &Templates,
) -> Result<Option<Command>, RequestError> {
    Ok(Some(match name {
        "start-recording" => Command::StartRecording(Box::new(recording(keys)?)),
        // A stop that says so is a pause.
        "stop-recording" => {
            let pauses = keys.take("pause").is_some_and(is_yes) || has_flag(keys, "pause");
            let recording = Box::new(recording(keys)?);
            if pauses { Command::PauseRecording(recording) } else { Command::StopRecording(recording) }
        }
        "pause-recording" => Command::PauseRecording(Box::new(recording(keys)?)),
        "subscribe-request" => Command::SubscribeRequest(Box::new(subscribe_request(keys, templates)?)),
        "subscribe-answer" => {
            let sdp = keys.sdp()?;
            let allow_transcoding = has_flag(keys, "allow-transcoding");
            let signal = signal(keys, templates, sdp, &Demands { from_tag: false, to_tag: true })?;
            Command::SubscribeAnswer(SubscribeAnswer { signal, allow_transcoding })
        }
        "unsubscribe" => {
            let call_id = keys.call_id()?;
            let to_tag = keys.name("to-tag")?.ok_or(RequestError::NoToTag)?;
            keys.take("from-tag");
            Command::Unsubscribe(Unsubscribe { call_id, to_tag })
        }
        "publish" => {
            let sdp = keys.sdp()?;
            let demands = Demands { from_tag: true, to_tag: false };
            let mut reader = SignalReader::publication();
            let signal = signal_by(&mut reader, keys, templates, sdp, &demands)?;
            Command::Publish(Publish { signal, accept: reader.accept.unwrap_or_default() })
        }
        "connect" => Command::Connect(Box::new(connect(keys, templates)?)),
        "statistics" => Command::Statistics,
        "cli" => Command::Cli(Cli { line: line(keys)? }),
        _ => return Ok(None),
    }))
}

/// Which tags a command cannot do without.
struct Demands {
    from_tag: bool,
    to_tag: bool,
}

/// Keys that some commands about parties have, and an offer has not.
#[derive(Default)]
struct PartyKeys {
    selector: Selector,
    from_tags: Vec<String>,
    to_call_id: Option<String>,
    bidirectional: bool,
    options: RecordingOptions,
}

impl PartyKeys {
    /// Takes the keys, and from flags and flag texts what belongs here. The tags stay.
    fn take(keys: &mut Keys<'_>) -> Result<Self, RequestError> {
        let mut party = Self::default();
        let mut rest = Vec::new();
        for (key, value) in std::mem::take(&mut keys.entries) {
            let known = match key.as_str() {
                "flags" => {
                    for word in words(value) {
                        party.word(word, &mut keys.warnings)?;
                    }
                    false
                }
                "rtpp-flags" => {
                    for item in rtpp_flags::parse(value.as_str().unwrap_or_default()) {
                        match item {
                            Item::Word(word) => party.word(word, &mut keys.warnings)?,
                            Item::Keyed(key, value) => {
                                party.option(&normal(key), &value, &mut keys.warnings)?;
                            }
                            Item::Nested(_) => {}
                        }
                    }
                    false
                }
                key => party.option(key, value, &mut keys.warnings)?,
            };
            if !known {
                rest.push((key, value));
            }
        }
        keys.entries = rest;
        Ok(party)
    }

    fn word(&mut self, word: &str, warnings: &mut Warnings) -> Result<(), RequestError> {
        if let Some((key, value)) = word.split_once('=') {
            self.option(&normal(key), &Value::text(value), warnings)?;
            return Ok(());
        }
        match normal(word).as_str() {
            "directional" => self.selector.directional = true,
            "bidirectional" => self.bidirectional = true,
            "all" => self.selector.all = All::Everyone,
            "exclude-recording" => self.options.exclude = true,
            "discard-recording" => self.options.discard = true,
            "skip-recording-db" => self.options.skip_db = true,
            word => {
                if let Some(kind) = word.strip_prefix("all-") {
                    self.option("all", &Value::text(kind), warnings)?;
                }
                if let Some(tag) = word.strip_prefix("from-tags-") {
                    self.option("from-tags", &Value::text(tag), warnings)?;
                }
            }
        }
        Ok(())
    }

    /// One key; says whether it belongs here.
    fn option(
        &mut self,
        key: &str,
        value: &Value<'_>,
        warnings: &mut Warnings,
    ) -> Result<bool, RequestError> {
        match key {
            "label" | "from-label" => self.selector.label = label(value)?,
            "to-label" => self.selector.to_label = label(value)?,
            "address" => match value.as_str().and_then(|text| text.parse().ok()) {
                Some(address) => self.selector.address = Some(address),
                None => warnings.push("unknown value of 'address'", value.as_str().unwrap_or("(no text)")),
            },
            "all" => {
                let word = value.as_str().map(normal).unwrap_or_default();
                match All::ALL.into_iter().find(|all| all.as_str() == word) {
                    Some(all) => self.selector.all = all,
                    None => warnings.push("unknown value of 'all'", &word),
                }
            }
            "from-tags" => {
                for tag in words(value) {
                    let known = self.from_tags.iter().any(|known| known == tag);
                    if tag.len() > Signal::NAME_BYTES_MAX {
                        return Err(RequestError::Extension("from-tags"));
                    }
                    if !known && self.from_tags.len() < SubscribeRequest::FROM_TAGS_MAX {
                        self.from_tags.push(tag.to_owned());
                    }
                }
            }
            "to-call-id" | "to-call-ID" => {
                self.to_call_id = crate::request_read::name("to-call-id", value)?;
            }
            _ => return Ok(recording_option(&mut self.options, key, value)),
        }
        Ok(true)
    }
}

fn label(value: &Value<'_>) -> Result<Option<String>, RequestError> {
    crate::request_read::name("label", value)
}

/// One option of a recording; says whether it was one.
pub(crate) fn recording_option(options: &mut RecordingOptions, key: &str, value: &Value<'_>) -> bool {
    let place = match key {
        "metadata" => &mut options.metadata,
        "output-destination" => &mut options.destination,
        "recording-file" => &mut options.file,
        "recording-dir" => &mut options.directory,
        "recording-pattern" => &mut options.pattern,
        _ => return false,
    };
    *place = value.as_str().map(|text| {
        let end = text.floor_char_boundary(RecordingOptions::TEXT_BYTES_MAX);
        text[..end].to_owned()
    });
    true
}

fn recording(keys: &mut Keys<'_>) -> Result<Recording, RequestError> {
    let call_id = keys.call_id()?;
    let PartyKeys { selector, options, .. } = selected(keys)?;
    Ok(Recording { call_id, selector, options })
}

/// The selector with its tags.
fn selected(keys: &mut Keys<'_>) -> Result<PartyKeys, RequestError> {
    let mut party = PartyKeys::take(keys)?;
    party.selector.from_tag = keys.name("from-tag")?;
    party.selector.to_tag = keys.name("to-tag")?;
    party.selector.via_branch = keys.name("via-branch")?;
    Ok(party)
}

fn subscribe_request(keys: &mut Keys<'_>, templates: &Templates) -> Result<SubscribeRequest, RequestError> {
    let PartyKeys { mut selector, mut from_tags, options, .. } = PartyKeys::take(keys)?;
    // Proxies add the body of the SIP message, which says nothing here.
    keys.take("sdp");
    let mut signal = signal(keys, templates, Vec::new(), &Demands { from_tag: false, to_tag: false })?;
    signal.recording = options;
    selector.from_tag = Some(signal.from_tag.clone()).filter(|tag| !tag.is_empty());
    selector.to_tag.clone_from(&signal.to_tag);
    selector.via_branch.clone_from(&signal.via_branch);
    from_tags.retain(|tag| *tag != signal.from_tag);
    Ok(SubscribeRequest { selector, from_tags, signal })
}

fn connect(keys: &mut Keys<'_>, templates: &Templates) -> Result<Connect, RequestError> {
    let PartyKeys { mut selector, mut from_tags, to_call_id, bidirectional, options } =
        PartyKeys::take(keys)?;
    keys.take("sdp");
    let several = !from_tags.is_empty() || selector.all == All::Everyone || selector.label.is_some();
    let mut signal = signal(keys, templates, Vec::new(), &Demands { from_tag: !several, to_tag: true })?;
    signal.recording = options;
    selector.from_tag = Some(signal.from_tag.clone()).filter(|tag| !tag.is_empty());
    selector.to_tag.clone_from(&signal.to_tag);
    selector.via_branch.clone_from(&signal.via_branch);
    from_tags.retain(|tag| *tag != signal.from_tag);
    let bidirectional = bidirectional || !selector.directional;
    Ok(Connect { selector, from_tags, to_call_id, bidirectional, signal })
}

/// The call, the tags and every option of an offer.
fn signal(
    keys: &mut Keys<'_>,
    templates: &Templates,
    sdp: Vec<u8>,
    demands: &Demands,
) -> Result<Box<Signal>, RequestError> {
    signal_by(&mut SignalReader::about_parties(), keys, templates, sdp, demands)
}

/// The same by a reader that is told more.
fn signal_by(
    reader: &mut SignalReader,
    keys: &mut Keys<'_>,
    templates: &Templates,
    sdp: Vec<u8>,
    demands: &Demands,
) -> Result<Box<Signal>, RequestError> {
    let call_id = keys.call_id()?;
    let from_tag = keys.name("from-tag")?;
    let to_tag = keys.name("to-tag")?;
    if demands.from_tag && from_tag.is_none() {
        return Err(RequestError::NoFromTag);
    }
    if demands.to_tag && to_tag.is_none() {
        return Err(RequestError::NoToTag);
    }
    reader.message(keys, templates)?;
    let from_tag = from_tag.unwrap_or_default();
    Ok(Box::new(Signal { call_id, from_tag, to_tag, sdp, ..std::mem::take(&mut reader.signal) }))
}

/// Whether a flag is there, in the list or in the flag text. It stays where it is.
fn has_flag(keys: &Keys<'_>, flag: &str) -> bool {
    let is_it = |word: &str| normal(word) == flag;
    keys.entries.iter().any(|(key, value)| match key.as_str() {
        "flags" => words(value).any(is_it),
        "rtpp-flags" => rtpp_flags::parse(value.as_str().unwrap_or_default())
            .iter()
            .any(|item| matches!(item, Item::Word(word) if is_it(word))),
        _ => false,
    })
}

/// The line of `cli`: under `body`, or `line`.
fn line(keys: &mut Keys<'_>) -> Result<String, RequestError> {
    let value = keys.take("body").or_else(|| keys.take("line"));
    let line = value.and_then(Value::as_str).ok_or(RequestError::Extension("body"))?;
    if line.len() > Cli::LINE_BYTES_MAX {
        return Err(RequestError::Extension("body"));
    }
    Ok(line.trim().to_owned())
}

/// The presets that a message names, by key, flag or flag text, each once, in order.
pub(crate) fn named_templates(keys: &Keys<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if names.len() < TEMPLATES_MAX && !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(clip(name).to_owned());
        }
    };
    for (key, value) in &keys.entries {
        match key.as_str() {
            "template" => words(value).for_each(&mut add),
            "flags" => {
                words(value).filter_map(|word| word.strip_prefix("template=")).for_each(&mut add);
            }
            "rtpp-flags" => {
                for item in rtpp_flags::parse(value.as_str().unwrap_or_default()) {
                    if let Item::Keyed("template", value) = item {
                        words(&value).for_each(&mut add);
                    }
                }
            }
            _ => {}
        }
    }
    names
}

/// A message names no more presets than this; the rest is not read.
const TEMPLATES_MAX: usize = 8;
