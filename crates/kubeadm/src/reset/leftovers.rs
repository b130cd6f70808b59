//! Everything that a node leaves on a machine: units, pods, mounts, rules, links, cgroups, files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use nix::mount::{MntFlags, umount2};
use tokio::process::Command;

use crate::{container_runtime, paths::Paths, systemd};

/// Units beside those of components.
const OTHER_UNITS: [&str; 4] = [
    "kubeadm-renew.timer",
    "kubeadm-renew.service",
    "kubeadm-renew-boot.service",
    container_runtime::REGISTRY,
];

/// How long units may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(5);

/// The files and directories that go. Directories of packages stay, empty.
pub fn files(paths: &Paths) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = [
        "admin",
        "super-admin",
        "kubelet",
        "bootstrap-kubelet",
        "controller-manager",
        "cloud-controller-manager",
        "scheduler",
        "kube-proxy",
        "podnet",
    ]
    .iter()
    .map(|name| paths.kubeconfig(name))
    .collect();
    all.push(paths.kube_proxy_config());
    all.push(paths.kubernetes().join("authentication.yaml"));
    for directory in
        ["/etc/kubernetes/pki", "/etc/kubernetes/env", "/etc/kubernetes/manifests", "/etc/kubernetes/tmp"]
    {
        all.push(paths.at(directory));
    }
    for directory in
        ["/var/lib/etcd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers"]
    {
        all.extend(children(&paths.at(directory)));
    }
    all
}

fn children(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Takes all of it back. What cannot be is said at the end; the rest is done all the same.
pub async fn clean_up(paths: &Paths, socket: Option<&str>) -> anyhow::Result<()> {
    let mut failures: Vec<String> = Vec::new();
    let mut note = |what: &str, result: anyhow::Result<()>| {
        if let Err(error) = result {
            failures.push(format!("{what}: {error:#}"));
        }
    };
    note("stopping units", stop_units(None).await);
    println!("[reset] Removing Kubernetes-managed containers");
    note("removing pods", remove_pods(socket.unwrap_or("unix:///run/containerd/containerd.sock")).await);
    println!("[reset] Unmounting mounted directories in \"/var/lib/kubelet\"");
    note("unmounting", unmount_below(&paths.kubelet()));
    println!("[reset] Removing the pod network and all packet rules of the cluster");
    for program in ["kube-proxy", "podnet"] {
        note(program, clean_up_by(program).await);
    }
    for hierarchy in hierarchies() {
        for name in ["kubepods", "kubepods.slice"] {
            note("removing cgroups", remove_cgroup(&hierarchy.join(name)).map_err(Into::into));
        }
    }
    println!("[reset] Deleting the cluster's files");
    for path in files(paths) {
        note(&path.display().to_string(), remove(&path).map_err(Into::into));
    }
    note("containerd's configuration", container_runtime::restore(paths).await);
    let _ = systemd::reset_failed(&[]).await;
    anyhow::ensure!(
        failures.is_empty(),
        "not everything could be taken back; mend what is said here and run `kubeadm reset` again:\n\t{}",
        failures.join("\n\t")
    );
    Ok(())
}

/// Stops units, and has them no longer started at boot; all but one.
pub async fn stop_units(but: Option<&str>) -> anyhow::Result<()> {
    let mut installed = Vec::new();
    // First the timers, which might start something again, and the kubelet, which would start pods again; and so on
    // down to etcd: what asks ends before what answers.
    let all = OTHER_UNITS.iter().chain(systemd::NODE).chain(systemd::CONTROL_PLANE.iter().rev());
    for name in all.copied() {
        if Some(name) != but && systemd::unit(name).await?.exists() {
            installed.push(name);
        }
    }
    if installed.is_empty() {
        return Ok(());
    }
    systemd::disable(&installed).await?;
    match tokio::time::timeout(PATIENCE, systemd::stop(&installed)).await {
        Ok(stopped) => stopped,
        Err(_) => {
            // One of them gives back its lease, or ends its watches, with a server that is gone.
            systemd::kill(&installed).await?;
            systemd::stop(&installed).await
        }
    }
}

async fn remove_pods(socket: &str) -> anyhow::Result<()> {
    use cri::Runtime as _;
    if !systemd::unit("containerd").await?.is_active() {
        // What does not run holds nothing.
        return Ok(());
    }
    let runtime = cri::Client::new(socket, cri::Timeouts { request: Duration::from_secs(30) });
    let sandboxes = runtime.list_pod_sandboxes(BTreeMap::new()).await?;
    let removed = sandboxes.iter().map(|sandbox| async {
        // A sandbox whose network is half gone may not stop; it is removed all the same.
        let _ = runtime.stop_pod_sandbox(&sandbox.id).await;
        runtime.remove_pod_sandbox(&sandbox.id).await.with_context(|| format!("pod {}", sandbox.id))
    });
    futures::future::try_join_all(removed).await.map(drop)
}

/// Unmounts everything below a directory, the deepest first.
fn unmount_below(directory: &Path) -> anyhow::Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("reading mounts")?;
    for path in mounts_below(&table, directory) {
        umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .with_context(|| format!("unmounting {}", path.display()))?;
    }
    Ok(())
}

