//! A release: Debian packages, an archive with an install script for other distributions, checksums, a bill of
//! materials, and the description by which `kubeadm upgrade` knows it.
//!
//! The same sources and programs give the same bytes: times are the last commit's (or `SOURCE_DATE_EPOCH`), files are
//! sorted and root's.

mod archive;
mod cli;
mod debian;
mod dependencies;
mod manual;
mod packages;
mod programs;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::json;

pub use cli::main;
pub use packages::{PACKAGES, Package};

/// Version of Kubernetes, without the build's number.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How a release is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The workspace's directory.
    pub sources: PathBuf,
    /// Where the built programs are.
    pub binaries: PathBuf,
    /// Where the release goes. What an earlier one left there is removed.
    pub out: PathBuf,
    /// Number of the build, which sets apart releases of one version.
    pub build: u32,
    /// Seconds since 1970 that every file of the release has as its time.
    pub time: i64,
    /// Whether to make the files as small as can be, which takes minutes.
    pub small: bool,
}

impl Options {
    /// The version of the packages.
    pub fn version(&self) -> String {
        format!("{VERSION}-{}", self.build)
    }
}

/// What all packages are filled from.
pub(crate) struct Release<'a> {
    options: &'a Options,
    /// The programs, stripped.
    programs: PathBuf,
    /// The archives of images.
    images: PathBuf,
    /// Version, build and the programs' checksums, as JSON.
    description: String,
    /// The licences of all crates that are linked in.
    notices: String,
}

impl Release<'_> {
    /// A file of the workspace's `deploy` directory.
    fn deploy(&self, path: &str) -> PathBuf {
        self.options.sources.join("deploy").join(path)
    }
}

/// The names of all programs that a release is made of.
pub fn programs() -> impl Iterator<Item = &'static str> {
    programs::INSTALLED.iter().chain(&programs::OTHERS).copied()
}

/// Makes a release and returns its files, sorted.
pub fn build(options: &Options) -> anyhow::Result<Vec<PathBuf>> {
    let out = &options.out;
    clear(out)?;
    let work = out.join(".work");
    let programs = work.join("programs");
    programs::strip_all(&options.binaries, &programs)?;
    let images = work.join("images");
    for image in images::IMAGES {
        image.write(&programs, &images.join(image.file_name()))?;
    }
    let crates = dependencies::linked(&options.sources)?;
    let release = Release {
        options,
        description: description(options, &programs)?,
        notices: dependencies::notices(&crates)?,
        programs,
        images,
    };
    // Trees share files by hard links, and who packs one does not bear that a link is made meanwhile.
    let trees = PACKAGES
        .iter()
        .map(|package| debian::stage(&release, package, &work.join(package.name)).context(package.name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let archive = archive::stage(&release, &work.join("archive")).context("the archive")?;
    std::thread::scope(|scope| {
        let mut packers: Vec<_> =
            trees.iter().map(|tree| scope.spawn(|| debian::pack(options, tree))).collect();
        packers.push(scope.spawn(|| archive::pack(options, &archive)));
        packers.into_iter().try_for_each(|packer| match packer.join() {
            Ok(packed) => packed,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    fs::write(out.join("release.json"), &release.description)?;
    fs::write(out.join("sbom.cdx.json"), dependencies::bill_of_materials(options, &crates)?)?;
    fs::remove_dir_all(&work)?;
    checksums(out)?;
    files(out)
}

fn clear(out: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for path in files(out)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let own = [".deb", ".tar.gz", "release.json", "sbom.cdx.json", "SHA256SUMS"];
        if path.is_dir() && name == ".work" {
            fs::remove_dir_all(&path)?;
        } else if own.iter().any(|end| name.ends_with(end)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()
        .with_context(|| directory.display().to_string())?;
    files.sort();
    Ok(files)
}

/// What `kubeadm upgrade` asks a machine and a release: which build, and how to tell its programs.
fn description(options: &Options, programs: &Path) -> anyhow::Result<String> {
    let mut sums = serde_json::Map::new();
    for name in programs::INSTALLED {
        sums.insert(name.to_owned(), json!(programs::checksum(&programs.join(name))?));
    }
    let description = json!({"version": format!("v{VERSION}"), "build": options.build, "binaries": sums});
    Ok(serde_json::to_string_pretty(&description)? + "\n")
}

/// Writes what `sha256sum --check` reads.
fn checksums(out: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for path in files(out)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        text.push_str(&format!("{}  {name}\n", programs::checksum(&path)?));
    }
    fs::write(out.join("SHA256SUMS"), text).context("SHA256SUMS")
}
