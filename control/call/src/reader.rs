//! What whoever reads a description speaks, so that the engine makes it one that they understand.

use ng::{Ice, RtcpMux, Signal, TransportProtocol};
use sip::Transport;

use crate::call::Call;
use crate::core::{Core, LegIndex};
use crate::leg::sdp_of;
use crate::media::{is_dtls, speaks_ice};
use crate::{PhoneMedia, Side, TrunkMedia};

/// What the reader of a description speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// What the writer speaks, as far as anybody knows.
    Alike,
    /// RTP without encryption.
    Plain,
    /// RTP without encryption, and SRTP if it can (RFC 8643).
    BestEffort,
    /// SRTP with keys in the description (RFC 4568).
    Srtp,
    /// SRTP with keys from DTLS (RFC 5763).
    Dtls,
    /// DTLS-SRTP, ICE and RTCP on the port of RTP, as browsers have it (RFC 8827, RFC 8834).
    Browser,
}

impl Reader {
    /// Asks the engine for an offer that the reader understands. Candidates that lead past the engine help nobody; a browser
    /// needs some, and gets the engine's.
    pub(crate) fn shape(self, offer: &mut Signal) {
        offer.ice = Some(if self == Self::Browser { Ice::Force } else { Ice::Remove });
        offer.transport_protocol = match self {
            Self::Alike => None,
            Self::Plain | Self::BestEffort => Some(TransportProtocol::RtpAvp),
            Self::Srtp => Some(TransportProtocol::RtpSavp),
            Self::Dtls => Some(TransportProtocol::UdpTlsRtpSavp),
            Self::Browser => Some(TransportProtocol::UdpTlsRtpSavpf),
        };
        // Who is offered keys in its description is not asked for a handshake beside them.
        offer.dtls.off = matches!(self, Self::BestEffort | Self::Srtp);
        // On a port of its own, as everybody understands it; whoever offers it on one port is answered so.
        offer.rtcp_mux = match self {
            Self::Browser => RtcpMux { offer: true, require: true, ..RtcpMux::default() },
            _ => RtcpMux { demux: true, ..RtcpMux::default() },
        };
        offer.osrtp.offer = self == Self::BestEffort;
        offer.sdes.off = matches!(self, Self::Dtls | Self::Browser);
        offer.generate_mid = self == Self::Browser;
    }
}

impl Call {
    /// What the party of a leg speaks, to whom `offer` goes.
    pub(crate) fn reader(&self, core: &Core, leg: LegIndex, offer: &[u8]) -> Reader {
        let Some(leg) = self.legs.get(leg) else { return Reader::Alike };
        if let Some(id) = &leg.trunk {
            return match core.directory.trunk(id).map(|trunk| trunk.media) {
                Some(TrunkMedia::Srtp) => Reader::Srtp,
                Some(TrunkMedia::Plain) => Reader::Plain,
                None => Reader::Alike,
            };
        }
        // Who has described itself speaks that; what it was, the engine knows.
        if leg.side == Side::Caller
            && let Some(own) = sdp_of(&leg.invite.headers, leg.invite.body())
        {
            let browser = is_dtls(&own) && speaks_ice(&own);
            return if browser { Reader::Browser } else { Reader::Alike };
        }
        let account = leg.user.as_deref().and_then(|user| core.directory.by_user(user));
        match account.map_or(PhoneMedia::Auto, |account| account.media) {
            PhoneMedia::Plain => Reader::Plain,
            PhoneMedia::Srtp => Reader::Srtp,
            PhoneMedia::Dtls => Reader::Dtls,
            PhoneMedia::Webrtc => Reader::Browser,
            PhoneMedia::Auto => match leg.hop.transport {
                Transport::Ws | Transport::Wss => Reader::Browser,
                _ if !(is_dtls(offer) || self.is_encrypted(core)) => Reader::Alike,
                Transport::Tls => Reader::BestEffort,
                Transport::Udp | Transport::Tcp => Reader::Plain,
            },
        }
    }
}
