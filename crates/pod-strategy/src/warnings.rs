//! What clients are told about pods and templates that are accepted but will disappoint.

mod addresses;
mod overlaps;
mod ports;

use serde_json::Value;

use crate::resources::quantity;
use strategy::names;
use strategy::read::Read;

pub use addresses::{address, range};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Volumes of which nothing good will come.
const OLD_VOLUMES: [(&str, &str); 9] = [
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Annotations of pods that fields have replaced.
const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// What to say of a node label that a newer one has replaced.
pub fn old_node_label(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        _ => return None,
    })
}

/// Warnings on a pod.
pub fn pod(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    spec(&object["metadata"], &object["spec"], "", &mut found);
    found
}

/// Warns of a pod whose name becomes its host's name but is no label.
pub fn host_name(object: &Value) -> Option<String> {
    let found = apimachinery::names::dns1123_label_errors(object["metadata"].text("name"));
    (!found.is_empty()).then(|| {
        format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            found.join(" ")
        )
    })
}

/// Warnings on the template of a workload, at `spec.template`.
pub fn template(workload_spec: &Value) -> Vec<String> {
    template_at(&workload_spec["template"], "spec.template")
}

/// Warnings on a template at any path.
pub fn template_at(template: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    spec(&template["metadata"], &template["spec"], &format!("{path}."), &mut found);
    found
}

/// Warns of node labels in a plain selector of a RuntimeClass, whose place upstream tells without the label.
pub fn unnamed_node_labels(selector: &Value, path: &str, found: &mut Vec<String>) {
    let labels = selector.as_object().into_iter().flatten();
    found.extend(labels.filter_map(|(label, _)| Some(format!("{path}: {}", old_node_label(label)?))));
}

/// Warns of node labels in a selector of nodes that newer ones have replaced.
pub fn node_term(term: &Value, path: &str, found: &mut Vec<String>) {
    for (index, requirement) in term.items("matchExpressions").iter().enumerate() {
        let key = requirement.text("key");
        if let Some(advice) = old_node_label(key) {
            found.push(format!("{path}.matchExpressions[{index}].key: {key} is {advice}"));
        }
    }
}

/// Warns of node labels in a plain selector that newer ones have replaced.
pub fn node_labels(selector: &Value, path: &str, found: &mut Vec<String>) {
    for (label, _) in selector.as_object().into_iter().flatten() {
        if let Some(advice) = old_node_label(label) {
            found.push(format!("{path}[{label}]: {advice}"));
        }
    }
}

/// Warns of parts of a byte, which nothing has.
pub fn fraction_of_bytes(amount: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(bytes) = quantity(amount).filter(|bytes| !bytes.is_whole()) {
        found.push(format!("{path}: fractional byte value \"{bytes}\" is invalid, must be an integer"));
    }
}

fn spec(metadata: &Value, spec: &Value, prefix: &str, found: &mut Vec<String>) {
    let path = &format!("{prefix}spec");
    node_labels(&spec["nodeSelector"], &format!("{path}.nodeSelector"), found);
    affinity(&spec["affinity"], &format!("{path}.affinity"), found);
    for (index, constraint) in spec.items("topologySpreadConstraints").iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        let key = constraint.text("topologyKey");
        if let Some(advice) = old_node_label(key) {
            found.push(format!("{path}.topologyKey: {key} is {advice}"));
        }
        without_selector(constraint, &path, found);
    }
    old_annotations(metadata, prefix, found);
    for (index, volume) in spec.items("volumes").iter().enumerate() {
        for (kind, message) in OLD_VOLUMES {
            if volume.has(kind) {
                // Named as upstream names it there.
                let kind = if kind == "storageos" { "storageOS" } else { kind };
                found.push(format!("{path}.volumes[{index}].{kind}: {message}"));
            }
        }
        let claim = &volume["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"];
        let at =
            format!("{path}.volumes[{index}].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]");
        fraction_of_bytes(claim, &at, found);
    }
    overlaps::of(spec.items("volumes"), found);
    repeated(spec, "hostAliases", "ip", path, found);
    repeated(spec, "imagePullSecrets", "name", path, found);
    for (index, secret) in spec.items("imagePullSecrets").iter().enumerate() {
        if secret.text("name").is_empty() {
            found.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name {:?}", ""));
        }
    }
    for resource in ["memory", "ephemeral-storage"] {
        fraction_of_bytes(&spec["overhead"][resource], &format!("{path}.overhead[{resource}]"), found);
    }
    let pod_seccomp = "seccomp.security.alpha.kubernetes.io/pod";
    if metadata["annotations"].get(pod_seccomp).is_some() && !spec["securityContext"].has("seccompProfile") {
        profile(pod_seccomp, SECCOMP, prefix, found);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in spec.items(list).iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            profiles(metadata, spec, container, prefix, found);
            for resource in ["memory", "ephemeral-storage"] {
                for kind in ["limits", "requests"] {
                    let amount = &container["resources"][kind][resource];
                    fraction_of_bytes(amount, &format!("{path}.resources.{kind}[{resource}]"), found);
                }
            }
            repeated_variables(container, &path, found);
        }
    }
    ports::of(spec, path, found);
    if spec.int("terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        found.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(&spec["affinity"][kind], &format!("{path}.affinity.{kind}"), found);
    }
    for (index, server) in spec["dnsConfig"].items("nameservers").iter().enumerate() {
        let path = format!("{path}.dnsConfig.nameservers[{index}]");
        address(server.as_str().unwrap_or_default(), &path, found);
    }
    for (index, alias) in spec.items("hostAliases").iter().enumerate() {
        address(alias.text("ip"), &format!("{path}.hostAliases[{index}].ip"), found);
    }
}

