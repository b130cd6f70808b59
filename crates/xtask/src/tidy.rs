//! Rules about the tree that no compiler checks: layers point one way, components never meet, files stay small.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::cargo::root;

/// The layer of each crate. A crate imports crates of its own layer or below; binaries of layer 3 import no other
/// binary. Layer 4 is development: it may import everything and nothing may import it.
const LAYERS: [(u8, &[&str]); 5] = [
    (0, &["apimachinery", "schema", "kinds", "patch", "printing", "podrules", "wire", "formats"]),
    (1, &["pki", "component", "informer", "kustomize"]),
    (2, &["storage", "authn", "authz", "admission"]),
    (
        3,
        &[
            "cri",
            "cgroups",
            "volumes",
            "netrules",
            "kube-apiserver",
            "kube-scheduler",
            "controller-runtime",
            "workload-controllers",
            "volume-controllers",
            "kube-controller-manager",
            "kubelet",
            "kube-proxy",
            "podnet",
            "cluster-dns",
            "metrics-server",
            "cli-runtime",
            "describe",
            "generators",
            "streams",
            "kubectl",
            "pause",
            "chk-hn",
        ],
    ),
    (4, &["lab", "testkit", "bench", "xtask", "codegen", "cluster-tests"]),
];

/// Programs of the cluster: they meet only through the API server.
const COMPONENTS: [&str; 9] = [
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "kubelet",
    "kube-proxy",
    "podnet",
    "cluster-dns",
    "metrics-server",
    "kubectl",
];

/// Layer 0 is vocabulary: none of these.
const NOT_IN_VOCABULARY: [&str; 6] = ["tokio", "hyper", "kube", "tonic", "etcd-client", "nix"];

/// A file longer than this is cut by concern.
const FILE_MAX: usize = 900;

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// Runs every rule and lists each breach.
pub fn check() -> anyhow::Result<()> {
    let manifests = manifests()?;
    let mut breaches = Vec::new();
    for (name, dependencies) in &manifests {
        breaches.extend(breaches_of(name, dependencies));
    }
    for file in sources(&root().join("crates"))?.into_iter().chain(sources(&root().join("tests"))?) {
        breaches.extend(file_breaches(&file)?);
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("tidy:\n  {}", breaches.join("\n  "))
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, crates)| crates.contains(&name)).map(|(layer, _)| *layer)
}

/// What is wrong with a crate's dependencies (dev-dependencies excepted: tests may use the test kit).
fn breaches_of(name: &str, dependencies: &[String]) -> Vec<String> {
    let Some(own) = layer(name) else {
        return vec![format!("{name}: has no layer; give it one in crates/xtask/src/tidy.rs")];
    };
    let mut breaches = Vec::new();
    for dependency in dependencies {
        if own == 0 && NOT_IN_VOCABULARY.contains(&dependency.as_str()) {
            breaches.push(format!("{name}: layer 0 does no I/O, but depends on {dependency}"));
        }
        let Some(other) = layer(dependency) else { continue };
        if other > own {
            breaches.push(format!("{name} (layer {own}) imports {dependency} (layer {other})"));
        }
        if own < 4 && COMPONENTS.contains(&dependency.as_str()) {
            breaches.push(format!("{name} imports the component {dependency}"));
        }
    }
    breaches
}

/// Each crate's name and the names under its `[dependencies]`.
fn manifests() -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut manifests = BTreeMap::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("crates"))?.flatten().map(|entry| entry.path().join("Cargo.toml")).collect();
    paths.push(root().join("tests/Cargo.toml"));
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let (name, dependencies) = read_manifest(&text);
        manifests.insert(name.with_context(|| format!("{}: no name", path.display()))?, dependencies);
    }
    Ok(manifests)
}

fn read_manifest(text: &str) -> (Option<String>, Vec<String>) {
    let (mut section, mut name, mut dependencies) = ("", None, Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().trim_end_matches(".workspace");
            match section {
                "[package]" if key == "name" => name = Some(value.trim().trim_matches('"').to_owned()),
                "[dependencies]" => dependencies.push(key.to_owned()),
                _ => {}
            }
        }
    }
    (name, dependencies)
}

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

fn file_breaches(path: &Path) -> anyhow::Result<Vec<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_point_one_way() {
        let of = |name: &str, dependency: &str| breaches_of(name, &[dependency.to_owned()]).len();
        assert_eq!(of("kubelet", "cri"), 0);
        assert_eq!(of("component", "pki"), 0);
        assert_eq!(of("schema", "component"), 1);
        assert_eq!(of("schema", "tokio"), 1);
        assert_eq!(of("kubelet", "kube-proxy"), 1);
        assert_eq!(of("unheard-of", "tokio"), 1);
        assert_eq!(of("bench", "kube-apiserver"), 0);
    }

    #[test]
    fn manifests_are_read_by_section() {
        let (name, dependencies) = read_manifest(
            "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { x = 1 }\n[dev-dependencies]\nc = 1\n",
        );
        assert_eq!(name.as_deref(), Some("x"));
        assert_eq!(dependencies, ["a", "b"]);
    }
}
