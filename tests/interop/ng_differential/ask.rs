//! A message under construction, and the same message in other spellings.

use std::borrow::Cow;

use ng::{Encoding, Value};

use super::dice::Dice;

/// Keys in the order in which they were set, as rtpengine 10.5 reads them.
#[derive(Clone, Default)]
pub(crate) struct Ask(Vec<(String, Value<'static>)>);

impl Ask {
    pub(crate) fn new(command: &str, call_id: &str) -> Ask {
        let mut ask = Ask::default();
        ask.set("command", command);
        ask.set("call-id", call_id);
        ask
    }

    pub(crate) fn set(&mut self, key: &str, text: &str) {
        self.put(key, Value::owned(text.to_owned()));
    }

    pub(crate) fn put(&mut self, key: &str, value: Value<'static>) {
        self.0.push((key.to_owned(), value));
    }

    /// One more word of a list.
    pub(crate) fn word(&mut self, key: &str, word: &str) {
        let word = Value::owned(word.to_owned());
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, Value::List(words))) => words.push(word),
            Some(_) => panic!("{key} is no list"),
            None => self.put(key, Value::List(vec![word])),
        }
    }

    /// What a key says.
    pub(crate) fn get(&self, key: &str) -> Option<&Value<'static>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Whether a key says exactly this.
    pub(crate) fn is(&self, key: &str, text: &str) -> bool {
        self.get(key).and_then(Value::as_str) == Some(text)
    }

    /// Whether a list holds a word, however it is spelt.
    pub(crate) fn lists(&self, key: &str, word: &str) -> bool {
        let words = self.get(key).and_then(Value::items).unwrap_or_default();
        words.iter().any(|one| one.as_str().is_some_and(|one| one.replace(['_', ' '], "-") == word))
    }

    pub(crate) fn document(&self, encoding: Encoding) -> Vec<u8> {
        let entries = self.0.iter().map(|(key, value)| (Cow::Owned(key.clone().into_bytes()), value.clone()));
        let mut document = Vec::new();
        encoding.write(&Value::Dictionary(entries.collect()), &mut document);
        document
    }

    /// The same with its options in words that later releases of rtpengine read and 10.5 does not; which ones is counted.
    pub(crate) fn respelt(&self, dice: &mut Dice, mut count: impl FnMut(&'static str)) -> Ask {
        let whole_text = dice.chance(40);
        let mut respelt = Ask::default();
        let mut text = Vec::new();
        for (key, value) in &self.0 {
            let words: Vec<&str> =
                value.items().unwrap_or_default().iter().filter_map(Value::as_str).collect();
            let plain = value.as_str().or_else(|| words.first().copied());
            let blank = plain.is_none_or(|word| word.contains([' ', '[', ']', '=']));
            match key.as_str() {
                "command" | "call-id" | "from-tag" | "to-tag" | "via-branch" | "sdp" | "supports" => {
                    respelt.put(key, value.clone());
                }
                "flags" if whole_text => text.extend(words.iter().map(|word| (*word).to_owned())),
                "flags" => words.iter().for_each(|word| respelt.word("flags", word)),
                "received-from" => match (words.as_slice(), whole_text) {
                    ([_, address], true) => text.push(format!("received-from={address}")),
                    _ => respelt.put(key, value.clone()),
                },
                "replace" | "rtcp-mux" if !whole_text && dice.chance(50) => {
                    count(if key == "replace" { "replace-… (flags)" } else { "rtcp-mux-… (flags)" });
                    words.iter().for_each(|word| respelt.word("flags", &format!("{key}-{word}")));
                }
                "direction" if words.len() == 2 && dice.chance(85) => {
                    count("from-interface, to-interface");
                    for (key, name) in ["from-interface", "to-interface"].iter().zip(words) {
                        if whole_text {
                            text.push(format!("{key}={name}"));
                        } else {
                            respelt.set(key, name);
                        }
                    }
                }
                _ if whole_text && !words.is_empty() => text.push(format!("{key}=[{}]", words.join(" "))),
                _ if whole_text && !blank => text.push(format!("{key}={}", plain.unwrap_or_default())),
                "transport-protocol" | "ICE" | "address-family" if dice.chance(50) => {
                    count("key=value (flags)");
                    respelt.word("flags", &format!("{key}={}", plain.unwrap_or_default()));
                }
                _ => respelt.put(key, value.clone()),
            }
        }
        if !text.is_empty() {
            count("rtpp-flags");
            respelt.set("rtpp-flags", &text.join(" "));
        }
        if !whole_text && dice.chance(30) {
            count("lists as texts with commas");
            for (_, value) in &mut respelt.0 {
                let words: Vec<&str> =
                    value.items().unwrap_or_default().iter().filter_map(Value::as_str).collect();
                if !words.is_empty() {
                    *value = Value::owned(words.join(","));
                }
            }
        }
        if dice.chance(20) {
            count("blanks and underscores in flags");
            let other = dice.pick(&["_", " "]);
            for (key, value) in &mut respelt.0 {
                if let (Value::List(words), "flags" | "replace") = (value, key.as_str()) {
                    for word in words {
                        let spelt = word.as_str().unwrap_or_default();
                        // A value behind `=` is a word of its own.
                        if !spelt.contains('=') {
                            *word = Value::owned(spelt.replace('-', other));
                        }
                    }
                }
            }
        }
        if dice.chance(40) {
            count("blanks and underscores in keys");
            let other = dice.pick(&["_", " "]);
            respelt.0.iter_mut().for_each(|(key, _)| *key = key.replace('-', other));
        }
        respelt
    }
}
