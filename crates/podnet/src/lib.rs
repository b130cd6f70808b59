//! Pod addresses, routes between nodes, network policies, addresses of load balancers.
//!
//! Each node has a part of the pod network (`spec.podCIDR`). podnet makes the bridge that the node's pods hang on,
//! tells the container runtime about it, makes routes to the parts of the other nodes, and lets pods reach the world.
//! What NetworkPolicies allow the node's pods, and no more, it lets pass. Where a Service of type LoadBalancer names the
//! node, it announces the Service's address on the network of the nodes.

mod announce;
pub mod cni;
pub mod config;
pub mod netlink;
pub mod nodes;
pub mod plan;
pub mod policy;
pub mod rules;
mod run;
mod sysctl;

use std::process::ExitCode;

pub use config::Config;
pub use run::{cleanup, start};

/// Runs podnet with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<config::Flags>(&[]);
    let logging = flags.logging.clone();
    if flags.cleanup {
        return clean_up_and_exit(&flags);
    }
    component::run("podnet", 1, &logging, &ignored, |runtime| async move {
        let host_name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
        start(runtime, Config::new(flags, &host_name)).await
    })
}

fn clean_up_and_exit(flags: &config::Flags) -> ExitCode {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cleanup(&flags.cni_conf_dir)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cleanup: {error:#}");
            ExitCode::FAILURE
        }
    }
}
