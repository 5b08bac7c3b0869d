//! The attack of CVE-2025-53399 on a shard: a third host sends to every port of a call, all the time.

use ng::Learning;

use super::*;

const ATTACKER: &str = "192.0.2.66:7000";
const PRIVATE: &str = "10.0.0.9:4000";
const NAT: &str = "203.0.113.1:31000";
/// Ours to the public.
const PUBLIC_SIDE: &str = "pub";

/// The number of a round in, a packet out.
type Make = fn(u16) -> Vec<u8>;

/// What the attacker sends.
const KINDS: [(&str, Make); 7] = [
    ("a flawless stream", |round| rtp(0, round, 9)),
    ("another SSRC each time", |round| rtp(0, round, u32::from(round) + 100)),
    ("a payload type that nobody offered", |round| rtp(3, round, 9)),
    ("one sequence over all ports", |round| rtp(0, round.wrapping_mul(5_000), 9)),
    ("no RTP", |_| vec![0; 172]),
    ("RTCP", |_| [[0x80, 200, 0, 42].as_slice(), &[0; 168]].concat()),
    ("too short for RTP", |_| vec![0x80; 9]),
];

pub(super) fn rtp(payload_type: u8, seq: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(172, 0xff);
    packet
}

/// A call under attack.
struct Siege {
    rig: Rig,
    kind: Make,
    sources: &'static [&'static str],
    round: u16,
    /// Between two packets of each.
    pace_ms: u64,
    /// The attacker's packets, those that somebody was sent, and those of others that were sent to the attacker.
    sprayed: u64,
    injected: u64,
    leaked: u64,
}

impl Siege {
    fn new(kind: Make, edit: impl FnOnce(&mut ShardConfig)) -> Self {
        Self {
            rig: Rig::with(edit),
            kind,
            sources: &[ATTACKER],
            round: 0,
            pace_ms: 20,
            sprayed: 0,
            injected: 0,
            leaked: 0,
        }
    }

    /// A while: one packet of the attacker to every port, from each of its own, then one of each party that sends.
    fn round(&mut self, parties: &[(&str, u16)]) -> Vec<Option<SocketAddr>> {
        self.rig.pass(self.pace_ms);
        self.round += 1;
        let mut ports: Vec<u16> = self.rig.open.values().map(SocketAddr::port).collect();
        ports.sort_unstable();
        for port in ports {
            for from in self.sources {
                self.sprayed += 1;
                let packet = (self.kind)(self.round);
                self.injected += u64::from(self.rig.packet(from, port, &packet).is_some());
            }
        }
        let attacker: SocketAddr = ATTACKER.parse().unwrap();
        let mut arrived = Vec::new();
        for &(from, port) in parties {
            let to = self.rig.packet(from, port, &rtp(0, self.round, 1)).map(|(_, to)| to);
            self.leaked += u64::from(to.is_some_and(|to| to.ip() == attacker.ip()));
            arrived.push(to);
        }
        arrived
    }

    fn rounds(&mut self, count: u16, parties: &[(&str, u16)]) -> Vec<Option<SocketAddr>> {
        (0..count).map(|_| self.round(parties)).last().unwrap()
    }
}

/// What a client may ask for.
fn options() -> Vec<(String, Signal)> {
    let modes = [
        None,
        Some(Learning::Delayed),
        Some(Learning::Immediate),
        Some(Learning::Heuristic),
        Some(Learning::Off),
    ];
    let mut all = Vec::new();
    for learning in modes {
        for (name, signal) in [
            ("", Signal::default()),
            ("strict-source", Signal { strict_source: true, ..Signal::default() }),
            ("media-handover", Signal { media_handover: true, ..Signal::default() }),
            ("asymmetric", Signal { asymmetric: true, ..Signal::default() }),
            ("port-latching", Signal { port_latching: Some(true), ..Signal::default() }),
            ("no-port-latching", Signal { port_latching: Some(false), ..Signal::default() }),
        ] {
            all.push((format!("{learning:?} {name}"), Signal { learning, ..signal }));
        }
    }
    all
}

/// A whole call under attack: ringing, early media, talk, silence, a repeated offer, hold, a move, the other's offer.
fn call_under_siege(siege: &mut Siege, offer: impl Fn(Vec<u8>) -> Signal, at: [&str; 2], from: [&str; 2]) {
    let with_tag = |signal: Signal| Signal { to_tag: Some("B".into()), ..signal };
    siege.sources = &[ATTACKER, "192.0.2.66:7001"];
    let toward_b = siege.rig.offer(offer(sdp(at[0], ""))).port();
    siege.pace_ms = 100;
    siege.rounds(15, &[]);
    let answered = siege.rig.answer(with_tag(offer(sdp(B, "")))).port();
    let (a, b) = ((from[0], answered), (B, toward_b));
    siege.rounds(15, &[]);
    let talk = siege.rounds(15, &[a, b]);
    let home = if offer(Vec::new()).asymmetric { at[0] } else { from[0] };
    assert_eq!(talk, [B, home].map(|at| at.parse().ok()), "the parties hear each other");
    siege.rounds(15, &[]);
    siege.rig.offer(with_tag(offer(sdp(at[0], ""))));
    siege.rounds(5, &[]);
    siege.rounds(5, &[a, b]);
    siege.rig.offer(with_tag(offer(sdp(at[0], "a=inactive\r\n"))));
    siege.rounds(15, &[]);
    siege.rig.offer(with_tag(offer(sdp(at[1], ""))));
    siege.rounds(5, &[b]);
    let talk = siege.rounds(15, &[(from[1], answered), b]);
    assert!(talk.iter().all(Option::is_some), "the parties hear each other after the move: {talk:?}");
    assert_eq!((siege.injected, siege.leaked), (0, 0));
    let drops = siege.rig.drops(DropReason::UnknownSource) + siege.rig.drops(DropReason::Undecided);
    assert_eq!(drops, siege.sprayed, "each packet of the attacker is dropped for being a stranger's");
    let offenders = siege.rig.offenders("c");
    assert_eq!(offenders.iter().map(|offender| offender.packets).sum::<u64>(), siege.sprayed);
    assert_eq!(siege.rig.calls(), ["c"], "bad packets end nothing");
}

