//! Keys of SRTP in descriptions (SDES, RFC 4568): which lines of a party can be used, which it is shown, and what both
//! agree on.
//!
//! No key of one party is ever shown to another: each side has keys of ours, and packets are authenticated and
//! decrypted here before anything is learned from them, and encrypted anew for whoever hears them
//! (`adr/0010-keys-end-here.md`). The suites of the offerer stand first in what the other side is offered, so that mostly both
//! speak the same.

use ng::{Sdes, Signal};
use rand::{RngExt, rngs::StdRng};
use rtp::{
    sdp::{Crypto, InlineKey, Lifetime, MediaSection},
    srtp::{KeyParameters, MasterKey, Mki, Policy, SessionParameters, Suite},
};

use crate::media::Media;

/// What was said of keys in a section, by its party and to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keying {
    /// The lines of the party's last description that can be used, in its order.
    theirs: Vec<Crypto>,
    /// The lines that it was shown last.
    ours: Vec<Crypto>,
    agreed: Option<Agreed>,
    /// The party does without. What it was shown stays for others whom its offer was forked to, and for its next answer.
    declined: bool,
    /// They stand beside a profile that needs none (RFC 8643).
    beside: bool,
}

/// A line of either side, of one suite.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Agreed {
    theirs: Crypto,
    ours: Crypto,
}

/// How packets of both directions are protected.
pub(crate) struct Policies {
    pub(crate) inbound: Policy,
    pub(crate) outbound: Policy,
}

impl Keying {
    /// What is agreed; `None` until there is an answer.
    pub(crate) fn policies(&self) -> Option<Policies> {
        let Agreed { theirs, ours } = self.agreed.as_ref()?;
        Some(Policies { inbound: policy(theirs)?, outbound: policy(ours)? })
    }

    /// The lines of its last description that can be used.
    pub(crate) fn theirs(&self) -> &[Crypto] {
        &self.theirs
    }

    /// They stand beside a profile that needs none.
    pub(crate) const fn is_beside(&self) -> bool {
        self.beside
    }

    /// Whether packets are protected, now or as soon as there is an answer.
    pub(crate) const fn protects(&self) -> bool {
        !self.declined
    }

    /// The suite that is agreed.
    pub(crate) fn suite(&self) -> Option<&str> {
        self.agreed.as_ref().map(|agreed| agreed.ours.suite.as_str())
    }

    /// The line of ours that an answer's line chooses: by its tag, or by its suite if the tag is unknown.
    fn chosen(&self, theirs: &Crypto) -> Option<&Crypto> {
        let same = |ours: &&Crypto| ours.suite.eq_ignore_ascii_case(&theirs.suite);
        let tagged = self.ours.iter().filter(|ours| ours.tag == theirs.tag).find(same);
        tagged.or_else(|| self.ours.iter().find(same))
    }

    /// Shows the party lines to choose from: what is agreed, the suites of `first`, and all others that are allowed.
    fn offer(&mut self, first: &[Crypto], wanted: &Sdes, chance: &mut StdRng) {
        if std::mem::take(&mut self.declined) {
            self.ours.clear();
        }
        if self.agreed.is_none() && !self.ours.is_empty() {
            // Offered again before anybody answered.
            return;
        }
        let mut suites: Vec<Suite> = Vec::new();
        let mut add = |suite: Suite| {
            if !suites.contains(&suite) {
                suites.push(suite);
            }
        };
        let allowed = |suite: &Suite| wanted.allows(suite.name());
        first.iter().filter_map(suite).filter(allowed).for_each(&mut add);
        let mut others: Vec<Suite> = Suite::ALL.into_iter().filter(allowed).collect();
        others.sort_by_key(|suite| Sdes::place(&wanted.order, suite.name()).unwrap_or(usize::MAX));
        if !wanted.nonew || first.is_empty() {
            others.into_iter().for_each(&mut add);
        }
        if suites.is_empty() {
            // A profile that demands keys gets them, even if the lists leave nothing.
            suites.extend(first.iter().filter_map(suite).chain([Suite::AesCm128HmacSha1_80]).take(1));
        }
        let kept = self.agreed.as_ref().map(|agreed| agreed.ours.clone());
        self.ours.clear();
        let mut tag = kept.as_ref().map_or(0, |kept| kept.tag);
        self.ours.extend(kept);
        let known = self.ours.first().and_then(suite);
        for suite in suites.into_iter().filter(|suite| Some(*suite) != known) {
            tag = tag % TAG_MAX + 1;
            self.ours.push(own(tag, suite, wanted, chance));
        }
    }

