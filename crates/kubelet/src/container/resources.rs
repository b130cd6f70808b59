//! Requests and limits as the kernel takes them: of a container, of a pod's cgroup and of a QoS class's.

use apimachinery::Quantity;
use cgroups::{Limits, convert};
use cri::v1;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use podrules::requests::{self, QosClass, Resources};

use crate::pod;

/// The parts of a machine that the arithmetic needs.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Memory in bytes.
    pub memory: i64,
    /// Whether CPU limits become quotas.
    pub cpu_quota: bool,
}

fn amount(resources: Option<&ResourceRequirements>, limits: bool, name: &str) -> Option<Quantity> {
    let resources = resources?;
    let list = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
    list?.get(name)?.0.parse().ok()
}

/// Describes a container's limits to the runtime.
pub fn container(
    pod: &Pod,
    container: &Container,
    machine: Machine,
    cgroup_v2: bool,
) -> v1::LinuxContainerResources {
    let resources = container.resources.as_ref();
    let milli = |limits| amount(resources, limits, "cpu").map(|cpu| cpu.milli_value());
    let limit = milli(true).unwrap_or_default();
    // A limit without a request counts as the request; the API server fills it in, static pods may not have it.
    let request = milli(false).unwrap_or(limit);
    let shares = convert::milli_cpu_to_shares(request);
    let quota =
        if machine.cpu_quota { convert::milli_cpu_to_quota(limit, convert::QUOTA_PERIOD) } else { None };
    let memory = amount(resources, true, "memory").map_or(0, |memory| memory.value());
    let mut unified = std::collections::BTreeMap::new();
    if cgroup_v2 {
        // One process out of memory takes its whole container with it, as upstream (singleProcessOOMKill unset).
        unified.insert("memory.oom.group".to_owned(), "1".to_owned());
    }
    v1::LinuxContainerResources {
        cpu_period: if quota.is_some() {
            i64::try_from(convert::QUOTA_PERIOD).unwrap_or_default()
        } else {
            0
        },
        cpu_quota: quota.unwrap_or_default(),
        cpu_shares: i64::try_from(shares).unwrap_or_default(),
        memory_limit_in_bytes: memory,
        oom_score_adj: oom_score_adj(pod, container, machine.memory),
        // A limit on memory is a limit on memory and swap together: no swap.
        memory_swap_limit_in_bytes: memory,
        hugepage_limits: hugepages(resources),
        unified,
        ..v1::LinuxContainerResources::default()
    }
}

fn hugepages(resources: Option<&ResourceRequirements>) -> Vec<v1::HugepageLimit> {
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    limits
        .into_iter()
        .flatten()
        .filter_map(|(name, amount)| {
            let size: Quantity = name.strip_prefix("hugepages-")?.parse().ok()?;
            let limit = amount.0.parse::<Quantity>().ok()?.value();
            Some(v1::HugepageLimit { page_size: page_size(size.value()), limit: u64::try_from(limit).ok()? })
        })
        .collect()
}

