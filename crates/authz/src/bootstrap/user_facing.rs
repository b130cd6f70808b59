//! Roles for people, and the parts that `admin`, `edit` and `view` are gathered from.

use super::table::{READ, READ_WRITE, Role, WRITE, on, paths, role};

/// ClusterRoles for people.
pub(super) const ROLES: &[Role] = &[
    Role { name: "admin", aggregates: Some("admin"), aggregated_to: None, rules: &[] },
    role("cluster-admin", &[on("*", "*", "*"), paths("*", "*")]),
    Role { name: "edit", aggregates: Some("edit"), aggregated_to: Some("admin"), rules: &[] },
    Role {
        name: "system:aggregate-to-admin",
        aggregates: None,
        aggregated_to: Some("admin"),
        rules: &[
            on("authorization.k8s.io", "localsubjectaccessreviews", "create"),
            on("rbac.authorization.k8s.io", "rolebindings roles", READ_WRITE),
        ],
    },
    Role {
        name: "system:aggregate-to-edit",
        aggregates: None,
        aggregated_to: Some("edit"),
        rules: &[
            on("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
            on("core", "serviceaccounts", "impersonate"),
            on("core", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
            on("core", "pods/eviction", "create"),
            on(
                "core",
                "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy",
                WRITE,
            ),
            on("core", "serviceaccounts/token", "create"),
            on("core events.k8s.io", "events", WRITE),
            on(
                "apps",
                "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale",
                WRITE,
            ),
            on("autoscaling", "horizontalpodautoscalers", WRITE),
            on("batch", "cronjobs jobs", WRITE),
            on(
                "extensions",
                "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale",
                WRITE,
            ),
            on("policy", "poddisruptionbudgets", WRITE),
            on("networking.k8s.io", "ingresses networkpolicies", WRITE),
            on("coordination.k8s.io", "leases", READ_WRITE),
            on("resource.k8s.io", "resourceclaims resourceclaimtemplates", WRITE),
        ],
    },
    Role {
        name: "system:aggregate-to-view",
        aggregates: None,
        aggregated_to: Some("view"),
        rules: &[
            on(
                "core",
                "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
                READ,
            ),
            on(
                "core",
                "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status",
                READ,
            ),
            on("core", "namespaces", READ),
            on("core events.k8s.io", "events", READ),
            on("discovery.k8s.io", "endpointslices", READ),
            on(
                "apps",
                "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
                READ,
            ),
            on("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status", READ),
            on("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
            on(
                "extensions",
                "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
                READ,
            ),
            on("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
            on("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
            on("resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates", READ),
        ],
    },
    role(
        "system:basic-user",
        &[
            on("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
            on("authentication.k8s.io", "selfsubjectreviews", "create"),
        ],
    ),
    role(
        "system:discovery",
        &[paths(
            "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
            "get",
        )],
    ),
    role(
        "system:monitoring",
        &[
            paths(
                "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz",
                "get",
            ),
            on("core", "nodes/metrics", "get"),
        ],
    ),
    role("system:public-info-viewer", &[paths("/healthz /livez /readyz /version /version/", "get")]),
    Role { name: "view", aggregates: Some("view"), aggregated_to: Some("edit"), rules: &[] },
];