    /// Answers the party with one line: what was agreed if it is offered still, else the suite that the other side has,
    /// else what is preferred.
    fn answer(&mut self, other: Option<&str>, wanted: &Sdes, chance: &mut StdRng) {
        if let Some(agreed) = self.agreed.as_ref().filter(|agreed| self.theirs.contains(&agreed.theirs)) {
            self.ours = vec![agreed.ours.clone()];
            return;
        }
        // What the client wants none of is taken where there is nothing else.
        let allowed = || self.theirs.iter().filter(|line| wanted.allows(&line.suite));
        let named = |suite: &str| allowed().find(|line| line.suite.eq_ignore_ascii_case(suite));
        let preferred = wanted.offerer_preference.iter().find_map(|name| {
            allowed().find(|line| Sdes::place(std::slice::from_ref(name), &line.suite).is_some())
        });
        let chosen = preferred.or_else(|| named(other?)).or_else(|| allowed().next());
        let Some(theirs) = chosen.or_else(|| self.theirs.first()) else { return };
        let Some(suite) = suite(theirs) else { return };
        // Under a tag and suite that were answered before, our key stays what it was.
        let before = self.agreed.as_ref().filter(|before| {
            before.theirs.tag == theirs.tag
                && before.theirs.suite == theirs.suite
                && before.ours.parameters == theirs.parameters
        });
        let ours = match before {
            Some(before) => before.ours.clone(),
            None => Crypto { parameters: understood(theirs), ..own(theirs.tag, suite, wanted, chance) },
        };
        self.agreed = Some(Agreed { theirs: theirs.clone(), ours: ours.clone() });
        self.ours = vec![ours];
    }
}

/// Takes in what a party offers. Without keys, what is agreed holds until the answer.
pub(crate) fn offered(media: &mut Media, keys: &[Crypto]) {
    if keys.is_empty() {
        media.keying.take_if(|keying| keying.agreed.is_none());
        if let Some(keying) = &mut media.keying {
            (keying.theirs, keying.beside) = (Vec::new(), false);
        }
        return;
    }
    let beside = !is_secure(&media.protocol);
    let keying = media.keying.get_or_insert_default();
    (keying.theirs, keying.beside, keying.declined) = (keys.to_vec(), beside, false);
}

/// Offers a party keys, if its profile demands them, the client wants them beside, or they came beside (`beside`). Else what
/// is agreed holds until the answer: nobody who has keys is sent to in clear before it knows.
pub(crate) fn offer(media: &mut Media, first: &[Crypto], beside: bool, signal: &Signal, chance: &mut StdRng) {
    let demanded = is_secure(&media.protocol);
    // A handshake does alone where the client wants no keys in descriptions.
    let off = signal.sdes.off && (!demanded || media.dtls.is_some());
    // Whoever has agreed on keys beside a plain profile is not sent back to plain by the other side's next offer.
    let agreed = media.keying.as_ref().is_some_and(|keying| keying.beside && keying.agreed.is_some())
        && signal.transport_protocol.is_none();
    if off || !(demanded || signal.osrtp.offer || beside || agreed) {
        media.keying.take_if(|keying| keying.agreed.is_none());
        if let Some(keying) = &mut media.keying {
            (keying.ours, keying.beside) = (Vec::new(), false);
        }
        return;
    }
    let keying = media.keying.get_or_insert_default();
    keying.beside = !demanded;
    keying.offer(first, &signal.sdes, chance);
}

/// Takes in what a party chose of what it was offered.
pub(crate) fn answered(media: &mut Media, keys: &[Crypto]) {
    let agreed = media.keying.as_ref().and_then(|keying| {
        keys.iter().find_map(|theirs| {
            let ours = keying.chosen(theirs)?;
            Some(Agreed { theirs: theirs.clone(), ours: ours.clone() })
        })
    });
    match (&mut media.keying, agreed) {
        (Some(keying), None) if !keying.ours.is_empty() => (keying.agreed, keying.declined) = (None, true),
        (Some(keying), Some(agreed)) => (keying.agreed, keying.declined) = (Some(agreed), false),
        (plain, _) => *plain = None,
    }
}

/// Answers a party that offered keys; `other` is the suite of the other side.
pub(crate) fn answer(media: &mut Media, other: Option<&str>, wanted: &Sdes, chance: &mut StdRng) {
    match &mut media.keying {
        Some(keying) if !keying.theirs.is_empty() => keying.answer(other, wanted, chance),
        plain => *plain = None,
    }
}

/// The values of the `a=crypto` lines that a party is shown.
pub(crate) fn lines(media: &Media, wanted: &Sdes) -> Vec<String> {
    let shown = media.keying.iter().flat_map(|keying| &keying.ours);
    shown.map(|line| if wanted.pad { line.padded().to_string() } else { line.to_string() }).collect()
}

/// Why an answer in a profile, with these lines, cannot be one to what a section's party was offered.
pub(crate) fn mismatch(media: &Media, protocol: &str, keys: &[Crypto]) -> Option<&'static str> {
    let chosen = |keying: &Keying| keys.iter().any(|theirs| keying.chosen(theirs).is_some());
    match &media.keying {
        Some(keying) if keys.is_empty() || chosen(keying) => None,
        Some(_) => Some("The answer chooses SRTP keys (a=crypto) that were not offered"),
        None if is_secure(protocol) => Some("The answer has a profile with SRTP, which was not offered"),
        None => None,
    }
}

