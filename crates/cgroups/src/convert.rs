//! Arithmetic between the API's CPU amounts and what the kernel takes.

/// The period quotas are measured over, in microseconds (upstream's `--cpu-cfs-quota-period`, 100 ms).
pub const QUOTA_PERIOD: u64 = 100_000;
/// The smallest share the kernel takes.
pub const MIN_SHARES: u64 = 2;
/// The largest share the kernel takes.
pub const MAX_SHARES: u64 = 262_144;
/// The smallest quota the kernel takes, in microseconds.
const MIN_QUOTA: i64 = 1_000;

/// Converts a CPU request in thousandths to CPU shares.
pub fn milli_cpu_to_shares(milli_cpu: i64) -> u64 {
    let Ok(milli_cpu) = u64::try_from(milli_cpu) else { return MIN_SHARES };
    (milli_cpu.saturating_mul(1024) / 1000).clamp(MIN_SHARES, MAX_SHARES)
}

/// Converts a CPU limit in thousandths to a quota per `period` microseconds; none is no limit.
pub fn milli_cpu_to_quota(milli_cpu: i64, period: u64) -> Option<i64> {
    if milli_cpu <= 0 {
        return None;
    }
    let period = i64::try_from(period).unwrap_or(i64::MAX);
    Some((milli_cpu.saturating_mul(period) / 1000).max(MIN_QUOTA))
}

/// Converts cgroup v1 shares to a cgroup v2 weight, the range 2–262144 onto 1–10000.
pub fn shares_to_weight(shares: u64) -> u64 {
    let shares = shares.clamp(MIN_SHARES, MAX_SHARES);
    1 + ((shares - MIN_SHARES) * 9_999) / (MAX_SHARES - MIN_SHARES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_request() {
        for (milli, shares) in [
            (-5, 2),
            (0, 2),
            (1, 2),
            (2, 2),
            (10, 10),
            (100, 102),
            (250, 256),
            (1000, 1024),
            (300_000, 262_144),
        ] {
            assert_eq!(milli_cpu_to_shares(milli), shares, "{milli}m");
        }
    }

    #[test]
    fn quotas_have_a_floor() {
        for (milli, quota) in [
            (0, None),
            (1, Some(1000)),
            (5, Some(1000)),
            (10, Some(1000)),
            (100, Some(10_000)),
            (1500, Some(150_000)),
        ] {
            assert_eq!(milli_cpu_to_quota(milli, QUOTA_PERIOD), quota, "{milli}m");
        }
    }

    #[test]
    fn weights_span_the_range() {
        for (shares, weight) in [(0, 1), (2, 1), (102, 4), (1024, 39), (262_144, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(shares_to_weight(shares), weight, "{shares}");
        }
    }
}
