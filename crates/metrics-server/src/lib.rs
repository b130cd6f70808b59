//! The resource metrics API: what nodes and pods use, as their kubelets measured it.
//!
//! A task asks every kubelet now and then ([`scrape`]), reads what it says ([`exposition`]) and keeps the last two
//! measurements of each container ([`points`]). Requests that the API server passes on ([`server`], [`access`]) are
//! answered from these by [`answer`].

pub mod access;
pub mod answer;
pub mod config;
pub mod exposition;
pub mod objects;
pub mod points;
mod run;
pub mod scrape;
pub mod server;

use std::process::ExitCode;

pub use config::Config;
pub use run::start;

/// Runs the server with the process's arguments.
pub fn main() -> ExitCode {
    let known = [component::flags::SERVING, config::IGNORED];
    let (flags, ignored) = component::flags::parse::<config::Flags>(&known);
    let logging = flags.logging.clone();
    component::run("metrics-server", 1, &logging, &ignored, |runtime| async move {
        start(runtime, Config::new(flags)?).await
    })
}
