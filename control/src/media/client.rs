//! Questions to one engine: cookies, repetitions, answers. No socket, no clock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use call::MediaError;
use ng::{Command, Encoding, Reply};

/// How long each copy of a command is waited for before the next one is sent.
/// The engine answers a repeated cookie from its cache, so no copy acts twice.
pub(super) const PATIENCE: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_millis(600),
    Duration::from_millis(700),
    Duration::from_millis(850),
    Duration::from_millis(1_000),
];

/// What a question was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A command of the exchange, with its id.
    Command(u64),
    /// Whether the engine lives.
    Ping,
    /// What happened to our calls.
    Events,
}

/// The asking half of the protocol over datagrams.
///
/// # Cost
/// One datagram kept per unanswered question, at most `questions_max` of them.
#[derive(Debug)]
pub(super) struct Client {
    prefix: String,
    next_cookie: u64,
    questions: HashMap<u64, Question>,
    deadlines: BTreeSet<(Instant, u64)>,
    transmits: VecDeque<Vec<u8>>,
    failed: VecDeque<Purpose>,
    questions_max: usize,
}

#[derive(Debug)]
struct Question {
    purpose: Purpose,
    datagram: Vec<u8>,
    /// Waits still to come after the present one.
    patience: &'static [Duration],
    deadline: Instant,
}

