//! What a pod's status tells of devices: the claims that were made for it, and how the devices of its containers are.

use std::collections::HashSet;

use serde_json::Value;

use super::STATUS;
use strategy::NameRule;
use strategy::field::{Errors, Path};
use strategy::names;
use strategy::read::Read;

const HEALTH: [&str; 3] = ["Healthy", "Unhealthy", "Unknown"];

/// The claims made for a pod are named by entries of its spec.
pub(super) fn validate_claims(pod: &Value, errors: &mut Errors) {
    let path = STATUS.child("resourceClaimStatuses");
    let statuses = pod["status"].items("resourceClaimStatuses");
    for (index, status) in statuses.iter().enumerate() {
        let item_path = path.index(index);
        let path = item_path.child("name");
        let name = status.text("name");
        if !pod["spec"].items("resourceClaims").iter().any(|claim| claim.text("name") == name) {
            errors.invalid(&path, name, "must match the name of an entry in `spec.resourceClaims`");
        }
        if statuses[..index].iter().any(|other| other.text("name") == name) {
            errors.duplicate(&path, name);
        }
        if status.has("resourceClaimName") {
            // Upstream tells of it at the name.
            let found = names::errors(NameRule::Subdomain, status.text("resourceClaimName"));
            errors.invalid_each(&path, &status["resourceClaimName"], found);
        }
    }
}

/// The claim made for what the pod asks for as resources, and which of its requests are for which container.
pub(super) fn validate_extended(pod: &Value, errors: &mut Errors) {
    let claim = &pod["status"]["extendedResourceClaimStatus"];
    if claim.is_null() {
        return;
    }
    let path = STATUS.child("extendedResourceClaimStatus");
    let mappings_path = path.child("requestMappings");
    let mappings = claim.items("requestMappings");
    if mappings.is_empty() {
        errors.required(&mappings_path, "at least one request mapping is required");
    }
    let mut seen = HashSet::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let item_path = mappings_path.index(index);
        let keys = ["containerName", "resourceName", "requestName"];
        let [container, resource, request] = keys.map(|key| mapping.text(key));
        // The last of a name counts, as upstream.
        let containers = pod["spec"].items("initContainers").iter().chain(pod["spec"].items("containers"));
        match containers.rev().find(|known| known.text("name") == container) {
            Some(known) if known["resources"]["requests"].has(resource) => {}
            Some(_) => errors.invalid(
                &item_path.child("resourceName"),
                resource,
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests",
            ),
            None => errors.invalid(
                &item_path.child("containerName"),
                container,
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            ),
        }
        // Upstream leaves the place in the list out.
        let found = names::errors(NameRule::Label, request);
        errors.invalid_each(&path.child("requestName"), &Value::from(request), found);
        if !seen.insert((container, resource, request)) {
            for key in keys {
                errors.duplicate(&item_path.child(key), mapping.text(key));
            }
        }
    }
    let (name, path) = (claim.text("resourceClaimName"), path.child("resourceClaimName"));
    if name.is_empty() {
        errors.required(&path, "");
    } else {
        let found = names::errors(NameRule::Subdomain, name);
        errors.invalid_each(&path, &Value::from(name), found);
    }
}

/// What a container got is what it asked for; each device is told of once.
pub(super) fn validate_allocated(pod: &Value, errors: &mut Errors) {
    for (list, containers) in
        [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")]
    {
        let list_path = STATUS.child(list);
        for (index, status) in pod["status"].items(list).iter().enumerate() {
            let item_path = list_path.index(index);
            let path = item_path.child("allocatedResourcesStatus");
            let name = status.text("name");
            // Upstream tells nothing of a container that it does not know.
            let container = pod["spec"].items(containers).iter().find(|known| known.text("name") == name);
            for (index, resource) in status.items("allocatedResourcesStatus").iter().enumerate() {
                let path = path.index(index);
                if let Some(why) = container.and_then(|container| not_asked_for(container, resource)) {
                    errors.invalid(&path.child("name"), resource.text("name"), why);
                }
                validate_health(resource, &path.child("resources"), errors);
            }
        }
    }
    let list_path = STATUS.child("ephemeralContainerStatuses");
    for (index, status) in pod["status"].items("ephemeralContainerStatuses").iter().enumerate() {
        if status.has("allocatedResourcesStatus") {
            let path = list_path.index(index);
            errors.forbidden(
                &path.child("allocatedResourcesStatus"),
                "must not be specified in container status",
            );
        }
    }
}

fn not_asked_for(container: &Value, resource: &Value) -> Option<&'static str> {
    let (name, asked) = (resource.text("name"), &container["resources"]);
    if !name.starts_with("claim:") {
        let why = "must match one of the container's resource requests";
        return (!asked["requests"].has(name)).then_some(why);
    }
    let is_named = asked.items("claims").iter().any(|claim| {
        let request = claim.text("request");
        let end = if request.is_empty() { String::new() } else { format!("/{request}") };
        name == format!("claim:{}{end}", claim.text("name"))
    });
    let why = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
    (!is_named).then_some(why)
}

