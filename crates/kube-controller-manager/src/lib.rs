//! Every controller loop of the cluster, run in one process under one leader lease.
//!
//! The controllers of workloads and of volumes have crates of their own; those of everything else are here, one entry each in
//! `controllers::OWN`. What they all stand on is `controller-runtime`.

mod config;
mod controllers;
mod discovery;
mod features;
mod run;

pub use config::{Config, IGNORED};
pub use run::run;
