//! Beside a CSI driver: registers it with the kubelet, provisions, attaches and resizes its volumes.
//!
//! One program in place of upstream's node-driver-registrar, external-provisioner, external-attacher and
//! external-resizer; a driver works with either. The decisions are in [`provision`], [`attach`] and [`resize`], with
//! [`topology`] and [`parameters`]; their shells are the files of those who do.

pub mod attach;
mod attacher;
mod config;
pub mod objects;
pub mod parameters;
pub mod provision;
mod provisioner;
mod registrar;
pub mod resize;
mod resizer;
mod run;
pub mod topology;

use std::process::ExitCode;

pub use config::{Config, Flags, Role};
pub use registrar::register;
pub use run::start;

/// Runs it with the process's arguments.
pub fn main() -> ExitCode {
    let (flags, ignored) = component::flags::parse::<Flags>(&[config::IGNORED]);
    let logging = flags.logging.clone();
    component::run("csi-sidecar", 1, &logging, &ignored, |runtime| async move {
        start(runtime, Config::new(flags)?).await
    })
}
