//! What a pod asks for: requests and limits over all its containers, and its quality-of-service class.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus, ResourceRequirements};

/// Amounts by resource name (`cpu`, `memory`, `example.com/gpu`, …).
pub type Resources = BTreeMap<String, Quantity>;

type Listed = BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>;

/// Reads a resource list; amounts that cannot be parsed are left out (the API server refuses them).
pub fn parse(list: Option<&Listed>) -> Resources {
    list.into_iter()
        .flatten()
        .filter_map(|(name, amount)| Some((name.clone(), amount.0.parse().ok()?)))
        .collect()
}

/// Adds `more` to `sum`, resource by resource.
pub fn add(sum: &mut Resources, more: &Resources) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_insert(Quantity::ZERO);
        *entry = *entry + *amount;
    }
}

fn raise(most: &mut Resources, other: &Resources) {
    for (name, amount) in other {
        let entry = most.entry(name.clone()).or_insert(*amount);
        *entry = (*entry).max(*amount);
    }
}

/// Whether an init container keeps running beside the others (a sidecar).
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn total(pod: &PodSpec, of: impl Fn(Option<&ResourceRequirements>) -> Resources) -> Resources {
    let mut running = Resources::new();
    for container in &pod.containers {
        add(&mut running, &of(container.resources.as_ref()));
    }
    let mut sidecars = Resources::new();
    let mut starting = Resources::new();
    for container in pod.init_containers.iter().flatten() {
        let own = of(container.resources.as_ref());
        if is_sidecar(container) {
            add(&mut sidecars, &own);
            raise(&mut starting, &sidecars);
        } else {
            let mut with_sidecars = sidecars.clone();
            add(&mut with_sidecars, &own);
            raise(&mut starting, &with_sidecars);
        }
    }
    add(&mut running, &sidecars);
    raise(&mut running, &starting);
    running
}

/// What the pod requests: containers and sidecars together, or the largest step of its start if that is more;
/// pod-level requests win over the sum; plus the sandbox's overhead (upstream `resource.PodRequests`).
pub fn requests(pod: &PodSpec) -> Resources {
    let mut sum = total(pod, |resources| parse(resources.and_then(|resources| resources.requests.as_ref())));
    sum.extend(parse(pod.resources.as_ref().and_then(|resources| resources.requests.as_ref())));
    add(&mut sum, &parse(pod.overhead.as_ref()));
    sum
}

/// What the pod takes of its node: while it is being resized, the larger of what it asks for and what it has; what it
/// has where it asks for more than the node will ever have (KEP-1287, upstream `PodRequests` with `UseStatusResources`).
pub fn requests_on_node(spec: &PodSpec, status: &PodStatus) -> Resources {
    let statuses: BTreeMap<&str, &ContainerStatus> =
        [&status.container_statuses, &status.init_container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .map(|status| (status.name.as_str(), status))
            .collect();
    let held = |container: &Container| {
        let status = statuses.get(container.name.as_str())?;
        let granted = parse(status.allocated_resources.as_ref());
        let mut held = parse(status.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
        raise(&mut held, &granted);
        let asked = parse(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
        (!held.is_empty() && held != asked).then_some((asked, held))
    };
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    if !containers().any(|container| held(container).is_some()) {
        return requests(spec);
    }
    let never = status.conditions.iter().flatten().any(|condition| {
        condition.type_ == "PodResizePending" && condition.reason.as_deref() == Some("Infeasible")
    });
    let mut changed = spec.clone();
    let of_spec = changed.containers.iter_mut().chain(changed.init_containers.iter_mut().flatten());
    for (now, container) in of_spec.zip(containers()) {
        let Some((asked, mut held)) = held(container) else { continue };
        if !never {
            raise(&mut held, &asked);
        }
        let written = held.into_iter().map(|(name, amount)| {
            (name, k8s_openapi::apimachinery::pkg::api::resource::Quantity(amount.to_string()))
        });
        now.resources.get_or_insert_default().requests = Some(written.collect());
    }
    requests(&changed)
}

/// What the pod is limited to. Overhead is added only where there is a limit.
pub fn limits(pod: &PodSpec) -> Resources {
    let mut sum = total(pod, |resources| parse(resources.and_then(|resources| resources.limits.as_ref())));
    sum.extend(parse(pod.resources.as_ref().and_then(|resources| resources.limits.as_ref())));
    for (name, amount) in parse(pod.overhead.as_ref()) {
        if let Some(limit) = sum.get_mut(&name) {
            *limit = *limit + amount;
        }
    }
    sum
}

/// A pod's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QosClass {
    /// No requests and no limits.
    BestEffort,
    /// Some.
    Burstable,
    /// Every container's cpu and memory limited, requests equal to limits.
    Guaranteed,
}

impl QosClass {
    /// As `status.qosClass` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BestEffort => "BestEffort",
            Self::Burstable => "Burstable",
            Self::Guaranteed => "Guaranteed",
        }
    }
}

