//! What keeps one end's audio secret: keys in its description (SDES, RFC 4568), as carriers have it, or a handshake on the
//! audio's own way (DTLS-SRTP, RFC 5763), as phones of today have it.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use rand::Rng;
use rtp::dtls::{
    Association, DATAGRAM_BYTES_MAX, Event, Fingerprints, Identity, Provider, Providers, Role, Setup, Terms,
};
use rtp::sdp::{Crypto, InlineKey, Line, Sdp};
use rtp::srtp::{Inbound, MasterKey, Outbound, Policy, RTP_OVERHEAD_BYTES_MAX, Suite};

use super::audio::Audio;

/// SRTP of one end.
pub(super) struct Srtp {
    inbound: Inbound,
    outbound: Outbound,
}

impl Srtp {
    fn new(suite: Suite, local: MasterKey, remote: MasterKey) -> anyhow::Result<Srtp> {
        let inbound = Inbound::new(&Policy::new(suite, remote))?;
        Ok(Srtp { inbound, outbound: Outbound::new(&Policy::new(suite, local))? })
    }

    /// The packet as it goes over the wire.
    pub(super) fn protect(&mut self, packet: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut wire = packet.to_vec();
        wire.resize(packet.len() + RTP_OVERHEAD_BYTES_MAX, 0);
        let length = self.outbound.protect_rtp(&mut wire, packet.len())?;
        wire.truncate(length);
        Ok(wire)
    }

    /// The packet that came over the wire; `None` for what its sender never sent.
    pub(super) fn unprotect<'a>(&mut self, wire: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = self.inbound.unprotect_rtp(wire).ok()?;
        Some(&wire[..length])
    }
}

/// Keys for whoever reads the description.
pub(super) struct Described {
    key_and_salt: Vec<u8>,
}

/// What the carrier of the demo speaks: what every carrier with SRTP does.
const SUITE: Suite = Suite::AesCm128HmacSha1_80;

impl Described {
    pub(super) fn new(random: &mut impl Rng) -> Described {
        let mut key_and_salt = vec![0; SUITE.master_bytes()];
        random.fill_bytes(&mut key_and_salt);
        Described { key_and_salt }
    }

    /// Answers an offer: `own` gets the profile and our key, and both keys are in use.
    pub(super) fn answer(&self, offer: &[u8], own: &mut Sdp) -> anyhow::Result<Srtp> {
        let offer = Sdp::parse(offer)?;
        let section = offer.media.first().context("the offer has no media")?;
        ensure!(section.media().proto == "RTP/SAVP", "the offer is in clear: {}", section.media().proto);
        let lines = section.section.lines().iter().filter_map(|line| line.attribute());
        let offered = lines.filter(|attribute| attribute.name == "crypto").find_map(|attribute| {
            attribute.value?.parse::<Crypto>().ok().filter(|line| line.suite == SUITE.name())
        });
        let offered = offered.with_context(|| format!("the offer has no {}", SUITE.name()))?;
        let line = Crypto {
            tag: offered.tag,
            suite: offered.suite.clone(),
            keys: vec![InlineKey {
                key_and_salt: self.key_and_salt.clone().into(),
                lifetime: None,
                mki: None,
            }],
            parameters: Vec::new(),
        };
        profile(own, "RTP/SAVP", &[("crypto", line.to_string())])?;
        let key =
            |bytes: &[u8]| MasterKey::from_concatenation(SUITE, bytes).context("a key of another length");
        let theirs = offered.keys.first().context("a line without a key")?;
        Srtp::new(SUITE, key(&self.key_and_salt)?, key(&theirs.key_and_salt)?)
    }
}

/// A certificate whose fingerprint the description tells.
pub(super) struct Handshake {
    providers: Providers,
    base: Instant,
}

impl Handshake {
    pub(super) fn new() -> anyhow::Result<Handshake> {
        let base = Instant::now();
        Ok(Handshake { providers: Providers::new(Identity::generate()?, base)?, base })
    }

    /// Makes a description that wants a handshake, whoever begins it.
    pub(super) fn offer(&self, own: &mut Sdp) -> anyhow::Result<()> {
        let fingerprint = self.providers.identity().fingerprint().to_string();
        profile(
            own,
            "UDP/TLS/RTP/SAVP",
            &[("setup", Setup::ActPass.to_string()), ("fingerprint", fingerprint)],
        )
    }

    /// Shakes hands with whom the answer describes.
    pub(super) fn with(
        &self,
        answer: &[u8],
        audio: &Audio,
        random: &mut impl Rng,
        deadline: Instant,
    ) -> anyhow::Result<Srtp> {
        let answer = Sdp::parse(answer)?;
        let remote = answer.rtp_address(0).context("the answer says nowhere to shake hands")?;
        let section = &answer.media.first().context("the answer has no media")?.section;
        let value = |name: &str| section.attribute(name).and_then(|attribute| attribute.value);
        let setup: Setup = value("setup").context("the answer has no a=setup")?.parse()?;
        let role = match setup.answerer_role(Setup::ActPass)? {
            Some(answerer) => answerer.peer(),
            None => bail!("the answer wants no handshake"),
        };
        self.shake(Fingerprints::parse(value("fingerprint"))?, role, remote, audio, random, deadline)
    }

