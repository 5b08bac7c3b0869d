//! ICE agents against each other in virtual time: full and lite, through a NAT, with loss, after a restart, into silence.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use rtp::ice::{
    Agent, CandidateRefused, Credentials, Event, LOCALS_MAX, Local, REMOTES_MAX, SOURCES_MAX, STUN_BYTES_MAX,
    StunDrop, Terms,
};
use rtp::units::Instant;

const START: Instant = Instant::from_millis(1000);

fn base() -> std::time::Instant {
    static BASE: OnceLock<std::time::Instant> = OnceLock::new();
    *BASE.get_or_init(std::time::Instant::now)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn credentials(seed: u8) -> Credentials {
    Credentials::from_random([seed; 24])
}

fn agent(seed: u8, controlling: bool, lite: bool, component: u16) -> Agent {
    let terms = Terms {
        credentials: &credentials(seed),
        controlling,
        lite,
        component,
        tie_breaker: u64::from(seed),
        base: base(),
    };
    Agent::new(terms, START)
}

/// To which agent, to which of its addresses, from where, and what.
type Datagram = (usize, SocketAddr, SocketAddr, Vec<u8>);

/// What lies between two agents.
struct Net {
    now: Instant,
    agents: [Agent; 2],
    events: [Vec<Event>; 2],
    /// Datagrams sent by each.
    sent: [usize; 2],
    /// What the first agent's host address looks like from outside, if there is a NAT.
    nat: Option<(SocketAddr, SocketAddr)>,
    /// Which datagrams are lost, by their number.
    lost: fn(usize) -> bool,
    under_way: BTreeMap<(Instant, usize), Datagram>,
    count: usize,
}

impl Net {
    fn new(agents: [Agent; 2]) -> Self {
        Self {
            now: START,
            agents,
            events: [Vec::new(), Vec::new()],
            sent: [0; 2],
            nat: None,
            lost: |_| false,
            under_way: BTreeMap::new(),
            count: 0,
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.collect();
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let due = self.agents.iter().filter_map(Agent::next_deadline).min();
            let Some(next) = arrival.into_iter().chain(due).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, (to, local, source, datagram)) = self.under_way.pop_first().unwrap();
                let _ = self.agents[to].handle_datagram(self.now, local, source, &datagram);
            }
            for agent in &mut self.agents {
                if agent.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                    agent.handle_timeout(self.now);
                    assert!(agent.next_deadline().is_none_or(|deadline| deadline > self.now), "{agent:?}");
                }
            }
        }
        self.now = end;
    }

    fn collect(&mut self) {
        for index in 0..2 {
            let mut room = [0; STUN_BYTES_MAX];
            while let Some(transmit) = self.agents[index].poll_transmit(&mut room) {
                self.sent[index] += 1;
                self.count += 1;
                if (self.lost)(self.count) {
                    continue;
                }
                let (mut source, mut destination) = (transmit.local, transmit.remote);
                if let Some((inside, outside)) = self.nat {
                    if index == 0 && source == inside {
                        source = outside;
                    }
                    if index == 1 && destination == outside {
                        destination = inside;
                    } else if index == 1 && destination == inside {
                        // A private address leads nowhere from outside.
                        continue;
                    }
                }
                let at = self.now + Duration::from_millis(20);
                let datagram = room[..transmit.bytes].to_vec();
                self.under_way.insert((at, self.count), (1 - index, destination, source, datagram));
            }
            while let Some(event) = self.agents[index].poll_event() {
                self.events[index].push(event);
            }
        }
    }

    /// Gives each agent the other's candidates and credentials.
    fn describe(&mut self, locals: [&[Local]; 2], seeds: [u8; 2]) {
        for index in 0..2 {
            let described: Vec<_> =
                locals[index].iter().map(|local| self.agents[index].add_local(*local).unwrap()).collect();
            let other = &mut self.agents[1 - index];
            other.set_remote_credentials(&credentials(seeds[index]));
            for candidate in described {
                // As it travels in a description.
                other.add_remote(&candidate.to_string().parse().unwrap()).unwrap();
            }
        }
    }

    fn nominated(&self, index: usize) -> Option<(SocketAddr, SocketAddr)> {
        self.events[index].iter().rev().find_map(|event| match event {
            Event::Nominated { local, remote } => Some((*local, *remote)),
            _ => None,
        })
    }
}

