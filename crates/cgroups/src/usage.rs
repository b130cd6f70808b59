//! What a cgroup has used.

use crate::{Cgroups, Error, Version};

/// The use of processor and memory by a cgroup and everything below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since the cgroup was made, in nanoseconds.
    pub cpu_nanos: u64,
    /// Memory in bytes, page cache included.
    pub memory: u64,
    /// Memory that cannot be reclaimed easily: all of it without inactive file pages.
    pub working_set: u64,
    /// Anonymous memory.
    pub rss: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults that had to read from disk.
    pub major_page_faults: u64,
    /// The memory limit, where there is one.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
}

/// Above this a v1 limit is the kernel's way of saying that there is none.
const NO_LIMIT: u64 = 1 << 62;

impl Cgroups {
    /// Measures a cgroup.
    pub fn usage(&self, path: &str) -> Result<Usage, Error> {
        let pids = self.read("pids", path, "pids.current").ok().and_then(|text| text.trim().parse().ok());
        let mut usage = match self.version() {
            Version::V1 => self.usage_v1(path)?,
            Version::V2 => self.usage_v2(path)?,
        };
        usage.pids = pids.unwrap_or_default();
        Ok(usage)
    }

    fn usage_v1(&self, path: &str) -> Result<Usage, Error> {
        let stat = self.read("memory", path, "memory.stat")?;
        // The root cgroup accounts for the machine; its own usage file leaves out the page cache of others.
        let memory = number(&self.read("memory", path, "memory.usage_in_bytes")?);
        let limit = number(&self.read("memory", path, "memory.limit_in_bytes")?);
        Ok(Usage {
            cpu_nanos: number(&self.read("cpuacct", path, "cpuacct.usage")?),
            memory,
            working_set: memory.saturating_sub(field(&stat, "total_inactive_file")),
            rss: field(&stat, "total_rss"),
            page_faults: field(&stat, "total_pgfault"),
            major_page_faults: field(&stat, "total_pgmajfault"),
            memory_limit: (limit < NO_LIMIT).then_some(limit),
            pids: 0,
        })
    }

    fn usage_v2(&self, path: &str) -> Result<Usage, Error> {
        let stat = self.read("memory", path, "memory.stat")?;
        let cpu = self.read("cpu", path, "cpu.stat")?;
        // The root cgroup has no memory.current: the sum of what its statistics count stands in for it.
        let memory = match self.read("memory", path, "memory.current") {
            Ok(text) => number(&text),
            Err(_) => field(&stat, "anon") + field(&stat, "file"),
        };
        let limit = self.read("memory", path, "memory.max").ok().and_then(|text| text.trim().parse().ok());
        Ok(Usage {
            cpu_nanos: field(&cpu, "usage_usec").saturating_mul(1000),
            memory,
            working_set: memory.saturating_sub(field(&stat, "inactive_file")),
            rss: field(&stat, "anon"),
            page_faults: field(&stat, "pgfault"),
            major_page_faults: field(&stat, "pgmajfault"),
            memory_limit: limit,
            pids: 0,
        })
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_default()
}

/// Reads one field of a file of `name value` lines; a missing one is 0.
fn field(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(key, _)| *key == name).map(|(_, value)| number(value)).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_working_set_leaves_out_inactive_file_pages() {
        let mount = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(mount.path().join(file), text).unwrap();
        write("cgroup.controllers", "cpu memory pids");
        fs::create_dir(mount.path().join("a")).unwrap();
        write("a/memory.stat", "anon 100\nfile 50\ninactive_file 30\npgfault 7\npgmajfault 1\n");
        write("a/memory.current", "160\n");
        write("a/memory.max", "max\n");
        write("a/cpu.stat", "usage_usec 12\nuser_usec 5\n");
        write("a/pids.current", "3\n");
        let usage = Cgroups::detect(mount.path()).unwrap().usage("/a").unwrap();
        let expected = Usage {
            cpu_nanos: 12_000,
            memory: 160,
            working_set: 130,
            rss: 100,
            page_faults: 7,
            major_page_faults: 1,
            memory_limit: None,
            pids: 3,
        };
        assert_eq!(usage, expected);
    }
}
