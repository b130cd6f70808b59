//! Validation of a pod spec as a whole, for pods and for templates.

use serde_json::{Value, json};

use crate::containers::{self, Surroundings};
use crate::defaults::CONTAINER_LISTS;
use crate::probes::validate_label;
use crate::resources::{self, quantity};
use crate::tolerated::Tolerated;
use crate::{annotations, env, operating_system, scheduling, security, volumes, windows};
use strategy::NameRule;
use strategy::addresses;
use strategy::field::{Errors, Path};
use strategy::metadata::validate_labels;
use strategy::names;
use strategy::read::Read;

/// Validates the spec of a defaulted pod, with what does not hold for templates.
pub(crate) fn validate_pod(pod: &Value, tolerated: Tolerated, errors: &mut Errors) {
    const METADATA: Path<'static> = Path::root("metadata");
    const SPEC: Path<'static> = Path::root("spec");
    let spec = &pod["spec"];
    let annotations_path = METADATA.child("annotations");
    annotations::validate(&pod["metadata"]["annotations"], spec, tolerated, &annotations_path, errors);
    validate_as(spec, Some(pod), tolerated, &SPEC, errors);
    let volumes_path = SPEC.child("volumes");
    let volumes = spec.items("volumes");
    if spec.text("serviceAccountName").is_empty() {
        for (index, volume) in volumes.iter().enumerate() {
            let volume_path = volumes_path.index(index);
            let projected_path = volume_path.child("projected");
            let sources_path = projected_path.child("sources");
            for (index, source) in volume["projected"].items("sources").iter().enumerate() {
                if source.has("serviceAccountToken") {
                    errors.forbidden(
                        &sources_path.index(index).child("serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set",
                    );
                }
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for (index, container) in spec.items(list).iter().enumerate() {
            containers::validate_image(container, &SPEC.child(list).index(index), errors);
        }
    }
}

/// Validates the defaulted spec of a template.
pub(crate) fn validate(spec: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    validate_as(spec, None, tolerated, path, errors);
}

/// Validates a defaulted pod spec, of a pod or else of a template, in upstream's order.
fn validate_as(spec: &Value, pod: Option<&Value>, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    let volumes = volumes::validate(
        spec.items("volumes"),
        pod.map(|pod| pod["metadata"].text("name")),
        tolerated,
        &path.child("volumes"),
        errors,
    );
    let mirror = pod.is_some_and(crate::is_mirror);
    let claims = validate_claims(spec, mirror, &path.child("resourceClaims"), errors);
    let (ordinary, init) = (spec.items("containers"), spec.items("initContainers"));
    let around = Surroundings {
        volumes: &volumes,
        claims: &claims,
        grace: spec.int("terminationGracePeriodSeconds").unwrap_or(30),
        os: &spec["os"],
        restart_policy: spec.text("restartPolicy"),
        host_users: spec.flag("hostUsers") != Some(false),
        tolerated,
    };
    containers::validate(ordinary, &around, &path.child("containers"), errors);
    containers::validate_init(init, ordinary, &around, &path.child("initContainers"), errors);
    containers::validate_ephemeral(
        spec.items("ephemeralContainers"),
        &[ordinary, init],
        &around,
        &path.child("ephemeralContainers"),
        errors,
    );
    if spec.has("resources") {
        validate_pod_resources(spec, &claims, tolerated, &path.child("resources"), errors);
    }
    validate_host_network(spec, pod.is_some(), path, errors);
    let restart_path = path.child("restartPolicy");
    match spec.text("restartPolicy") {
        "Always" | "OnFailure" | "Never" => {}
        "" => errors.required(&restart_path, ""),
        other => errors.unsupported(&restart_path, other, &["Always", "OnFailure", "Never"]),
    }
    let dns_path = path.child("dnsPolicy");
    match spec.text("dnsPolicy") {
        "ClusterFirst" | "ClusterFirstWithHostNet" | "Default" | "None" => {}
        "" => errors.required(&dns_path, ""),
        other => errors.unsupported(
            &dns_path,
            other,
            &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        ),
    }
    validate_labels(&spec["nodeSelector"], &path.child("nodeSelector"), errors);
    security::validate_pod(spec, tolerated, path, errors);
    scheduling::validate_affinity(&spec["affinity"], tolerated, &path.child("affinity"), errors);
    validate_dns_config(spec, &path.child("dnsConfig"), errors);
    scheduling::validate_gates(spec, path, errors);
    let spread_path = path.child("topologySpreadConstraints");
    scheduling::validate_spread(spec.items("topologySpreadConstraints"), tolerated, &spread_path, errors);
    windows::validate_host_processes(spec, path, errors);
    validate_host_users(spec, tolerated, path, errors);
    validate_host_name(spec, &path.child("hostnameOverride"), errors);
    for key in ["serviceAccountName", "nodeName"] {
        validate_subdomain(spec, key, path, errors);
    }
    if let Some(seconds) = spec.int("activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        errors.invalid(
            &path.child("activeDeadlineSeconds"),
            seconds,
            "must be between 1 and 2147483647, inclusive",
        );
    }
    for key in ["hostname", "subdomain"] {
        let name = spec.text(key);
        if !name.is_empty() {
            validate_label(name, &path.child(key), errors);
        }
    }
    let tolerations_path = path.child("tolerations");
    let tolerations = spec.items("tolerations");
    scheduling::validate_tolerations_as(tolerations, tolerated.comparisons, &tolerations_path, errors);
    for (index, alias) in spec.items("hostAliases").iter().enumerate() {
        let aliases_path = path.child("hostAliases");
        let path = aliases_path.index(index);
        addresses::validate(alias.text("ip"), &path.child("ip"), errors);
        for (index, name) in alias.items("hostnames").iter().enumerate() {
            let found = names::errors(NameRule::Subdomain, name.as_str().unwrap_or_default());
            errors.invalid_each(&path.child("hostnames").index(index), name, found);
        }
    }
    validate_subdomain(spec, "priorityClassName", path, errors);
    if spec.has("runtimeClassName") {
        let found = names::errors(NameRule::Subdomain, spec.text("runtimeClassName"));
        errors.invalid_each(&path.child("runtimeClassName"), &spec["runtimeClassName"], found);
    }
    if spec.has("preemptionPolicy") {
        let path = path.child("preemptionPolicy");
        match spec.text("preemptionPolicy") {
            "Never" | "PreemptLowerPriority" => {}
            "" => errors.required(&path, ""),
            other => errors.unsupported(&path, other, &["PreemptLowerPriority", "Never"]),
        }
    }
    if spec.has("overhead") {
        // What a RuntimeClass adds is validated as limits are.
        let added = json!({ "limits": spec["overhead"] });
        resources::validate_as(&added, &[], tolerated.parts_of_pages, &path.child("overhead"), errors);
    }
    if spec.has("os") {
        operating_system::validate(spec, path, errors);
    }
    if spec.has("schedulingGroup") {
        scheduling::validate_group(&spec["schedulingGroup"], &path.child("schedulingGroup"), errors);
    }
    env::validate_file_volumes(spec, path, errors);
}

/// Validates that a pod with users of its own shares nothing of the host that knows users.
fn validate_host_users(spec: &Value, tolerated: Tolerated, path: &Path, errors: &mut Errors) {
    const WHY: &str = "when `hostUsers` is false";
    if spec.flag("hostUsers") != Some(false) {
        return;
    }
    for (key, name) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.flag(key) == Some(true) && !(tolerated.host_network && key == "hostNetwork") {
            errors.forbidden(&path.child(name), WHY);
        }
    }
    for list in CONTAINER_LISTS.iter().filter(|_| !tolerated.user_devices) {
        for (index, container) in spec.items(list).iter().enumerate() {
            if !container.items("volumeDevices").is_empty() {
                errors.forbidden(&path.child(list).index(index).child("volumeDevices"), WHY);
            }
        }
    }
}

/// Validates the host name that a pod takes instead of its own name.
fn validate_host_name(spec: &Value, path: &Path, errors: &mut Errors) {
    const LONGEST: usize = 64;
    if !spec.has("hostnameOverride") {
        return;
    }
    for key in ["setHostnameAsFQDN", "hostNetwork"] {
        if spec.flag(key) == Some(true) {
            errors.forbidden(path, format!("may not be specified when {key} is true"));
        }
    }
    let name = spec.text("hostnameOverride");
    if name.len() > LONGEST {
        errors.too_long(path, LONGEST);
    }
    errors.invalid_each(path, &spec["hostnameOverride"], names::errors(NameRule::Subdomain, name));
}

fn validate_subdomain(spec: &Value, key: &str, path: &Path, errors: &mut Errors) {
    let name = spec.text(key);
    if !name.is_empty() {
        errors.invalid_each(&path.child(key), &spec[key], names::errors(NameRule::Subdomain, name));
    }
}

fn validate_claims<'a>(spec: &'a Value, mirror: bool, path: &Path, errors: &mut Errors) -> Vec<&'a str> {
    let mut known: Vec<&str> = Vec::new();
    for (index, claim) in spec.items("resourceClaims").iter().enumerate() {
        if mirror {
            known.push(claim.text("name"));
            errors.forbidden(&Path::root(""), "static pods do not support resource claims");
            continue;
        }
        let path = path.index(index);
        let name = claim.text("name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if known.contains(&name) {
            errors.duplicate(&path.child("name"), name);
        } else {
            validate_label(name, &path.child("name"), errors);
            known.push(name);
        }
        match (claim.has("resourceClaimName"), claim.has("resourceClaimTemplateName")) {
            (true, true) => errors.invalid(
                &path,
                claim.clone(),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
            (false, false) => errors.invalid(
                &path,
                claim.clone(),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ),
            _ => {}
        }
        for key in ["resourceClaimName", "resourceClaimTemplateName"] {
            if claim.has(key) {
                let found = names::errors(NameRule::Subdomain, claim.text(key));
                errors.invalid_each(&path.child(key), &claim[key], found);
            }
        }
    }
    known
}

