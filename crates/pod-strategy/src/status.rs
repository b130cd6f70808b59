//! What the kubelet and others may write into a pod's status.

use serde_json::Value;

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
    let (status, before) = (&new["status"], &old["status"]);
    let conditions_path = STATUS.child("conditions");
    for (index, condition) in status.items("conditions").iter().enumerate() {
        let kind = condition.text("type");
        errors.invalid_each(
            &conditions_path.index(index).child("type"),
            &Value::from(kind),
            names::qualified_name_errors(kind),
        );
    }
    let nominated = status.text("nominatedNodeName");
    if !nominated.is_empty() && nominated != before.text("nominatedNodeName") {
        let found = names::errors(NameRule::Subdomain, nominated);
        errors.invalid_each(&STATUS.child("nominatedNodeName"), &Value::from(nominated), found);
    }
    for list in ["containerStatuses", "initContainerStatuses"] {
        validate_transitions(list, new, old, errors);
    }
    for (index, entry) in status.items("podIPs").iter().enumerate() {
        let address = entry.text("ip");
        super::spec::validate_address(address, &STATUS.child("podIPs").index(index), errors);
    }
}

/// A container that ended for good must stay ended.
fn validate_transitions(list: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let policy = old["spec"].text("restartPolicy");
    if policy == "Always" || policy.is_empty() {
        return;
    }
    let specs = if list == "containerStatuses" { "containers" } else { "initContainers" };
    for (index, before) in old["status"].items(list).iter().enumerate() {
        let name = before.text("name");
        let terminated = &before["state"]["terminated"];
        let restartable = old["spec"].items(specs).iter().any(|container| {
            container.text("name") == name
                && (container.has("restartPolicy") || container.has("restartPolicyRules"))
        });
        let failed = terminated.int("exitCode").unwrap_or(0) != 0;
        if terminated.is_null() || restartable || (failed && policy == "OnFailure") {
            continue;
        }
        let revived = new["status"]
            .items(list)
            .iter()
            .any(|after| after.text("name") == name && after["state"]["terminated"].is_null());
        if revived {
            errors.forbidden(
                &STATUS.child(list).index(index).child("state"),
                "may not be transitioned to non-terminated state",
            );
        }
    }
}
