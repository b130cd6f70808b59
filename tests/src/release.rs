//! Packages made of this build, as an operator gets them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// Packs the build's programs into packages of a build number, once for each state of the programs.
pub fn packed(build: u32) -> anyhow::Result<PathBuf> {
    let binaries = crate::binaries()?;
    let home = machines::home(&binaries);
    let directory = home.join(format!("release-{build}"));
    let _lock = machines::base::lock(&home, &format!("release-{build}"))?;
    let stamp = home.join(format!(".release-{build}-of"));
    let state = state_of(&binaries)?;
    if fs::read_to_string(&stamp).is_ok_and(|packed| packed == state) {
        return Ok(directory);
    }
    let _ = fs::remove_dir_all(&directory);
    let marked = home.join(format!("release-{build}-programs"));
    mark(&binaries, &marked, build)?;
    let output = Command::new(binaries.join("dist"))
        .args(["--debug", "--build", &build.to_string(), "--binaries"])
        .arg(&marked)
        .arg("--out")
        .arg(&directory)
        .stdin(Stdio::null())
        .output()
        .context("running dist")?;
    ensure!(output.status.success(), "dist: {}", String::from_utf8_lossy(&output.stderr));
    fs::remove_dir_all(marked)?;
    fs::write(stamp, state)?;
    Ok(directory)
}

/// Copies the programs with the build's number in them, so that those of two builds differ as they would.
fn mark(from: &Path, to: &Path, build: u32) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to)?;
    let number = to.join(".number");
    fs::write(&number, build.to_string())?;
    for program in dist::programs() {
        let output = Command::new("objcopy")
            .args(["--strip-debug", "--add-section"])
            .arg(format!(".number={}", number.display()))
            .args([from.join(program), to.join(program)])
            .output()
            .context("running objcopy, of the package binutils")?;
        ensure!(output.status.success(), "objcopy: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Sizes and times of the programs: another build is another state.
fn state_of(binaries: &Path) -> anyhow::Result<String> {
    let mut state = String::new();
    let mut entries: Vec<_> = fs::read_dir(binaries)?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let metadata = entry.metadata()?;
        if metadata.is_file() && entry.path().extension().is_none() {
            state += &format!("{} {} {:?}\n", entry.path().display(), metadata.len(), metadata.modified()?);
        }
    }
    Ok(state)
}
