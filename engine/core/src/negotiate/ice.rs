//! ICE in descriptions (RFC 8839): what a party says of itself, what it is told of us, and when the checks begin anew.
//!
//! ICE is spoken with each side apart: no candidate, name or password of one party is shown to another. An offerer that has it
//! is answered with it. The other side is offered it if the offer has it or the client wants it, and is offered again what
//! it answered once, as in rtpengine. What an offer says is in force once it is answered: until then the checks of before
//! go on (RFC 8839 §4.4.1).
//!
//! A default address that is none of the candidates (RFC 8839 §4.2.5) is no reason to go without: proxies rewrite it, and the
//! checks prove more than it says. And the unspecified address with port 9 beside ICE is no hold: so say those whose candidates
//! come later, or hide their address (RFC 8840 §4.1.1).

use std::net::SocketAddr;

use ng::Signal;
use rand::{RngExt, rngs::StdRng};
use rtp::{
    ice::{Candidate, Credentials, REMOTES_MAX},
    sdp::{Line, Sdp, Section},
};

use super::Kind;
use crate::{
    media::{Media, Transport},
    path::Paths,
    sim::{self, Way},
};

/// Candidates of one section that are kept, of both components.
const CANDIDATES_MAX: usize = 2 * REMOTES_MAX;

/// What a description says of ICE in one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) credentials: Credentials,
    pub(crate) candidates: Vec<Candidate>,
    lite: bool,
    trickle: bool,
    ends: bool,
}

/// ICE with the party of a section.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ice {
    /// Whether the party speaks it, by its last description; `None` before it had one.
    speaks: Option<bool>,
    /// What its last offer says, in force once it is answered.
    offer: Option<Box<Said>>,
    /// What it is told of us.
    session: Option<Box<Session>>,
    /// And that we only answer checks.
    lite: bool,
}

/// What the party is told of us, and what it told us in return.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) ours: Credentials,
    pub(crate) theirs: Option<Said>,
    pub(crate) controlling: bool,
    pub(crate) tie_breaker: u64,
    trickle: bool,
    ends: bool,
}

impl Session {
    fn new(chance: &mut StdRng) -> Self {
        let ours = Credentials::from_random(chance.random());
        let tie_breaker = chance.random();
        Self { ours, theirs: None, controlling: true, tie_breaker, trickle: false, ends: false }
    }

    /// Takes over what the party says of itself. Who answers us, is controlled by us.
    fn hear(&mut self, said: &Said, we_offered: bool, lite: bool) {
        let restarted = self.theirs.as_ref().is_none_or(|known| known.credentials != said.credentials);
        if restarted {
            sim::seen(if self.theirs.is_some() { Way::IceRestarted } else { Way::IceAgreed });
            self.controlling = said.lite || we_offered && !lite;
        }
        self.theirs = Some(said.clone());
    }
}

impl Ice {
    /// What is agreed, or offered and not answered yet.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// Whether we only answer checks in fact: somebody has to ask, and one that only answers does not.
    pub(crate) fn answers_only(&self) -> bool {
        let theirs = self.session().and_then(|session| session.theirs.as_ref());
        self.lite && !theirs.is_some_and(|theirs| theirs.lite)
    }

    /// Whether the party is told that we only answer checks.
    pub(crate) fn is_lite(&self) -> bool {
        self.lite && self.session.is_some()
    }

    /// Takes further candidates of the party, of the description by that name. Says whether it has given one.
    pub(crate) fn trickle(&mut self, fragment: &Said) -> bool {
        let theirs = self.session.as_mut().and_then(|session| session.theirs.as_mut());
        let named = |said: &&mut Said| said.credentials.ufrag() == fragment.credentials.ufrag();
        let known = self.offer.as_deref_mut().into_iter().chain(theirs).filter(named);
        let mut any = false;
        for said in known {
            any = true;
            let room = CANDIDATES_MAX - said.candidates.len().min(CANDIDATES_MAX);
            let new = fragment.candidates.iter().filter(|new| !said.candidates.contains(new)).take(room);
            let new: Vec<Candidate> = new.cloned().collect();
            said.candidates.extend(new);
        }
        any
    }

    /// Whether an address is a candidate of the party's, by its last description or the one before.
    pub(crate) fn lists(&self, address: SocketAddr) -> bool {
        let said = self
            .offer
            .as_deref()
            .into_iter()
            .chain(self.session().and_then(|session| session.theirs.as_ref()));
        said.flat_map(|said| &said.candidates).any(|candidate| candidate.udp_address() == Some(address))
    }

