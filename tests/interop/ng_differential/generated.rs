//! Made-up calls to both peers in lockstep, and what they answered otherwise.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use super::{
    NgPeer,
    compare::{Normaliser, difference},
    deviations::{Case, DEVIATIONS},
    generate,
    tally::Tally,
};

/// What came of some calls.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Questions asked.
    pub(crate) asked: usize,
    /// Print every question and both answers, as one wants of a single call.
    pub(crate) told: bool,
    pub(crate) tally: Tally,
    /// How often each deviation explained a difference.
    pub(crate) explained: BTreeMap<&'static str, u32>,
    /// What nothing explains: kind of difference, how many calls have it, the first of them.
    unexplained: BTreeMap<String, (u32, String)>,
}

impl Outcome {
    /// Asks both peers about the calls `numbers`.
    pub(crate) fn of(theirs: &mut dyn NgPeer, ours: &mut dyn NgPeer, numbers: Range<u64>) -> Outcome {
        let mut outcome = Outcome { told: numbers.end - numbers.start == 1, ..Outcome::default() };
        numbers.for_each(|number| outcome.call(theirs, ours, number));
        outcome
    }

    /// One call. After a difference that makes others it is ended without another look.
    fn call(&mut self, theirs: &mut dyn NgPeer, ours: &mut dyn NgPeer, number: u64) {
        let [mut first, mut second] = [Normaliser::default(), Normaliser::default()];
        let mut alike = true;
        for (index, step) in generate::call(number, &mut self.tally).into_iter().enumerate() {
            let answers = (theirs.ask(&step.theirs), ours.ask(&step.ours));
            if !alike {
                continue;
            }
            self.asked += 1;
            let (expected, actual) = (first.lines(&answers.0), second.lines(&answers.1));
            if self.told {
                let asked = String::from_utf8_lossy(&step.theirs).replace("\r\n", "\n      ");
                println!("[{index}] {asked}\n{}", difference(&expected, &actual));
            }
            if expected == actual {
                // The ports of a call that is gone are anybody's.
                let gone = expected.iter().any(|line| line == ".error-reason = \"Unknown call-id\"");
                if gone && !step.ask.is("call-id", "nobody") {
                    [first, second] = Default::default();
                }
                continue;
            }
            let mut case = Case { step: &step, theirs: expected.clone(), ours: &actual };
            let reasons: Vec<_> = DEVIATIONS.iter().filter(|one| (one.explain)(&mut case)).collect();
            if case.theirs == actual {
                for reason in reasons {
                    *self.explained.entry(reason.name).or_default() += 1;
                    alike &= !reason.parts;
                }
                continue;
            }
            alike = false;
            let text = difference(&case.theirs, &actual);
            let example = format!(
                "call {number}, message {index}\n  asked  {}\n  and us {}\n{text}",
                String::from_utf8_lossy(&step.theirs).escape_debug(),
                String::from_utf8_lossy(&step.ours).escape_debug(),
            );
            let (times, _) = self.unexplained.entry(kind(&text)).or_insert((0, example));
            *times += 1;
        }
    }

    /// The calls that differ for no reason that is listed, one of each kind; empty if there are none.
    pub(crate) fn unexplained(&self) -> String {
        let mut kinds: Vec<_> = self.unexplained.iter().collect();
        kinds.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
        let mut text = String::new();
        for (kind, (times, example)) in kinds {
            writeln!(text, "== {times} calls:\n{kind}\n{example}").expect("a string takes every write");
        }
        text
    }
}

/// The lines that one side alone said, numbers apart.
fn kind(difference: &str) -> String {
    let lines = difference.lines().filter(|line| line.starts_with("  -") || line.starts_with("  +"));
    let blurred = lines.map(|line| {
        let mut blurred = String::new();
        for letter in line.chars() {
            match letter {
                '0'..='9' if blurred.ends_with('#') => {}
                '0'..='9' => blurred.push('#'),
                other => blurred.push(other),
            }
        }
        blurred
    });
    blurred.take(12).collect::<Vec<_>>().join("\n")
}
