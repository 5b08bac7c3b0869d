//! One side of a call: its INVITE, its dialog, and what is owed to it.

use bytes::Bytes;
use sip::auth::DigestClient;
use sip::dialog::{AnswerRepeater, SentAck};
use sip::message::{Host, HostPort, Limits};
use sip::{
    ClientKey, Dialog, HeaderName, Hop, Message, Method, Request, Response, ServerKey, Transport, Uri,
};

use crate::core::{Core, Moment};
use crate::journal::{HopRecord, LegRecord};
use crate::{Side, TrunkId};

/// One side of a call. Both sides are the same but for who sent the INVITE.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) side: Side,
    /// The carrier, for a leg to one.
    pub(crate) trunk: Option<TrunkId>,
    /// What that carrier takes for it, where its prices are known.
    pub(crate) buy: Option<ledger::Quote>,
    /// The registered user, for a leg to or from a phone.
    pub(crate) user: Option<String>,
    /// Where its requests come from, or where its INVITE went.
    pub(crate) hop: Hop,
    /// False from the end of a phone's connection until the next one.
    pub(crate) reachable: bool,
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    /// As received, or as sent.
    pub(crate) invite: Request,
    /// Its INVITE waits for our final response.
    pub(crate) server: Option<ServerKey>,
    /// Our INVITE waits for its final response.
    pub(crate) client: Option<ClientKey>,
    /// An INVITE of an earlier process may still be answered.
    pub(crate) stray: bool,
    /// Our INVITE went out.
    pub(crate) sent_at: Option<Moment>,
    /// It carried credentials.
    pub(crate) authenticated: bool,
    /// What its carrier's challenges are answered with.
    pub(crate) digest: Option<DigestClient>,
    /// It has a place among its trunk's calls.
    pub(crate) on_trunk: bool,
    /// It answered with a 18x.
    pub(crate) rang: bool,
    pub(crate) dialog: Option<Dialog>,
    /// Our 2xx waits for its ACK.
    pub(crate) unacked: Option<Unacked>,
    /// Its 2xx waits for our ACK: the number of the INVITE.
    pub(crate) owed_ack: Option<u32>,
    pub(crate) sent_ack: Option<SentAck>,
    /// Tags of further 2xx to its INVITE, whose dialogs were ended at once.
    pub(crate) forks: Vec<String>,
    /// Its 200.
    pub(crate) invite_answer: Option<Response>,
    pub(crate) bye: Bye,
    /// Our BYE carried credentials.
    pub(crate) bye_authenticated: bool,
}

/// Our 2xx, repeated until its ACK comes.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) key: ServerKey,
    pub(crate) response: Response,
    pub(crate) repeater: AnswerRepeater,
    /// It carried an offer, so the ACK must carry the answer.
    pub(crate) offered: bool,
}

/// How far the end of a leg has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bye {
    /// Nobody spoke of it.
    None,
    /// Owed with this Reason, as soon as it may be sent.
    Due(String),
    /// On its way.
    Sent(String),
    /// The leg is over.
    Over,
}

impl Leg {
    pub(crate) fn new(side: Side, hop: Hop, invite: Request, local_tag: String) -> Self {
        Self {
            side,
            trunk: None,
            buy: None,
            user: None,
            hop,
            reachable: true,
            call_id: invite.call_id().into_owned(),
            local_tag,
            invite,
            server: None,
            client: None,
            stray: false,
            sent_at: None,
            authenticated: false,
            digest: None,
            on_trunk: false,
            rang: false,
            dialog: None,
            unacked: None,
            owed_ack: None,
            sent_ack: None,
            forks: Vec::new(),
            invite_answer: None,
            bye: Bye::None,
            bye_authenticated: false,
        }
    }

    /// Nothing is owed to it or expected from it.
    pub(crate) fn is_over(&self) -> bool {
        let pending = self.server.is_some() || self.client.is_some() || self.stray;
        !pending && (self.dialog.is_none() || self.bye == Bye::Over)
    }

    /// Where requests inside its dialog go. A phone is behind its NAT and stays where it was seen; a carrier
    /// is where its route set or Contact says, if that is an address.
    pub(crate) fn next_hop(&self) -> Hop {
        self.dialog.as_ref().map_or_else(|| self.hop.clone(), |dialog| self.hop_to(dialog))
    }

