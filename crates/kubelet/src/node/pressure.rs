//! Whether the node runs short of memory, disk or processes, and which pod goes first when it does.

use std::collections::BTreeMap;

use super::machine::{Disk, amount};
use crate::pod;
use k8s_openapi::api::core::v1::Pod;
use podrules::requests::{self, QosClass};

/// What the node has left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Memory: whole and available.
    pub memory: (u64, u64),
    /// The filesystem of the kubelet's folder.
    pub disk: Disk,
    /// Processes: limit and present.
    pub pids: (u64, u64),
}

/// What the node runs short of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Memory.
    pub memory: bool,
    /// Disk or inodes.
    pub disk: bool,
    /// Processes.
    pub pids: bool,
}

/// Compares what is left with the hard thresholds.
pub fn pressure(left: &Left, thresholds: &BTreeMap<String, String>) -> Pressure {
    let below = |signal: &str, whole: u64, available: u64| {
        let threshold = thresholds.get(signal).and_then(|text| amount(text, whole));
        whole > 0 && threshold.is_some_and(|threshold| available < threshold)
    };
    let free_pids = left.pids.0.saturating_sub(left.pids.1);
    Pressure {
        memory: below("memory.available", left.memory.0, left.memory.1),
        disk: below("nodefs.available", left.disk.capacity, left.disk.available)
            || below("nodefs.inodesFree", left.disk.inodes, left.disk.inodes_free),
        pids: below("pid.available", left.pids.0, free_pids),
    }
}

/// Picks the pod to evict for memory: those above their request first, then by priority, then by how far above.
pub fn victim<'a>(pods: impl Iterator<Item = (&'a Pod, u64)>) -> Option<&'a Pod> {
    const CRITICAL: i32 = 2_000_000_000;
    pods.filter(|(pod, _)| {
        let critical = pod::spec(pod).priority.is_some_and(|priority| priority >= CRITICAL);
        !critical && !pod::is_static(pod) && !pod::is_deleting(pod)
    })
    .max_by_key(|(pod, used)| {
        let requests = requests::requests(pod::spec(pod));
        let asked = requests.get("memory").map_or(0, |memory| memory.value());
        let above = i128::from(*used) - i128::from(asked);
        let best_effort = requests::qos_class(pod) == QosClass::BestEffort;
        (above > 0, std::cmp::Reverse(pod::spec(pod).priority.unwrap_or_default()), best_effort, above)
    })
    .map(|(pod, _)| pod)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thresholds_are_amounts_or_shares() {
        let thresholds = BTreeMap::from([
            ("memory.available".to_owned(), "100".to_owned()),
            ("nodefs.available".to_owned(), "10%".to_owned()),
        ]);
        let disk = |available| Disk { capacity: 1000, available, inodes: 10, inodes_free: 0 };
        let left = Left { memory: (1000, 100), disk: disk(100), pids: (10, 10) };
        assert_eq!(pressure(&left, &thresholds), Pressure::default());
        let left = Left { memory: (1000, 99), disk: disk(99), pids: (10, 10) };
        assert_eq!(pressure(&left, &thresholds), Pressure { memory: true, disk: true, pids: false });
    }

    #[test]
    fn who_uses_more_than_it_asked_for_goes_first() {
        let pod = |name: &str, memory: &str, priority: i32| -> Pod {
            serde_json::from_value(
                json!({"metadata": {"name": name}, "spec": {"priority": priority, "containers": [
                {"name": "c", "resources": {"requests": {"memory": memory}}}]}}),
            )
            .unwrap()
        };
        let pods =
            [pod("within", "100", 0), pod("over", "10", 0), pod("far-over", "10", 0), pod("dear", "1", 9)];
        let used = [90, 20, 50, 99];
        let pick = |count: usize| {
            victim(pods.iter().take(count).zip(used)).map(|pod| pod.metadata.name.clone().unwrap()).unwrap()
        };
        assert_eq!(
            (pick(1).as_str(), pick(2).as_str(), pick(3).as_str(), pick(4).as_str()),
            ("within", "over", "far-over", "far-over")
        );
    }
}
