//! What setting up a volume can end in.

use std::{io, path::PathBuf};

/// A volume that could not be set up or torn down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An item asks for a key that the object does not have.
    #[error("references non-existent {kind} key: {key}")]
    MissingKey {
        /// `config` or `secret`.
        kind: &'static str,
        /// The key asked for.
        key: String,
    },
    /// A file's path would leave the volume or cannot exist.
    #[error("invalid path {0:?} in a volume")]
    InvalidPath(String),
    /// A host path is not what its type says.
    #[error("hostPath type check failed: {path} is not {expected}")]
    HostPathType {
        /// The path on the node.
        path: PathBuf,
        /// `a directory`, `a file`, …
        expected: &'static str,
    },
    /// A sub path leads out of its volume.
    #[error("subPath {0:?} leads out of the volume")]
    SubPathEscapes(PathBuf),
    /// A file system could not be mounted.
    #[error(
        "mount failed: {why}\nMounting command: {command}\nMounting arguments: {arguments}\nOutput: {output}\n"
    )]
    Mount {
        /// In a word.
        why: String,
        /// What was run.
        command: &'static str,
        /// With which arguments.
        arguments: String,
        /// What it said.
        output: String,
    },
    /// The kernel refused.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io<E: Into<io::Error>>(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source: source.into() }
    }
}