#[test]
fn full_and_lite_agents_find_each_other_over_both_families() {
    for (one, two) in [("192.0.2.1:5000", "198.51.100.2:6000"), ("[2001:db8::1]:5000", "[2001:db8::2]:6000")]
    {
        for lite in [false, true] {
            let mut net = Net::new([agent(1, true, false, 1), agent(2, false, lite, 1)]);
            let (one, two) = (address(one), address(two));
            net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
            net.run(Duration::from_secs(2));
            assert_eq!(net.nominated(0), Some((one, two)), "lite {lite}");
            assert_eq!(net.nominated(1), Some((two, one)), "lite {lite}");
            assert!(net.agents[0].is_validated(two) && net.agents[1].is_validated(one));
            assert!(!net.agents[0].is_validated(one));
            assert!(net.agents[0].is_controlling() && !net.agents[1].is_controlling());
        }
    }
}

/// RTP and RTCP on ports of their own: an agent each, with priorities that differ in the component.
#[test]
fn two_components_are_two_agents() {
    let mut described = Vec::new();
    for component in [1, 2] {
        let mut net = Net::new([agent(1, true, false, component), agent(2, false, true, component)]);
        let (one, two) =
            (format!("192.0.2.1:{}", 4999 + component), format!("198.51.100.2:{}", 5999 + component));
        let (one, two) = (address(&one), address(&two));
        let candidate = agent(1, true, false, component).add_local(Local::Host(one)).unwrap();
        let other = agent(2, false, true, 3 - component).add_remote(&candidate);
        assert_eq!(other, Err(CandidateRefused::Component));
        described.push(candidate);
        net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
        net.run(Duration::from_secs(2));
        assert_eq!(net.nominated(1), Some((two, one)));
    }
    assert_eq!([described[0].component, described[1].component], [1, 2]);
    assert_eq!(described[0].priority, described[1].priority + 1);
}

/// An agent behind a NAT, with and without having learned its outer address: the other end finds it by its checks.
#[test]
fn a_nat_is_passed_with_and_without_a_reflexive_candidate() {
    let (inside, outside) = (address("10.0.0.5:5000"), address("203.0.113.9:40000"));
    let server = address("198.51.100.2:6000");
    for learned in [false, true] {
        for lite in [false, true] {
            let mut net = Net::new([agent(1, true, false, 1), agent(2, false, lite, 1)]);
            net.nat = Some((inside, outside));
            let reflexive = Local::ServerReflexive { base: inside, mapped: outside };
            let locals: &[Local] =
                if learned { &[Local::Host(inside), reflexive] } else { &[Local::Host(inside)] };
            net.describe([locals, &[Local::Host(server)]], [1, 2]);
            net.run(Duration::from_secs(3));
            assert_eq!(net.nominated(1), Some((server, outside)), "learned {learned}, lite {lite}");
            assert_eq!(net.nominated(0), Some((inside, server)));
        }
    }
}

#[test]
fn loss_costs_time_only() {
    let mut net = Net::new([agent(1, true, false, 1), agent(2, false, true, 1)]);
    net.lost = |number| (number.wrapping_mul(2_654_435_761) >> 9) % 100 < 40;
    let (one, two) = (address("192.0.2.1:5000"), address("198.51.100.2:6000"));
    net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
    net.run(Duration::from_secs(20));
    assert_eq!(net.nominated(0), Some((one, two)));
    assert_eq!(net.nominated(1), Some((two, one)));
}

#[test]
fn a_wrong_password_teaches_nothing() {
    let mut net = Net::new([agent(1, true, false, 1), agent(2, false, true, 1)]);
    let (one, two) = (address("192.0.2.1:5000"), address("198.51.100.2:6000"));
    // The first believes in another password of the second's.
    let forged = Credentials::new(credentials(2).ufrag(), credentials(9).password()).unwrap();
    net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
    net.agents[0].set_remote_credentials(&forged);
    net.run(Duration::from_secs(40));
    assert_eq!(net.nominated(0), None);
    assert_eq!(net.nominated(1), None);
    assert!(!net.agents[1].is_validated(one));
    assert_eq!(net.sent[1], 0, "nothing is said to who does not know the password");
    assert_eq!(net.events[0].last(), Some(&Event::NoPair));
}

