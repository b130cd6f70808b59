//! Objects: read under their schemas, and validated as their kinds.

use schema::{DecodeError, Element, Field, FieldValidation, Kind, Resource, Type};
use serde_json::{Map, Value, json};

use crate::Choices;

/// Objects of several kinds as JSON.
pub fn texts() -> Vec<Vec<u8>> {
    [
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "100m"}}, "env": [{"name": "E", "value": "v"}],
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 5}}],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}], "tolerations": [{"operator": "Exists"}]}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "data": {"a": "aGVsbG8="}, "stringData": {"b": "c"}}),
        json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}, "data": {"x": [1]}, "revision": 3}),
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
            "spec": {"renewTime": "2026-01-01T00:00:00.000001Z", "leaseDurationSeconds": 15}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a.b"},
            "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {
                "items": {"enum": [1, null], "default": {"x": 1}}, "additionalProperties": true}}, "x-kubernetes-validations": [{"rule": "true"}]}}}]}}),
    ]
    .iter()
    .map(|object| object.to_string().into_bytes())
    .collect()
}

pub fn json(input: &[u8]) -> bool {
    let Ok(parsed) = schema::parse(input) else { return false };
    let kind = parsed.value["kind"].as_str().unwrap_or_default().to_owned();
    let row = schema::catalogue().all().find(|row| row.kind == kind);
    let ty = row.map(|row| row.ty()).or_else(|| Type::named("io.k8s.api.core.v1.Pod"));
    let Some(Ok((decoded, _))) = ty.map(|ty| parsed.decode(ty, FieldValidation::Ignore)) else {
        return false;
    };
    if let Some(row) = row {
        judge(&row.group, &row.kind, decoded);
    }
    true
}

/// Defaults and validates an object as one of its kind, and prints it.
pub fn judge(group: &str, kind: &str, mut object: Value) {
    let strategy = kinds::strategy(group, kind);
    strategy.default(&mut object);
    strategy.prepare_for_create(&mut object);
    let mut errors = strategy::field::Errors::new();
    strategy.validate(&object, &mut errors);
    drop(strategy.create_warnings(&object));
    drop(printing::cells(group, kind, &object, jiff::Timestamp::UNIX_EPOCH));
}

/// Inputs that are choices: two bytes for a kind, then which fields, which values, what changes. Each kind has some.
pub fn choices() -> Vec<Vec<u8>> {
    let kinds = u16::try_from(schema::catalogue().all().count()).expect("a catalogue is not that long");
    let ways: [fn(usize) -> u8; 3] = [
        |_| 0,
        |at| u8::try_from(at % 251).unwrap_or_default().wrapping_mul(7),
        |at| u8::try_from(at * at % 241).unwrap_or_default(),
    ];
    (0..kinds)
        .flat_map(|kind| {
            ways.map(|way| kind.to_be_bytes().into_iter().chain((0..96).map(way)).collect::<Vec<u8>>())
        })
        .collect()
}

/// Texts that stand in fields of a name, most of them right.
fn likely(name: &str) -> &'static [&'static str] {
    match name {
        "namespace" => &["default", "a"],
        "image" => &["nginx:1.27", "a/b@sha256:aa"],
        "mountPath" | "path" | "hostPath" | "devicePath" | "subPath" => &["/data", "/b", "c/d"],
        "ip" | "podIP" | "hostIP" | "clusterIP" | "loadBalancerIP" | "address" | "addresses"
        | "clusterIPs" | "externalIPs" => &["10.0.0.1", "fd00::1", "127.0.0.1"],
        "cidr" | "podCIDR" | "podCIDRs" | "cidrs" | "except" => &["10.0.0.0/8", "fd00::/64", "10.1.0.0/16"],
        "schedule" => &["*/5 * * * *", "@hourly"],
        "timeZone" => &["Etc/UTC", "Europe/Berlin"],
        "operator" => &["Exists", "In", "Equal", "NotIn", "DoesNotExist", "Gt", "Lt"],
        "effect" => &["NoSchedule", "NoExecute", "PreferNoSchedule"],
        "key" | "topologyKey" => &["example.com/x", "kubernetes.io/hostname", "a"],
        "kind" => &["Pod", "Deployment", "ConfigMap", "ServiceAccount", "ClusterRole", "User"],
        "apiVersion" => &["v1", "apps/v1"],
        "apiGroup" | "group" => &["", "apps", "rbac.authorization.k8s.io", "example.com"],
        "apiGroups" => &["*", "", "apps"],
        "verbs" => &["get", "*", "list"],
        "resources" | "resource" => &["pods", "pods/status", "cpu", "deployments"],
        "accessModes" => &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteOncePod"],
        "restartPolicy" => &["Always", "Never", "OnFailure"],
        "policyTypes" => &["Ingress", "Egress"],
        "driver" | "provisioner" | "signerName" | "controller" => &["example.com/x", "csi.example.com"],
        "expression" | "rule" | "messageExpression" | "valueExpression" => &["true", "'a'", "object.a == 1"],
        "uid" => &["9a7a1ed4-7c3b-4b0e-9e5c-5b1f6a2d3c4e", "u"],
        "url" => &["https://example.com/a", "http://x"],
        "protocol" => &["TCP", "UDP", "SCTP"],
        "finalizers" => &["example.com/a", "kubernetes"],
        _ => &["a", "web-1", "default"],
    }
}

