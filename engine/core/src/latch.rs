//! Where packets of a media may come from, and where ours go: the guard against hijacking
//! (`adr/0008-a-stranger-is-known-by-a-lone-stream.md`).
//!
//! Known for a party is the *signalled* address, exactly as in the description, and with it, at any port, its IP, the IP
//! that the SIP message came from where the client named it, and the media networks that an operator or the client listed.
//! 1. The first packet from a known address makes that one *confirmed*: ours go there.
//! 2. While the confirmed address is alive, packets are admitted from it and from the signalled address, and no packet
//!    moves it.
//! 3. When it was silent for [`SILENCE`], another known address may take its place, as after a NAT's rebinding. If
//!    the one that was replaced comes back, it is confirmed again at once: what was its silence is over.
//! 4. A description gives the same address again: nothing changes. It gives another one, or the known addresses no longer
//!    contain the confirmed one: the peer has moved, and is confirmed anew. Its old address is heard for what is still under
//!    way, if it is known, and not followed.
//! 5. Of a party that is known by a private address alone, seen by an engine on a public one, a
//!    lone consistent stream is taken (`window.rs`), unless learning is strict. Its IP is known from then on.
//!
//! Of a party that speaks ICE all this is not so: packets are heard from the addresses that its checks validated, and
//! go where ICE nominated; the description names nothing (`ice.rs`).
//!
//! Everything else is refused, and noted with the call. With `media handover` rule 3 needs no silence; with learning
//! off only the signalled address is known. With `asymmetric` packets go where the description says, whatever is confirmed.
//! None of these, and no other option, adds an address to the known ones.
//!
//! rtpengine admits anybody once learning is over, and learns from anybody; here a third party
//! neither injects nor receives a packet (CVE-2025-53399 and its kin).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ng::Network;
use rtp::units::Instant;

use crate::{
    offender::EARLY_MAX,
    path::PathKind,
    window::{Outcome, Window},
};

/// How long a confirmed address must be silent before another known one may take its place. Longer than the pauses of
/// comfort noise are, mostly; a rebinding NAT costs so much audio.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);
/// The same for RTCP, which comes every five seconds or so (RFC 3550 §6.2).
pub(crate) const SILENCE_RTCP: Duration = Duration::from_secs(15);

/// The guard of one RTP or RTCP half.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latch {
    /// Where the party's packets come from now.
    confirmed: Option<SocketAddr>,
    /// Where they came from before that.
    elder: Option<SocketAddr>,
    signalled: Option<SocketAddr>,
    /// Where else the party is known to be: the source of its SIP message, or of the stream that was taken for it.
    source: Option<IpAddr>,
    networks: Option<Arc<[Network]>>,
    /// Since when the confirmed address is confirmed, or the elder one is left behind, and when it was heard last.
    since: Instant,
    heard: Instant,
    window: Option<Box<Window>>,
    /// The window has been open before.
    tried: bool,
    /// The description names no place now: it is hold, or a rejected section.
    nowhere: bool,
    /// The party itself left the elder address.
    departed: bool,
    learn: bool,
    handover: bool,
    asymmetric: bool,
    /// Where ICE says the party is, if that and not its description counts.
    ice: Option<Box<Validated>>,
}

/// Addresses from which authentic checks came. As many as an agent answers.
#[derive(Debug, Clone, Default)]
struct Validated {
    /// And whether checks of ours were answered there.
    addresses: Vec<(SocketAddr, bool)>,
}

impl Validated {
    fn note(&mut self, remote: SocketAddr, validated: bool) {
        match self.addresses.iter_mut().find(|(address, _)| *address == remote) {
            Some((_, known)) => *known |= validated,
            None => self.addresses.push((remote, validated)),
        }
    }

    fn judge(&self, remote: SocketAddr) -> Option<bool> {
        self.addresses.iter().find(|(address, _)| *address == remote).map(|(_, validated)| *validated)
    }
}