    /// As [`Leg::next_hop`], in a dialog of another fork.
    pub(crate) fn hop_to(&self, dialog: &Dialog) -> Hop {
        let named = self.trunk.as_ref().and_then(|_| hop_of(&dialog.next_hop(), &self.hop));
        named.unwrap_or_else(|| self.hop.clone())
    }

    /// Acknowledges its 2xx, with the answer if the 2xx was an offer.
    pub(crate) fn acknowledge(&mut self, core: &mut Core, sdp: Option<Bytes>) {
        let (Some(number), Some(dialog)) = (self.owed_ack.take(), &self.dialog) else { return };
        let mut ack = dialog.ack(number);
        // The credentials of the phone that called are its own: it proves itself to us with them, not we to it.
        if self.side == Side::Callee {
            copy_credentials(&self.invite, &mut ack);
        }
        if let Some(sdp) = sdp {
            ack.set_body(SDP, sdp);
        }
        let hop = self.next_hop();
        let bytes = core.sip.send_ack(ack, hop.clone());
        self.sent_ack = Some(SentAck::new(core.now, core.sip.timers(), hop, bytes, number));
    }

    /// A request inside its dialog, with our Contact where the method refreshes the target.
    pub(crate) fn request(&mut self, core: &Core, method: Method) -> Option<Request> {
        let secure = self.invite.uri().is_secure();
        let refreshes = matches!(method, Method::Invite | Method::Update);
        let mut request = self.dialog.as_mut()?.request(method);
        if refreshes {
            request.headers.push(HeaderName::Contact, &core.contact(&self.hop, secure));
            request.headers.push(HeaderName::Allow, crate::core::ALLOW);
        }
        Some(request)
    }

    /// What the journal keeps of it.
    pub(crate) fn record(&self) -> LegRecord {
        LegRecord {
            hop: HopRecord {
                transport: self.hop.transport.via().to_owned(),
                remote: self.hop.remote,
                server_name: self.hop.server_name.as_deref().map(str::to_owned),
            },
            invite: String::from_utf8_lossy(&self.invite.to_bytes()).into_owned(),
            dialog: self.dialog.as_ref().and_then(|dialog| serde_json::to_value(dialog).ok()),
            local_tag: self.local_tag.clone(),
            user: self.user.clone(),
            buy: self.buy.clone(),
            unacked: self
                .unacked
                .as_ref()
                .map(|unacked| String::from_utf8_lossy(&unacked.response.to_bytes()).into_owned()),
        }
    }

    /// The leg as the journal kept it; none if the row is not ours to read.
    pub(crate) fn restore(side: Side, record: &LegRecord) -> Option<Self> {
        let transport = Transport::from_via(&record.hop.transport)?;
        let mut hop = Hop::new(transport, record.hop.remote);
        hop.server_name = record.hop.server_name.as_deref().map(Into::into);
        let text = Bytes::copy_from_slice(record.invite.as_bytes());
        let Ok(Message::Request(invite)) = Message::parse(text, &OWN) else {
            return None;
        };
        let mut leg = Self::new(side, hop, invite, record.local_tag.clone());
        leg.user.clone_from(&record.user);
        leg.buy.clone_from(&record.buy);
        // A phone's connection ended with the process that held it; a carrier can be dialled anew.
        leg.reachable = leg.user.is_none() || !transport.is_reliable();
        if let Some(value) = &record.dialog {
            let mut dialog: Dialog = serde_json::from_value(value.clone()).ok()?;
            // Requests sent since the row was written used up numbers that it does not show.
            dialog.local_cseq = dialog.local_cseq.saturating_add(CSEQ_GAP);
            leg.dialog = Some(dialog);
        }
        Some(leg)
    }
}

/// Media type of session descriptions.
pub(crate) const SDP: &str = "application/sdp";

/// How many requests of one dialog may have gone out unrecorded before a crash.
const CSEQ_GAP: u32 = 100;

/// After so many requests at most the number of the last one is recorded.
pub(crate) const CSEQ_RECORDED_EVERY: u32 = 25;