/// The lines of a description as they may be shown to whoever looks on: of keys only the tag and the suite.
pub(crate) fn without_keys(lines: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let end = line.len() - line.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (text, ending) = line.split_at(end);
        if text.starts_with(b"a=crypto") {
            let words = text.split(|byte| *byte == b' ').take(2).collect::<Vec<_>>();
            shown.extend(words.join(&b' '));
            shown.extend(b" inline:-");
        } else {
            shown.extend(text);
        }
        shown.extend(ending);
    }
    shown
}

/// Whether a profile secures its packets (RFC 3711, 5124).
pub(crate) fn is_secure(protocol: &str) -> bool {
    protocol.split('/').any(|word| word == "SAVP" || word == "SAVPF")
}

/// The lines of a section that can be used.
pub(crate) fn usable(section: &MediaSection, wanted: &Sdes) -> Vec<Crypto> {
    let lines = section.section.lines().iter().filter_map(|line| line.attribute());
    let values = lines.filter(|attribute| attribute.name == "crypto").filter_map(|attribute| attribute.value);
    let read = values.filter_map(|value| value.parse::<Crypto>().ok());
    read.filter(|line| {
        policy(line).is_some_and(|Policy { parameters, .. }| {
            (wanted.unencrypted_srtp || !parameters.unencrypted_srtp)
                && (wanted.unauthenticated_srtp || !parameters.unauthenticated_srtp)
        })
    })
    .take(LINES_MAX)
    .collect()
}

fn suite(line: &Crypto) -> Option<Suite> {
    Suite::from_name(&line.suite).ok()
}

/// How packets are protected under a line; `None` if it cannot be used.
fn policy(line: &Crypto) -> Option<Policy> {
    let suite = suite(line)?;
    let mut parameters = SessionParameters::default();
    for parameter in &line.parameters {
        match parameter.as_str() {
            "UNENCRYPTED_SRTP" => parameters.unencrypted_srtp = true,
            "UNENCRYPTED_SRTCP" => parameters.unencrypted_srtcp = true,
            "UNAUTHENTICATED_SRTP" => parameters.unauthenticated_srtp = true,
            other if is_ignored(other) => {}
            _ => return None,
        }
    }
    let keys = line.keys.iter().map(|key| {
        Some(KeyParameters {
            key: MasterKey::from_concatenation(suite, &key.key_and_salt)?,
            mki: match key.mki {
                Some((value, bytes)) => Some(Mki::new(u64::try_from(value).ok()?, bytes.into())?),
                None => None,
            },
            lifetime: key.lifetime.map(|lifetime| lifetime.packets().min(LIFETIME_MAX)),
        })
    });
    let policy = Policy { suite, keys: keys.collect::<Option<_>>()?, parameters };
    policy.check().is_ok().then_some(policy)
}

/// Session parameters that need not be understood (RFC 4568 §6.3.7), or that ask for what is done anyway.
fn is_ignored(parameter: &str) -> bool {
    parameter.starts_with('-') || parameter == "KDR=0" || parameter.starts_with("WSH=")
}

/// Those of the other side that its answer repeats, since both sides do as they say.
fn understood(theirs: &Crypto) -> Vec<String> {
    theirs.parameters.iter().filter(|parameter| !is_ignored(parameter)).cloned().collect()
}

/// A line with a key of our own.
fn own(tag: u32, suite: Suite, wanted: &Sdes, chance: &mut StdRng) -> Crypto {
    let mut key_and_salt = zeroize::Zeroizing::new(vec![0; suite.master_bytes()]);
    chance.fill(key_and_salt.as_mut_slice());
    let parameters = [
        (wanted.unencrypted_srtp, "UNENCRYPTED_SRTP"),
        (wanted.unencrypted_srtcp, "UNENCRYPTED_SRTCP"),
        (wanted.unauthenticated_srtp, "UNAUTHENTICATED_SRTP"),
    ];
    let said = parameters.into_iter().filter(|(said, _)| *said && !suite.is_aead());
    Crypto {
        tag,
        suite: suite.name().to_owned(),
        keys: vec![InlineKey {
            key_and_salt,
            lifetime: wanted.lifetime.then_some(Lifetime::PowerOfTwo(31)),
            mki: None,
        }],
        parameters: said.map(|(_, parameter)| parameter.to_owned()).collect(),
    }
}

/// Lines of one section that are considered.
const LINES_MAX: usize = 32;

/// Tags have up to nine digits.
const TAG_MAX: u32 = 999_999_999;

/// Packets under one key at most (RFC 3711 §9.2).
const LIFETIME_MAX: u64 = 1 << 48;
