//! The network: what parties and strangers send, what arrives of it and when, and what became of it.

use std::net::SocketAddr;

use engine_core::{DropReason, Input, Output, SocketId};

use crate::client::Call;
use crate::hearing::Arrival;
use crate::hostile;
use crate::keys::{ROOM, Ring};
use crate::party::{Direction, Kind, Section, relay};
use crate::rng::Rng;
use crate::secrecy::Packet;
use crate::world::{Happening, MS, World, bound};

/// A party sends a round of packets.
pub(crate) fn talk(world: &mut World, call: usize, party: usize) {
    if world.now >= world.calls[call].parties[party].talks_until {
        return;
    }
    let mut packets = Vec::new();
    let calm = world.calls[call].calm;
    let (rng, talker) = (&mut world.rng, &mut world.calls[call].parties[party]);
    // A phone on hold may send all the same.
    let stubborn = talker.listens || rng.percent(20);
    for (index, told) in talker.told.iter().enumerate() {
        let Some(section) = talker.sections.get(index).filter(|section| section.port != 0) else { continue };
        let silent = matches!(section.direction, Direction::RecvOnly | Direction::Inactive) && !stubborn;
        let Some(to) = told.rtp.filter(|_| !silent) else { continue };
        talker.sequence = talker.sequence.wrapping_add(1);
        let packet = match section.kind {
            Kind::Message => continue,
            Kind::Image => vec![rng.u8(), rng.u8(), 3, 4, 5],
            Kind::Audio => rtp(rng.pick(&[0, 0, 8, 101]), talker.sequence, talker.ssrc),
            Kind::Video => rtp(96, talker.sequence, talker.ssrc),
        };
        let from = talker.source(section.port);
        packets.push((from, to, protected(&mut talker.rings, index, section, packet, calm, rng)));
        if let Some(to) = told.rtcp.filter(|_| section.kind != Kind::Image && rng.percent(25)) {
            let mut report = vec![0x80, 201, 0, 1];
            report.extend(talker.ssrc.to_be_bytes());
            let port = if Some(to) == told.rtp { section.port } else { section.rtcp_port() };
            let report = protected(&mut talker.rings, index, section, report, calm, rng);
            packets.push((talker.source(port), to, report));
        }
    }
    for (from, to, packet) in packets {
        world.reach.insert(from, (call, party));
        send(world, from, to, packet, calm);
    }
    let pause = world.rng.between(60, 260);
    world.after(pause * MS, Happening::Talk { call, party });
}

fn rtp(payload_type: u8, sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x11; 16]);
    packet
}

/// What a party sends, under its key if it has one; now and then it forgets to.
fn protected(
    rings: &mut [Ring],
    index: usize,
    section: &Section,
    plain: Vec<u8>,
    calm: bool,
    rng: &mut Rng,
) -> Packet {
    let Some(ring) = rings.get_mut(index) else { return plain.into() };
    let Some(line) = ring.speaks.clone().or_else(|| section.keys.first().cloned()) else {
        return plain.into();
    };
    let rtp = matches!(section.kind, Kind::Audio | Kind::Video);
    if !rtp || !calm && rng.percent(3) {
        return plain.into();
    }
    let bytes = ring.protect(&line, &plain, is_rtcp(&plain));
    Packet { bytes, plain, key: Some(line.keys[0].key_and_salt.to_vec()), forged: false }
}

/// A datagram leaves for the engine.
fn send(world: &mut World, from: SocketAddr, to: SocketAddr, packet: Packet, calm: bool) {
    let loss = if calm { 0 } else { world.temper.loss };
    if world.rng.percent(loss) {
        return;
    }
    let copies = 1 + u64::from(world.rng.percent(loss));
    if packet.key.is_some() && !calm && world.rng.percent(6) {
        // Somebody on the way changes a bit, in a copy.
        let mut forged = packet.bytes.clone();
        let at = world.rng.between(2, forged.len() as u64);
        forged[usize::try_from(at).expect("a few bytes")] ^= 1 << world.rng.below(8);
        let delay = world.rng.between(1, 120);
        world.after(
            delay * MS,
            Happening::ToEngine { from, to, packet: Packet { forged: true, ..forged.into() } },
        );
    }
    for _ in 0..copies {
        let delay = if calm { world.rng.between(1, 15) } else { world.rng.between(1, 120) };
        world.after(delay * MS, Happening::ToEngine { from, to, packet: packet.clone() });
    }
}

