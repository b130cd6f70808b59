//! The files that a kustomization may read.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where the files of a kustomization may lie. Other kustomizations that it names may be anywhere, and read their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restriction {
    /// In or below its directory, and so wherever links lead (`LoadRestrictionsRootOnly`): who applies what another has
    /// written does not send files of the own machine along.
    #[default]
    RootOnly,
    /// Anywhere (`LoadRestrictionsNone`).
    None,
}

impl Restriction {
    /// By its name in `--load-restrictor`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "LoadRestrictionsRootOnly" => Ok(Self::RootOnly),
            "LoadRestrictionsNone" => Ok(Self::None),
            _ => Err(Error::invalid(format!(
                "illegal flag value --load-restrictor {name}; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]"
            ))),
        }
    }
}

/// The files of the kustomization of a directory.
pub(crate) struct Files<'a> {
    /// The directory.
    pub directory: &'a Path,
    /// Where they may lie.
    pub restriction: Restriction,
}

impl Files<'_> {
    /// Reads a file that the kustomization names.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.allowed(name)?;
        std::fs::read(&path).map_err(|source| Error::Read { path, source })
    }

    /// Reads a file of text that the kustomization names.
    pub fn read_text(&self, name: &str) -> Result<String> {
        let path = self.allowed(name)?;
        std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
    }

    fn allowed(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        if self.restriction == Restriction::None {
            return Ok(path);
        }
        let found = |path: &Path| -> Result<PathBuf> {
            path.canonicalize().map_err(|source: io::Error| Error::Read { path: path.into(), source })
        };
        let (place, root) = (found(&path)?, found(self.directory)?);
        if !place.starts_with(&root) {
            let (place, root) = (place.display(), root.display());
            return Err(Error::invalid(format!("security; file '{place}' is not in or below '{root}'")));
        }
        Ok(path)
    }
}
