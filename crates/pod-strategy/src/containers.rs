//! Validation of containers of all three sorts: ordinary, init and ephemeral.

use serde_json::Value;

use crate::env;
use crate::probes::{self, validate_label, validate_port_number};
use crate::resources;
use crate::security;
use crate::tolerated::Tolerated;
use crate::volumes::{self, Volumes, validate_pull_policy};
use apimachinery::names::port_name_errors;
use strategy::field::{Errors, Path};
use strategy::read::Read;

/// What the containers of one pod share while they are validated.
pub(crate) struct Surroundings<'a> {
    /// Volumes that mounts may name.
    pub volumes: &'a Volumes<'a>,
    /// Names of the pod's resource claims.
    pub claims: &'a [&'a str],
    /// The pod's termination grace period.
    pub grace: i64,
    /// The operating system that the pod is for, as it says.
    pub os: &'a Value,
    /// The pod's restart policy.
    pub restart_policy: &'a str,
    /// Whether the users of the pod are those of the host.
    pub host_users: bool,
    /// What a stored pod has and may keep.
    pub tolerated: Tolerated,
}

/// Validates the ordinary containers.
pub fn validate(containers: &[Value], around: &Surroundings, path: &Path, errors: &mut Errors) {
    if containers.is_empty() {
        errors.required(path, "");
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_one(container, around, &path, errors);
        check_unique(container, &mut names, &path, errors);
        probes::validate(container, around.grace, around.os, &path, errors);
        validate_restart_rules(container, &path, errors);
    }
    check_host_ports(containers, path, errors);
}

/// Validates the init containers; those with `restartPolicy: Always` are sidecars and may have probes.
pub(crate) fn validate_init(
    containers: &[Value],
    ordinary: &[Value],
    around: &Surroundings,
    path: &Path,
    errors: &mut Errors,
) {
    let list_path = path;
    let mut names: Vec<&str> = ordinary.iter().map(|container| container.text("name")).collect();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_one(container, around, &path, errors);
        if container.has("restartPolicy") {
            validate_restart_rules(container, &path, errors);
        } else if !container.items("restartPolicyRules").is_empty() {
            errors.required(&path.child("restartPolicy"), RULES_WITHOUT_POLICY);
        }
        let name = container.text("name");
        if names.contains(&name) {
            errors.duplicate(&path.child("name"), name);
        } else if !name.is_empty() {
            names.push(name);
        }
        check_host_ports(std::slice::from_ref(container), list_path, errors);
        let sidecar = container.text("restartPolicy") == "Always";
        if sidecar {
            probes::validate(container, around.grace, around.os, &path, errors);
        } else {
            for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
                if container.has(field) {
                    errors.forbidden(
                        &path.child(field),
                        "may not be set for init containers without restartPolicy=Always",
                    );
                }
            }
        }
        if !sidecar {
            for (index, policy) in container.items("resizePolicy").iter().enumerate() {
                if policy.text("restartPolicy") == "RestartContainer" {
                    errors.invalid(
                        &path.child("resizePolicy").index(index).child("restartPolicy"),
                        "RestartContainer",
                        "must not be set to 'RestartContainer' for non-sidecar initContainers",
                    );
                }
            }
        }
    }
}

/// Fields that an ephemeral container may not have, in upstream's order.
const NOT_EPHEMERAL: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// Whether a container says anything in a field that ephemeral ones may not have.
fn says(container: &Value, field: &str) -> bool {
    match field {
        // An object that is there even when nothing is said of it.
        "resources" => ["limits", "requests", "claims"].iter().any(|list| container[field].has(list)),
        _ => container.has(field),
    }
}

/// Validates the ephemeral containers.
pub(crate) fn validate_ephemeral(
    containers: &[Value],
    others: &[&[Value]],
    around: &Surroundings,
    path: &Path,
    errors: &mut Errors,
) {
    let other_names: Vec<&str> =
        others.iter().flat_map(|list| list.iter().map(|container| container.text("name"))).collect();
    let mut names = other_names.clone();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_one(container, around, &path, errors);
        validate_image(container, &path, errors);
        check_unique(container, &mut names, &path, errors);
        let target = container.text("targetContainerName");
        if !target.is_empty() && !other_names.contains(&target) {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        for field in NOT_EPHEMERAL.iter().filter(|field| says(container, field)) {
            errors.forbidden(&path.child(field), "cannot be set for an Ephemeral Container");
        }
        for (index, mount) in container.items("volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.text(field).is_empty() {
                    errors.forbidden(
                        &path.child("volumeMounts").index(index).child(field),
                        "cannot be set for an Ephemeral Container",
                    );
                }
            }
        }
    }
}

