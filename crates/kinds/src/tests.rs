//! What must hold for the strategy of every kind.

use serde_json::{Value, json};

use super::*;

mod refusals;

const KINDS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("authentication.k8s.io", &["TokenRequest", "TokenReview"]),
    ("authorization.k8s.io", &["LocalSubjectAccessReview", "SelfSubjectAccessReview", "SubjectAccessReview"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    ("batch", &["CronJob", "Job"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle", "PodCertificateRequest"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("events.k8s.io", &["Event"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["IPAddress", "Ingress", "IngressClass", "NetworkPolicy", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    (
        "resource.k8s.io",
        &["DeviceClass", "DeviceTaintRule", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
    ),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
    (
        "storage.k8s.io",
        &[
            "CSIDriver",
            "CSINode",
            "CSIStorageCapacity",
            "StorageClass",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ],
    ),
];

fn strategies() -> impl Iterator<Item = (&'static str, &'static dyn Strategy)> {
    KINDS.iter().flat_map(|(group, kinds)| kinds.iter().map(|kind| (*kind, strategy(group, kind))))
}

/// Objects that no schema would let through, but old data or a custom resource's twin may hold.
fn oddities() -> Vec<Value> {
    let deep = json!({"containers": [5, {"ports": [null], "env": {}, "resources": {"limits": {"cpu": []}}}], "volumes": [[]],
        "template": {"spec": {"containers": "none"}}, "ports": [{"port": "x"}], "selector": [], "limits": [{"type": 1}], "hard": {"cpu": {}}});
    vec![
        Value::Null,
        json!("text"),
        json!([]),
        json!({}),
        json!({"metadata": [], "spec": 5, "status": "x", "data": [], "rules": {}, "subjects": [1], "webhooks": ["x"]}),
        json!({"metadata": {"labels": [], "name": 4}, "spec": deep, "status": {"conditions": [1], "podIPs": {}}, "stringData": 4}),
    ]
}

#[test]
fn nothing_odd_makes_a_strategy_panic() {
    for (kind, strategy) in strategies() {
        for new in oddities() {
            for old in oddities() {
                let mut object = new.clone();
                strategy.default(&mut object);
                create(strategy, true, &mut object.clone());
                update(strategy, &mut object.clone(), &old);
                update_status(strategy, &mut object.clone(), &old);
                for name in ["approval", "finalize", "ephemeralcontainers", "resize"] {
                    if let Some(strategy) = strategy.subresource(name) {
                        update(strategy, &mut object.clone(), &old);
                    }
                }
                for field in strategy.selectable_fields() {
                    assert!(strategy.selectable_field(&object, field).is_some(), "{kind} {field}");
                }
                strategy.deletion_grace(&object, None);
                strategy.create_warnings(&object);
                strategy.update_warnings(&object, &old);
            }
        }
    }
}

#[test]
fn defaulting_twice_changes_nothing_more() {
    for (kind, strategy) in strategies() {
        for mut object in oddities() {
            strategy.default(&mut object);
            let once = object.clone();
            strategy.default(&mut object);
            assert_eq!(object, once, "{kind}");
        }
    }
}

#[test]
fn an_unchanged_update_is_accepted_and_counts_nothing() {
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let workload = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    for (group, kind, spec) in [
        ("", "Pod", pod),
        ("apps", "Deployment", workload.clone()),
        ("apps", "ReplicaSet", workload.clone()),
        ("apps", "StatefulSet", workload.clone()),
        ("apps", "DaemonSet", workload),
        ("", "Service", json!({"ports": [{"port": 80}]})),
    ] {
        let strategy = strategy(group, kind);
        let mut old = json!({"metadata": {"name": "web", "namespace": "x", "uid": "1"}, "spec": spec});
        strategy.default(&mut old);
        assert_eq!(strategy::testing::listed(create(strategy, true, &mut old)), "", "{kind}");
        let mut new = old.clone();
        strategy.default(&mut new);
        assert_eq!(strategy::testing::listed(update(strategy, &mut new, &old)), "", "{kind}");
        assert_eq!(new, old, "{kind}");
    }
}

#[test]
fn a_status_update_changes_metadata_only_of_some_kinds() {
    // Those that have a status subresource, and whose metadata upstream leaves to an update of it.
    let open = [
        "CertificateSigningRequest",
        "CronJob",
        "CustomResourceDefinition",
        "DaemonSet",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodDisruptionBudget",
        "ReplicaSet",
        "ReplicationController",
        "ResourceQuota",
        "Service",
        "StatefulSet",
    ];
    let closed = [
        "APIService",
        "DeviceTaintRule",
        "FlowSchema",
        "PodCertificateRequest",
        "PriorityLevelConfiguration",
        "ResourceClaim",
        "ServiceCIDR",
        "StorageVersionMigration",
        "ValidatingAdmissionPolicy",
        "VolumeAttachment",
    ];
    let keys = ["labels", "annotations", "finalizers", "ownerReferences"];
    let old = json!({"metadata": {"labels": {"a": "1"}, "annotations": {"a": "1"}, "ownerReferences": [{"uid": "1"}]},
        "spec": {}, "status": {}});
    let sent = json!({"metadata": {"labels": {"a": "2"}, "annotations": {}, "finalizers": ["a.example/b"]},
        "spec": {}, "status": {}});
    for (kind, strategy) in strategies() {
        let mut new = sent.clone();
        strategy.prepare_status_update(&mut new, &old);
        let kept: Vec<&str> =
            keys.into_iter().filter(|key| new["metadata"].get(key) == old["metadata"].get(key)).collect();
        if kind == "Deployment" {
            assert_eq!(kept, ["labels"]);
        } else if open.contains(&kind) {
            let expected: &[&str] = if kind == "Pod" { &["ownerReferences"] } else { &[] };
            assert_eq!(kept, expected, "{kind}");
            assert_ne!(strategy.resets("status"), strategy::Resets::AllBut(&["status"]), "{kind}");
        } else if closed.contains(&kind) {
            assert_eq!(kept, keys, "{kind}");
            assert_eq!(strategy.resets("status"), strategy::Resets::AllBut(&["status"]), "{kind}");
        }
    }
}
