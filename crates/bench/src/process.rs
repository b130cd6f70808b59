//! What the kernel accounts to a process: processor time and memory.

use std::{fs, time::Duration};

use anyhow::Context as _;

/// Processor time of all threads of a process so far, threads that have ended included.
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    // proc(5): fields 14 and 15 of stat are ticks of user and system time; the kernel's HZ for them is always 100.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let after = stat.rsplit_once(')').context("stat has a command name")?.1;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let (user, system) = (ticks().context("utime")?, ticks().context("stime")?);
    Ok(Duration::from_millis((user + system) * 10))
}

/// Resident memory of a process, in MiB.
pub fn resident(pid: u32) -> anyhow::Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS")?;
    Ok(kibibytes / 1024.0)
}
