//! What the kubelet and others may write into a pod's status.

mod devices;

use serde_json::Value;

use crate::security;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;
use strategy::write;
use strategy::{self, NameRule};

const STATUS: Path<'static> = Path::root("status");

/// Puts back spec and owners, and the class of service that was settled at creation.
pub fn prepare(new: &mut Value, old: &Value) {
    strategy::prepare_status_update(new, old);
    let metadata = write::ensure(new, "metadata");
    write::copy(metadata, "ownerReferences", &old["metadata"]);
    write::copy(metadata, "deletionTimestamp", &old["metadata"]);
    let class = match old["status"].text("qosClass") {
        "" => super::resources::qos_class(&old["spec"]),
        class => class,
    };
    write::set(write::ensure(new, "status"), "qosClass", class);
}

/// Validates a status that was prepared.
pub fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    const METADATA: Path<'static> = Path::root("metadata");
    crate::annotations::validate_update(new, old, errors);
    let path = METADATA.child("annotations");
    let tolerated = crate::tolerated::Tolerated::of(old);
    crate::annotations::validate(&new["metadata"]["annotations"], &new["spec"], tolerated, &path, errors);
    let (status, before) = (&new["status"], &old["status"]);
    let conditions_path = STATUS.child("conditions");
    for (index, condition) in status.items("conditions").iter().enumerate() {
        let path = conditions_path.index(index);
        validate_generation(condition, &path, errors);
        let kind = condition.text("type");
        let found = names::qualified_name_errors(kind);
        errors.invalid_each(&path.child("Type"), &Value::from(kind), found);
    }
    let nominated = status.text("nominatedNodeName");
    if !nominated.is_empty() && nominated != before.text("nominatedNodeName") {
        let path = STATUS.child("nominatedNodeName");
        let found = names::errors(NameRule::Subdomain, nominated);
        errors.invalid_each(&path, &Value::from(nominated), found);
        if !old["spec"].text("nodeName").is_empty() {
            errors.forbidden(&path, "may not be set on pods that are already bound to a node");
        }
    }
    validate_generation(status, &STATUS, errors);
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        validate_transitions(list, new, old, errors);
    }
    devices::validate_claims(new, errors);
    devices::validate_extended(new, errors);
    validate_addresses(status, "podIPs", errors);
    let first = status.items("hostIPs").first();
    if let Some(first) = first.filter(|first| first.text("ip") != status.text("hostIP")) {
        let path = STATUS.child("hostIPs");
        errors.invalid(&path.index(0).child("ip"), first.text("ip"), "must be equal to `hostIP`");
    }
    validate_addresses(status, "hostIPs", errors);
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        validate_users(new, list, errors);
    }
    devices::validate_allocated(new, errors);
}

fn validate_generation(object: &Value, path: &Path, errors: &mut Errors) {
    if let Some(generation) = object.int("observedGeneration").filter(|generation| *generation < 0) {
        errors.invalid(&path.child("observedGeneration"), generation, "must be a non-negative integer");
    }
}

/// The users as which containers run, which only Linux has.
fn validate_users(pod: &Value, list: &str, errors: &mut Errors) {
    let list_path = STATUS.child(list);
    for (index, status) in pod["status"].items(list).iter().enumerate() {
        let user = &status["user"]["linux"];
        if user.is_null() {
            continue;
        }
        let path = list_path.index(index);
        let user_path = path.child("user");
        let path = user_path.child("linux");
        if pod["spec"]["os"].text("name") == "windows" {
            errors.forbidden(&path, "cannot be set for a windows pod");
            continue;
        }
        security::validate_id(user, "uid", &path, errors);
        security::validate_id(user, "gid", &path, errors);
        security::validate_groups(user, &path, errors);
    }
}

/// At most one address of each family, none twice.
fn validate_addresses(status: &Value, list: &str, errors: &mut Errors) {
    let path = STATUS.child(list);
    let entries = status.items(list);
    for (index, entry) in entries.iter().enumerate() {
        strategy::addresses::validate(entry.text("ip"), &path.index(index), errors);
    }
    let of_family = |four: bool| {
        let parsed = entries.iter().filter_map(|entry| entry.text("ip").parse::<std::net::IpAddr>().ok());
        parsed.filter(|address| address.is_ipv4() == four).count()
    };
    if of_family(true) > 1 || of_family(false) > 1 {
        errors.invalid(&path, status[list].clone(), "may specify no more than one IP for each IP family");
    }
    for (index, entry) in entries.iter().enumerate() {
        if entries[..index].iter().any(|other| other.text("ip") == entry.text("ip")) {
            errors.duplicate(&path.index(index), entry.clone());
        }
    }
}

/// A container that ended for good must stay ended.
fn validate_transitions(list: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let specs = match list {
        "containerStatuses" => "containers",
        "initContainerStatuses" => "initContainers",
        // No kubelet starts an ephemeral container again, whatever the policy.
        _ => "",
    };
    if !specs.is_empty() && all_may_restart(&old["spec"]) {
        return;
    }
    for (index, before) in old["status"].items(list).iter().enumerate() {
        let name = before.text("name");
        let terminated = &before["state"]["terminated"];
        if terminated.is_null() {
            continue;
        }
        let revived = new["status"]
            .items(list)
            .iter()
            .find(|after| after.text("name") == name)
            .is_some_and(|after| after["state"]["terminated"].is_null());
        let code = terminated.int("exitCode").unwrap_or(0);
        let of_spec = old["spec"].items(specs).iter().find(|container| container.text("name") == name);
        if revived && !of_spec.is_some_and(|container| may_restart(container, &old["spec"], code)) {
            errors.forbidden(
                &STATUS.child(list).index(index).child("state"),
                "may not be transitioned to non-terminated state",
            );
        }
    }
}

/// Whether a rule of any container starts all of them again.
fn all_may_restart(spec: &Value) -> bool {
    ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.items(list))
        .flat_map(|container| container.items("restartPolicyRules"))
        .any(|rule| rule.text("action") == "RestartAllContainers")
}

/// Whether a container that ended with the code starts again: by its own rules, its own policy, or the pod's.
fn may_restart(container: &Value, spec: &Value, code: i64) -> bool {
    let matches = |rule: &&Value| {
        let codes = &rule["exitCodes"];
        let listed = codes.items("values").iter().any(|value| value.as_i64() == Some(code));
        match codes.text("operator") {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    };
    if let Some(rule) = container.items("restartPolicyRules").iter().find(matches) {
        return rule.text("action") == "Restart";
    }
    let policy = if container.has("restartPolicy") {
        container.text("restartPolicy")
    } else {
        spec.text("restartPolicy")
    };
    match policy {
        "Always" => true,
        "OnFailure" => code != 0,
        _ => false,
    }
}
