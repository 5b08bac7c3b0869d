//! SIPp scenarios, composed step by step: what a caller or a carrier does, in the order in which it does it.

use std::fmt::Write as _;

/// A scenario under construction. CSeq numbers, tags and route sets are kept right by the builder.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    role: Role,
    steps: String,
    /// How many steps there are: SIPp makes the branch of a request out of its step's number.
    count: u32,
    invite_step: u32,
    cseq: u32,
    invite_cseq: u32,
    dialog: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Calls, with the account of [`Plan::account`](crate::Plan::account).
    Caller,
    /// Is called.
    Carrier,
}

/// A body of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None.
    Empty,
    /// PCMA at SIPp's media port.
    Audio,
    /// The same on hold, `a=sendonly`, with a higher version.
    Hold,
    /// The same with an `o=` version and a port two above, as after a change of address.
    Moved,
}

impl Body {
    fn text(self) -> String {
        let (version, port, direction) = match self {
            Body::Empty => return "Content-Length: 0\n".to_owned(),
            Body::Audio => (1, "[media_port]", "sendrecv"),
            Body::Hold => (2, "[media_port]", "sendonly"),
            Body::Moved => (3, "[media_port+2]", "sendrecv"),
        };
        format!(
            "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\n\
             c=IN IP4 [media_ip]\nt=0 0\nm=audio {port} RTP/AVP 8\na=rtpmap:8 PCMA/8000\na={direction}"
        )
    }
}

impl Scenario {
    /// Somebody who calls.
    pub fn caller(name: &str) -> Scenario {
        Scenario::new(name, Role::Caller)
    }

    /// Somebody who is called; the INVITE has come when the next step begins.
    pub fn carrier(name: &str) -> Scenario {
        let mut scenario = Scenario::new(name, Role::Carrier);
        scenario.dialog = true;
        let keep = keep(&["Via", "From", "To", "CSeq"]);
        scenario.step(&format!("<recv request=\"INVITE\" rrs=\"true\"><action>{keep}</action></recv>"))
    }

    fn new(name: &str, role: Role) -> Scenario {
        Scenario {
            name: name.to_owned(),
            role,
            steps: String::new(),
            count: 0,
            invite_step: 0,
            cseq: 0,
            invite_cseq: 0,
            dialog: false,
        }
    }

    fn step(mut self, xml: &str) -> Scenario {
        self.steps.push_str(xml);
        self.steps.push('\n');
        self.count += 1;
        self
    }

    fn send(self, message: &str, retransmitted: bool) -> Scenario {
        let retrans = if retransmitted { " retrans=\"500\"" } else { "" };
        self.step(&format!("<send{retrans}><![CDATA[\n{message}\n]]></send>"))
    }

