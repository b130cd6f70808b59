//! Why a kustomization cannot be built.

use std::io;
use std::path::{Path, PathBuf};

/// Result of building.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a kustomization cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("open {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not YAML.
    #[error("{}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: formats::Error,
    },
    /// A patch cannot be read.
    #[error(transparent)]
    Format(#[from] formats::Error),
    /// A patch does not fit its object.
    #[error(transparent)]
    Patch(#[from] patch::PatchError),
    /// The kustomization asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}
