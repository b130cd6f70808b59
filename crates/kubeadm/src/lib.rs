//! Makes a machine a node of a cluster, and keeps it one: upstream's commands and flags over systemd units.
//!
//! A command is its flags (`Flags`) and a `run`. What decides is pure (configuration, plans, preflight from a view of
//! the machine); what acts on the outside has one owner: [`systemd`], `etcd`, `cluster`, [`paths`] for files.

pub mod addons;
pub mod arguments;
pub mod backup;
pub mod bootstrap_token;
pub mod certificates;
pub mod certs;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod configuration;
pub mod container_runtime;
pub mod discovery;
pub mod etcd;
pub mod failure;
pub mod init;
pub mod join;
pub mod join_command;
pub mod kubeconfig;
pub mod kubeconfigs;
pub mod machine;
pub mod node_files;
pub mod paths;
pub mod phases;
pub mod preflight;
pub mod rejoin;
pub mod reset;
pub mod restore;
pub mod sealed;
pub mod systemd;
pub mod token;
pub mod upgrade;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    // Already installed where several commands share a process; both are the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let sorted = component::flags::sort(arguments, &[cli::IGNORED]);
    let matches = command().get_matches_from(sorted.kept);
    let parsed = match cli::Cli::from_arg_matches(&matches) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    let tokio = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = tokio.block_on(parsed.run());
    // A blocked read of standard input must not keep the process alive.
    tokio.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

/// The whole command line, for completions and man pages.
pub fn command() -> clap::Command {
    cli::Cli::command().version(component::VERSION)
}
