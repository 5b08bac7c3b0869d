//! Keys of SRTP by a handshake (DTLS-SRTP, RFC 5763, RFC 8842): which certificates a party names, who begins, when a
//! handshake is made anew, and what each side is shown of ours.
//!
//! Each side has a handshake with us, and none with the other side. Ours is the same certificate towards everybody in a call.

use ng::Signal;
use rand::{RngExt, rngs::StdRng};
use rtp::{
    dtls::{Endpoint, Fingerprint, Fingerprints, Providers, Role, Setup, TlsId},
    sdp::Sdp,
    srtp::Suite,
};

use super::sdes;
use crate::media::Media;

/// What a description says of a handshake in one of its sections.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    endpoint: Endpoint,
    /// `None` if it is left out.
    setup: Option<Setup>,
    /// Its sender checks connectivity by ICE.
    ice: bool,
}

/// What was said of handshakes in a section, by its party and to it.
#[derive(Debug, Clone)]
pub(crate) struct Dtls {
    providers: Providers,
    tls_id: TlsId,
    /// What it is told of our role.
    ours: Setup,
    /// What it said in an offer that is not answered yet.
    offered: Option<Said>,
    /// Towards it, we wait where we may choose.
    passive: bool,
    agreed: Option<Agreed>,
    /// Of handshakes that are agreed on, so that another one is told from this one.
    number: u32,
    /// It stands beside a profile that needs no keys (RFC 8643).
    beside: bool,
    /// Agreed by the handshake of RTP.
    suite: Option<Suite>,
}

/// A handshake that both sides know of.
#[derive(Debug, Clone)]
struct Agreed {
    theirs: Said,
    /// Ours.
    role: Role,
}

/// The handshake that is to be made with a party.
pub(crate) struct Plan<'a> {
    pub(crate) number: u32,
    pub(crate) role: Role,
    pub(crate) expected: &'a Fingerprints,
    pub(crate) providers: &'a Providers,
    /// The party is like a browser.
    pub(crate) ice_and_feedback: bool,
}

impl Said {
    /// What is said of a section, by itself or by the session; `None` if nothing is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(sdp: &Sdp, index: usize) -> Result<Option<Self>, String> {
        let section = &sdp.media[index].section;
        let of = |section: &rtp::sdp::Section| -> Vec<String> {
            let attributes = section.lines().iter().filter_map(|line| line.attribute());
            let values = attributes.filter(|attribute| attribute.name == "fingerprint");
            values.filter_map(|attribute| attribute.value.map(str::to_owned)).collect()
        };
        let mut values = of(section);
        if values.is_empty() {
            values = of(&sdp.session);
        }
        if values.is_empty() {
            return Ok(None);
        }
        let fingerprints = Fingerprints::parse(values.iter().map(String::as_str))
            .map_err(|error| format!("a=fingerprint: {error}"))?;
        let value = |name| sdp.attribute(index, name).and_then(|attribute| attribute.value);
        let setup = value("setup").map(str::parse::<Setup>).transpose();
        let setup = setup.map_err(|error| format!("a=setup: {error}"))?;
        if setup == Some(Setup::HoldConn) {
            return Err("a=setup:holdconn, which keys of SRTP cannot wait for (RFC 5763 §5)".to_owned());
        }
        // A name that is none names nothing.
        let tls_id = value("tls-id").and_then(|value| value.parse().ok());
        let ice = value("ice-ufrag").is_some();
        Ok(Some(Self { endpoint: Endpoint { fingerprints, tls_id }, setup, ice }))
    }
}

impl Dtls {
    fn new(providers: &Providers, chance: &mut StdRng) -> Self {
        Self {
            providers: providers.clone(),
            tls_id: TlsId::from_random(chance.random()),
            ours: Setup::ActPass,
            offered: None,
            passive: false,
            agreed: None,
            number: 0,
            beside: false,
            suite: None,
        }
    }

    /// What a further party that answers was offered: the same, of which it has agreed to nothing.
    pub(crate) fn as_offered(&self) -> Self {
        Self { agreed: None, offered: None, suite: None, number: 0, ..self.clone() }
    }

    /// It stands beside a profile that needs no keys.
    pub(crate) const fn is_beside(&self) -> bool {
        self.beside
    }

    /// Both sides know of a handshake.
    pub(crate) const fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// Ours, once it is agreed.
    pub(crate) fn role(&self) -> Option<Role> {
        self.agreed.as_ref().map(|agreed| agreed.role)
    }

    pub(crate) const fn suite(&self) -> Option<Suite> {
        self.suite
    }

    /// A handshake has agreed on this suite.
    pub(crate) const fn settle(&mut self, suite: Suite) {
        self.suite = Some(suite);
    }

    /// The handshake that is to be made, once it is agreed.
    pub(crate) fn plan(&self, protocol: &str) -> Option<Plan<'_>> {
        let Agreed { theirs, role } = self.agreed.as_ref()?;
        Some(Plan {
            number: self.number,
            role: *role,
            expected: &theirs.endpoint.fingerprints,
            providers: &self.providers,
            ice_and_feedback: theirs.ice && protocol.ends_with("SAVPF"),
        })
    }

    /// Takes over what is agreed: the same handshake goes on unless its party or a role changed (RFC 8842 §5).
    fn agree(&mut self, theirs: Said, role: Role, chance: &mut StdRng) {
        if !self.continues(&theirs) || self.role() != Some(role) {
            if self.agreed.is_some() && self.offered.is_some() {
                // Whoever answers with a new handshake names it anew (RFC 8842 §5.3).
                self.tls_id = TlsId::from_random(chance.random());
            }
            self.number = self.number.wrapping_add(1);
            self.suite = None;
        }
        self.agreed = Some(Agreed { theirs, role });
    }

    fn continues(&self, later: &Said) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| !agreed.theirs.endpoint.asks_for_new(&later.endpoint))
    }
}

