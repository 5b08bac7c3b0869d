//! Descriptions as parties write them, and how they change in the course of a call.

use std::fmt::Write;
use std::net::IpAddr;

use super::dice::Dice;

/// The description of one party, kept between its messages.
#[derive(Clone)]
pub(crate) struct Body {
    user: &'static str,
    session: u16,
    version: u16,
    name: &'static str,
    /// Where it is.
    pub(crate) address: IpAddr,
    /// Whether `c=` stands in the session; otherwise in each section.
    session_connection: bool,
    /// `c=` of the unspecified address.
    pub(crate) nowhere: bool,
    session_lines: Vec<&'static str>,
    pub(crate) sections: Vec<Section>,
}

/// One `m=` line and what belongs to it.
#[derive(Clone)]
pub(crate) struct Section {
    kind: &'static str,
    pub(crate) protocol: &'static str,
    /// 0 is rejected.
    pub(crate) port: u16,
    formats: Vec<&'static Format>,
    pub(crate) direction: Option<&'static str>,
    rtcp: Option<RtcpLine>,
    pub(crate) mux: bool,
    mid: Option<u16>,
    ptime: Option<u8>,
    own_connection: bool,
    ice: bool,
    lines: Vec<&'static str>,
}

/// What is said about the port of RTCP.
#[derive(Clone, Copy)]
enum RtcpLine {
    Port(u16),
    Address(u16),
}

/// A payload type or another format, and what is said about it.
struct Format {
    name: &'static str,
    lines: &'static [&'static str],
}

