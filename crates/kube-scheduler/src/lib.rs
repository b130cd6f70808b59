//! Binds pods to nodes.
//!
//! Watches feed a [`core::Core`]; the loop takes pods from its queue, [`schedule::decide`] chooses a node from the
//! snapshot (pure, by the plugins of the profile), the pod is assumed there, and the binding is written meanwhile.

pub mod amounts;
mod api;
mod binding;
pub mod config;
pub mod core;
mod features;
pub mod framework;
pub mod laps;
mod metrics;
pub mod node;
pub mod plugins;
pub mod pod;
pub mod preemption;
pub mod queue;
pub mod resources;
mod run;
pub mod schedule;
pub mod snapshot;
pub mod term;
#[cfg(test)]
mod tests;
pub mod volumes;
pub mod watch;

use std::process::ExitCode;

use component::flags::{CLIENT, SERVING};

pub use config::Config;
pub use run::start;

/// Runs the scheduler with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<config::Flags>(&[SERVING, CLIENT, config::IGNORED]);
    let logging = flags.logging.clone();
    component::run("kube-scheduler", 1, &logging, &ignored, |runtime| async move {
        let written_to = flags.write_config_to.clone();
        let config = Config::new(flags)?;
        if let Some(path) = written_to {
            component::flags::write_config(&path, &config.shown())?;
            runtime.end();
            return Ok(());
        }
        start(runtime, config).await
    })
}
