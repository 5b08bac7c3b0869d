//! Made-up calls whose parties have keys of SRTP (SDES), or are offered some: the same answers but for what is drawn and for
//! whatever `secure_deviations.rs` names with its reason.

use std::collections::BTreeMap;
use std::fmt::Write;

use ng::{Encoding, Value};

use super::ask::Ask;
use super::compare::{Normaliser, difference};
use super::dice::Dice;
use super::secure_body::{PROTOCOLS, Party, SUITES};
use super::secure_deviations::{Case, DEVIATIONS, RARE};
use super::tally::Tally;
use super::{BareShard, Daemon, NgPeer};
use tests::Address;

/// Options that are words of `SDES`, in how many of a hundred calls, and what they stand for in the table.
const SDES: &[(&str, u16)] = &[
    ("off", 9),
    ("nonew", 12),
    ("pad", 15),
    ("lifetime", 12),
    ("static", 10),
    ("unencrypted_srtp", 8),
    ("unencrypted_srtcp", 8),
    ("unauthenticated_srtp", 8),
    ("no-SUITE", 18),
    ("only-SUITE", 12),
    ("order:SUITE;SUITE", 12),
];

/// What is counted besides.
const COUNTED: &[&str] = &[
    "offer",
    "answer",
    "answer that chooses a suite",
    "answer that does without",
    "repeated answer",
    "re-INVITE of the caller",
    "re-INVITE of the callee",
    "another key in a re-INVITE",
    "query",
    "delete",
    "transport-protocol=RTP/AVP",
    "transport-protocol=RTP/AVPF",
    "transport-protocol=RTP/SAVP",
    "transport-protocol=RTP/SAVPF",
    "OSRTP-offer",
    "OSRTP-accept",
    "keys in RTP/AVP",
    "keys in RTP/AVPF",
    "keys in RTP/SAVP",
    "keys in RTP/SAVPF",
    "several keys",
    "a suite that is refused",
    "lifetime",
    "MKI",
    "session parameter",
    "SDES-… (flags)",
];

/// Both peers in lockstep.
struct Rig<'p> {
    peers: [&'p mut dyn NgPeer; 2],
    tally: Tally,
    explained: BTreeMap<&'static str, u32>,
    unexplained: BTreeMap<String, (u32, String)>,
}

/// One call.
struct Call<'r, 'p> {
    rig: &'r mut Rig<'p>,
    name: String,
    number: u64,
    encoding: Encoding,
    dice: Dice,
    /// What was drawn by each peer, and in which answer it was shown first.
    drawn: [BTreeMap<String, usize>; 2],
    ports: [Normaliser; 2],
    /// What each peer showed last, to the callee and to the caller.
    shown: [[String; 2]; 2],
    /// The last offer.
    offered: String,
    asked: usize,
    /// Something differed that makes everything after it differ.
    parted: bool,
}

const ALICE: usize = 0;
const BOB: usize = 1;
const TAGS: [&str; 2] = ["alice", "bob"];

impl Call<'_, '_> {
    fn run(&mut self) {
        let mut parties = [Party::offering(&mut self.dice, ALICE), Party::answering(BOB)];
        let options = self.options(true);
        self.offer(&mut parties, ALICE, false, &options);
        for round in 0..=self.dice.below(3) {
            if round > 0 {
                let by = if self.dice.chance(60) { ALICE } else { BOB };
                self.count(if by == ALICE { "re-INVITE of the caller" } else { "re-INVITE of the callee" });
                if parties[by].change(&mut self.dice) {
                    self.count("another key in a re-INVITE");
                }
                let options = if self.dice.chance(60) { options.clone() } else { self.options(true) };
                self.offer(&mut parties, by, true, &options);
                if by == BOB {
                    self.answer(&mut parties, BOB, &options);
                } else {
                    self.answer(&mut parties, ALICE, &options);
                }
                continue;
            }
            self.answer(&mut parties, ALICE, &options);
        }
        self.count("query");
        let query = Ask::new("query", &self.name);
        self.ask([query.clone(), query], None);
        self.count("delete");
        let mut delete = Ask::new("delete", &self.name);
        delete.set("from-tag", TAGS[ALICE]);
        delete.put("delete-delay", Value::Integer(0));
        self.ask([delete.clone(), delete], None);
    }

    fn count(&mut self, name: &'static str) {
        self.rig.tally.count(name);
    }

