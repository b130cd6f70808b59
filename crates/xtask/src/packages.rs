//! Debian packages that building and running need.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

/// A package and a file that shows it is installed.
const NEEDED: [(&str, &str); 20] = [
    ("protobuf-compiler", "/usr/bin/protoc"),
    ("libprotobuf-dev", "/usr/include/google/protobuf/empty.proto"),
    ("etcd-server", "/usr/bin/etcd"),
    ("etcd-client", "/usr/bin/etcdctl"),
    ("containerd", "/usr/bin/containerd"),
    ("runc", "/usr/sbin/runc"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("iptables", "/usr/sbin/iptables-restore"),
    ("nftables", "/usr/sbin/nft"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("iproute2", "/usr/sbin/ip"),
    ("busybox-static", "/usr/bin/busybox"),
    ("nginx-light", "/usr/sbin/nginx"),
    ("redis-tools", "/usr/bin/redis-check-rdb"),
    ("curl", "/usr/bin/curl"),
    ("openssl", "/usr/bin/openssl"),
    ("systemd-container", "/usr/bin/systemd-nspawn"),
    ("debootstrap", "/usr/sbin/debootstrap"),
    ("binutils", "/usr/bin/strip"),
    ("lintian", "/usr/bin/lintian"),
];

/// While it is there, Debian's packages start no service when they are installed: the lab starts its own.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// What the Vagrant lab needs besides, where it runs on emulated machines.
const FOR_VAGRANT: [(&str, &str); 8] = [
    ("vagrant", "/usr/bin/vagrant"),
    ("vagrant-libvirt", "/usr/share/vagrant-plugins/plugins.d/vagrant-libvirt.json"),
    ("libvirt-daemon-system", "/usr/share/doc/libvirt-daemon-system/copyright"),
    (
        "libvirt-daemon-driver-qemu",
        "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
    ),
    ("libvirt-clients", "/usr/bin/virsh"),
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    ("qemu-utils", "/usr/bin/qemu-img"),
    ("dnsmasq-base", "/usr/sbin/dnsmasq"),
];

/// What the tests of other people's clients install those with; Debian's npm alone is three hundred packages.
const FOR_CLIENTS: [(&str, &str); 3] = [
    ("python3-venv", "/usr/share/doc/python3-venv/copyright"),
    ("nodejs", "/usr/bin/node"),
    ("npm", "/usr/bin/npm"),
];

/// What counts instructions.
const FOR_COUNTING: [(&str, &str); 1] = [("valgrind", "/usr/bin/callgrind_control")];

/// Installs what is missing. Needs root; without it, says what to install.
pub fn install() -> anyhow::Result<()> {
    install_all(&NEEDED)
}

/// Installs what the tests need besides.
pub fn install_for_tests() -> anyhow::Result<()> {
    install_all(&FOR_CLIENTS)
}

/// Installs what counting instructions needs besides.
pub fn install_for_counting() -> anyhow::Result<()> {
    install_all(&FOR_COUNTING)
}

/// Installs what the Vagrant lab needs besides.
pub fn install_for_vagrant() -> anyhow::Result<()> {
    install_all(&FOR_VAGRANT)
}

fn install_all(wanted: &[(&'static str, &'static str)]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Installing Debian packages: {}", missing.join(" "));
    let hold_services = !Path::new(POLICY).exists();
    if hold_services {
        fs::write(POLICY, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
            .with_context(|| {
                format!("run as root, or install by hand: apt-get install {}", missing.join(" "))
            })?;
    }
    let installed = apt(&["update", "-qq"]).and_then(|()| {
        apt(&[&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat())
    });
    if hold_services {
        fs::remove_file(POLICY)?;
    }
    installed?;
    match wanted.iter().find(|(_, file)| !Path::new(file).exists()) {
        Some((package, file)) => bail!("{package} is installed but {file} is not there"),
        None => Ok(()),
    }
}

/// The Debian whose etcd is a 3.5, and where it is.
const NEWER: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n";

/// Unpacks Debian 13's etcd into a directory, where this machine's own is older; gives the directory of its programs.
/// etcd 3.4 copies what it has not committed yet for each guarded write, and is no measure of a create.
pub fn newer_etcd(directory: &Path) -> anyhow::Result<PathBuf> {
    let programs = directory.join("usr/bin");
    if programs.join("etcd").is_file() {
        return Ok(programs);
    }
    let [lists, cache] = ["lists", "cache"].map(|name| directory.join(name));
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(cache.join("archives/partial"))?;
    let sources = directory.join("sources.list");
    fs::write(&sources, NEWER)?;
    let options = [
        format!("-oDir::Etc::SourceList={}", sources.display()),
        "-oDir::Etc::SourceParts=-".to_owned(),
        format!("-oDir::State::Lists={}", lists.display()),
        format!("-oDir::Cache={}", cache.display()),
        "-oAcquire::Languages=none".to_owned(),
        "-oAPT::Sandbox::User=root".to_owned(),
    ];
    for task in [["update", "-qq"].as_slice(), &["download", "-qq", "etcd-server"]] {
        let status = Command::new("apt-get")
            .args(&options)
            .args(task)
            .current_dir(directory)
            .stdout(Stdio::null())
            .status()
            .context("running apt-get")?;
        anyhow::ensure!(status.success(), "apt-get {}: {status}", task.join(" "));
    }
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let mut files = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    let package = files.find(is_package).context("apt-get downloaded no package")?;
    let status = Command::new("dpkg-deb").arg("--extract").args([&package, directory]).status()?;
    anyhow::ensure!(status.success(), "dpkg-deb --extract {}: {status}", package.display());
    fs::remove_dir_all(lists)?;
    Ok(programs)
}

fn apt(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .context("running apt-get")?;
    if !status.success() {
        bail!("apt-get {}: {status}", arguments.join(" "));
    }
    Ok(())
}
