//! Call records on their way out of the store.
//!
//! The `cdr` table is the outbox: a record is in it from the transaction that charged the call. Each sink
//! has a cursor and writes what lies beyond it, in order, exactly once.

mod file;
mod sink;

pub use sink::{JsonLines, SinkError};