fn old_annotations(metadata: &Value, prefix: &str, found: &mut Vec<String>) {
    for (key, advice) in OLD_ANNOTATIONS {
        if metadata["annotations"].get(key).is_some() {
            found.push(format!("{prefix}metadata.annotations[{key}]: {advice}"));
        }
    }
}

const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

fn profile(key: &str, advice: &str, prefix: &str, found: &mut Vec<String>) {
    found.push(format!("{prefix}metadata.annotations[{key}]: {advice}"));
}

/// Profiles of a container that are fields now.
fn profiles(metadata: &Value, spec: &Value, container: &Value, prefix: &str, found: &mut Vec<String>) {
    let has = |key: &str| metadata["annotations"].get(key).is_some();
    let (context, name) = (&container["securityContext"], container.text("name"));
    let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
    if has(&key) && !context.has("seccompProfile") {
        profile(&key, SECCOMP, prefix, found);
    }
    let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
    // Of a pod, `app_armor` tells, as its annotations become fields.
    let is_template = !prefix.is_empty();
    let has_field = context.has("appArmorProfile") || spec["securityContext"].has("appArmorProfile");
    if is_template && has(&key) && !has_field {
        let advice = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
        profile(&key, advice, prefix, found);
    }
}

fn affinity(affinity: &Value, path: &str, found: &mut Vec<String>) {
    let node = &affinity["nodeAffinity"];
    for (index, term) in node[REQUIRED].items("nodeSelectorTerms").iter().enumerate() {
        node_term(term, &format!("{path}.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{index}]"), found);
    }
    for (index, term) in node.items(PREFERRED).iter().enumerate() {
        let path = format!("{path}.nodeAffinity.{PREFERRED}[{index}].preference");
        node_term(&term["preference"], &path, found);
        for (at, requirement) in term["preference"].items("matchExpressions").iter().enumerate() {
            for (which, value) in requirement.items("values").iter().enumerate() {
                let value = value.as_str().unwrap_or_default();
                for message in names::label_value_errors(value) {
                    let path = format!("{path}.matchExpressions[{at}].values[{which}]");
                    found.push(format!("{path}: {value} is invalid, {message}"));
                }
            }
        }
    }
}

fn pod_affinity(affinity: &Value, path: &str, found: &mut Vec<String>) {
    for (index, term) in affinity.items(REQUIRED).iter().enumerate() {
        without_selector(term, &format!("{path}.{REQUIRED}[{index}]"), found);
    }
    for (index, term) in affinity.items(PREFERRED).iter().enumerate() {
        let path = format!("{path}.{PREFERRED}[{index}].podAffinityTerm");
        without_selector(&term["podAffinityTerm"], &path, found);
    }
}

/// What has no selector selects no pod, which is hardly meant.
fn without_selector(term: &Value, path: &str, found: &mut Vec<String>) {
    if term["labelSelector"].is_null() {
        found.push(format!("{path}.labelSelector: a null labelSelector results in matching no pod"));
    }
}

/// Entries of a list whose key an earlier one has.
fn repeated(spec: &Value, list: &str, key: &str, path: &str, found: &mut Vec<String>) {
    let items = spec.items(list);
    for (index, item) in items.iter().enumerate() {
        let value = item.text(key);
        if items[..index].iter().any(|other| other.text(key) == value) {
            found.push(format!("{path}.{list}[{index}].{key}: duplicate {key} {value:?}"));
        }
    }
}

