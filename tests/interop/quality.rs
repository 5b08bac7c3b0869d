//! The engine's figures of a stream beside those of a script that was written from the Recommendations and reads what
//! tshark saw of each packet where the engine receives it.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use load::ng::Client;
use serde_json::{Value, json};
use tests::process::await_some;
use tests::{Address, Capture, Engine};

/// Not a line of the engine's in it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/quality/score.py");

/// A codec as a description names it: payload type, name, clock, samples and bytes in 20 ms.
struct Codec {
    payload_type: u8,
    name: &'static str,
    clock: u32,
    ticks: u32,
    bytes: usize,
}

const CODECS: [Codec; 4] = [
    Codec { payload_type: 8, name: "PCMA", clock: 8000, ticks: 160, bytes: 160 },
    Codec { payload_type: 9, name: "G722", clock: 8000, ticks: 160, bytes: 160 },
    Codec { payload_type: 18, name: "G729", clock: 8000, ticks: 160, bytes: 20 },
    Codec { payload_type: 96, name: "opus", clock: 48_000, ticks: 960, bytes: 80 },
];

/// What befalls a stream on its way.
struct Way {
    name: &'static str,
    /// Per mille, at random.
    lost: u32,
    /// Per mille of packets at which a run of this many goes.
    burst: (u32, u32),
    /// The largest delay, evenly spread; beyond 20 ms packets overtake each other.
    jitter_ms: u64,
    /// Per mille that come 90 ms late: too late to be played.
    straggling: u32,
}

const WAYS: [Way; 5] = [
    Way { name: "clean", lost: 0, burst: (0, 0), jitter_ms: 0, straggling: 0 },
    Way { name: "random loss", lost: 30, burst: (0, 0), jitter_ms: 5, straggling: 0 },
    Way { name: "bursts", lost: 5, burst: (12, 4), jitter_ms: 5, straggling: 0 },
    Way { name: "reordered", lost: 10, burst: (0, 0), jitter_ms: 45, straggling: 0 },
    Way { name: "stragglers", lost: 10, burst: (0, 0), jitter_ms: 10, straggling: 40 },
];

/// Packets of one stream: ten seconds.
const PACKETS: u16 = 500;

/// One call whose caller sends a stream.
struct Stream<'a> {
    codec: &'a Codec,
    way: &'a Way,
    call_id: String,
    ssrc: u32,
    socket: UdpSocket,
    to: SocketAddr,
}

#[test]
fn scores_agree_with_a_script_that_reads_what_tshark_saw() {
    let at = Address::new();
    let engine = Engine::start(at, &[]);
    let mut ng = Client::new(engine.ng).expect("an NG client");
    let kinds = CODECS.iter().flat_map(|codec| WAYS.iter().map(move |way| (codec, way)));
    let streams: Vec<_> = (0x5000_0001..)
        .zip(kinds)
        .map(|(ssrc, (codec, way))| stream(&mut ng, at, codec, way, ssrc))
        .collect();
    let mut dice = Dice(7);
    let mut wire: Vec<(u64, usize, Vec<u8>)> = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        wire.extend(schedule(stream, &mut dice).into_iter().map(|(at_us, packet)| (at_us, index, packet)));
    }
    wire.sort_by_key(|(at_us, ..)| *at_us);

    let filter = format!("udp and dst host {at} and dst portrange 20000-31999");
    let mut capture = Capture::start(at, &filter);

    let start = Instant::now();
    for (at_us, index, packet) in &wire {
        let due = start + Duration::from_micros(*at_us);
        while let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(wait);
        }
        streams[*index].socket.send_to(packet, streams[*index].to).expect("loopback takes a packet");
    }
    capture.await_packets(wire.len());
    let capture = capture.stop(at);

    let mut reports = Vec::new();
    for stream in &streams {
        let sent = wire.iter().filter(|(_, index, _)| streams[*index].ssrc == stream.ssrc).count() as u64;
        reports.push(await_some("every packet counted", || {
            let call = ng.ask(&json!({"command": "query", "call-id": stream.call_id})).ok()?;
            (call["SSRC"][stream.ssrc.to_string()]["packets"].as_u64() == Some(sent)).then_some(call)
        }));
    }
    let quality = |call: &Value| call["tags"]["caller"]["medias"][0]["quality"].clone();
    let first = quality(&reports[0]);
    let mut command = Command::new("python3");
    command.arg(SCRIPT).arg(&capture);
    command.args([
        "--delay-ms",
        &first["delay-ms"].to_string(),
        "--buffer-ms",
        &first["buffer-ms"].to_string(),
    ]);
    command.args(CODECS.iter().map(|codec| format!("{}={}/{}", codec.payload_type, codec.name, codec.clock)));
    let output = command.output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let script: Value = serde_json::from_slice(&output.stdout).expect("the script prints JSON");

    let mut table =
        String::from("codec  way          engine script  lost  late  jitter ms (engine, script)\n");
    let mut worst: f64 = 0.0;
    let mut scores = Vec::new();
    for (stream, report) in streams.iter().zip(&reports) {
        let (ours, theirs) = (quality(report), &script[stream.ssrc.to_string()]);
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{ours:#} {theirs:#}"));
        let (mos, other) = (number(&ours["mos-x100"]) / 100.0, number(&theirs["mos"]));
        let (jitter, other_jitter) = (number(&ours["jitter-us"]) / 1000.0, number(&theirs["jitter_ms"]));
        table += &format!(
            "{:6} {:12} {mos:6.2} {other:6.2} {:5} {:5}  {jitter:.2} {other_jitter:.2}\n",
            stream.codec.name, stream.way.name, theirs["lost"], theirs["late"]
        );
        worst = worst.max((mos - other).abs());
        scores.push(mos);
        for key in ["expected", "lost"] {
            assert_eq!(ours[key], theirs[key], "{key} of {} {}", stream.codec.name, stream.way.name);
        }
        let codec = format!("{}/{}", stream.codec.name, stream.codec.clock);
        assert_eq!(ours["codec"].as_str(), Some(codec.as_str()));
        // The engine reads its clock once for what arrives together, tshark has the kernel's for each packet.
        assert!((jitter - other_jitter).abs() <= 3.0, "{table}");
    }
    println!("{table}");
    assert!(worst <= 0.1, "{worst}\n{table}");
    let spread = scores.iter().fold(0.0, |most: f64, score| most.max(*score))
        - scores.iter().fold(5.0, |least: f64, score| least.min(*score));
    assert!(spread > 0.5, "streams that are alike prove nothing\n{table}");
}