fn validate_health(resource: &Value, path: &Path, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, device) in resource.items("resources").iter().enumerate() {
        let path = path.index(index);
        let (health, id) = (device.text("health"), device.text("resourceID"));
        if !HEALTH.contains(&health) {
            errors.unsupported(&path.child("health"), health, &HEALTH);
        }
        if !seen.insert(id) {
            errors.duplicate(&path.child("resourceID"), id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::found;

    fn pod(status: Value) -> Value {
        let resources = json!({"requests": {"a.example/gpu": "1"}, "claims": [{"name": "c", "request": "r"}, {"name": "d"}]});
        json!({"spec": {"containers": [{"name": "c", "resources": resources}], "initContainers": [{"name": "i"}]}, "status": status})
    }

    #[test]
    fn requests_of_the_made_claim_are_for_containers() {
        let check = |claim: Value| {
            found(|errors| validate_extended(&pod(json!({"extendedResourceClaimStatus": claim})), errors))
        };
        let mapping = |container: &str, resource: &str, request: &str| json!({"containerName": container, "resourceName": resource, "requestName": request});
        let good = mapping("c", "a.example/gpu", "container-0-request-0");
        assert_eq!(check(json!({"resourceClaimName": "p-1", "requestMappings": [good]})), "");
        assert_eq!(check(Value::Null), "");
        let path = "status.extendedResourceClaimStatus";
        assert_eq!(
            check(json!({})),
            format!(
                "{path}.requestMappings: Required value: at least one request mapping is required\n\
                 {path}.resourceClaimName: Required value"
            )
        );
        assert_eq!(
            check(
                json!({"resourceClaimName": "p-1", "requestMappings": [good, good, mapping("i", "cpu", "r"), mapping("x", "cpu", "r")]})
            ),
            format!(
                "{path}.requestMappings[1].containerName: Duplicate value: \"c\"\n\
                 {path}.requestMappings[1].resourceName: Duplicate value: \"a.example/gpu\"\n\
                 {path}.requestMappings[1].requestName: Duplicate value: \"container-0-request-0\"\n\
                 {path}.requestMappings[2].resourceName: Invalid value: \"cpu\": must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests\n\
                 {path}.requestMappings[3].containerName: Invalid value: \"x\": must match the name of an entry in spec.initContainers.name or spec.containers.name"
            )
        );
        let told =
            check(json!({"resourceClaimName": "P", "requestMappings": [mapping("c", "a.example/gpu", "R")]}));
        let starts: Vec<&str> =
            told.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
        assert_eq!(starts, [format!("{path}.requestName"), format!("{path}.resourceClaimName")]);
    }

    #[test]
    fn devices_are_told_of_where_they_were_asked_for() {
        let check = |list: &str, name: &str, allocated: Value| {
            let status = json!({ list: [{"name": name, "allocatedResourcesStatus": allocated}] });
            found(|errors| validate_allocated(&pod(status), errors))
        };
        let device = |id: &str, health: &str| json!({"resourceID": id, "health": health});
        let of = |name: &str, devices: Value| json!({"name": name, "resources": devices});
        let good = json!([
            of("a.example/gpu", json!([device("1", "Healthy"), device("2", "Unknown")])),
            of("claim:c/r", json!([])),
            of("claim:d", json!([]))
        ]);
        assert_eq!(check("containerStatuses", "c", good), "");
        assert_eq!(check("containerStatuses", "gone", json!([of("x", json!([]))])), "");
        let path = "status.containerStatuses[0].allocatedResourcesStatus";
        assert_eq!(
            check(
                "containerStatuses",
                "c",
                json!([
                    of("cpu", json!([device("1", "Ill"), device("1", "Healthy")])),
                    of("claim:c", json!([]))
                ])
            ),
            format!(
                "{path}[0].name: Invalid value: \"cpu\": must match one of the container's resource requests\n\
                 {path}[0].resources[0].health: Unsupported value: \"Ill\": supported values: \"Healthy\", \"Unhealthy\", \"Unknown\"\n\
                 {path}[0].resources[1].resourceID: Duplicate value: \"1\"\n\
                 {path}[1].name: Invalid value: \"claim:c\": must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
            )
        );
        assert_eq!(
            check("ephemeralContainerStatuses", "e", json!([])),
            "status.ephemeralContainerStatuses[0].allocatedResourcesStatus: Forbidden: must not be specified in container status"
        );
    }
}
