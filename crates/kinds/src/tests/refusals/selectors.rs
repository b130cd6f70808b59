//! Values that no label has, in selectors: refused where they are new, kept where they are stored.

use serde_json::{Value, json};
use strategy::testing::listed;

use super::template;
use crate::{create, strategy, update};

#[test]
fn values_of_selectors_stay_where_they_are_stored() {
    let asking =
        |value: &str| json!({"matchExpressions": [{"key": "a", "operator": "In", "values": [value]}]});
    let objects = |value: &str| {
        let selector = asking(value);
        let pods = json!({"matchLabels": {"a": "b"}});
        [
            ("networking.k8s.io", "NetworkPolicy", json!({"spec": {"podSelector": selector}})),
            (
                "networking.k8s.io",
                "NetworkPolicy",
                json!({"spec": {"podSelector": pods, "ingress": [{"from": [{"podSelector": selector}]}]}}),
            ),
            ("policy", "PodDisruptionBudget", json!({"spec": {"selector": selector}})),
            (
                "rbac.authorization.k8s.io",
                "ClusterRole",
                json!({"aggregationRule": {"clusterRoleSelectors": [selector]}}),
            ),
            (
                "storage.k8s.io",
                "CSIStorageCapacity",
                json!({"storageClassName": "a", "nodeTopology": selector}),
            ),
            (
                "",
                "PersistentVolume",
                json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [selector]}}}}),
            ),
            (
                "",
                "PersistentVolumeClaim",
                json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "selector": selector}}),
            ),
            (
                "apps",
                "ReplicaSet",
                json!({"spec": {"template": template(), "selector": {"matchLabels": {"a": "b"},
                    "matchExpressions": [{"key": "c", "operator": "NotIn", "values": [value]}]}}}),
            ),
        ]
    };
    for ((group, kind, wrong), (_, _, right)) in objects("-").into_iter().zip(objects("x")) {
        let strategy = strategy(group, kind);
        let namespaced = !matches!(kind, "ClusterRole" | "PersistentVolume");
        let whole = |mut object: Value| {
            object["metadata"] = json!({"name": "a", "uid": "1"});
            if namespaced {
                object["metadata"]["namespace"] = json!("x");
            }
            strategy.default(&mut object);
            object
        };
        let (wrong, mut right) = (whole(wrong), whole(right));
        assert_eq!(listed(create(strategy, namespaced, &mut right)), "", "{kind}");
        let told = listed(create(strategy, namespaced, &mut wrong.clone()));
        assert!(told.contains("values[0]: Invalid value: \"-\": "), "{kind}: {told}");
        let (mut new, old) = (wrong.clone(), wrong.clone());
        assert_eq!(listed(update(strategy, &mut new, &old)), "", "{kind}");
        let told = listed(update(strategy, &mut wrong.clone(), &right));
        assert!(told.contains("values[0]: Invalid value: \"-\": "), "{kind}: {told}");
    }
}
