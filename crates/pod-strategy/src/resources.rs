//! Requests and limits: their validation, what a whole pod asks for, and its quality of service.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use apimachinery::status::FieldError;
use serde_json::Value;

use crate::probes::validate_label;
use crate::tolerated::is_wrong;

use strategy::field::{Errors, Path};
use strategy::names::qualified_name_errors;
use strategy::read::Read;

/// Quantities by resource name.
pub type ResourceList = BTreeMap<String, Quantity>;

/// Reads one list of quantities; what is no quantity is left out.
pub fn list(resources: &Value, key: &str) -> ResourceList {
    resources.entries(key).filter_map(|(name, value)| Some((name.clone(), quantity(value)?))).collect()
}

/// Reads a quantity given as text or number.
pub fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// What all containers of a pod spec request together, init containers and overhead included.
pub fn requests(spec: &Value) -> ResourceList {
    together(spec, "requests")
}

/// What all containers of a pod spec are limited to together.
pub fn limits(spec: &Value) -> ResourceList {
    together(spec, "limits")
}

/// What the containers of a pod spec ask for together, whatever the pod as a whole says.
pub(crate) fn of_containers(spec: &Value, key: &str) -> ResourceList {
    let mut total = ResourceList::new();
    for container in spec.items("containers") {
        add(&mut total, &list(&container["resources"], key));
    }
    // A sidecar runs beside every init container after it and beside the containers; an ordinary init container
    // runs alone with the sidecars started before it.
    let mut sidecars = ResourceList::new();
    let mut init = ResourceList::new();
    for container in spec.items("initContainers") {
        let mut own = list(&container["resources"], key);
        if container.text("restartPolicy") == "Always" {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            own = sidecars.clone();
        } else {
            add(&mut own, &sidecars);
        }
        largest(&mut init, &own);
    }
    largest(&mut total, &init);
    total
}

fn together(spec: &Value, key: &str) -> ResourceList {
    let mut total = of_containers(spec, key);
    for (name, amount) in list(&spec["resources"], key) {
        total.insert(name, amount);
    }
    for (name, amount) in list(spec, "overhead") {
        // Overhead raises a limit only where there is one.
        if key == "requests" || total.contains_key(&name) {
            let sum = total.get(&name).copied().unwrap_or(Quantity::ZERO) + amount;
            total.insert(name, sum);
        }
    }
    total
}

/// Adds each amount of `more`.
pub fn add(total: &mut ResourceList, more: &ResourceList) {
    for (name, amount) in more {
        let sum = total.get(name).map_or(*amount, |before| *before + *amount);
        total.insert(name.clone(), sum);
    }
}

fn largest(total: &mut ResourceList, other: &ResourceList) {
    for (name, amount) in other {
        if total.get(name).is_none_or(|before| before < amount) {
            total.insert(name.clone(), *amount);
        }
    }
}

/// The quality-of-service class of a pod spec: `Guaranteed`, `Burstable` or `BestEffort`.
pub fn qos_class(spec: &Value) -> &'static str {
    let own = &spec["resources"];
    let pod_level = own.has("requests") || own.has("limits");
    let containers: Vec<&Value> = if pod_level {
        vec![own]
    } else {
        spec.items("containers")
            .iter()
            .chain(spec.items("initContainers"))
            .map(|container| &container["resources"])
            .collect()
    };
    let counted = |list: ResourceList| -> ResourceList {
        list.into_iter()
            .filter(|(name, amount)| matches!(name.as_str(), "cpu" | "memory") && amount.sign() > 0)
            .collect()
    };
    let (mut requests, mut limits) = (ResourceList::new(), ResourceList::new());
    let mut limited = true;
    for resources in containers {
        add(&mut requests, &counted(list(resources, "requests")));
        let own = counted(list(resources, "limits"));
        limited &= own.len() == 2;
        add(&mut limits, &own);
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Whether requests may be lower than limits: true for upstream's own resources except huge pages.
pub fn may_overcommit(name: &str) -> bool {
    is_native(name) && !name.starts_with("hugepages-")
}

/// Whether a resource is upstream's own (`cpu`, `memory`, `x.kubernetes.io/y`), not a device plugin's.
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether a container may ask for the resource by this unqualified name.
pub fn is_standard_for_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

/// Whether the name follows the rules of resources that device plugins offer.
pub fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && qualified_name_errors(&format!("requests.{name}")).is_empty()
}

/// Validates `resources` of a container, or what a RuntimeClass adds to a pod.
pub fn validate(resources: &Value, claims: &[&str], path: &Path, errors: &mut Errors) {
    validate_as(resources, claims, false, path, errors);
}