/// RFC 7675 §5.1: consent ends 30 s after the last answer at the latest.
#[test]
fn silence_ends_consent() {
    for lite in [false, true] {
        let mut net = Net::new([agent(1, true, false, 1), agent(2, false, lite, 1)]);
        let (one, two) = (address("192.0.2.1:5000"), address("198.51.100.2:6000"));
        net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
        net.run(Duration::from_secs(60));
        assert!(!net.events.iter().flatten().any(|event| *event == Event::ConsentLost), "answers keep it");
        net.lost = |_| true;
        net.run(Duration::from_secs(30));
        for index in 0..2 {
            assert_eq!(net.events[index].last(), Some(&Event::ConsentLost), "agent {index}, lite {lite}");
        }
    }
}

#[test]
fn a_restart_finds_the_pair_anew_under_new_names() {
    let mut net = Net::new([agent(1, true, false, 1), agent(2, false, true, 1)]);
    let (one, two) = (address("192.0.2.1:5000"), address("198.51.100.2:6000"));
    net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
    net.run(Duration::from_secs(2));
    let moved = address("192.0.2.77:5000");
    for (index, seed) in [(0, 11), (1, 12)] {
        net.agents[index].restart(&credentials(seed), index == 0);
        net.events[index].clear();
    }
    net.agents[0].set_remote_credentials(&credentials(12));
    net.agents[1].set_remote_credentials(&credentials(11));
    let candidate = net.agents[0].add_local(Local::Host(moved)).unwrap();
    net.agents[1].add_remote(&candidate).unwrap();
    let host = agent(2, false, true, 1).add_local(Local::Host(two)).unwrap();
    net.agents[0].add_remote(&host).unwrap();
    net.run(Duration::from_secs(3));
    assert!(net.nominated(0).is_some_and(|(_, remote)| remote == two));
    assert!(net.nominated(1).is_some_and(|(local, _)| local == two));

    let mut old = "1 1 UDP 5 203.0.113.1 9 typ host".parse::<rtp::ice::Candidate>().unwrap();
    old.extensions.push(("ufrag".to_owned(), credentials(1).ufrag().to_owned()));
    assert_eq!(net.agents[1].add_remote(&old), Err(CandidateRefused::Session));
}

#[test]
fn who_controls_is_settled_when_both_want_to() {
    for both in [true, false] {
        let mut net = Net::new([agent(1, both, false, 1), agent(2, both, false, 1)]);
        let (one, two) = (address("192.0.2.1:5000"), address("198.51.100.2:6000"));
        net.describe([&[Local::Host(one)], &[Local::Host(two)]], [1, 2]);
        net.run(Duration::from_secs(3));
        assert_ne!(net.agents[0].is_controlling(), net.agents[1].is_controlling());
        assert!(net.nominated(0).is_some() && net.nominated(1).is_some());
    }
}

/// A shard takes its agents along to another thread.
#[test]
fn an_agent_moves_to_a_thread_and_back() {
    let mut agent = agent(1, true, false, 1);
    agent.add_local(Local::Host(address("192.0.2.1:5000"))).unwrap();
    agent.set_remote_credentials(&credentials(2));
    agent.add_remote(&"1 1 UDP 5 198.51.100.2 6000 typ host".parse().unwrap()).unwrap();
    let moved = std::thread::spawn(move || {
        agent.handle_timeout(START + Duration::from_secs(1));
        agent
    });
    let mut agent = moved.join().unwrap();
    let transmit = agent.poll_transmit(&mut [0; STUN_BYTES_MAX]).unwrap();
    assert_eq!(transmit.remote, address("198.51.100.2:6000"));
}

