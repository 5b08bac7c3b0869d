//! Whole calls, made up from a number: the same number is the same call.

use ng::{Encoding, Value};

use super::{
    ask::Ask,
    body::{self, Body},
    dice::Dice,
    options,
    tally::Tally,
};

/// One question, as each of the two peers is asked it.
pub(crate) struct Step {
    pub(crate) ask: Ask,
    /// There are several who may answer.
    pub(crate) forked: bool,
    /// The sections in which rtcp-mux was written or asked for, now or before, as bits.
    pub(crate) muxed: u32,
    /// A party was forgotten (`reset`), now or before.
    pub(crate) reset: bool,
    /// A party was deleted at once, now or before.
    pub(crate) swept: bool,
    /// Somebody subscribed or published, now or before.
    pub(crate) heard: bool,
    pub(crate) theirs: Vec<u8>,
    pub(crate) ours: Vec<u8>,
}

/// The messages of call `number`, in their order; what is in them is counted.
pub(crate) fn call(number: u64, tally: &mut Tally) -> Vec<Step> {
    let mut dice = Dice::new(number);
    let encoding = if dice.chance(20) { Encoding::Json } else { Encoding::Bencode };
    let habit = if dice.chance(50) { Some(dice.next()) } else { None };
    let ipv6 = [dice.chance(15), dice.chance(15)];
    let call = format!("call-{number}");
    let mut caller = Caller {
        call,
        encoding,
        dice,
        habit,
        forked: false,
        muxed: 0,
        reset: false,
        swept: false,
        heard: false,
        ipv6,
        tally,
        steps: Vec::new(),
    };
    caller.run();
    caller.steps
}

/// Commands that forbid something, or allow it again.
pub(crate) const GATES: [&str; 6] =
    ["block media", "unblock media", "silence media", "unsilence media", "block DTMF", "unblock DTMF"];

/// What is counted besides these and options.
pub(crate) const COUNTED: &[&str] = &[
    "offer",
    "answer",
    "re-INVITE of the caller",
    "re-INVITE of the callee",
    "late offer",
    "forked with branches",
    "forked without branches",
    "repeated answer",
    "IPv4 to IPv6",
    "address-family=IP4",
    "address-family=IP6",
    "ping",
    "list",
    "list with limit",
    "query",
    "query with tags",
    "query of nobody",
    "delete",
    "delete of a tag",
    "delete of two tags",
    "delete of a branch",
    "delete of nobody",
    "delete-delay",
    "fatal",
    "to-tag (flag)",
    "revived",
    "start recording",
    "stop recording",
    "pause recording",
    "subscribe request",
    "subscribe answer",
    "unsubscribe",
    "publish",
    "a section over TCP",
    "selected by tag",
    "selected by label",
    "selected by address",
    "selected all",
    "JSON",
    "bencode",
    "lists as texts with commas",
    "blanks and underscores in flags",
    "blanks and underscores in keys",
    "rtpp-flags",
    "replace-… (flags)",
    "rtcp-mux-… (flags)",
    "from-interface, to-interface",
    "key=value (flags)",
];

struct Caller<'t> {
    call: String,
    encoding: Encoding,
    dice: Dice,
    /// What chooses the options, if they are the same throughout the call.
    habit: Option<u64>,
    forked: bool,
    muxed: u32,
    reset: bool,
    swept: bool,
    heard: bool,
    /// Whether alice is reached over IPv6, and whether the others are.
    ipv6: [bool; 2],
    tally: &'t mut Tally,
    steps: Vec<Step>,
}

/// A party that answers, or may.
struct Branch {
    tag: &'static str,
    branch: Option<&'static str>,
    body: Option<Body>,
}

const ALICE: &str = "alice";