const fn format(name: &'static str, lines: &'static [&'static str]) -> Format {
    Format { name, lines }
}

const AUDIO: [Format; 7] = [
    format("0", &["rtpmap:0 PCMU/8000"]),
    format("8", &["rtpmap:8 PCMA/8000"]),
    format("9", &[]),
    format("18", &["rtpmap:18 G729/8000", "fmtp:18 annexb=no"]),
    format("3", &["rtpmap:3 GSM/8000"]),
    format("96", &["rtpmap:96 opus/48000/2", "fmtp:96 useinbandfec=1"]),
    format("101", &["rtpmap:101 telephone-event/8000", "fmtp:101 0-16"]),
];
const VIDEO: [Format; 3] = [
    format("97", &["rtpmap:97 H264/90000", "fmtp:97 profile-level-id=42e01f"]),
    format("98", &["rtpmap:98 VP8/90000"]),
    format("34", &["rtpmap:34 H263/90000"]),
];
const IMAGE: [Format; 1] = [format("t38", &[])];
const MESSAGE: [Format; 1] = [format("*", &[])];

/// Lines that mean nothing to a relay.
const SESSION_LINES: [&str; 6] =
    ["a=tool:phone", "b=AS:256", "i=about", "a=group:LS 1 2", "a=sendrecv", "a=x-vendor:7"];
const AUDIO_LINES: [&str; 6] =
    ["a=maxptime:60", "b=TIAS:64000", "a=ssrc:77 cname:x", "a=x-audio", "a=rtcp-xr:voip-metrics", "i=voice"];
const VIDEO_LINES: [&str; 4] = ["b=AS:512", "a=rtcp-fb:* nack", "a=content:main", "a=framerate:25"];
const IMAGE_LINES: [&str; 3] =
    ["a=T38FaxVersion:0", "a=T38MaxBitRate:14400", "a=T38FaxUdpEC:t38UDPRedundancy"];
const MESSAGE_LINES: [&str; 3] =
    ["a=path:msrp://192.0.2.1:4000/x;tcp", "a=accept-types:text/plain", "a=setup:actpass"];
/// Addresses of parties: nobody there is ever sent anything.
const ADDRESSES_4: [&str; 4] = ["192.0.2.1", "192.0.2.77", "198.51.100.9", "10.1.2.3"];
const ADDRESSES_6: [&str; 2] = ["2001:db8::1", "2001:db8:0:1::77"];

/// An address of a party.
pub(crate) fn address(dice: &mut Dice, ipv6: bool) -> IpAddr {
    let text = if ipv6 { dice.pick(&ADDRESSES_6) } else { dice.pick(&ADDRESSES_4) };
    text.parse().expect("an address")
}

impl Body {
    /// What somebody offers.
    pub(crate) fn offered(dice: &mut Dice, ipv6: bool) -> Body {
        let mut body = Body {
            user: dice.pick(&["-", "alice", "caller"]),
            session: 1000 + dice.below(9000),
            version: 1 + dice.below(50),
            name: dice.pick(&["-", "call", "a \"name\" with blanks"]),
            address: address(dice, ipv6),
            session_connection: dice.chance(75),
            nowhere: false,
            session_lines: dice.some(&SESSION_LINES, 8),
            sections: Vec::new(),
        };
        body.add_section(dice, "audio");
        if dice.chance(25) {
            body.add_section(dice, "video");
        }
        if dice.chance(15) {
            body.add_section(dice, "image");
        }
        if dice.chance(8) {
            body.add_section(dice, "audio");
        }
        if dice.chance(6) {
            body.add_section(dice, "message");
        }
        body
    }

    /// What somebody answers to it, who was told `feedback`.
    pub(crate) fn answered(
        dice: &mut Dice,
        offer: &Body,
        protocol: Option<&'static str>,
        ipv6: bool,
    ) -> Body {
        let mut body = Body {
            user: dice.pick(&["-", "bob"]),
            session: 1000 + dice.below(9000),
            version: 1 + dice.below(50),
            name: dice.pick(&["-", "answer"]),
            address: address(dice, ipv6),
            session_connection: dice.chance(75),
            nowhere: false,
            session_lines: dice.some(&SESSION_LINES, 5),
            sections: Vec::new(),
        };
        for section in &offer.sections {
            body.answer_section(dice, section, protocol);
        }
        body
    }

    /// The answer to one section.
    pub(crate) fn answer_section(
        &mut self,
        dice: &mut Dice,
        offered: &Section,
        protocol: Option<&'static str>,
    ) {
        let mut section = Section {
            port: if offered.port == 0 || dice.chance(5) { 0 } else { port(dice) },
            direction: answered(dice, offered.direction),
            rtcp: None,
            mux: offered.kind != "message" && dice.chance(if offered.mux { 60 } else { 3 }),
            ptime: offered.ptime.filter(|_| dice.chance(90)),
            own_connection: dice.chance(10),
            ice: false,
            lines: Vec::new(),
            ..offered.clone()
        };
        if let (true, Some(protocol)) = (section.is_rtp(), protocol) {
            section.protocol = protocol;
        }
        // At least one that both know.
        let first = section.formats[0];
        section.formats.retain(|format| std::ptr::eq(*format, first) || dice.chance(70));
        if section.is_rtp() && dice.chance(10) {
            section.rtcp = Some(RtcpLine::Port(section.port + 1));
        }
        self.sections.push(section);
    }

    /// What it answers later on to an offer of the other side: as before, but for what the offer changed.
    pub(crate) fn follow(&mut self, dice: &mut Dice, offer: &Body, protocol: Option<&'static str>) {
        self.version += 1;
        self.sections.truncate(offer.sections.len());
        for (index, offered) in offer.sections.iter().enumerate() {
            match self.sections.get_mut(index) {
                Some(mine) if mine.kind == offered.kind => {
                    if offered.port == 0 || mine.port == 0 {
                        mine.port = if offered.port == 0 || dice.chance(50) { 0 } else { port(dice) };
                    }
                    mine.direction = answered(dice, offered.direction);
                    mine.protocol = protocol.filter(|_| offered.is_rtp()).unwrap_or(offered.protocol);
                    mine.formats.clone_from(&offered.formats);
                    if mine.mux != offered.mux {
                        mine.mux = offered.mux && dice.chance(60);
                    }
                }
                _ => {
                    self.sections.truncate(index);
                    self.answer_section(dice, offered, protocol);
                }
            }
        }
    }

    /// Another section behind the others.
    pub(crate) fn add_section(&mut self, dice: &mut Dice, kind: &'static str) {
        let (formats, lines): (Vec<&'static Format>, Vec<&'static str>) = match kind {
            "audio" => (chosen(dice, &AUDIO), dice.some(&AUDIO_LINES, 10)),
            "video" => (chosen(dice, &VIDEO), dice.some(&VIDEO_LINES, 20)),
            "message" => (vec![&MESSAGE[0]], dice.some(&MESSAGE_LINES, 60)),
            _ => (vec![&IMAGE[0]], dice.some(&IMAGE_LINES, 60)),
        };
        let rtp = matches!(kind, "audio" | "video");
        let port = port(dice);
        let number = u16::try_from(self.sections.len()).expect("few");
        self.sections.push(Section {
            kind,
            protocol: match (rtp, dice.chance(15)) {
                (false, _) if kind == "message" => "TCP/MSRP",
                (false, _) => "udptl",
                (true, false) => "RTP/AVP",
                (true, true) => "RTP/AVPF",
            },
            port,
            formats,
            direction: dice.pick(&[
                None,
                None,
                Some("sendrecv"),
                Some("sendrecv"),
                Some("sendonly"),
                Some("recvonly"),
                Some("inactive"),
            ]),
            rtcp: match dice.below(if rtp { 12 } else { 1 }) {
                1 | 2 => Some(RtcpLine::Port(port + 1)),
                3 => Some(RtcpLine::Port(port + 100)),
                4 => Some(RtcpLine::Address(port + 7)),
                _ => None,
            },
            mux: rtp && dice.chance(15),
            mid: dice.chance(12).then_some(number),
            ptime: (kind == "audio" && dice.chance(40)).then_some(if dice.chance(80) { 20 } else { 30 }),
            own_connection: dice.chance(10),
            ice: false,
            lines,
        });
    }

    /// What somebody says who is to hear all of it, and says nothing.
    pub(crate) fn heard(dice: &mut Dice, source: &Body) -> Body {
        let mut body =
            Body { user: "rec", version: 1, nowhere: false, session_lines: Vec::new(), ..source.clone() };
        body.address = address(dice, source.address.is_ipv6());
        for section in &mut body.sections {
            section.port = if section.port == 0 { 0 } else { port(dice) };
            (section.rtcp, section.mux, section.ice) = (None, false, false);
            section.direction = Some("recvonly");
        }
        body
    }

    /// What somebody says who only sends: its first section.
    pub(crate) fn published(mut self) -> Body {
        self.sections.truncate(1);
        self.nowhere = false;
        for section in &mut self.sections {
            (section.rtcp, section.direction) = (None, Some("sendonly"));
        }
        self
    }

    /// Whether every section can be heard: none is rejected, held by the unspecified address, or runs over TCP.
    pub(crate) fn is_heard(&self) -> bool {
        !self.nowhere
            && self.sections.iter().all(|section| section.port != 0 && section.protocol != "TCP/MSRP")
    }

    /// Candidates in every section, as somebody writes who knows ICE.
    pub(crate) fn with_ice(mut self) -> Body {
        self.sections.iter_mut().filter(|section| section.is_rtp()).for_each(|section| section.ice = true);
        self
    }

    /// The next version of it, in which something has changed: what happens in the course of a call.
    pub(crate) fn change(&mut self, dice: &mut Dice) {
        self.version += 1;
        match dice.below(12) {
            // A refresh.
            0 | 1 => {}
            // On hold, in one of its ways, and back.
            2..=4 => {
                let direction = dice.pick(&[
                    Some("sendonly"),
                    Some("inactive"),
                    Some("recvonly"),
                    Some("sendrecv"),
                    None,
                ]);
                self.sections.iter_mut().for_each(|section| section.direction = direction);
            }
            5 => self.nowhere = !self.nowhere,
            // Somewhere else.
            6 | 7 => {
                for section in self.sections.iter_mut().filter(|section| section.port != 0) {
                    section.port = port(dice);
                    section.rtcp = None;
                }
            }
            8 => self.address = address(dice, self.address.is_ipv6()),
            // Less, or more.
            9 => {
                let index = usize::from(dice.below(u16::try_from(self.sections.len()).expect("few")));
                self.sections[index].port = if self.sections[index].port == 0 { port(dice) } else { 0 };
            }
            10 if self.sections.len() < 4 => {
                let kind = dice.pick(&["audio", "video", "image"]);
                self.add_section(dice, kind);
            }
            _ => {
                for section in self.sections.iter_mut().filter(|section| section.is_rtp()) {
                    section.mux = !section.mux;
                }
            }
        }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let family = if self.address.is_ipv4() { "IP4" } else { "IP6" };
        let shown = match (self.nowhere, self.address) {
            (false, address) => address.to_string(),
            (true, IpAddr::V4(_)) => "0.0.0.0".to_owned(),
            (true, IpAddr::V6(_)) => "::".to_owned(),
        };
        let mut line = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).and_then(|()| text.write_str("\r\n")).expect("a string takes every write");
        };
        line(format_args!("v=0"));
        line(format_args!("o={} {} {} IN {family} {}", self.user, self.session, self.version, self.address));
        line(format_args!("s={}", self.name));
        let (early, late): (Vec<&str>, Vec<&str>) =
            self.session_lines.iter().copied().partition(|line| line.starts_with("i="));
        early.iter().for_each(|own| line(format_args!("{own}")));
        let each = !self.session_connection;
        if !each {
            line(format_args!("c=IN {family} {shown}"));
        }
        late.iter().filter(|own| own.starts_with("b=")).for_each(|own| line(format_args!("{own}")));
        line(format_args!("t=0 0"));
        late.iter().filter(|own| own.starts_with("a=")).for_each(|own| line(format_args!("{own}")));
        for section in &self.sections {
            let formats: Vec<&str> = section.formats.iter().map(|format| format.name).collect();
            let Section { kind, port, protocol, .. } = section;
            line(format_args!("m={kind} {port} {protocol} {}", formats.join(" ")));
            let of_kind =
                |kind: &'static str| section.lines.iter().filter(move |line| line.starts_with(kind));
            of_kind("i=").for_each(|own| line(format_args!("{own}")));
            if each || section.own_connection {
                line(format_args!("c=IN {family} {shown}"));
            }
            of_kind("b=").for_each(|own| line(format_args!("{own}")));
            section
                .formats
                .iter()
                .flat_map(|format| format.lines)
                .for_each(|own| line(format_args!("a={own}")));
            of_kind("a=").for_each(|own| line(format_args!("{own}")));
            if let Some(mid) = section.mid {
                line(format_args!("a=mid:{mid}"));
            }
            if let Some(ptime) = section.ptime {
                line(format_args!("a=ptime:{ptime}"));
            }
            if let Some(direction) = section.direction.filter(|_| section.kind != "message") {
                line(format_args!("a={direction}"));
            }
            match section.rtcp {
                Some(RtcpLine::Port(port)) => line(format_args!("a=rtcp:{port}")),
                Some(RtcpLine::Address(port)) => {
                    line(format_args!("a=rtcp:{port} IN {family} {}", self.address))
                }
                None => {}
            }
            if section.mux {
                line(format_args!("a=rtcp-mux"));
            }
            if section.ice {
                line(format_args!("a=ice-ufrag:abcd"));
                line(format_args!("a=ice-pwd:abcdefghijklmnopqrstuvwx"));
                line(format_args!("a=candidate:1 1 UDP 2130706431 {} {port} typ host", self.address));
            }
        }
        text
    }
}

impl Section {
    /// Whether it carries RTP.
    pub(crate) fn is_rtp(&self) -> bool {
        self.protocol.starts_with("RTP/")
    }
}

/// The direction in which an answer agrees.
fn answered(dice: &mut Dice, offered: Option<&'static str>) -> Option<&'static str> {
    match offered {
        Some("sendonly") => Some("recvonly"),
        Some("recvonly") => Some("sendonly"),
        Some("inactive") => Some("inactive"),
        _ => dice.pick(&[None, Some("sendrecv")]),
    }
}

/// One or more of them.
fn chosen(dice: &mut Dice, from: &'static [Format]) -> Vec<&'static Format> {
    let first = usize::from(dice.below(u16::try_from(from.len()).expect("few")));
    let kept = from.iter().enumerate().filter(|(index, _)| *index == first || dice.chance(35));
    kept.map(|(_, format)| format).collect()
}

/// A port that no peer of ours uses.
fn port(dice: &mut Dice) -> u16 {
    4000 + 2 * dice.below(2000)
}
