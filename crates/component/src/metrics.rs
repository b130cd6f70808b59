//! Prometheus metrics: the process's registry, and the metrics every process has.

use std::{
    fs,
    sync::{LazyLock, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{Encoder as _, Gauge, TextEncoder};
pub use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, exponential_buckets,
    histogram_opts, opts, register_histogram, register_histogram_vec, register_int_counter,
    register_int_counter_vec, register_int_gauge, register_int_gauge_vec,
};

struct Process {
    cpu: Gauge,
    resident: IntGauge,
    virtual_size: IntGauge,
    open_files: IntGauge,
}

static PROCESS: LazyLock<Option<Process>> = LazyLock::new(|| {
    let started =
        Gauge::new("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
            .ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    started.set(*START.get_or_init(|| now));
    prometheus::register(Box::new(started)).ok()?;
    Some(Process {
        cpu: prometheus::register_gauge!(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds."
        )
        .ok()?,
        resident: register_int_gauge!("process_resident_memory_bytes", "Resident memory size in bytes.")
            .ok()?,
        virtual_size: register_int_gauge!("process_virtual_memory_bytes", "Virtual memory size in bytes.")
            .ok()?,
        open_files: register_int_gauge!("process_open_fds", "Number of open file descriptors.").ok()?,
    })
});

static START: OnceLock<f64> = OnceLock::new();

/// Seconds of processor time and bytes of resident and virtual memory of this process, from `/proc/self/stat`.
fn usage() -> Option<(f64, i64, i64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command name may hold spaces; fields count from after its closing bracket (proc(5): 14, 15, 23, 24).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let ticks = number(11)? + number(12)?;
    Some((ticks as f64 / 100.0, number(21)? * 4096, number(20)?))
}

/// All metrics of this process in Prometheus' text format.
pub fn text() -> Vec<u8> {
    if let (Some(process), Some((cpu, resident, virtual_size))) = (PROCESS.as_ref(), usage()) {
        process.cpu.set(cpu);
        process.resident.set(resident);
        process.virtual_size.set(virtual_size);
        process.open_files.set(fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as i64));
    }
    let mut buffer = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&prometheus::gather(), &mut buffer) {
        tracing::warn!(%error, "cannot encode metrics");
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_has_its_metrics() {
        let text = String::from_utf8(text()).unwrap();
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains("# TYPE process_cpu_seconds_total gauge"), "{text}");
    }
}
