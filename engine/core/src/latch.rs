//! Where packets of a media may come from, and where ours go: the guard against hijacking
//! (`adr/0001-who-may-send.md`).
//!
//! A packet is admitted
//! 1. from the *confirmed* address, the one the last admitted stranger or signalled peer used;
//! 2. from the *signalled* address, exactly as in the description: it becomes confirmed;
//! 3. while the window is open, from another address whose IP is in the signalled set (the IP
//!    of the description and, where the client named it, the IP the SIP message came from):
//!    this is the peer behind a NAT, whose port, and with a private description whose IP,
//!    differs. It becomes confirmed;
//! 4. while the window is open and there is no SIP source, from any public IP, but only if the
//!    description gives a private address and our own address is public: such a description
//!    cannot be meant literally.
//!
//! An address that was learned stays admitted beside the signalled one, so that one packet with the
//! signalled address forged as its source cannot shut the peer out.
//!
//! Everything else is refused and noted. The window opens with each offer or answer of that
//! party and closes with the first packet admitted. With `media handover` it stays open for
//! rule 3; with learning off or without a description it never opens. With `asymmetric` packets
//! go where the description says, whatever is confirmed.
//!
//! rtpengine admits anybody once learning is over, and learns from anybody; here a third party
//! neither injects nor receives a packet (CVE-2025-53399 and its kin).

use std::net::{IpAddr, SocketAddr};

/// Who sends to a socket of a media without leave; one note per media and half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stranger {
    /// The first such source.
    pub first: Option<SocketAddr>,
    /// The latest one.
    pub last: Option<SocketAddr>,
    /// Packets of all of them.
    pub packets: u64,
}

/// The guard of one RTP or RTCP half.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latch {
    confirmed: Option<SocketAddr>,
    /// The last address confirmed by rule 3 or 4.
    learned: Option<SocketAddr>,
    signalled: Option<SocketAddr>,
    sip_source: Option<IpAddr>,
    window: Window,
    asymmetric: bool,
    stranger: Stranger,
}

/// What an offer or answer says about its sender's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Signalled {
    /// Of the description; `None` if it is nowhere (port 0, or the unspecified address).
    pub(crate) address: Option<SocketAddr>,
    /// Where the SIP message came from.
    pub(crate) sip_source: Option<IpAddr>,
    /// Learning is allowed at all.
    pub(crate) learn: bool,
    /// A new source may take over at any time.
    pub(crate) handover: bool,
    /// The peer sends from elsewhere than it receives.
    pub(crate) asymmetric: bool,
    /// Peers see us at an address of the public network.
    pub(crate) public_side: bool,
}

/// Whether, and whom, packets may still teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Window {
    #[default]
    Closed,
    /// Sources of the signalled set.
    Set,
    /// The same, and it never closes.
    Always,
    /// Any public source.
    AnyPublic,
}

/// What the guard says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// From the confirmed address.
    Known,
    /// From an address that is confirmed from now on.
    Learned,
    /// From a stranger.
    Refused,
}

impl Latch {
    /// A new offer or answer of this party.
    ///
    /// The confirmed address stays until another packet is admitted, unless the description
    /// changed: then it is forgotten, for the peer has moved.
    pub(crate) fn signal(&mut self, signalled: Signalled) {
        if self.signalled != signalled.address && signalled.address.is_some() {
            self.confirmed = None;
            self.learned = None;
        }
        self.signalled = signalled.address;
        self.sip_source = signalled.sip_source.map(|ip| ip.to_canonical());
        self.asymmetric = signalled.asymmetric;
        self.window = match signalled.address {
            None => Window::Closed,
            Some(_) if !signalled.learn => Window::Closed,
            Some(_) if signalled.handover => Window::Always,
            Some(address)
                if signalled.sip_source.is_none()
                    && is_private(address.ip())
                    && signalled.public_side
                    && self.learned.is_none() =>
            {
                Window::AnyPublic
            }
            Some(_) => Window::Set,
        };
    }

    /// Whether a packet from `remote` is admitted; what it teaches is kept.
    pub(crate) fn admit(&mut self, remote: SocketAddr) -> Verdict {
        if self.confirmed == Some(remote) {
            return Verdict::Known;
        }
        self.admit_other(remote)
    }