/// Strangers send to whatever is open.
pub(crate) fn spray(world: &mut World) {
    let node = world.rng.index(world.nodes.len());
    let open: Vec<SocketAddr> = world.nodes[node].kernel.open().map(|(_, bound)| bound.local).collect();
    if open.is_empty() {
        return;
    }
    let (four, six) = (hostile::address(&mut world.rng, true), hostile::address(&mut world.rng, false));
    for _ in 0..world.rng.between(2, 14) {
        let at = world.rng.pick(&open);
        let mut from = if at.is_ipv4() { four } else { six };
        if let Some(forged) = forge(world, node, at) {
            from = forged;
        }
        let packet = replay(world, node, at).unwrap_or_else(|| hostile::packet(&mut world.rng));
        world.arrive_at(from, at, packet.into());
    }
}

/// Now and then a stranger sends what it saw go by.
fn replay(world: &mut World, node: usize, at: SocketAddr) -> Option<Vec<u8>> {
    let kernel = &world.nodes[node].kernel;
    let seen = world.calls[kernel.get(kernel.at(at)?)?.call].secrecy.captured();
    if seen.is_empty() || world.rng.percent(60) {
        return None;
    }
    Some(seen[world.rng.index(seen.len())].clone())
}

/// Now and then a stranger sits behind the NAT of a party, or forges the address at which one is signalled to be.
fn forge(world: &mut World, node: usize, at: SocketAddr) -> Option<SocketAddr> {
    let kernel = &world.nodes[node].kernel;
    let call = &world.calls[kernel.get(kernel.at(at)?)?.call];
    if call.calm {
        return None;
    }
    let forged = match world.rng.below(10) {
        0 => {
            let party = world.rng.index(call.parties.len());
            Some(call.parties[party].source(world.rng.u16(1, u16::MAX)))
        }
        1..=3 => {
            let signalled = call.hearing.signalled();
            (!signalled.is_empty()).then(|| world.rng.pick(&signalled))
        }
        // Or in the network of the relays.
        4 => Some(SocketAddr::new(relay(world.rng.u8(), world.rng.u8(), world.rng.u8()), 5_000)),
        _ => None,
    };
    forged.filter(|from| from.is_ipv4() == at.is_ipv4())
}

impl World {
    /// A datagram is at an address that parties know.
    pub(crate) fn arrive(&mut self, from: SocketAddr, to: SocketAddr, packet: Packet) {
        self.arrive_at(from, bound(to), packet);
    }

    fn arrive_at(&mut self, from: SocketAddr, local: SocketAddr, packet: Packet) {
        let there = self.nodes.iter().enumerate().find_map(|(node, it)| Some((node, it.kernel.at(local)?)));
        if let Some((node, socket)) = there {
            self.datagram(node, socket, from, packet);
        }
    }