/// Objects that are right, by kind: what is far inside is judged only where all around it is.
fn right(kind: &str) -> Option<Value> {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "E", "value": "v"}],
            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "readinessProbe": {"tcpSocket": {"port": 80}}, "securityContext": {"runAsUser": 1}}],
        "initContainers": [{"name": "d", "image": "i", "restartPolicy": "Always"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "projected": {"sources": [{"configMap": {"name": "m"}}]}}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}]}},
        "tolerations": [{"operator": "Exists"}], "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    let mut once = template.clone();
    once["spec"]["restartPolicy"] = "Never".into();
    let spec = match kind {
        "Pod" => template["spec"].clone(),
        "Deployment" | "ReplicaSet" | "DaemonSet" => json!({"selector": selector, "template": template}),
        "StatefulSet" => {
            json!({"selector": selector, "template": template, "serviceName": "s", "volumeClaimTemplates": [
            {"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]})
        }
        "ReplicationController" => json!({"selector": {"a": "b"}, "template": template}),
        "Job" => {
            json!({"template": once, "completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1,
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]}})
        }
        "CronJob" => json!({"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": once}}}),
        "Service" => {
            json!({"selector": {"a": "b"}, "type": "NodePort", "ports": [{"name": "p", "port": 80, "targetPort": "http"}]})
        }
        "Ingress" => {
            json!({"rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}], "tls": [{"hosts": ["a.example.com"], "secretName": "s"}]})
        }
        "NetworkPolicy" => json!({"podSelector": selector, "policyTypes": ["Ingress"], "ingress": [{"from": [
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}, {"podSelector": selector}], "ports": [{"port": 80, "endPort": 90}]}]}),
        "PersistentVolume" => {
            json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": "/d"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]}]}}})
        }
        "PersistentVolumeClaim" => {
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
        }
        "HorizontalPodAutoscaler" => {
            json!({"scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}, "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
            "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}})
        }
        "PodDisruptionBudget" => json!({"minAvailable": 1, "selector": selector}),
        "ResourceQuota" => json!({"hard": {"cpu": "1", "pods": "3"}, "scopes": ["NotBestEffort"]}),
        "LimitRange" => {
            json!({"limits": [{"type": "Container", "default": {"cpu": "1"}, "min": {"cpu": "100m"}}]})
        }
        "CustomResourceDefinition" => json!({"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}},
                    "x-kubernetes-validations": [{"rule": "self.n > 0"}]}}}}}]}),
        "Node" => {
            json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "taints": [{"key": "a", "effect": "NoSchedule"}]})
        }
        "Lease" => json!({"holderIdentity": "h", "leaseDurationSeconds": 15}),
        "APIService" => {
            json!({"group": "a.io", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1, "service":
            {"name": "s", "namespace": "n"}, "insecureSkipTLSVerify": true})
        }
        _ => return None,
    };
    let name = if kind == "CustomResourceDefinition" { "boxes.example.com" } else { "a" };
    let name = if kind == "APIService" { "v1.a.io" } else { name };
    // The server gives each its uid before it is judged.
    let uid = "9a7a1ed4-7c3b-4b0e-9e5c-5b1f6a2d3c4e";
    Some(
        json!({"metadata": {"name": name, "namespace": "default", "uid": uid, "labels": {"a": "b"}}, "spec": spec}),
    )
}

