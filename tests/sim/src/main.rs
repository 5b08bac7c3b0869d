//! Runs the worlds of many seeds, or tells one.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use sim::Coverage;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse::<u64>().ok();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--tell", _] => {
            let Some(seed) = arguments.get(1).and_then(number) else { return usage() };
            let outcome = sim::tell(seed);
            println!("{} lines, hash {:016x}", outcome.lines, outcome.hash);
            ExitCode::SUCCESS
        }
        [_] | [_, _] => {
            let numbers: Option<Vec<u64>> = arguments.iter().map(number).collect();
            match numbers.as_deref() {
                Some(&[seeds]) => many(0, seeds),
                Some(&[first, seeds]) => many(first, seeds),
                _ => usage(),
            }
        }
        _ => usage(),
    }
}

fn many(first: u64, seeds: u64) -> ExitCode {
    let mut coverage = Coverage::new();
    let (mut lines, mut failed) = (0, Vec::new());
    for seed in first..first.saturating_add(seeds) {
        match std::panic::catch_unwind(|| sim::run(seed)) {
            Ok(outcome) => {
                coverage.join(&outcome.coverage);
                lines += outcome.lines;
            }
            Err(_) => failed.push(seed),
        }
    }
    println!("{coverage}{seeds} seeds, {lines} inputs and outputs");
    for row in coverage.missing() {
        println!("never reached: {row}");
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed seeds: {failed:?}");
        ExitCode::FAILURE
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: sim SEEDS | sim FIRST SEEDS | sim --tell SEED");
    ExitCode::FAILURE
}
