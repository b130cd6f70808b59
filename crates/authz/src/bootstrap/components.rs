//! Roles of the cluster's components.

use super::table::{EVENTS, READ, READ_WRITE, Role, named, on, paths, role};

/// ClusterRoles of components.
pub(super) const ROLES: &[Role] = &[
    role(
        "system:auth-delegator",
        &[
            on("authentication.k8s.io", "tokenreviews", "create"),
            on("authorization.k8s.io", "subjectaccessreviews", "create"),
        ],
    ),
    role(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        &[on("certificates.k8s.io", "certificatesigningrequests/nodeclient", "create")],
    ),
    role(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        &[on("certificates.k8s.io", "certificatesigningrequests/selfnodeclient", "create")],
    ),
    role(
        "system:certificates.k8s.io:kube-apiserver-client-approver",
        &[named("certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client", "approve")],
    ),
    role(
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        &[named("certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet", "approve")],
    ),
    role(
        "system:certificates.k8s.io:kubelet-serving-approver",
        &[named("certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving", "approve")],
    ),
    role(
        "system:certificates.k8s.io:legacy-unknown-approver",
        &[named("certificates.k8s.io", "signers", "kubernetes.io/legacy-unknown", "approve")],
    ),
    role(
        "system:heapster",
        &[on("core", "events namespaces nodes pods", READ), on("extensions", "deployments", READ)],
    ),
    role("system:kube-aggregator", &[on("core", "endpoints services", READ)]),
    role(
        "system:kube-controller-manager",
        &[
            EVENTS,
            on("coordination.k8s.io", "leases", "create"),
            named("coordination.k8s.io", "leases", "kube-controller-manager", "get update"),
            on("core", "secrets serviceaccounts", "create"),
            on("core", "secrets", "delete"),
            on("core", "configmaps namespaces secrets serviceaccounts", "get"),
            on("core", "secrets serviceaccounts", "update"),
            on("authentication.k8s.io", "tokenreviews", "create"),
            on("authorization.k8s.io", "subjectaccessreviews", "create"),
            on("*", "*", "list watch"),
            on("core", "serviceaccounts/token", "create"),
        ],
    ),
    role("system:kube-dns", &[on("core", "endpoints services", "list watch")]),
    role(
        "system:kube-scheduler",
        &[
            EVENTS,
            on("coordination.k8s.io", "leases", "create"),
            named("coordination.k8s.io", "leases", "kube-scheduler", "get list update watch"),
            on("coordination.k8s.io", "leasecandidates", READ_WRITE),
            on("core", "nodes", READ),
            on("core", "pods", "delete get list watch"),
            on("core", "bindings pods/binding", "create"),
            on("core", "pods/status", "patch update"),
            on("core", "replicationcontrollers services", READ),
            on("apps extensions", "replicasets", READ),
            on("apps", "statefulsets", READ),
            on("policy", "poddisruptionbudgets", READ),
            on("core", "persistentvolumeclaims persistentvolumes", READ),
            on("authentication.k8s.io", "tokenreviews", "create"),
            on("authorization.k8s.io", "subjectaccessreviews", "create"),
            on("storage.k8s.io", "csinodes", READ),
            on("storage.k8s.io", "volumeattachments", READ),
            on("core", "namespaces", READ),
            on("storage.k8s.io", "csidrivers", READ),
            on("storage.k8s.io", "csistoragecapacities", READ),
            on("resource.k8s.io", "deviceclasses", READ),
            on("resource.k8s.io", "resourceclaims", "get list patch update watch"),
            on("resource.k8s.io", "resourceclaims/status", "get list patch update watch"),
            on("core", "pods/finalizers", "update"),
            on("resource.k8s.io", "resourceslices", READ),
            on("resource.k8s.io", "resourceclaims", "create delete"),
            on("resource.k8s.io", "resourceclaims/binding", "patch update"),
        ],
    ),
    role(
        "system:kubelet-api-admin",
        &[
            on("core", "nodes", READ),
            on("core", "nodes", "proxy"),
            on("core", "nodes/log nodes/metrics nodes/proxy nodes/stats", "*"),
            on("core", "nodes/configz nodes/healthz nodes/pods", "*"),
        ],
    ),
    role(
        "system:node",
        &[
            on("authentication.k8s.io", "tokenreviews", "create"),
            on("authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews", "create"),
            on("core", "services", READ),
            on("core", "nodes", "create get list watch"),
            on("core", "nodes/status", "patch update"),
            on("core", "nodes", "patch update"),
            EVENTS,
            on("core", "pods", READ),
            on("core", "pods", "create delete"),
            on("core", "pods/status", "patch update"),
            on("core", "pods/eviction", "create"),
            on("core", "configmaps secrets", READ),
            on("core", "persistentvolumeclaims persistentvolumes", "get"),
            on("core", "endpoints", "get"),
            on("certificates.k8s.io", "certificatesigningrequests", "create get list watch"),
            on("coordination.k8s.io", "leases", "create delete get patch update"),
            on("storage.k8s.io", "volumeattachments", "get"),
            on("core", "serviceaccounts/token", "create"),
            on("core", "persistentvolumeclaims/status", "get patch update"),
            on("storage.k8s.io", "csidrivers", READ),
            on("storage.k8s.io", "csinodes", "create delete get patch update"),
            on("node.k8s.io", "runtimeclasses", READ),
            on("resource.k8s.io", "resourceclaims", "get"),
            on("resource.k8s.io", "resourceslices", "deletecollection"),
            on("core", "serviceaccounts", "get"),
        ],
    ),
    role(
        "system:node-bootstrapper",
        &[on("certificates.k8s.io", "certificatesigningrequests", "create get list watch")],
    ),
    role(
        "system:node-problem-detector",
        &[on("core", "nodes", "get"), on("core", "nodes/status", "patch"), EVENTS],
    ),
    role(
        "system:node-proxier",
        &[
            on("core", "endpoints services", "list watch"),
            on("core", "nodes", READ),
            EVENTS,
            on("networking.k8s.io", "servicecidrs", "list watch"),
            on("discovery.k8s.io", "endpointslices", "list watch"),
        ],
    ),
    role(
        "system:persistent-volume-provisioner",
        &[
            on("core", "persistentvolumes", "create delete get list watch"),
            on("core", "persistentvolumeclaims", "get list update watch"),
            on("storage.k8s.io", "storageclasses", READ),
            on("core", "events", "watch"),
            EVENTS,
        ],
    ),
    role(
        "system:podnet",
        &[
            on("core", "namespaces nodes pods services", READ),
            on("core", "nodes/status", "patch"),
            on("discovery.k8s.io", "endpointslices", READ),
            on("networking.k8s.io", "networkpolicies", READ),
            EVENTS,
        ],
    ),
    role(
        "system:service-account-issuer-discovery",
        &[paths(
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
            "get",
        )],
    ),
    role(
        "system:volume-scheduler",
        &[
            on("core", "persistentvolumes", "get list patch update watch"),
            on("storage.k8s.io", "storageclasses", READ),
            on("core", "persistentvolumeclaims", "get list patch update watch"),
        ],
    ),
];