/// What an offer or answer says about its sender's address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Signalled {
    /// Of the description; `None` if it is nowhere (port 0, or the unspecified address).
    pub(crate) address: Option<SocketAddr>,
    /// Where the SIP message came from.
    pub(crate) sip_source: Option<IpAddr>,
    /// Where else its media may come from.
    pub(crate) networks: Option<Arc<[Network]>>,
    /// Learning is allowed at all.
    pub(crate) learn: bool,
    /// Where nothing but a private address is known, a stream may tell where the party is.
    pub(crate) streams: bool,
    /// Another known source may take over at any time.
    pub(crate) handover: bool,
    /// The peer sends from elsewhere than it receives.
    pub(crate) asymmetric: bool,
}

/// What the guard says about a packet.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// From the confirmed address.
    Known,
    /// Admitted besides the confirmed address.
    Heard,
    /// From an address that is confirmed from now on.
    Learned(Cause),
    /// From a candidate of whom nothing is decided yet.
    Undecided,
    /// From a stranger, with whom the window ended.
    Ended(Box<Window>),
    /// From a stranger.
    Refused,
}

/// Why an address became the confirmed one.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// It was the first known one.
    First,
    /// The one before was silent, or its packets may come from anywhere known.
    Moved,
    /// Its stream was taken for the party's; the others were not.
    Stream(Box<Window>),
}

/// What becomes of a packet from an address that is not the confirmed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    First,
    Moved,
    Heard,
    Refused,
}

impl Latch {
    /// A new offer or answer of this party.
    pub(crate) fn signal(&mut self, now: Instant, said: Signalled) {
        self.learn = said.learn;
        self.handover = said.handover;
        self.asymmetric = said.asymmetric;
        self.nowhere = said.address.is_none();
        let Some(address) = said.address else {
            self.window = None;
            return;
        };
        let same_host = self.signalled.is_some_and(|before| before.ip() == address.ip());
        let moved = self.signalled != Some(address);
        // What is known of a host stays known of it where a later message is silent about it.
        let before = self.source.filter(|_| same_host);
        self.source = said.sip_source.map(|ip| ip.to_canonical()).or(before);
        self.networks = said.networks;
        self.signalled = Some(address);
        if self.ice.is_some() {
            return;
        }
        if moved || self.confirmed.is_some_and(|confirmed| !self.knows(confirmed)) {
            self.elder = self.confirmed.take().filter(|left| self.knows(*left));
            self.departed = true;
            self.since = now;
        }
        self.elder = self.elder.filter(|elder| self.knows(*elder));
        let lost = said.streams
            && said.learn
            && self.source.is_none()
            && self.networks.is_none()
            && is_private(address.ip());
        if !lost {
            self.window = None;
        } else if moved || self.window.is_none() {
            self.window = Some(Box::new(Window::waiting()));
        }
    }

    /// Lets ICE decide from now on, or the description again. What was learned the other way does not count.
    pub(crate) fn follow_ice(&mut self, follow: bool) {
        if follow == self.ice.is_some() {
            return;
        }
        self.ice = follow.then(Box::default);
        (self.confirmed, self.elder, self.window) = (None, None, None);
    }

    /// An authentic check came from `remote`, and nothing is known of the way back.
    pub(crate) fn consider_checked(&mut self, remote: SocketAddr) {
        if let Some(ice) = &mut self.ice {
            ice.note(remote, false);
        }
    }

    /// Checks with `remote` succeeded.
    pub(crate) fn validate(&mut self, remote: SocketAddr) {
        if let Some(ice) = &mut self.ice {
            ice.note(remote, true);
        }
    }

    /// Packets go to `remote` from now on.
    pub(crate) fn nominate(&mut self, now: Instant, remote: SocketAddr) {
        self.validate(remote);
        self.confirmed = Some(remote).filter(|_| self.ice.is_some());
        (self.since, self.heard) = (now, now);
    }

    /// Forgets what is not valid any more; says whether that is where packets went.
    pub(crate) fn keep_validated(&mut self, is_valid: impl Fn(SocketAddr) -> bool) -> bool {
        let Some(ice) = &mut self.ice else { return false };
        ice.addresses.retain(|(address, validated)| !validated || is_valid(*address));
        self.confirmed.take_if(|confirmed| !is_valid(*confirmed)).is_some()
    }