#[test]
fn nothing_leaks_and_nothing_is_injected_where_an_address_is_known_whatever_is_asked_for() {
    let mut sprayed = 0;
    for (kind, make) in KINDS {
        for (option, signal) in options() {
            // What else is sent, in each mode; a flawless stream with every option besides.
            if kind != KINDS[0].0 && !option.ends_with(' ') {
                continue;
            }
            let off = signal.learning == Some(Learning::Off);
            println!("{kind}, {option}");
            let mut public = Siege::new(make, |_| {});
            let offer = |sdp| Signal { sdp, call_id: "c".into(), from_tag: "A".into(), ..signal.clone() };
            call_under_siege(&mut public, offer, [A, "198.51.100.9:4100"], [A, "198.51.100.9:4100"]);
            sprayed += public.sprayed;
            // Behind a NAT nobody is heard whose port must be learned, where that is off.
            let (first, moved) = if off { (PRIVATE, "10.0.0.7:4100") } else { (NAT, "203.0.113.1:40000") };
            let received_from = Some("203.0.113.1".parse().unwrap());
            let direction = vec![PUBLIC_SIDE.to_owned(); 2];
            let mut behind = Siege::new(make, |_| {});
            let offer = |sdp| Signal { received_from, direction: direction.clone(), ..offer(sdp) };
            call_under_siege(&mut behind, offer, [PRIVATE, "10.0.0.7:4100"], [first, moved]);
            sprayed += behind.sprayed;
            let mut listed = Siege::new(make, |config| {
                config.media_networks = crate::MediaNetworks::parse(&["pub=203.0.113.0/24".into()]).unwrap();
            });
            let offer = |sdp| Signal { received_from: None, ..offer(sdp) };
            call_under_siege(&mut listed, offer, [PRIVATE, "10.0.0.7:4100"], [first, moved]);
            sprayed += listed.sprayed;
        }
    }
    println!("{sprayed} packets of a third party, 0 injected, 0 leaked");
}

/// How one run ended for the attacker: packets injected, and packets leaked.
fn run(kind: Make, attack_at: Option<u16>, phone_at: u16, strict: bool) -> (u64, u64) {
    let mut siege = Siege::new(kind, |config| config.learn_strict = strict);
    let direction = vec![PUBLIC_SIDE.to_owned(); 2];
    let offer = |sdp| Signal { direction: direction.clone(), ..from_a(sdp) };
    let toward_b = siege.rig.offer(offer(sdp(PRIVATE, ""))).port();
    let spray = |siege: &mut Siege, parties: &[(&str, u16)], attacks: bool| {
        if attacks {
            siege.round(parties);
            return;
        }
        siege.rig.pass(20);
        siege.round += 1;
        for &(from, port) in parties {
            siege.rig.packet(from, port, &rtp(0, siege.round, 1));
        }
    };
    for _ringing in 0..60 {
        spray(&mut siege, &[], attack_at.is_none());
    }
    let answer = Signal { to_tag: Some("B".into()), ..offer(sdp(B, "")) };
    let toward_a = siege.rig.answer(answer).port();
    for round in 0..120 {
        let parties = [(B, toward_b), (NAT, toward_a)];
        let parties = if round >= phone_at { &parties[..] } else { &parties[..1] };
        spray(&mut siege, parties, attack_at.is_none_or(|begin| round >= begin));
    }
    (siege.injected, siege.leaked)
}

#[test]
fn what_a_private_description_alone_lets_in() {
    println!(
        "the attacker sends | since | the phone since | calls won, packets injected, leaked | learn strict"
    );
    for (kind, make) in KINDS {
        let flawless = kind == KINDS[0].0;
        for (since, attack_at) in [("ringing", None), ("the answer", Some(0)), ("0.2 s later", Some(10))] {
            for phones in [0..10_u16, 20..30, 50..60] {
                let phone_ms = phones.start * 20;
                let runs = |strict| {
                    let phones = phones.clone().step_by(if flawless { 1 } else { 5 });
                    phones.map(move |phone_at| run(make, attack_at, phone_at, strict))
                };
                let won: Vec<(u64, u64)> = runs(false).filter(|&one| one != (0, 0)).collect();
                let (injected, leaked) = won.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                let (calls, count) = (runs(true).count(), won.len());
                println!(
                    "{kind} | {since} | {phone_ms} ms | {count} of {calls}, {injected}, {leaked} | 0, 0, 0"
                );
                assert!(runs(true).all(|one| one == (0, 0)), "strict lets nobody in");
                assert!(flawless || count == 0, "{kind} is not taken for a phone");
                assert!(attack_at.is_some() || count == 0, "who rang along is known");
                assert!(phone_ms > 0 || count == 0, "who comes with the phone is not alone");
            }
        }
    }
}
