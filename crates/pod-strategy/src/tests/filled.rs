//! What is filled in where a pod leaves it out, and what templates may not have.

use serde_json::{Value, json};
use strategy::testing::{defaulted, found};

use super::refusals::pod;
use crate::{Pod, Strategy, template};

fn volume(source: Value) -> Value {
    let mut volume = source;
    volume["name"] = json!("v");
    let mut filled = defaulted(&Pod, pod(json!({"volumes": [volume]})))["spec"]["volumes"][0].clone();
    filled.as_object_mut().unwrap().remove("name");
    filled
}

#[test]
fn sources_of_volumes() {
    let field = |version: &str| json!({"path": "p", "fieldRef": {"apiVersion": version, "fieldPath": "metadata.name"}});
    let bare = json!({"path": "p", "fieldRef": {"fieldPath": "metadata.name"}});
    for (source, filled) in [
        (json!({}), json!({"emptyDir": {}})),
        (json!({"hostPath": {"path": "/a"}}), json!({"hostPath": {"path": "/a", "type": ""}})),
        (json!({"secret": {}}), json!({"secret": {"defaultMode": 420}})),
        (json!({"secret": {"defaultMode": 0}}), json!({"secret": {"defaultMode": 0}})),
        (json!({"configMap": {}}), json!({"configMap": {"defaultMode": 420}})),
        (
            json!({"downwardAPI": {"items": [bare]}}),
            json!({"downwardAPI": {"defaultMode": 420, "items": [field("v1")]}}),
        ),
        (
            json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [bare]}}]}}),
            json!({"projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}, {"downwardAPI": {"items": [field("v1")]}}]}}),
        ),
        (json!({"iscsi": {}}), json!({"iscsi": {"iscsiInterface": "default"}})),
        (
            json!({"rbd": {}}),
            json!({"rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}}),
        ),
        (
            json!({"azureDisk": {}}),
            json!({"azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": false}}),
        ),
        (json!({"scaleIO": {}}), json!({"scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"}})),
        (
            json!({"image": {"reference": "a:1"}}),
            json!({"image": {"reference": "a:1", "pullPolicy": "IfNotPresent"}}),
        ),
        (
            json!({"ephemeral": {"volumeClaimTemplate": {}}}),
            json!({"ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": "Filesystem"}}}}),
        ),
    ] {
        assert_eq!(volume(source), filled);
    }
}

#[test]
fn containers_of_all_sorts() {
    let filled = |fields: Value| {
        let mut container = json!({"name": "c", "image": "i:1"});
        for (key, value) in fields.as_object().unwrap() {
            container[key] = value.clone();
        }
        let spec = json!({"hostNetwork": true, "containers": [container], "initContainers": [{"name": "i", "image": "i", "ports": [{"containerPort": 1}]}]});
        defaulted(&Pod, pod(spec))["spec"].clone()
    };
    let probe =
        json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
    let with = |key: &str, handler: Value| {
        let mut probe = probe.clone();
        probe[key] = handler;
        probe
    };
    let spec = filled(json!({
        "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 82, "protocol": "UDP"}],
        "livenessProbe": {"httpGet": {"port": 1}}, "readinessProbe": {"grpc": {"port": 1}}, "startupProbe": {"exec": {"command": ["a"]}},
        "lifecycle": {"postStart": {"httpGet": {"port": 1}}, "preStop": {"httpGet": {"port": 1, "path": "/a", "scheme": "HTTPS"}}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "B", "valueFrom": {"fileKeyRef": {"key": "k"}}}],
    }));
    let container = &spec["containers"][0];
    assert_eq!(
        container["ports"],
        json!([{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}, {"containerPort": 81, "hostPort": 82, "protocol": "UDP"}])
    );
    assert_eq!(spec["initContainers"][0]["ports"][0]["hostPort"], 1);
    assert_eq!(
        container["livenessProbe"],
        with("httpGet", json!({"port": 1, "path": "/", "scheme": "HTTP"}))
    );
    assert_eq!(container["readinessProbe"], with("grpc", json!({"port": 1, "service": ""})));
    assert_eq!(container["startupProbe"], with("exec", json!({"command": ["a"]})));
    assert_eq!(
        container["lifecycle"]["postStart"]["httpGet"],
        json!({"port": 1, "path": "/", "scheme": "HTTP"})
    );
    assert_eq!(
        container["lifecycle"]["preStop"]["httpGet"],
        json!({"port": 1, "path": "/a", "scheme": "HTTPS"})
    );
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
    assert_eq!(container["env"][1]["valueFrom"]["fileKeyRef"]["optional"], false);
    assert_eq!(spec["enableServiceLinks"], true);
    assert_eq!(spec["initContainers"][0]["imagePullPolicy"], "Always");
}

#[test]
fn label_keys_of_affinity() {
    let term = json!({"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["a", "z"], "mismatchLabelKeys": ["b"]});
    let unselected = json!({"topologyKey": "zone", "matchLabelKeys": ["a"]});
    let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term, unselected],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]});
    let mut pod =
        defaulted(&Pod, pod(json!({"affinity": {"podAffinity": affinity, "podAntiAffinity": affinity}})));
    pod["metadata"]["labels"] = json!({"a": "1", "b": "2"});
    Pod.prepare_for_create(&mut pod);
    let merged = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}, {"key": "b", "operator": "NotIn", "values": ["2"]}]});
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = &pod["spec"]["affinity"][kind];
        let required = &affinity["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(required[0]["labelSelector"], merged);
        assert!(required[1].get("labelSelector").is_none());
        let preferred = &affinity["preferredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(preferred[0]["podAffinityTerm"]["labelSelector"], merged);
    }
}

#[test]
fn templates() {
    let root = strategy::field::Path::root("spec");
    let check = |template: Value| {
        let mut workload = json!({ "template": template });
        template::default(&mut workload);
        found(|errors| template::validate_always(&workload["template"], None, &root, "Kind", errors))
    };
    let template = |fields: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": " i"}]});
        for (key, value) in fields.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({ "spec": spec })
    };
    for (fields, expected) in [
        (json!({"volumes": [{"name": "v", "image": {}}]}), ""),
        (
            json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}]}),
            "",
        ),
        (
            json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1, "hostPort": 2}]}]}),
            "spec.template.spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true",
        ),
        (
            json!({"restartPolicy": "Never", "activeDeadlineSeconds": 1, "ephemeralContainers": [{"name": "d", "image": "i"}]}),
            "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template\n\
             spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n\
             spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in Kind is not Supported",
        ),
        (
            json!({"schedulingGroup": {}}),
            "spec.template.spec.schedulingGroup: Invalid value: {}: must specify one of: `podGroupName`",
        ),
    ] {
        assert_eq!(check(template(fields.clone())), expected, "{fields}");
    }
}

#[test]
fn debugging_containers_stay_as_they_are() {
    let strategy = Pod.subresource("ephemeralcontainers").unwrap();
    let with = |image: &str| {
        defaulted(
            &Pod,
            pod(json!({"ephemeralContainers": [{"name": "d", "image": image, "imagePullPolicy": "Always"}]})),
        )
    };
    let told = found(|errors| strategy.validate_update(&with("j"), &with("i"), errors));
    assert_eq!(
        told,
        "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"d\" may not be changed\n- .image: \"i\"\n+ .image: \"j\""
    );
    let mut mirror = with("i");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    assert_eq!(
        found(|errors| strategy.validate_update(&mirror, &mirror, errors)),
        ": Forbidden: static pods do not support ephemeral containers"
    );
}