/// The pod's class: as recorded in its status, else computed.
pub fn qos_class(pod: &Pod) -> QosClass {
    match pod.status.as_ref().and_then(|status| status.qos_class.as_deref()) {
        Some("Guaranteed") => QosClass::Guaranteed,
        Some("Burstable") => QosClass::Burstable,
        Some("BestEffort") => QosClass::BestEffort,
        _ => pod.spec.as_ref().map_or(QosClass::BestEffort, compute_qos_class),
    }
}

/// Computes the class from the spec (upstream `ComputePodQOS`): only cpu and memory count.
pub fn compute_qos_class(pod: &PodSpec) -> QosClass {
    let computed = |resources: Option<&ResourceRequirements>| {
        let keep = |list: Option<&Listed>| -> Resources {
            parse(list)
                .into_iter()
                .filter(|(name, amount)| matches!(name.as_str(), "cpu" | "memory") && amount.sign() > 0)
                .collect()
        };
        (
            keep(resources.and_then(|resources| resources.requests.as_ref())),
            keep(resources.and_then(|resources| resources.limits.as_ref())),
        )
    };
    let each: Vec<(Resources, Resources)> = match pod.resources.as_ref() {
        Some(resources) => vec![computed(Some(resources))],
        None => pod
            .containers
            .iter()
            .chain(pod.init_containers.iter().flatten())
            .map(|container| computed(container.resources.as_ref()))
            .collect(),
    };
    if each.iter().all(|(requests, limits)| requests.is_empty() && limits.is_empty()) {
        return QosClass::BestEffort;
    }
    let guaranteed = each.iter().all(|(requests, limits)| {
        limits.len() == 2 && requests.iter().all(|(name, amount)| limits.get(name) == Some(amount))
    });
    if guaranteed { QosClass::Guaranteed } else { QosClass::Burstable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(value: Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    fn shown(resources: Resources) -> Vec<String> {
        resources.into_iter().map(|(name, amount)| format!("{name}={amount}")).collect()
    }

    #[test]
    fn requests_count_the_largest_step() {
        let pod = spec(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "10Mi"}}},
                {"name": "b", "resources": {"requests": {"cpu": "200m"}}}],
            "initContainers": [
                {"name": "i", "resources": {"requests": {"cpu": "1"}}},
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"memory": "5Mi"}}}],
            "overhead": {"cpu": "10m"}}));
        assert_eq!(shown(requests(&pod)), ["cpu=1010m", "memory=15Mi"]);
    }

    #[test]
    fn a_pod_that_is_resized_takes_the_larger() {
        let pod = spec(json!({"containers": [
            {"name": "a", "resources": {"requests": {"cpu": "2", "memory": "10Mi"}}},
            {"name": "b", "resources": {"requests": {"cpu": "100m"}}}]}));
        let taken = |conditions: Value, cpu: &str| {
            let status: PodStatus = serde_json::from_value(json!({
                "conditions": conditions,
                "containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "allocatedResources": {"cpu": cpu, "memory": "20Mi"}, "resources": {"requests": {"cpu": "1"}}}],
            }))
            .unwrap();
            shown(requests_on_node(&pod, &status)).join(" ")
        };
        assert_eq!(taken(json!([]), "1"), "cpu=2100m memory=20Mi");
        assert_eq!(taken(json!([]), "3"), "cpu=3100m memory=20Mi");
        let never = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        assert_eq!(taken(never, "1500m"), "cpu=1600m memory=20Mi");
        assert_eq!(shown(requests_on_node(&pod, &PodStatus::default())), ["cpu=2100m", "memory=10Mi"]);
    }

    #[test]
    fn pod_level_requests_win() {
        let pod = spec(json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}],
            "resources": {"requests": {"cpu": "3"}}}));
        assert_eq!(shown(requests(&pod)), ["cpu=3"]);
    }

    #[test]
    fn quality_of_service() {
        let of = |resources: Value| {
            compute_qos_class(&spec(json!({"containers": [{"name": "a", "resources": resources}]})))
        };
        assert_eq!(of(json!({})), QosClass::BestEffort);
        assert_eq!(of(json!({"requests": {"example.com/gpu": "1"}})), QosClass::BestEffort);
        assert_eq!(of(json!({"requests": {"cpu": "1"}})), QosClass::Burstable);
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(of(json!({"limits": both})), QosClass::Guaranteed);
        assert_eq!(
            of(json!({"limits": both, "requests": {"cpu": "1", "memory": "1Gi"}})),
            QosClass::Guaranteed
        );
        assert_eq!(of(json!({"limits": both, "requests": {"cpu": "500m"}})), QosClass::Burstable);
    }
}
