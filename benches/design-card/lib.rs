//! Holds only benches; see `benches/card.rs`.
