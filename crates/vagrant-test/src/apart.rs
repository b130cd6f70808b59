//! Namespaces of its own for everything that runs: a network with nothing but a loopback, mounts that go with it, and
//! processes that end with it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, bail};
use nix::mount::{MsFlags, mount};

use crate::cli::Settings;

/// Directories that libvirt takes for its own.
const LIBVIRT: [&str; 4] = ["/run", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"];

/// What of libvirt's settings bears neither a security module nor cgroups that are not its own.
const QEMU_CONF: &str = "stdio_handler = \"file\"
security_driver = \"none\"
user = \"root\"
group = \"root\"
cgroup_controllers = []
namespaces = []
remember_owner = 0
";

/// Makes the box if it is wanted, then runs this program again in namespaces; all processes end with it.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    fs::create_dir_all(&settings.work)?;
    // Two runs in one place would make one box.
    let lock = fs::File::create(settings.work.join(".lock"))?;
    lock.try_lock().with_context(|| format!("{} is in use by another run", settings.work.display()))?;
    let made = settings.work.join("box/magnetite.box");
    if !(settings.keep_box && made.exists()) {
        make_box(&settings.work.join("box"))?;
    }
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"])
        // The namespace's first process: it takes the exit codes of what daemons left behind.
        .args(["sh", "-c", "\"$@\" & wait $!", "init"])
        .arg(std::env::current_exe()?)
        .arg("--release")
        .arg(&settings.release)
        .arg("--work")
        .arg(&settings.work)
        .arg("inside")
        .status()
        .context("running unshare")?;
    if !status.success() {
        bail!("the lab: {status}");
    }
    Ok(())
}

fn make_box(directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let script = directory.join("box.sh");
    fs::write(&script, include_str!("box.sh"))?;
    let key = Command::new("dpkg").args(["--listfiles", "vagrant"]).output().context("running dpkg")?;
    let listed = String::from_utf8_lossy(&key.stdout).into_owned();
    let key = listed.lines().find(|line| line.ends_with("/keys/vagrant.pub")).context("Vagrant's own key")?;
    let begun = std::time::Instant::now();
    // What is mounted in the box's root, and who runs there, goes when the script ends, however it ends.
    let status = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh"])
        .arg(&script)
        .arg(directory)
        .arg(machines::base::mirror())
        .arg(key)
        .status()
        .context("running sh")?;
    if !status.success() {
        bail!("making the box: {status}");
    }
    println!("box made in {:.0?}", begun.elapsed());
    Ok(())
}

/// Prepares the namespaces that this process is in: libvirt's directories are empty and its own.
pub fn prepare(work: &Path) -> anyhow::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("making mounts private")?;
    let settings = work.join("libvirt");
    let _ = fs::remove_dir_all(&settings);
    for directory in LIBVIRT {
        fs::create_dir_all(directory)?;
        let own = settings.join(directory.trim_start_matches('/').replace('/', "-"));
        fs::create_dir_all(&own)?;
        if directory == "/run" {
            mount(Some("tmpfs"), directory, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
        } else {
            mount(Some(&own), directory, none, MsFlags::MS_BIND, none)?;
        }
    }
    for directory in ["/var/log/libvirt/qemu", "/var/lib/libvirt/images", "/var/lib/libvirt/dnsmasq"] {
        fs::create_dir_all(directory)?;
    }
    let etc = settings.join("etc");
    let copied = Command::new("cp").arg("-a").arg("/etc/libvirt").arg(&etc).status()?;
    if !copied.success() {
        bail!("copying /etc/libvirt; install the package libvirt-daemon-system");
    }
    fs::write(etc.join("qemu.conf"), QEMU_CONF)?;
    let _ = fs::remove_dir_all(etc.join("qemu/networks/autostart"));
    mount(Some(&etc), "/etc/libvirt", none, MsFlags::MS_BIND, none).context("/etc/libvirt")?;
    // Machines ask for nothing outside; what is outside does not hear them.
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("running ip")?;
    if !status.success() {
        bail!("ip link set lo up: {status}");
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("forwarding in the namespace")?;
    Ok(())
}
