//! What the engine itself puts on the wire or keeps off it, as tshark reads it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use load::ng::Client;
use serde_json::{Value, json};
use tests::capture::dissect;
use tests::party::{describe, digit, is_quiet, receive, rtcp, sections, voice};
use tests::process::PATIENCE;
use tests::{Address, Capture, Engine, Party, Rtpengine};

/// Two parties, and where each sends to.
struct Call {
    a: Party,
    b: Party,
    for_a: SocketAddr,
    for_b: SocketAddr,
}

impl Call {
    /// Sets one up; both know telephone events.
    fn new(ng: &mut Client, at: Address, call_id: &str, flags: &Value) -> Call {
        let [a, b] = [(); 2].map(|()| Party::new(at));
        let sdp =
            |party: &Party| describe(&[party.address()], "8 101", "a=rtpmap:101 telephone-event/8000\r\n");
        let mut ask = |command: &str, sdp: String| {
            let request = json!({"command": command, "call-id": call_id, "from-tag": "a", "to-tag": "b",
                "sdp": sdp, "flags": flags});
            sections(&ng.ask(&request).expect("it is taken"))[0]
        };
        let for_b = ask("offer", sdp(&a));
        let for_a = ask("answer", sdp(&b));
        Call { a, b, for_a, for_b }
    }
}

#[test]
fn reports_of_our_own_agree_with_what_tshark_counts() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut ng = Client::new(engine.ng).expect("a client");
    // Before there are calls: their first reports count as well.
    let mut capture = Capture::start(at, &format!("udp and host {at}"));
    let [both, one] =
        ["both talk", "one talks"].map(|call_id| Call::new(&mut ng, at, call_id, &json!(["generate-RTCP"])));
    let begun = Instant::now();
    let mut reports = [0; 4];
    for number in 1.. {
        let due = begun + Duration::from_millis(20) * u32::from(number);
        while let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(wait);
        }
        // Each tenth packet of one is lost.
        if number % 10 != 0 {
            both.a.rtp.send_to(&voice(0xa, number), both.for_a).expect("sent");
        }
        both.b.rtp.send_to(&voice(0xb, number), both.for_b).expect("sent");
        one.a.rtp.send_to(&voice(0xc, number), one.for_a).expect("sent");
        for (party, count) in [&both.a, &both.b, &one.a, &one.b].into_iter().zip(&mut reports) {
            while !is_quiet(&party.rtcp) {
                *count += 1;
            }
        }
        if reports.iter().all(|count| *count >= 2) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "two reports to each: {reports:?}");
    }
    let file = capture.stop(at);
    let ends = [&both.a, &both.b, &one.a, &one.b].map(Party::address);
    let relayed = Relayed::read(&file, &ends, at);
    let reports = Report::read(&file, &ends.map(rtcp));
    assert!(reports.len() >= 8, "{reports:?}");

    // Who hears somebody is told by a sender report of that one, in its name, and of what it sends itself.
    for (hearer, speaker) in [(&both.a, 0xb), (&both.b, 0xa), (&one.b, 0xc)] {
        let to = hearer.address();
        let of_sender = |report: &&Report| report.to == rtcp(to).port() && report.sender.is_some();
        let sent: Vec<_> = reports.iter().filter(of_sender).collect();
        assert!(!sent.is_empty(), "{reports:?}");
        for report in sent {
            let sender = report.sender.as_ref().expect("a sender report has it");
            assert_eq!(report.ssrc, speaker);
            let (count, last) = relayed.before(report.frame, to);
            assert_eq!(sender.packets, count, "{report:?}");
            assert_eq!(sender.bytes, 160 * count);
            assert!((sender.wall_s - report.time_s).abs() < 1.0, "{report:?}");
            // Both of its clocks say the same moment of the stream.
            let ahead = f64::from(sender.timestamp) - f64::from(last.timestamp);
            let expected = (sender.wall_s - last.time_s) * 8000.0;
            assert!((ahead - expected).abs() < 4000.0, "{ahead} {expected}");
        }
    }
    let to_a = |report: &&Report| report.to == rtcp(both.a.address()).port();
    let block = reports.iter().filter(to_a).filter_map(|report| report.block.as_ref()).next_back();
    let block = block.expect("what it sends is reported back");
    // Its stream began with 1, and each tenth is lost.
    assert_eq!((block.of, block.lost), (0xa, block.highest / 10), "{block:?}");
    assert!(block.highest >= 100 && (18..=32).contains(&block.fraction), "{block:?}");
    // Who hears nobody is told by a receiver report in our own name.
    for report in reports.iter().filter(|report| report.to == rtcp(one.a.address()).port()) {
        assert!(report.sender.is_none() && ![0xa, 0xb, 0xc].contains(&report.ssrc), "{report:?}");
        if let Some(block) = &report.block {
            assert_eq!((block.of, block.lost, block.fraction), (0xc, 0, 0));
        }
    }
    let mut names = BTreeMap::new();
    for Report { to, ssrc, name, .. } in &reports {
        assert!(name.len() >= 16, "RFC 7022 asks for 96 random bits: {name}");
        assert_eq!(names.entry((to, ssrc)).or_insert(name), &name, "a source keeps its name");
    }
}

