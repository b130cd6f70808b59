//! Services into packet rules.
//!
//! Watches feed a [`state::State`] of slim types; [`rules::rules`] is the pure function from it to a rule set;
//! [`sync::Syncer`] brings the kernel there, after the first time by the changed chains only.

pub mod chains;
pub mod cleanup;
pub mod config;
pub mod conntrack;
pub mod endpoints;
mod features;
pub mod health;
pub mod http;
mod metrics;
pub mod node;
pub mod pace;
pub mod rules;
mod run;
pub mod service;
pub mod state;
pub mod sync;
mod sysctl;
pub mod watch;

use std::process::ExitCode;

pub use config::Config;
pub use run::{cleanup, start};

/// Runs the proxy with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<config::Flags>(&[config::IGNORED]);
    let logging = flags.logging.clone();
    if flags.cleanup {
        return clean_up_and_exit();
    }
    component::run("kube-proxy", 1, &logging, &ignored, |runtime| async move {
        let host_name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
        let config = Config::new(&flags, &host_name)?;
        if let Some(path) = &flags.write_config_to {
            component::flags::write_config(path, &config.shown())?;
        } else if flags.init_only {
            sysctl::apply(config.localhost_node_ports, &config.conntrack);
        } else {
            return start(runtime, config).await;
        }
        runtime.end();
        Ok(())
    })
}

fn clean_up_and_exit() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cleanup()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cleanup: {error:#}");
            ExitCode::FAILURE
        }
    }
}