/// An object under a schema, half right, half wrong.
fn object(choices: &mut Choices<'_>, ty: Type<'_>, depth: usize) -> Value {
    let mut object = Map::new();
    for field in ty.fields() {
        let often = if depth > 5 { 8 } else { 2 };
        if !field.required() && (!choices.are_left() || choices.number(often) != 0) {
            continue;
        }
        object.insert(field.name().to_owned(), of_field(choices, &field, depth));
    }
    Value::Object(object)
}

fn of_field(choices: &mut Choices<'_>, field: &Field<'_>, depth: usize) -> Value {
    let values: Vec<&str> = field.enum_values().collect();
    match values.is_empty() || choices.number(8) == 7 {
        true => value(choices, field.element(), field.name(), depth),
        false => choices.one(&values).to_owned().into(),
    }
}

/// Changes some fields of an object, wherever they are in it.
fn change(choices: &mut Choices<'_>, ty: Type<'_>, object: &mut Value, depth: usize) {
    let Some(map) = object.as_object_mut() else { return };
    let fields: Vec<Field<'_>> = ty.fields().collect();
    if fields.is_empty() {
        return;
    }
    // Mostly where something is; it is changed further down, goes, or becomes another.
    let there: Vec<&Field<'_>> = fields.iter().filter(|field| map.contains_key(field.name())).collect();
    let field = match !there.is_empty() && choices.number(4) != 3 {
        true => *choices.one(&there),
        false => &fields[choices.number(fields.len())],
    };
    let inner = map.get_mut(field.name());
    match (field.element().kind(), inner) {
        (Kind::Object(ty), Some(inner)) if choices.number(8) != 7 => change(choices, ty, inner, depth + 1),
        (Kind::Array(element), Some(Value::Array(items))) if !items.is_empty() && choices.number(8) != 7 => {
            let at = choices.number(items.len());
            match element.kind() {
                Kind::Object(ty) => change(choices, ty, &mut items[at], depth + 1),
                _ => items[at] = value(choices, element, field.name(), depth + 1),
            }
        }
        (_, Some(_)) if choices.number(3) == 2 => {
            map.remove(field.name());
        }
        _ => {
            map.insert(field.name().to_owned(), of_field(choices, field, depth + 1));
        }
    }
}

fn value(choices: &mut Choices<'_>, element: Element<'_>, name: &str, depth: usize) -> Value {
    const TEXTS: &[&str] = &[
        "a",
        "",
        "web-1",
        "A_b",
        "10.0.0.1",
        "10.0.0.0/8",
        "::1",
        "fe80::/200",
        "example.com/x",
        "a=b",
        "*/5 * * * *",
        "@hourly",
        "-",
        "true",
        "99999999999999999999",
        "/a/../b",
        "http://x:1/y?z#f",
        "ü\u{1F980}",
        "50%",
        "1.2.3",
        "self.a == 1",
        "{{",
        "a,b",
        "TZ=UTC 0 0 1 1 0",
        "0-9223372036854775807/1 * * * *",
        "x{y}$(z)",
        "$(E)",
        "..",
        "kube-system",
        "\u{0}",
        "sha256:aa",
    ];
    if depth > 12 {
        return Value::Null;
    }
    let text = |choices: &mut Choices<'_>| match choices.number(4) {
        3 => *choices.one(TEXTS),
        _ => *choices.one(likely(name)),
    };
    match element.kind() {
        Kind::Bool => (choices.number(2) == 0).into(),
        Kind::Int32 => (*choices.one(&[1_i32, 0, -1, 80, 65_536, i32::MAX, i32::MIN, 3])).into(),
        Kind::Int64 => (*choices.one(&[1_i64, 0, -1, 1 << 40, i64::MAX, i64::MIN, 30])).into(),
        Kind::Double => (*choices.one(&[0.0_f64, -1.5, 1e300])).into(),
        Kind::String => text(choices).into(),
        Kind::Bytes => (*choices.one(&["AA==", "", "LS0tLS1CRUdJTg=="])).into(),
        Kind::Time => {
            (*choices.one(&["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-30T21:59:59Z"])).into()
        }
        Kind::MicroTime => {
            (*choices.one(&["2026-01-01T00:00:00.000000Z", "9999-12-30T21:59:59.999999Z"])).into()
        }
        Kind::Quantity => {
            (*choices.one(&["1", "100m", "-1Gi", "9223372036854775807E", "0.1n", "1e9999"])).into()
        }
        Kind::IntOrString => {
            choices.one(&[json!(1), json!("50%"), json!("x"), json!(-1), json!("101%"), json!("")]).clone()
        }
        Kind::RawExtension | Kind::FieldsV1 => json!({"a": 1}),
        Kind::Json => choices.one(&[json!(1), json!(null), json!({"a": []}), json!("x")]).clone(),
        Kind::SchemaOrBool(_) if choices.number(2) == 0 => true.into(),
        Kind::SchemaOrStrings(_) if choices.number(2) == 0 => json!(["a"]),
        Kind::SchemaOrArray(ty) | Kind::SchemaOrBool(ty) | Kind::SchemaOrStrings(ty) => {
            object(choices, ty, depth + 3)
        }
        Kind::Object(ty) => object(choices, ty, depth + 1),
        Kind::Array(inner) => {
            (0..choices.number(3)).map(|_| value(choices, inner, name, depth + 1)).collect()
        }
        Kind::Map(inner) => (0..choices.number(3))
            .map(|_| (text(choices).to_owned(), value(choices, inner, name, depth + 1)))
            .collect(),
    }
}

