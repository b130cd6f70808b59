//! Faults of stored pods and templates: updates keep them, and no others.

use serde_json::{Value, json};
use strategy::testing::{agree, created, updated};

use super::refusals::pod;
use crate::Pod;
use crate::pod_template::PodTemplate;

/// Specs that a new pod may not have and a stored one may keep, with the first words of what is told of a new one.
fn faults() -> Vec<(&'static str, Value, &'static str)> {
    let affinity = |kind: &str, terms: Value| json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": terms}}});
    let requirement = json!({"key": "k", "operator": "In", "values": ["-"]});
    let spread = |fields: Value| {
        let mut full = json!({"maxSkew": 1, "topologyKey": "t", "whenUnsatisfiable": "DoNotSchedule"});
        for (key, value) in fields.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({"topologySpreadConstraints": [full]})
    };
    let container = |fields: Value| {
        let mut full = json!({"name": "c", "image": "i"});
        for (key, value) in fields.as_object().unwrap() {
            full[key] = value.clone();
        }
        json!({ "containers": [full] })
    };
    let mut devices = container(json!({"volumeDevices": [{"name": "w", "devicePath": "/d"}]}));
    devices["hostUsers"] = json!(false);
    devices["volumes"] = json!([{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}]);
    vec![
        (
            "parts of huge pages",
            container(
                json!({"resources": {"limits": {"memory": "1Gi", "hugepages-2Mi": "3Mi"}, "requests": {"memory": "1Gi", "hugepages-2Mi": "3Mi"}}}),
            ),
            "spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi",
        ),
        (
            "values in affinity to pods",
            affinity(
                "podAffinity",
                json!([{"topologyKey": "t", "labelSelector": {"matchExpressions": [requirement]}}]),
            ),
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchExpressions[0].values[0]: Invalid value: \"-\"",
        ),
        (
            "values in affinity to nodes",
            affinity("nodeAffinity", json!({"nodeSelectorTerms": [{"matchExpressions": [requirement]}]})),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values[0]: Invalid value: \"-\"",
        ),
        (
            "selectors of spreading",
            spread(json!({"labelSelector": {"matchExpressions": [requirement]}})),
            "spec.topologySpreadConstraints[0].labelSelector.matchExpressions[0].values[0]: Invalid value: \"-\"",
        ),
        (
            "keys of spreading",
            spread(json!({"matchLabelKeys": ["a"]})),
            "spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
        ),
        (
            "paths of tokens",
            json!({"serviceAccountName": "s", "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "../t"}}]}}]}),
            "spec.volumes[0].projected.path: Invalid value: \"../t\": must not contain '..'",
        ),
        (
            "sysctls of the host",
            json!({"hostNetwork": true, "securityContext": {"sysctls": [{"name": "net.a"}]}}),
            "spec.securityContext.sysctls[0].name: Invalid value: \"net.a\": may not be specified when 'hostNetwork' is true",
        ),
        (
            "users of its own on the host's network",
            json!({"hostNetwork": true, "hostUsers": false}),
            "spec.hostNetwork: Forbidden: when `hostUsers` is false",
        ),
        (
            "users of its own with devices",
            devices,
            "spec.containers[0].volumeDevices: Forbidden: when `hostUsers` is false",
        ),
        (
            "tolerations that compare",
            json!({"tolerations": [{"key": "k", "operator": "Gt", "value": "5"}]}),
            "spec.tolerations[0].operator: Unsupported value: \"Gt\"",
        ),
        (
            "labels of SELinux by mounts",
            json!({"securityContext": {"seLinuxChangePolicy": "MountOption"}}),
            "spec.securityContext.seLinuxChangePolicy: Unsupported value: \"MountOption\": supported values: \"Recursive\"",
        ),
    ]
}

fn template(spec: &Value) -> Value {
    let mut template = pod(spec.clone());
    template["metadata"] = json!({});
    json!({"metadata": {"name": "t", "namespace": "x"}, "template": template})
}

#[test]
fn stored_faults_are_kept_and_new_ones_refused() {
    let mut rows = Vec::new();
    let first = |told: String, expected: &str| match told.starts_with(expected) {
        true => String::new(),
        false => told,
    };
    for (name, spec, told) in faults() {
        let whole = pod(spec.clone());
        rows.push((format!("{name}, new pod"), first(created(&Pod, whole.clone()), told), ""));
        let mut labelled = whole.clone();
        labelled["metadata"]["labels"] = json!({"a": "b"});
        rows.push((format!("{name}, stored pod"), updated(&Pod, labelled, whole), ""));
        let inner = template(&spec);
        let told_of_template = format!("template.{told}");
        rows.push((
            format!("{name}, new template"),
            first(created(&PodTemplate, inner.clone()), &told_of_template),
            "",
        ));
        let sound = template(&json!({}));
        rows.push((
            format!("{name}, template made faulty"),
            first(updated(&PodTemplate, inner.clone(), sound), &told_of_template),
            "",
        ));
        let mut changed = inner.clone();
        changed["template"]["spec"]["schedulerName"] = json!("other");
        rows.push((format!("{name}, stored template"), updated(&PodTemplate, changed, inner), ""));
    }
    agree(rows);
}

#[test]
fn costs_of_deletion_are_kept() {
    let cost = |cost: &str| {
        let mut pod = pod(json!({}));
        pod["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": cost});
        pod
    };
    let wrong = "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"x\": must be a 32bit integer";
    agree([
        ("new".to_owned(), created(&Pod, cost("x")), wrong),
        ("made wrong".to_owned(), updated(&Pod, cost("x"), cost("1")), wrong),
        ("stays wrong".to_owned(), updated(&Pod, cost("x"), cost("y")), ""),
    ]);
}

#[test]
fn one_fault_bears_no_other() {
    let tolerations = |operator: &str, value: &str| {
        pod(json!({"tolerations": [{"key": "k", "operator": operator, "value": value}]}))
    };
    let affinity = |key: &str| {
        pod(json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "t", "labelSelector": {"matchLabels": {key: "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["-"]}]}}]}}}))
    };
    let told = updated(&Pod, affinity("-"), affinity("a"));
    assert!(
        told.starts_with("spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.matchLabels: Invalid value: \"-\""),
        "{told}"
    );
    let told = updated(&Pod, tolerations("Gt", "05"), tolerations("Gt", "5"));
    assert!(
        told.starts_with("spec.tolerations[0].value: Invalid value: \"05\": must be a valid decimal integer in canonical form"),
        "{told}"
    );
}
