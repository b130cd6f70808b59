//! Rules about the tree that no compiler checks.

mod files;
mod layers;
mod manifests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::bail;

use crate::cargo::root;

/// Runs every rule and lists each breach.
pub fn check() -> anyhow::Result<()> {
    let manifests = manifests::all()?;
    let mut breaches = manifests::unused_in_workspace(&manifests)?;
    for manifest in &manifests {
        breaches.extend(layers::breaches(&manifest.name, &manifest.dependencies));
        breaches.extend(manifests::unused(manifest)?);
    }
    for file in sources(&root().join("crates"))?.into_iter().chain(sources(&root().join("tests"))?) {
        breaches.extend(files::breaches(&file)?);
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("tidy:\n  {}", breaches.join("\n  "))
}

/// The Rust files below a directory, without generated ones.
fn sources(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("generated") {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
