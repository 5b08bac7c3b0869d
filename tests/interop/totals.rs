//! What daemons add up over their calls: why they ended, and how well they were heard. The same calls at rtpengine and at us.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use load::ng::Client;
use serde_json::{Value, json};
use tests::party::{describe, rtcp, sections, voice, waiting};
use tests::process::{PATIENCE, await_some};
use tests::{Address, Engine, Party, Process, Rtpengine};

/// A daemon and a client of it.
struct Peer {
    _process: Process,
    ng: Client,
    at: Address,
}

impl Peer {
    /// Debian's and ours.
    fn both(flags: &[&str]) -> [Peer; 2] {
        let [at, ours] = [(); 2].map(|()| Address::new());
        let daemon = Rtpengine::start(at, flags);
        let engine = Engine::start(ours, flags);
        [(daemon.process, daemon.ng, at), (engine.process, engine.ng, ours)].map(|(process, ng, at)| Peer {
            _process: process,
            ng: Client::new(ng).expect("a client"),
            at,
        })
    }

    /// Offers and, if they say so, answers; where each party sends to.
    fn call(
        &mut self,
        call_id: &str,
        parties: [&Party; 2],
        lines: &str,
        is_answered: bool,
    ) -> [SocketAddr; 2] {
        let mut ask = |command: &str, party: &Party| {
            let request = json!({"command": command, "call-id": call_id, "from-tag": "a", "to-tag": "b",
                "sdp": describe(&[party.address()], "8", lines)});
            sections(&self.ng.ask(&request).expect("it is taken"))[0]
        };
        let for_b = ask("offer", parties[0]);
        let for_a = if is_answered { ask("answer", parties[1]) } else { for_b };
        [for_a, for_b]
    }

    fn statistics(&mut self, section: &str) -> Value {
        let all = self.ng.ask(&json!({"command": "statistics"})).expect("statistics");
        all["statistics"][section].clone()
    }

    /// How many calls ran out of time, by the kinds of rtpengine: media, silent, final, offer.
    fn timeouts(&mut self) -> [u64; 4] {
        let totals = self.statistics("totalstatistics");
        ["timeout", "silenttimeout", "finaltimeout", "offertimeout"]
            .map(|kind| totals[format!("{kind}sessions")].as_u64().expect("a count"))
    }
}

#[test]
fn calls_that_run_out_of_time_are_counted_by_kind_as_at_rtpengine() {
    let flags = ["--timeout=1", "--silent-timeout=2", "--offer-timeout=1", "--delete-delay=0"];
    let mut peers = Peer::both(&flags);
    let mut last = Peer::both(&["--final-timeout=1", "--delete-delay=0"]);
    for peer in &mut peers {
        let [a, b] = [(); 2].map(|()| Party::new(peer.at));
        peer.call("ringing", [&a, &b], "", false);
        peer.call("silent", [&a, &b], "", true);
        peer.call("held", [&a, &b], "a=inactive\r\n", true);
    }
    for peer in &mut last {
        let [a, b] = [(); 2].map(|()| Party::new(peer.at));
        peer.call("long", [&a, &b], "", true);
    }
    let [theirs, ours] = peers.each_mut().map(|peer| {
        await_some("three ends", || Some(peer.timeouts()).filter(|ends| ends.iter().sum::<u64>() == 3))
    });
    // rtpengine 10.5 waits for the offer's time and calls that end one of the media's.
    assert_eq!((theirs, ours), ([2, 1, 0, 0], [1, 1, 0, 1]));
    let ends = last.each_mut().map(|peer| {
        await_some("an end", || Some(peer.timeouts()).filter(|ends| ends.iter().sum::<u64>() == 1))
    });
    assert_eq!(ends, [[0, 0, 1, 0]; 2]);
}

/// A party that talks, and reports on what it hears.
struct Talker {
    party: Party,
    to: SocketAddr,
    ssrc: u32,
    hears: u32,
    /// Each tenth of what it hears is lost.
    loses: bool,
    /// The middle of the NTP time of the last sender report that it got, and when.
    last: Option<(u32, Instant)>,
}

