//! The offer or answer that a step makes, and what the auditors have to know of it.

use std::net::IpAddr;

use ng::{Family, Ice, Learning, Osrtp, Replace, RtcpMux, Sdes, Signal, Tos, TransportProtocol, Trust};

use crate::hearing::Source;
use crate::keys::{Style, suite};
use crate::party::{Direction, Kind, Party, RELAYS, Said, Section};
use crate::rng::Rng;
use crate::script::Edit;
use crate::secrecy::Written;

/// An offer or answer on its way.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) offer: bool,
    /// Whose description it is.
    pub(crate) sender: usize,
    /// Who gets the description that comes out.
    pub(crate) given: Vec<usize>,
    /// Nobody else can be meant.
    pub(crate) surely: bool,
    /// Who is meant is a matter of what came before.
    pub(crate) wild: bool,
    /// Under another tag than before.
    pub(crate) again: bool,
    pub(crate) said: Vec<Said>,
    pub(crate) written: Vec<Written>,
    pub(crate) source: Source,
    pub(crate) owner: Option<String>,
    pub(crate) keep: bool,
}

/// Changes what a party says of itself.
pub(crate) fn edit(party: &mut Party, edit: &Edit, rng: &mut Rng) {
    let all = |party: &mut Party, direction: Direction| {
        for section in &mut party.sections {
            (section.direction, section.nowhere) = (direction, false);
        }
    };
    if party.sections.is_empty() {
        party.sections.push(Section::new(Kind::Audio, rng));
    }
    match edit {
        Edit::Same => {}
        Edit::Sections(kinds) => {
            party.sections = kinds.iter().map(|&kind| Section::new(kind, rng)).collect();
        }
        Edit::Move => party.move_ports(rng),
        Edit::Hold => all(party, Direction::SendOnly),
        Edit::Inactive => all(party, Direction::Inactive),
        Edit::Resume => all(party, Direction::SendRecv),
        Edit::HoldNowhere => party.sections.iter_mut().for_each(|section| section.nowhere = true),
        Edit::Add(kind) => {
            if party.sections.len() < 4 {
                party.sections.push(Section::new(*kind, rng));
            }
        }
        Edit::Drop => party.sections.truncate(1),
        Edit::Refuse => {
            if let Some(section) = party.sections.last_mut() {
                section.port = 0;
            }
        }
        Edit::Fax => {
            let fax = Section::new(Kind::Image, rng);
            party.sections = vec![fax];
        }
    }
}

/// The label of a party, by which gates find it whatever its tag is.
pub(crate) fn label(party: &Party) -> String {
    format!("label{}", party.number)
}

/// What a client says with a description of `sender`; `odd` allows options that change who is heard.
pub(crate) fn signal(
    sender: &mut Party,
    receiver: Option<&Party>,
    odd: bool,
    rng: &mut Rng,
) -> (Signal, Vec<Said>, Source) {
    let received_from: Option<IpAddr> = match sender.nat {
        _ if sender.unseen => None,
        Some(nat) if !odd || rng.percent(85) => Some(nat.public),
        Some(_) => None,
        None => rng.percent(30).then_some(sender.ip),
    };
    let trust = if received_from.is_some() && rng.percent(25) { Trust::SipSource } else { Trust::Sdp };
    let trusted = received_from.filter(|_| trust == Trust::SipSource);
    let (sdp, said) = sender.describe(trusted);
    let mut signal = Signal {
        sdp,
        received_from,
        trust,
        supports_load_limit: rng.percent(20),
        ice: rng.percent(10).then_some(Ice::Remove),
        port_latching: rng.percent(10).then_some(true),
        tos: match rng.below(20) {
            0 | 1 => Tos::Byte(184),
            2 | 3 => Tos::Keep,
            _ => Tos::Default,
        },
        rtcp_attribute: rng.percent(10).then(|| rng.percent(50)),
        generate_mid: rng.percent(10),
        replace: Replace {
            origin: rng.percent(30),
            session_name: rng.percent(20),
            sdp_version: rng.percent(10),
            username: rng.percent(10),
            zero_address: rng.percent(30),
            ..Replace::default()
        },
        ..Signal::default()
    };
    if rng.percent(25) {
        signal.rtcp_mux = RtcpMux {
            offer: rng.percent(30),
            require: rng.percent(15),
            demux: rng.percent(30),
            accept: rng.percent(30),
            reject: rng.percent(15),
        };
    }
    if receiver.is_some_and(|receiver| receiver.ip.is_ipv4() != sender.ip.is_ipv4()) {
        signal.address_family = Some(if sender.ip.is_ipv4() { Family::Ip6 } else { Family::Ip4 });
    } else if rng.percent(20) && sender.ip.is_ipv4() {
        signal.direction = ["default", "nat", "inside"]
            .map(|_| rng.pick(&["default", "nat", "inside"]).to_owned())[..2]
            .to_vec();
    }
    signal.label = Some(label(sender));
    let relayed = sender.nat.is_some_and(|nat| nat.relay.is_some());
    if relayed && (!odd || rng.percent(70)) || odd && rng.percent(4) {
        signal.media_networks = vec![RELAYS.parse().expect("a constant")];
    }
    if odd {
        signal.learn_strict = rng.percent(8);
        signal.learning = rng.percent(8).then_some(Learning::Off);
        signal.media_handover = rng.percent(8);
        signal.asymmetric = rng.percent(6);
        signal.generate_rtcp = rng.percent(8);
    }
    let source = Source {
        sip: signal.received_from,
        learn: signal.learning != Some(Learning::Off),
        asymmetric: signal.asymmetric,
        relays: !signal.media_networks.is_empty(),
        narrow: !signal.media_networks.is_empty() || signal.learn_strict,
    };
    (signal, said, source)
}

/// What a client wants of keys towards whoever gets the description.
pub(crate) fn keys(signal: &mut Signal, offer: bool, receiver: Option<&Party>, odd: bool, rng: &mut Rng) {
    use TransportProtocol::{RtpAvp, RtpAvpf, RtpSavp, RtpSavpf};
    if let Some(receiver) = receiver.filter(|_| offer) {
        signal.transport_protocol = match receiver.style {
            Style::Demanded => Some(rng.pick(&[RtpSavp, RtpSavpf])),
            Style::Plain => Some(rng.pick(&[RtpAvp, RtpAvp, RtpAvpf])),
            Style::BestEffort => Some(RtpAvp).filter(|_| rng.percent(60)),
        };
        if odd && rng.percent(5) {
            signal.transport_protocol = None;
        }
        signal.osrtp.offer = receiver.style == Style::BestEffort && rng.percent(70);
    }
    signal.osrtp = Osrtp { accept: !offer && rng.percent(30), ..signal.osrtp };
    if !rng.percent(30) {
        return;
    }
    let mut suites = || (0..rng.below(4)).map(|_| suite(rng).name().replace('_', "-")).collect();
    let (without, only, order, offerer_preference) = (suites(), suites(), suites(), suites());
    signal.sdes = Sdes {
        off: odd && rng.percent(8),
        without: if rng.percent(40) { without } else { Vec::new() },
        only: if rng.percent(40) { only } else { Vec::new() },
        order,
        offerer_preference,
        nonew: rng.percent(20),
        pad: rng.percent(30),
        lifetime: rng.percent(30),
        unencrypted_srtp: rng.percent(10),
        unencrypted_srtcp: rng.percent(10),
        // Not without a tag: whoever takes such packets takes any, and nobody could look after them.
        ..Sdes::default()
    };
}
