//! Files: each says what it is for, stays small, and has a name that says what is inside.

use std::{fs, path::Path};

use crate::cargo::root;

/// A file longer than this is cut by concern.
const FILE_MAX: usize = 900;

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// What is wrong with a source file.
pub fn breaches(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    let shown = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let mut breaches = Vec::new();
    if !text.starts_with("//!") && !path.ends_with("tests.rs") {
        breaches.push(format!("{shown}: the first line says with //! what the file is for"));
    }
    let lines = text.lines().count();
    if lines > FILE_MAX {
        breaches.push(format!("{shown}: {lines} lines; cut it by concern"));
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    if DRAWERS.contains(&stem) {
        breaches.push(format!("{shown}: name it for what is inside"));
    }
    if stem == "mod" {
        breaches.push(format!("{shown}: name the module's file for the module"));
    }
    if stem == "main"
        && lines > 60
        && !shown.contains("/tests/")
        && !shown.contains("xtask")
        && !shown.contains("chk-hn")
    {
        breaches.push(format!("{shown}: {lines} lines; a main holds no logic"));
    }
    Ok(breaches)
}
