//! Small groups: events, policy, coordination, node, flow control and the server's own.

use super::{Row, STATUS};
use crate::kinds::*;
use crate::resource::{Resource, Stability};

const EVENTS_V1: (&str, &str) = ("events.k8s.io", "v1");
const POLICY_V1: (&str, &str) = ("policy", "v1");
const COORDINATION_V1: (&str, &str) = ("coordination.k8s.io", "v1");
const COORDINATION_V1BETA1: (&str, &str) = ("coordination.k8s.io", "v1beta1");
const COORDINATION_V1ALPHA2: (&str, &str) = ("coordination.k8s.io", "v1alpha2");
const NODE_V1: (&str, &str) = ("node.k8s.io", "v1");
const FLOWCONTROL_V1: (&str, &str) = ("flowcontrol.apiserver.k8s.io", "v1");
const INTERNAL_V1ALPHA1: (&str, &str) = ("internal.apiserver.k8s.io", "v1alpha1");

pub(super) const EVENTS: &[Resource] = &[
    // Another view of the core group's events, which is what is stored.
    Row::namespaced(EVENTS_V1, "events", "event", ("Event", "EventList"), EVENTS_V1_EVENT)
        .short(&["ev"])
        .stored_as("", "v1")
        .selectable(&[
            "reason",
            "regarding.apiVersion",
            "regarding.fieldPath",
            "regarding.kind",
            "regarding.name",
            "regarding.namespace",
            "regarding.resourceVersion",
            "regarding.uid",
            "reportingController",
            "type",
        ])
        .build(),
];

pub(super) const POLICY: &[Resource] = &[Row::namespaced(
    POLICY_V1,
    "poddisruptionbudgets",
    "poddisruptionbudget",
    ("PodDisruptionBudget", "PodDisruptionBudgetList"),
    POLICY_V1_PODDISRUPTIONBUDGET,
)
.short(&["pdb"])
.subresources(STATUS)
.build()];

pub(super) const COORDINATION: &[Resource] = &[
    Row::namespaced(COORDINATION_V1, "leases", "lease", ("Lease", "LeaseList"), COORDINATION_V1_LEASE)
        .build(),
    Row::namespaced(
        COORDINATION_V1BETA1,
        "leasecandidates",
        "leasecandidate",
        ("LeaseCandidate", "LeaseCandidateList"),
        COORDINATION_V1BETA1_LEASECANDIDATE,
    )
    .off(Stability::Beta)
    .build(),
    Row::namespaced(
        COORDINATION_V1ALPHA2,
        "leasecandidates",
        "leasecandidate",
        ("LeaseCandidate", "LeaseCandidateList"),
        COORDINATION_V1ALPHA2_LEASECANDIDATE,
    )
    .stored_as("coordination.k8s.io", "v1beta1")
    .off(Stability::Alpha)
    .build(),
];

pub(super) const NODE: &[Resource] = &[Row::cluster(
    NODE_V1,
    "runtimeclasses",
    "runtimeclass",
    ("RuntimeClass", "RuntimeClassList"),
    NODE_V1_RUNTIMECLASS,
)
.build()];

pub(super) const FLOWCONTROL: &[Resource] = &[
    Row::cluster(
        FLOWCONTROL_V1,
        "flowschemas",
        "flowschema",
        ("FlowSchema", "FlowSchemaList"),
        FLOWCONTROL_V1_FLOWSCHEMA,
    )
    .subresources(STATUS)
    .build(),
    Row::cluster(
        FLOWCONTROL_V1,
        "prioritylevelconfigurations",
        "prioritylevelconfiguration",
        ("PriorityLevelConfiguration", "PriorityLevelConfigurationList"),
        FLOWCONTROL_V1_PRIORITYLEVELCONFIGURATION,
    )
    .subresources(STATUS)
    .build(),
];

pub(super) const INTERNAL: &[Resource] = &[Row::cluster(
    INTERNAL_V1ALPHA1,
    "storageversions",
    "storageversion",
    ("StorageVersion", "StorageVersionList"),
    APISERVERINTERNAL_V1ALPHA1_STORAGEVERSION,
)
.subresources(STATUS)
.off(Stability::Alpha)
.build()];
