//! Kustomizations: the objects that a directory's `kustomization.yaml` builds.

mod build;
mod error;
mod files;
mod generate;
mod order;
mod patches;
mod references;
mod transform;

pub use build::build;
pub use error::{Error, Result};
pub use files::Restriction;
pub use generate::hash;