fn repeated_variables(container: &Value, path: &str, found: &mut Vec<String>) {
    let variables = container.items("env");
    for (index, variable) in variables.iter().enumerate() {
        let name = variable.text("name");
        let repeated = variables[..index].iter().any(|other| other.text("name") == name);
        let (value, reference) = (variable.text("value"), format!("$({name})"));
        // A variable may extend the one it hides.
        let extends = value.contains(&reference) && value != reference && !variable.has("valueFrom");
        if repeated && !extends {
            found.push(format!("{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_will_disappoint_is_said_with_its_place() {
        for (spec, expected) in [
            (json!({}), ""),
            (
                json!({"terminationGracePeriodSeconds": -1}),
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            ),
            (
                json!({"imagePullSecrets": [{"name": "a"}, {"name": ""}, {"name": "a"}]}),
                "spec.imagePullSecrets[2].name: duplicate name \"a\"|spec.imagePullSecrets[1].name: invalid empty name \"\"",
            ),
            (
                json!({"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]}),
                "spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"",
            ),
            (
                json!({"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "fd00::00"}], "dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.01"]},
                    "terminationGracePeriodSeconds": -1}),
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1|spec.dnsConfig.nameservers[1]: non-standard IP address \"1.1.1.01\" will be considered invalid in a future Kubernetes release: use \"1.1.1.1\"|spec.hostAliases[1].ip: IPv6 address \"fd00::00\" should be in RFC 5952 canonical format (\"fd00::\")",
            ),
            (
                json!({"affinity": {"nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"preference": {"matchExpressions": [{"key": "a", "values": ["b", "-c"]}]}}],
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "values": ["-c"]}]}]}}}}),
                "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[1]: -c is invalid, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (
                json!({"topologySpreadConstraints": [{"topologyKey": "k"}]}),
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            ),
            (
                json!({"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {}}]}}}),
                "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod",
            ),
            (
                json!({"nodeSelector": {"beta.kubernetes.io/os": "linux"}}),
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            ),
            (
                json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"preference": {"matchExpressions": [{"key": "failure-domain.beta.kubernetes.io/zone"}]}}]}}}),
                "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
            ),
            (
                json!({"overhead": {"memory": "1500m"}, "volumes": [{"gitRepo": {}}], "hostAliases": [{"ip": "::0"}]}),
                "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+|spec.overhead[memory]: fractional byte value \"1500m\" is invalid, must be an integer|spec.hostAliases[0].ip: IPv6 address \"::0\" should be in RFC 5952 canonical format (\"::\")",
            ),
            (
                json!({"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}),
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            ),
        ] {
            assert_eq!(pod(&json!({"spec": spec})).join("|"), expected);
        }
    }

    #[test]
    fn profiles_are_fields_now() {
        let of = |metadata: Value, spec: Value| pod(&json!({"metadata": metadata, "spec": spec})).join("|");
        let both = json!({"annotations": {"container.seccomp.security.alpha.kubernetes.io/a": "x",
            "container.seccomp.security.alpha.kubernetes.io/gone": "x",
            "container.apparmor.security.beta.kubernetes.io/a": "x"}});
        assert_eq!(
            of(both.clone(), json!({"containers": [{"name": "a"}]})),
            "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/a]: non-functional in v1.27+; use the \"seccompProfile\" field instead"
        );
        let template = json!({"metadata": both, "spec": {"containers": [{"name": "a"}]}});
        assert_eq!(
            template_at(&template, "t").join("|"),
            "t.metadata.annotations[container.seccomp.security.alpha.kubernetes.io/a]: non-functional in v1.27+; use the \"seccompProfile\" field instead|t.metadata.annotations[container.apparmor.security.beta.kubernetes.io/a]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
        );
        let by_field = json!({"containers": [{"name": "a", "securityContext": {"seccompProfile": {}, "appArmorProfile": {}}}]});
        assert_eq!(of(both, by_field), "");
        let old = json!({"annotations": {"scheduler.alpha.kubernetes.io/critical-pod": ""}});
        assert_eq!(
            of(old, json!({})),
            "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \"priorityClassName\" field instead"
        );
    }

    #[test]
    fn templates_say_where_they_are() {
        let template = json!({"metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "x"}},
            "spec": {"nodeSelector": {"beta.kubernetes.io/arch": "a"}}});
        assert_eq!(
            template_at(&template, "spec.jobTemplate.spec.template").join("|"),
            "spec.jobTemplate.spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use \"kubernetes.io/arch\" instead|spec.jobTemplate.spec.template.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \"seccompProfile\" field instead"
        );
        assert!(host_name(&json!({"metadata": {"name": "a.b"}})).is_some());
    }
}
