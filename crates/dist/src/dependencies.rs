//! The crates that are linked into the programs: the bill of materials and their licences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::{Options, programs};

/// A crate of the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    name: String,
    version: String,
    license: String,
    checksum: String,
    directory: PathBuf,
}

/// The crates of the registry that the shipped programs are linked with, sorted.
pub fn linked(sources: &Path) -> anyhow::Result<Vec<Crate>> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", &target])
        .current_dir(sources)
        .output()
        .context("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let lock = fs::read_to_string(sources.join("Cargo.lock")).context("Cargo.lock")?;
    let roots: Vec<&str> = programs::INSTALLED.iter().chain(&programs::OTHERS).copied().collect();
    reachable(&serde_json::from_slice(&output.stdout)?, &roots, &checksums(&lock))
}

/// Name and version to checksum, as `Cargo.lock` has them.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut sums = BTreeMap::new();
    let (mut name, mut version) = (String::new(), String::new());
    for line in lock.lines() {
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let value = value.trim_matches('"').to_owned();
        match key {
            "name" => name = value,
            "version" => version = value,
            "checksum" => drop(sums.insert((name.clone(), version.clone()), value)),
            _ => {}
        }
    }
    sums
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn reachable(
    metadata: &Value,
    roots: &[&str],
    checksums: &BTreeMap<(String, String), String>,
) -> anyhow::Result<Vec<Crate>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package, "id"), package)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node, "id"), node)).collect();
    let mut waiting: Vec<String> = packages
        .iter()
        .filter(|(_, package)| package["source"].is_null() && roots.contains(&text(package, "name").as_str()))
        .map(|(id, _)| id.clone())
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        let node = nodes.get(&id).with_context(|| format!("cargo metadata does not resolve {id}"))?;
        for dependency in list(&node["deps"]) {
            // What is needed to build or to test is not linked in.
            if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                waiting.extend(Some(text(&dependency, "pkg")).filter(|id| !seen.contains(id)));
            }
        }
        seen.insert(id);
    }
    let mut crates: Vec<Crate> = seen
        .iter()
        .filter_map(|id| packages.get(id))
        .filter(|package| !package["source"].is_null())
        .map(|package| {
            let (name, version) = (text(package, "name"), text(package, "version"));
            Crate {
                checksum: checksums.get(&(name.clone(), version.clone())).cloned().unwrap_or_default(),
                license: text(package, "license"),
                directory: Path::new(&text(package, "manifest_path")).with_file_name(""),
                name,
                version,
            }
        })
        .collect();
    crates.sort();
    Ok(crates)
}

/// A CycloneDX document of all crates.
pub fn bill_of_materials(options: &Options, crates: &[Crate]) -> anyhow::Result<String> {
    let purl = |one: &Crate| format!("pkg:cargo/{}@{}", one.name, one.version);
    let components: Vec<Value> = crates
        .iter()
        .map(|one| {
            json!({
                "type": "library",
                "bom-ref": purl(one),
                "name": one.name,
                "version": one.version,
                "purl": purl(one),
                "hashes": [{"alg": "SHA-256", "content": one.checksum}],
                "licenses": [{"expression": one.license.replace('/', " OR ")}],
            })
        })
        .collect();
    let references: Vec<String> = crates.iter().map(purl).collect();
    let time = jiff::Timestamp::from_second(options.time)?;
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.to_string(),
            "component": {
                "type": "application",
                "bom-ref": "magnetite",
                "name": "magnetite",
                "version": options.version(),
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": "magnetite", "dependsOn": references}],
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The licences that the crates bring, each text once with all that bring it.
pub fn notices(crates: &[Crate]) -> anyhow::Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates {
        let named = format!("{} {} ({})", one.name, one.version, one.license);
        for text in licenses(&one.directory).with_context(|| named.clone())? {
            texts.entry(text).or_default().push(named.clone());
        }
    }
    let mut texts: Vec<(Vec<String>, String)> =
        texts.into_iter().map(|(text, crates)| (crates, text)).collect();
    texts.sort();
    let mut notices = String::from("The programs of Magnetite are linked with these crates.\n");
    for (crates, text) in texts {
        notices.push_str(&format!("\n{}\n\n{}\n\n{text}\n", "=".repeat(72), crates.join("\n")));
    }
    Ok(notices)
}

fn licenses(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let told = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
        if path.is_file() && told.iter().any(|word| name.starts_with(word)) && !name.ends_with(".RS") {
            let bytes = fs::read(&path)?;
            texts.insert(String::from_utf8_lossy(&bytes).replace('\r', "").trim().to_owned());
        }
    }
    Ok(texts.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_and_tests_need_is_not_linked() {
        let package = |name: &str, source: Value| json!({"id": name, "name": name, "version": "1", "source": source, "license": "MIT", "manifest_path": "/x/Cargo.toml"});
        let edge = |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let registry = json!("registry");
        let metadata = json!({
            "packages": [
                package("kubelet", Value::Null), package("pki", Value::Null), package("bench", Value::Null),
                package("ring", registry.clone()), package("cc", registry.clone()),
                package("expect-test", registry.clone()), package("plot", registry),
            ],
            "resolve": {"nodes": [
                {"id": "kubelet", "deps": [edge("pki", Value::Null), edge("expect-test", json!("dev"))]},
                {"id": "pki", "deps": [edge("ring", Value::Null)]},
                {"id": "ring", "deps": [edge("cc", json!("build"))]},
                {"id": "bench", "deps": [edge("plot", Value::Null)]},
                {"id": "cc", "deps": []}, {"id": "expect-test", "deps": []}, {"id": "plot", "deps": []},
            ]},
        });
        let sums = checksums("name = \"ring\"\nversion = \"1\"\nchecksum = \"abc\"\n");
        let found = reachable(&metadata, &["kubelet"], &sums).unwrap();
        let shown: Vec<(&str, &str)> =
            found.iter().map(|one| (one.name.as_str(), one.checksum.as_str())).collect();
        assert_eq!(shown, [("ring", "abc")]);
    }
}
