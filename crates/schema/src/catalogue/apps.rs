//! The group `apps`.

use super::{Row, SCALE, STATUS, own};
use crate::kinds::*;
use crate::resource::Resource;

const V1: (&str, &str) = ("apps", "v1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::namespaced(
        V1,
        "controllerrevisions",
        "controllerrevision",
        ("ControllerRevision", "ControllerRevisionList"),
        APPS_V1_CONTROLLERREVISION,
    )
    .build(),
    Row::namespaced(V1, "daemonsets", "daemonset", ("DaemonSet", "DaemonSetList"), APPS_V1_DAEMONSET)
        .short(&["ds"])
        .categories(&["all"])
        .subresources(STATUS)
        .build(),
    Row::namespaced(V1, "deployments", "deployment", ("Deployment", "DeploymentList"), APPS_V1_DEPLOYMENT)
        .short(&["deploy"])
        .categories(&["all"])
        .subresources(&[SCALE, own("status")])
        .build(),
    Row::namespaced(V1, "replicasets", "replicaset", ("ReplicaSet", "ReplicaSetList"), APPS_V1_REPLICASET)
        .short(&["rs"])
        .categories(&["all"])
        .subresources(&[SCALE, own("status")])
        .selectable(&["status.replicas"])
        .build(),
    Row::namespaced(
        V1,
        "statefulsets",
        "statefulset",
        ("StatefulSet", "StatefulSetList"),
        APPS_V1_STATEFULSET,
    )
    .short(&["sts"])
    .categories(&["all"])
    .subresources(&[SCALE, own("status")])
    .build(),
];