    /// What a client asks for: key and word.
    fn options(&mut self, offer: bool) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        if offer && self.dice.chance(75) {
            let protocol = self.dice.pick(&PROTOCOLS);
            let names = ["transport-protocol=RTP/AVP", "transport-protocol=RTP/AVPF"];
            let secure = ["transport-protocol=RTP/SAVP", "transport-protocol=RTP/SAVPF"];
            let name = names.iter().chain(&secure).find(|name| name.ends_with(&format!("={protocol}")));
            self.count(name.expect("every profile is counted"));
            options.push(("transport-protocol", protocol.to_owned()));
        }
        for (word, often) in SDES {
            if self.dice.chance(*often) {
                self.count(word);
                let said = word.split("SUITE").collect::<Vec<_>>();
                let (last, heads) = said.split_last().expect("a word has a part");
                let suites: String =
                    heads.iter().map(|head| format!("{head}{}", self.dice.pick(&SUITES))).collect();
                options.push(("SDES", suites + last));
            }
        }
        for (word, name) in [("offer", "OSRTP-offer"), ("accept", "OSRTP-accept")] {
            if self.dice.chance(20) {
                self.count(name);
                options.push(("OSRTP", word.to_owned()));
            }
        }
        options
    }

    fn signal(
        &mut self,
        command: &str,
        from: usize,
        both: bool,
        sdp: [String; 2],
        options: &[(&'static str, String)],
    ) {
        let flags = self.dice.chance(30);
        let asks = [0, 1].map(|peer| {
            let mut ask = Ask::new(command, &self.name);
            ask.set("from-tag", TAGS[from]);
            if both {
                ask.set("to-tag", TAGS[1 - from]);
            }
            ask.set("sdp", &sdp[peer]);
            ask.set("DTLS", "off");
            for (key, word) in options {
                match (*key, peer == 1 && flags) {
                    ("transport-protocol", _) => ask.set(key, word),
                    (_, true) => ask.word("flags", &format!("{key}-{word}")),
                    (_, false) => ask.word(key, word),
                }
            }
            ask
        });
        if flags {
            self.count("SDES-… (flags)");
        }
        let reader = if (command == "offer") == (from == ALICE) { BOB } else { ALICE };
        self.ask(asks, Some(reader));
    }

    fn offer(&mut self, parties: &mut [Party; 2], by: usize, both: bool, options: &[(&'static str, String)]) {
        self.count("offer");
        let party = &parties[by];
        for name in party.says() {
            self.rig.tally.count(name);
        }
        let text = party.text(&[]);
        self.offered.clone_from(&text);
        self.signal("offer", by, both, [text.clone(), text], options);
    }

    /// The other party answers `offerer`, and perhaps again.
    fn answer(&mut self, parties: &mut [Party; 2], offerer: usize, options: &[(&'static str, String)]) {
        let answerer = 1 - offerer;
        let [theirs, ours] = [0, 1].map(|peer| self.shown[peer][answerer].clone());
        if self.parted {
            return;
        }
        let chosen = parties[answerer].answer(&mut self.dice, &theirs, &ours);
        let secure = chosen.iter().any(Option::is_some);
        self.count(if secure { "answer that chooses a suite" } else { "answer that does without" });
        let text = |shown: &str| parties[answerer].text(&super::secure_body::tags(shown, &chosen));
        let texts = [text(&theirs), text(&ours)];
        // What is asked of the answer is as often the same as not.
        let options: Vec<_> =
            options.iter().filter(|(key, _)| *key != "transport-protocol").cloned().collect();
        let mut options = if self.dice.chance(50) { options } else { self.options(false) };
        // An answer whose suite its own client excludes is another matter in 10.5.
        options.retain(|(_, word)| {
            word.strip_prefix("no-")
                .is_none_or(|suite| !chosen.contains(&SUITES.into_iter().find(|one| *one == suite)))
        });
        self.count("answer");
        self.signal("answer", offerer, true, texts.clone(), &options);
        if self.dice.chance(30) {
            self.count("repeated answer");
            self.signal("answer", offerer, true, texts, &options);
        }
    }

    /// Asks both, each in its words; `reader` is shown what they answer.
    fn ask(&mut self, asks: [Ask; 2], reader: Option<usize>) {
        let documents = [0, 1].map(|peer| asks[peer].document(self.encoding));
        let answers = [0, 1].map(|peer| self.rig.peers[peer].ask(&documents[peer]));
        self.asked += 1;
        if self.parted {
            return;
        }
        let lines = [0, 1].map(|peer| {
            let lines = self.ports[peer].lines(&answers[peer]);
            if let Some(reader) = reader {
                self.shown[peer][reader] = lines.concat();
            }
            let (drawn, asked) = (&mut self.drawn[peer], self.asked);
            lines.into_iter().map(|line| without_key(line, drawn, asked)).collect::<Vec<_>>()
        });
        let [theirs, ours] = &lines;
        if std::env::var_os("NG_CALL").is_some() {
            let asked = String::from_utf8_lossy(&documents[0]).replace("\r\n", "\n      ");
            println!("[{}] {asked}\n{}", self.asked, difference(theirs, ours));
        }
        if theirs == ours {
            return;
        }
        let mut case = Case { ask: &asks[0], offered: &self.offered, theirs: theirs.clone(), ours };
        let reasons: Vec<_> = DEVIATIONS.iter().filter(|one| (one.explain)(&mut case)).collect();
        if case.theirs == *ours {
            for reason in reasons {
                *self.rig.explained.entry(reason.name).or_default() += 1;
                self.parted |= reason.parts;
            }
            return;
        }
        self.parted = true;
        let text = difference(&case.theirs, ours);
        let kind: Vec<_> =
            text.lines().filter(|line| line.starts_with("  -") || line.starts_with("  +")).take(4).collect();
        let example = format!(
            "call {}, message {}\n  asked {}\n{text}",
            self.number,
            self.asked,
            String::from_utf8_lossy(&documents[0]).escape_debug()
        );
        self.rig.unexplained.entry(kind.join("\n")).or_insert((0, example)).0 += 1;
    }
}

/// A line whose key is told by whose it is: what a party said stays, what a peer drew is called by the answer that
/// showed it first.
fn without_key(line: String, drawn: &mut BTreeMap<String, usize>, asked: usize) -> String {
    let Some((head, rest)) = line.split_once(" inline:") else { return line };
    let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || "+/".contains(letter)));
    let (key, tail) = rest.split_at(end.unwrap_or(rest.len()));
    if let Some(name) = super::secure_body::whose(key) {
        return format!("{head} inline:({name}){tail}");
    }
    let first = drawn.entry(key.to_owned()).or_insert(asked);
    format!("{head} inline:(drawn-in-{first}){tail}")
}

fn made_up_calls_are_alike(theirs: &mut dyn NgPeer, ours: &mut dyn NgPeer) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let single = asked("NG_CALL");
    let calls = FIRST_CALL..FIRST_CALL + asked("NG_CALLS").unwrap_or(CALLS);
    let mut rig = Rig {
        peers: [theirs, ours],
        tally: Tally::default(),
        explained: BTreeMap::new(),
        unexplained: BTreeMap::new(),
    };
    for number in single.map_or(calls, |number| number..number + 1) {
        let mut dice = Dice::new(number);
        let encoding = if dice.chance(20) { Encoding::Json } else { Encoding::Bencode };
        let mut call = Call {
            rig: &mut rig,
            name: format!("secure-{number}"),
            number,
            encoding,
            dice,
            drawn: Default::default(),
            ports: Default::default(),
            shown: Default::default(),
            offered: String::new(),
            asked: 0,
            parted: false,
        };
        call.run();
    }
    println!("{}", rig.tally.table());
    for deviation in DEVIATIONS {
        let times = rig.explained.get(deviation.name).copied().unwrap_or(0);
        println!("{times:>8}  {}: {}", deviation.name, deviation.reason);
    }
    let mut text = String::new();
    let mut kinds: Vec<_> = rig.unexplained.iter().collect();
    kinds.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
    for (kind, (times, example)) in kinds {
        writeln!(text, "== {times} calls:\n{kind}\n{example}").expect("a string takes every write");
    }
    assert!(text.is_empty(), "\n{text}");
    if single.is_none() {
        let names = COUNTED.iter().copied().chain(SDES.iter().map(|(word, _)| *word));
        let rare: Vec<_> = names.filter(|name| rig.tally.times(name) < 50).collect();
        assert!(rare.is_empty(), "asked fewer than 50 times: {rare:?}");
        let names = DEVIATIONS.iter().map(|one| one.name).filter(|name| !RARE.contains(name));
        let stale: Vec<_> = names.filter(|name| !rig.explained.contains_key(name)).collect();
        assert!(stale.is_empty(), "listed as deviations, but never seen: {stale:?}");
    }
}

/// `NG_CALLS` asks for more of them, `NG_CALL` for a single one by its number.
#[test]
fn made_up_calls_with_keys_are_answered_as_rtpengine_does() {
    let at = Address::new();
    let mut theirs = Daemon::rtpengine(at, (40_000, 49_999));
    made_up_calls_are_alike(&mut theirs, &mut Daemon::tollgate(at));
}

#[test]
fn made_up_calls_with_keys_are_answered_by_a_bare_shard_as_rtpengine_does() {
    let at = Address::new();
    let mut theirs = Daemon::rtpengine(at, (40_000, 49_999));
    made_up_calls_are_alike(&mut theirs, &mut BareShard::new(at));
}

/// The number of the first call.
const FIRST_CALL: u64 = 1_000_000;
/// Calls that are made up where nobody asks for more.
const CALLS: u64 = 600;