/// More questions are unanswered than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Client {
    /// `prefix` begins every cookie; no other client of the engine may use it.
    pub(super) fn new(prefix: String, questions_max: usize) -> Self {
        Self {
            prefix,
            next_cookie: 0,
            questions: HashMap::new(),
            deadlines: BTreeSet::new(),
            transmits: VecDeque::new(),
            failed: VecDeque::new(),
            questions_max,
        }
    }

    /// Asks with repetitions by [`PATIENCE`].
    pub(super) fn ask(&mut self, now: Instant, id: u64, command: &Command) -> Result<(), TooMany> {
        if self.questions.len() >= self.questions_max {
            return Err(TooMany);
        }
        let [first, rest @ ..] = &PATIENCE;
        self.put(now, Purpose::Command(id), command, *first, rest);
        Ok(())
    }

    /// Asks once. Not bounded, since there is one ping and one poll at a time.
    pub(super) fn ask_once(&mut self, now: Instant, purpose: Purpose, command: &Command, wait: Duration) {
        self.put(now, purpose, command, wait, &[]);
    }

    fn put(
        &mut self,
        now: Instant,
        purpose: Purpose,
        command: &Command,
        wait: Duration,
        patience: &'static [Duration],
    ) {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        let datagram = command.datagram(&format!("{}{cookie}", self.prefix), Encoding::Bencode);
        let deadline = now + wait;
        self.transmits.push_back(datagram.clone());
        self.deadlines.insert((deadline, cookie));
        self.questions.insert(cookie, Question { purpose, datagram, patience, deadline });
    }

    /// The answer in `datagram` and what it answers; `None` if it answers nothing
    /// that is being asked: a second copy, a stale cookie, a stranger's bytes.
    pub(super) fn receive(&mut self, datagram: &[u8]) -> Option<(Purpose, Result<Reply, MediaError>)> {
        let (cookie, document) = ng::split_cookie(datagram).ok()?;
        let cookie: u64 = std::str::from_utf8(cookie).ok()?.strip_prefix(&self.prefix)?.parse().ok()?;
        let question = self.questions.remove(&cookie)?;
        self.deadlines.remove(&(question.deadline, cookie));
        Some((question.purpose, Reply::parse(document).map_err(|_| MediaError::Malformed)))
    }

    /// Repeats or gives up whatever is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, cookie)) = self.deadlines.first() {
            if deadline > now {
                return;
            }
            self.deadlines.pop_first();
            let Some(question) = self.questions.get_mut(&cookie) else { continue };
            match question.patience {
                [wait, rest @ ..] => {
                    question.patience = rest;
                    question.deadline = now + *wait;
                    self.deadlines.insert((question.deadline, cookie));
                    self.transmits.push_back(question.datagram.clone());
                }
                [] => {
                    self.failed.push_back(question.purpose);
                    self.questions.remove(&cookie);
                }
            }
        }
    }

    /// Gives up every command: the engine is gone.
    pub(super) fn fail_commands(&mut self) {
        let mut failed: Vec<_> = self
            .questions
            .iter()
            .filter(|(_, question)| matches!(question.purpose, Purpose::Command(_)))
            .map(|(cookie, question)| (*cookie, question.purpose, question.deadline))
            .collect();
        failed.sort_unstable_by_key(|(cookie, ..)| *cookie);
        for (cookie, purpose, deadline) in failed {
            self.questions.remove(&cookie);
            self.deadlines.remove(&(deadline, cookie));
            self.failed.push_back(purpose);
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next question that was given up.
    pub(super) fn poll_failed(&mut self) -> Option<Purpose> {
        self.failed.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use ng::{Delete, Ping};

    use super::*;

    fn command() -> Command {
        Command::Delete(Box::new(Delete { call_id: "c".to_owned(), ..Delete::default() }))
    }

    fn answer(question: &[u8]) -> Vec<u8> {
        let (cookie, _) = ng::split_cookie(question).expect("a cookie");
        Reply::Ok { warning: None }.datagram(cookie, Encoding::Bencode)
    }

    #[test]
    fn a_command_is_repeated_unchanged_and_then_given_up() {
        let mut client = Client::new("p-".to_owned(), 10);
        let start = Instant::now();
        client.ask(start, 7, &command()).expect("room");
        let first = client.poll_transmit().expect("sent at once");
        let mut sent_ms = Vec::new();
        while let Some(deadline) = client.next_deadline() {
            client.handle_timeout(deadline);
            if let Some(copy) = client.poll_transmit() {
                assert_eq!(copy, first);
                sent_ms.push((deadline - start).as_millis());
            }
        }
        assert_eq!(sent_ms, [500, 1_100, 1_800, 2_650]);
        assert_eq!(client.poll_failed(), Some(Purpose::Command(7)));
        assert!(client.receive(&answer(&first)).is_none(), "too late");
    }

    #[test]
    fn an_answer_is_taken_once_whatever_copy_it_answers() {
        let mut client = Client::new("p-".to_owned(), 10);
        client.ask(Instant::now(), 7, &command()).expect("room");
        let sent = client.poll_transmit().expect("sent at once");
        let expected = (Purpose::Command(7), Ok(Reply::Ok { warning: None }));
        assert_eq!(client.receive(&answer(&sent)), Some(expected));
        assert_eq!(client.receive(&answer(&sent)), None);
        assert_eq!(client.next_deadline(), None);
    }

    #[test]
    fn foreign_cookies_and_garbage_answer_nothing() {
        let mut client = Client::new("p-".to_owned(), 10);
        client.ask(Instant::now(), 7, &command()).expect("room");
        for datagram in
            [&b""[..], b"p-0", b"q-0 d6:result2:oke", b"p-1 d6:result2:oke", b"p-x d6:result2:oke"]
        {
            assert_eq!(client.receive(datagram), None);
        }
        assert_eq!(client.receive(b"p-0 rubbish"), Some((Purpose::Command(7), Err(MediaError::Malformed))));
    }

    #[test]
    fn questions_are_bounded_and_a_dead_engine_fails_them_in_order() {
        let mut client = Client::new("p-".to_owned(), 2);
        let now = Instant::now();
        client.ask(now, 1, &command()).expect("room");
        client.ask(now, 2, &command()).expect("room");
        assert_eq!(client.ask(now, 3, &command()), Err(TooMany));
        client.ask_once(now, Purpose::Ping, &Command::Ping(Ping::default()), PATIENCE[0]);
        client.fail_commands();
        assert_eq!(client.poll_failed(), Some(Purpose::Command(1)));
        assert_eq!(client.poll_failed(), Some(Purpose::Command(2)));
        assert_eq!(client.poll_failed(), None);
        client.handle_timeout(now + PATIENCE[0]);
        assert_eq!(client.poll_failed(), Some(Purpose::Ping));
    }
}
