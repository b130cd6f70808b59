//! Writes the generated schema tables from k8s-openapi's types and the hand-owned tables beside this file.

#![recursion_limit = "256"]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

mod defaults;
mod emit;
mod enums;
mod merge;
mod model;
mod names;
mod roots;
mod zero;

/// Says where the generated files live.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/src/generated")
}

/// Renders the generated files.
pub fn files() -> Result<emit::Files> {
    emit::files(&model::build(&roots::definitions())?)
}

/// Writes the files that changed and names them.
pub fn run() -> Result<Vec<&'static str>> {
    let mut changed = Vec::new();
    for (name, content) in files()? {
        let path = folder().join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == content) {
            continue;
        }
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        changed.push(name);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_files_are_current() {
        for (name, content) in super::files().unwrap() {
            let committed = std::fs::read_to_string(super::folder().join(name)).unwrap_or_default();
            assert!(committed == content, "{name} is stale: run `cargo xtask codegen`");
        }
    }
}