    /// Whether authentic checks came from there, be it validated or not.
    pub(crate) fn is_checked(&self, remote: SocketAddr) -> bool {
        self.ice.as_ref().is_some_and(|ice| ice.judge(remote).is_some())
    }

    /// What becomes of a packet from an address from which none is expected, whatever is in it.
    pub(crate) fn unexpected(&self, remote: SocketAddr) -> Verdict {
        if self.is_checked(remote) { Verdict::Undecided } else { Verdict::Refused }
    }

    /// The party knows from now on where to send. `early` are sources that were there before it can have known.
    pub(crate) fn open(&mut self, now: Instant, payload_types: u128, early: [Option<IpAddr>; EARLY_MAX]) {
        let Some(window) = &mut self.window else { return };
        // Later, it may itself have been refused before.
        window.open(now, payload_types, if self.tried { [None; EARLY_MAX] } else { early });
        self.tried = true;
    }

    /// Where the party is besides its description, if that gives this host and leaves it open.
    pub(crate) fn prove(&mut self, host: IpAddr, source: IpAddr) {
        if self.source.is_none() && self.signalled.is_some_and(|address| address.ip() == host) {
            self.source = Some(source);
            self.window = None;
        }
    }

    /// The host of the description, and where else it is known to be.
    pub(crate) fn proof(&self) -> Option<(IpAddr, IpAddr)> {
        self.signalled.map(|address| address.ip()).zip(self.source)
    }