impl Talker {
    /// Its `number`th packet, and each half second a report on as many of the other side.
    fn talk(&mut self, number: u16) {
        // Whoever hears it loses each tenth.
        if self.loses || !number.is_multiple_of(10) {
            self.party.rtp.send_to(&voice(self.ssrc, number), self.to).expect("sent");
        }
        while let Some(report) = waiting(&self.party.rtcp) {
            if let [_, 200, _, _, _, _, _, _, _, _, middle @ ..] = &report[..] {
                let middle = middle.first_chunk().expect("a sender report is long enough");
                self.last = Some((u32::from_be_bytes(*middle), Instant::now()));
            }
        }
        while waiting(&self.party.rtp).is_some() {}
        if number.is_multiple_of(25) {
            self.party.rtcp.send_to(&self.report(number), rtcp(self.to)).expect("sent");
        }
    }

    /// RFC 3550 §6.4.1, with one block.
    fn report(&self, number: u16) -> Vec<u8> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let seconds = u32::try_from(now.as_secs() + 2_208_988_800).expect("before 2036");
        let fraction =
            u32::try_from((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000).expect("below 2^32");
        let (fraction_lost, lost) = if self.loses { (26, u32::from(number) / 10) } else { (0, 0) };
        let (middle, delay) = self.last.map_or((0, 0), |(middle, at)| {
            (middle, u32::try_from(at.elapsed().as_millis() * 65_536 / 1000).expect("seconds"))
        });
        let words = [
            0x81c8_000c,
            self.ssrc,
            seconds,
            fraction,
            u32::from(number) * 160,
            u32::from(number),
            u32::from(number) * 160,
            self.hears,
            fraction_lost << 24 | lost,
            u32::from(number),
            8,
            middle,
            delay,
        ];
        words.into_iter().flat_map(u32::to_be_bytes).collect()
    }
}

#[test]
fn scores_and_their_squares_are_summed_up_as_at_rtpengine() {
    let mut peers = Peer::both(&[]);
    let mut talkers = Vec::new();
    for peer in &mut peers {
        let [a, b] = [(); 2].map(|()| Party::new(peer.at));
        let [for_a, for_b] = peer.call("lossy", [&a, &b], "", true);
        let talker = |party, to, ssrc, hears, loses| Talker { party, to, ssrc, hears, loses, last: None };
        talkers.extend([talker(a, for_a, 0xa, 0xb, false), talker(b, for_b, 0xb, 0xa, true)]);
    }
    let begun = Instant::now();
    for number in 1.. {
        let due = begun + Duration::from_millis(20) * u32::from(number);
        while let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(wait);
        }
        talkers.iter_mut().for_each(|talker| talker.talk(number));
        // Ours take one each five seconds, theirs one with each report.
        let samples =
            |peer: &mut Peer| peer.statistics("mos")["mos_samples_total"].as_u64().expect("a count");
        if number.is_multiple_of(50) && peers.iter_mut().all(|peer| samples(peer) >= 4) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "scores of both daemons");
    }
    let average = peers.each_mut().map(|peer| {
        let mos = peer.statistics("mos");
        let value = |name: &str| -> f64 {
            let value = &mos[name];
            let number = value.as_str().map_or_else(|| value.as_f64(), |text| text.parse().ok());
            number.unwrap_or_else(|| panic!("{name} in {mos}"))
        };
        println!("{mos}");
        let samples = value("mos_samples_total");
        let average = value("mos_total") / samples;
        assert!((1.0..=4.5).contains(&average), "{mos}");
        assert!((value("mos_average") - average).abs() < 0.001, "{mos}");
        let spread = (value("mos2_total") / samples - average * average).sqrt();
        assert!(spread > 0.1, "one side was lossy, the other was not: {mos}");
        assert!((value("mos_stddev") - spread).abs() < 0.001, "{mos}");
        average
    });
    assert!((average[0] - average[1]).abs() < 1.0, "{average:?}");
}
