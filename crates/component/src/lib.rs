//! What the main of every component needs: flags, logging, metrics, health, signals, supervised tasks, leader election.
//!
//! A component's `main` parses its flags with [`flags::parse`] and hands its `run` to [`runtime::run`].

pub mod about;
pub mod accept;
pub mod access;
pub mod cause;
pub mod client;
pub mod events;
pub mod features;
pub mod flags;
pub mod gathering;
pub mod leader;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod notify;
pub mod pages;
mod profile;
pub mod ready;
pub mod runtime;
pub mod serve;

pub use ready::{Latch, Readiness};
pub use runtime::{Runtime, run};

/// The Kubernetes version that every component reports.
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));
