//! Volumes that are directories of the node on which their first pod runs.
//!
//! One runs on every node and sees to that node's volumes alone. What is to be done is decided in [`claim`] and
//! [`volume`]; [`directory`] makes and removes; [`run`] is the shell.

pub mod claim;
pub mod config;
pub mod directory;
mod run;
pub mod volume;

use std::process::ExitCode;

pub use config::Config;
pub use run::start;

/// Runs the provisioner with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<config::Flags>(&[]);
    let logging = flags.logging.clone();
    component::run("local-path-provisioner", 1, &logging, &ignored, |runtime| async move {
        start(runtime, Config::new(flags)?).await
    })
}