/// Validates `resources` of a container, where huge pages may be asked for `in_parts` if they were before.
pub(crate) fn validate_as(
    resources: &Value,
    claims: &[&str],
    in_parts: bool,
    path: &Path,
    errors: &mut Errors,
) {
    validate_lists(resources, validate_container_resource_name, in_parts, path, errors);
    validate_claims(resources.items("claims"), claims, &path.child("claims"), errors);
}

/// Validates `resources` of a pod as a whole.
pub(crate) fn validate_of_pod(
    resources: &Value,
    claims: &[&str],
    in_parts: bool,
    path: &Path,
    errors: &mut Errors,
) {
    validate_lists(resources, validate_pod_resource_name, in_parts, path, errors);
    validate_claims(resources.items("claims"), claims, &path.child("claims"), errors);
}

fn validate_lists(
    resources: &Value,
    validate_name: impl Fn(&str, &Path, &mut Errors),
    in_parts: bool,
    path: &Path,
    errors: &mut Errors,
) {
    let limits_path = path.child("limits");
    let requests_path = path.child("requests");
    let limits = &resources["limits"];
    let (mut cpu_or_memory, mut huge_pages) = (false, false);
    let mut note = |name: &str| {
        cpu_or_memory |= matches!(name, "cpu" | "memory");
        huge_pages |= name.starts_with("hugepages-");
    };
    for (name, value) in resources.entries("limits") {
        let path = limits_path.key(name);
        validate_name(name, &path, errors);
        validate_amount(name, value, &path, errors);
        if !in_parts {
            validate_pages(name, value, &path, errors);
        }
        note(name);
    }
    for (name, value) in resources.entries("requests") {
        let path = requests_path.key(name);
        validate_name(name, &path, errors);
        validate_amount(name, value, &path, errors);
        note(name);
        let (Some(request), limit) = (quantity(value), limits.get(name).and_then(quantity)) else { continue };
        match limit {
            Some(limit) if request != limit && !may_overcommit(name) => errors.invalid(
                &requests_path,
                request.to_string(),
                format!("must be equal to {name} limit of {limit}"),
            ),
            Some(limit) if request > limit => errors.invalid(
                &requests_path,
                request.to_string(),
                format!("must be less than or equal to {name} limit of {limit}"),
            ),
            None if !may_overcommit(name) => {
                errors.required(&limits_path, "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
        if !in_parts {
            validate_pages(name, value, &path, errors);
        }
    }
    if huge_pages && !cpu_or_memory {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

/// Validates that huge pages are asked for as whole pages.
fn validate_pages(name: &str, value: &Value, path: &Path, errors: &mut Errors) {
    let (Some(size), Some(amount)) = (name.strip_prefix("hugepages-"), quantity(value)) else { return };
    let size = size.parse::<Quantity>().ok().filter(|size| size.sign() > 0 && size.is_whole());
    if size.is_none_or(|size| amount.value() % size.value() != 0) {
        errors.invalid(
            path,
            amount.to_string(),
            format!("{amount} is not positive integer multiple of {name}"),
        );
    }
}

/// Whether a container asks for parts of huge pages.
pub(crate) fn has_parts_of_pages(resources: &Value) -> bool {
    ["limits", "requests"].iter().any(|list| {
        resources
            .entries(list)
            .any(|(name, value)| is_wrong(|path, errors| validate_pages(name, value, path, errors)))
    })
}

/// Validates what a container takes of the pod's claims: each whole or by request, and only once.
fn validate_claims(taken: &[Value], known: &[&str], path: &Path, errors: &mut Errors) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, claim) in taken.iter().enumerate() {
        let path = path.index(index);
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        if seen.contains(&(name, "")) {
            errors.duplicate(&path, name);
        } else {
            if !request.is_empty() {
                validate_label(request, &path.child("request"), errors);
            }
            if seen.contains(&(name, request)) {
                errors.duplicate(&path, format!("{name}/{request}"));
            } else if request.is_empty() {
                for _ in seen.iter().filter(|(other, _)| *other == name) {
                    errors.duplicate(&path, name);
                }
            }
            if !seen.contains(&(name, request)) {
                seen.push((name, request));
            }
        }
        if !known.contains(&name) {
            let mut sorted = known.to_vec();
            sorted.sort_unstable();
            let which = match sorted.as_slice() {
                [] => " which is empty".to_owned(),
                names => format!(": {}", names.join(", ")),
            };
            let mut error = FieldError::not_found(path.to_string(), name);
            error.detail = format!("must be one of the names in pod.spec.resourceClaims{which}");
            errors.push(error);
        }
    }
}

/// What a pod as a whole may be given; all sizes of huge pages are listed by what they begin with.
const OF_PODS: [&str; 3] = ["cpu", "hugepages-", "memory"];

/// Whether a pod as a whole may be given the resource.
pub(crate) fn is_of_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn validate_pod_resource_name(name: &str, path: &Path, errors: &mut Errors) {
    if validate_resource_name(name, path, errors) && !is_of_pods(name) {
        errors.unsupported(path, name, &OF_PODS);
    }
}

/// Validates the name of a resource that containers may ask for.
pub fn validate_container_resource_name(name: &str, path: &Path, errors: &mut Errors) {
    validate_resource_name(name, path, errors);
    if !name.contains('/') {
        if !is_standard_for_containers(name) {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

/// Validates the syntax of a resource name; unqualified ones must be known. Says whether it was well formed.
pub fn validate_resource_name(name: &str, path: &Path, errors: &mut Errors) -> bool {
    let found = qualified_name_errors(name);
    let well_formed = found.is_empty();
    errors.invalid_each(path, &Value::from(name), found);
    if well_formed && !name.contains('/') && !is_standard(name) {
        errors.invalid(path, name, "must be a standard resource type or fully qualified");
        return false;
    }
    well_formed
}

/// Kinds of which a quota counts the objects.
const OBJECTS: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Whether the unqualified name is known anywhere: in containers, nodes or quotas.
pub fn is_standard(name: &str) -> bool {
    let asked = name.strip_prefix("requests.");
    is_standard_for_containers(name)
        || asked.is_some_and(|name| is_standard_for_containers(name) || name == "storage")
        || OBJECTS.contains(&name)
        || matches!(name, "storage" | "limits.cpu" | "limits.memory" | "limits.ephemeral-storage")
}

/// Validates that an amount is not negative, and whole where the resource is counted in units.
pub fn validate_amount(name: &str, value: &Value, path: &Path, errors: &mut Errors) {
    let Some(amount) = quantity(value) else {
        errors.invalid(path, value.clone(), "must be a valid quantity");
        return;
    };
    if amount.sign() < 0 {
        errors.invalid(path, amount.to_string(), "must be greater than or equal to 0");
    }
    if is_counted(name) && !amount.is_whole() {
        errors.invalid(path, amount.to_string(), "must be an integer");
    }
}

fn is_counted(name: &str) -> bool {
    is_extended(name) || OBJECTS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strategy::testing::listed;

    fn check(resources: Value, expected: &str) {
        let mut errors = Errors::new();
        validate(&resources, &[], &Path::root("resources"), &mut errors);
        assert_eq!(listed(errors.into_vec()), expected);
    }

    #[test]
    fn requests_stay_within_limits() {
        check(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}), "");
        check(
            json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            r#"resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#,
        );
        check(
            json!({"requests": {"example.com/gpu": "1"}}),
            "resources.limits: Required value: Limit must be set for non overcommitable resources",
        );
        check(
            json!({"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}}),
            r#"resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2"#,
        );
        check(
            json!({"limits": {"example.com/gpu": "1500m"}}),
            r#"resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer"#,
        );
        check(
            json!({"limits": {"cpu": "-1"}}),
            r#"resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0"#,
        );
        check(
            json!({"limits": {"gpu": "1"}}),
            "resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified\n\
             resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
        );
        check(
            json!({"limits": {"pods": "1"}}),
            r#"resources.limits[pods]: Invalid value: "pods": must be a standard resource for containers"#,
        );
        check(
            json!({"limits": {"hugepages-2Mi": "2Mi"}}),
            "resources: Forbidden: HugePages require cpu or memory",
        );
    }

    #[test]
    fn quality_of_service() {
        let class = |containers: Value| qos_class(&json!({ "containers": containers }));
        assert_eq!(class(json!([{}])), "BestEffort");
        assert_eq!(class(json!([{"resources": {"requests": {"cpu": "1"}}}])), "Burstable");
        let full = json!({"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}}});
        assert_eq!(class(json!([full])), "Guaranteed");
        assert_eq!(class(json!([full, {}])), "Burstable");
        assert_eq!(class(json!([{"resources": {"requests": {"cpu": "0"}}}])), "BestEffort");
    }

    #[test]
    fn init_containers_count_by_the_largest() {
        let spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
                {"resources": {"requests": {"cpu": "3"}}},
            ],
            "overhead": {"cpu": "100m"},
        });
        assert_eq!(requests(&spec)["cpu"].to_string(), "4100m");
    }
}
