//! Every decoder of what comes from outside, as targets of a fuzzer.
//!
//! A target is a function of bytes that must end, soon, without a panic and within a bound of memory. libFuzzer finds the
//! bytes: `cargo xtask fuzz` builds the package `fuzz/` of cargo-fuzz, which is this table with the engine around it.

mod choices;
pub mod targets;

pub use choices::Choices;
pub use targets::{TARGETS, Target};