/// Whether a profile demands a handshake (RFC 5764 §8).
pub(crate) fn is_demanded(protocol: &str) -> bool {
    matches!(protocol, "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
}

/// Takes in what a party offers.
pub(crate) fn offered(
    media: &mut Media,
    said: Option<&Said>,
    signal: &Signal,
    providers: Option<&Providers>,
    chance: &mut StdRng,
) {
    let (Some(said), Some(providers)) = (said, providers) else {
        media.dtls = None;
        return;
    };
    let beside = !sdes::is_secure(&media.protocol);
    let dtls = media.dtls.get_or_insert_with(|| Box::new(Dtls::new(providers, chance)));
    (dtls.offered, dtls.beside) = (Some(said.clone()), beside);
    dtls.passive = signal.dtls.reverse_passive;
}

/// Offers a party a handshake, if its profile demands one, or beside other keys.
pub(crate) fn offer(
    media: &mut Media,
    beside: bool,
    signal: &Signal,
    providers: Option<&Providers>,
    chance: &mut StdRng,
) {
    let secure = sdes::is_secure(&media.protocol);
    let wanted = secure || beside || signal.osrtp.offer;
    // Whoever chose keys of its description before is not asked again.
    let chose_otherwise = media.keying.as_ref().is_some_and(|keying| keying.suite().is_some())
        && !media.dtls.as_ref().is_some_and(|dtls| dtls.is_agreed());
    let demanded = is_demanded(&media.protocol);
    let Some(providers) = providers.filter(|_| demanded || wanted && !signal.dtls.off && !chose_otherwise)
    else {
        media.dtls = None;
        return;
    };
    let dtls = media.dtls.get_or_insert_with(|| Box::new(Dtls::new(providers, chance)));
    (dtls.ours, dtls.offered, dtls.beside) = (Setup::ActPass, None, !secure);
}

/// Takes in what a party chose of what it was offered; it was seen before that it may.
pub(crate) fn answered(media: &mut Media, said: Option<&Said>, chance: &mut StdRng) {
    let chosen = media.dtls.as_deref_mut().zip(said).and_then(|(dtls, said)| {
        let role = role_in_answer(said)?;
        dtls.offered = None;
        dtls.agree(said.clone(), role.peer(), chance);
        Some(())
    });
    if chosen.is_none() {
        media.dtls = None;
    }
}

/// Answers a party that offered a handshake. Where we may choose we begin, so that it is done early (RFC 5763 §5),
/// unless the client says otherwise or it is `hidden` where the party can be reached.
pub(crate) fn answer(media: &mut Media, hidden: bool, signal: &Signal, chance: &mut StdRng) {
    let Some(dtls) = media.dtls.as_deref_mut() else { return };
    // Answered again: what was chosen stands.
    let Some(theirs) = dtls.offered.clone().or_else(|| Some(dtls.agreed.as_ref()?.theirs.clone())) else {
        media.dtls = None;
        return;
    };
    let waits = dtls.passive || signal.dtls.passive || hidden;
    let preferred = if waits { Role::Server } else { Role::Client };
    let preferred = dtls.role().filter(|_| dtls.continues(&theirs)).unwrap_or(preferred);
    let offered = theirs.setup.unwrap_or(Setup::ABSENT_IN_OFFER);
    let setup = offered.answered(preferred);
    let Ok(Some(role)) = setup.answerer_role(offered) else {
        media.dtls = None;
        return;
    };
    dtls.agree(theirs, role, chance);
    (dtls.ours, dtls.offered) = (setup, None);
}

/// Why an answer cannot be one to the handshake that a section's party was offered.
pub(crate) fn mismatch(media: &Media, said: &Said) -> Option<&'static str> {
    if media.dtls.is_none() {
        return Some("The answer has a=fingerprint (DTLS), which was not offered");
    }
    role_in_answer(said)
        .is_none()
        .then_some("The answer's a=setup is none to an offer of actpass (RFC 4145 §4.1)")
}

/// The role of whoever answers us, who always offer both.
fn role_in_answer(said: &Said) -> Option<Role> {
    let setup = said.setup.unwrap_or(Setup::ABSENT_IN_ANSWER);
    setup.answerer_role(Setup::ActPass).ok().flatten()
}

/// What a party is shown of ours: names and values of attributes, in order.
pub(crate) fn lines(media: &Media, signal: &Signal) -> Vec<(&'static str, String)> {
    let Some(dtls) = &media.dtls else { return Vec::new() };
    let fingerprint: Fingerprint = dtls.providers.identity().fingerprint();
    let mut lines = vec![("setup", dtls.ours.to_string()), ("fingerprint", fingerprint.to_string())];
    // Whoever names nothing in its offer is answered without a name (RFC 8842 §5.3).
    let asked = dtls.agreed.as_ref().is_none_or(|agreed| agreed.theirs.endpoint.tls_id.is_some());
    if !signal.dtls.no_tls_id && (dtls.ours == Setup::ActPass || asked) {
        lines.push(("tls-id", dtls.tls_id.to_string()));
    }
    lines
}