    /// Whether a packet is admitted; what it teaches is kept.
    ///
    /// # Cost
    /// One comparison for the confirmed address. Nothing is allocated for any.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        kind: PathKind,
        remote: SocketAddr,
        packet: &[u8],
    ) -> Verdict {
        if self.confirmed == Some(remote) {
            self.heard = now;
            return Verdict::Known;
        }
        self.admit_other(now, kind, remote, packet)
    }

    /// The same for a packet that proved by its authentication to be the party's: where a stream may tell where the party
    /// is, this one does at once.
    pub(crate) fn admit_proven(&mut self, now: Instant, kind: PathKind, remote: SocketAddr) -> Verdict {
        if self.judge(now, silence(kind), remote) == Judgement::Refused
            && !self.is_heard(now, kind)
            && self.window.take().is_some()
        {
            let cause = if self.confirmed.is_none() { Cause::First } else { Cause::Moved };
            self.source = Some(remote.ip().to_canonical());
            self.take(now, silence(kind), remote);
            return Verdict::Learned(cause);
        }
        self.admit(now, kind, remote, &[])
    }

    /// Whether a packet from `remote` would be admitted now as one from a known address.
    pub(crate) fn expects(&self, now: Instant, kind: PathKind, remote: SocketAddr) -> bool {
        self.confirmed == Some(remote) || self.judge(now, silence(kind), remote) != Judgement::Refused
    }

    /// Whether a stream may still tell where the party is.
    pub(crate) fn is_open(&self) -> bool {
        self.window.is_some()
    }

    /// Whether what goes where the description says may not reach the party: nothing came from it, and it is known by another
    /// IP, or by a private one alone. Where ICE is spoken, it finds a way.
    pub(crate) fn is_uncertain(&self) -> bool {
        let elsewhere = self.signalled.zip(self.source).is_some_and(|(at, ip)| at.ip().to_canonical() != ip);
        self.ice.is_none() && self.confirmed.is_none() && (self.window.is_some() || elsewhere)
    }

    /// Ends the window, if there is one.
    pub(crate) fn close(&mut self) -> Option<Box<Window>> {
        self.window.take()
    }

    /// Where packets for this party go.
    pub(crate) fn destination(&self) -> Option<&SocketAddr> {
        // Hold with the unspecified address keeps the confirmed one for admission, not for sending.
        if self.ice.is_some() {
            return self.confirmed.as_ref();
        }
        let signalled = self.signalled.as_ref().filter(|_| !self.nowhere)?;
        Some(self.confirmed.as_ref().filter(|_| !self.asymmetric).unwrap_or(signalled))
    }

    pub(crate) fn confirmed(&self) -> Option<SocketAddr> {
        self.confirmed
    }

    pub(crate) fn signalled(&self) -> Option<SocketAddr> {
        self.signalled.filter(|_| !self.nowhere)
    }

    fn admit_other(&mut self, now: Instant, kind: PathKind, remote: SocketAddr, packet: &[u8]) -> Verdict {
        match self.judge(now, silence(kind), remote) {
            Judgement::First => {
                self.take(now, silence(kind), remote);
                Verdict::Learned(Cause::First)
            }
            Judgement::Moved => {
                self.take(now, silence(kind), remote);
                Verdict::Learned(Cause::Moved)
            }
            Judgement::Heard => Verdict::Heard,
            Judgement::Refused => self.consider(now, kind, remote, packet),
        }
    }

    fn judge(&self, now: Instant, silence: Duration, remote: SocketAddr) -> Judgement {
        if let Some(ice) = &self.ice {
            return if ice.judge(remote) == Some(true) { Judgement::Heard } else { Judgement::Refused };
        }
        if !self.knows(remote) {
            return Judgement::Refused;
        }
        let elder = self.elder == Some(remote);
        if self.confirmed.is_none() {
            let under_way = elder && self.departed && now.saturating_since(self.since) < silence;
            return if under_way { Judgement::Heard } else { Judgement::First };
        }
        let back = elder && !self.departed;
        if back || self.handover || now.saturating_since(self.heard) >= silence {
            return Judgement::Moved;
        }
        if elder || self.signalled == Some(remote) { Judgement::Heard } else { Judgement::Refused }
    }

    fn take(&mut self, now: Instant, silence: Duration, remote: SocketAddr) {
        if self.elder == Some(remote) {
            self.elder = None;
        } else if let Some(before) = self.confirmed {
            // Who was confirmed for a moment only is not worth coming back: the one before may be.
            let steady = self.heard.saturating_since(self.since) >= silence;
            if steady || self.departed || self.elder.is_none() {
                self.elder = Some(before);
                self.departed = false;
            }
        }
        self.confirmed = Some(remote);
        (self.since, self.heard) = (now, now);
    }

    /// A packet from an address that is not known.
    fn consider(&mut self, now: Instant, kind: PathKind, remote: SocketAddr, packet: &[u8]) -> Verdict {
        let heard = self.is_heard(now, kind);
        let Some(window) = self.window.as_mut().filter(|_| !heard) else { return self.unexpected(remote) };
        match window.hear(now, remote, packet) {
            Outcome::Stranger => Verdict::Refused,
            Outcome::Undecided => Verdict::Undecided,
            Outcome::Ended => self.window.take().map_or(Verdict::Refused, Verdict::Ended),
            Outcome::Won => {
                self.source = Some(remote.ip().to_canonical());
                self.take(now, silence(kind), remote);
                self.window.take().map_or(Verdict::Refused, |window| Verdict::Learned(Cause::Stream(window)))
            }
        }
    }

    /// While the party is heard from where it said it is, it is not looked for elsewhere.
    fn is_heard(&self, now: Instant, kind: PathKind) -> bool {
        self.confirmed.is_some() && now.saturating_since(self.heard) < silence(kind)
    }

    fn knows(&self, remote: SocketAddr) -> bool {
        self.signalled == Some(remote) || (self.learn && self.in_set(remote.ip()))
    }

    fn in_set(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.source == Some(ip)
            || self.signalled.is_some_and(|address| address.ip() == ip)
            || self.networks.iter().flat_map(|networks| networks.iter()).any(|network| network.contains(ip))
    }
}

const fn silence(kind: PathKind) -> Duration {
    match kind {
        PathKind::Rtp | PathKind::Opaque => SILENCE,
        PathKind::Rtcp => SILENCE_RTCP,
    }
}