/// Validates what only the containers of a pod must fulfil, not those of a template.
pub(crate) fn validate_image(container: &Value, path: &Path, errors: &mut Errors) {
    let image = container.text("image");
    if image.trim() != image {
        errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
}

fn validate_one(container: &Value, around: &Surroundings, path: &Path, errors: &mut Errors) {
    let name = container.text("name");
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        validate_label(name, &path.child("name"), errors);
    }
    let image = container.text("image");
    if image.is_empty() {
        errors.required(&path.child("image"), "");
    }
    match container.text("terminationMessagePolicy") {
        "File" | "FallbackToLogsOnError" => {}
        "" => errors.required(&path.child("terminationMessagePolicy"), ""),
        other => errors.unsupported(
            &path.child("terminationMessagePolicy"),
            other,
            &["File", "FallbackToLogsOnError"],
        ),
    }
    validate_ports(container, &path.child("ports"), errors);
    env::validate_env(container.items("env"), &path.child("env"), errors);
    env::validate_env_from(container.items("envFrom"), &path.child("envFrom"), errors);
    volumes::validate_mounts(container, around.volumes, path, errors);
    validate_pull_policy(container.text("imagePullPolicy"), &path.child("imagePullPolicy"), errors);
    let in_parts = around.tolerated.parts_of_pages;
    let resources_path = path.child("resources");
    resources::validate_as(&container["resources"], around.claims, in_parts, &resources_path, errors);
    validate_resize_policy(container, around.restart_policy, &path.child("resizePolicy"), errors);
    security::validate_container(
        &container["securityContext"],
        around.host_users,
        &path.child("securityContext"),
        errors,
    );
}

fn validate_ports(container: &Value, path: &Path, errors: &mut Errors) {
    let mut names: Vec<&str> = Vec::new();
    for (index, port) in container.items("ports").iter().enumerate() {
        let path = path.index(index);
        let name = port.text("name");
        if !name.is_empty() {
            let found = port_name_errors(name);
            if !found.is_empty() {
                errors.invalid_each(&path.child("name"), &port["name"], found);
            } else if names.contains(&name) {
                errors.duplicate(&path.child("name"), name);
            } else {
                names.push(name);
            }
        }
        match port.int("containerPort").unwrap_or(0) {
            0 => errors.required(&path.child("containerPort"), ""),
            number => validate_port_number(number, &path.child("containerPort"), errors),
        }
        if let Some(number) = port.int("hostPort").filter(|number| *number != 0) {
            validate_port_number(number, &path.child("hostPort"), errors);
        }
        match port.text("protocol") {
            "TCP" | "UDP" | "SCTP" => {}
            "" => errors.required(&path.child("protocol"), ""),
            other => errors.unsupported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]),
        }
    }
}

/// Adds the error of a container whose name an earlier one has.
fn check_unique<'a>(container: &'a Value, names: &mut Vec<&'a str>, path: &Path, errors: &mut Errors) {
    let name = container.text("name");
    if names.contains(&name) {
        errors.duplicate(&path.child("name"), name);
    }
    names.push(name);
}

fn check_host_ports(containers: &[Value], path: &Path, errors: &mut Errors) {
    let mut taken: Vec<String> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in container.items("ports").iter().enumerate() {
            let Some(number) = port.int("hostPort").filter(|number| *number != 0) else { continue };
            let text = format!("{}/{}/{number}", port.text("protocol"), port.text("hostIP"));
            if taken.contains(&text) {
                errors.duplicate(&path.index(index).child("ports").index(port_index).child("hostPort"), text);
            } else {
                taken.push(text);
            }
        }
    }
}

fn validate_resize_policy(container: &Value, restart_policy: &str, path: &Path, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, policy) in container.items("resizePolicy").iter().enumerate() {
        let (name, action) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if seen.contains(&name) {
            errors.duplicate(&path.index(index), name);
        }
        seen.push(name);
        // Upstream leaves the index out of the paths that follow.
        match name {
            "cpu" | "memory" => {}
            "" => errors.required(path, ""),
            other => errors.unsupported(path, other, &["cpu", "memory"]),
        }
        match action {
            "NotRequired" | "RestartContainer" => {}
            "" => errors.required(path, ""),
            other => errors.unsupported(path, other, &["NotRequired", "RestartContainer"]),
        }
        if restart_policy == "Never" && action != "NotRequired" {
            errors.invalid(path, action, "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
        }
    }
}

const RULES_WITHOUT_POLICY: &str = "must specify restartPolicy when restart rules are used";

fn validate_restart_rules(container: &Value, path: &Path, errors: &mut Errors) {
    const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
    const ACTIONS: [&str; 2] = ["Restart", "RestartAllContainers"];
    let policy = container.text("restartPolicy");
    let rules = container.items("restartPolicyRules");
    let rules_path = path.child("restartPolicyRules");
    if container.has("restartPolicy") {
        if !POLICIES.contains(&policy) {
            errors.unsupported(&path.child("restartPolicy"), policy, &POLICIES);
        }
    } else if !rules.is_empty() {
        errors.required(&path.child("restartPolicy"), RULES_WITHOUT_POLICY);
    }
    if rules.len() > 20 {
        errors.too_many(&rules_path, rules.len(), 20);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = rules_path.index(index);
        let action = rule.text("action");
        if !ACTIONS.contains(&action) {
            errors.unsupported(&path.child("action"), action, &ACTIONS);
        }
        if rule.has("exitCodes") {
            let codes = &rule["exitCodes"];
            let path = path.child("exitCodes");
            if !matches!(codes.text("operator"), "In" | "NotIn") {
                errors.unsupported(&path.child("operator"), codes.text("operator"), &["In", "NotIn"]);
            }
            if codes.items("values").len() > 255 {
                errors.too_many(&path.child("values"), codes.items("values").len(), 255);
            }
        } else {
            errors.required(&path.child("exitCodes"), "must be specified");
        }
    }
}
