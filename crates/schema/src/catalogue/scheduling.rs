//! The group `scheduling.k8s.io`.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const V1: (&str, &str) = ("scheduling.k8s.io", "v1");
const V1ALPHA2: (&str, &str) = ("scheduling.k8s.io", "v1alpha2");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(
        V1,
        "priorityclasses",
        "priorityclass",
        ("PriorityClass", "PriorityClassList"),
        SCHEDULING_V1_PRIORITYCLASS,
    )
    .short(&["pc"])
    .build(),
    Row::namespaced(
        V1ALPHA2,
        "podgroups",
        "podgroup",
        ("PodGroup", "PodGroupList"),
        SCHEDULING_V1ALPHA2_PODGROUP,
    )
    .subresources(STATUS)
    .off(Stability::Alpha)
    .build(),
    Row::namespaced(
        V1ALPHA2,
        "workloads",
        "workload",
        ("Workload", "WorkloadList"),
        SCHEDULING_V1ALPHA2_WORKLOAD,
    )
    .off(Stability::Alpha)
    .build(),
];
