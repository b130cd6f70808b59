//! The root that every machine stands on: Debian as its installer leaves it, with what a node needs from Debian.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

use crate::Topology;

/// A site that is being made stands on its root from then at the latest.
const AN_HOUR: Duration = Duration::from_secs(3600);

const SUITE: &str = "bookworm";

/// What our packages depend on, and what a person on a machine expects to find.
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "ca-certificates",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "conntrack",
    "iproute2",
    "iputils-ping",
    "etcd-server",
    "etcd-client",
    "openssl",
    "openssh-client",
    "openssh-server",
    "curl",
    "procps",
    "kmod",
    "socat",
    "bsdextrautils",
    "bash-completion",
];

/// Process 1 of a machine. nspawn mounts the hierarchies of cgroups read-only, and systemd then leaves limits alone
/// without a word; a machine has its own branch of each, so that it may write there.
const INIT: &str = r#"#!/bin/sh
for hierarchy in /sys/fs/cgroup/*/; do
    mount -o remount,bind,rw,nosuid,nodev,noexec "$hierarchy"
done
exec /lib/systemd/systemd
"#;
/// Where [`INIT`] lies.
pub const INIT_PATH: &str = "/usr/local/lib/machine-init";

/// Run in the new root: units that make no sense in a container or that delay each boot, and weight nobody reads.
const TRIM: &str = r"
systemctl disable --quiet etcd.service ssh.service e2scrub_reap.service
systemctl mask --quiet console-getty.service systemd-logind.service systemd-modules-load.service \
    systemd-update-utmp.service sys-fs-fuse-connections.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    dev-hugepages.mount e2scrub_all.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
mkdir -p /etc/systemd/system/systemd-sysctl.service.d
printf '[Unit]\nConditionPathIsReadWrite=\nConditionPathIsReadWrite=/proc/sys/net\n[Service]\nExecStart=\nExecStart=-/lib/systemd/systemd-sysctl\n' \
    > /etc/systemd/system/systemd-sysctl.service.d/nspawn.conf
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /usr/share/doc/* /usr/share/locale/* /usr/share/man/?? /etc/hostname
: > /etc/machine-id
: > /etc/default/locale
";

/// Settings of its dpkg: who loses power makes the root again, so no file of it is waited for.
const DPKG: &str = "force-unsafe-io\n";

/// Makes the root if it is not there yet, and says where it is. Several processes may want it at once.
pub fn root(home: &Path) -> anyhow::Result<PathBuf> {
    let root = home.join(format!("debian-{}", version()));
    if root.is_dir() {
        return Ok(root);
    }
    let _lock = lock(home, "debian")?;
    if root.is_dir() {
        return Ok(root);
    }
    remove_others(home, "debian-", &root)?;
    eprintln!("Making the machines' root from Debian packages, once: about two minutes");
    let partial = home.join("debian-partial");
    debootstrap(&partial)?;
    let init = partial.join(INIT_PATH.trim_start_matches('/'));
    fs::create_dir_all(init.parent().context("a directory")?)?;
    fs::write(&init, INIT)?;
    let status = Command::new("chroot")
        .arg(&partial)
        .args(["sh", "-euc", &format!("chmod 755 {INIT_PATH}\n{TRIM}")])
        .stdin(Stdio::null())
        .status()
        .context("running chroot")?;
    if !status.success() {
        bail!("trimming the machines' root: {status}");
    }
    fs::rename(&partial, &root).context("naming the machines' root")?;
    Ok(root)
}

/// Changes whenever what is made changes.
fn version() -> String {
    let mut hash = Sha256::new();
    for part in [&[SUITE, INIT, TRIM, DPKG][..], PACKAGES].concat() {
        hash.update(part);
        hash.update([0]);
    }
    crate::layer::hex(&hash.finalize()[..6])
}

/// Holds a lock among the processes that make roots and layers in a directory.
pub fn lock(home: &Path, name: &str) -> anyhow::Result<Flock<File>> {
    fs::create_dir_all(home)?;
    let file = File::create(home.join(format!(".{name}.lock")))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).context("waiting for a lock")
}

/// Removes roots or layers of other versions, but for those on which a site stands, or may be about to.
pub(crate) fn remove_others(home: &Path, prefix: &str, kept: &Path) -> anyhow::Result<()> {
    let entries: Vec<PathBuf> = fs::read_dir(home)?.flatten().map(|entry| entry.path()).collect();
    let sites = entries.iter().filter_map(|state| Topology::read(state).ok());
    let in_use: Vec<PathBuf> = sites.flat_map(|site| site.lower).collect();
    let is_old = |path: &Path| {
        let age = fs::metadata(path).and_then(|metadata| metadata.modified()).map(|made| made.elapsed());
        age.is_ok_and(|age| age.is_ok_and(|age| age > AN_HOUR))
    };
    for path in &entries {
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        if named && path != kept && !in_use.contains(path) && is_old(path) {
            fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// A command whose mounts and processes go with it, also when it is killed.
pub fn contained(namespaces: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child"]).args(namespaces).stdin(Stdio::null());
    command
}

fn debootstrap(target: &Path) -> anyhow::Result<()> {
    // It refuses to go on with what an interrupted run left.
    if target.exists() {
        fs::remove_dir_all(target).context("removing an unfinished root")?;
    }
    let settings = target.join("etc/dpkg/dpkg.cfg.d");
    fs::create_dir_all(&settings)?;
    fs::write(settings.join("unsafe-io"), DPKG)?;
    let output = contained(&[])
        .args(["debootstrap", "--variant=minbase", &format!("--include={}", PACKAGES.join(",")), SUITE])
        .arg(target)
        .arg(mirror())
        .output()
        .context("running debootstrap; install it with: cargo xtask packages")?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned());
        let last: Vec<&str> = text.iter().flat_map(|part| part.lines().rev().take(5)).collect();
        bail!("debootstrap: {}: {last:#?}", output.status);
    }
    Ok(())
}

/// Where this machine's apt finds Debian.
pub fn mirror() -> String {
    const ANYWHERE: &str = "http://deb.debian.org/debian";
    let asked =
        Command::new("apt-get").args(["indextargets", "--format", "$(ORIGIN) $(RELEASE) $(SITE)"]).output();
    let text = asked.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| line.strip_prefix(&format!("Debian {SUITE} ")))
        .map_or_else(|| ANYWHERE.to_owned(), str::to_owned)
}