    /// Whether a packet from `remote` would be admitted.
    pub(crate) fn expects(&self, remote: SocketAddr) -> bool {
        self.confirmed == Some(remote)
            || self.learned == Some(remote)
            || self.signalled == Some(remote)
            || match self.window {
                Window::Closed => false,
                Window::Set | Window::Always => self.in_set(remote.ip()),
                Window::AnyPublic => self.in_set(remote.ip()) || !is_private(remote.ip()),
            }
    }

    fn admit_other(&mut self, remote: SocketAddr) -> Verdict {
        if !self.expects(remote) {
            self.stranger.first.get_or_insert(remote);
            self.stranger.last = Some(remote);
            self.stranger.packets += 1;
            return Verdict::Refused;
        }
        self.confirmed = Some(remote);
        if self.signalled != Some(remote) {
            self.learned = Some(remote);
        }
        if self.window != Window::Always {
            self.window = Window::Closed;
        }
        Verdict::Learned
    }

    /// Closes the window: the other half of the media confirmed the peer.
    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.window != Window::Closed
    }

    /// Where packets for this party go.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        // Hold with the unspecified address keeps the confirmed one for admission, not for sending.
        let signalled = self.signalled?;
        if self.asymmetric { Some(signalled) } else { Some(self.confirmed.unwrap_or(signalled)) }
    }

    pub(crate) fn confirmed(&self) -> Option<SocketAddr> {
        self.confirmed
    }

    pub(crate) fn signalled(&self) -> Option<SocketAddr> {
        self.signalled
    }

    pub(crate) fn stranger(&self) -> Stranger {
        self.stranger
    }

    fn in_set(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.sip_source == Some(ip) || self.signalled.is_some_and(|address| address.ip() == ip)
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
        Signalled { address: Some(at(text)), learn: true, public_side: true, ..Signalled::default() }
    }

    fn latch(signalled: Signalled) -> Latch {
        let mut latch = Latch::default();
        latch.signal(signalled);
        latch
    }

    #[test]
    fn the_signalled_address_is_admitted_and_confirmed() {
        let mut latch = latch(said("198.51.100.1:4000"));
        assert_eq!(latch.destination(), Some(at("198.51.100.1:4000")));
        assert_eq!(latch.admit(at("198.51.100.1:4000")), Verdict::Learned);
        assert_eq!(latch.admit(at("198.51.100.1:4000")), Verdict::Known);
        assert!(!latch.is_open());
    }

    #[test]
    fn a_third_party_is_refused_before_and_after_confirmation_and_noted() {
        let mut latch = latch(said("198.51.100.1:4000"));
        assert_eq!(latch.admit(at("203.0.113.66:4000")), Verdict::Refused);
        latch.admit(at("198.51.100.1:4000"));
        assert_eq!(latch.admit(at("203.0.113.67:4000")), Verdict::Refused);
        assert_eq!(latch.destination(), Some(at("198.51.100.1:4000")));
        let stranger = latch.stranger();
        assert_eq!(stranger.first, Some(at("203.0.113.66:4000")));
        assert_eq!(stranger.last, Some(at("203.0.113.67:4000")));
        assert_eq!(stranger.packets, 2);
    }

    #[test]
    fn another_port_of_the_signalled_ip_is_learned_once() {
        let mut latch = latch(said("198.51.100.1:4000"));
        assert_eq!(latch.admit(at("198.51.100.1:5555")), Verdict::Learned);
        assert_eq!(latch.destination(), Some(at("198.51.100.1:5555")));
        assert_eq!(latch.admit(at("198.51.100.1:6666")), Verdict::Refused);
        assert_eq!(
            latch.admit(at("198.51.100.1:4000")),
            Verdict::Learned,
            "what was signalled always counts"
        );
    }

    #[test]
    fn the_sip_source_is_the_nat_of_a_private_description() {
        let mut latch =
            latch(Signalled { sip_source: Some("203.0.113.1".parse().unwrap()), ..said("10.0.0.9:4000") });
        assert_eq!(latch.admit(at("203.0.113.2:4000")), Verdict::Refused);
        assert_eq!(latch.admit(at("203.0.113.1:31000")), Verdict::Learned);
        assert_eq!(latch.destination(), Some(at("203.0.113.1:31000")));
    }

    #[test]
    fn a_private_description_alone_lets_the_first_public_source_in_and_no_second() {
        let mut first = latch(said("10.0.0.9:4000"));
        assert_eq!(first.admit(at("10.0.0.10:4000")), Verdict::Refused, "a private neighbour is no NAT");
        assert_eq!(first.admit(at("203.0.113.1:31000")), Verdict::Learned);
        assert_eq!(first.admit(at("203.0.113.2:31000")), Verdict::Refused);
        let mut inside = latch(Signalled { public_side: false, ..said("10.0.0.9:4000") });
        assert_eq!(inside.admit(at("203.0.113.1:31000")), Verdict::Refused, "inside, private is literal");
    }

    #[test]
    fn learning_off_admits_the_signalled_address_alone() {
        let mut latch = latch(Signalled { learn: false, ..said("198.51.100.1:4000") });
        assert_eq!(latch.admit(at("198.51.100.1:4002")), Verdict::Refused);
        assert_eq!(latch.admit(at("198.51.100.1:4000")), Verdict::Learned);
    }

    #[test]
    fn asymmetric_peers_are_heard_but_not_followed() {
        let mut latch = latch(Signalled { asymmetric: true, ..said("198.51.100.1:4000") });
        assert_eq!(latch.admit(at("198.51.100.1:9000")), Verdict::Learned);
        assert_eq!(latch.destination(), Some(at("198.51.100.1:4000")));
    }

    #[test]
    fn handover_follows_within_the_set_only() {
        let mut latch = latch(Signalled { handover: true, ..said("198.51.100.1:4000") });
        latch.admit(at("198.51.100.1:4000"));
        assert_eq!(latch.admit(at("198.51.100.1:5000")), Verdict::Learned);
        assert_eq!(latch.admit(at("203.0.113.66:5000")), Verdict::Refused);
    }

    #[test]
    fn a_new_exchange_opens_the_window_and_a_moved_peer_is_followed() {
        let mut latch = latch(said("198.51.100.1:4000"));
        latch.admit(at("198.51.100.1:5555"));
        latch.signal(said("198.51.100.1:4000"));
        assert!(latch.is_open());
        assert_eq!(
            latch.destination(),
            Some(at("198.51.100.1:5555")),
            "the same description keeps what was learned"
        );
        latch.signal(said("198.51.100.2:4000"));
        assert_eq!(latch.destination(), Some(at("198.51.100.2:4000")));
        assert_eq!(latch.admit(at("198.51.100.1:5555")), Verdict::Refused);
    }

    #[test]
    fn nothing_is_sent_nowhere() {
        let mut latch = latch(said("198.51.100.1:4000"));
        latch.admit(at("198.51.100.1:4000"));
        latch.signal(Signalled::default());
        assert_eq!(latch.destination(), None);
        assert_eq!(latch.admit(at("198.51.100.1:4000")), Verdict::Known);
        assert_eq!(latch.admit(at("203.0.113.66:4000")), Verdict::Refused);
    }

    #[test]
    fn a_forged_packet_from_the_signalled_address_does_not_shut_the_peer_out() {
        let mut latch =
            latch(Signalled { sip_source: Some(at("203.0.113.7:1").ip()), ..said("10.0.0.5:4000") });
        assert_eq!(latch.admit(at("203.0.113.7:9999")), Verdict::Learned);
        assert_eq!(latch.admit(at("10.0.0.5:4000")), Verdict::Learned);
        assert_eq!(latch.admit(at("203.0.113.7:9999")), Verdict::Learned);
        assert_eq!(latch.destination(), Some(at("203.0.113.7:9999")));
        assert_eq!(latch.admit(at("203.0.113.7:9998")), Verdict::Refused);
        latch.signal(said("203.0.113.8:4000"));
        assert_eq!(latch.admit(at("203.0.113.7:9999")), Verdict::Refused, "the peer has moved");
    }

    #[test]
    fn a_repeated_private_description_lets_nobody_take_a_learned_peer_over() {
        let mut latch = latch(said("10.0.0.9:4000"));
        assert_eq!(latch.admit(at("203.0.113.1:31000")), Verdict::Learned);
        latch.signal(said("10.0.0.9:4000"));
        assert_eq!(latch.admit(at("203.0.113.1:31000")), Verdict::Known);
        assert_eq!(latch.admit(at("198.18.0.66:5000")), Verdict::Refused);
        assert_eq!(latch.destination(), Some(at("203.0.113.1:31000")));
    }
}
