//! Parties with keys, and what they write.

use std::fmt::Write;

use super::dice::Dice;

/// Every profile of RTP without DTLS.
pub(crate) const PROTOCOLS: [&str; 4] = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"];

/// The suites that are spoken, and bytes of key and salt.
pub(crate) const SUITES: [&str; 8] = [
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
];

/// Those that are not.
pub(crate) const REFUSED: [&str; 2] = ["F8_128_HMAC_SHA1_80", "NULL_HMAC_SHA1_80"];

/// A party, and what it says of each section.
#[derive(Clone)]
pub(crate) struct Party {
    who: usize,
    version: u16,
    port: u16,
    sections: Vec<Section>,
}

#[derive(Clone)]
struct Section {
    kind: &'static str,
    protocol: String,
    lines: Vec<Line>,
    direction: &'static str,
}

#[derive(Clone)]
struct Line {
    tag: u16,
    suite: &'static str,
    /// Which of the party's keys.
    key: u16,
    more: &'static str,
    parameter: &'static str,
}

/// The start of a key of a party, in base64: two letters that say whose it is, and how often it has changed.
fn key(who: usize, number: u16, suite: &str) -> String {
    let bytes: usize = match suite {
        "AEAD_AES_256_GCM" => 44,
        "AEAD_AES_128_GCM" => 28,
        suite if suite.starts_with("AES_256") => 46,
        suite if suite.starts_with("AES_192") => 38,
        _ => 30,
    };
    let letters = (bytes * 4).div_ceil(3);
    let mut text = format!("{}{number:04}", ["ALICE/", "BOB/+/"][who]);
    // Bits beyond the last byte are none.
    text.extend(std::iter::repeat_n('A', letters - text.len()));
    text
}

/// Whose key it is, if a party wrote it.
pub(crate) fn whose(key: &str) -> Option<String> {
    let (name, rest) = key
        .strip_prefix("ALICE/")
        .map(|rest| ("alice", rest))
        .or_else(|| key.strip_prefix("BOB/+/").map(|rest| ("bob", rest)))?;
    Some(format!("{name}-{}", rest.get(..4)?))
}