    /// A shard gets a datagram; what becomes of it is judged.
    pub(crate) fn datagram(&mut self, node: usize, socket: SocketId, remote: SocketAddr, arrived: Packet) {
        let bound = self.nodes[node].kernel.get(socket).filter(|bound| bound.open);
        let length = u16::try_from(arrived.bytes.len()).expect("a datagram");
        let mut packet = [arrived.bytes.as_slice(), &[0; ROOM]].concat();
        let input = Input::Datagram { socket, remote, packet: &mut packet, length };
        let (outputs, before) = self.handle(node, input);
        let (mut sent, mut recorded) = (Vec::new(), None);
        for output in &outputs {
            match output {
                Output::Transmit { socket, remote, range } => {
                    sent.push((
                        *socket,
                        *remote,
                        packet[usize::from(range.start)..usize::from(range.end)].to_vec(),
                    ));
                }
                Output::TransmitCopy { socket, remote, made } => {
                    sent.push((*socket, *remote, self.nodes[node].shard.made(made).to_vec()));
                }
                Output::Record { recording, socket: at, remote: from, made } => {
                    let call = self.nodes[node].recorder.call(*recording);
                    let call = call.unwrap_or_else(|| panic!("{recording:?} is not under way"));
                    assert_eq!(
                        bound.map(|bound| bound.call),
                        Some(call),
                        "of another call than {recording:?}"
                    );
                    assert!(self.calls[call].recorded, "call-{call} is recorded, and nobody wants it");
                    assert_eq!((*at, *from), (socket, remote), "recorded as of somebody else");
                    recorded = Some(self.nodes[node].shard.made(made).to_vec());
                }
                _ => {}
            }
        }
        // Before the outputs are done: they may close the sockets that the datagram was about.
        let verdict = crate::books::reason(&before, self.nodes[node].shard.counters());
        let local = bound.map(|bound| bound.local);
        if let Some(bound) = bound {
            let arrival = Arrival { local: bound.local, remote, packet: &arrived.bytes };
            self.judge(node, bound.call, arrival, verdict, &arrived, &sent, recorded.as_ref());
        } else {
            assert_eq!(verdict, Some(DropReason::NoSocket), "there is no socket");
            assert!(sent.is_empty());
        }
        let seen = self.outputs(node, bound.map(|bound| bound.call), outputs);
        self.check(node, &before, Some(arrived.bytes.len()), &seen);
        for (_, to, bytes) in sent {
            let rtp = local.is_some_and(|local| local.port() % 2 == 0) && !is_rtcp(&bytes);
            let delay = self.rng.between(1, 15);
            self.after(delay * MS, Happening::ToParty { to, rtp });
        }
    }

