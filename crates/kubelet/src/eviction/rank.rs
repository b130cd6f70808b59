//! Which pods go first when the node is short of something, and what is said of it.

use std::cmp::{Ordering, Reverse};

use apimachinery::{Quantity, quantity::Format};
use k8s_openapi::api::core::v1::{Container, Pod};
use podrules::requests;

use super::{
    threshold::{Resource, Threshold},
    tracker::{Observations, quantity},
    usage::{PodUsage, Where},
};
use crate::pod;

/// A pod with what it uses, where that could be measured.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// What it uses.
    pub usage: Option<&'a PodUsage>,
}

/// The priority from which on pods keep the system alive; upstream's `system-cluster-critical`.
const CRITICAL: i32 = 2_000_000_000;

/// Whether the node would be worse off without the pod.
pub fn is_critical(pod: &Pod) -> bool {
    pod::is_static(pod) || pod::spec(pod).priority.is_some_and(|priority| priority >= CRITICAL)
}

/// Puts the pods in the order in which they go: those that could not be measured, those that use more than they asked
/// for, then the lowest priority, then the furthest above what it asked for. Processes are asked for by nobody.
pub fn rank(pods: &mut [Candidate<'_>], resource: Resource, place: Where) {
    let key = |candidate: &Candidate<'_>| {
        let used = candidate.usage.map_or(0, |usage| usage.of(resource, place));
        let asked = requests::requests(pod::spec(candidate.pod));
        let asked = match resource {
            Resource::Pids => 0,
            _ => asked.get(resource.as_str()).map_or(0, Quantity::value),
        };
        let above = i128::from(used) - i128::from(asked);
        let exceeds = resource != Resource::Pids && above > 0;
        (
            candidate.usage.is_some(),
            Reverse(exceeds),
            pod::spec(candidate.pod).priority.unwrap_or(0),
            Reverse(above),
        )
    };
    pods.sort_by(|one, other| match key(one).cmp(&key(other)) {
        // Told apart by name, so that two looks agree.
        Ordering::Equal => pod::name(one.pod).cmp(pod::name(other.pod)),
        order => order,
    });
}

/// What is said of a pod that goes, in upstream's words.
pub fn message(candidate: &Candidate<'_>, due: &[&Threshold], observations: &Observations) -> String {
    let Some(first) = due.first() else { return String::new() };
    let resource = first.signal.resource();
    let mut message = format!("The node was low on resource: {resource}. ");
    let measured = due
        .iter()
        .filter(|threshold| threshold.signal.resource() == resource)
        .find_map(|threshold| Some((threshold, observations.get(&threshold.signal)?)));
    if let Some((threshold, observed)) = measured {
        let least = threshold.least.of(observed.capacity, threshold.signal.format());
        let available = quantity(observed.available, threshold.signal);
        message += &format!("Threshold quantity: {least}, available: {available}. ");
    }
    let spec = pod::spec(candidate.pod);
    for usage in candidate.usage.iter().flat_map(|usage| &usage.containers) {
        let used = match resource {
            Resource::Memory => usage.memory,
            Resource::EphemeralStorage => usage.layer.bytes + usage.logs.bytes,
            Resource::Inodes | Resource::Pids => continue,
        };
        let used = Quantity::from_value(i64::try_from(used).unwrap_or(i64::MAX), Format::BinarySi);
        let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let Some(container) = containers.find(|container| container.name == usage.name) else { continue };
        let asked = amount(container, false, resource.as_str()).unwrap_or(Quantity::ZERO);
        if used > asked {
            message += &format!(
                "Container {} was using {used}, request is {asked}, has larger consumption of {resource}. ",
                usage.name
            );
        }
    }
    message
}

/// A limit of the pod's own on disk that it has gone beyond, in upstream's words.
pub fn over_own_limit(pod: &Pod, usage: &PodUsage, runtime_is_apart: bool) -> Option<(&'static str, String)> {
    let spec = pod::spec(pod);
    let above = |used: u64, limit: Quantity| i128::from(used) > i128::from(limit.value());
    for volume in spec.volumes.iter().flatten() {
        let source = volume.empty_dir.as_ref();
        let limit = source.and_then(|source| source.size_limit.as_ref()?.0.parse::<Quantity>().ok());
        let used = usage.volumes.iter().find(|(name, _)| *name == volume.name);
        if let (Some(limit), Some((name, used))) = (limit.filter(|limit| limit.sign() > 0), used)
            && above(used.bytes, limit)
        {
            let message = format!("Usage of EmptyDir volume {name:?} exceeds the limit \"{limit}\". ");
            return Some(("emptydirfs.limit", message));
        }
    }
    let whole = requests::limits(spec).get("ephemeral-storage").copied();
    if let Some(limit) = whole
        && above(usage.disk(Where::Everything).bytes, limit)
    {
        let message =
            format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. ");
        return Some(("ephemeralpodfs.limit", message));
    }
    for container in &spec.containers {
        let Some(limit) = amount(container, true, "ephemeral-storage") else { continue };
        let Some(used) = usage.containers.iter().find(|used| used.name == container.name) else { continue };
        // A runtime with a filesystem of its own bounds its layers itself.
        let layer = if runtime_is_apart { 0 } else { used.layer.bytes };
        if above(used.logs.bytes + layer, limit) {
            let message = format!(
                "Container {} exceeded its local ephemeral storage limit \"{limit}\". ",
                container.name
            );
            return Some(("ephemeralcontainerfs.limit", message));
        }
    }
    None
}

