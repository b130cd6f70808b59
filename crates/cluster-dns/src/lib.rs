//! DNS for Services and pods.
//!
//! Watches feed [`records::Records`], an index of slim records; [`answer::answer`] is the pure function from it and a
//! question to an answer, as the specification of DNS-based service discovery has it; what is not the cluster's is
//! asked of the node's name servers ([`forward`]), through a small [`cache`].

pub mod answer;
pub mod cache;
pub mod config;
pub mod forward;
pub mod message;
mod metrics;
pub mod records;
pub mod resolv_conf;
mod run;
pub mod server;
pub mod tcp;
pub mod udp;
pub mod watch;
pub mod wire;

use std::process::ExitCode;

pub use config::Config;
pub use run::start;

#[cfg(test)]
mod tests;

/// Runs the DNS server with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<config::Flags>(&[]);
    let logging = flags.logging.clone();
    component::run("cluster-dns", 1, &logging, &ignored, |runtime| async move {
        start(runtime, Config::new(flags)?).await
    })
}
