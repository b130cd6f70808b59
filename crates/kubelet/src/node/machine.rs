//! What this machine is: its size, its system, its addresses.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::Path,
};

use apimachinery::Quantity;

use crate::{eviction::threshold::Signal, settings::Settings};

/// The architecture in Go's word.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The labels a node registers with.
pub fn labels(settings: &Settings) -> BTreeMap<String, String> {
    let mut labels = settings.node_labels.clone();
    for prefix in ["kubernetes.io", "beta.kubernetes.io"] {
        labels.insert(format!("{prefix}/arch"), architecture().to_owned());
        labels.insert(format!("{prefix}/os"), "linux".to_owned());
    }
    labels.insert("kubernetes.io/hostname".to_owned(), settings.node_name.clone());
    labels
}

/// Reads one line of `/proc/meminfo`, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The machine's memory in bytes: whole and available.
pub fn memory() -> (u64, u64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo(&text, "MemTotal").unwrap_or_default();
    (total, meminfo(&text, "MemAvailable").unwrap_or(total))
}

/// A filesystem's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// All of it, in bytes.
    pub capacity: u64,
    /// What is free for users, in bytes.
    pub available: u64,
    /// All inodes.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}

/// Measures the filesystem a path is on.
pub fn disk(path: &Path) -> Disk {
    let Ok(stat) = nix::sys::statvfs::statvfs(path) else { return Disk::default() };
    let fragment = stat.fragment_size();
    Disk {
        capacity: stat.blocks() * fragment,
        available: stat.blocks_available() * fragment,
        inodes: stat.files(),
        inodes_free: stat.files_free(),
    }
}

/// When the machine was started.
pub fn booted() -> Option<jiff::Timestamp> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    jiff::Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

/// How many processes the kernel takes, and how many there are.
pub fn processes() -> (u64, u64) {
    let read = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let limits = [read("/proc/sys/kernel/pid_max"), read("/proc/sys/kernel/threads-max")];
    let limit = limits.into_iter().flatten().min().unwrap_or(32_768);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = load.split_whitespace().nth(3).and_then(|tasks| tasks.split_once('/')?.1.parse().ok());
    (limit, running.unwrap_or_default())
}

/// What the node has, and what of it pods may use.
pub fn resources(settings: &Settings) -> (BTreeMap<String, String>, BTreeMap<String, Quantity>) {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    let (memory, _) = memory();
    let disk = disk(&settings.root_dir);
    let mut capacity = BTreeMap::from([
        ("cpu".to_owned(), cpus.to_string()),
        ("memory".to_owned(), format!("{}Ki", memory / 1024)),
        ("ephemeral-storage".to_owned(), format!("{}Ki", disk.capacity / 1024)),
        ("pods".to_owned(), settings.max_pods.to_string()),
    ]);
    for entry in fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let size =
            name.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("kB")?.parse::<u64>().ok());
        let count = fs::read_to_string(entry.path().join("nr_hugepages")).ok();
        if let (Some(size), Some(count)) = (size, count.and_then(|count| count.trim().parse::<u64>().ok())) {
            let unit = match size {
                size if size % (1 << 20) == 0 => format!("{}Gi", size >> 20),
                size if size % (1 << 10) == 0 => format!("{}Mi", size >> 10),
                size => format!("{size}Ki"),
            };
            let total = count * size;
            let amount = if total == 0 { "0".to_owned() } else { format!("{total}Ki") };
            capacity.insert(format!("hugepages-{unit}"), amount);
        }
    }
    let mut allocatable = unreserved(settings, &capacity);
    take(&mut allocatable, "memory", settings.eviction.kept(Signal::Memory, memory));
    take(&mut allocatable, "ephemeral-storage", settings.eviction.kept(Signal::Nodefs, disk.capacity));
    (capacity, allocatable)
}

/// What pods may use together before the kernel stops them: all but what is kept for the system.
pub fn for_pods(settings: &Settings) -> BTreeMap<String, Quantity> {
    let (capacity, _) = resources(settings);
    unreserved(settings, &capacity)
}

fn unreserved(settings: &Settings, capacity: &BTreeMap<String, String>) -> BTreeMap<String, Quantity> {
    let mut left: BTreeMap<String, Quantity> =
        capacity.iter().filter_map(|(name, amount)| Some((name.clone(), amount.parse().ok()?))).collect();
    for (name, kept) in &settings.reserved {
        take(&mut left, name, kept.parse().ok());
    }
    left
}

fn take(from: &mut BTreeMap<String, Quantity>, name: &str, kept: Option<Quantity>) {
    if let (Some(kept), Some(left)) = (kept, from.get_mut(name)) {
        *left = (*left - kept).max(Quantity::ZERO);
    }
}

/// The node's addresses: the given ones, or the one it would speak to the world from.
pub fn addresses(settings: &Settings) -> Vec<String> {
    if !settings.node_ips.is_empty() {
        return settings.node_ips.iter().map(ToString::to_string).collect();
    }
    default_address().map(|ip| ip.to_string()).into_iter().collect()
}

/// Asks the kernel which address it would send from; nothing is sent.
fn default_address() -> Option<IpAddr> {
    // An address of the documentation range stands for anywhere.
    let somewhere = SocketAddr::from(([192, 0, 2, 1], 9));
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(somewhere).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn line(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The system: machine id, system uuid, boot id, kernel, distribution.
pub fn system() -> k8s_openapi::api::core::v1::NodeSystemInfo {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kernel = nix::sys::utsname::uname().map(|uname| uname.release().to_string_lossy().into_owned());
    let machine_id = line("/etc/machine-id");
    let uuid = line("/sys/class/dmi/id/product_uuid");
    k8s_openapi::api::core::v1::NodeSystemInfo {
        architecture: architecture().to_owned(),
        boot_id: line("/proc/sys/kernel/random/boot_id"),
        kernel_version: kernel.unwrap_or_default(),
        kubelet_version: component::VERSION.to_owned(),
        operating_system: "linux".to_owned(),
        os_image: name.map(|name| name.trim_matches('"').to_owned()).unwrap_or_else(|| "Linux".to_owned()),
        system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
        machine_id,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "MemTotal:        1024 kB\nMemAvailable:    512 kB\n";
        assert_eq!(meminfo(text, "MemTotal"), Some(1 << 20));
        assert_eq!(meminfo(text, "Mem"), None);
    }
}