/// Whether a pod has set itself limits on disk, so that it must be measured.
pub fn limits_itself(pod: &Pod) -> bool {
    let spec = pod::spec(pod);
    let on_disk = |source: &k8s_openapi::api::core::v1::EmptyDirVolumeSource| {
        source.size_limit.is_some() && source.medium.as_deref().unwrap_or_default().is_empty()
    };
    spec.volumes.iter().flatten().any(|volume| volume.empty_dir.as_ref().is_some_and(on_disk))
        || requests::limits(spec).contains_key("ephemeral-storage")
}

fn amount(container: &Container, limit: bool, name: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    let list = if limit { resources.limits.as_ref() } else { resources.requests.as_ref() };
    list?.get(name)?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::{Value, json};

    use super::{
        super::{
            threshold::{Given, Signal},
            tracker::Observation,
            usage::{ContainerUsage, Disk},
        },
        *,
    };

    const MI: u64 = 1 << 20;

    fn a_pod(name: &str, priority: i32, resources: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"priority": priority, "containers": [{"name": "c", "resources": resources}]},
        }))
        .unwrap()
    }

    fn asks(memory: &str) -> Value {
        json!({"requests": {"memory": memory}})
    }

    fn uses(memory: u64, processes: u64) -> PodUsage {
        let container = ContainerUsage { name: "c".into(), memory, ..ContainerUsage::default() };
        PodUsage { memory, processes, containers: vec![container], volumes: Vec::new() }
    }

    #[test]
    fn who_uses_more_than_it_asked_for_goes_first() {
        let pods = [
            (a_pod("guaranteed", 0, asks("100Mi")), uses(90 * MI, 9)),
            (a_pod("burstable", 0, asks("10Mi")), uses(30 * MI, 1)),
            (a_pod("best-effort", 0, json!({})), uses(40 * MI, 3)),
            (a_pod("dear-best-effort", 9, json!({})), uses(95 * MI, 2)),
            (a_pod("cheap", -1, asks("100Mi")), uses(MI, 1)),
        ];
        let order = |resource| {
            let mut candidates: Vec<Candidate<'_>> =
                pods.iter().map(|(pod, usage)| Candidate { pod, usage: Some(usage) }).collect();
            rank(&mut candidates, resource, Where::Everything);
            candidates.iter().map(|candidate| pod::name(candidate.pod)).collect::<Vec<_>>()
        };
        assert_eq!(
            order(Resource::Memory),
            ["best-effort", "burstable", "dear-best-effort", "cheap", "guaranteed"]
        );
        assert_eq!(
            order(Resource::Pids),
            ["cheap", "guaranteed", "best-effort", "burstable", "dear-best-effort"]
        );
    }

    #[test]
    fn what_nobody_could_measure_goes_before_all() {
        let (known, unknown) = (a_pod("known", 0, json!({})), a_pod("unknown", 5, json!({})));
        let usage = uses(MI, 1);
        let mut candidates =
            [Candidate { pod: &known, usage: Some(&usage) }, Candidate { pod: &unknown, usage: None }];
        rank(&mut candidates, Resource::Memory, Where::Everything);
        assert_eq!(pod::name(candidates[0].pod), "unknown");
    }

    #[test]
    fn the_message_is_upstreams() {
        let rules = Given {
            hard: BTreeMap::from([("memory.available".to_owned(), "100Mi".to_owned())]),
            ..Given::default()
        };
        let rules = rules.rules().unwrap();
        let observed = Observation { available: 1000 * 1024, capacity: 512 * MI };
        let observations = Observations::from([(Signal::AllocatableMemory, observed)]);
        let pod = a_pod("p", 0, asks("16Mi"));
        let usage = uses(30 * MI, 1);
        let due: Vec<&Threshold> = rules.thresholds.iter().collect();
        let message = message(&Candidate { pod: &pod, usage: Some(&usage) }, &due, &observations);
        assert_eq!(
            message,
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 1000Ki. Container c was using 30Mi, request is 16Mi, has larger consumption of memory. "
        );
        assert_eq!(rules.thresholds[0].grace, Duration::ZERO);
    }

    #[test]
    fn limits_on_disk_are_kept() {
        let check = |spec: Value, usage: &PodUsage, expected: Option<&str>| {
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            let found = over_own_limit(&pod, usage, false);
            assert_eq!(found.as_ref().map(|(_, message)| &**message), expected);
            let signals = ["emptydirfs.limit", "ephemeralpodfs.limit", "ephemeralcontainerfs.limit"];
            assert!(found.is_none_or(|(signal, _)| signals.contains(&signal)));
        };
        let disk = |bytes| Disk { bytes, inodes: 1 };
        let container =
            ContainerUsage { name: "c".into(), layer: disk(3 * MI), logs: disk(MI), ..Default::default() };
        let usage = PodUsage {
            containers: vec![container],
            volumes: vec![("scratch".into(), disk(2 * MI))],
            ..PodUsage::default()
        };
        let volume = |limit: &str| json!({"containers": [{"name": "c"}], "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": limit}}]});
        check(volume("2Mi"), &usage, None);
        check(
            volume("1Mi"),
            &usage,
            Some("Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Mi\". "),
        );
        let limited = |limit: &str| json!({"containers": [{"name": "c", "resources": {"limits": {"ephemeral-storage": limit}}}]});
        check(limited("6Mi"), &usage, None);
        check(
            limited("5Mi"),
            &usage,
            Some("Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "),
        );
        let mut pair = limited("3Mi");
        let other = json!({"name": "d", "resources": {"limits": {"ephemeral-storage": "9Mi"}}});
        pair["containers"].as_array_mut().unwrap().push(other);
        check(pair, &usage, Some("Container c exceeded its local ephemeral storage limit \"3Mi\". "));
    }
}