    /// A request of ours, inside the dialog if there is one.
    fn request(mut self, method: &str, body: Body, extra: &str) -> Scenario {
        if !matches!(method, "ACK" | "CANCEL") {
            self.cseq += 1;
        }
        let number = if matches!(method, "ACK" | "CANCEL") { self.invite_cseq } else { self.cseq };
        if method == "INVITE" {
            self.invite_cseq = number;
            self.invite_step = self.count;
        }
        let (uri, from, to) = match (self.role, self.dialog) {
            (Role::Caller, false) => {
                ("sip:[service]@[remote_ip]:[remote_port]", CALLER, "To: <sip:[service]@[domain]>")
            }
            (Role::Caller, true) => ("[next_url]", CALLER, "To: [$dialog_To]"),
            (Role::Carrier, _) => {
                ("[next_url]", "From: [$invite_To];tag=[pid]carrier[call_number]", "To: [$invite_From]")
            }
        };
        let routes = if self.dialog { "[routes]\n" } else { "" };
        // A CANCEL goes by the branch of its INVITE (RFC 3261 §9.1).
        let branch = if method == "CANCEL" { self.invite_branch() } else { "[branch]".to_owned() };
        let message = format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}\n{from}\n{to}\n{routes}\
             Call-ID: [call_id]\nCSeq: {number} {method}\nContact: <sip:sipp@[local_ip]:[local_port]>\n{extra}\
             Max-Forwards: 70\n{}",
            body.text()
        );
        self.send(&message, method != "ACK")
    }

    /// The branch of the INVITE, seen from the next step.
    fn invite_branch(&self) -> String {
        format!("[branch-{}]", self.count - self.invite_step)
    }

    /// Calls, is challenged, and calls again with the digest.
    #[must_use]
    pub fn invite(self, body: Body) -> Scenario {
        let asked = self
            .request("INVITE", body, "")
            .maybe(100)
            .step("<recv response=\"407\" auth=\"true\"/>")
            .ack_refusal();
        asked.request("INVITE", body, "[authentication]\n").maybe(100)
    }

    /// Calls without an account.
    #[must_use]
    pub fn invite_plainly(self, body: Body) -> Scenario {
        self.request("INVITE", body, "").maybe(100)
    }

    /// A response that may come or not.
    #[must_use]
    pub fn maybe(self, status: u16) -> Scenario {
        self.step(&format!("<recv response=\"{status}\" optional=\"true\"/>"))
    }

    /// A provisional response that must come.
    #[must_use]
    pub fn hears(self, status: u16) -> Scenario {
        self.step(&format!("<recv response=\"{status}\"/>"))
    }

    /// Waits for the 2xx of the call; the dialog begins. Ringing may come before it.
    #[must_use]
    pub fn is_answered(mut self) -> Scenario {
        self.dialog = true;
        let keep = "<ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"dialog_To\"/>";
        self.maybe(180)
            .maybe(183)
            .step(&format!("<recv response=\"200\" rrs=\"true\"><action>{keep}</action></recv>"))
    }

    /// Waits for a refusal of the call, and acknowledges it. Ringing may come before it.
    #[must_use]
    pub fn is_refused(self, status: u16) -> Scenario {
        self.maybe(180).maybe(183).step(&format!("<recv response=\"{status}\"/>")).ack_refusal()
    }

    /// Is refused with either status, and acknowledges it.
    #[must_use]
    pub fn is_refused_with_either(self, first: u16, second: u16) -> Scenario {
        self.step(&format!("<recv response=\"{first}\" optional=\"true\" next=\"1\"/>"))
            .step(&format!("<recv response=\"{second}\"/>"))
            .label(1)
            .ack_refusal()
    }

    /// Goes on with `steps` unless the call is refused with `status`, which is acknowledged.
    #[must_use]
    pub fn unless_refused(self, status: u16, steps: impl FnOnce(Scenario) -> Scenario) -> Scenario {
        let asked = self.step(&format!("<recv response=\"{status}\" optional=\"true\" next=\"1\"/>"));
        steps(asked).step("<nop next=\"2\"/>").label(1).ack_refusal().label(2)
    }

    /// Where a `next` leads; no step of its own.
    fn label(mut self, id: u8) -> Scenario {
        let _ = writeln!(self.steps, "<label id=\"{id}\"/>");
        self
    }

    /// The ACK of a non-2xx goes by the branch of its INVITE.
    fn ack_refusal(self) -> Scenario {
        let (number, branch) = (self.invite_cseq, self.invite_branch());
        let message = format!(
            "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}\n{CALLER}\n[last_To:]\nCall-ID: [call_id]\n\
             CSeq: {number} ACK\nMax-Forwards: 70\nContent-Length: 0\n"
        );
        self.send(&message, false)
    }

    /// Acknowledges the answer.
    #[must_use]
    pub fn ack(self, body: Body) -> Scenario {
        self.request("ACK", body, "")
    }

    /// Plays the recording that comes with SIPp (8 s of PCMA).
    #[must_use]
    pub fn plays(self) -> Scenario {
        let audio = "/usr/share/sip-tester/g711a.pcap";
        self.step(&format!("<nop><action><exec play_pcap_audio=\"{audio}\"/></action></nop>"))
    }

    /// Presses a key, as telephone events.
    #[must_use]
    pub fn plays_digit(self) -> Scenario {
        let events = "/usr/share/sip-tester/dtmf_2833_1.pcap";
        self.step(&format!("<nop><action><exec play_pcap_audio=\"{events}\"/></action></nop>"))
    }

    /// Waits for [`Plan::pause_ms`](crate::Plan::pause_ms).
    #[must_use]
    pub fn pauses(self) -> Scenario {
        self.step("<pause/>")
    }

    /// Waits that long.
    #[must_use]
    pub fn pauses_for(self, milliseconds: u32) -> Scenario {
        self.step(&format!("<pause milliseconds=\"{milliseconds}\"/>"))
    }

    /// Hangs up, and is answered.
    #[must_use]
    pub fn hangs_up(self) -> Scenario {
        self.request("BYE", Body::Empty, "").step("<recv response=\"200\"/>")
    }

    /// Is hung up on, and answers.
    #[must_use]
    pub fn is_hung_up_on(self) -> Scenario {
        self.step("<recv request=\"BYE\"/>").answers_last(200, Body::Empty)
    }

    /// Cancels the call; the CANCEL is answered, and the call ends with 487.
    #[must_use]
    pub fn cancels(self) -> Scenario {
        let asked = self.request("CANCEL", Body::Empty, "").step("<recv response=\"200\"/>");
        asked.step("<recv response=\"487\"/>").ack_refusal()
    }

    /// Offers something else in a re-INVITE, and acknowledges the answer.
    #[must_use]
    pub fn reinvites(self, body: Body) -> Scenario {
        self.request("INVITE", body, "")
            .maybe(100)
            .step("<recv response=\"200\" rrs=\"true\"/>")
            .ack(Body::Empty)
    }

    /// Asks the other side for an offer in a re-INVITE, and answers it in the ACK.
    #[must_use]
    pub fn reinvites_for_an_offer(self, answer: Body) -> Scenario {
        let asked = self.request("INVITE", Body::Empty, "").maybe(100);
        asked.step("<recv response=\"200\" rrs=\"true\"/>").ack(answer)
    }

    /// Offers something else in an UPDATE.
    #[must_use]
    pub fn updates(self, body: Body) -> Scenario {
        self.request("UPDATE", body, "").maybe(100).step("<recv response=\"200\"/>")
    }

    /// Asks for a change inside the dialog at the wrong time.
    #[must_use]
    pub fn reinvites_in_vain(self, body: Body, status: u16) -> Scenario {
        let asked =
            self.request("INVITE", body, "").maybe(100).step(&format!("<recv response=\"{status}\"/>"));
        let message = format!(
            "ACK [next_url] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch={}\n[last_From:]\n[last_To:]\n\
             [last_Call-ID:]\nCSeq: {} ACK\nMax-Forwards: 70\nContent-Length: 0\n",
            asked.invite_branch(),
            asked.invite_cseq
        );
        asked.send(&message, false)
    }

    /// Takes a re-INVITE, which stays unanswered until [`Scenario::answers`].
    #[must_use]
    pub fn awaits_reinvite(self) -> Scenario {
        self.step(&format!("<recv request=\"INVITE\"><action>{}</action></recv>", keep(&["Via", "CSeq"])))
    }

    /// Hangs up although it is being hung up on, and answers that afterwards.
    #[must_use]
    pub fn hangs_up_at_the_same_time(self) -> Scenario {
        let asked = self
            .step(&format!("<recv request=\"BYE\"><action>{}</action></recv>", keep(&["Via", "CSeq"])))
            .hangs_up();
        let answer = asked.answer(200, Body::Empty);
        asked.send(&answer, false)
    }

    /// The carrier asks for a digest of `user` with the password `secret`, and goes on if the next INVITE has it.
    /// By 401, since SIPp finds only `Authorization` to verify.
    #[must_use]
    pub fn challenges(self, user: &str) -> Scenario {
        let challenge = "Digest realm=\"carrier.example\", nonce=\"8c1f0d\", algorithm=MD5, qop=\"auth\"";
        let message = self.answer(401, Body::Empty);
        let (head, end) = message.rsplit_once("Content-Length").expect("every message has it");
        let asked = self
            .send(&format!("{head}WWW-Authenticate: {challenge}\nContent-Length{end}"), true)
            .awaits("ACK");
        let verify = format!("<verifyauth assign_to=\"authentic\" username=\"{user}\" password=\"secret\"/>");
        let again = asked.step(&format!(
            "<recv request=\"INVITE\" rrs=\"true\"><action>{}{verify}</action></recv>",
            keep(&["Via", "CSeq"])
        ));
        again
            .step("<nop test=\"authentic\" next=\"3\"/>")
            .step("<nop><action><error message=\"the digest is wrong\"/></action></nop>")
            .label(3)
    }

    /// Any request inside the dialog, answered with `status`.
    #[must_use]
    pub fn asks(self, method: &str, body: Body, status: u16) -> Scenario {
        self.request(method, body, "").maybe(100).step(&format!("<recv response=\"{status}\"/>"))
    }

    /// Takes a request inside the dialog, and answers it.
    #[must_use]
    pub fn is_asked(self, method: &str, status: u16, body: Body) -> Scenario {
        let asked = self.step(&format!("<recv request=\"{method}\"/>")).answers_last(status, body);
        if method == "INVITE" { asked.step("<recv request=\"ACK\"/>") } else { asked }
    }

    /// Waits for a message without answering it.
    #[must_use]
    pub fn awaits(self, method: &str) -> Scenario {
        self.step(&format!("<recv request=\"{method}\"/>"))
    }

    /// Answers the last request that came.
    #[must_use]
    pub fn answers_last(self, status: u16, body: Body) -> Scenario {
        let message = format!(
            "SIP/2.0 {status} {}\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:sipp@[local_ip]:[local_port]>\n{}",
            phrase(status),
            body.text()
        );
        self.send(&message, false)
    }

    /// The carrier answers the INVITE, whatever has come since. A final answer is repeated until its ACK.
    #[must_use]
    pub fn answers(self, status: u16, body: Body) -> Scenario {
        let message = self.answer(status, body);
        let answered = self.send(&message, status >= 200);
        if status >= 200 { answered.step("<recv request=\"ACK\"/>") } else { answered }
    }

    /// A response to the request whose headers were kept last.
    fn answer(&self, status: u16, body: Body) -> String {
        format!(
            "SIP/2.0 {status} {}\nVia: [$invite_Via]\nFrom: [$invite_From]\nTo: [$invite_To];tag=[pid]carrier[call_number]\n\
             [last_Record-Route:]\n[last_Call-ID:]\nCSeq: [$invite_CSeq]\nContact: <sip:sipp@[local_ip]:[local_port]>\n{}",
            phrase(status),
            body.text()
        )
    }

    /// The file SIPp reads.
    pub(crate) fn xml(&self) -> String {
        let mut xml = format!("<?xml version=\"1.0\"?>\n<scenario name=\"{}\">\n{}", self.name, self.steps);
        let kept = match self.role {
            Role::Carrier => "invite_Via,invite_From,invite_To,invite_CSeq",
            Role::Caller if self.dialog => "dialog_To",
            Role::Caller => "",
        };
        if !kept.is_empty() {
            // SIPp refuses a variable that is kept and not used.
            let _ = writeln!(xml, "<Reference variables=\"{kept}\"/>");
        }
        xml + "</scenario>\n"
    }

    /// Its name, for failures.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

const CALLER: &str = "From: <sip:[account]@[domain]>;tag=[pid]caller[call_number]";

/// Actions that keep headers of a request for [`Scenario::answers`].
fn keep(headers: &[&str]) -> String {
    let keep = headers.iter().map(|header| {
        format!("<ereg regexp=\".*\" search_in=\"hdr\" header=\"{header}:\" assign_to=\"invite_{header}\"/>")
    });
    keep.collect()
}

fn phrase(status: u16) -> &'static str {
    match status {
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        491 => "Request Pending",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Answer",
    }
}