fn validate_pod_resources(
    spec: &Value,
    claims: &[&str],
    tolerated: Tolerated,
    path: &Path,
    errors: &mut Errors,
) {
    let own = &spec["resources"];
    if spec["os"].text("name") == "windows" {
        errors.forbidden(path, "may not be set for a windows pod");
        return;
    }
    if own.has("claims") {
        errors.forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    resources::validate_of_pod(own, claims, tolerated.parts_of_pages, path, errors);
    for (list, of) in [("requests", "requests"), ("limits", "limits")] {
        for (name, sum) in resources::of_containers(spec, list) {
            // Requests must always fit into the pod's own, limits only where they are of huge pages.
            let counts = list == "requests" || name.starts_with("hugepages-");
            if let Some(most) = own[list].get(&name).and_then(quantity)
                && counts
                && sum > most
            {
                errors.invalid(
                    &path.child(list).key(&name),
                    most.to_string(),
                    format!("must be greater than or equal to aggregate container {of} of {sum}"),
                );
            }
        }
    }
    for (index, container) in spec.items("containers").iter().enumerate() {
        for (name, limit) in resources::list(&container["resources"], "limits") {
            if let Some(most) = own["limits"].get(&name).and_then(quantity)
                && limit > most
            {
                errors.invalid(
                    &path.child("containers").index(index).key(&name).child("limits"),
                    limit.to_string(),
                    format!("must be less than or equal to pod limits of {most}"),
                );
            }
        }
    }
}

/// Validates that ports on the host's network are the same inside and out; a template may still leave them out.
fn validate_host_network(spec: &Value, of_pod: bool, path: &Path, errors: &mut Errors) {
    if spec.flag("hostNetwork") != Some(true) {
        return;
    }
    for (index, container) in spec.items("containers").iter().enumerate() {
        for (port_index, port) in container.items("ports").iter().enumerate() {
            let (host, own) = (port.int("hostPort").unwrap_or(0), port.int("containerPort").unwrap_or(0));
            if (of_pod || host != 0) && host != own {
                errors.invalid(
                    &path.child("containers").index(index).child("ports").index(port_index).child("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

fn validate_dns_config(spec: &Value, path: &Path, errors: &mut Errors) {
    let config = &spec["dnsConfig"];
    let servers = config.items("nameservers");
    if spec.text("dnsPolicy") == "None" {
        if config.is_null() {
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if servers.is_empty() {
            errors.required(
                &path.child("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
            return;
        }
    }
    if servers.len() > 3 {
        errors.invalid(
            &path.child("nameservers"),
            config["nameservers"].clone(),
            "must not have more than 3 nameservers",
        );
    }
    for (index, server) in servers.iter().enumerate() {
        let address = server.as_str().unwrap_or_default();
        addresses::validate(address, &path.child("nameservers").index(index), errors);
    }
    let searches = config.items("searches");
    if searches.len() > 32 {
        errors.invalid(
            &path.child("searches"),
            config["searches"].clone(),
            "must not have more than 32 search paths",
        );
    }
    let length: usize = searches.iter().filter_map(Value::as_str).map(|search| search.len() + 1).sum();
    if length > 2049 {
        errors.invalid(
            &path.child("searches"),
            config["searches"].clone(),
            "must not have more than 2048 characters (including spaces) in the search list",
        );
    }
    for (index, search) in searches.iter().enumerate() {
        let name = search.as_str().unwrap_or_default();
        // A final dot makes a name absolute; a lone dot is the root; underscores are allowed in search paths.
        if name != "." {
            let name = name.strip_suffix('.').unwrap_or(name);
            let found = names::errors(NameRule::Subdomain, &name.replace('_', "a"));
            errors.invalid_each(&path.child("searches").index(index), search, found);
        }
    }
    for (index, option) in config.items("options").iter().enumerate() {
        if option.text("name").is_empty() {
            errors.required(&path.child("options").index(index), "must not be empty");
        }
    }
}
