//! Candidates and credentials as descriptions say them, and an agent under any datagrams, candidates, restarts and time:
//! deadlines lie ahead, tables keep their bounds, and nothing is sent to who does not know the password.
#![no_main]

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rtp::ice::{Agent, Candidate, Credentials, Event, Local, STUN_BYTES_MAX, Terms};
use rtp::units::Instant;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(candidate) = text.parse::<Candidate>() {
            assert_eq!(candidate.to_string().parse(), Ok(candidate));
        }
        if let Some((ufrag, password)) = text.split_once(' ')
            && let Ok(credentials) = Credentials::new(ufrag, password)
        {
            assert_eq!((credentials.ufrag(), credentials.password()), (ufrag, password));
        }
    }
    let Some((&choice, rest)) = data.split_first() else { return };
    run(choice, rest);
});

fn run(choice: u8, mut rest: &[u8]) {
    static BASE: OnceLock<std::time::Instant> = OnceLock::new();
    let base = *BASE.get_or_init(std::time::Instant::now);
    let mut now = Instant::from_millis(1000);
    let terms = Terms {
        credentials: &Credentials::from_random([1; 24]),
        controlling: choice & 1 == 0,
        lite: choice & 2 == 0,
        component: u16::from(choice >> 2 & 1) + 1,
        tie_breaker: 7,
        base,
    };
    let mut agent = Agent::new(terms, now);
    let local = SocketAddr::from(([192, 0, 2, 1], 5000));
    agent.add_local(Local::Host(local)).expect("a first candidate");
    agent.set_remote_credentials(&Credentials::from_random([2; 24]));
    let mut told = false;
    while let Some((&operation, behind)) = rest.split_first() {
        let length = behind.first().map_or(0, |length| usize::from(*length)).min(behind.len());
        let (argument, behind) = behind.split_at(length);
        rest = behind;
        match operation % 4 {
            0 => {
                let source = SocketAddr::from(([203, 0, 113, operation], 9));
                let _ = agent.handle_datagram(now, local, source, argument);
            }
            1 => {
                if let Ok(candidate) = String::from_utf8_lossy(argument).parse() {
                    told |= agent.add_remote(&candidate).is_ok();
                }
            }
            2 => {
                now = now + Duration::from_millis(u64::from(operation) * 20);
                agent.handle_timeout(now);
            }
            _ => agent.restart(&Credentials::from_random([operation; 24]), operation & 1 == 0),
        }
        let mut room = [0; STUN_BYTES_MAX];
        while let Some(transmit) = agent.poll_transmit(&mut room) {
            assert!(told, "{transmit:?} to nobody that was described");
            assert!(transmit.bytes <= STUN_BYTES_MAX);
        }
        while let Some(event) = agent.poll_event() {
            assert!(!matches!(event, Event::Nominated { .. }), "nobody here knows the password: {event:?}");
        }
    }
}