    /// Whether what became of a datagram may become of it.
    #[expect(clippy::too_many_arguments, reason = "what came, and all that came of it")]
    fn judge(
        &mut self,
        node: usize,
        call: usize,
        arrival: Arrival<'_>,
        verdict: Option<DropReason>,
        arrived: &Packet,
        sent: &[(SocketId, SocketAddr, Vec<u8>)],
        recorded: Option<&Vec<u8>>,
    ) {
        let Arrival { local, remote, packet } = arrival;
        let Call { hearing, secrecy, .. } = &mut self.calls[call];
        let name = format_args!("of {remote} at {local} in call-{call}").to_string();
        match verdict {
            Some(DropReason::NoSocket) => {
                assert!(!hearing.is_shown(local), "a packet {name} found no socket, but it was shown");
                return;
            }
            Some(DropReason::Size) => {
                assert!(packet.is_empty(), "a packet {name} of {} bytes has no size", packet.len());
                return;
            }
            Some(DropReason::NotRtp) => {
                // What comes to the wrong port or has a header of no sense cannot be encrypted.
                let senseless = packet.first() != Some(&0x80) || local.port() % 2 == 0 && is_rtcp(packet);
                let unfit = secrecy.is_on() && senseless;
                let rtp = packet.len() >= 8 && packet[0] >> 6 == 2 && !unfit;
                assert!(!rtp, "a packet {name} is RTP: {packet:02x?}");
                if unfit {
                    hearing.admitted(&hearing.senders(arrival), arrival);
                }
                return;
            }
            Some(DropReason::UnknownSource) => {
                assert!(!hearing.is_due(arrival), "a packet {name} is of a party");
                return;
            }
            Some(DropReason::Undecided) => {
                assert!(!hearing.senders(arrival).is_empty(), "a packet {name} can be nobody's");
                return;
            }
            Some(DropReason::Fault) => return,
            Some(
                reason @ (DropReason::NoKeys
                | DropReason::NotSrtp
                | DropReason::Unauthentic
                | DropReason::Replayed
                | DropReason::Repeated
                | DropReason::KeyExhausted),
            ) => {
                let senders = hearing.places(arrival);
                assert!(!senders.is_empty(), "a packet {name} can be nobody's, and was tried: {reason:?}");
                // Nobody can tell whether a report beside RTP is read as one.
                let misplaced = local.port() % 2 == 0 && is_rtcp(packet);
                secrecy.judge_drop(reason, &senders, arrived, misplaced, &format!("a packet {name}"));
                let proven =
                    !matches!(reason, DropReason::Unauthentic | DropReason::NotSrtp | DropReason::Replayed);
                // Taken, but not sent on.
                if proven && !(reason == DropReason::NoKeys && secrecy.waits_for(&senders)) {
                    secrecy.may_be_taken(arrived);
                    hearing.admitted(&hearing.senders(arrival), arrival);
                }
                return;
            }
            Some(
                reason @ (DropReason::CheckMalformed
                | DropReason::CheckUnauthentic
                | DropReason::CheckSources),
            ) => panic!("a packet {name} is dropped for {reason:?}, and nobody speaks ICE here"),
            Some(
                reason @ (DropReason::Handshake
                | DropReason::NotDtls
                | DropReason::HelloRefused
                | DropReason::HandshakeOver),
            ) => panic!("a packet {name} is dropped for {reason:?}, and nobody has a certificate here"),
            Some(
                DropReason::Consumed
                | DropReason::Held
                | DropReason::Blocked
                | DropReason::NoSink
                | DropReason::NoDestination,
            )
            | None => {}
        }
        let senders = hearing.senders(arrival);
        assert!(!senders.is_empty(), "a packet {name} is of a stranger and was admitted: {verdict:?}");
        let plains = secrecy.taken(&hearing.places(arrival), arrived, &format!("a packet {name}"));
        if let Some(recorded) = recorded {
            assert!(plains.contains(recorded), "a packet {name} is recorded otherwise than it was meant");
        }
        let [each, any] = hearing.forbidden(&senders);
        // What a telephone event is in every description here.
        let event = packet.get(1).is_some_and(|second| second & 0x7f == 101);
        match verdict {
            Some(DropReason::Held) => {
                assert!(hearing.is_anybody_held(arrival), "a packet {name} is not held")
            }
            Some(DropReason::Blocked) => {
                let ways = hearing.forbidden_somewhere(&senders);
                let blocked = any.blocked || ways.blocked || (any.dtmf && event);
                assert!(blocked, "a packet {name} is not blocked");
            }
            _ => {}
        }
        let plain = hearing.is_rtp(local) && local.port() % 2 == 0 && !is_rtcp(packet);
        for (socket, to, bytes) in sent {
            let from = self.nodes[node].kernel.get(*socket).filter(|bound| bound.open);
            let from =
                from.unwrap_or_else(|| panic!("a packet {name} leaves from a socket that is not open"));
            assert_eq!(from.call, call, "a packet {name} leaves from another call's socket");
            assert_eq!(
                from.local.is_ipv4(),
                to.is_ipv4(),
                "a packet {name} cannot go from {} to {to}",
                from.local
            );
            let hearers = hearing.hearers(&senders, arrival, from.local, *to);
            assert!(
                !hearers.is_empty(),
                "a packet {name} went from {} to {to}, who may not hear it",
                from.local
            );
            let [sure, maybe] = hearing.forbidden_ways(&senders, &hearers);
            if plain {
                let blocked = !event && (each.blocked || sure.blocked);
                assert!(!blocked, "a packet {name} was sent on to {hearers:?}, and that is blocked");
                assert!(
                    hearing.flows(&senders, &hearers, arrival),
                    "a packet {name} was sent on in a call on hold"
                );
                assert_eq!(from.local.port() % 2, 0, "RTP {name} left from a socket of RTCP");
            }
            let Some(opened) = secrecy.open(bytes, *to, &hearers, &format!("a packet {name}")) else {
                continue;
            };
            // With a plain header, so that the payload is where it seems to be.
            let audio = plain && packet[0] == 0x80 && matches!(packet[1] & 0x7f, 0 | 8 | 9);
            let silent = audio && opened[12..].iter().all(|byte| [0xff, 0xd5, 0xfa].contains(byte));
            let muted = each.silenced || sure.silenced;
            assert!(silent || !(audio && muted), "a packet {name} is not silent for {hearers:?}");
            assert!(
                plains.contains(&opened)
                    || ((any.silenced || maybe.silenced) && (silent || packet[0] != 0x80)),
                "a packet {name} was changed: {opened:02x?} is none of {plains:02x?}"
            );
        }
        if verdict.is_none() {
            secrecy.passed(&plains);
        }
        hearing.admitted(&senders, arrival);
    }
}

fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() > 1 && (192..=223).contains(&packet[1])
}
