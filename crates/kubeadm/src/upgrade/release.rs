//! What a release is of: its version, its build, and the sums of its programs.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use ring::digest::{Context as Digest, SHA256};
use serde::Deserialize;

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Release {
    version: String,
    build: u64,
    /// Sums (SHA-256, in hexadecimal) of its programs by name.
    pub(super) binaries: BTreeMap<String, String>,
}

impl Release {
    /// Reads a release's description.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut release: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} does not describe a release", path.display()))?;
        for sum in release.binaries.values_mut() {
            *sum = sum.trim_start_matches("sha256:").to_lowercase();
        }
        Ok(release)
    }

    /// Its version with its build, such as `v1.36.0-2`.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.version, self.build)
    }

    /// Whether a version that was typed means this release: with its build or without, with its `v` or without.
    pub(super) fn is_meant_by(&self, typed: &str) -> bool {
        let typed = typed.trim_start_matches('v');
        let version = self.version.trim_start_matches('v');
        typed == version || typed == self.name().trim_start_matches('v')
    }

    /// Whether programs of this release and of another may work in one cluster: at most one minor version apart, and not
    /// back.
    pub(super) fn follows(&self, other: &Self) -> anyhow::Result<()> {
        let (from, to) = (minor(&other.version)?, minor(&self.version)?);
        if to < from {
            bail!(
                "{} is older than {}, and a cluster does not go back: restore a backup instead",
                self.name(),
                other.name()
            );
        }
        if to > from + 1 {
            bail!(
                "{} is more than one minor version after {}: upgrade to the one between first",
                self.name(),
                other.name()
            );
        }
        Ok(())
    }
}

fn minor(version: &str) -> anyhow::Result<u32> {
    let parts: Vec<&str> = version.trim_start_matches('v').split('.').collect();
    match parts.as_slice() {
        ["1", minor, _] => minor.parse().with_context(|| format!("version {version:?}")),
        _ => bail!("version {version:?} is not of the form v1.36.0"),
    }
}

/// The sum of a file.
pub(super) fn sum(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut file = fs::File::open(path).with_context(reading)?;
    let mut digest = Digest::new(&SHA256);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).with_context(reading)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    Ok(digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, build: u64) -> Release {
        Release { version: version.into(), build, binaries: BTreeMap::new() }
    }

    #[test]
    fn a_version_is_meant_with_and_without_its_build() {
        let release = release("v1.36.0", 2);
        for typed in ["v1.36.0", "1.36.0", "v1.36.0-2", "1.36.0-2"] {
            assert!(release.is_meant_by(typed), "{typed}");
        }
        for typed in ["v1.36.1", "1.36.0-3", "1.36"] {
            assert!(!release.is_meant_by(typed), "{typed}");
        }
    }

    #[test]
    fn a_cluster_goes_one_minor_version_forward_at_a_time() {
        let check = |from: &str, to: &str| release(to, 1).follows(&release(from, 1)).is_ok();
        assert!(check("v1.36.0", "v1.36.0"));
        assert!(check("v1.36.2", "v1.36.0"));
        assert!(check("v1.36.0", "v1.37.1"));
        assert!(!check("v1.36.0", "v1.38.0"));
        assert!(!check("v1.37.0", "v1.36.9"));
        assert!(!check("v1.36.0", "latest"));
    }

    #[test]
    fn a_description_is_read_and_a_files_sum_is_the_known_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("release.json");
        fs::write(&path, r#"{"version": "v1.36.0", "build": 3, "binaries": {"kubelet": "sha256:AB"}}"#)
            .unwrap();
        let read = Release::read(&path).unwrap();
        assert_eq!((read.name().as_str(), read.binaries["kubelet"].as_str()), ("v1.36.0-3", "ab"));
        fs::write(&path, "abc").unwrap();
        assert_eq!(sum(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
