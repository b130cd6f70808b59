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
    // Upstream says that conditions are metadata.
    const METADATA: Path<'static> = Path::root("metadata");
    let conditions_path = METADATA.child("conditions");
    for (index, condition) in status.items("conditions").iter().enumerate() {
        let kind = condition.text("type");
        errors.invalid_each(
            &conditions_path.index(index).child("Type"),
            &Value::from(kind),
            names::qualified_name_errors(kind),
        );
    }
    let nominated = status.text("nominatedNodeName");
    if !nominated.is_empty() && nominated != before.text("nominatedNodeName") {
        let found = names::errors(NameRule::Subdomain, nominated);
        errors.invalid_each(&STATUS.child("nominatedNodeName"), &Value::from(nominated), found);
    }
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        validate_transitions(list, new, old, errors);
    }
    validate_claims(new, errors);
    validate_addresses(status, "podIPs", errors);
    let first = status.items("hostIPs").first();
    if let Some(first) = first.filter(|first| first.text("ip") != status.text("hostIP")) {
        let path = STATUS.child("hostIPs");
        errors.invalid(&path.index(0).child("ip"), first.text("ip"), "must be equal to `hostIP`");
    }
    validate_addresses(status, "hostIPs", errors);
}

/// The claims made for a pod are named by entries of its spec.
fn validate_claims(pod: &Value, errors: &mut Errors) {
    let path = STATUS.child("resourceClaimStatuses");
    let statuses = pod["status"].items("resourceClaimStatuses");
    for (index, status) in statuses.iter().enumerate() {
        let path = path.index(index);
        let name = status.text("name");
        if !pod["spec"].items("resourceClaims").iter().any(|claim| claim.text("name") == name) {
            errors.invalid(
                &path.child("name"),
                name,
                "must match the name of an entry in `spec.resourceClaims`",
            );
        }
        if statuses[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
        if status.has("resourceClaimName") {
            let found = names::errors(NameRule::Subdomain, status.text("resourceClaimName"));
            errors.invalid_each(&path.child("name"), &status["resourceClaimName"], found);
        }
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
    // No kubelet starts an ephemeral container again, whatever the policy.
    let policy = match list {
        "ephemeralContainerStatuses" => "Never",
        _ => old["spec"].text("restartPolicy"),
    };
    if policy == "Always" || policy.is_empty() {
        return;
    }
    let specs = match list {
        "containerStatuses" => "containers",
        "initContainerStatuses" => "initContainers",
        _ => "ephemeralContainers",
    };
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
