//! The door alone: bytes in, bytes and commands out.

mod moving;

use ng::{EndReason, Ended, EventKind, Ping};

use super::*;

const ASKER: &str = "127.0.0.1:9000";

struct Rig {
    door: Door,
    now_ns: u64,
    /// What was to be done about calls that move, and where.
    moves: Vec<(usize, MoveMail)>,
}

impl Rig {
    fn new(shards: usize) -> Self {
        Self { door: Door::new(shards, "cafe".to_owned()), now_ns: 0, moves: Vec::new() }
    }

    fn ask(&mut self, datagram: &str) {
        self.door.datagram(self.now_ns, 0, ASKER.parse().expect("an address"), datagram.as_bytes());
    }

    fn command(&mut self, cookie: &str, command: &Command) {
        let bytes = command.datagram(cookie, Encoding::Bencode);
        self.door.datagram(self.now_ns, 0, ASKER.parse().expect("an address"), &bytes);
    }

    /// What is sent now, as text.
    fn sent(&mut self) -> Vec<String> {
        self.door.settle(self.now_ns);
        self.outputs().0
    }

    fn outputs(&mut self) -> (Vec<String>, Vec<(usize, u64)>) {
        let (mut sent, mut commands) = (Vec::new(), Vec::new());
        while let Some(output) = self.door.poll_output() {
            match output {
                DoorOutput::Send { bytes, .. } | DoorOutput::Answer { bytes, .. } => {
                    sent.push(String::from_utf8_lossy(&bytes).into_owned())
                }
                DoorOutput::Mail { shard, id, .. } => commands.push((shard, id)),
                DoorOutput::Move { shard, mail } => self.moves.push((shard, mail)),
                DoorOutput::Live(_) => {}
            }
        }
        (sent, commands)
    }

    fn event(&mut self, call_id: &str, owner: &str) {
        self.door.event(Event {
            sequence: 0,
            call_id: call_id.to_owned(),
            owner: Some(owner.to_owned()),
            wall_ms: 1,
            kind: EventKind::Ended {
                ended: Ended { reason: EndReason::MediaTimeout, wall_ms: 1, lifetime_ms: 1 },
                legs: Vec::new(),
            },
        });
    }
}

