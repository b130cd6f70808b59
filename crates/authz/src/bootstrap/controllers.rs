//! Roles of the controller manager's loops: each runs as its own service account in `kube-system`.

use super::table::{EVENTS, READ, Role, named, on, role};

/// ClusterRoles `system:controller:<name>`, each bound to the service account `<name>`.
pub(super) const ROLES: &[Role] = &[
    role(
        "attachdetach-controller",
        &[
            on("core", "persistentvolumeclaims persistentvolumes", "list watch"),
            on("core", "nodes", READ),
            on("core", "nodes/status", "patch update"),
            on("core", "pods", "list watch"),
            EVENTS,
            on("storage.k8s.io", "volumeattachments", "create delete get list watch"),
            on("storage.k8s.io", "csidrivers", READ),
            on("storage.k8s.io", "csinodes", READ),
        ],
    ),
    role(
        "certificate-controller",
        &[
            on("certificates.k8s.io", "certificatesigningrequests", "delete get list watch"),
            on(
                "certificates.k8s.io",
                "certificatesigningrequests/approval certificatesigningrequests/status",
                "update",
            ),
            named("certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet", "approve"),
            named(
                "certificates.k8s.io",
                "signers",
                "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
                "sign",
            ),
            on("authorization.k8s.io", "subjectaccessreviews", "create"),
            EVENTS,
        ],
    ),
    role(
        "clusterrole-aggregation-controller",
        &[on("rbac.authorization.k8s.io", "clusterroles", "escalate get list patch update watch")],
    ),
    role(
        "cronjob-controller",
        &[
            on("batch", "cronjobs", "get list update watch"),
            on("batch", "jobs", "create delete get list patch update watch"),
            on("batch", "cronjobs/status", "update"),
            on("batch", "cronjobs/finalizers", "update"),
            on("core", "pods", "delete list watch"),
            EVENTS,
        ],
    ),
    role(
        "daemon-set-controller",
        &[
            on("apps extensions", "daemonsets", READ),
            on("apps extensions", "daemonsets/status", "update"),
            on("apps extensions", "daemonsets/finalizers", "update"),
            on("core", "nodes", "list watch"),
            on("core", "pods", "create delete list patch watch"),
            on("core", "pods/binding", "create"),
            on("apps", "controllerrevisions", "create delete get list patch update watch"),
            EVENTS,
        ],
    ),
    role(
        "deployment-controller",
        &[
            on("apps extensions", "deployments", "get list update watch"),
            on("apps extensions", "deployments/status", "update"),
            on("apps extensions", "deployments/finalizers", "update"),
            on("apps extensions", "replicasets", "create delete get list patch update watch"),
            on("core", "pods", "get list update watch"),
            EVENTS,
        ],
    ),
    role(
        "device-taint-eviction-controller",
        &[
            on("core", "pods", "delete get list watch"),
            on("core", "pods/status", "patch update"),
            on("resource.k8s.io", "resourceclaims", READ),
            on("resource.k8s.io", "resourceslices", READ),
            on("resource.k8s.io", "deviceclasses", READ),
            EVENTS,
        ],
    ),
    role(
        "disruption-controller",
        &[
            on("apps extensions", "deployments", READ),
            on("apps extensions", "replicasets", READ),
            on("core", "replicationcontrollers", READ),
            on("policy", "poddisruptionbudgets", READ),
            on("apps", "statefulsets", READ),
            on("policy", "poddisruptionbudgets/status", "update"),
            on("core", "pods/status", "patch update"),
            on("*", "*/scale", "get"),
            EVENTS,
        ],
    ),
    role(
        "endpoint-controller",
        &[
            on("core", "pods services", READ),
            on("core", "endpoints", "create delete get list update watch"),
            on("core", "endpoints/restricted", "create"),
            EVENTS,
        ],
    ),
    role(
        "endpointslice-controller",
        &[
            on("core", "nodes pods services", READ),
            on("core", "services/finalizers", "update"),
            on("discovery.k8s.io", "endpointslices", "create delete get list update watch"),
            on("discovery.k8s.io", "endpointslices/restricted", "create"),
            EVENTS,
        ],
    ),
    role(
        "endpointslicemirroring-controller",
        &[
            on("core", "endpoints services", READ),
            on("core", "services/finalizers", "update"),
            on("core", "endpoints/finalizers", "update"),
            on("discovery.k8s.io", "endpointslices", "create delete get list update watch"),
            on("discovery.k8s.io", "endpointslices/restricted", "create"),
            EVENTS,
        ],
    ),
    role(
        "ephemeral-volume-controller",
        &[
            on("core", "pods", READ),
            on("core", "pods/finalizers", "update"),
            on("core", "persistentvolumeclaims", "create get list watch"),
            EVENTS,
        ],
    ),
    role(
        "expand-controller",
        &[
            on("core", "persistentvolumes", "get list patch update watch"),
            on("core", "persistentvolumeclaims/status", "patch update"),
            on("core", "persistentvolumeclaims", READ),
            EVENTS,
        ],
    ),
    role("generic-garbage-collector", &[on("*", "*", "delete get list patch update watch"), EVENTS]),
    role(
        "horizontal-pod-autoscaler",
        &[
            on("autoscaling", "horizontalpodautoscalers", READ),
            on("autoscaling", "horizontalpodautoscalers/status", "update"),
            on("*", "*/scale", "get update"),
            on("core", "pods", "list watch"),
            on("metrics.k8s.io", "pods", "list watch"),
            on("custom.metrics.k8s.io", "*", READ),
            on("external.metrics.k8s.io", "*", READ),
            EVENTS,
        ],
    ),
    role(
        "job-controller",
        &[
            on("batch", "jobs", "get list patch update watch"),
            on("batch", "jobs/status", "update"),
            on("batch", "jobs/finalizers", "update"),
            on("core", "pods", "create delete list patch watch"),
            EVENTS,
        ],
    ),
    role(
        "legacy-service-account-token-cleaner",
        &[
            named("core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking", "get"),
            on("core", "secrets", "delete patch"),
        ],
    ),
    role(
        "namespace-controller",
        &[
            on("core", "namespaces", "delete get list watch"),
            on("core", "namespaces/finalize namespaces/status", "update"),
            on("*", "*", "delete deletecollection get list watch"),
        ],
    ),
    role(
        "node-controller",
        &[
            on("core", "nodes", "delete get list patch update watch"),
            on("core", "nodes/status", "patch update"),
            on("core", "pods/status", "patch update"),
            on("core", "pods", "delete get list watch"),
            EVENTS,
        ],
    ),
    role(
        "persistent-volume-binder",
        &[
            on("core", "persistentvolumes", "create delete get list update watch"),
            on("core", "persistentvolumes/status", "update"),
            on("core", "persistentvolumeclaims", "get list update watch"),
            on("core", "persistentvolumeclaims/status", "update"),
            on("core", "pods", "create delete get list watch"),
            on("storage.k8s.io", "storageclasses", READ),
            on("core", "nodes", "list watch"),
            EVENTS,
            on("core", "events", "watch"),
        ],
    ),
    role(
        "pod-garbage-collector",
        &[
            on("core", "pods", "delete list watch"),
            on("core", "nodes", READ),
            on("core", "pods/status", "patch"),
        ],
    ),
    role("pv-protection-controller", &[on("core", "persistentvolumes", "get list update watch"), EVENTS]),
    role(
        "pvc-protection-controller",
        &[
            on("core", "persistentvolumeclaims", "get list update watch"),
            on("core", "persistentvolumeclaims/status", "update"),
            on("core", "pods", READ),
            EVENTS,
        ],
    ),
    role(
        "replicaset-controller",
        &[
            on("apps extensions", "replicasets", "get list update watch"),
            on("apps extensions", "replicasets/status", "update"),
            on("apps extensions", "replicasets/finalizers", "update"),
            on("core", "pods", "create delete list patch watch"),
            EVENTS,
        ],
    ),
    role(
        "replication-controller",
        &[
            on("core", "replicationcontrollers", "get list update watch"),
            on("core", "replicationcontrollers/status", "update"),
            on("core", "replicationcontrollers/finalizers", "update"),
            on("core", "pods", "create delete list patch watch"),
            EVENTS,
        ],
    ),
    role(
        "resource-claim-controller",
        &[
            on("core", "pods", READ),
            on("core", "pods/finalizers", "update"),
            on("resource.k8s.io", "resourceclaims", "create delete get list watch"),
            on("resource.k8s.io", "resourceclaims resourceclaims/status", "patch update"),
            on("core", "pods/status", "patch update"),
            EVENTS,
            on("resource.k8s.io", "resourceclaims/binding", "patch update"),
        ],
    ),
    role(
        "resourcequota-controller",
        &[on("*", "*", "list watch"), on("core", "resourcequotas/status", "update"), EVENTS],
    ),
    role("root-ca-cert-publisher", &[on("core", "configmaps", "create update"), EVENTS]),
    role(
        "route-controller",
        &[on("core", "nodes", "list watch"), on("core", "nodes/status", "patch"), EVENTS],
    ),
    role(
        "selinux-warning-controller",
        &[
            EVENTS,
            on("core", "persistentvolumes", READ),
            on("core", "persistentvolumeclaims", READ),
            on("core", "pods", READ),
            on("storage.k8s.io", "csidrivers", READ),
        ],
    ),
    role("service-account-controller", &[on("core", "serviceaccounts", "create"), EVENTS]),
    role("service-ca-cert-publisher", &[on("core", "configmaps", "create update"), EVENTS]),
    role(
        "service-cidrs-controller",
        &[
            on("networking.k8s.io", "servicecidrs", "get list patch update watch"),
            on("networking.k8s.io", "servicecidrs/finalizers", "patch update"),
            on("networking.k8s.io", "servicecidrs/status", "patch update"),
            on("networking.k8s.io", "ipaddresses", READ),
            EVENTS,
        ],
    ),
    role(
        "service-controller",
        &[
            on("core", "services", READ),
            on("core", "services/status", "patch update"),
            on("core", "nodes", "list watch"),
            EVENTS,
        ],
    ),
    role(
        "statefulset-controller",
        &[
            on("core", "pods", "list watch"),
            on("apps", "statefulsets", READ),
            on("apps", "statefulsets/status", "update"),
            on("apps", "statefulsets/finalizers", "update"),
            on("core", "pods", "create delete get patch update"),
            on("apps", "controllerrevisions", "create delete get list patch update watch"),
            on("core", "persistentvolumeclaims", "create get list watch"),
            on("core", "persistentvolumeclaims", "delete update"),
            on("core", "pods/finalizers", "update"),
            EVENTS,
        ],
    ),
    role("ttl-after-finished-controller", &[on("batch", "jobs", "delete get list watch"), EVENTS]),
    role("ttl-controller", &[on("core", "nodes", "list patch update watch"), EVENTS]),
    role(
        "validatingadmissionpolicy-status-controller",
        &[
            on("admissionregistration.k8s.io", "validatingadmissionpolicies", READ),
            on("admissionregistration.k8s.io", "validatingadmissionpolicies/status", "get patch update"),
            EVENTS,
        ],
    ),
    role(
        "volumeattributesclass-protection-controller",
        &[
            on("core", "persistentvolumeclaims", READ),
            on("core", "persistentvolumes", READ),
            on("storage.k8s.io", "volumeattributesclasses", "get list update watch"),
            EVENTS,
        ],
    ),
];
