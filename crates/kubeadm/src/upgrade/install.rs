//! A release's files put in the place of those that are installed, by whoever put these there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::release::{Release, sum};
use crate::paths::Paths;

/// A release in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bundle {
    /// Packages, of which those are taken that are installed.
    Packages(Vec<PathBuf>),
    /// An unpacked archive with its install script.
    Archive(PathBuf),
}

/// Finds what of a directory this machine takes.
pub(super) async fn find(paths: &Paths, directory: &Path) -> anyhow::Result<Bundle> {
    let script = directory.join("install.sh");
    let by_script = paths.at("/usr/share/magnetite/installed-files").exists();
    if by_script {
        if !script.is_file() {
            bail!("Magnetite was installed here from an archive: unpack the new one and name its directory");
        }
        return Ok(Bundle::Archive(directory.to_owned()));
    }
    let installed = installed_packages().await?;
    if installed.is_empty() {
        bail!(
            "Magnetite was installed here neither from packages nor from an archive: put the programs in place yourself, \
               and run this command without --release"
        );
    }
    let names: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("reading {}", directory.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    packages(&names, &installed).map(Bundle::Packages)
}

/// The packages of a directory for those that are installed; each must be there once.
fn packages(files: &[PathBuf], installed: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut chosen = Vec::new();
    for package in installed {
        let is_its = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(package.as_str())
                .is_some_and(|rest| rest.starts_with('_') && rest.ends_with(".deb"))
        };
        let found: Vec<&PathBuf> = files.iter().filter(is_its).collect();
        match found.as_slice() {
            [one] => chosen.push((*one).clone()),
            [] => bail!("the release has no package {package}, which is installed here"),
            _ => bail!("the release has several packages {package}"),
        }
    }
    Ok(chosen)
}

async fn installed_packages() -> anyhow::Result<Vec<String>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\\n", "magnetite-*"])
        .stdin(Stdio::null())
        .output()
        .await;
    // A machine without dpkg has no packages of it; a pattern that nothing matches is an error to dpkg.
    let Ok(output) = output else { return Ok(Vec::new()) };
    Ok(installed_of(&String::from_utf8_lossy(&output.stdout)))
}

fn installed_of(listed: &str) -> Vec<String> {
    let of = |line: &str| line.strip_suffix(" installed").map(str::to_owned);
    listed.lines().filter_map(of).collect()
}

/// Checks the files of a release that are about to be used against its list of sums.
pub(super) fn check(directory: &Path, bundle: &Bundle) -> anyhow::Result<()> {
    let Bundle::Packages(files) = bundle else { return Ok(()) };
    let list = directory.join("SHA256SUMS");
    let Ok(text) = fs::read_to_string(&list) else { return Ok(()) };
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let said = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, of)| of.trim_start_matches([' ', '*']).trim_start_matches("./") == name);
        let (said, _) = said.with_context(|| format!("{} has no line for {name}", list.display()))?;
        if sum(file)? != said.to_lowercase() {
            bail!("{} is damaged: its sum is not the one in {}", file.display(), list.display());
        }
    }
    Ok(())
}

/// Puts the files in place. Nothing is started or stopped by it.
pub(super) async fn put(bundle: &Bundle) -> anyhow::Result<()> {
    let mut command = match bundle {
        Bundle::Packages(files) => {
            let mut command = Command::new("dpkg");
            // What the operator has changed of configuration files stays.
            command.args(["--force-confdef", "--force-confold", "--install"]).args(files);
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        }
        Bundle::Archive(directory) => {
            let mut command = Command::new("sh");
            command.arg(directory.join("install.sh")).arg("upgrade");
            command
        }
    };
    let output = command.stdin(Stdio::null()).output().await.context("installing the release")?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("installing the release failed:\n{}", String::from_utf8_lossy(&text).trim());
    }
    Ok(())
}

/// Reads what release a directory holds.
pub(super) fn read(directory: &Path) -> anyhow::Result<Release> {
    Release::read(&directory.join("release.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_taken_for_what_is_installed() {
        let installed = installed_of(
            "magnetite-cli installed\nmagnetite-node installed\nmagnetite-control-plane config-files\n",
        );
        assert_eq!(installed, ["magnetite-cli", "magnetite-node"]);
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let all = files(&[
            "/r/magnetite-cli_1.36.0-2_amd64.deb",
            "/r/magnetite-node_1.36.0-2_amd64.deb",
            "/r/magnetite-control-plane_1.36.0-2_amd64.deb",
            "/r/SHA256SUMS",
        ]);
        let chosen = packages(&all, &installed).unwrap();
        assert_eq!(
            chosen,
            files(&["/r/magnetite-cli_1.36.0-2_amd64.deb", "/r/magnetite-node_1.36.0-2_amd64.deb"])
        );
        let missing = packages(&all[..1], &installed).unwrap_err();
        assert_eq!(missing.to_string(), "the release has no package magnetite-node, which is installed here");
        let twice = files(&["/r/magnetite-cli_1_amd64.deb", "/r/magnetite-cli_2_amd64.deb"]);
        assert!(packages(&twice, &installed).unwrap_err().to_string().contains("several packages"));
    }

    #[test]
    fn a_damaged_package_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("magnetite-cli_1_amd64.deb");
        fs::write(&file, "abc").unwrap();
        let bundle = Bundle::Packages(vec![file.clone()]);
        let sums = folder.path().join("SHA256SUMS");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::write(&sums, format!("{known}  magnetite-cli_1_amd64.deb\n")).unwrap();
        check(folder.path(), &bundle).unwrap();
        fs::write(&file, "abd").unwrap();
        assert!(check(folder.path(), &bundle).unwrap_err().to_string().contains("damaged"));
        fs::write(&sums, format!("{known}  other.deb\n")).unwrap();
        assert!(check(folder.path(), &bundle).unwrap_err().to_string().contains("no line for"));
    }
}