#[test]
fn a_ping_is_answered_at_once_and_bare() {
    let mut rig = Rig::new(1);
    rig.ask("7 d7:command4:pinge");
    assert_eq!(rig.sent(), ["7 d6:result4:ponge"]);
    rig.ask(r#"8 {"command":"ping"}"#);
    assert_eq!(rig.sent(), [r#"8 {"result":"pong"}"#]);
}

#[test]
fn a_ping_with_an_owner_learns_the_instance() {
    let mut rig = Rig::new(1);
    rig.command("7", &Command::Ping(Ping { owner: Some("me".to_owned()) }));
    assert!(rig.sent()[0].contains("8:instance4:cafe"));
}

#[test]
fn a_repeat_of_a_running_request_is_not_done_again() {
    let mut rig = Rig::new(4);
    let query = "9 d7:call-id1:a7:command5:querye";
    rig.ask(query);
    let (sent, commands) = rig.outputs();
    assert!(sent.is_empty());
    let [(_, id)] = commands[..] else { panic!("{commands:?}") };
    rig.ask(query);
    assert_eq!(rig.outputs(), (vec![], vec![]));
    rig.door.reply(id, Reply::Error(Reply::UNKNOWN_CALL.to_owned()));
    let first = rig.sent();
    rig.ask(query);
    assert_eq!(rig.sent(), first);
    assert_eq!(first, ["9 d6:result5:error12:error-reason15:Unknown call-ide"]);
    assert_eq!(rig.door.counters_mut().repeats, 2);
}

#[test]
fn the_commands_of_a_call_go_to_one_shard() {
    let mut rig = Rig::new(8);
    let mut shards = std::collections::HashSet::new();
    for call in 0..40 {
        let mut of_call = Vec::new();
        for cookie in 0..3 {
            rig.ask(&format!("{call}-{cookie} d7:call-id2:{call:02}7:command5:querye"));
            of_call.extend(rig.outputs().1.iter().map(|(shard, _)| *shard));
        }
        assert!(of_call.len() == 3 && of_call.iter().all(|shard| *shard == of_call[0]));
        shards.insert(of_call[0]);
    }
    assert!(shards.len() > 3, "calls spread over the shards");
}

#[test]
fn a_list_is_gathered_from_all_shards_and_cut() {
    let mut rig = Rig::new(3);
    rig.ask("1 d7:command4:list5:limiti3ee");
    let (_, commands) = rig.outputs();
    assert_eq!(commands.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [0, 1, 2]);
    let id = commands[0].1;
    for shard in 0..3 {
        assert!(rig.sent().is_empty());
        let calls = vec![format!("{shard}a"), format!("{shard}b")];
        rig.door.reply(id, Reply::List(CallList { calls, ended: Vec::new() }));
    }
    assert_eq!(rig.sent(), ["1 d5:callsl2:0a2:0b2:1ae6:result2:oke"]);
}

#[test]
fn documents_that_cannot_be_read_get_the_known_texts() {
    let mut rig = Rig::new(1);
    rig.ask("1 hello");
    rig.ask("2 d3:foo");
    rig.ask("3 d3:foo3:bare");
    rig.ask("4 d7:command3:flye");
    rig.ask("5 {\"command\"");
    let texts = rig.sent();
    let expected = [
        "Invalid NG data format",
        "Could not decode bencode dictionary",
        "Dictionary contains no key \"command\"",
        "Unrecognized command",
        "Failed to parse JSON document",
    ];
    assert_eq!(texts.len(), expected.len());
    for (text, expected) in texts.iter().zip(expected) {
        assert!(
            text.contains(&expected.replace('"', if text.starts_with('5') { "\\\"" } else { "\"" })),
            "{text}"
        );
    }
    assert_eq!(rig.door.counters_mut().malformed, 5);
}

#[test]
fn datagrams_without_cookie_are_counted_and_not_answered() {
    let mut rig = Rig::new(1);
    rig.ask("d7:command4:pinge");
    rig.ask(" d7:command4:pinge");
    rig.ask(&format!("{} d7:command4:pinge", "c".repeat(300)));
    assert!(rig.sent().is_empty());
    let counters = *rig.door.counters_mut();
    assert_eq!((counters.no_cookie, counters.cookie_too_long), (2, 1));
}

#[test]
fn a_command_that_is_not_built_is_refused_by_name() {
    let mut rig = Rig::new(1);
    rig.ask("1 d7:call-id1:a7:command10:play mediae");
    let sent = rig.sent();
    assert!(sent[0].contains("play media") && sent[0].contains("5:error"), "{sent:?}");
}

#[test]
fn one_address_cannot_have_too_many_requests_running() {
    let mut rig = Rig::new(1);
    for cookie in 0..UNANSWERED_MAX + 10 {
        rig.ask(&format!("{cookie} d7:call-id1:a7:command5:querye"));
    }
    let (_, commands) = rig.outputs();
    assert_eq!(commands.len(), UNANSWERED_MAX);
    assert_eq!(rig.door.counters_mut().too_many_unanswered, 10);
    for (_, id) in commands {
        rig.door.reply(id, Reply::Ok { warning: None });
    }
    assert_eq!(rig.sent().len(), UNANSWERED_MAX);
    rig.ask("again d7:call-id1:a7:command5:querye");
    assert_eq!(rig.outputs().1.len(), 1);
    assert!(rig.door.unanswered.len() == 1);
}

#[test]
fn an_owner_that_was_replaced_is_refused_at_every_shard() {
    let mut rig = Rig::new(4);
    let lease = |call: u32, epoch| {
        let call_id = call.to_string();
        Command::Lease(ng::Lease { call_id, owner: "me".to_owned(), epoch, lease_ms: 1 })
    };
    rig.command("1", &lease(0, 6));
    assert_eq!(rig.outputs().1.len(), 1);
    for call in 0..40 {
        rig.command(&format!("old{call}"), &lease(call, 5));
        let (sent, commands) = rig.outputs();
        assert!(commands.is_empty() && sent[0].contains("Stale epoch"), "{sent:?}");
    }
    assert_eq!(rig.door.counters_mut().stale_epochs, 40);
}

#[test]
fn a_lost_event_wakes_a_poll_with_a_gap() {
    let mut rig = Rig::new(1);
    rig.command("p1", &Command::Events(Events { since: 1, wait_ms: 5000, owner: Some("me".to_owned()) }));
    assert!(rig.sent().is_empty());
    rig.door.event_lost();
    assert!(rig.sent()[0].contains("3:gapi1e"));
}

#[test]
fn a_full_shard_refuses_and_the_same_request_may_come_again() {
    let mut rig = Rig::new(1);
    rig.ask("1 d7:call-id1:a7:command5:querye");
    let id = rig.outputs().1[0].1;
    rig.door.overloaded(id);
    assert!(rig.sent()[0].contains("Parallel session limit reached"));
    rig.ask("1 d7:call-id1:a7:command5:querye");
    assert_eq!(rig.outputs().1.len(), 1);
}

#[test]
fn a_request_whose_answer_is_lost_is_forgotten() {
    let mut rig = Rig::new(1);
    let query = "1 d7:call-id1:a7:command5:querye";
    rig.ask(query);
    let id = rig.outputs().1[0].1;
    rig.now_ns = PATIENCE_NS;
    assert!(rig.sent().is_empty());
    assert!(rig.door.running.is_empty() && rig.door.unanswered.is_empty());
    assert_eq!(rig.door.counters_mut().never_answered, 1);
    rig.door.reply(id, Reply::Ok { warning: None });
    assert!(rig.sent().is_empty(), "an answer that comes later still goes nowhere");
    rig.ask(query);
    assert_eq!(rig.outputs().1.len(), 1, "and the same request is done anew");
}

#[test]
fn a_poll_waits_for_an_event_of_its_owner() {
    let mut rig = Rig::new(1);
    let poll = Events { since: 0, wait_ms: 5000, owner: Some("me".to_owned()) };
    rig.command("p1", &Command::Events(poll));
    assert!(rig.sent().is_empty());
    assert_eq!(rig.door.next_deadline(), Some(5_000_000_000));
    rig.event("theirs", "them");
    assert!(rig.sent().is_empty());
    rig.event("mine", "me");
    let sent = rig.sent();
    assert!(sent[0].contains("4:mine") && !sent[0].contains("theirs"), "{sent:?}");
    assert!(sent[0].contains("4:nexti3e") && sent[0].contains("8:instance4:cafe"), "{sent:?}");
    assert_eq!(rig.door.next_deadline(), None);
}

#[test]
fn a_poll_ends_empty_at_its_time() {
    let mut rig = Rig::new(1);
    rig.command("p1", &Command::Events(Events { since: 1, wait_ms: 1000, owner: None }));
    rig.now_ns = 999_999_999;
    assert!(rig.sent().is_empty());
    rig.now_ns = 1_000_000_000;
    assert!(rig.sent()[0].contains("6:eventsle"));
}

#[test]
fn a_poll_is_answered_at_once_when_there_is_something() {
    let mut rig = Rig::new(1);
    rig.event("c", "me");
    rig.command("p1", &Command::Events(Events { since: 1, wait_ms: 1000, owner: None }));
    assert_eq!(rig.sent().len(), 1);
    rig.command("p2", &Command::Events(Events { since: 77, wait_ms: 1000, owner: None }));
    assert!(rig.sent()[0].contains("3:gapi1e"), "numbers of another instance are a gap");
}

#[test]
fn polls_are_bounded_and_the_oldest_gives_way() {
    let mut rig = Rig::new(1);
    for number in 0..=POLLS_MAX {
        rig.command(&format!("p{number}"), &Command::Events(Events { since: 1, wait_ms: 9000, owner: None }));
    }
    assert!(rig.sent()[0].starts_with("p0 "));
    assert_eq!(rig.door.polls.len(), POLLS_MAX);
}

#[test]
fn a_batch_is_cut_to_what_a_datagram_holds() {
    let mut rig = Rig::new(1);
    for _event in 0..64 {
        rig.event(&"c".repeat(3000), "me");
    }
    let mut since = 1;
    let mut seen = 0;
    while seen < 64 {
        let poll = Events { since, wait_ms: 0, owner: None };
        rig.command(&format!("p{since}"), &Command::Events(poll));
        let sent = rig.sent();
        assert!(sent[0].len() <= Reply::DATAGRAM_BYTES_MAX);
        let Reply::Events(batch) = answer(&sent[0]) else { panic!("a batch") };
        assert!(!batch.events.is_empty() && batch.events[0].sequence == since);
        seen += batch.events.len();
        since = batch.next;
    }
}

fn answer(datagram: &str) -> Reply {
    let (_, document) = datagram.split_once(' ').expect("a cookie");
    Reply::parse(document.as_bytes()).expect("a reply")
}

#[test]
fn a_preset_is_applied_where_a_message_names_it() {
    let templates = Templates::new([("carrier".to_owned(), "strict-source".to_owned())]);
    let mut door = Door::new(1, "cafe".to_owned()).with_templates(templates);
    let offer = br#"1 {"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0","template":"carrier"}"#;
    door.datagram(0, 0, ASKER.parse().expect("an address"), offer);
    let Some(DoorOutput::Mail { mail: WorkerMail::Command { command: Command::Offer(signal), .. }, .. }) =
        door.poll_output()
    else {
        panic!("an offer for a shard")
    };
    assert!(signal.strict_source);
}

#[tokio::test]
async fn connections_that_ask_the_same_share_one_answer() {
    let mut rig = Rig::new(1);
    let question =
        || Question::Ng { cookie: b"7".to_vec(), document: b"d7:call-id1:a7:command5:querye".to_vec() };
    let (first, mut at_first) = Ways::new(1, Arc::default());
    let (second, mut at_second) = Ways::new(1, Arc::default());
    rig.door.question(0, "127.0.0.1:1".parse().expect("an address"), &question(), first.open().await);
    rig.door.question(0, "127.0.0.1:2".parse().expect("an address"), &question(), second.open().await);
    let (sent, commands) = rig.outputs();
    assert!(sent.is_empty());
    let [(_, id)] = commands[..] else { panic!("done once: {commands:?}") };
    rig.door.reply(id, Reply::Error(Reply::UNKNOWN_CALL.to_owned()));
    while let Some(DoorOutput::Answer { way, bytes }) = rig.door.poll_output() {
        assert!(way.answer(bytes));
    }
    for answers in [&mut at_first, &mut at_second] {
        let answer = answers.try_recv().expect("an answer");
        assert!(answer.bytes.starts_with(b"7 d6:result5:error"), "{answer:?}");
    }
    let elsewhere = "127.0.0.2:1".parse().expect("an address");
    rig.door.question(0, elsewhere, &question(), first.open().await);
    assert_eq!(rig.outputs().1.len(), 1, "another machine asks for itself");
}

#[tokio::test]
async fn a_stream_is_told_that_no_answer_came() {
    let mut rig = Rig::new(1);
    let (ways, mut answers) = Ways::new(1, Arc::default());
    let question = Question::Plain(b"d7:call-id1:a7:command5:querye".to_vec());
    rig.door.question(0, ASKER.parse().expect("an address"), &question, ways.open().await);
    rig.outputs();
    rig.door.settle(PATIENCE_NS);
    let Some(DoorOutput::Answer { way, bytes }) = rig.door.poll_output() else { panic!("an answer") };
    assert!(way.answer(bytes));
    let answer = answers.try_recv().expect("an answer");
    assert!(answer.bytes.ends_with(b"17:No answer in timee"), "{:?}", String::from_utf8_lossy(&answer.bytes));
}

#[tokio::test]
async fn a_line_over_a_stream_is_answered_with_its_bare_text() {
    let mut rig = Rig::new(2);
    let (ways, mut answers) = Ways::new(1, Arc::default());
    let question = Question::Line("list numsessions".to_owned());
    rig.door.question(0, ASKER.parse().expect("an address"), &question, ways.open().await);
    let (_, commands) = rig.outputs();
    assert_eq!(commands.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [0, 1]);
    for worker in 0..2 {
        let mut state = WorkerState { worker, ..WorkerState::default() };
        state.census.calls = 3;
        rig.door.state(commands[0].1, 0, state);
    }
    let Some(DoorOutput::Answer { way, bytes }) = rig.door.poll_output() else { panic!("an answer") };
    assert!(way.answer(bytes));
    let answer = answers.try_recv().expect("an answer");
    assert!(answer.bytes.starts_with(b"Current sessions own: 6\n"), "{answer:?}");
}
