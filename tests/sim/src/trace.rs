//! What happened, as a hash that two runs of one seed share, and as text for whoever looks for a fault.

use std::fmt::{Arguments, Write};

/// Everything that went into and came out of the shards.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Fnv,
    lines: u64,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hash: Fnv(0xcbf2_9ce4_8422_2325), lines: 0, print }
    }

    /// Notes a line.
    pub(crate) fn note(&mut self, at_ns: u64, line: Arguments<'_>) {
        self.lines += 1;
        if self.print {
            println!("{:>6}.{:06} {line}", at_ns / 1_000_000_000, at_ns / 1000 % 1_000_000);
        }
        writeln!(self.hash, "{at_ns} {line}").expect("a hash takes everything");
    }

    /// Says something to whoever reads the trace that is in it otherwise already.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if self.print {
            println!("{:>13} {}", "", line());
        }
    }

    /// Notes bytes that no line tells.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.hash.eat(bytes);
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }
}

/// FNV-1a: no cryptography is needed, and no allocation.
#[derive(Debug)]
struct Fnv(u64);

impl Fnv {
    fn eat(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.eat(text.as_bytes());
        Ok(())
    }
}
