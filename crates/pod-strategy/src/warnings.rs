//! What clients are told about pods and templates that are accepted but will disappoint.

use serde_json::Value;

use strategy::read::Read;

/// Node labels that newer ones have replaced.
const OLD_NODE_LABELS: [(&str, &str); 5] = [
    ("beta.kubernetes.io/arch", "use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "use \"kubernetes.io/os\" instead"),
    ("failure-domain.beta.kubernetes.io/region", "use \"topology.kubernetes.io/region\" instead"),
    ("failure-domain.beta.kubernetes.io/zone", "use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "use \"node.kubernetes.io/instance-type\" instead"),
];

/// Warnings on a pod.
pub fn pod(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    spec(&object["metadata"], &object["spec"], "spec", &mut found);
    found
}

/// Warnings on the template of a workload, at `spec.template`.
pub fn template(workload_spec: &Value) -> Vec<String> {
    let template = &workload_spec["template"];
    let mut found = Vec::new();
    spec(&template["metadata"], &template["spec"], "spec.template.spec", &mut found);
    found
}

fn spec(metadata: &Value, spec: &Value, path: &str, found: &mut Vec<String>) {
    for (label, advice) in OLD_NODE_LABELS {
        if spec["nodeSelector"].get(label).is_some() {
            found.push(format!("{path}.nodeSelector[{label}]: deprecated since v1.14; {advice}"));
        }
    }
    for key in metadata.entries("annotations").map(|(key, _)| key) {
        if key.starts_with("container.apparmor.security.beta.kubernetes.io/") {
            found.push(format!(
                "metadata.annotations[{key}]: deprecated since v1.30; use the \"appArmorProfile\" field instead"
            ));
        }
        if key.starts_with("seccomp.security.alpha.kubernetes.io/")
            || key.starts_with("container.seccomp.security.alpha.kubernetes.io/")
        {
            found.push(format!(
                "metadata.annotations[{key}]: non-functional in v1.27+; use the \"seccompProfile\" field instead"
            ));
        }
    }
    for (index, volume) in spec.items("volumes").iter().enumerate() {
        for (kind, message) in [
            ("gitRepo", "deprecated in v1.11"),
            ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
            ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
            ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
            ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
            ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
            ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ] {
            if volume.has(kind) {
                found.push(format!("{path}.volumes[{index}].{kind}: {message}"));
            }
        }
    }
    for (index, alias) in spec.items("hostAliases").iter().enumerate() {
        let address = alias.text("ip");
        if is_sloppy(address) {
            found.push(format!("{path}.hostAliases[{index}].ip: non-standard IP address {address:?} will be considered invalid in a future Kubernetes release"));
        }
    }
    repeated(spec, "hostAliases", "ip", path, found);
    for (index, secret) in spec.items("imagePullSecrets").iter().enumerate() {
        if secret.text("name").is_empty() {
            found.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name {:?}", ""));
        }
    }
    repeated(spec, "imagePullSecrets", "name", path, found);
    if spec.int("terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        found.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    selectors_of_nothing(spec, path, found);
    for list in ["initContainers", "containers"] {
        for (index, container) in spec.items(list).iter().enumerate() {
            repeated_variables(container, &format!("{path}.{list}[{index}]"), found);
            repeated_ports(container, &format!("{path}.{list}[{index}]"), found);
            for kind in ["limits", "requests"] {
                for resource in ["memory", "ephemeral-storage"] {
                    let value = container["resources"][kind].text(resource);
                    if value.ends_with('m') {
                        found.push(format!(
                            "{path}.{list}[{index}].resources.{kind}[{resource}]: fractional byte value {value:?} is invalid, must be an integer"
                        ));
                    }
                }
            }
        }
    }
}

/// Entries of a list whose key an earlier one has.
fn repeated(spec: &Value, list: &str, key: &str, path: &str, found: &mut Vec<String>) {
    let items = spec.items(list);
    for (index, item) in items.iter().enumerate() {
        let value = item.text(key);
        if !value.is_empty() && items[..index].iter().any(|other| other.text(key) == value) {
            let what = if list == "hostAliases" { "ip" } else { "name" };
            found.push(format!("{path}.{list}[{index}].{key}: duplicate {what} {value:?}"));
        }
    }
}

/// Constraints and terms without a selector select no pod, which is hardly meant.
fn selectors_of_nothing(spec: &Value, path: &str, found: &mut Vec<String>) {
    const WHY: &str = "a null labelSelector results in matching no pod";
    for (index, constraint) in spec.items("topologySpreadConstraints").iter().enumerate() {
        if constraint["labelSelector"].is_null() {
            found.push(format!("{path}.topologySpreadConstraints[{index}].labelSelector: {WHY}"));
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = &spec["affinity"][kind];
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in affinity.items(required).iter().enumerate() {
            if term["labelSelector"].is_null() {
                found.push(format!("{path}.affinity.{kind}.{required}[{index}].labelSelector: {WHY}"));
            }
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in affinity.items(preferred).iter().enumerate() {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                found.push(format!(
                    "{path}.affinity.{kind}.{preferred}[{index}].podAffinityTerm.labelSelector: {WHY}"
                ));
            }
        }
    }
}

fn repeated_variables(container: &Value, path: &str, found: &mut Vec<String>) {
    let variables = container.items("env");
    for (index, variable) in variables.iter().enumerate() {
        let name = variable.text("name");
        let repeated = variables[..index].iter().any(|other| other.text("name") == name);
        // A variable may extend the one it hides.
        if repeated && !variable.text("value").contains(&format!("$({name})")) {
            found.push(format!("{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"));
        }
    }
}

fn repeated_ports(container: &Value, path: &str, found: &mut Vec<String>) {
    let ports = container.items("ports");
    for (index, port) in ports.iter().enumerate() {
        let same = |other: &&Value| {
            ["containerPort", "hostPort", "hostIP", "protocol"].iter().all(|key| other[*key] == port[*key])
        };
        if let Some(first) = ports[..index].iter().position(|other| same(&other)) {
            found
                .push(format!("{path}.ports[{index}]: duplicate port definition with {path}.ports[{first}]"));
        }
    }
}

/// Whether an IPv4 address is written with leading zeros.
fn is_sloppy(address: &str) -> bool {
    address.split('.').any(|part| part.len() > 1 && part.starts_with('0'))
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
                "spec.imagePullSecrets[1].name: invalid empty name \"\"|spec.imagePullSecrets[2].name: duplicate name \"a\"",
            ),
            (
                json!({"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]}),
                "spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"",
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
                json!({"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}),
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            ),
        ] {
            assert_eq!(pod(&json!({"spec": spec})).join("|"), expected);
        }
    }
}
