//! What is said of stateful sets, and what is made of them.

use serde_json::{Value, json};

use super::StatefulSet;
use strategy::Strategy;
use strategy::testing::{agree, created, defaulted, found, updated};

fn with(change: Value) -> Value {
    let mut object = json!({"metadata": {"name": "web"}, "spec": {
        "serviceName": "web",
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
    }});
    for (key, value) in change.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn template(pod: Value) -> Value {
    let mut full = json!({"containers": [{"name": "c", "image": "i"}]});
    for (key, value) in pod.as_object().unwrap() {
        full[key] = value.clone();
    }
    json!({"template": {"metadata": {"labels": {"app": "web"}}, "spec": full}})
}

#[test]
fn what_is_left_out_is_filled_in() {
    let spec = |change: Value| defaulted(&StatefulSet, with(change))["spec"].clone();
    let plain = spec(json!({}));
    assert_eq!(plain["podManagementPolicy"], "OrderedReady");
    assert_eq!(
        plain["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}})
    );
    assert_eq!(
        plain["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    assert_eq!((&plain["replicas"], &plain["revisionHistoryLimit"]), (&json!(1), &json!(10)));
    let claim = &plain["volumeClaimTemplates"][0];
    assert_eq!((&claim["apiVersion"], &claim["kind"]), (&json!("v1"), &json!("PersistentVolumeClaim")));
    assert_eq!(
        (&claim["spec"]["volumeMode"], &claim["status"]["phase"]),
        (&json!("Filesystem"), &json!("Pending"))
    );
    assert_eq!(
        spec(json!({"updateStrategy": {"type": "OnDelete"}}))["updateStrategy"],
        json!({"type": "OnDelete"})
    );
}

#[test]
fn specs_are_judged_in_order() {
    let rolling = |rolling: Value| json!({"updateStrategy": {"rollingUpdate": rolling}});
    let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let dotted = format!("spec.serviceName: Invalid value: \"a.b\": {label}");
    let cases = [
        (json!({}), ""),
        (json!({"serviceName": "", "podManagementPolicy": "Parallel", "ordinals": {"start": 0}}), ""),
        (rolling(json!({"maxUnavailable": "100%", "partition": 9})), ""),
        (
            json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"}}),
            "",
        ),
        (
            json!({"podManagementPolicy": "Some", "updateStrategy": {"type": "Some"}, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Some", "whenScaled": "Other"},
                "replicas": -1, "minReadySeconds": -1, "ordinals": {"start": -1}, "selector": null}),
            "spec.podManagementPolicy: Invalid value: \"Some\": must be 'OrderedReady' or 'Parallel'\n\
            spec.updateStrategy: Invalid value: {\"type\":\"Some\"}: must be 'RollingUpdate' or 'OnDelete'\n\
            spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Some\": supported values: \"Retain\", \"Delete\"\n\
            spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Other\": supported values: \"Retain\", \"Delete\"\n\
            spec.replicas: Invalid value: -1: must be greater than or equal to 0\n\
            spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\n\
            spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0\n\
            spec.selector: Required value",
        ),
        (
            json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}),
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
        ),
        (
            rolling(json!({"partition": -1, "maxUnavailable": 0})),
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0\n\
            spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
        ),
        (
            rolling(json!({"maxUnavailable": "101%"})),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
        ),
        (
            rolling(json!({"maxUnavailable": -1})),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"selector": {}}),
            "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
        ),
        (
            json!({"selector": {"matchLabels": {"app": "db"}}}),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ),
        (template(json!({"hostname": "A", "subdomain": "B"})), ""),
        (
            template(json!({"restartPolicy": "Never", "activeDeadlineSeconds": 1})),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n\
            spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported",
        ),
        (template(json!({"containers": []})), "spec.template.spec.containers: Required value"),
        (json!({"serviceName": "a.b"}), &dotted),
        (
            json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["Some"]}}]}),
            "spec.volumeClaimTemplates[0].spec.accessModes: Unsupported value: \"Some\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"\n\
            spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
        ),
        (
            json!({"volumeClaimTemplates": []}),
            "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
        ),
    ];
    agree(cases.iter().map(|(change, expected)| {
        (change.to_string(), created(&StatefulSet, with(change.clone())), *expected)
    }));
}

