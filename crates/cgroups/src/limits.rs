//! What a cgroup may use, as the files of either version spell it.

use crate::{Version, convert};

/// Limits of one cgroup; what is none is left as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU weight, in v1 shares.
    pub cpu_shares: Option<u64>,
    /// CPU time per period in microseconds; −1 for no limit.
    pub cpu_quota: Option<i64>,
    /// The period of the quota in microseconds; [`convert::QUOTA_PERIOD`] when none.
    pub cpu_period: Option<u64>,
    /// Memory in bytes; −1 for no limit.
    pub memory: Option<i64>,
    /// Processes; −1 for no limit.
    pub pids: Option<i64>,
}

/// One file to write: controller, file, content.
pub(crate) type Setting = (&'static str, &'static str, String);

impl Limits {
    pub(crate) fn settings(&self, version: Version) -> Vec<Setting> {
        match version {
            Version::V1 => self.v1(),
            Version::V2 => self.v2(),
        }
    }

    fn v1(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        if let Some(shares) = self.cpu_shares {
            settings.push(("cpu", "cpu.shares", shares.to_string()));
        }
        if let Some(quota) = self.cpu_quota {
            let period = self.cpu_period.unwrap_or(convert::QUOTA_PERIOD);
            settings.push(("cpu", "cpu.cfs_period_us", period.to_string()));
            settings.push(("cpu", "cpu.cfs_quota_us", quota.to_string()));
        }
        if let Some(memory) = self.memory {
            settings.push(("memory", "memory.limit_in_bytes", memory.to_string()));
        }
        if let Some(pids) = self.pids {
            settings.push(("pids", "pids.max", or_max(pids)));
        }
        settings
    }

    fn v2(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        if let Some(shares) = self.cpu_shares {
            settings.push(("cpu", "cpu.weight", convert::shares_to_weight(shares).to_string()));
        }
        if let Some(quota) = self.cpu_quota {
            let period = self.cpu_period.unwrap_or(convert::QUOTA_PERIOD);
            settings.push(("cpu", "cpu.max", format!("{} {period}", or_max(quota))));
        }
        if let Some(memory) = self.memory {
            settings.push(("memory", "memory.max", or_max(memory)));
        }
        if let Some(pids) = self.pids {
            settings.push(("pids", "pids.max", or_max(pids)));
        }
        settings
    }
}

fn or_max(amount: i64) -> String {
    if amount < 0 { "max".to_owned() } else { amount.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_limit_is_spelled_two_ways() {
        let limits = Limits {
            cpu_shares: Some(1024),
            cpu_quota: Some(50_000),
            cpu_period: None,
            memory: Some(1 << 20),
            pids: Some(-1),
        };
        let text = |version| {
            let files =
                limits.settings(version).into_iter().map(|(_, file, value)| format!("{file}={value}"));
            files.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            text(Version::V1),
            "cpu.shares=1024\ncpu.cfs_period_us=100000\ncpu.cfs_quota_us=50000\nmemory.limit_in_bytes=1048576\npids.max=max"
        );
        assert_eq!(
            text(Version::V2),
            "cpu.weight=39\ncpu.max=50000 100000\nmemory.max=1048576\npids.max=max"
        );
    }
}