    fn shake(
        &self,
        expected: Fingerprints,
        role: Role,
        remote: std::net::SocketAddr,
        audio: &Audio,
        random: &mut impl Rng,
        deadline: Instant,
    ) -> anyhow::Result<Srtp> {
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        let provider = Provider::Dimpl;
        let suites = provider.suites();
        let terms = Terms { provider, role, expected: Some(&expected), suites, seed };
        let mut association = Association::new(&self.providers, terms, self.now())?;
        let mut datagram = [0; DATAGRAM_BYTES_MAX];
        loop {
            while let Some(length) = association.poll_transmit(&mut datagram) {
                audio.send(&datagram[..length], remote)?;
            }
            match association.poll_event() {
                Some(Event::Connected(connected)) => {
                    let keys = connected.keys;
                    return Srtp::new(keys.suite, keys.local, keys.remote);
                }
                Some(Event::Failed(reason)) => bail!("the handshake failed: {reason}"),
                Some(Event::Closed) => bail!("the handshake was given up"),
                None => {}
            }
            ensure!(Instant::now() < deadline, "the handshake does not end");
            let due = association.next_deadline().map_or(deadline, |due| {
                (self.base + std::time::Duration::from_nanos(due.as_nanos())).min(deadline)
            });
            let mut wire = [0; 2048];
            match audio.receive(due, &mut wire)? {
                // What changed nothing came again, or was for somebody else.
                Some(length) => drop(association.handle_datagram(self.now(), &wire[..length])),
                None => association.handle_timeout(self.now()),
            }
        }
    }

    fn now(&self) -> rtp::units::Instant {
        let nanos = u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX);
        rtp::units::Instant::from_nanos(nanos)
    }
}

/// Gives the only section of a description another profile, and lines.
fn profile(own: &mut Sdp, proto: &str, lines: &[(&str, String)]) -> anyhow::Result<()> {
    let media = own.media.first_mut().context("a description without media")?;
    media.set_media(rtp::sdp::Media { proto: proto.to_owned(), ..media.media().clone() })?;
    for (name, value) in lines {
        media.section.append(Line::attribute_of(name, Some(value))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::super::audio::Voice;
    use super::*;

    #[test]
    fn two_ends_shake_hands_and_hear_each_other_and_nobody_else() {
        let ends =
            [Audio::open([127, 0, 0, 1].into()), Audio::open([127, 0, 0, 1].into())].map(Result::unwrap);
        let at = [ends[0].address(), ends[1].address()].map(Result::unwrap);
        let voices = [Voice::new(1, 440, 5), Voice::new(2, 1000, 5)];
        let hands = [Handshake::new(), Handshake::new()].map(Result::unwrap);
        let deadline = Instant::now() + Duration::from_secs(10);
        let talk = |own: usize, role: Role| {
            let other = 1 - own;
            let expected = Fingerprints::one(hands[other].providers.identity().fingerprint());
            let mut random = StdRng::seed_from_u64(own as u64);
            let mut srtp =
                hands[own].shake(expected, role, at[other], &ends[own], &mut random, deadline).unwrap();
            assert_eq!(srtp.unprotect(&mut [0x80; 172]), None);
            if own == 1 {
                ends[own].await_voice(deadline).unwrap();
            }
            ends[own].talk(at[other], &mut srtp, &voices[own], &voices[other]).unwrap()
        };
        let tallies = std::thread::scope(|scope| {
            let far = scope.spawn(|| talk(1, Role::Server));
            [talk(0, Role::Client), far.join().unwrap()]
        });
        for tally in tallies {
            assert_eq!((tally.sent, tally.intact, tally.broken), (5, 5, 0));
        }
    }

    #[test]
    fn an_answer_has_the_key_of_its_writer_and_an_offer_in_clear_gets_none() {
        let audio = Audio::open([127, 0, 0, 1].into()).unwrap();
        let described = Described::new(&mut StdRng::seed_from_u64(1));
        let mut answer = audio.describe().unwrap();
        let clear = answer.to_bytes();
        assert!(described.answer(&clear, &mut answer).is_err());
        let offer = Described::new(&mut StdRng::seed_from_u64(2));
        let mut offered = audio.describe().unwrap();
        let line = Crypto {
            tag: 7,
            suite: SUITE.name().to_owned(),
            keys: vec![InlineKey { key_and_salt: offer.key_and_salt.into(), lifetime: None, mki: None }],
            parameters: Vec::new(),
        };
        profile(&mut offered, "RTP/SAVP", &[("crypto", line.to_string())]).unwrap();
        let mut ours = described.answer(&offered.to_bytes(), &mut answer).unwrap();
        let value = answer.media[0].section.attribute("crypto").unwrap().value.unwrap().to_owned();
        let chosen: Crypto = value.parse().unwrap();
        assert_eq!((chosen.tag, answer.media[0].media().proto.as_str()), (7, "RTP/SAVP"));
        let key = |line: &Crypto| MasterKey::from_concatenation(SUITE, &line.keys[0].key_and_salt).unwrap();
        let mut theirs = Srtp::new(SUITE, key(&line), key(&chosen)).unwrap();
        let packet = [0x80; 172];
        let mut wire = theirs.protect(&packet).unwrap();
        assert_eq!(ours.unprotect(&mut wire), Some(&packet[..]));
        let mut wire = ours.protect(&packet).unwrap();
        assert_eq!(theirs.unprotect(&mut wire), Some(&packet[..]));
    }
}