#[test]
fn tables_are_bounded() {
    let mut agent = agent(1, false, false, 1);
    let at = |index: usize| address(&format!("192.0.2.1:{}", 1000 + index));
    for index in 0..LOCALS_MAX {
        agent.add_local(Local::Host(at(index))).unwrap();
    }
    assert_eq!(agent.add_local(Local::Host(at(999))), Err(CandidateRefused::TooMany));
    let candidate = |port: usize| format!("1 1 UDP 5 203.0.113.1 {port} typ host").parse().unwrap();
    for port in 0..REMOTES_MAX {
        agent.add_remote(&candidate(1 + port)).unwrap();
    }
    assert_eq!(agent.add_remote(&candidate(5000)), Err(CandidateRefused::TooMany));
}

/// A peer that knows the password and checks from ever more ports.
#[test]
fn checks_from_ever_more_addresses_are_answered_up_to_a_number() {
    let (one, two) = (address("192.0.2.1:5000"), address("198.51.100.2:6000"));
    let mut server = agent(2, false, true, 1);
    server.add_local(Local::Host(two)).unwrap();
    server.set_remote_credentials(&credentials(1));
    let mut client = agent(1, true, false, 1);
    client.add_local(Local::Host(one)).unwrap();
    client.set_remote_credentials(&credentials(2));
    client.add_remote(&"1 1 UDP 5 198.51.100.2 6000 typ host".parse().unwrap()).unwrap();
    let mut room = [0; STUN_BYTES_MAX];
    client.handle_timeout(START + Duration::from_secs(1));
    let bytes = client.poll_transmit(&mut room).unwrap().bytes;
    let now = START + Duration::from_secs(1);
    for port in 0..SOURCES_MAX + 50 {
        let source = address(&format!("203.0.113.7:{}", 1000 + port));
        let taken = server.handle_datagram(now, two, source, &room[..bytes]);
        assert_eq!(taken, if port < SOURCES_MAX { Ok(()) } else { Err(StunDrop::TooManySources) });
    }
    let mut answers = 0;
    let mut answer = [0; STUN_BYTES_MAX];
    while server.poll_transmit(&mut answer).is_some() {
        answers += 1;
    }
    assert_eq!(answers, SOURCES_MAX);
}

#[test]
fn what_is_no_check_is_told_apart() {
    let two = address("198.51.100.2:6000");
    let source = address("203.0.113.7:1000");
    let mut server = agent(2, false, true, 1);
    server.add_local(Local::Host(two)).unwrap();
    server.set_remote_credentials(&credentials(1));
    let mut offer = |datagram: &[u8]| server.handle_datagram(START, two, source, datagram);
    assert_eq!(offer(&[]), Err(StunDrop::Malformed));
    assert_eq!(offer(&[0; 20]), Err(StunDrop::Malformed));
    assert_eq!(offer(&[0; STUN_BYTES_MAX + 1]), Err(StunDrop::Malformed));
    // A Binding request without name and integrity, as a stranger asks a STUN server.
    let mut plain = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    plain.extend_from_slice(&[7; 12]);
    assert_eq!(offer(&plain), Err(StunDrop::Malformed));
    // A Binding indication, which keeps a NAT open and wants no answer.
    plain[1] = 0x11;
    assert_eq!(offer(&plain), Err(StunDrop::Unauthentic));
    assert!(server.poll_transmit(&mut [0; STUN_BYTES_MAX]).is_none());
}

#[test]
fn addresses_that_lead_nowhere_are_refused() {
    let mut agent = agent(1, true, false, 1);
    for bad in
        ["0.0.0.0:1", "224.0.0.1:9", "255.255.255.255:9", "169.254.1.1:9", "[ff02::1]:9", "192.0.2.1:0"]
    {
        assert_eq!(agent.add_local(Local::Host(address(bad))), Err(CandidateRefused::Address), "{bad}");
        let bad = address(bad);
        let candidate = format!("1 1 UDP 5 {} {} typ host", bad.ip(), bad.port()).parse().unwrap();
        assert_eq!(agent.add_remote(&candidate), Err(CandidateRefused::Address), "{bad}");
    }
    for other in [
        "1 1 TCP 5 192.0.2.1 9 typ host tcptype active",
        "1 1 UDP 5 x.local 9 typ host",
        "1 1 UDP 5 192.0.2.1 9 typ token",
    ] {
        assert_eq!(agent.add_remote(&other.parse().unwrap()), Err(CandidateRefused::Transport), "{other}");
    }
}