/// The body of a message, if it is a session description.
pub(crate) fn sdp_of(headers: &sip::Headers, body: &Bytes) -> Option<Bytes> {
    let kind = headers.get(&HeaderName::ContentType)?;
    let name = kind.split(';').next().unwrap_or_default().trim();
    (!body.is_empty() && name.eq_ignore_ascii_case(SDP)).then(|| body.clone())
}

/// RFC 3261 §22.1: the ACK of a 2xx carries the credentials of its INVITE.
fn copy_credentials(invite: &Request, ack: &mut Request) {
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        ack.headers.copy(&invite.headers, &name);
    }
}

/// For what we wrote ourselves: whatever a listener may be told to take, with what we added to it.
pub(crate) const OWN: Limits =
    Limits { head_bytes_max: 64 * 1024, header_lines_max: 512, body_bytes_max: 4 << 20 };

/// The hop a URI names by address; `like` gives the transport where the URI does not. Who is reached by TLS
/// stays there, whatever its Contact says: signalling in plain is for the operator to choose.
fn hop_of(uri: &Uri, like: &Hop) -> Option<Hop> {
    let sip = uri.as_sip()?;
    let transport = match sip.transport().as_deref() {
        _ if like.transport == Transport::Tls => Transport::Tls,
        Some("udp") => Transport::Udp,
        Some("tcp") => Transport::Tcp,
        Some("tls") => Transport::Tls,
        _ => like.transport,
    };
    let HostPort { host, port } = &sip.host_port;
    let ip = match host {
        Host::Name(_) => return None,
        host => host.ip()?,
    };
    let remote = (ip, port.unwrap_or_else(|| transport.default_port())).into();
    if transport == like.transport && remote == like.remote {
        return Some(like.clone());
    }
    // A UDP socket serves any peer; a connection only its own.
    let flow = like.flow.filter(|_| transport == Transport::Udp && like.transport == Transport::Udp);
    Some(Hop { transport, remote, flow, server_name: like.server_name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(transport: Transport, contact: &str) -> Option<Hop> {
        let mut like = Hop::new(transport, "198.51.100.1:5070".parse().expect("address"));
        like.server_name = Some("carrier.test".into());
        hop_of(&contact.parse().expect("uri"), &like)
    }

    #[test]
    fn a_contact_moves_a_carrier_to_another_address_but_never_out_of_tls() {
        let moved = hop(Transport::Udp, "sip:x@198.51.100.9;transport=tcp").expect("a hop");
        assert_eq!(
            (moved.transport, moved.remote.to_string()),
            (Transport::Tcp, "198.51.100.9:5060".to_owned())
        );
        for contact in
            ["sip:x@198.51.100.9;transport=udp", "sip:x@198.51.100.9;transport=tcp", "sip:x@198.51.100.9"]
        {
            let moved = hop(Transport::Tls, contact).expect("a hop");
            assert_eq!(moved.transport, Transport::Tls, "{contact}");
            assert_eq!(
                moved.server_name.as_deref(),
                Some("carrier.test"),
                "its certificate is still checked"
            );
        }
    }

    #[test]
    fn the_largest_invite_that_is_taken_is_read_back_from_the_journal() {
        let text = format!(
            "INVITE sip:x@h SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:x@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a@h>\r\nX: {}\r\n\
             Content-Type: application/sdp\r\nContent-Length: 200000\r\n\r\n{}",
            "x".repeat(16_100),
            "y".repeat(200_000)
        );
        let Ok(Message::Request(mut invite)) = Message::parse(Bytes::from(text), &OWN) else {
            panic!("an INVITE")
        };
        let mut via = invite.top_via().expect("Via");
        via.mark_source("[2001:db8:1111:2222:3333:4444:5555:6666]:65000".parse().expect("address"));
        invite.headers.replace_first(&HeaderName::Via, &via.to_string());
        let hop = Hop::new(Transport::Tls, "192.0.2.1:5061".parse().expect("address"));
        let record = Leg::new(Side::Caller, hop, invite.clone(), "t".to_owned()).record();
        let restored = Leg::restore(Side::Caller, &record).expect("read back");
        assert_eq!(restored.invite.body(), invite.body());
    }
}
