//! The layer of software between Debian and a machine's own files.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::base;

/// What is installed on the machines beyond Debian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Software {
    /// Nothing.
    None,
    /// Every `.deb` of a directory, installed by dpkg.
    Packages(PathBuf),
    /// The build's own binaries as they are at each moment, with the units of a checkout: for trying things by hand.
    Build {
        /// Directory of the binaries.
        binaries: PathBuf,
        /// Directory of the workspace.
        workspace: PathBuf,
    },
}

/// Where machines see the build's binaries.
const BUILD: &str = "/opt/magnetite-build";

/// Programs of the build that an operator has.
const PROGRAMS: [&str; 9] = [
    "kube-apiserver",
    "kube-controller-manager",
    "cloud-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "podnet",
    "kubectl",
    "kubeadm",
];

/// A layer: its directory, and what of the host its machines see.
#[derive(Debug, Default)]
pub struct Layer {
    /// Its directory; `None` when nothing is installed.
    pub directory: Option<PathBuf>,
    /// Directories of the host that every machine sees, read-only.
    pub shared: Vec<(PathBuf, PathBuf)>,
}

/// Makes the layer of a software. Packages are installed once and kept until others are; the build's is the site's own.
pub fn make(home: &Path, site: &Path, root: &Path, software: &Software) -> anyhow::Result<Layer> {
    match software {
        Software::None => Ok(Layer::default()),
        Software::Packages(directory) => {
            Ok(Layer { directory: Some(installed(home, root, directory)?), shared: Vec::new() })
        }
        Software::Build { binaries, workspace } => {
            let layer = site.join("build");
            of_build(&layer, workspace)?;
            Ok(Layer { directory: Some(layer), shared: vec![(binaries.clone(), BUILD.into())] })
        }
    }
}

fn of_build(layer: &Path, workspace: &Path) -> anyhow::Result<()> {
    let programs = layer.join("usr/bin");
    fs::create_dir_all(&programs)?;
    for program in PROGRAMS {
        symlink(Path::new(BUILD).join(program), programs.join(program))?;
    }
    for (from, to) in
        [("deploy/systemd", "usr/lib/systemd/system"), ("deploy/sysusers.d", "usr/lib/sysusers.d")]
    {
        let to = layer.join(to);
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(workspace.join(from)).into_iter().flatten().flatten() {
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

/// Installs the packages of a directory over a root, or finds the layer in which these very packages are.
fn installed(home: &Path, root: &Path, packages: &Path) -> anyhow::Result<PathBuf> {
    let mut debs: Vec<PathBuf> = fs::read_dir(packages)
        .with_context(|| format!("packages in {}", packages.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    debs.sort();
    if debs.is_empty() {
        bail!("no package in {}", packages.display());
    }
    let layer = home.join(format!("layer-{}", version(root, &debs)?));
    let _lock = base::lock(home, "layer")?;
    if layer.is_dir() {
        return Ok(layer);
    }
    base::remove_others(home, "layer-", &layer)?;
    let [partial, work, merged] =
        ["partial", "work", "merged"].map(|part| home.join(format!(".layer-{part}")));
    for directory in [&partial, &work, &merged] {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory)?;
    }
    let names: Vec<String> = debs
        .iter()
        .filter_map(|deb| deb.file_name())
        .map(|name| format!("/mnt/{}", name.to_string_lossy()))
        .collect();
    let script = format!(
        "mount -t overlay overlay -o lowerdir={},upperdir={},workdir={} {merged}\n\
         mount --bind {} {merged}/mnt\n\
         mount -t proc proc {merged}/proc\n\
         exec chroot {merged} dpkg --install {}",
        root.display(),
        partial.display(),
        work.display(),
        packages.display(),
        names.join(" "),
        merged = merged.display(),
    );
    let output = base::contained(&["--net"])
        .args(["sh", "-euc", &script])
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("running unshare")?;
    if !output.status.success() {
        bail!(
            "installing {}: {}: {}{}",
            packages.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::rename(&partial, &layer)?;
    for directory in [&work, &merged] {
        fs::remove_dir_all(directory)?;
    }
    Ok(layer)
}

/// Changes when a package or the root under it does.
fn version(root: &Path, debs: &[PathBuf]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(root.to_string_lossy().as_bytes());
    let mut buffer = vec![0; 1 << 20];
    for deb in debs {
        hash.update(deb.file_name().unwrap_or_default().to_string_lossy().as_bytes());
        let mut file = fs::File::open(deb).with_context(|| deb.display().to_string())?;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
    }
    Ok(hex(&hash.finalize()[..6]))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