impl Caller<'_> {
    fn run(&mut self) {
        let [ipv6, other_ipv6] = self.ipv6;
        if ipv6 != other_ipv6 {
            self.tally.count("IPv4 to IPv6");
        }
        let mut alice = Body::offered(&mut self.dice, ipv6);
        let mut branches = vec![Branch { tag: "bob", branch: None, body: None }];
        match self.dice.below(10) {
            0 | 1 => {
                self.tally.count("forked with branches");
                branches[0].branch = Some("z9hG4bK-1");
                branches.push(Branch { tag: "carol", branch: Some("z9hG4bK-2"), body: None });
                if self.dice.chance(30) {
                    branches.push(Branch { tag: "dave", branch: Some("z9hG4bK-3"), body: None });
                }
                self.forked(&alice, &mut branches, other_ipv6);
            }
            2 => {
                self.tally.count("forked without branches");
                branches.push(Branch { tag: "carol", branch: None, body: None });
                self.forked(&alice, &mut branches, other_ipv6);
            }
            3 => {
                // Whoever was called offers in its 200: the proxy swaps the tags.
                self.tally.count("late offer");
                self.ipv6 = [other_ipv6, ipv6];
                let bob = alice.clone();
                let protocol = self.offer(&bob, "bob", Some(ALICE), None);
                alice = Body::answered(&mut self.dice, &bob, protocol, other_ipv6);
                self.answer(&alice, "bob", ALICE, None);
                branches[0].body = Some(bob);
            }
            _ => {
                branches[0].branch = self.dice.chance(20).then_some("z9hG4bK-1");
                self.forked(&alice, &mut branches, other_ipv6);
            }
        }
        for _ in 0..self.dice.below(5) {
            self.aside(&alice);
            let chosen = usize::from(self.dice.below(u16::try_from(branches.len()).expect("few")));
            let branch = &mut branches[chosen];
            if let Some(bob) = &mut branch.body {
                self.reinvite(&mut alice, bob, branch.tag);
            }
        }
        self.aside(&alice);
        // What was rejected is another matter, and stands among the written scenarios.
        if !self.forked && alice.is_heard() && self.dice.chance(45) {
            self.hearers(&alice);
        }
        self.end(&alice, &branches);
    }

    /// The offer goes to every branch, and some of them answer.
    fn forked(&mut self, alice: &Body, branches: &mut [Branch], ipv6: bool) {
        self.forked = branches.len() > 1;
        let mut protocol = None;
        for (index, branch) in branches.iter().enumerate() {
            if index == 0 || branch.branch.is_some() {
                protocol = self.offer(alice, ALICE, None, branch.branch);
                if self.dice.chance(10) {
                    protocol = self.offer(alice, ALICE, None, branch.branch);
                }
            }
        }
        self.aside(alice);
        for branch in branches {
            if self.dice.chance(10) {
                continue;
            }
            let body = Body::answered(&mut self.dice, alice, protocol, ipv6);
            // Without a branch whose answer it is would be anybody's guess.
            let named = branch.branch.filter(|_| self.forked || self.dice.chance(80));
            self.answer(&body, ALICE, branch.tag, named);
            if self.dice.chance(30) {
                self.tally.count("repeated answer");
                self.answer(&body, ALICE, branch.tag, named);
            }
            branch.body = Some(body);
        }
    }

    fn reinvite(&mut self, alice: &mut Body, bob: &mut Body, tag: &'static str) {
        let by_caller = self.dice.chance(60);
        self.tally.count(if by_caller { "re-INVITE of the caller" } else { "re-INVITE of the callee" });
        let (from, to, offerer, answerer) =
            if by_caller { (ALICE, tag, alice, bob) } else { (tag, ALICE, bob, alice) };
        offerer.change(&mut self.dice);
        let protocol = self.offer(offerer, from, Some(to), None);
        answerer.follow(&mut self.dice, offerer, protocol);
        if self.dice.chance(92) {
            self.answer(answerer, from, to, None);
        }
    }

    /// An offer; says in which profile its reader will answer.
    fn offer(
        &mut self,
        body: &Body,
        from: &str,
        to: Option<&str>,
        branch: Option<&str>,
    ) -> Option<&'static str> {
        self.tally.count("offer");
        let ask = self.signal("offer", body, from, to, branch);
        let asked = ask.get("transport-protocol").and_then(Value::as_str);
        let told = ["RTP/AVP", "RTP/AVPF"].into_iter().find(|protocol| asked == Some(protocol));
        self.ask(ask);
        told.filter(|_| self.dice.chance(80))
    }

    fn answer(&mut self, body: &Body, from: &str, to: &str, branch: Option<&str>) {
        self.tally.count("answer");
        let ask = self.signal("answer", body, from, Some(to), branch);
        self.ask(ask);
    }

    fn signal(
        &mut self,
        command: &str,
        body: &Body,
        from: &str,
        to: Option<&str>,
        branch: Option<&str>,
    ) -> Ask {
        let mut ask = Ask::new(command, &self.call);
        ask.set("from-tag", from);
        if let Some(to) = to {
            ask.set("to-tag", to);
        }
        if let Some(branch) = branch {
            ask.set("via-branch", branch);
        }
        let [alice, others] = self.ipv6;
        let by_alice = (from == ALICE) == (command == "offer");
        if alice != others && self.dice.chance(85) {
            let family = if if by_alice { others } else { alice } { "IP6" } else { "IP4" };
            self.tally.count(if family == "IP4" { "address-family=IP4" } else { "address-family=IP6" });
            ask.set("address-family", family);
        }
        let sender_ipv6 = if by_alice { alice } else { others };
        let about = options::About { offer: command == "offer", ipv4: self.ipv6 == [false; 2], sender_ipv6 };
        options::add(&mut self.dice, self.habit, &mut ask, about, self.tally);
        // In 10.5 whoever wrote candidates once is spoken to otherwise from then on, unless they are stripped always.
        let always = self.habit.is_some() && self.ipv6 == [false; 2];
        let stripped = always && ask.is("ICE", "remove") && !ask.lists("flags", "SIP-source-address");
        let text =
            if stripped && self.dice.chance(60) { body.clone().with_ice().text() } else { body.text() };
        ask.set("sdp", &text);
        ask
    }

    /// Something that is no offer, answer or delete, now and then.
    fn aside(&mut self, alice: &Body) {
        match self.dice.below(24) {
            20..=21 => self.recording(),
            22 => self.gate(alice),
            0..=3 => {
                let mut ask = Ask::new("query", &self.call);
                self.tally.count("query");
                if self.dice.chance(40) {
                    self.tally.count("query with tags");
                    ask.set("from-tag", self.dice.pick(&[ALICE, "bob", "carol", "mallory"]));
                    if self.dice.chance(30) {
                        ask.set("to-tag", self.dice.pick(&[ALICE, "bob"]));
                    }
                }
                self.ask(ask);
            }
            4 | 5 => self.gate(alice),
            6 => {
                self.tally.count("list");
                let mut ask = Ask::default();
                ask.set("command", "list");
                if self.dice.chance(50) {
                    self.tally.count("list with limit");
                    ask.put("limit", Value::Integer(self.dice.below(3).into()));
                }
                self.ask(ask);
            }
            7 => {
                self.tally.count("ping");
                let mut ask = Ask::default();
                ask.set("command", "ping");
                self.ask(ask);
            }
            8 => {
                self.tally.count("query of nobody");
                self.ask(Ask::new("query", "nobody"));
            }
            _ => {}
        }
    }

    fn gate(&mut self, alice: &Body) {
        let command = self.dice.pick(&GATES);
        self.tally.count(command);
        let mut ask = Ask::new(command, &self.call);
        match self.dice.below(5) {
            0 => {
                self.tally.count("selected by tag");
                ask.set("from-tag", self.dice.pick(&[ALICE, "bob", "mallory"]));
            }
            1 => {
                self.tally.count("selected by label");
                ask.set("label", self.dice.pick(&["caller", "left", "nobody"]));
            }
            2 => {
                self.tally.count("selected by address");
                let there = alice.address.to_string();
                ask.set("address", self.dice.pick(&[there.as_str(), "203.0.113.99"]));
            }
            3 => {
                self.tally.count("selected all");
                ask.word("flags", "all");
            }
            _ => {}
        }
        if self.dice.chance(30) {
            ask.word("flags", "directional");
        }
        self.ask(ask);
    }

    /// A recording begins, pauses or ends.
    fn recording(&mut self) {
        let command =
            self.dice.pick(&["start recording", "start recording", "stop recording", "pause recording"]);
        self.tally.count(command);
        let mut ask = Ask::new(command, &self.call);
        if self.dice.chance(50) {
            ask.set("from-tag", self.dice.pick(&[ALICE, "bob", "mallory"]));
        }
        if self.dice.chance(20) {
            ask.set("metadata", "note");
        }
        self.ask(ask);
    }

    /// Somebody hears one party or all of them, answers and leaves; somebody else publishes. Nothing but the end comes
    /// after it.
    fn hearers(&mut self, alice: &Body) {
        if self.dice.chance(50) {
            self.tally.count("publish");
            let mut ask = Ask::new("publish", &self.call);
            ask.set("from-tag", "pub");
            ask.set("sdp", &alice.clone().published().text());
            self.ask(ask);
            self.query();
        }
        let tags = ["rec", "rec-2"];
        for tag in &tags[..=usize::from(self.dice.below(2))] {
            let heard = self.dice.pick(&[ALICE, ALICE, ALICE, "mallory"]);
            self.tally.count("subscribe request");
            let mut ask = Ask::new("subscribe request", &self.call);
            ask.set("from-tag", heard);
            ask.set("to-tag", tag);
            if self.ipv6[0] != self.ipv6[1] {
                // Left to itself 10.5 takes the family of the other side of whom is heard.
                ask.set("address-family", if self.ipv6[0] { "IP6" } else { "IP4" });
            }
            self.ask(ask);
            if heard == ALICE && self.dice.chance(80) {
                self.tally.count("subscribe answer");
                let mut ask = Ask::new("subscribe answer", &self.call);
                ask.set("to-tag", tag);
                ask.set("sdp", &Body::heard(&mut self.dice, alice).text());
                self.ask(ask);
            }
            self.query();
        }
        if self.dice.chance(60) {
            self.tally.count("unsubscribe");
            let mut ask = Ask::new("unsubscribe", &self.call);
            ask.set("from-tag", ALICE);
            ask.set("to-tag", self.dice.pick(&["rec", "rec", "rec-2", "nobody"]));
            self.ask(ask);
            self.query();
        }
    }

    fn query(&mut self) {
        self.tally.count("query");
        self.ask(Ask::new("query", &self.call));
    }

    /// Deletes of parties and of nobody, perhaps an offer that revives it, and the end.
    fn end(&mut self, alice: &Body, branches: &[Branch]) {
        for _ in 0..=self.dice.below(2) {
            self.delete(branches);
            if self.dice.chance(40) {
                self.tally.count("query");
                self.ask(Ask::new("query", &self.call));
            }
            self.aside(alice);
            if self.dice.chance(15) {
                self.tally.count("revived");
                self.ask(Ask::new("query", &self.call));
                self.offer(alice, ALICE, None, branches[0].branch);
                self.aside(alice);
            }
        }
        self.tally.count("delete");
        let mut ask = Ask::new("delete", &self.call);
        ask.put("delete-delay", Value::Integer(0));
        self.ask(ask);
    }

    fn delete(&mut self, branches: &[Branch]) {
        self.tally.count("delete");
        let mut ask = Ask::new("delete", &self.call);
        let branch = &branches[usize::from(self.dice.below(u16::try_from(branches.len()).expect("few")))];
        match self.dice.below(6) {
            0 => {}
            1 => {
                self.tally.count("delete of a tag");
                ask.set("from-tag", self.dice.pick(&[ALICE, branch.tag]));
            }
            2 => {
                self.tally.count("delete of two tags");
                ask.set("from-tag", ALICE);
                ask.set("to-tag", branch.tag);
            }
            3 => {
                self.tally.count("delete of a branch");
                ask.set("from-tag", ALICE);
                ask.set("via-branch", branch.branch.unwrap_or("z9hG4bK-1"));
            }
            4 => {
                self.tally.count("delete of a branch");
                ask.set("from-tag", ALICE);
                ask.set("to-tag", branch.tag);
                ask.set("via-branch", branch.branch.unwrap_or("z9hG4bK-9"));
            }
            _ => {
                self.tally.count("delete of nobody");
                ask.set("from-tag", self.dice.pick(&["mallory", ALICE]));
                ask.set("to-tag", "trudy");
            }
        }
        if self.dice.chance(30) {
            self.tally.count("delete-delay");
            let delay = self.dice.pick(&["0", "0", "5", "30", "-1", "soon"]);
            match delay.parse() {
                Ok(number) if self.dice.chance(60) => ask.put("delete-delay", Value::Integer(number)),
                _ => ask.set("delete-delay", delay),
            }
        }
        for flag in ["fatal", "to-tag"] {
            if self.dice.chance(20) {
                self.tally.count(if flag == "fatal" { flag } else { "to-tag (flag)" });
                ask.word("flags", flag);
            }
        }
        self.ask(ask);
    }

    /// Writes the message down, in one of its spellings.
    fn ask(&mut self, ask: Ask) {
        let Caller { dice, tally, encoding, .. } = self;
        tally.count(if *encoding == Encoding::Json { "JSON" } else { "bencode" });
        let signal = ask.get("sdp").is_some();
        let respelt = dice.chance(if signal { 25 } else { 10 });
        let ours = if respelt { ask.respelt(dice, |name| tally.count(name)) } else { ask.clone() };
        let ours = ours.document(*encoding);
        let theirs = ask.document(*encoding);
        let sdp = ask.get("sdp").and_then(Value::as_str).unwrap_or_default();
        if sdp.contains(" TCP/MSRP ") {
            tally.count("a section over TCP");
        }
        let everywhere = ["offer", "require"].iter().any(|word| ask.lists("rtcp-mux", word));
        for (index, section) in sdp.split("\r\nm=").skip(1).enumerate() {
            if everywhere || section.contains("\r\na=rtcp-mux") {
                self.muxed |= 1 << index;
            }
        }
        self.reset |= ask.lists("flags", "reset");
        let at_once = ask.get("delete-delay").and_then(Value::as_integer) == Some(0);
        self.swept |= at_once && ask.get("from-tag").is_some();
        self.heard |= ask.is("command", "publish") || ask.is("command", "subscribe request");
        let Caller { forked, muxed, reset, swept, heard, .. } = *self;
        self.steps.push(Step { ask, theirs, ours, forked, muxed, reset, swept, heard });
    }
}

#[test]
fn a_number_is_the_same_call_again() {
    let documents = |number| {
        call(number, &mut Tally::default())
            .into_iter()
            .flat_map(|step| [step.theirs, step.ours])
            .collect::<Vec<_>>()
    };
    assert_eq!(documents(17), documents(17));
    assert_ne!(documents(17), documents(18));
    assert!(body::address(&mut Dice::new(1), true).is_ipv6());
}