/// Whether `ip` means something only inside some private network (RFC 1918, 6598, 4193, 3927).
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn said(text: &str) -> Signalled {
        Signalled { address: Some(at(text)), learn: true, streams: true, ..Signalled::default() }
    }

    fn from_nat(text: &str, source: &str) -> Signalled {
        Signalled { sip_source: Some(source.parse().unwrap()), ..said(text) }
    }

    /// A latch and the time.
    struct Rig {
        latch: Latch,
        ms: u64,
    }

    impl Rig {
        fn new(said: Signalled) -> Self {
            let mut rig = Self { latch: Latch::default(), ms: 1_000 };
            rig.signal(said);
            rig
        }

        fn now(&self) -> Instant {
            Instant::from_millis(self.ms)
        }

        fn signal(&mut self, said: Signalled) {
            self.latch.signal(self.now(), said);
        }

        /// What becomes of a packet, 20 ms after the last one.
        fn hear(&mut self, from: &str) -> &'static str {
            self.ms += 20;
            match self.latch.admit(self.now(), PathKind::Rtp, at(from), &[0x80; 20]) {
                Verdict::Known => "known",
                Verdict::Heard => "heard",
                Verdict::Learned(Cause::First) => "first",
                Verdict::Learned(Cause::Moved) => "moved",
                Verdict::Learned(Cause::Stream(_)) => "stream",
                Verdict::Undecided => "undecided",
                Verdict::Ended(_) => "ended",
                Verdict::Refused => "refused",
            }
        }

        fn goes_to(&self, to: &str) {
            assert_eq!(self.latch.destination(), Some(&at(to)));
        }
    }

    const PUBLIC: &str = "198.51.100.1:4000";
    const OTHER_PORT: &str = "198.51.100.1:5555";
    const THIRD_PORT: &str = "198.51.100.1:6666";
    const FOREIGN: &str = "203.0.113.66:4000";
    const PRIVATE: &str = "10.0.0.9:4000";
    const NAT: &str = "203.0.113.1:31000";

    #[test]
    fn the_signalled_address_is_admitted_and_confirmed() {
        let mut rig = Rig::new(said(PUBLIC));
        rig.goes_to(PUBLIC);
        assert_eq!([rig.hear(PUBLIC), rig.hear(PUBLIC)], ["first", "known"]);
    }

    #[test]
    fn a_third_party_is_refused_before_and_after_confirmation_and_in_silence() {
        let mut rig = Rig::new(said(PUBLIC));
        assert_eq!([rig.hear(FOREIGN), rig.hear(PUBLIC), rig.hear(FOREIGN)], ["refused", "first", "refused"]);
        rig.ms += 3_600_000;
        assert_eq!(rig.hear(FOREIGN), "refused");
        rig.goes_to(PUBLIC);
    }

    #[test]
    fn another_port_of_the_signalled_ip_is_learned_and_no_third_one_while_it_is_alive() {
        let mut rig = Rig::new(said(PUBLIC));
        assert_eq!([rig.hear(OTHER_PORT), rig.hear(THIRD_PORT)], ["first", "refused"]);
        rig.goes_to(OTHER_PORT);
        assert_eq!(rig.hear(PUBLIC), "heard", "what was signalled always counts");
        rig.goes_to(OTHER_PORT);
    }

    #[test]
    fn a_nat_that_rebinds_is_followed_after_a_silence() {
        let mut rig = Rig::new(from_nat(PRIVATE, "203.0.113.1"));
        assert_eq!(rig.hear(NAT), "first");
        rig.ms += 900;
        assert_eq!(rig.hear("203.0.113.1:32000"), "refused");
        rig.ms += 80;
        assert_eq!([rig.hear("203.0.113.2:32000"), rig.hear("203.0.113.1:32000")], ["refused", "moved"]);
        rig.goes_to("203.0.113.1:32000");
    }

    #[test]
    fn who_was_only_silent_is_followed_again_at_once() {
        let mut rig = Rig::new(said(PUBLIC));
        assert_eq!(rig.hear(PUBLIC), "first");
        rig.ms += 5_000;
        assert_eq!(
            [rig.hear(OTHER_PORT), rig.hear(PUBLIC), rig.hear(OTHER_PORT)],
            ["moved", "moved", "refused"]
        );
        rig.goes_to(PUBLIC);
    }

    #[test]
    fn a_row_of_forged_ports_does_not_make_the_peer_forgotten() {
        let mut rig = Rig::new(said(PUBLIC));
        assert!((0..60).map(|_| rig.hear(PUBLIC)).skip(1).all(|heard| heard == "known"));
        for port in [7_001, 7_002, 7_003] {
            rig.ms += 1_000;
            assert_eq!(rig.hear(&format!("198.51.100.1:{port}")), "moved");
        }
        assert_eq!(rig.hear(PUBLIC), "moved");
        rig.goes_to(PUBLIC);
    }

    #[test]
    fn the_sip_source_is_the_nat_of_a_private_description() {
        let mut rig = Rig::new(from_nat(PRIVATE, "203.0.113.1"));
        assert_eq!([rig.hear("203.0.113.2:4000"), rig.hear(NAT)], ["refused", "first"]);
        rig.goes_to(NAT);
        rig.signal(said(PRIVATE));
        assert_eq!(rig.hear(NAT), "known", "a message that is silent about its source takes nothing back");
        rig.signal(from_nat(PRIVATE, "203.0.113.77"));
        assert_eq!(
            [rig.hear(NAT), rig.hear("203.0.113.77:9")],
            ["refused", "first"],
            "the phone changed its network"
        );
    }

    #[test]
    fn listed_networks_are_known_at_any_port() {
        let networks: Vec<Network> = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let mut rig = Rig::new(Signalled { networks: Some(networks.into()), ..said(PRIVATE) });
        assert!(!rig.latch.is_open(), "where networks are listed nobody is looked for elsewhere");
        assert_eq!(
            [rig.hear("192.0.3.1:9"), rig.hear("192.0.2.7:9"), rig.hear("192.0.2.8:9")],
            ["refused", "first", "refused"]
        );
    }

    #[test]
    fn a_private_description_alone_leaves_a_window_only_where_streams_may_tell() {
        assert!(Rig::new(said(PRIVATE)).latch.is_open());
        for closed in [
            said(PUBLIC),
            from_nat(PRIVATE, "203.0.113.1"),
            Signalled { streams: false, ..said(PRIVATE) },
            Signalled { learn: false, ..said(PRIVATE) },
        ] {
            let mut rig = Rig::new(closed);
            assert!(!rig.latch.is_open());
            assert_eq!(rig.hear("203.0.113.2:4000"), "refused");
        }
    }

    #[test]
    fn learning_off_admits_the_signalled_address_alone() {
        let mut rig = Rig::new(Signalled { learn: false, ..said(PUBLIC) });
        assert_eq!([rig.hear(OTHER_PORT), rig.hear(PUBLIC)], ["refused", "first"]);
        let mut later = Rig::new(said(PUBLIC));
        assert_eq!(later.hear(OTHER_PORT), "first");
        later.signal(Signalled { learn: false, ..said(PUBLIC) });
        assert_eq!([later.hear(OTHER_PORT), later.hear(PUBLIC)], ["refused", "first"]);
    }

    #[test]
    fn asymmetric_peers_are_heard_but_not_followed() {
        let mut rig = Rig::new(Signalled { asymmetric: true, ..said(PUBLIC) });
        assert_eq!(rig.hear(OTHER_PORT), "first");
        rig.goes_to(PUBLIC);
    }

    #[test]
    fn handover_follows_at_once_within_what_is_known_only() {
        let mut rig = Rig::new(Signalled { handover: true, ..said(PUBLIC) });
        assert_eq!(
            [rig.hear(PUBLIC), rig.hear(OTHER_PORT), rig.hear(FOREIGN)],
            ["first", "moved", "refused"]
        );
        rig.goes_to(OTHER_PORT);
        assert_eq!(rig.hear(THIRD_PORT), "moved");
    }

    #[test]
    fn a_repeated_description_changes_nothing_for_a_peer_that_is_alive() {
        let mut rig = Rig::new(said(PUBLIC));
        assert_eq!(rig.hear(OTHER_PORT), "first");
        rig.signal(said(PUBLIC));
        assert_eq!([rig.hear(THIRD_PORT), rig.hear(OTHER_PORT)], ["refused", "known"]);
        rig.goes_to(OTHER_PORT);
    }

    #[test]
    fn a_peer_that_moves_by_its_description_is_followed_and_its_old_port_is_not() {
        let mut rig = Rig::new(said(PUBLIC));
        assert_eq!(rig.hear(OTHER_PORT), "first");
        rig.signal(said("198.51.100.1:4002"));
        rig.goes_to("198.51.100.1:4002");
        assert_eq!(rig.hear(OTHER_PORT), "heard", "what is still under way");
        rig.goes_to("198.51.100.1:4002");
        assert_eq!([rig.hear(THIRD_PORT), rig.hear(OTHER_PORT)], ["first", "heard"]);
        rig.goes_to(THIRD_PORT);
        rig.signal(said("198.51.100.2:4000"));
        rig.goes_to("198.51.100.2:4000");
        assert_eq!(rig.hear(THIRD_PORT), "refused", "another host's");
    }

    #[test]
    fn a_description_that_moves_in_words_only_keeps_its_port() {
        let mut rig = Rig::new(from_nat(PRIVATE, "203.0.113.1"));
        assert_eq!(rig.hear(NAT), "first");
        rig.signal(from_nat("10.0.0.9:4002", "203.0.113.1"));
        assert_eq!(rig.hear(NAT), "heard");
        rig.ms += 1_000;
        assert_eq!(rig.hear(NAT), "first");
        rig.goes_to(NAT);
    }

    #[test]
    fn nothing_is_sent_nowhere_and_hold_forgets_nothing() {
        let mut rig = Rig::new(said(PUBLIC));
        assert_eq!(rig.hear(OTHER_PORT), "first");
        rig.signal(Signalled { learn: true, ..Signalled::default() });
        assert_eq!((rig.latch.destination(), rig.latch.signalled()), (None, None));
        assert_eq!([rig.hear(OTHER_PORT), rig.hear(FOREIGN)], ["known", "refused"]);
        rig.signal(said(PUBLIC));
        rig.goes_to(OTHER_PORT);
        assert_eq!(Rig::new(Signalled::default()).hear(FOREIGN), "refused");
    }

    #[test]
    fn a_forged_packet_from_the_signalled_address_neither_moves_nor_shuts_out_the_peer() {
        let mut rig = Rig::new(from_nat(PRIVATE, "203.0.113.1"));
        assert_eq!([rig.hear(NAT), rig.hear(PRIVATE)], ["first", "heard"]);
        rig.goes_to(NAT);
        rig.ms += 1_000;
        assert_eq!([rig.hear(PRIVATE), rig.hear(NAT)], ["moved", "moved"]);
        rig.goes_to(NAT);
    }

    #[test]
    fn what_was_proved_of_one_half_is_known_of_another_of_the_same_host() {
        let mut rig = Rig::new(said(PRIVATE));
        rig.latch.prove("10.0.0.8".parse().unwrap(), "203.0.113.1".parse().unwrap());
        assert!(rig.latch.is_open());
        rig.latch.prove("10.0.0.9".parse().unwrap(), "203.0.113.1".parse().unwrap());
        assert!(!rig.latch.is_open());
        assert_eq!([rig.hear("203.0.113.2:9"), rig.hear(NAT)], ["refused", "first"]);
    }

    #[test]
    fn rtcp_may_pause_longer_than_rtp() {
        let mut latch = Latch::default();
        latch.signal(Instant::ZERO, said(PUBLIC));
        let mut hear = |ms, from| {
            let verdict = latch.admit(Instant::from_millis(ms), PathKind::Rtcp, at(from), &[]);
            !matches!(verdict, Verdict::Refused)
        };
        assert!(hear(0, OTHER_PORT) && !hear(14_999, THIRD_PORT) && hear(15_000, THIRD_PORT));
    }

    #[test]
    fn a_latch_is_small() {
        assert!(size_of::<Latch>() <= 184, "{}", size_of::<Latch>());
    }
}