    /// Nothing is said of it any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Whether a section leaves it to ICE where its party is.
pub(crate) fn is_elsewhere(sdp: &Sdp, index: usize) -> bool {
    const DISCARD: u16 = 9;
    let nowhere = sdp.connection(index).and_then(|connection| connection.ip());
    nowhere.is_some_and(|ip| ip.is_unspecified())
        && sdp.media[index].media().port == DISCARD
        && is_said(sdp, index)
}

/// Whether a section names a user of ICE.
pub(crate) fn is_said(sdp: &Sdp, index: usize) -> bool {
    sdp.attribute(index, "ice-ufrag").is_some()
}

/// What a section says of ICE; nothing if it names no user and password. Of malformed candidates, and of more than an agent
/// takes, nothing is kept.
///
/// # Errors
/// The text of a warning: what is wrong with the user or the password.
pub(crate) fn said(sdp: &Sdp, index: usize) -> Result<Option<Said>, String> {
    let section = &sdp.media[index].section;
    let value = |name: &str| {
        let of = |section: &Section| {
            section.attribute(name).and_then(|attribute| attribute.value).map(|value| value.trim().to_owned())
        };
        of(section).or_else(|| of(&sdp.session))
    };
    let (Some(ufrag), Some(password)) = (value("ice-ufrag"), value("ice-pwd")) else { return Ok(None) };
    let credentials = Credentials::new(&ufrag, &password)
        .map_err(|error| format!("section {}: {error}, so that ICE is not spoken", index + 1))?;
    let candidates =
        section.lines().iter().filter_map(Line::attribute).filter(|line| line.name == "candidate");
    let candidates = candidates.filter_map(|line| line.value?.parse().ok()).take(CANDIDATES_MAX).collect();
    let options = value("ice-options").unwrap_or_default();
    Ok(Some(Said {
        credentials,
        candidates,
        lite: sdp.session.has_attribute("ice-lite"),
        trickle: options.split_ascii_whitespace().any(|option| option == "trickle"),
        ends: section.has_attribute("end-of-candidates"),
    }))
}

/// What a fragment of a description (RFC 8840 §9) says, by section: its name, and candidates. `None` for what is none.
pub(crate) fn fragments(bytes: &[u8]) -> Option<Vec<(Option<String>, Said)>> {
    // What it leaves out of a description, it being a part of one.
    const HEAD: &[u8] = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    let whole = if bytes.starts_with(b"v=") { bytes.to_vec() } else { [HEAD, bytes].concat() };
    let sdp = Sdp::parse(&whole).ok()?;
    let named = |index: usize| {
        let mid = sdp.media[index].section.attribute("mid").and_then(|attribute| attribute.value);
        Some((mid.map(str::to_owned), said(&sdp, index).ok()??))
    };
    Some((0..sdp.media.len()).filter_map(named).collect())
}

/// Brings together what an offer or answer says of ICE in a section and what the client wants.
pub(crate) fn exchange(
    kind: Kind,
    signal: &Signal,
    said: Option<&Said>,
    from: &mut Media,
    to: &mut Media,
    chance: &mut StdRng,
) {
    if from.transport != Transport::Rtp {
        from.ice.forget();
        return to.ice.forget();
    }
    let wanted = signal.ice.unwrap_or(ng::Ice::Default);
    if let (Kind::Offer, Some(lite)) = (kind, signal.ice_lite) {
        (to.ice.lite, from.ice.lite) = (lite.is_forward(), lite.is_backward());
    }
    match kind {
        Kind::Offer => {
            from.ice.offer = said.cloned().map(Box::new);
            from.ice.speaks = Some(said.is_some());
            let speaks = match wanted {
                ng::Ice::Remove => false,
                ng::Ice::Force | ng::Ice::Optional | ng::Ice::ForceRelay => true,
                ng::Ice::Default => to.ice.speaks.unwrap_or_else(|| said.is_some()),
            };
            if !speaks {
                // Checks that are there go on until the answer, which is without.
                to.ice.session.take_if(|session| session.theirs.is_none());
                return;
            }
            let session = to.ice.session.get_or_insert_with(|| Box::new(Session::new(chance)));
            session.trickle = signal.trickle_ice;
            session.ends = said.is_some_and(|said| said.ends);
        }
        Kind::Answer => {
            let answered = said.filter(|_| from.ice.session.is_some());
            from.ice.speaks = Some(said.is_some());
            match (answered, &mut from.ice.session) {
                (Some(said), Some(session)) => session.hear(said, true, from.ice.lite),
                _ => from.ice.session = None,
            }
            let offer = to.ice.offer.clone().filter(|_| wanted != ng::Ice::Remove);
            let Some(offer) = offer else {
                to.ice.session = None;
                return;
            };
            let session = to.ice.session.get_or_insert_with(|| Box::new(Session::new(chance)));
            let before = session.theirs.as_ref().map(|theirs| &theirs.credentials);
            if before.is_some_and(|before| before.asks_for_restart(&offer.credentials)) {
                session.ours = Credentials::from_random(chance.random());
            }
            session.hear(&offer, false, to.ice.lite);
            (session.trickle, session.ends) = (offer.trickle, offer.trickle);
        }
    }
}

/// The lines of a section that tell its reader where we are, and under which name; none where ICE is not spoken.
pub(crate) fn lines(media: &Media, told: bool, paths: &Paths) -> Vec<(&'static str, Option<String>)> {
    let Some(session) = media.ice.session().filter(|_| told) else { return Vec::new() };
    let ours = &session.ours;
    let mut lines =
        vec![("ice-ufrag", Some(ours.ufrag().to_owned())), ("ice-pwd", Some(ours.password().to_owned()))];
    if session.trickle {
        lines.push(("ice-options", Some("trickle".to_owned())));
    }
    let checks = [media.rtp, media.rtcp].into_iter().filter_map(|half| paths.get(half)?.checks.as_deref());
    lines.extend(checks.map(|checks| ("candidate", Some(checks.candidate().to_string()))));
    if session.trickle || session.ends {
        lines.push(("end-of-candidates", None));
    }
    lines
}