#[test]
fn only_some_fields_change() {
    let told = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    let check = |change: Value| updated(&StatefulSet, with(change), with(json!({})));
    for change in [
        json!({"replicas": 3}),
        json!({"ordinals": {"start": 3}}),
        template(json!({"containers": [{"name": "c", "image": "j"}]})),
        json!({"updateStrategy": {"type": "OnDelete"}}),
        json!({"revisionHistoryLimit": 3}),
        json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}),
        json!({"minReadySeconds": 3}),
    ] {
        assert_eq!(check(change.clone()), "", "{change}");
    }
    for change in [
        json!({"serviceName": "other"}),
        json!({"podManagementPolicy": "Parallel"}),
        json!({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}),
        json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["Some"]}}]}),
    ] {
        assert_eq!(check(change.clone()), told, "{change}");
    }
    let broken = || with(template(json!({"containers": []})));
    assert_eq!(updated(&StatefulSet, broken(), broken()), "", "it was stored so");
    assert_eq!(
        updated(&StatefulSet, broken(), with(json!({}))),
        "spec.template.spec.containers: Required value"
    );
    let dotted = || with(json!({"serviceName": "a.b"}));
    assert_eq!(updated(&StatefulSet, dotted(), dotted()), "");
}

#[test]
fn a_status_counts_what_there_is() {
    let check = |old: Value, new: Value| {
        let (old, new) = (json!({ "status": old }), json!({ "status": new }));
        found(|errors| StatefulSet.validate_status_update(&new, &old, errors))
    };
    for key in [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ] {
        let told = check(json!({}), json!({key: -1}));
        assert!(
            told.starts_with(&format!("status.{key}: Invalid value: -1: must be greater than or equal to 0")),
            "{told}"
        );
    }
    assert_eq!(
        check(
            json!({"collisionCount": 2}),
            json!({"replicas": 1, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2, "availableReplicas": 3, "collisionCount": 1})
        ),
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas\n\
        status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas\n\
        status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas\n\
        status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas\n\
        status.availableReplicas: Invalid value: 3: cannot be greater than status.readyReplicas\n\
        status.collisionCount: Invalid value: 1: cannot be decremented"
    );
}

#[test]
fn limits_below_zero_are_warned_of() {
    let odd = with(json!({"revisionHistoryLimit": -1}));
    let told = [
        "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended",
    ];
    assert_eq!(StatefulSet.create_warnings(&odd), told);
    assert_eq!(StatefulSet.update_warnings(&odd, &with(json!({}))), told);
    assert_eq!(StatefulSet.update_warnings(&odd, &odd), told);
    let plain = with(json!({}));
    assert_eq!(StatefulSet.update_warnings(&plain, &plain), [""; 0]);
}

#[test]
fn parts_of_bytes_and_templates_are_warned_of() {
    let claims = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1500m"}}}}]);
    let mut odd = with(json!({"volumeClaimTemplates": claims}));
    odd["spec"]["template"]["spec"]["nodeSelector"] = json!({"beta.kubernetes.io/os": "linux"});
    let told = |path: &str| {
        format!(
            "{path}.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer"
        )
    };
    let created = StatefulSet.create_warnings(&odd);
    assert!(
        created[0].starts_with("spec.template.spec.nodeSelector[beta.kubernetes.io/os]: "),
        "{created:?}"
    );
    assert_eq!(created[1..], [told("spec.volumeClaimTemplates[0]")]);
    assert_eq!(StatefulSet.update_warnings(&odd, &odd), [told("spec.volumeClaimTemplates[0].Spec")]);
    let mut more = odd.clone();
    more["spec"]["replicas"] = json!(7);
    assert_eq!(StatefulSet.update_warnings(&more, &odd).len(), 2);
}
