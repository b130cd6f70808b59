//! Resource limits and usage in cgroup v1 and v2.

pub mod convert;
mod hierarchy;
mod limits;
mod tree;
mod usage;

pub use hierarchy::{Cgroups, Version};
pub use limits::Limits;
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
    /// Processes could not be ended, so the cgroup stays.
    #[error("cgroup {0} still has processes")]
    Busy(String),
}

impl Error {
    fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}
