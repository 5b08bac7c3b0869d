//! Two hundred seeds, and every one that ever failed.

use sim::Coverage;

/// Seeds of one test: the tests run side by side.
const SEEDS: u64 = 50;

/// Runs the worlds of one share of the seeds. Each share reaches every row of the table by itself.
fn share(number: u64) {
    let mut coverage = Coverage::new();
    for seed in number * SEEDS..(number + 1) * SEEDS {
        coverage.join(&sim::run(seed).coverage);
    }
    println!("seeds {} to {}:\n{coverage}", number * SEEDS, (number + 1) * SEEDS - 1);
    assert!(coverage.missing().is_empty(), "never reached: {:#?}", coverage.missing());
}

macro_rules! shares {
    ($($name:ident $number:literal)*) => { $(#[test] fn $name() { share($number); })* };
}

shares! {
    seeds_0 0 seeds_1 1 seeds_2 2 seeds_3 3
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    for seed in [1, 2, 3] {
        let (one, other) = (sim::run(seed), sim::run(seed));
        assert!(one.lines > 1_000, "{} lines", one.lines);
        assert_eq!(one, other, "seed {seed}");
    }
    assert_ne!(sim::run(1).hash, sim::run(2).hash);
}

/// Each seed fails if the repair that its name tells of is taken back. They are looked for anew when what a seed
/// means changes; what no seed meets often enough is held by the core's own tests (`shard/tests/merge.rs`, `publish.rs`).
mod once_failed {
    #[test]
    fn an_owner_is_told_once_of_an_end_whose_report_failed() {
        sim::run(15);
    }

    #[test]
    fn nobody_is_sent_to_from_a_socket_of_the_other_family() {
        sim::run(27);
    }

    #[test]
    fn whatever_waited_behind_a_connection_is_answered() {
        sim::run(3);
    }

    #[test]
    fn a_subscriber_gets_nothing_of_a_section_that_it_refused() {
        sim::run(18);
    }
}