fn mounts_below(table: &str, directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(unescaped(path)))
        .filter(|path| path.starts_with(directory) && path != directory)
        .collect();
    // A mount point comes after those in it, and a later mount over an earlier one on the same point.
    paths.sort();
    paths.reverse();
    paths
}

/// Blanks and backslashes are written as octal numbers in mount tables.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (escape, char)| path.replace(escape, char))
}

async fn clean_up_by(program: &str) -> anyhow::Result<()> {
    let output = Command::new(program).arg("--cleanup").stdin(Stdio::null()).output().await;
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("running {program} --cleanup"))?,
    };
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// The roots of cgroup hierarchies: the unified one, or one for each controller.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let mut all: Vec<PathBuf> = children(&root).into_iter().filter(|path| path.is_dir()).collect();
    all.push(root);
    all
}

fn remove_cgroup(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten() {
        if entry.file_type()?.is_dir() {
            remove_cgroup(&entry.path())?;
        }
    }
    let mut tries = 0;
    loop {
        match fs::remove_dir(path) {
            // The kernel frees a cgroup a moment after its last process.
            Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) && tries < 100 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_goes_first_and_the_disk_itself_stays() {
        let table = "\
22 1 0:21 / / rw - overlay overlay rw
30 22 0:30 / /var/lib/kubelet rw - ext4 /dev/sda rw
31 30 0:31 / /var/lib/kubelet/pods/a/volumes/b rw - tmpfs tmpfs rw
32 31 0:32 / /var/lib/kubelet/pods/a/volumes/b/c\\040d rw - tmpfs tmpfs rw
33 22 0:33 / /var/lib/kubelet2 rw - tmpfs tmpfs rw
";
        let below = mounts_below(table, Path::new("/var/lib/kubelet"));
        assert_eq!(
            below,
            [
                PathBuf::from("/var/lib/kubelet/pods/a/volumes/b/c d"),
                PathBuf::from("/var/lib/kubelet/pods/a/volumes/b")
            ]
        );
    }

    #[test]
    fn directories_of_packages_stay() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::under(directory.path());
        for file in [
            "etc/kubernetes/pki/ca.key",
            "etc/kubernetes/admin.conf",
            "var/lib/etcd/member/wal/0",
            "etc/kubernetes/mine.yaml",
        ] {
            pki::write_private(&directory.path().join(file), "x").unwrap();
        }
        for path in files(&paths) {
            remove(&path).unwrap();
        }
        let there = |path: &str| directory.path().join(path).exists();
        assert!(
            !there("etc/kubernetes/pki")
                && !there("etc/kubernetes/admin.conf")
                && !there("var/lib/etcd/member")
        );
        assert!(there("var/lib/etcd") && there("etc/kubernetes/mine.yaml"));
    }
}
