//! SRTP as a party speaks it: the lines that it writes, the one that it takes of those it is shown, the packets that it
//! protects.

use std::collections::BTreeMap;

use rtp::sdp::{Crypto, InlineKey, Lifetime};
use rtp::srtp::{KeyParameters, MasterKey, Mki, Outbound, Policy, SessionParameters, Suite};

use crate::party::{Kind, Party};
use crate::rng::Rng;

/// What a party makes of SRTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// It speaks none.
    Plain,
    /// It asks for it (RTP/SAVP), and answers who asks.
    Demanded,
    /// It writes keys beside a profile that needs none (RFC 8643), and takes those that it is shown.
    BestEffort,
}

/// Keys of one section as its party has them.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// Its own line that is in use.
    pub(crate) speaks: Option<Crypto>,
    /// By key: what was sent under it. No key begins anew.
    sends: BTreeMap<Vec<u8>, Outbound>,
}

impl Ring {
    /// Protects a packet under a line.
    pub(crate) fn protect(&mut self, line: &Crypto, packet: &[u8], rtcp: bool) -> Vec<u8> {
        let new = || Outbound::new(&policy(line, false)).expect("lines here can be used");
        let outbound = self.sends.entry(line.keys[0].key_and_salt.to_vec()).or_insert_with(new);
        let mut buffer = [packet, &[0; ROOM]].concat();
        let length = if rtcp {
            outbound.protect_rtcp(&mut buffer, packet.len())
        } else {
            outbound.protect_rtp(&mut buffer, packet.len())
        };
        buffer.truncate(length.expect("parties number what they send one after the other"));
        buffer
    }
}

impl Party {
    /// Writes keys into what it offers.
    pub(crate) fn offer_keys(&mut self, calm: bool, rng: &mut Rng) {
        if self.style == Style::Plain {
            return;
        }
        self.rings.resize_with(self.sections.len().max(self.rings.len()), Ring::default);
        for (section, ring) in self.sections.iter_mut().zip(&self.rings) {
            if !matches!(section.kind, Kind::Audio | Kind::Video) {
                continue;
            }
            if !calm && rng.percent(4) {
                (section.profile, section.keys) = ("RTP/AVP", Vec::new());
                continue;
            }
            let renewed = rng.percent(15);
            match &ring.speaks {
                Some(line) if !renewed => section.keys = vec![line.clone()],
                None if !renewed && !section.keys.is_empty() => {}
                _ => {
                    let first = u32::from(rng.u16(1, 9));
                    let lines = 0..u32::from(rng.u16(1, 4));
                    section.keys = lines.map(|line| random(first + line, suite(rng), calm, rng)).collect();
                }
            }
            let is_secure = section.profile.contains("SAVP");
            section.profile = match self.style {
                Style::Demanded if is_secure => section.profile,
                Style::Demanded => rng.pick(&["RTP/SAVP", "RTP/SAVPF"]),
                _ => "RTP/AVP",
            };
        }
    }

    /// Chooses among the keys that it was shown.
    pub(crate) fn answer_keys(&mut self, calm: bool, rng: &mut Rng) {
        self.rings.resize_with(self.sections.len().max(self.rings.len()), Ring::default);
        for (index, section) in self.sections.iter_mut().enumerate() {
            let told = self.told.get(index).filter(|told| !told.keys.is_empty());
            let speaks = &mut self.rings[index].speaks;
            let takes = self.style != Style::Plain && (calm || rng.percent(92));
            let Some(told) = told.filter(|_| takes && matches!(section.kind, Kind::Audio | Kind::Video))
            else {
                (section.profile, section.keys, *speaks) = ("RTP/AVP", Vec::new(), None);
                continue;
            };
            let fits = |line: &&mut Crypto| {
                told.keys.iter().any(|ours| ours.tag == line.tag && ours.suite == line.suite)
            };
            let kept = speaks.as_mut().filter(fits).filter(|_| rng.percent(85)).cloned();
            let line = kept.unwrap_or_else(|| {
                let chosen = if rng.percent(60) { 0 } else { rng.index(told.keys.len()) };
                let Crypto { tag, suite, .. } = &told.keys[chosen];
                random(*tag, Suite::from_name(suite).expect("we write suites that are known"), calm, rng)
            });
            *speaks = Some(line.clone());
            (section.profile, section.keys) = (told.profile, vec![line]);
        }
    }

    /// It was answered: the line of its own that the answer names is in use.
    pub(crate) fn answered_keys(&mut self) {
        for ((ring, section), told) in self.rings.iter_mut().zip(&self.sections).zip(&self.told) {
            ring.speaks = told
                .keys
                .first()
                .and_then(|chosen| section.keys.iter().find(|line| line.tag == chosen.tag).cloned());
        }
    }
}

/// A line with a new key.
fn random(tag: u32, suite: Suite, calm: bool, rng: &mut Rng) -> Crypto {
    let key_and_salt: Vec<u8> = (0..suite.master_bytes()).map(|_| rng.u8()).collect();
    let lifetime = match rng.below(10) {
        0 => Some(Lifetime::PowerOfTwo(31)),
        // Used up soon.
        1 if !calm => Some(Lifetime::Packets(rng.between(5, 60))),
        _ => None,
    };
    let mki = rng.percent(10).then(|| (u128::from(rng.u8()), rng.pick(&[1, 2, 4])));
    let unencrypted = !suite.is_aead() && rng.percent(8);
    Crypto {
        tag,
        suite: suite.name().to_owned(),
        keys: vec![InlineKey { key_and_salt: key_and_salt.into(), lifetime, mki }],
        parameters: unencrypted.then(|| "UNENCRYPTED_SRTCP".to_owned()).into_iter().collect(),
    }
}

pub(crate) fn suite(rng: &mut Rng) -> Suite {
    rng.pick(&Suite::ALL)
}

/// How packets are protected under a line.
pub(crate) fn policy(line: &Crypto, limited: bool) -> Policy {
    let suite = Suite::from_name(&line.suite).expect("lines here name suites that are known");
    let said = |parameter: &str| line.parameters.iter().any(|said| said == parameter);
    let keys = line.keys.iter().map(|key| KeyParameters {
        key: MasterKey::from_concatenation(suite, &key.key_and_salt).expect("keys here have their length"),
        mki: key.mki.map(|(value, bytes)| {
            let value = u64::try_from(value).expect("a few bytes");
            Mki::new(value, bytes.into()).expect("identifiers here fit")
        }),
        lifetime: key.lifetime.filter(|_| limited).map(Lifetime::packets),
    });
    Policy {
        suite,
        keys: keys.collect(),
        parameters: SessionParameters {
            unencrypted_srtp: said("UNENCRYPTED_SRTP"),
            unencrypted_srtcp: said("UNENCRYPTED_SRTCP"),
            unauthenticated_srtp: said("UNAUTHENTICATED_SRTP"),
        },
    }
}

/// Behind a packet, for what protects it.
pub(crate) const ROOM: usize = 160;
