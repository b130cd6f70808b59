//! Resizing a pod where it runs (KEP-1287): what the node grants of what is asked for, and what of it is left to do.
//! Pure decisions; the worker carries them out.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::Quantity;
use cgroups::Limits;
use cri::v1::LinuxContainerResources;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus, ResourceRequirements};
use podrules::{
    conditions,
    requests::{self, Resources},
};

use crate::{
    container::resources::{self, Machine},
    observed::{Observed, State},
    pod::{self, Kind},
};

/// What can be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// How a pod's resize stands, for its conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resizing {
    /// It is not granted, and why: `Deferred` or `Infeasible`, and a message.
    pub pending: Option<(&'static str, String)>,
    /// The containers that do not have yet what was granted.
    pub unsettled: BTreeSet<String>,
    /// Why what was granted could not be carried out.
    pub error: Option<String>,
}

/// What the node says to a resize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It fits.
    Granted,
    /// It fits when others are gone.
    Deferred(String),
    /// It will never fit.
    Infeasible(String),
}

/// The requirements of every container, and of the pod as a whole, under the empty name.
fn requirements(spec: &PodSpec) -> BTreeMap<&str, Option<&ResourceRequirements>> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut found: BTreeMap<_, _> =
        containers.map(|container| (container.name.as_str(), container.resources.as_ref())).collect();
    found.insert("", spec.resources.as_ref());
    found
}

/// Tells whether two versions of a pod ask for the same processor and memory.
pub fn is_same(one: &Pod, other: &Pod) -> bool {
    let amounts = |requirements: Option<&ResourceRequirements>| {
        RESIZABLE.map(|name| {
            let of = |list: Option<&BTreeMap<String, _>>| -> Option<Quantity> {
                let amount: &k8s_openapi::apimachinery::pkg::api::resource::Quantity = list?.get(name)?;
                amount.0.parse().ok()
            };
            let requirements = requirements?;
            Some((of(requirements.requests.as_ref()), of(requirements.limits.as_ref())))
        })
    };
    let (one, other) = (requirements(pod::spec(one)), requirements(pod::spec(other)));
    one.len() == other.len()
        && one.iter().all(|(name, mine)| {
            other.get(name).is_some_and(|others| {
                let none = |amounts: [Option<(Option<Quantity>, Option<Quantity>)>; 2]| {
                    amounts.map(|amount| amount.unwrap_or_default())
                };
                none(amounts(*mine)) == none(amounts(*others))
            })
        })
}

/// The pod with the resources that another version of it has.
pub fn with_resources_of(pod: &Pod, other: &Pod) -> Pod {
    let mut pod = pod.clone();
    let theirs = requirements(pod::spec(other));
    if let Some(spec) = &mut pod.spec {
        spec.resources = theirs.get("").copied().flatten().cloned();
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            if let Some(resources) = theirs.get(container.name.as_str()) {
                container.resources = resources.cloned();
            }
        }
    }
    pod
}

/// The pod with the resources that its containers are said to have: what was granted before this kubelet started.
pub fn as_shown(pod: &Pod, status: &PodStatus) -> Pod {
    let mut pod = pod.clone();
    let shown: BTreeMap<&str, ResourceRequirements> =
        [&status.container_statuses, &status.init_container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|status| {
                let mut resources = status.resources.clone()?;
                if let Some(granted) = &status.allocated_resources {
                    resources.requests = Some(granted.clone());
                }
                Some((status.name.as_str(), resources))
            })
            .collect();
    if let Some(spec) = &mut pod.spec {
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            if let Some(resources) = shown.get(container.name.as_str()) {
                container.resources = Some(resources.clone());
            }
        }
    }
    pod
}

/// Decides about a resize, given what the node has and what it granted to the others.
pub fn decide<'a>(
    pod: &Pod,
    others: impl Iterator<Item = &'a Pod>,
    allocatable: &BTreeMap<String, Quantity>,
) -> Answer {
    let mut used = Resources::new();
    for other in others.filter(|other| !conditions::is_terminal(other) && pod::uid(other) != pod::uid(pod)) {
        requests::add(&mut used, &requests::requests(pod::spec(other)));
    }
    let asked = requests::requests(pod::spec(pod));
    for name in RESIZABLE {
        let amount =
            |quantity: &Quantity| if name == "cpu" { quantity.milli_value() } else { quantity.value() };
        let of = |list: &Resources| list.get(name).map_or(0, amount);
        let Some(capacity) = allocatable.get(name).map(amount) else { continue };
        let (requested, used) = (of(&asked), of(&used));
        if requested > capacity {
            return Answer::Infeasible(format!(
                "Node didn't have enough capacity: {name}, requested: {requested}, capacity: {capacity}"
            ));
        }
        if used.saturating_add(requested) > capacity {
            return Answer::Deferred(format!(
                "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
            ));
        }
    }
    Answer::Granted
}

/// A running container that does not have what was granted to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it takes the change only by starting again (`resizePolicy: RestartContainer`).
    pub restart: bool,
    /// Its memory limit in bytes where that is to become smaller.
    pub less_memory: Option<i64>,
    /// What it is to have.
    pub resources: LinuxContainerResources,
}

/// Lists the running containers that do not have what the pod grants them. A runtime that does not say what they have
/// is taken to have given it to them.
pub fn changes(pod: &Pod, observed: &Observed, machine: Machine, cgroup_v2: bool) -> Vec<Change> {
    let resizable = |kind: &Kind| matches!(kind, Kind::Regular | Kind::Sidecar);
    let containers = pod::containers(pod).into_iter().filter(|(kind, _)| resizable(kind));
    containers
        .filter_map(|(_, container)| {
            let current =
                observed.current(&container.name).filter(|current| current.state == State::Running)?;
            let has = current.resources.as_ref()?;
            let wanted = resources::container(pod, &container, machine, cgroup_v2);
            let limit = |amount: i64| if amount > 0 { amount } else { i64::MAX };
            let cpu = has.cpu_shares != wanted.cpu_shares || limit(has.cpu_quota) != limit(wanted.cpu_quota);
            let (had, gets) = (limit(has.memory_limit_in_bytes), limit(wanted.memory_limit_in_bytes));
            if !cpu && had == gets {
                return None;
            }
            Some(Change {
                id: current.id.clone(),
                restart: (cpu && restarts(&container, "cpu"))
                    || (had != gets && restarts(&container, "memory")),
                less_memory: (gets < had).then_some(gets),
                resources: wanted,
                name: container.name,
            })
        })
        .collect()
}

fn restarts(container: &Container, name: &str) -> bool {
    let mut policies = container.resize_policy.iter().flatten();
    policies.any(|policy| policy.resource_name == name && policy.restart_policy == "RestartContainer")
}

/// The wider of two limits, which a pod has while its containers go from one to the other.
pub fn wider(before: &Limits, after: &Limits) -> Limits {
    // What is not limited before or after is not in between.
    let most = |before: Option<i64>, after: Option<i64>| match (before, after) {
        (Some(before), Some(after)) if before > 0 && after > 0 => Some(before.max(after)),
        (None, None) => None,
        _ => Some(-1),
    };
    Limits {
        cpu_shares: before.cpu_shares.max(after.cpu_shares),
        cpu_quota: most(before.cpu_quota, after.cpu_quota),
        memory: most(before.memory, after.memory),
        ..after.clone()
    }
}

#[cfg(test)]
mod tests;
