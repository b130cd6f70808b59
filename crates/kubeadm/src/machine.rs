//! What this machine is like before anything is changed: gathered once, for preflight to judge.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::Stdio,
};

use crate::{
    configuration::Surroundings,
    container_runtime::{self, RuntimeFile},
    etcd::Etcd,
    paths::Paths,
    preflight::{DistributionEtcd, Role, View},
    systemd,
};

/// What defaults come from.
pub fn surroundings() -> Surroundings {
    let host_name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    Surroundings {
        host_name: host_name.unwrap_or_default(),
        address: address_towards(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9))).or_else(first_address),
    }
}

/// The address from which packets to another leave this machine, by its routes. Nothing is sent.
pub fn address_towards(target: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(target).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

/// The first address that others may reach, for a machine without a default route.
fn first_address() -> Option<IpAddr> {
    nix::ifaddrs::getifaddrs().ok()?.find_map(|interface| {
        let address = interface.address?;
        let address = IpAddr::V4(address.as_sockaddr_in()?.ip());
        (!address.is_loopback()).then_some(address)
    })
}

/// Looks at the machine.
pub async fn view(paths: &Paths, role: Role, external_etcd: bool) -> View {
    let exists = |path: &Path| fs::symlink_metadata(path).is_ok();
    let mut leftovers: Vec<String> =
        ["admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler"]
            .iter()
            .map(|name| paths.kubeconfig(name))
            .filter(|path| exists(path))
            .map(|path| path.display().to_string())
            .collect();
    let env = paths.kubernetes().join("env");
    leftovers.extend(
        fs::read_dir(&env).into_iter().flatten().flatten().map(|file| file.path().display().to_string()),
    );
    leftovers.sort();
    let mut missing_units = Vec::new();
    for name in role.units(external_etcd) {
        if !systemd::unit(name).await.is_ok_and(|unit| unit.exists()) {
            missing_units.push(name.to_string());
        }
    }
    let mut firewalls = Vec::new();
    for name in ["firewalld", "ufw"] {
        if systemd::unit(name).await.is_ok_and(|unit| unit.is_active()) {
            firewalls.push(name.to_owned());
        }
    }
    View {
        root: nix::unistd::geteuid().is_root(),
        systemd: systemd::is_running(),
        missing_programs: ["iptables", "mount", "modprobe", "ctr", "systemctl"]
            .iter()
            .filter(|program| !is_program(program))
            .map(|program| (*program).to_owned())
            .collect(),
        missing_units,
        firewalls,
        swap: fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1),
        memory_mib: memory_mib().unwrap_or(u64::MAX),
        missing_controllers: missing_controllers(),
        busy_ports: busy_ports(),
        leftovers,
        ca_is_there: exists(&paths.pki().join("ca.crt")),
        etcd_data: exists(&paths.etcd().join("member")),
        distribution_etcd: if role == Role::Worker || external_etcd {
            DistributionEtcd::Absent
        } else {
            distribution_etcd().await
        },
        runtime: runtime_file(paths),
        runtime_unit: systemd::unit("containerd").await.is_ok_and(|unit| unit.exists()),
    }
}

fn runtime_file(paths: &Paths) -> RuntimeFile {
    match fs::read_to_string(paths.at(container_runtime::CONFIG)) {
        Ok(text) => container_runtime::judge(&text),
        Err(_) => RuntimeFile::Untouched,
    }
}

fn is_program(name: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    // An administrator's shell may lack the directories that hold an administrator's programs.
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"])
        .any(|directory| Path::new(directory).join(name).is_file())
}

fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

fn missing_controllers() -> Vec<String> {
    let unified = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let classic = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    ["cpu", "memory", "pids"]
        .iter()
        .filter(|controller| {
            let in_unified = unified.split_whitespace().any(|one| one == **controller);
            let in_classic = classic.lines().any(|line| {
                let mut fields = line.split_whitespace();
                fields.next() == Some(controller) && fields.next_back() == Some("1")
            });
            !in_unified && !in_classic
        })
        .map(|controller| (*controller).to_owned())
        .collect()
}

/// Ports on which something listens for TCP.
fn busy_ports() -> BTreeSet<u16> {
    const LISTENING: &str = "0A";
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        (state == LISTENING).then(|| u16::from_str_radix(local.rsplit(':').next()?, 16).ok())?
    };
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(port).collect::<Vec<_>>())
        .collect()
}

/// Debian's etcd package starts a service of its own on the ports of ours.
async fn distribution_etcd() -> DistributionEtcd {
    let Ok(unit) = systemd::unit("etcd").await else { return DistributionEtcd::Absent };
    if !unit.exists() {
        return DistributionEtcd::Absent;
    }
    if unit.is_active() {
        let holds = match Etcd::plain("http://127.0.0.1:2379").await {
            Ok(mut etcd) => etcd.is_empty().await.ok(),
            Err(_) => None,
        };
        return match holds {
            Some(true) => DistributionEtcd::Idle,
            _ => DistributionEtcd::InUse,
        };
    }
    if unit.enabled == "enabled" { DistributionEtcd::Idle } else { DistributionEtcd::Absent }
}

/// Has the kernel load what pods' networks need, where it can load anything.
pub async fn load_modules() {
    for module in ["overlay", "br_netfilter", "nf_conntrack"] {
        let _ = tokio::process::Command::new("modprobe")
            .args(["--quiet", module])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
    }
}