/// RTP that reached the parties, by where.
struct Relayed(Vec<Row>);

struct Row {
    frame: u64,
    time_s: f64,
    to: u16,
    timestamp: u32,
}

impl Relayed {
    fn read(file: &Path, ends: &[SocketAddr], at: Address) -> Relayed {
        let fields = ["frame.number", "frame.time_epoch", "udp.dstport", "rtp.timestamp"];
        let rows = dissect(file, ends, &[], &format!("rtp && ip.dst == {at}"), &fields);
        let row = |row: Vec<String>| {
            let [frame, time_s, to, timestamp] = &row[..] else { panic!("{row:?}") };
            Row { frame: number(frame), time_s: number(time_s), to: number(to), timestamp: number(timestamp) }
        };
        Relayed(rows.into_iter().map(row).collect())
    }

    /// How many came to a party before a packet, and the last of them.
    fn before(&self, frame: u64, to: SocketAddr) -> (u64, &Row) {
        let mut rows = self.0.iter().filter(|row| row.to == to.port() && row.frame < frame);
        let last = rows.next_back().expect("somebody was heard");
        (rows.count() as u64 + 1, last)
    }
}

/// One compound packet of RTCP.
#[derive(Debug)]
struct Report {
    frame: u64,
    time_s: f64,
    to: u16,
    ssrc: u32,
    sender: Option<Sender>,
    block: Option<Block>,
    name: String,
}

/// What a sender report says of its sender.
#[derive(Debug)]
struct Sender {
    wall_s: f64,
    timestamp: u32,
    packets: u64,
    bytes: u64,
}

/// What a report says of what it hears.
#[derive(Debug)]
struct Block {
    of: u32,
    fraction: u32,
    lost: u32,
    highest: u32,
}

impl Report {
    fn read(file: &Path, ends: &[SocketAddr]) -> Vec<Report> {
        let fields = [
            "frame.number",
            "frame.time_epoch",
            "udp.dstport",
            "rtcp.pt",
            "rtcp.senderssrc",
            "rtcp.timestamp.ntp.msw",
            "rtcp.timestamp.ntp.lsw",
            "rtcp.timestamp.rtp",
            "rtcp.sender.packetcount",
            "rtcp.sender.octetcount",
            "rtcp.ssrc.identifier",
            "rtcp.ssrc.fraction",
            "rtcp.ssrc.cum_nr",
            "rtcp.ssrc.high_seq",
            "rtcp.sdes.type",
            "rtcp.sdes.text",
            "rtcp.length_check",
            "_ws.malformed",
        ];
        dissect(file, &[], ends, "rtcp", &fields).iter().map(|row| Report::of(row)).collect()
    }

