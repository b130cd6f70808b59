//! A machine's power: namespaces, mounts and cgroups of its own, and systemd-nspawn in them.

use std::{
    convert::Infallible,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context as _;
use lab::cgroup;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{prctl, signal::Signal},
};

use crate::{
    base, network, power,
    topology::{Machine, Topology},
};

/// What nspawn answers when the machine inside asks for a reboot and a supervisor is to start it anew.
const REBOOT: i32 = 133;

/// Keeps a machine powered: boots it, boots it again when it reboots, and ends when it powers off. Ending this process
/// pulls the plug.
pub fn hold(state: &Path, name: &str) -> anyhow::Result<()> {
    loop {
        let status = Command::new(std::env::current_exe()?)
            .arg("boot")
            .arg(state)
            .arg(name)
            .stdin(Stdio::null())
            .status()
            .context("booting")?;
        if status.code() != Some(REBOOT) {
            eprintln!("{name}: off: {status}");
            return Ok(());
        }
    }
}

/// Turns this process into a machine.
pub fn boot(state: &Path, name: &str) -> anyhow::Result<Infallible> {
    let topology = Topology::read(state)?;
    let machine = topology.machine(name).context("no such machine")?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    enter_cgroup(&topology.cgroup(machine))?;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("namespaces")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("making mounts private")?;
    network::plug_in(&topology, machine)?;
    mount_root(&topology, machine)?;
    // nspawn keeps a directory for each machine in the host's /run.
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("/run")?;
    let error = nspawn(&topology, machine).exec();
    Err(error).context("running systemd-nspawn; install it with: cargo xtask packages")
}

/// Moves this process into a fresh cgroup of every hierarchy: what an earlier boot's pods left is removed.
fn enter_cgroup(name: &str) -> anyhow::Result<()> {
    power::cut(name)?;
    cgroup::remove(name)?;
    cgroup::create(name)?;
    for hierarchy in cgroup::hierarchies() {
        let file = hierarchy.join(name.trim_start_matches('/')).join("cgroup.procs");
        fs::write(&file, std::process::id().to_string()).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn mount_root(topology: &Topology, machine: &Machine) -> anyhow::Result<()> {
    let state = topology.machine_state(machine);
    let lower: Vec<String> = topology.lower.iter().map(|path| path.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        state.join("upper").display(),
        state.join("work").display()
    );
    mount(Some("overlay"), &state.join("root"), Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .context("the machine's root")
}

fn nspawn(topology: &Topology, machine: &Machine) -> Command {
    let state = topology.machine_state(machine);
    let mut nspawn = Command::new("systemd-nspawn");
    nspawn
        .args(["--quiet", "--settings=no", "--register=no", "--keep-unit", "--link-journal=no"])
        .args(["--resolv-conf=off", "--timezone=off", "--console=read-only", "--kill-signal=SIGRTMIN+3"])
        // As on a machine of its own, but for what continuous integration has not.
        .args(["--capability=all", "--drop-capability=CAP_SYS_RESOURCE"])
        .args(["--network-namespace-path=/proc/self/ns/net", "--uuid", &machine_id(topology, machine)])
        .arg(format!("--machine={}", machine.name))
        .arg(format!("--hostname={}", machine.name))
        .arg(format!("--directory={}", state.join("root").display()))
        // Snapshots of images are overlays, which cannot stand on another.
        .arg(format!("--bind={}:/var/lib/containerd", state.join("containerd").display()));
    for (from, to) in &topology.shared {
        nspawn.arg(format!("--bind-ro={}:{}", from.display(), to.display()));
    }
    nspawn
        .arg(base::INIT_PATH)
        // Settings of the network, which are the machine's own, can be changed; those of the kernel cannot.
        .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network")
        .env("SYSTEMD_SECCOMP", "0")
        .stdin(Stdio::null());
    nspawn
}

/// The machine's identity: the same at each boot, another in each site.
pub fn machine_id(topology: &Topology, machine: &Machine) -> String {
    use sha2::{Digest as _, Sha256};
    let text = format!("{}/{}", topology.state.display(), machine.name);
    crate::layer::hex(&Sha256::digest(text)[..16])
}