/// A page size as the kernel's hugetlb files name it.
fn page_size(bytes: i64) -> String {
    for (unit, name) in [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")] {
        if bytes >= unit && bytes % unit == 0 {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

/// How soon the kernel picks a container when the node is out of memory: what asked for much is spared.
pub fn oom_score_adj(pod: &Pod, container: &Container, memory: i64) -> i64 {
    const CRITICAL: i32 = 2_000_000_000;
    if pod::spec(pod).priority.is_some_and(|priority| priority >= CRITICAL) {
        return -997;
    }
    match requests::qos_class(pod) {
        QosClass::Guaranteed => -997,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let request =
                amount(container.resources.as_ref(), false, "memory").map_or(0, |memory| memory.value());
            let adjusted =
                1000 - i64::try_from(i128::from(request) * 1000 / i128::from(memory.max(1))).unwrap_or(1000);
            // Above the guaranteed ones, below those that asked for nothing.
            if adjusted < 3 { 3 } else { adjusted.min(999) }
        }
    }
}

/// The limits of a pod's own cgroup.
pub fn pod(pod: &Pod, cpu_quota: bool, pids: i64) -> Limits {
    let spec = pod::spec(pod);
    let (asked, limited) = (requests::requests(spec), requests::limits(spec));
    let milli = |resources: &Resources| resources.get("cpu").map_or(0, |cpu| cpu.milli_value());
    // A pod is bounded only when each of its containers is.
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let bounded = |name: &str| {
        let whole = amount(spec.resources.as_ref(), true, name).is_some();
        whole || containers().all(|container| amount(container.resources.as_ref(), true, name).is_some())
    };
    let mut limits = Limits {
        cpu_shares: Some(convert::milli_cpu_to_shares(milli(&asked))),
        pids: (pids > 0).then_some(pids),
        ..Limits::default()
    };
    if requests::qos_class(pod) == QosClass::BestEffort {
        limits.cpu_shares = Some(convert::MIN_SHARES);
        return limits;
    }
    if cpu_quota && bounded("cpu") {
        limits.cpu_quota = convert::milli_cpu_to_quota(milli(&limited), convert::QUOTA_PERIOD);
    }
    if bounded("memory") {
        limits.memory = limited.get("memory").map(|memory| memory.value()).filter(|memory| *memory > 0);
    }
    limits
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn a_pod(containers: &[Value]) -> Pod {
        let listed: Vec<Value> = containers
            .iter()
            .enumerate()
            .map(|(index, resources)| json!({"name": index.to_string(), "resources": resources}))
            .collect();
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": listed}})).unwrap()
    }

    const MACHINE: Machine = Machine { memory: 4_000_000_000, cpu_quota: true };

    #[test]
    fn a_containers_amounts() {
        let both = json!({"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "64Mi"}});
        let pod = a_pod(&[both]);
        let resources = container(&pod, &pod::spec(&pod).containers[0], MACHINE, false);
        assert_eq!((resources.cpu_shares, resources.cpu_quota, resources.cpu_period), (256, 50_000, 100_000));
        assert_eq!(resources.memory_limit_in_bytes, 64 << 20);
        let pod = a_pod(&[json!({})]);
        let resources = container(&pod, &pod::spec(&pod).containers[0], MACHINE, false);
        assert_eq!((resources.cpu_shares, resources.cpu_quota, resources.memory_limit_in_bytes), (2, 0, 0));
    }

    #[test]
    fn oom_scores_by_class() {
        let score = |resources: Value| {
            let pod = a_pod(&[resources]);
            oom_score_adj(&pod, &pod::spec(&pod).containers[0], MACHINE.memory)
        };
        assert_eq!(score(json!({})), 1000);
        assert_eq!(
            score(json!({"limits": {"cpu": "1", "memory": "1G"}, "requests": {"cpu": "1", "memory": "1G"}})),
            -997
        );
        assert_eq!(score(json!({"requests": {"memory": "1G"}})), 750);
        assert_eq!(score(json!({"requests": {"cpu": "1"}})), 999);
        assert_eq!(score(json!({"requests": {"memory": "40G"}})), 3);
    }

    #[test]
    fn a_pod_is_bounded_when_all_its_containers_are() {
        let limited =
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}});
        let one = pod(&a_pod(std::slice::from_ref(&limited)), true, -1);
        assert_eq!((one.cpu_shares, one.cpu_quota, one.memory), (Some(102), Some(100_000), Some(1 << 30)));
        let open = pod(&a_pod(&[limited, json!({})]), true, 100);
        assert_eq!(
            (open.cpu_shares, open.cpu_quota, open.memory, open.pids),
            (Some(102), None, None, Some(100))
        );
        assert_eq!(pod(&a_pod(&[json!({})]), true, -1).cpu_shares, Some(2));
    }

    #[test]
    fn page_sizes_are_spelled_as_the_kernel_does() {
        assert_eq!((page_size(2 << 20).as_str(), page_size(1 << 30).as_str()), ("2MB", "1GB"));
    }
}