    fn of(row: &[String]) -> Report {
        let [frame, time, to, kinds, ssrc, seconds, fraction, timestamp, packets, bytes, about @ ..] = row
        else {
            panic!("{row:?}")
        };
        let [sources, lost, cumulative, highest, items, name, length, malformed] = about else {
            panic!("{row:?}")
        };
        // CNAME and the end of the list; lengths add up.
        assert_eq!((items.as_str(), length.as_str(), malformed.as_str()), ("1,0", "1", ""), "{row:?}");
        assert!(["200,202", "201,202"].contains(&kinds.as_str()), "{row:?}");
        let sources: Vec<u32> = sources.split(',').map(hexadecimal).collect();
        let ssrc = hexadecimal(ssrc);
        assert_eq!(sources.last(), Some(&ssrc), "the name is the reporter's: {row:?}");
        let sender = || Sender {
            wall_s: number::<f64>(seconds) - 2_208_988_800.0 + number::<f64>(fraction) / 4_294_967_296.0,
            timestamp: number(timestamp),
            packets: number(packets),
            bytes: number(bytes),
        };
        let block = || Block {
            of: sources[0],
            fraction: number(lost),
            lost: number(cumulative),
            highest: number(highest),
        };
        Report {
            frame: number(frame),
            time_s: number(time),
            to: number(to),
            ssrc,
            sender: kinds.starts_with("200").then(sender),
            block: (sources.len() > 1).then(block),
            name: name.clone(),
        }
    }
}

fn number<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn hexadecimal(text: &str) -> u32 {
    let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text}"));
    u32::from_str_radix(digits, 16).expect("hexadecimal")
}

/// Voice and digits in turn from A to B; what has to arrive is added, as payload type and sequence number.
fn dial(call: &Call, first: u16, digits_pass: bool, expected: &mut Vec<[String; 2]>) {
    for seq in (first..first + 10).step_by(2) {
        for (packet, passes) in [(digit(1, seq), digits_pass), (voice(1, seq + 1), true)] {
            call.a.rtp.send_to(&packet, call.for_a).expect("sent");
            if passes {
                assert_eq!(receive(&call.b.rtp), (packet.clone(), call.for_b));
                let seq = u16::from_be_bytes([packet[2], packet[3]]);
                expected.push([packet[1].to_string(), seq.to_string()]);
            }
        }
    }
}

fn digits_are_kept_off_the_wire_while_they_are_blocked(ng: SocketAddr, at: Address) {
    let mut ng = Client::new(ng).expect("a client");
    let call = Call::new(&mut ng, at, "digits", &json!([]));
    let mut gate = |command: &str, tag: Option<&str>| {
        let mut request = json!({"command": command, "call-id": "digits"});
        if let Some(tag) = tag {
            request["from-tag"] = json!(tag);
        }
        ng.ask(&request).expect("it is taken");
    };
    let mut capture = Capture::start(at, &format!("udp and host {at}"));
    let mut expected = Vec::new();
    dial(&call, 100, true, &mut expected);
    gate("block DTMF", None);
    dial(&call, 200, false, &mut expected);
    gate("unblock DTMF", None);
    dial(&call, 300, true, &mut expected);
    gate("block DTMF", Some("b"));
    dial(&call, 400, true, &mut expected);
    gate("block DTMF", Some("a"));
    dial(&call, 500, false, &mut expected);
    let file = capture.stop(at);
    let to_b = format!("udp.dstport == {}", call.b.address().port());
    let ends = [call.b.address()];
    assert_eq!(dissect(&file, &ends, &[], &format!("rtp && {to_b}"), &["rtp.p_type", "rtp.seq"]), expected);
    let events =
        dissect(&file, &ends, &[], &format!("rtpevent && {to_b}"), &["rtpevent.event_id", "rtp.p_type"]);
    assert_eq!(events, vec![["5", "101"]; 15]);
}

#[test]
fn digits_are_kept_off_the_wire_while_they_are_blocked_as_at_rtpengine() {
    let at = Address::new();
    let theirs = Rtpengine::start(at, &[]);
    digits_are_kept_off_the_wire_while_they_are_blocked(theirs.ng, at);
    drop(theirs);
    let ours = Engine::start(at, &[]);
    digits_are_kept_off_the_wire_while_they_are_blocked(ours.ng, at);
}