/// Tags under which a peer showed these suites, in each section.
pub(crate) fn tags(shown: &str, chosen: &[Option<&'static str>]) -> Vec<Option<(u16, &'static str)>> {
    let sections = shown.split("sdp m=").skip(1);
    let tag = |section: &str, suite: &str| {
        let lines = section.split("sdp a=crypto:").skip(1);
        let mut lines = lines.filter_map(|line| {
            let mut words = line.split(' ');
            words.next()?.parse().ok().zip(words.next())
        });
        lines.find(|(_, shown)| *shown == suite).map(|(tag, _)| tag)
    };
    sections
        .zip(chosen)
        .map(|(section, suite)| suite.and_then(|suite| Some((tag(section, suite)?, suite))))
        .collect()
}

impl Party {
    /// Who offers first.
    pub(crate) fn offering(dice: &mut Dice, who: usize) -> Party {
        let mut sections = vec![Section::offered(dice, "audio")];
        if dice.chance(20) {
            sections.push(Section::offered(dice, "video"));
        }
        Party { who, version: 1, port: 4000, sections }
    }

    /// Who has said nothing yet.
    pub(crate) fn answering(who: usize) -> Party {
        Party { who, version: 1, port: 6000, sections: Vec::new() }
    }

    /// Answers what the peers showed: says which suite it takes in each section. Both peers showed it.
    pub(crate) fn answer(&mut self, dice: &mut Dice, theirs: &str, ours: &str) -> Vec<Option<&'static str>> {
        let without = dice.chance(40);
        self.version += 1;
        let (theirs, ours): (Vec<_>, Vec<_>) =
            (theirs.split("sdp m=").skip(1).collect(), ours.split("sdp m=").skip(1).collect());
        let mut chosen = Vec::new();
        self.sections.truncate(theirs.len());
        for (index, shown) in theirs.iter().enumerate() {
            let mut words = shown.split(' ');
            let (kind, protocol) = (words.next().unwrap_or("audio"), words.nth(1).unwrap_or("RTP/AVP"));
            let other = ours.get(index).copied().unwrap_or_default();
            let has = |shown: &str, suite: &str| shown.contains(&format!(" {suite} inline:"));
            let both: Vec<_> =
                SUITES.into_iter().filter(|suite| has(shown, suite) && has(other, suite)).collect();
            let secure = protocol.contains("SAVP");
            // Beside a profile that needs none, keys are taken or not.
            let suite = (!both.is_empty() && (secure || !without)).then(|| dice.pick(&both));
            let kind = if kind == "video" { "video" } else { "audio" };
            let protocol = protocol.to_owned();
            let key =
                self.sections.get(index).and_then(|before| before.lines.first()).map_or(1, |line| line.key);
            let line = suite.map(|suite| Line { tag: 0, suite, key, more: "", parameter: "" });
            let section =
                Section { kind, protocol, lines: line.into_iter().collect(), direction: "sendrecv" };
            match self.sections.get_mut(index) {
                Some(before) => *before = section,
                None => self.sections.push(section),
            }
            chosen.push(suite);
        }
        chosen
    }

    /// What happens in the course of a call; whether its keys are others from now on.
    pub(crate) fn change(&mut self, dice: &mut Dice) -> bool {
        self.version += 1;
        for line in self.sections.iter_mut().flat_map(|section| &mut section.lines) {
            line.tag = line.tag.max(1);
        }
        match dice.below(6) {
            0 | 1 => {}
            2 => self.port += 10,
            3 => {
                let direction = dice.pick(&["sendonly", "inactive", "sendrecv"]);
                self.sections.iter_mut().for_each(|section| section.direction = direction);
            }
            _ => {
                let lines = self.sections.iter_mut().flat_map(|section| &mut section.lines);
                return lines.map(|line| line.key += 1).count() > 0;
            }
        }
        false
    }

    /// What is in it, for the table.
    pub(crate) fn says(&self) -> Vec<&'static str> {
        let mut says = Vec::new();
        for section in &self.sections {
            if let (false, Some(index)) =
                (section.lines.is_empty(), PROTOCOLS.iter().position(|known| *known == section.protocol))
            {
                says.push(
                    ["keys in RTP/AVP", "keys in RTP/AVPF", "keys in RTP/SAVP", "keys in RTP/SAVPF"][index],
                );
            }
            says.extend((section.lines.len() > 1).then_some("several keys"));
            for line in &section.lines {
                says.extend(REFUSED.contains(&line.suite).then_some("a suite that is refused"));
                says.extend(line.more.starts_with("|2^").then_some("lifetime"));
                says.extend(line.more.contains(':').then_some("MKI"));
                says.extend((!line.parameter.is_empty()).then_some("session parameter"));
            }
        }
        says
    }

    /// As it is written; an answerer's lines have the tags of what it was shown.
    pub(crate) fn text(&self, tags: &[Option<(u16, &'static str)>]) -> String {
        let (who, version) = (self.who, self.version);
        let address = ["192.0.2.1", "198.51.100.9"][who];
        let mut text =
            format!("v=0\r\no=- {who} {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n");
        for (index, section) in self.sections.iter().enumerate() {
            let Section { kind, protocol, lines, direction } = section;
            let port = self.port + u16::try_from(index).expect("few") * 2;
            let format = if *kind == "video" { "98" } else { "0" };
            let map = if *kind == "video" { "VP8/90000" } else { "PCMU/8000" };
            let mut line = |line: std::fmt::Arguments<'_>| {
                text.write_fmt(line)
                    .and_then(|()| text.write_str("\r\n"))
                    .expect("a string takes every write");
            };
            line(format_args!("m={kind} {port} {protocol} {format}"));
            line(format_args!("a=rtpmap:{format} {map}"));
            line(format_args!("a={direction}"));
            for own in lines {
                let tag = tags.get(index).copied().flatten().map_or(own.tag, |(tag, _)| tag);
                let Line { suite, more, parameter, .. } = own;
                line(format_args!(
                    "a=crypto:{tag} {suite} inline:{}{more}{parameter}",
                    key(who, own.key, suite)
                ));
            }
        }
        text
    }
}

impl Section {
    fn offered(dice: &mut Dice, kind: &'static str) -> Section {
        let protocol = dice.pick(&PROTOCOLS);
        let secure = protocol.contains("SAVP");
        let mut lines: Vec<Line> = Vec::new();
        if secure || dice.chance(45) {
            let mut tag = dice.pick(&[1, 1, 1, 2, 7]);
            for _ in 0..dice.pick(&[1, 1, 2, 3]) {
                let suite = if dice.chance(10) { dice.pick(&REFUSED) } else { dice.pick(&SUITES) };
                // What is encrypted and authenticated in one has none of those that switch off either.
                let parameters = &PARAMETERS[usize::from(suite.starts_with("AEAD"))..];
                let parameter = if dice.chance(8) { dice.pick(parameters) } else { "" };
                let more = if dice.chance(20) { dice.pick(&MORE) } else { "" };
                if lines.iter().all(|line| line.suite != suite) {
                    lines.push(Line { tag, suite, key: 1, more, parameter });
                    tag += dice.pick(&[1, 1, 3]);
                }
            }
            if lines.iter().all(|line| REFUSED.contains(&line.suite)) {
                lines.push(Line { tag, suite: SUITES[6], key: 1, more: "", parameter: "" });
            }
        }
        Section { kind, protocol: protocol.to_owned(), lines, direction: "sendrecv" }
    }
}

/// What may stand behind a key.
const MORE: [&str; 4] = ["|2^20", "|2^31|1:1", "|1:4", "|2^31"];

/// Session parameters of a line.
const PARAMETERS: [&str; 3] = [" UNENCRYPTED_SRTCP", " KDR=0", " WSH=128"];
