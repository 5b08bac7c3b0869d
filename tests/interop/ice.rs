//! ICE against a peer that is not ours: rtpengine as the far end, whoever offers.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::party::{sections, text, voice};
use tests::process::PATIENCE;
use tests::{Address, Daemon, Party};

/// Sends until something arrives: what is sent before an address is nominated goes nowhere.
fn until_heard(name: &str, from: &UdpSocket, to: SocketAddr, at: &UdpSocket) {
    at.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let began = Instant::now();
    let mut packet = [0; 1500];
    for number in 0.. {
        from.send_to(&voice(7, number), to).expect("sent");
        match at.recv_from(&mut packet) {
            Ok((length, _)) => return assert_eq!((length, packet[0]), (voice(7, 0).len(), 0x80)),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}")
            }
        }
        assert!(began.elapsed() < PATIENCE, "{name}: nothing goes from {from:?} over {to} to {at:?}");
    }
}

/// A call of two plain parties over two daemons that speak ICE with each other; the first offers.
fn over(first: &mut Daemon, second: &mut Daemon, name: &str, options: &Value, at: Address) {
    let [a, b] = [(); 2].map(|()| Party::new(at));
    let offer = first.pass("offer", name, &a.sdp(), options.clone());
    assert!(text(&offer).contains("a=candidate:"), "{offer}");
    let onward = second.pass("offer", name, text(&offer), json!({"ICE": "remove", "rtcp-mux": ["demux"]}));
    assert!(!text(&onward).contains("a=ice-"), "{onward}");
    let answer = second.pass("answer", name, &b.sdp(), json!({}));
    assert!(text(&answer).contains("a=candidate:"), "{answer}");
    let back = first.pass("answer", name, text(&answer), json!({}));
    assert!(!text(&back).contains("a=ice-"), "{back}");
    let [for_a, for_b] = [&back, &onward].map(|reply| sections(reply)[0]);
    until_heard(name, &a.rtp, for_a, &b.rtp);
    until_heard(name, &b.rtp, for_b, &a.rtp);
}

#[test]
fn rtpengine_is_the_far_end_of_checks_whoever_offers() {
    let (ours, theirs, parties) = (Address::new(), Address::new(), Address::new());
    let mut tollgate = Daemon::tollgate(ours);
    let mut rtpengine = Daemon::rtpengine(theirs);
    for (name, options) in [
        ("full", json!({"ICE": "force"})),
        ("muxed", json!({"ICE": "force", "rtcp-mux": ["offer", "require"]})),
    ] {
        over(&mut tollgate, &mut rtpengine, &format!("ours-{name}"), &options, parties);
        over(&mut rtpengine, &mut tollgate, &format!("theirs-{name}"), &options, parties);
    }
    // Not the other way round: 10.5 that answers one that only answers checks does not nominate.
    let lite = json!({"ICE": "force", "ICE-lite": "forward"});
    over(&mut rtpengine, &mut tollgate, "theirs-lite", &lite, parties);
}
