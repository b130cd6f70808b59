//! What Prometheus' clients tell of every process, and which build it is.

use std::{
    fs,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{Counter, Gauge, IntGauge, opts, register_counter, register_gauge, register_int_gauge};

struct Process {
    cpu: Counter,
    resident: IntGauge,
    virtual_size: IntGauge,
    open_files: IntGauge,
}

static PROCESS: LazyLock<Option<Process>> = LazyLock::new(|| register().ok());

fn register() -> Result<Process, prometheus::Error> {
    let started = register_gauge!(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds."
    )?;
    started.set(started_at().unwrap_or_else(now));
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most_files = register_gauge!("process_max_fds", "Maximum number of open file descriptors.")?;
    most_files.set(limit(&limits, "Max open files").unwrap_or_default());
    let most_memory = register_gauge!(
        "process_virtual_memory_max_bytes",
        "Maximum amount of virtual memory available in bytes."
    )?;
    most_memory.set(limit(&limits, "Max address space").unwrap_or_default());
    build()?.set(1.0);
    Ok(Process {
        cpu: register_counter!(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds."
        )?,
        resident: register_int_gauge!("process_resident_memory_bytes", "Resident memory size in bytes.")?,
        virtual_size: register_int_gauge!("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
        open_files: register_int_gauge!("process_open_fds", "Number of open file descriptors.")?,
    })
}

/// Which build this is; what other compilers and their times would say is left empty.
fn build() -> Result<Gauge, prometheus::Error> {
    let labels = [
        ("build_date", ""),
        ("compiler", "rustc"),
        ("git_commit", ""),
        ("git_tree_state", ""),
        ("git_version", crate::VERSION),
        ("go_version", ""),
        ("major", env!("CARGO_PKG_VERSION_MAJOR")),
        ("minor", env!("CARGO_PKG_VERSION_MINOR")),
        ("platform", PLATFORM),
    ];
    let mut options = opts!(
        "kubernetes_build_info",
        "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running."
    );
    for (name, value) in labels {
        options = options.const_label(name, value);
    }
    register_gauge!(options)
}

/// As Go names it.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

/// Brings the numbers up to date.
pub(super) fn update() {
    if let (Some(process), Some(usage)) = (PROCESS.as_ref(), usage()) {
        process.cpu.inc_by((usage.cpu - process.cpu.get()).max(0.0));
        process.resident.set(usage.resident);
        process.virtual_size.set(usage.virtual_size);
        process.open_files.set(fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as i64));
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

struct Usage {
    cpu: f64,
    resident: i64,
    virtual_size: i64,
}

/// The fields of `/proc/self/stat` after the command's name, which may hold spaces: the first is proc(5)'s third.
fn stat() -> Option<Vec<i64>> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.map(|field| field.parse().unwrap_or_default()).collect())
}

fn usage() -> Option<Usage> {
    let fields = stat()?;
    let ticks = fields.get(11)? + fields.get(12)?;
    let pages = fields.get(21)?;
    Some(Usage { cpu: ticks as f64 / TICKS, resident: pages * 4096, virtual_size: *fields.get(20)? })
}

/// Clock ticks a second in /proc, on every Linux that there is.
const TICKS: f64 = 100.0;

/// When the process was started: so long after the machine was.
fn started_at() -> Option<f64> {
    let started = *stat()?.get(19)? as f64 / TICKS;
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let booted = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
    Some(booted + started)
}

/// A soft limit in `/proc/self/limits`; one that is none is the greatest number there is, as Prometheus' clients say.
fn limit(limits: &str, name: &str) -> Option<f64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_has_its_metrics() {
        let text = String::from_utf8(super::super::text()).unwrap();
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains("# TYPE process_cpu_seconds_total counter"), "{text}");
        assert!(text.contains("git_version=\"v1.36.0\",go_version=\"\",major=\"1\",minor=\"36\""), "{text}");
        let age = now() - started_at().unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }

    #[test]
    fn limits_are_read_from_the_kernels_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max address space         unlimited            unlimited            bytes\n\
                     Max open files            1024                 4096                 files\n";
        assert_eq!(limit(table, "Max open files"), Some(1024.0));
        assert_eq!(limit(table, "Max address space"), Some(u64::MAX as f64));
        assert_eq!(limit(table, "Max pending signals"), None);
    }
}
