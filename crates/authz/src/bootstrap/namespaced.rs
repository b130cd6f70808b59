//! Roles inside `kube-system` and `kube-public`.

use super::table::{EVENTS, READ, Role, named, on, role};

/// Roles by namespace.
pub(super) const ROLES: &[(&str, Role)] = &[
    (
        "kube-public",
        role(
            "system:controller:bootstrap-signer",
            &[on("core", "configmaps", READ), named("core", "configmaps", "cluster-info", "update"), EVENTS],
        ),
    ),
    (
        "kube-system",
        role(
            "extension-apiserver-authentication-reader",
            &[named("core", "configmaps", "extension-apiserver-authentication", READ)],
        ),
    ),
    (
        "kube-system",
        role(
            "system::leader-locking-kube-controller-manager",
            &[
                on("coordination.k8s.io", "leases", "create get list update watch"),
                on("coordination.k8s.io", "leasecandidates", "create get list update watch"),
            ],
        ),
    ),
    (
        "kube-system",
        role(
            "system::leader-locking-kube-scheduler",
            &[
                on("coordination.k8s.io", "leases", "create get list update watch"),
                on("coordination.k8s.io", "leasecandidates", "create get list update watch"),
            ],
        ),
    ),
    ("kube-system", role("system:controller:bootstrap-signer", &[on("core", "secrets", READ)])),
    (
        "kube-system",
        role("system:controller:cloud-provider", &[on("core", "configmaps", "create get list watch")]),
    ),
    (
        "kube-system",
        role("system:controller:token-cleaner", &[on("core", "secrets", "delete get list watch"), EVENTS]),
    ),
];
