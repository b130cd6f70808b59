//! The group `rbac.authorization.k8s.io`.

use super::Row;
use crate::kinds::*;
use crate::resource::Resource;

const V1: (&str, &str) = ("rbac.authorization.k8s.io", "v1");

pub(super) const RESOURCES: &[Resource] = &[
    Row::cluster(
        V1,
        "clusterrolebindings",
        "clusterrolebinding",
        ("ClusterRoleBinding", "ClusterRoleBindingList"),
        RBAC_V1_CLUSTERROLEBINDING,
    )
    .build(),
    Row::cluster(V1, "clusterroles", "clusterrole", ("ClusterRole", "ClusterRoleList"), RBAC_V1_CLUSTERROLE)
        .build(),
    Row::namespaced(
        V1,
        "rolebindings",
        "rolebinding",
        ("RoleBinding", "RoleBindingList"),
        RBAC_V1_ROLEBINDING,
    )
    .build(),
    Row::namespaced(V1, "roles", "role", ("Role", "RoleList"), RBAC_V1_ROLE).build(),
];
