//! Resource limits and usage in cgroup v1 and v2.

pub mod convert;
mod hierarchy;
mod limits;
mod systemd;
mod tree;
mod usage;

pub use hierarchy::{Cgroups, Driver, Version};
pub use limits::Limits;
pub use systemd::SystemdError;
pub use systemd::message::Received as SystemdMessage;
pub use usage::Usage;

use std::{io, path::PathBuf};

/// What handling a cgroup can end in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is mounted where cgroups should be.
    #[error("no cgroup hierarchy is mounted at {0}")]
    NotMounted(PathBuf),
    /// The kernel refused.
    #[error("{operation} {path}")]
    Io {
        /// What was tried: `create`, `write`, `read`, `remove`.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// systemd should own the cgroups, and there is none.
    #[error("cgroupDriver is systemd, and systemd does not run here; use cgroupfs")]
    NoSystemd,
    /// systemd did not do it.
    #[error("systemd: {operation} {unit}")]
    Systemd {
        /// What was tried: `start`, `set the limits of`, `stop`.
        operation: &'static str,
        /// On which unit.
        unit: String,
        /// Why not.
        source: SystemdError,
    },
    /// Processes could not be ended, so the cgroup stays.
    #[error("cgroup {0} still has processes")]
    Busy(String),
}

impl Error {
    fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    fn systemd(operation: &'static str, unit: &str) -> impl FnOnce(SystemdError) -> Self {
        let unit = unit.to_owned();
        move |source| Self::Systemd { operation, unit, source }
    }
}
