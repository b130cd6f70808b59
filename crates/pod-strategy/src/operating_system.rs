//! What a pod may not ask for on the operating system that it names.

use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::Read;

const WINDOWS: &str = "cannot be set for a windows pod";

/// What of a pod's security context Windows has not, in upstream's order.
const POD_FIELDS: [&str; 15] = [
    "appArmorProfile",
    "seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "shareProcessNamespace",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];

/// What of a container's security context Windows has not.
const CONTAINER_FIELDS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// Validates the operating system of a pod spec and what hangs together with it.
pub(crate) fn validate(spec: &Value, path: &Path, errors: &mut Errors) {
    let os_path = path.child("os");
    match spec["os"].text("name") {
        "linux" => forbid(spec, &["windowsOptions"], &["windowsOptions"], path, errors),
        "windows" => forbid(spec, &POD_FIELDS, &CONTAINER_FIELDS, path, errors),
        "" => errors.required(&os_path.child("name"), "cannot be empty"),
        other => errors.unsupported(&os_path, other, &["linux", "windows"]),
    }
}

fn forbid(spec: &Value, of_pod: &[&str], of_containers: &[&str], path: &Path, errors: &mut Errors) {
    for key in of_pod {
        // What stands beside the security context, upstream keeps in there.
        let (holder, path) = match *key {
            "hostUsers" | "hostPID" | "hostIPC" | "shareProcessNamespace" => (spec, *path),
            _ => (&spec["securityContext"], path.child("securityContext")),
        };
        let said = match *key {
            "hostPID" | "hostIPC" => holder.flag(key) == Some(true),
            "sysctls" => !holder.items(key).is_empty(),
            _ => holder.has(key),
        };
        if said {
            errors.forbidden(&path.child(key), why(key));
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let list_path = path.child(list);
        for (index, container) in spec.items(list).iter().enumerate() {
            let container_path = list_path.index(index);
            let path = container_path.child("securityContext");
            let context = &container["securityContext"];
            for key in of_containers.iter().filter(|key| context.has(key)) {
                errors.forbidden(&path.child(key), why(key));
            }
        }
    }
}

fn why(key: &str) -> &'static str {
    match key {
        "windowsOptions" => "windows options cannot be set for a linux pod",
        _ => WINDOWS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    #[test]
    fn each_system_has_its_own_fields() {
        let check = |spec: Value| found(|errors| validate(&spec, &Path::root("spec"), errors));
        assert_eq!(check(json!({"os": {"name": "linux"}, "securityContext": {"runAsUser": 1}})), "");
        assert_eq!(
            check(json!({"os": {"name": "windows"}, "hostPID": true, "securityContext": {"runAsUser": 1},
                "containers": [{"securityContext": {"privileged": true}}]})),
            "spec.hostPID: Forbidden: cannot be set for a windows pod\n\
             spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod\n\
             spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod"
        );
        assert_eq!(
            check(
                json!({"os": {"name": "linux"}, "containers": [{"securityContext": {"windowsOptions": {}}}]})
            ),
            "spec.containers[0].securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"
        );
        assert_eq!(
            check(json!({"os": {"name": "plan9"}})),
            "spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\""
        );
    }
}