/// Makes two objects of a kind, the second by changes of the first, as a server decodes and defaults them.
fn pair(input: &[u8]) -> Result<(&'static Resource, Value, Value), DecodeError> {
    let mut choices = Choices::of(input);
    let rows: Vec<_> = schema::catalogue().all().collect();
    // Two bytes: there are more kinds than a byte has values to choose them evenly by.
    let at = choices.number(256) * 256 + choices.number(256);
    let row = rows[at % rows.len()];
    let strategy = kinds::strategy(&row.group, &row.kind);
    let mut old = match right(&row.kind).filter(|_| choices.number(4) != 3) {
        Some(right) => right,
        None => object(&mut choices, row.ty(), 0),
    };
    for _ in 0..choices.number(4) {
        change(&mut choices, row.ty(), &mut old, 0);
    }
    // What is wholly another is refused at once; what is nearly the same is looked into.
    let mut new = old.clone();
    for _ in 0..=choices.number(4) {
        change(&mut choices, row.ty(), &mut new, 0);
    }
    for object in [&mut old, &mut new] {
        schema::decode(row.ty(), object, FieldValidation::Ignore)?;
        strategy.default(object);
    }
    Ok((row, old, new))
}

/// Validates one of two objects, and the change from it to the other.
pub fn validation(input: &[u8]) -> bool {
    let Ok((row, mut old, mut new)) = pair(input) else { return false };
    let strategy = kinds::strategy(&row.group, &row.kind);
    let before = old.clone();
    strategy.default(&mut old);
    assert_eq!(old, before, "a default that is there stays");
    judge(&row.group, &row.kind, old.clone());
    let mut errors = strategy::field::Errors::new();
    strategy.prepare_for_update(&mut new, &old);
    strategy.validate_update(&new, &old, &mut errors);
    drop(strategy.update_warnings(&new, &old));
    strategy.prepare_status_update(&mut new, &old);
    strategy.validate_status_update(&new, &old, &mut errors);
    strategy.deletion_grace(&old, Some(5));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_are_to_be_right_are() {
        for row in schema::catalogue().all() {
            // Of two versions, the one that has all of it.
            let version = if row.kind == "HorizontalPodAutoscaler" { "v2" } else { "v1" };
            let Some(mut object) = right(&row.kind).filter(|_| row.version == version) else { continue };
            schema::decode(row.ty(), &mut object, FieldValidation::Strict)
                .unwrap_or_else(|error| panic!("{}: {error:?}", row.kind));
            let strategy = kinds::strategy(&row.group, &row.kind);
            strategy.default(&mut object);
            strategy.prepare_for_create(&mut object);
            let mut errors = strategy::field::Errors::new();
            strategy.validate(&object, &mut errors);
            let errors: Vec<String> = errors.into_vec().into_iter().map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{} {}: {errors:?}", row.group, row.kind);
        }
    }

    #[test]
    fn most_seeds_are_objects_of_their_kind() {
        let seeds = choices();
        let wrong: Vec<String> =
            seeds.iter().filter_map(|seed| Some(format!("{:?}", pair(seed).err()?))).collect();
        assert!(wrong.len() * 10 <= seeds.len(), "{} of {}: {wrong:#?}", wrong.len(), seeds.len());
        seeds.iter().for_each(|seed| assert_eq!(validation(seed), pair(seed).is_ok()));
    }
}
