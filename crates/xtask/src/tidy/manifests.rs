//! Manifests: what a crate depends on, and whether it uses it.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::sources;
use crate::cargo::root;

/// Used by generated code alone, which lies outside the tree.
const USED_BY_GENERATED: [&str; 2] = ["prost-types", "tonic-prost"];

/// What tidy needs to know of a `Cargo.toml`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The package's name.
    pub name: String,
    /// The names under `[dependencies]`.
    pub dependencies: Vec<String>,
    /// The names under `[dev-dependencies]` and `[build-dependencies]`.
    others: Vec<String>,
    directory: PathBuf,
}

/// The manifests of all packages.
pub fn all() -> anyhow::Result<Vec<Manifest>> {
    let mut directories: Vec<PathBuf> =
        fs::read_dir(root().join("crates"))?.flatten().map(|entry| entry.path()).collect();
    directories.push(root().join("tests"));
    directories.sort();
    directories
        .into_iter()
        .map(|directory| {
            let path = directory.join("Cargo.toml");
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(Manifest { directory, ..read(&text) })
        })
        .collect()
}

fn read(text: &str) -> Manifest {
    let (mut section, mut manifest) = ("", Manifest::default());
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().trim_end_matches(".workspace");
            match section {
                "[package]" if key == "name" => manifest.name = value.trim().trim_matches('"').into(),
                "[dependencies]" => manifest.dependencies.push(key.into()),
                "[dev-dependencies]" | "[build-dependencies]" => manifest.others.push(key.into()),
                _ => {}
            }
        }
    }
    manifest
}

/// Dependencies that no source of the package names.
pub fn unused(manifest: &Manifest) -> anyhow::Result<Vec<String>> {
    let read = |path: PathBuf| fs::read_to_string(&path).with_context(|| path.display().to_string());
    let within = |part: &str| -> anyhow::Result<String> {
        let directory = manifest.directory.join(part);
        if !directory.exists() {
            return Ok(String::new());
        }
        sources(&directory)?.into_iter().map(read).collect()
    };
    let own = within("src")?;
    let build = manifest.directory.join("build.rs");
    let others = [within("tests")?, if build.exists() { read(build)? } else { String::new() }].concat();
    Ok(unnamed(&manifest.dependencies, &[&own])
        .chain(unnamed(&manifest.others, &[&own, &others]))
        .map(|dependency| format!("{}: depends on {dependency} and does not use it", manifest.name))
        .collect())
}

fn unnamed<'a>(dependencies: &'a [String], texts: &'a [&'a str]) -> impl Iterator<Item = &'a String> {
    dependencies.iter().filter(|dependency| {
        !USED_BY_GENERATED.contains(&dependency.as_str())
            && !texts.iter().any(|text| names(text, &dependency.replace('-', "_")))
    })
}

/// Whether a text names a crate: as the start of a path, or imported as a whole.
fn names(text: &str, krate: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(krate).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + krate.len()..]);
        let path = after.starts_with("::") && !before.ends_with(is_word);
        path || (before.ends_with("use ") && !after.starts_with(is_word))
    })
}

/// Whether a path of the workspace's own table of dependencies is used by any package.
pub fn unused_in_workspace(manifests: &[Manifest]) -> anyhow::Result<Vec<String>> {
    let path = root().join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let table = text.split("[workspace.dependencies]").nth(1).unwrap_or("");
    let table = table.split("\n[").next().unwrap_or("");
    let wanted = |name: &str| {
        manifests.iter().any(|one| one.dependencies.iter().chain(&one.others).any(|own| own == name))
    };
    Ok(table
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(|name| !wanted(name))
        .map(|name| format!("Cargo.toml: no package depends on {name}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_read_by_section() {
        let read = read(
            "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { x = 1 }\n[dev-dependencies]\nc = 1\n",
        );
        let expected = Manifest {
            name: "x".into(),
            dependencies: vec!["a".into(), "b".into()],
            others: vec!["c".into()],
            directory: PathBuf::new(),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_dependency_is_used_where_a_path_begins_with_it() {
        for (text, expected) in [
            ("let a = serde_json::json!({});", true),
            ("use serde_json as json;", true),
            ("use serde_json;", true),
            ("use my_serde_json::json;", false),
            ("use serde_json_more;", false),
            ("// serde_json is not used", false),
        ] {
            assert_eq!(names(text, "serde_json"), expected, "{text}");
        }
    }
}
