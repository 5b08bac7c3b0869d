//! One seed, one world: an engine's shards without a socket or a clock, at least fifty calls with parties behind NATs,
//! a network that loses, repeats, delays and reorders, strangers who spray, clients that ask twice and out of order,
//! sockets that open late or not at all, clocks that jump, and faults asked for in the midst of the work.
//!
//! After every input the auditors look: who was sent to (`hearing`), what was counted and answered (`books`), which
//! sockets are there (`kernel`). The same seed makes the same trace, byte for byte.
#![forbid(unsafe_code)]

mod books;
mod client;
mod coverage;
mod door;
mod gates;
mod hearing;
mod hostile;
mod kernel;
mod keys;
mod listening;
mod network;
mod party;
mod recorder;
mod rng;
mod script;
mod secrecy;
mod signal;
mod trace;
mod ways;
mod world;

pub use coverage::Coverage;

/// What a world came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that went into and came out of the shards.
    pub hash: u64,
    /// Lines of the trace.
    pub lines: u64,
    /// What was reached.
    pub coverage: Coverage,
}

/// Runs the world of a seed to its end.
///
/// # Panics
/// An auditor found something. The message begins with the seed.
pub fn run(seed: u64) -> Outcome {
    guarded(seed, false)
}

/// The same, with every line of the trace on standard output.
///
/// # Panics
/// As [`run`].
pub fn tell(seed: u64) -> Outcome {
    guarded(seed, true)
}

fn guarded(seed: u64, print: bool) -> Outcome {
    quiet();
    let mut world = world::World::new(seed, print);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run())) {
        Ok(()) => world.outcome(),
        Err(panic) => {
            engine_core::sim::arm(None);
            engine_core::sim::take_ways();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text =
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without text");
            panic!("seed {seed} at {}: {text}\n(see every step: tests/sim/run --tell {seed})", world.place());
        }
    }
}

/// Lets the faults that the simulation asks for pass without a word.
fn quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&engine_core::sim::INJECTED) {
                loud(info);
            }
        }));
    });
}