/// Sets a call up whose caller sends from a socket of its own.
fn stream<'a>(ng: &mut Client, at: Address, codec: &'a Codec, way: &'a Way, ssrc: u32) -> Stream<'a> {
    let [caller, callee] = [(); 2].map(|()| UdpSocket::bind((at.ip(), 0)).expect("a loopback port"));
    let call_id = format!("{} {}", codec.name, way.name);
    let mut describe = |command: &str, socket: &UdpSocket| {
        let port = socket.local_addr().expect("a bound socket has an address").port();
        let Codec { payload_type, name, clock, .. } = codec;
        let channels = if *name == "opus" { "/2" } else { "" };
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n\
             a=rtpmap:{payload_type} {name}/{clock}{channels}\r\n"
        );
        let request = json!({
            "command": command, "call-id": call_id, "from-tag": "caller", "to-tag": "callee", "sdp": sdp
        });
        let answer = ng.ask(&request).expect("an answer to an offer");
        let sdp = answer["sdp"].as_str().expect("a description").to_owned();
        let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("an audio section");
        line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
    };
    let _for_callee: u16 = describe("offer", &caller);
    let for_caller: u16 = describe("answer", &callee);
    Stream { codec, way, call_id, ssrc, socket: caller, to: (at.ip(), for_caller).into() }
}

/// The packets of a stream and when each is sent.
fn schedule(stream: &Stream<'_>, dice: &mut Dice) -> Vec<(u64, Vec<u8>)> {
    let Stream { codec, way, ssrc, .. } = stream;
    let seq = u16::try_from(dice.below(1 << 16)).expect("below 2^16");
    let timestamp = u32::try_from(dice.below(1 << 32)).expect("below 2^32");
    let mut run = 0;
    let mut packets = Vec::new();
    for number in 0..PACKETS {
        if dice.below(1000) < way.burst.0.into() {
            run = way.burst.1;
        }
        let lost = run > 0 || dice.below(1000) < way.lost.into();
        run = run.saturating_sub(1);
        let mut delay_us = dice.below(way.jitter_ms * 1000 + 1);
        if dice.below(1000) < way.straggling.into() {
            delay_us += 90_000;
        }
        // The first and the last show where the stream begins and ends.
        if lost && number > 0 && number + 1 < PACKETS {
            continue;
        }
        let mut packet = vec![0x80, codec.payload_type];
        packet.extend(seq.wrapping_add(number).to_be_bytes());
        packet.extend(timestamp.wrapping_add(u32::from(number) * codec.ticks).to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.resize(12 + codec.bytes, 0xd5);
        packets.push((u64::from(number) * 20_000 + delay_us, packet));
    }
    packets
}

/// Chance that is the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }
}
